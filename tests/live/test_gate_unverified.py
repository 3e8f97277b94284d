"""GnuTLS applications that verify after the handshake, or never, under a rule that only a verification can satisfy: until then
they stay gated, and whoever sends first is condemned. The last flight of the handshake itself, which TCP may still hold when the
handshake returns, is no such thing."""
import clients
import gated
from agent import Agent, get
from expect import cases, equal
from host import check

POLICY = """version: 1
name: verified-only
mode: enforce
rules:
  - id: verifies
    match: [{library: gnutls, role: client}]
    require: {verified: true}
    action: kill
"""
RUNS = 4


def agent_of(env, events):
    env.stop_agents()
    agent = Agent(env.host, env.binary, POLICY, name="verified-only", events=events)
    env.agents.append(agent)
    agent.wait_started()
    env.trace.append((agent.describe, agent.begin_test()))
    gated.check_gate(agent, "on")
    return agent


@cases(("1.2", ()), ("1.3", ()), ("1.2", ("--events", "all")), ("1.3", ("--events", "all")))
def test_verified_after_the_handshake(env, tls, events):
    """The first is judged; the others are known."""
    agent = agent_of(env, events)
    server = gated.server_of(env, "good-leaf", tls=tls)
    for _ in range(RUNS):
        run = env.watch(clients.BY_NAME["wget"].start(env.host, server, env.trusting))
        check(run.wait(), "a good client was not served")
    agent.mark()
    told = [event for event in agent.events if get(event, "event.action") in ("policy-violation", "gate-timeout")]
    check(not told, f"{len(told)} events of good clients: {told[:1]}")


@cases(("1.2", "kdig", "custom"), ("1.3", "kdig", "custom"))
def test_never_verified(env, tls, name, result):
    agent = agent_of(env, ())
    server = env.watch(clients.BY_NAME[name].server(env.fixtures, "good-leaf", tls=tls, delay=0))
    for _ in range(RUNS):
        run = env.watch(clients.BY_NAME[name].start(env.host, server, None))
        check(not run.wait(), "the client was served")
    for event in agent.verifications(server.port, count=RUNS):
        equal(event, "tlswarden.verify.result", result)
        equal(event, "tlswarden.action.result", "killed")
    check(not any(connection.application_bytes for connection in server.connections), "application bytes came through")
