"""What a peer, or a process, can do to the gate itself: what it keeps must go with the connection, and nothing may get round it."""
import os
import socket
import ssl
import struct
import threading
import time

import clients
import gated
from agent import get
from expect import cases, check_violation
from gated import Holder, server_of
from host import CHILD_LIMIT, check, wait_for
from namespaces import Namespace
from test_gate_state import forbidding

ABUSE = os.path.join(clients.HERE, "client_abuse.py")
COUNT = 20
TINY = os.path.join(clients.HERE, "tiny_window.py")
THERE, PORT = "192.0.2.2", 8443


class Resetting:
    """Shows its certificate, and resets the connection before that can have been verified."""

    def __init__(self, env, leaf):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(env.fixtures.path(leaf + ".chain.pem"), env.fixtures.path(leaf + ".key"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(sock,), daemon=True).start()

    def handle(self, sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while not outgoing.pending:
            incoming.write(sock.recv(65536))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
        sock.sendall(outgoing.read())
        time.sleep(0.3)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def describe(self):
        return f"resetting server on port {self.port}"

    def close(self):
        self.listener.close()


def abuse(env, kind, port):
    child = env.watch(env.host.start_client([clients.PYTHON, ABUSE, kind, str(port), env.trusting, str(COUNT)], stdin=""))
    env.closers.append(child.end)
    wait_for("the client", CHILD_LIMIT, lambda: "done" in child.output or child.ended)
    check("done" in child.output, "the client failed")
    return child


def check_nothing_left():
    """Longer than anything is kept after a verdict."""
    time.sleep(3)
    left = {name: len(gated.cookies_in(name)) for name in ("pending", "released", "verified")}
    check(not any(left.values()), f"of connections that are gone the gate keeps {left}")


def test_dead_before_verified(env):
    """Condemned, by a peer that has ended the connection by then."""
    agent = gated.gate_agent(env, name="abuse")
    server = env.watch(Resetting(env, "forged-leaf"))
    child = abuse(env, "dead", server.port)
    agent.verifications(server.port, count=COUNT)
    child.end()
    check_nothing_left()


def test_closed_before_verdict(env):
    """By the client, while the judge is held up."""
    agent = gated.gate_agent(env, name="abuse", gate_timeout="10s")
    server = server_of(env, "good-leaf")
    with gated.stopped(gated.judge_of(agent)):
        child = abuse(env, "quick", server.port)
    child.end()
    gated.settle(agent, env)
    time.sleep(10)
    check_nothing_left()


@cases(30, 60000)
def test_hello_in_pieces(env, window):
    """The peer takes the first bytes of the client's hello, and then the rest. It may not get round the gate by that."""
    agent = env.agent("enforce")
    place = env.watch(Namespace())
    server = env.watch(env.host.start([*place.inside, clients.PYTHON, TINY, THERE, env.fixtures.path("forged-leaf.chain.pem"),
                                       env.fixtures.path("forged-leaf.key"), str(window)], stdin=""))
    env.closers.append(server.end)
    wait_for("the peer", CHILD_LIMIT, lambda: "ready" in server.output or server.ended)
    run = env.host.start_client(["curl", "-sS", "-m", "5", "--cacert", env.trusting, "--resolve", f"localhost:{PORT}:{THERE}",
                                 f"https://localhost:{PORT}/"], before=place.inside)
    env.watch(run)
    run.wait()
    check("reset" in server.output and "bytes" not in server.output, f"the peer saw: {server.output}")
    (event,) = agent.verifications(PORT, count=1)
    check_violation(event, "localhost-issuer", "killed")


def test_recall_holds_up_nothing(env):
    """A reload that ends a thousand connections; meanwhile ten more begin that are condemned, too. Behind the thousand they
    would wait about as long as these take."""
    agent = gated.gate_agent(env, forbidding(env, "enforce", "cross-root-b"), name="recall", gate_timeout="60s")
    old, fresh = server_of(env, "good-leaf"), server_of(env, "good-leaf")
    pools = [Holder(env, old.port, 250) for _ in range(4)]
    for pool in pools:
        check(pool.wait_result() == 250, "not all were served before")
    late = Holder(env, fresh.port, 10, ["wait"])
    late.wait_lines("connected")
    agent.reload(forbidding(env, "enforce", "good-leaf"))
    begin = time.monotonic()
    late.tell("go")
    check(late.wait_result() == 0, "condemned ones were served")
    old.wait_ended(1000)
    took = time.monotonic() - begin
    waited = [get(event, "tlswarden.latency_us.action") / 1e6 for event in agent.verifications(fresh.port, count=10)]
    print(f"       a thousand took {took:.3f} s; meanwhile one waited {min(waited):.3f} to {max(waited):.3f} s", flush=True)
    check(fresh.bytes == 0, f"{fresh.bytes} bytes left")
    check(max(waited) < took / 2, f"it waited {max(waited):.3f} s, while a thousand took {took:.3f} s")
