"""The agent dies, ends and starts while sockets are gated, alone or beside another one. Each test says which bytes the server
got, and what the events tell."""
import contextlib
import os
import random
import signal
import time

import clients
import gated
from agent import Agent, get
from expect import cases, check_violation
from gated import Holder, check_timeout, check_waited, curl, server_of, settle
from host import check, wait_for

STILL = 3               # seconds in which a closed gate lets nothing out
PATIENT = "60s"         # a gate_timeout that does not pass in a test


@contextlib.contextmanager
def dead_agent(env, victim, fail):
    """A socket of a good client is gated, then that half of the agent dies of SIGKILL: (server, holder, its programs)."""
    agent = gated.gate_agent(env, name=f"dying-{victim}", fail=fail, gate_timeout=PATIENT)
    judge = gated.judge_of(agent)
    judge_fd = os.pidfd_open(judge)     # its number may be another's when it has gone
    server = server_of(env, "good-leaf")
    try:
        os.kill(judge, signal.SIGSTOP)
        holder = Holder(env, server.port)
        gated.wait_pending()
        owned = gated.held_by(agent.child.pid)
        check(gated.attached(env, owned), "the agent has nothing in the kernel")
        os.kill(judge if victim == "judge" else agent.child.pid, signal.SIGKILL)
        if victim == "warden":
            agent.child.process.wait(20)
        env.agents.remove(agent)
        yield server, holder, owned
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(judge_fd, signal.SIGKILL)
        os.close(judge_fd)
        agent.child.process.wait(60)


def check_nothing_left(owned):
    wait_for("what the agent had in the kernel to go", gated.GONE_LIMIT, lambda: not owned & gated.in_kernel(), 0.1)


@cases("warden", "judge")
def test_death_open(env, victim):
    """Traffic flows at once, and nothing is left in the kernel."""
    with dead_agent(env, victim, "open") as (server, holder, owned):
        check(holder.wait_result(5) == 1, "the client was not served")
        check(server.bytes > 0, "the server got nothing")
        check_nothing_left(owned)
    check(not gated.pins(), f"pins are left: {gated.pins()}")


@cases(("warden", "closed"), ("judge", "closed"), ("warden", "open"))
def test_death_closed(env, victim, next_one):
    """What was gated stays so until the next agent starts, and nothing else is: that agent decides by its own `fail`."""
    with dead_agent(env, victim, "closed") as (server, holder, _):
        time.sleep(STILL)
        check(server.bytes == 0 and server.handshakes == 0, f"{server.bytes} bytes left though nobody had judged")
        check(not holder.lines("failed"), "the connection has ended")
        check(gated.pins(), "nothing is pinned")
        other = server_of(env, "good-leaf")
        curl(env, other, True)
    dead_pins = set(gated.pins())
    agent = env.new_agent(env.fixtures.policy(), name="next",
                          more=gated.settings(env.host, "next", fail=next_one, gate_timeout="500ms"))
    agent.asked.add(server.port)
    (event,) = gated.timeouts(agent, since=0, port=server.port)
    check_waited(event, STILL * 1_000_000)
    if next_one == "closed":
        check_timeout(event, server, "agent-ended", "killed")
        holder.wait_lines("failed")
        server.wait_ended(1)
        check(server.bytes == 0, f"{server.bytes} bytes left")
    else:
        check_timeout(event, server, "agent-ended", "none")
        holder.wait_lines("served")
    check(not dead_pins & set(gated.pins()), f"pins of the dead agent are left: {dead_pins & set(gated.pins())}")
    settle(agent, env)
    check(agent.stop() == 0, "the agent did not end well")
    check(not gated.pins(), f"pins are left after a good end: {gated.pins()}")


@cases("open", "closed")
def test_end_with_a_gated_socket(env, fail):
    """SIGTERM while the judge has not yet judged: it does so before it ends. Nothing is left gated or pinned."""
    agent = gated.gate_agent(env, name="term", fail=fail, gate_timeout=PATIENT)
    owned = gated.held_by(agent.child.pid)
    good, forged = server_of(env, "good-leaf"), server_of(env, "forged-leaf")
    with gated.stopped(gated.judge_of(agent)):
        innocent, condemned = Holder(env, good.port), Holder(env, forged.port)
        gated.wait_pending(2)
        agent.child.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    innocent.wait_lines("served")
    condemned.wait_lines("failed")
    check(agent.stop() == 0, "the agent did not end well")
    forged.wait_ended(1)
    check(forged.bytes == 0, f"{forged.bytes} bytes left")
    check_nothing_left(owned)
    check(not gated.pins(), f"pins are left: {gated.pins()}")


LOOP = """
import os, socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
count = 0
while not os.path.exists(sys.argv[3]):
    with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=30) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            answer = b""
            while part := tls.recv(4096):
                answer += part
            if b"hello from the test server" not in answer:
                sys.exit(f"connection {count} had {answer!r}")
    count += 1
print("all", count, "served")
"""


@contextlib.contextmanager
def load_of(env, server):
    """Four clients connect and ask without a pause for as long as the block lasts; none of them may fail."""
    end = os.path.join(env.host.temporary("load"), "end")
    load = [env.watch(env.host.start_client([clients.PYTHON, "-c", LOOP, env.trusting, str(server.port), end]))
            for _ in range(4)]
    try:
        yield
    finally:
        with open(end, "w", encoding="ascii"):
            pass
    for child in load:
        check(child.wait() == 0 and " served" in child.output, "a client failed")


@cases("open", "closed")
def test_restart_under_load(env, fail):
    """Ends and starts: what is condemned gets nothing out from each agent-started on."""
    agent = gated.gate_agent(env, name="load", fail=fail)
    with load_of(env, server_of(env, "good-leaf")):
        for _ in range(3):
            forged = server_of(env, "forged-leaf")
            curl(env, forged, False)
            forged.wait_ended(1)
            check(forged.bytes == 0, f"{forged.bytes} bytes left")
            (event,) = agent.verifications(forged.port)
            check_violation(event, "localhost-issuer", "killed")
            check(agent.stop() == 0, "the agent did not end well")
            agent = gated.gate_agent(env, name="load", fail=fail)
    agent.read()
    check(not [event for event in agent.events if get(event, "event.action") == "gate-timeout"], "one waited too long")


def test_reloads_under_load(env):
    """The gate goes on and off, and what the kernel knows of verdicts is forgotten each time."""
    agent = gated.gate_agent(env, name="reloads", fail="closed")
    with load_of(env, server_of(env, "good-leaf")):
        for turn in range(12):
            mode = ("audit", "enforce", "enforce")[turn % 3]
            agent.reload(env.fixtures.policy(mode=mode))
            forged = server_of(env, "forged-leaf")
            curl(env, forged, mode == "audit")
            check(bool(forged.bytes) == (mode == "audit"), f"{forged.bytes} bytes left under {mode}")
    check(not [event for event in agent.events if get(event, "event.action") == "gate-timeout"], "one waited too long")


def test_deaths_under_load(env):
    """SIGKILL at any moment, fail: open."""
    owned = set()
    with load_of(env, server_of(env, "good-leaf")):
        for turn in range(4):
            agent = gated.gate_agent(env, name="mortal", fail="open")
            judge = gated.judge_of(agent)
            owned |= gated.held_by(agent.child.pid)
            time.sleep(random.uniform(0, 0.3))
            os.kill((agent.child.pid, judge)[turn % 2], signal.SIGKILL)
            agent.child.process.wait(60)
            env.agents.remove(agent)
    check_nothing_left(owned)


def test_two_agents(env):
    """Each gates for itself: one that starts leaves alone what another, living one holds; what both condemn is ended."""
    first = gated.gate_agent(env, name="first", fail="closed", gate_timeout=PATIENT)
    server = server_of(env, "good-leaf")
    with gated.stopped(gated.judge_of(first)):
        holder = Holder(env, server.port)
        gated.wait_pending()
        mine = set(gated.pins())
        second = Agent(env.host, env.binary, env.fixtures.policy(mode="audit"), name="second",
                       more=gated.settings(env.host, "second", fail="open"))
        env.agents.append(second)
        env.watch(second)
        second.wait_started()
        time.sleep(1)
        check(mine and mine <= set(gated.pins()), "pins of the agent that lives are gone")
        check(server.bytes == 0 and not holder.lines("failed"), "its socket is not gated any more")
        second.reload(env.fixtures.policy())
    holder.wait_lines("served")
    for _ in range(3):
        forged = server_of(env, "forged-leaf")
        curl(env, forged, False)
        forged.wait_ended(1)
        check(forged.bytes == 0, f"{forged.bytes} bytes left")
        results = {get(agent.verifications(forged.port)[0], "tlswarden.action.result") for agent in (first, second)}
        check("killed" in results, f"both say {results}")
        curl(env, server_of(env, "good-leaf"), True)
    for agent in (first, second):
        told = [event for event in agent.events if get(event, "event.action") == "gate-timeout"]
        check(not told, f"a gate-timeout without a reason: {told}")
