"""A process that holds up whoever would end its connections: nothing of it leaves, and nobody else notices it."""
import os
import signal
import time

import clients
import gated
from agent import get
from expect import cases, check_allowed, check_violation, equal
from gated import Holder, server_of
from host import CHILD_LIMIT, Unable, check, wait_for

OTHERS = 20
HOSTILE = os.path.join(clients.HERE, "client_hostile.py")


class Hostile:
    """client_hostile.py with that many connections, all of them held."""

    def __init__(self, env, port, count):
        self.count = count
        self.child = env.watch(env.host.start_client([clients.PYTHON, HOSTILE, str(port), env.trusting, str(count)], stdin=""))
        env.closers.append(self.child.end)
        wait_for("the hostile process", CHILD_LIMIT, lambda: "held" in self.child.output or self.child.ended)
        if "unable" in self.child.output:
            raise Unable(self.child.output)
        check("held" in self.child.output, f"it could not hold its connections: {self.child.output}")

    def let_go(self):
        self.child.process.stdin.write(b"go\n")
        self.child.process.stdin.flush()

    def wait_ended(self):
        wait_for("its connections' end", CHILD_LIMIT, lambda: self.child.output.count("ended") == self.count)
        return [line.split()[2] for line in self.child.output.splitlines() if line.startswith("ended")]


def hostile_agent(env):
    return gated.gate_agent(env, name="hostile", fail="open", gate_timeout="500ms")


def check_held(agent, server, count):
    """The agent says that it could not end them, and that they are held back."""
    for event in agent.verifications(server.port, count=count):
        check_violation(event, "localhost-issuer", "failed")
        check("its packets are held back" in (get(event, "tlswarden.action.reason") or ""),
              f"the reason is {get(event, 'tlswarden.action')}")
    check(server.bytes == 0 and server.handshakes == 0, f"{server.bytes} bytes left")


def check_others(env, agent):
    """Twenty condemned first contacts and twenty good ones, at once, by other processes."""
    good, forged = server_of(env, "good-leaf"), server_of(env, "forged-leaf")
    mark = agent.mark()
    holders = [Holder(env, server.port, OTHERS // 4) for server in (good, forged) for _ in range(4)]
    for holder in holders[:4]:
        check(holder.wait_result() == OTHERS // 4, "a good one was not served")
    for holder in holders[4:]:
        check(holder.wait_result() == 0, "a condemned one was served")
    forged.wait_ended(OTHERS)
    check(forged.bytes == 0, f"{forged.bytes} bytes of condemned ones left")
    for event in agent.verifications(good.port, count=OTHERS):
        check_allowed(event)
    for event in agent.verifications(forged.port, count=OTHERS):
        check_violation(event, "localhost-issuer", "killed")
    late = [event for event in agent.events[mark:] if get(event, "event.action") == "gate-timeout"]
    check(not late, f"verdicts came too late: {late}")


@cases(1, 3, 40)
def test_others_do_not_wait(env, count):
    """Also if it holds more than there are workers."""
    agent = hostile_agent(env)
    server = server_of(env, "forged-leaf")
    hostile = Hostile(env, server.port, count)
    check_held(agent, server, count)
    check_others(env, agent)
    time.sleep(1)       # twice gate_timeout
    check(server.bytes == 0, f"{server.bytes} bytes left")
    hostile.let_go()
    ended = hostile.wait_ended()
    check("closed" not in ended, f"not all were ended by a reset: {ended}")
    server.wait_ended(count)
    check(server.bytes == 0 and server.handshakes == 0, f"{server.bytes} bytes left when it let go")
    check_others(env, agent)


def test_many_processes(env):
    """Each has one: together more than there are workers for what they hold up, and they still do not hold up the rest."""
    agent = hostile_agent(env)
    servers = [server_of(env, "forged-leaf") for _ in range(8)]
    hostile = [Hostile(env, server.port, 1) for server in servers]
    for server in servers:
        check_held(agent, server, 1)
    check_others(env, agent)
    for one, server in zip(hostile, servers):
        one.let_go()
        one.wait_ended()
        server.wait_ended(1)
        check(server.bytes == 0, f"{server.bytes} bytes left")


@cases("TERM", "KILL")
def test_the_agent_ends(env, name):
    """With a thread of it stuck. The gate goes all the same, and with it the wait of everybody else."""
    agent = hostile_agent(env)
    owned = gated.held_by(agent.child.pid)
    check(gated.attached(env, owned), "the gate is not attached")
    server, good = server_of(env, "forged-leaf"), server_of(env, "good-leaf")
    hostile = Hostile(env, server.port, 1)
    check_held(agent, server, 1)
    agent.child.process.send_signal(getattr(signal, "SIG" + name))
    if name == "TERM":
        stopped = agent.wait_action("agent-stopped")
        equal(stopped, "event.outcome", "success")
    wait_for("the gate to go", gated.GONE_LIMIT, lambda: not gated.attached(env, owned), 0.05)
    left = gated.in_kernel() & {entry for entry in owned if entry[0] != "map"}
    wait_for("programs and links to go", gated.GONE_LIMIT, lambda: not left & gated.in_kernel(), 0.1)
    gated.curl(env, good, True)
    hostile.let_go()
    code = agent.child.wait(60)
    check(code == (0 if name == "TERM" else -signal.SIGKILL), f"the agent's exit code is {code}")
