"""The gate's configuration, when it is there at all, and what a policy that is loaded later says of open connections."""
import os
import time

import clients
import gated
from agent import Agent, get
from expect import cases, check_head, check_violation, equal, one_of
from gated import Holder, curl, server_of
from host import Failure, check, wait_for
from test_matrix import node_library
from test_refusals import check_refused, run_refused


# --- configuration and state ------------------------------------------------------------------------------------------

BAD = {"fail": ("shut", "true", "[open]", "''", "Open"),
       "gate_timeout": ("soon", "500", "-5ms", "500xs", "[1s]", "0ms", "0s", "9ms", "61s", "60001ms",
                        "99999999999999999999s", "1.5s", "''"),
       "gate_max": ("many", "0", "-1", "1.5", "[16]", "99999999999", "''", "16k")}


@cases(*BAD)
def test_wrong_value(env, key):
    """Each has its place."""
    for value in BAD[key]:
        config = env.host.file("gate.yaml", f"# the gate\n{key}: {value}\n")
        try:
            check_refused(run_refused(env, [], ["--config", config]), 1, f"{config}:2:{len(key) + 3}: ")
        except Failure as failure:
            raise Failure(f"{key}: {value}: {failure}") from None


@cases(("fail", "open"), ("fail", "closed"), ("gate_timeout", "10ms"), ("gate_timeout", "60s"), ("gate_max", "1"))
def test_right_value(env, key, value):
    """It is taken; the missing policy is what is told of."""
    config = env.host.file("gate.yaml", f"{key}: {value}\n")
    check_refused(run_refused(env, [], ["--config", config, "--policy", "/nonexistent/policy.yaml"]), 2,
                  "/nonexistent/policy.yaml: no such file")


def test_state(env):
    """Attached only while a policy enforces, and told of at each change."""
    env.stop_agents()
    agent = env.new_agent(env.fixtures.policy(mode="audit"), name="state",
                          more=gated.settings(env.host, "state", fail="closed", gate_timeout="700ms"))
    owned = gated.held_by(agent.child.pid)
    check(owned, "the agent has nothing in the kernel")
    actions = [get(event, "event.action") for event in agent.events]
    check(actions.count("gate-changed") == 1 and actions.index("gate-changed") < actions.index("agent-started"),
          f"not one gate-changed before agent-started: {actions}")
    gated.check_gate(agent, "off")
    check(not gated.attached(env, owned), "a program is attached though nothing enforces")
    for mode, state in (("enforce", "on"), ("enforce", "on"), ("audit", "off"), ("enforce", "on")):
        old = gated.gate_changes(agent)
        mark = agent.mark()
        agent.reload(env.fixtures.policy(mode=mode))
        if state != get(old[-1], "tlswarden.gate.state"):
            event = agent.wait_action("gate-changed", since=mark)
            check_head(event)
            equal(event, "tlswarden.gate.state", state)
            equal(event, "tlswarden.gate.fail", "closed")
            equal(event, "tlswarden.gate.timeout_ms", 700)
        else:
            time.sleep(0.3)
            check(len(gated.gate_changes(agent)) == len(old), "a change was told that was none")
        added = gated.attached(env, owned)
        check(bool(added) == (state == "on"), f"{state}, and attached are {added}")
        server = server_of(env, "forged-leaf")
        curl(env, server, state == "off")
        (event,) = agent.verifications(server.port)
        check_violation(event, "localhost-issuer", "killed" if state == "on" else "would-kill", mode=mode)
        check((server.bytes > 0) == (state == "off"), f"{state}, and the server got {server.bytes} bytes")
    check(agent.stop() == 0, "the agent did not end well")
    check(not gated.attached(env, owned), "its program is still attached")


@cases("none", "overridden")
def test_no_gate(env, kind):
    """Without a policy, and with --mode audit, there is nothing to gate."""
    agent = env.new_agent(name="none") if kind == "none" else env.new_agent(env.fixtures.policy(), mode="audit")
    gated.check_gate(agent, "off")
    check(not gated.attached(env, gated.held_by(agent.child.pid)), "a program is attached though nothing enforces")


NO_BPF_FILESYSTEM = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                     'umount -l /sys/fs/bpf && mount -t tmpfs none /sys/fs/bpf && exec "$@"', "sh"]


def test_no_file_system_for_pins(env):
    """fail: closed needs one: it does not gate without, and says so; condemned connections are still ended."""
    env.stop_agents()
    wrapper = env.host.file("tlswarden-no-bpf", "#!/bin/sh\nexec " + " ".join(
        f"'{word}'" for word in NO_BPF_FILESYSTEM) + f' {env.binary} "$@"\n')
    os.chmod(wrapper, 0o755)
    agent = Agent(env.host, wrapper, env.fixtures.policy(), name="no-bpf",
                  more=gated.settings(env.host, "no-bpf", fail="closed"))
    env.agents.append(agent)
    env.watch(agent)
    agent.wait_started()
    gated.check_gate(agent, "unavailable")
    reason = get(gated.gate_changes(agent)[-1], "tlswarden.gate.reason") or ""
    check("/sys/fs/bpf" in reason, f"the reason: {reason!r}")
    check(not gated.attached(env, gated.held_by(agent.child.pid)), "a program is attached all the same")
    server = server_of(env, "forged-leaf")
    curl(env, server, None)
    (event,) = agent.verifications(server.port)
    one_of(event, "tlswarden.action.result", ("killed", "failed"))


def test_end_of_enforcement(env):
    """enforce_until passes while the agent runs: the gate goes with it."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12))
    policy = env.fixtures.policy().replace("mode: enforce\n", f'mode: enforce\nenforce_until: "{until}"\n')
    agent = gated.gate_agent(env, policy, name="until")
    owned = gated.held_by(agent.child.pid)
    check(gated.attached(env, owned), "nothing is attached")
    agent.wait("the gate's end", lambda event: get(event, "tlswarden.gate.state") == "off")
    wait_for("the program to go", gated.GONE_LIMIT, lambda: not gated.attached(env, owned), 0.2)
    agent.wait_action("policy-expired")
    server = server_of(env, "forged-leaf")
    curl(env, server, True)
    (event,) = agent.verifications(server.port)
    one_of(event, "tlswarden.action.result", ("would-kill",))


# --- a policy that is loaded later --------------------------------------------------------------------------------------

def forbidding(env, mode, leaf):
    """The keys of a leaf are forbidden, and another one's that nobody shows."""
    return f"""\
version: 1
name: live
mode: {mode}
rules:
  - id: no-such-key
    match: [{{server_name: localhost, role: client}}]
    forbid:
      key_in:
{env.fixtures.key_set(leaf, "cross-root-a")}    action: kill
"""


class Idle:
    """A client that asks once, and keeps its connection open."""

    def __init__(self, env, server, name):
        self.name = name
        if name == "python":
            self.holder = Holder(env, server.port)
            self.child = self.holder.child
        elif name == "node":
            self.child = env.host.start_client(["node", os.path.join(clients.HERE, "client_pool.js"), str(server.port)], "",
                                               {"NODE_EXTRA_CA_CERTS": env.trusting})
        else:
            client = clients.BY_NAME[name]
            self.child = env.host.start_client(client.command(server, env.trusting, {}), "GET / HTTP/1.1\r\n\r\n")
        env.watch(self.child)
        env.closers.append(self.child.end)
        wait_for("the first answer", 30, lambda: self.answers(1) or self.child.ended)
        check(self.answers(1), "the client was not served")

    def answers(self, count):
        if self.name == "python":
            return len(self.holder.lines("served")) + len(self.holder.lines("again")) >= count
        return self.child.output.count(clients.BODY) >= count

    def ask_again(self):
        self.child.process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
        self.child.process.stdin.flush()


def retroactive(agent, port, count=1):
    def wanted(event):
        return get(event, "tlswarden.retroactive") is True and get(event, "destination.port") == port
    agent.asked.add(port)
    agent.wait("a retroactive verdict", wanted, count=count)
    time.sleep(0.5)
    agent.read()
    chosen = [event for event in agent.events if wanted(event)]
    check(len(chosen) == count, f"{len(chosen)} retroactive events of port {port}, expected {count}")
    return chosen


def check_told(event, server, result, mode):
    check(get(event, "source.port") in [connection.port for connection in server.connections], "whose connection is it?")
    equal(event, "event.action", "policy-violation")
    equal(event, "rule.id", "no-such-key")
    equal(event, "tlswarden.policy.mode", mode)
    equal(event, "tlswarden.action.requested", "kill")
    equal(event, "tlswarden.action.result", result)


@cases(*((mode, name) for name in ("python", "node", "s_client", "gnutls-cli") for mode in ("enforce", "audit")))
def test_retroactive(env, mode, name):
    """One that is open and idle, one that has ended, and one with another chain: the first alone is ended, and told of."""
    agent = env.new_agent(forbidding(env, mode, "cross-root-b"), name="retroactive")
    if name == "node":
        agent.ensure_attached(node_library(), clients.BY_NAME["node"].holder())
    condemned, other = server_of(env, "good-leaf"), server_of(env, "forged-leaf")
    curl(env, condemned, True)
    condemned.wait_ended(1)
    bystander, idle = Idle(env, other, name), Idle(env, condemned, name)
    agent.verifications(condemned.port, count=2)
    agent.verifications(other.port)
    got = condemned.bytes
    event = agent.reload(forbidding(env, mode, "good-leaf"))
    equal(event, "event.action", "policy-loaded")
    (event,) = retroactive(agent, condemned.port)
    check_head(event)
    check(get(event, "source.port") == condemned.connections[-1].port, "it is of the connection that had ended")
    check_told(event, condemned, "killed" if mode == "enforce" else "would-kill", mode)
    if mode == "enforce":
        condemned.wait_ended(2)
        check(condemned.bytes == got, "bytes left after it was ended")
    else:
        idle.ask_again()
        wait_for("the second answer", 20, lambda: idle.answers(2))
    bystander.ask_again()
    wait_for("the bystander's second answer", 20, lambda: bystander.answers(2))
    check(len([e for e in agent.events if get(e, "tlswarden.retroactive")]) == 1, "another connection was told of")
    # It has been told of: a reload that changes nothing says nothing.
    agent.reload(forbidding(env, mode, "good-leaf"))
    time.sleep(0.5)
    agent.read()
    told = [e for e in agent.events if get(e, "tlswarden.retroactive")]
    check(len(told) == 1 or mode == "audit", f"told of again: {len(told)}")


@cases("enforce")
def test_retroactive_pool(env, mode):
    """Forty connections of one process, all with the same chain, all open."""
    agent = env.new_agent(forbidding(env, mode, "cross-root-b"), name="pool")
    condemned, other = server_of(env, "good-leaf"), server_of(env, "forged-leaf")
    pool, bystanders = Holder(env, condemned.port, 40), Holder(env, other.port, 10)
    pool.wait_lines("served")
    bystanders.wait_lines("served")
    agent.reload(forbidding(env, mode, "good-leaf"))
    for event in retroactive(agent, condemned.port, 40):
        check_told(event, condemned, "killed", mode)
    pool.wait_lines("ended")
    condemned.wait_ended(40)
    bystanders.tell("again")
    bystanders.wait_lines("again")
