"""What the tests of the gate share: servers that count, agents that are told how to gate, and what of them is in the kernel.

The servers answer at once: what the gate lets through is counted as application bytes, for no slow server hides it.
"""
import contextlib
import json
import os
import re
import signal
import subprocess

import clients
import servers
from agent import descendants, get
from cgroups import Cgroups
from expect import check_head, equal
from host import CHILD_LIMIT, check, wait_for

HOLD = os.path.join(clients.HERE, "client_hold.py")
PINS = "/sys/fs/bpf/tlswarden"
GONE_LIMIT = 30         # seconds until the kernel has let go of what a dead agent attached: slow on some kernels
END_LIMIT = 20          # seconds until a connection that was condemned has ended on the server's side


class Counting(servers.Server):
    """Answers at once. TLS 1.3 or what `tls` says; other options as of Server."""

    def __init__(self, fixtures, leaf, **options):
        super().__init__(fixtures.path(leaf + ".chain.pem"), fixtures.path(leaf + ".key"), delay=0, **options)
        self.listener.listen(512)

    def _shake_hands(self, connection):
        # Without asking for the cookie: that runs a program, and there are hundreds of connections.
        connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
        connection.version = connection.sock.version()
        connection.handshake = True

    @property
    def bytes(self):
        return sum(connection.application_bytes for connection in self.connections)

    @property
    def handshakes(self):
        return sum(connection.handshake for connection in self.connections)

    def wait_ended(self, count=None):
        """Until each of its connections (and there are `count`) has ended."""
        wait_for(f"{count or 'the'} connections to port {self.port} to end", END_LIMIT, lambda: (
            count is None or len(self.connections) >= count) and all(c.ended.is_set() for c in self.connections))

    def describe(self):
        if len(self.connections) <= 20:
            return super().describe()
        return (f"server on port {self.port}: {len(self.connections)} connections, {self.handshakes} handshakes, "
                f"{self.bytes} application bytes")


def server_of(env, leaf, **options):
    return env.watch(Counting(env.fixtures, leaf, **options))


def settings(host, name, **values):
    """Options that name a configuration with these values."""
    text = "".join(f"{key}: {value}\n" for key, value in values.items())
    return ["--config", host.file(f"settings-{name}.yaml", text)]


def gate_agent(env, policy=None, name="gate", **values):
    """An agent of the test's own that enforces, configured so; its gate is on."""
    agent = env.new_agent(policy or env.fixtures.policy(), name=name, more=settings(env.host, name, **values))
    check_gate(agent, "on")
    return agent


def gate_changes(agent, since=0):
    agent.read()
    return [event for event in agent.events[since:] if get(event, "event.action") == "gate-changed"]


def check_gate(agent, state):
    changes = gate_changes(agent)
    check(changes, "no gate-changed event")
    last = get(changes[-1], "tlswarden.gate") or {}
    check(last.get("state") == state, f"the gate is {last}, expected {state}")


def judge_of(agent):
    (judge,) = [pid for pid in descendants(agent.child.pid) if pid != agent.child.pid]
    return judge


@contextlib.contextmanager
def stopped(*pids):
    """SIGSTOP for as long as the block lasts."""
    held = [os.pidfd_open(pid) for pid in pids]
    try:
        for fd in held:
            signal.pidfd_send_signal(fd, signal.SIGSTOP)
        yield
    finally:
        for fd in held:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGCONT)
            os.close(fd)


def timeouts(agent, count=1, since=None, port=None):
    """gate-timeout events, once there are as many."""
    return agent.wait("gate-timeout", lambda event: get(event, "event.action") == "gate-timeout" and
                      (port is None or get(event, "destination.port") == port), count=count,
                      since=agent.begun if since is None else since)


def check_timeout(event, server, reason, result):
    check_head(event)
    equal(event, "event.action", "gate-timeout")
    equal(event, "event.kind", "alert")
    equal(event, "destination.port", server.port)
    equal(event, "tlswarden.gate.reason", reason)
    equal(event, "tlswarden.action.result", result)
    equal(event, "event.type", ["denied" if result == "killed" else "allowed"])
    check(get(event, "process.pid"), "no process in the event")
    check(get(event, "source.port"), "no source in the event")


def check_waited(event, least=400_000):
    waited = get(event, "tlswarden.gate.waited_us")
    check(isinstance(waited, int) and least <= waited < 120_000_000, f"waited_us is {waited}")
    check(get(event, "tlswarden.gate.held") >= 1, "held is 0")


def curl(env, server, expected):
    run = env.watch(clients.BY_NAME["curl"].start(env.host, server, env.trusting))
    served = run.wait()
    if expected is not None:
        check(served == expected, f"served is {served}, expected {expected}")
    return served


def settle(agent, env):
    """What the agent still had to do is done when it has judged one more."""
    last = server_of(env, "good-leaf")
    curl(env, last, True)
    return agent.verifications(last.port)


# --- what is in the kernel --------------------------------------------------------------------------------------------

def bpftool(*words):
    result = subprocess.run(["/usr/sbin/bpftool", "-j", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    with contextlib.suppress(ValueError):
        return json.loads(result.stdout)
    return []


def held_by(pid):
    """(kind, id) of every program, link and map of which the process has a descriptor."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
            found |= {(kind, int(number)) for kind, number in re.findall(r"^(prog|link|map)_id:\t(\d+)$", file.read(), re.M)}
    return found


def in_kernel():
    """(kind, id) of every program and link."""
    return {(kind, entry["id"]) for kind in ("prog", "link") for entry in bpftool(kind, "list")}


def attached(env, owned):
    """Those of the programs that are attached to the root of cgroup v2, wherever it is mounted."""
    cgroups = Cgroups(env.host)
    try:
        return {("prog", entry["id"]) for entry in bpftool("cgroup", "show", cgroups.directory)} & owned
    finally:
        cgroups.close()


def cookies_in(name):
    """The keys of every map of that name, as bpftool writes them."""
    maps = [entry["id"] for entry in bpftool("map", "list") if entry.get("name") == name]
    return {str(entry["key"]) for number in maps for entry in bpftool("map", "dump", "id", str(number)) if "key" in entry}


def pending():
    """Sockets that are gated now. What was released stays in the first map until it is swept."""
    return cookies_in("pending") - cookies_in("released")


def wait_pending(count=1):
    wait_for(f"{count} gated socket(s)", CHILD_LIMIT, lambda: len(pending()) >= count, 0.05)


def pins():
    """Files below the agents' directories in the BPF file system."""
    return [os.path.join(path, name) for path, _, names in os.walk(PINS) for name in names]


# --- clients that hold their connections -------------------------------------------------------------------------------

class Holder:
    """client_hold.py with `count` connections: each asks once when told "ask", and says what became of it."""

    def __init__(self, env, port, count=1, more=(), ca=None):
        self.child = env.watch(env.host.start_client(
            [clients.PYTHON, HOLD, str(port), ca or env.trusting, str(count), *more], stdin=""))
        env.closers.append(self.child.end)
        self.count = count

    def tell(self, word):
        self.child.process.stdin.write(word.encode() + b"\n")
        self.child.process.stdin.flush()

    def lines(self, word):
        return [line for line in self.child.output.splitlines() if line.split()[0] == word]

    def wait_lines(self, word, count=None, timeout=CHILD_LIMIT):
        """The lines that begin with that word, once there are as many as connections."""
        count = self.count if count is None else count
        return wait_for(f"{count} times '{word}'", timeout,
                        lambda: len(self.lines(word)) >= count and self.lines(word), 0.02)

    def wait_result(self, timeout=CHILD_LIMIT):
        """How many were served, once it is known of all."""
        wait_for("the clients' end", timeout, lambda: len(self.lines("served")) + len(self.lines("failed")) >= self.count)
        return len(self.lines("served"))
