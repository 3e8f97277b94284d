"""Every place a socket can be in, and every way to take one for another: what is condemned gets no byte out, and no bystander
is hit. The servers answer at once, and count."""
import json
import os
import re
import time

import clients
import gated
import servers
from agent import descendants, get
from cgroups import Cgroups
from expect import cases, check_allowed, check_violation, equal, one_of
from gated import Counting
from host import CHILD_LIMIT, check, wait_for
from namespaces import Namespace
from test_gate_faults import refused_agent
from test_matrix import node_library

PLACES = os.path.join(clients.HERE, "client_places.py")
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Pair:
    """A good server and a condemned one, in a namespace if one is given."""

    def __init__(self, env, namespace=None, **options):
        def make():
            return [env.watch(Counting(env.fixtures, leaf, **options)) for leaf in ("good-leaf", "forged-leaf")]
        self.good, self.forged = namespace.call(make) if namespace else make()

    def check(self, agent, good, forged, results=("killed",)):
        """So many connections each: all of the good ones said something, and none of the others; and so do the events."""
        wait_for("the good ones' requests", gated.END_LIMIT, lambda: self.good.handshakes >= good)
        self.good.wait_ended(good)
        silent = [c.describe() for c in self.good.connections if not c.application_bytes]
        check(not silent, f"good ones of which the server got nothing: {silent[:3]}")
        check(self.forged.bytes == 0, f"{self.forged.bytes} bytes left on condemned connections")
        for event in agent.verifications(self.forged.port, count=forged) if forged else []:
            check_one(event, results)
        for event in agent.verifications(self.good.port, count=good) if good else []:
            check_allowed(event)


def check_one(event, results):
    if results == ("killed",):
        check_violation(event, "localhost-issuer", "killed")
    else:
        equal(event, "event.action", "policy-violation")
        one_of(event, "tlswarden.action.result", results)


def start(env, pair, kind, *more, before=(), address="127.0.0.1"):
    return env.watch(env.host.start_client(command(env, pair, kind, *more, address=address), before=before))


def command(env, pair, kind, *more, address="127.0.0.1", good=None, forged=None):
    return [clients.PYTHON, PLACES, kind, env.trusting, address, pair.good.port if good is None else good,
            pair.forged.port if forged is None else forged, *more]


def run_exits(env, pair, leaf, count, before=()):
    """Processes one after the other that write, and are gone."""
    ports = {"good": 0} if leaf == "forged" else {"forged": 0}
    for _ in range(count):
        child = env.host.start_client(command(env, pair, "exit", **ports), before=before)
        check(child.wait() == 0, f"the client failed: {child.describe()}")


def result_of(child, good, forged, timeout=CHILD_LIMIT):
    check(child.wait(timeout) == 0, "the client failed")
    result = json.loads(child.output.splitlines()[-1])
    check(result["good"] == good and not result["good_failed"], f"of {good} good ones: {result}")
    check(result["forged"] == 0 and result["forged_failed"] == forged, f"of {forged} condemned ones: {result}")


# --- network namespaces -------------------------------------------------------------------------------------------------

@cases("loopback", "cable")
def test_namespace(env, kind):
    """The client is the only process there; over a cable the server is in yet another one, without any."""
    agent = env.agent("enforce")
    place = env.watch(Namespace())
    other, address = place, "127.0.0.1"
    if kind == "cable":
        other, address = env.watch(Namespace()), HERE
        place.link(other, THERE, HERE)
    pair = Pair(env, other, address=address)
    result_of(start(env, pair, "talk", before=place.inside, address=address), 1, 1)
    pair.check(agent, 1, 1)


@cases("stays", "back")
def test_thread_in_another_namespace(env, how):
    """The process is not in it; with `back` nobody is when TLS begins: only the socket knows where it is."""
    agent = env.agent("enforce")
    place = env.watch(Namespace())
    pair = Pair(env, place)
    result_of(start(env, pair, "thread", place.path, how), 1, 1)
    pair.check(agent, 1, 1)


@cases("forged", "good")
def test_exit_at_once_in_its_namespace(env, leaf):
    """With the process every way into the namespace has gone: what is condemned stays where it is, the rest arrives."""
    agent = env.agent("enforce")
    place = env.watch(Namespace())
    pair = Pair(env, place)
    run_exits(env, pair, leaf, 5, place.inside)
    if leaf == "forged":
        time.sleep(3)
    pair.check(agent, 5 * (leaf == "good"), 5 * (leaf == "forged"), ("killed", "failed"))


USERS = {"root": [], "mapped": ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]}
UNSHARED = ["unshare", "--user", "--map-root-user", "--net", "--uts", "--ipc", "--cgroup", "--mount", "--pid", "--fork",
            "--kill-child", "--mount-proc", "sh", "-c",
            'ip link set lo up && hostname container && echo ready && read good forged && exec "$@" "$good" "$forged"', "sh"]


@cases(*USERS)
def test_container(env, user):
    """All namespaces of its own; root there is somebody else here."""
    agent = env.agent("enforce")
    child = env.watch(env.host.start_client([*USERS[user], *UNSHARED, clients.PYTHON, PLACES, "talk", env.trusting,
                                             "127.0.0.1"], stdin=""))
    wait_for("the container", 20, lambda: "ready" in child.output or child.ended)
    check("ready" in child.output, "there is no such container")
    own = os.readlink("/proc/self/ns/net")
    inner = [pid for pid in descendants(child.pid) if os.readlink(f"/proc/{pid}/ns/net") != own]
    place = env.watch(Namespace(os.open(f"/proc/{inner[-1]}/ns/net", os.O_RDONLY)))
    pair = Pair(env, place)
    child.process.stdin.write(f"{pair.good.port} {pair.forged.port}\n".encode())
    child.process.stdin.flush()
    result_of(child, 1, 1)
    pair.check(agent, 1, 1)
    for server in (pair.good, pair.forged):
        equal(agent.verifications(server.port)[0], "process.user.id", "65534" if user == "mapped" else "0")


# --- processes and threads ----------------------------------------------------------------------------------------------

@cases(("forged", "1.3"), ("forged", "1.2"), ("good", "1.3"), ("good", "1.2"))
def test_exit_at_once(env, leaf, tls):
    """It writes, and is gone before the verdict: nobody is left to push for, and nothing of a good one is lost."""
    agent = env.agent("enforce")
    pair = Pair(env, tls=tls)
    count = 20
    run_exits(env, pair, leaf, count)
    if leaf == "forged":
        pair.forged.wait_ended(count)
    pair.check(agent, count * (leaf == "good"), count * (leaf == "forged"))


def test_cgroup(env):
    """In one further down: the gate is at the root."""
    agent = env.agent("enforce")
    cgroups = env.watch(Cgroups(env.host))
    pair = Pair(env)
    result_of(start(env, pair, "talk", before=cgroups.inside(f"/tlswarden-live-{os.getpid()}/below")), 1, 1)
    pair.check(agent, 1, 1)


@cases(("passed", "keep"), ("passed", "close"), ("inherited",), ("forked",), ("corked",))
def test_socket_of_another(env, kind, *more):
    """Who speaks TLS has not made the socket; who writes has not verified; and what the application set stays set."""
    agent = env.agent("enforce")
    pair = Pair(env)
    result_of(start(env, pair, kind, *more), 1, 1)
    pair.check(agent, 1, 1)


def test_threads(env):
    """Eight of them, good and condemned in turns, by descriptor and over memory."""
    agent = env.agent("enforce")
    pair = Pair(env)
    result_of(start(env, pair, "threads"), 48, 48)
    pair.check(agent, 48, 48)


def test_pool(env):
    """Connections that are kept while those of another process are condemned, and used again after that."""
    agent = env.agent("enforce")
    pair = Pair(env)
    holder = gated.Holder(env, pair.good.port, 20)
    holder.wait_lines("served")
    result_of(start(env, pair, "threads"), 48, 48)
    check(not holder.lines("ended"), "a kept connection was ended")
    holder.tell("again")
    holder.wait_lines("again")
    holder.child.end()
    pair.check(agent, 68, 48)


def test_pool_of_one_process(env):
    """node keeps its good connection, and between its uses is refused by the condemned server."""
    agent = env.agent("enforce")
    agent.ensure_attached(node_library(), clients.BY_NAME["node"].holder())
    pair = Pair(env)
    program = ("const https = require('https'), pool = new https.Agent({keepAlive: true, maxSockets: 1});\n"
               "const get = (port) => new Promise((done) => https.get({host: 'localhost', family: 4, port, agent: pool, "
               "path: '/'}, (answer) => { answer.resume(); answer.on('end', () => setImmediate(done, 'served')); })"
               ".on('error', (error) => done('failed')));\n"
               f"(async () => {{ for (let i = 0; i < 20; i++) {{ console.log('good', await get({pair.good.port}));"
               f" console.log('forged', await get({pair.forged.port})); }} process.exit(0); }})();\n")
    child = env.watch(env.host.start_client(["node", "-e", program], env={"NODE_EXTRA_CA_CERTS": env.trusting}))
    check(child.wait() == 0, "the client failed")
    check(child.output.count("good served") == 20, "a good request failed")
    check(child.output.count("forged failed") == 20, "a condemned request was served")
    check(len(pair.good.connections) == 1, f"{len(pair.good.connections)} good connections: one was ended")
    pair.check(agent, 1, 20)


# --- storms: the same number, and another connection ---------------------------------------------------------------------

@cases("fresh", "cached")
def test_fd_reuse(env, cached):
    """A descriptor's number is an innocent connection's before the verdict on the one before."""
    agent = env.agent("enforce")
    pair = Pair(env)
    result_of(start(env, pair, "fd-reuse", 150, cached), 150, 0)
    pair.forged.wait_ended()
    pair.check(agent, 150, 150, ("killed", "failed"))


def test_fd_reuse_without_netlink(env):
    """The agent has nothing but the process's descriptors to end a connection with, and must not take a wrong one."""
    agent = refused_agent(env)
    pair = Pair(env)
    result_of(start(env, pair, "fd-reuse", 100, "fresh"), 100, 0)
    pair.check(agent, 100, 100, ("killed", "failed"))


def test_pid_reuse(env):
    """A pid is an innocent process's at once."""
    agent = env.agent("enforce")
    pair = Pair(env)
    child = start(env, pair, "pid-reuse", 60)
    check(child.wait() == 0, "the client failed")
    result = json.loads(child.output.splitlines()[-1])
    check(result["good"] >= 50 and not result["good_failed"], f"innocent processes: {result}")
    pair.forged.wait_ended(60)
    pair.check(agent, result["good"], 60)


class Alternating(Counting):
    """Condemned and good in turns, on one port; by the order in which connections come."""

    def __init__(self, env):
        self.forged = Counting(env.fixtures, "forged-leaf")
        super().__init__(env.fixtures, "good-leaf")

    def _shake_hands(self, connection):
        context = (self.forged.context, self.context)[self.connections.index(connection) % 2]
        connection.sock = context.wrap_socket(connection.sock, server_side=True)
        connection.handshake = True

    def close(self):
        self.forged.close()
        super().close()


@cases("killed", "reset")
def test_port_reuse(env, how):
    """Addresses and ports of a condemned connection are an innocent one's at once, on both sides."""
    agent = env.agent("enforce")
    server = env.watch(Alternating(env))
    child = env.watch(env.host.start_client([clients.PYTHON, PLACES, "port-reuse", env.trusting, "127.0.0.1",
                                             str(server.port), "0", "60", how]))
    result_of(child, 60, 60)
    condemned, good = server.connections[::2], server.connections[1::2]
    check(len({connection.port for connection in server.connections}) == 1, "the port was not the same")
    left = sum(connection.application_bytes for connection in condemned)
    check(left == 0, f"{left} bytes left on condemned connections")
    check(all(connection.application_bytes for connection in good), "an innocent one's request is missing")
    events = agent.verifications(server.port, count=120)
    for event in events:
        if get(event, "event.action") == "policy-violation":
            check_one(event, ("killed",) if how == "killed" else ("killed", "failed"))
        else:
            check_allowed(event)
    check(sum(get(event, "event.action") == "policy-violation" for event in events) == 60, "not 60 violations")


# --- UDP, and the server's side -------------------------------------------------------------------------------------------

@cases("forged", "good")
def test_dtls(env, leaf):
    agent = env.agent("enforce")
    path = env.fixtures.path(f"{leaf}-leaf")
    server = env.watch(env.host.start(["openssl", "s_server", "-dtls", "-accept", "127.0.0.1:0", "-cert", path + ".pem",
                                       "-key", path + ".key", "-cert_chain", path + ".chain.pem"], stdin="\n"))
    env.closers.append(server.end)
    found = wait_for("port of the DTLS server", 10, lambda: re.search(r"ACCEPT .*:(\d+)\n", server.output))
    port = int(found.group(1))
    client = env.watch(env.host.start_client(
        ["openssl", "s_client", "-dtls", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-CAfile", env.trusting],
        stdin="over-the-wire\n"))
    env.closers.append(client.end)
    if leaf == "good":
        wait_for("what the client wrote", 20, lambda: "over-the-wire" in server.output)
    (event,) = agent.verifications(port)
    equal(event, "network.transport", "udp")
    if leaf == "good":
        check_allowed(event)
    else:
        check_violation(event, "localhost-issuer", "killed")
        time.sleep(3)       # DTLS sends again after one second, and after two
        check("over-the-wire" not in server.output, "it was written all the same")


def greet(connection):
    """Speaks first."""
    connection.sock.sendall(b"220 a greeting\r\n")
    servers.pause(connection.sock, servers.PATIENCE)


LISTENER = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.load_cert_chain(sys.argv[3] + ".chain.pem", sys.argv[3] + ".key")
got = b""
try:
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[2])), 20)
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        got = tls.recv(4096)
except OSError as error:
    print(type(error).__name__)
print("got", len(got))
"""


@cases(("forged", "1.2"), ("forged", "1.3"), ("good", "1.2"), ("good", "1.3"))
def test_server_that_speaks_first(env, leaf, tls):
    """A server verifies its client: of what it says to a condemned one nothing arrives."""
    agent = env.agent("enforce")
    trusted = env.fixtures.bundle("client-ca.pem", "rogue-client-ca.pem")
    server = env.watch(Counting(env.fixtures, "good-leaf", tls=tls, clients=trusted, serve=greet))
    child = env.watch(env.host.start_client([clients.PYTHON, "-c", LISTENER, env.trusting, str(server.port),
                                             env.fixtures.path("client-" + leaf)]))
    check(child.wait() == 0, "the client failed")
    check(("got 0" in child.output) == (leaf == "forged"), "what the server said")
    (event,) = agent.verifications(server.port, role="server")
    if leaf == "good":
        check_allowed(event)
    else:
        check_violation(event, "client-issuer", "killed")
