"""What verification hides in OpenSSL: sessions that are resumed, applications that verify by themselves, peers without a
certificate, handshakes that come again or ask for a certificate later. Each is an event that says what it is; and what a policy
condemns is ended before a byte leaves, also where nothing was verified.

Most of it by tests/live/hidden_openssl.c, built here, whose server counts what arrives."""
import os
import re

import clients
import gated
from agent import get
from expect import cases, check_allowed, check_violation, equal
from host import check, wait_for

SOURCE = os.path.join(clients.HERE, "hidden_openssl.c")
PORT = re.compile(r"^port (\d+)$", re.M)
ENDED = re.compile(r"^ended ok=(-?\d+) bytes=(\d+) early=(\d+) resumed=(\d)$", re.M)
CONNECTION = re.compile(r"^connection ok=(-?\d+) served=(\d) resumed=(\d)(?: result=(\d+))?$", re.M)
BOTH = [("1.2",), ("1.3",)]
NAME = "name=localhost"
POLICY = """version: 1
name: hidden
mode: enforce
rules:
  - id: {rule}
    match: [{{server_name: localhost, role: client}}]
    {asks}
    action: kill
"""


def program(env):
    path = os.path.join(env.host.directory, "hidden_openssl")
    if not os.path.exists(path):
        made = env.host.run(["gcc", "-O1", "-o", path, SOURCE, "-lssl", "-lcrypto"])
        check(made.process.returncode == 0, made.describe())
    return path


class Server:
    """The program as a server."""

    def __init__(self, env, *words, leaf="good-leaf"):
        path = env.fixtures.path(leaf)
        self.child = env.watch(env.host.start([program(env), "server", path + ".chain.pem", path + ".key", *words]))
        env.closers.append(self.child.end)
        match = wait_for("the server's port", 20, lambda: PORT.search(self.child.output))
        self.port = int(match.group(1))

    def ended(self, count):
        """(ok, bytes, early, resumed) of each connection, once there are as many."""
        def found():
            lines = ENDED.findall(self.child.output)
            return len(lines) >= count and [tuple(map(int, line)) for line in lines]
        return wait_for(f"{count} connections to end", 20, found)


def run(env, server, *words, ca=None):
    """(ok, served, resumed, result) of each connection of the program as a client."""
    child = env.watch(env.host.start([program(env), "client", str(server.port), ca or env.trusting, *words]))
    child.wait()
    return [tuple(int(number or 0) for number in line) for line in CONNECTION.findall(child.output)]


def check_result(event, result, mode, resumed=False):
    equal(event, "tlswarden.verify.result", result)
    equal(event, "tlswarden.verify.mode", mode)
    equal(event, "tls.resumed", True if resumed else None)
    equal(event, "tlswarden.socket.how", "fd")


def check_leaf(env, event, leaf="good-leaf", block="server"):
    check((get(event, f"tls.{block}.hash.sha256") or "").upper() == env.fixtures.sha256s(leaf + ".chain.pem")[0],
          "the leaf is another")
    check((get(event, "tlswarden.chain") or [{}])[0].get("proven"), "the leaf is not proven")


def check_bare(event, proof, mode="none"):
    check_result(event, "none", mode, resumed=bool(get(event, "tls.resumed")))
    equal(event, "tlswarden.peer.proof", proof)
    check(not get(event, "tlswarden.chain"), "certificates, though there were none")


# --- sessions that are resumed ------------------------------------------------------------------------------------------

@cases(*[(tls, *words) for (tls,) in BOTH for words in ((), ("implicit",), ("repeat",))])
def test_resumed(env, tls, *words):
    """Whoever drives the handshake; and SSL_do_handshake on a connection that has one is no other."""
    agent = env.agent("enforce")
    server = Server(env, tls)
    seen = run(env, server, tls, "peer", "resume", NAME, *words)
    check([connection[:3] for connection in seen] == [(1, 1, 0), (1, 1, 1), (1, 1, 1)], f"the client saw {seen}")
    events = agent.verifications(server.port, count=3)
    for number, event in enumerate(events):
        check_allowed(event)
        check_result(event, "ok", "peer", resumed=number > 0)
        check_leaf(env, event)
        equal(event, "tls.client.server_name", "localhost")
        equal(event, "tlswarden.verify.expected_host", "localhost")
        check([entry["sha256"].upper() for entry in event["tlswarden"]["chain"] if entry["presented"]] ==
              env.fixtures.sha256s("good-leaf.chain.pem"), "not what was presented at first")


@cases(*BOTH)
def test_resumed_of_no_verification(env, tls):
    agent = env.agent("audit")
    good, other = Server(env, tls), Server(env, tls, leaf="forged-leaf")
    run(env, good, tls, "resume")
    run(env, other, tls, "resume", ca=env.fixtures.path("good-root.pem"))
    for event in agent.verifications(good.port, count=3):
        equal(event, "tlswarden.verify.result", "off")
    for number, event in enumerate(agent.verifications(other.port, count=3)):
        equal(event, "tlswarden.verify.result", "failed-ignored")
        check(get(event, "tlswarden.verify.code") > 0, "no reason of the failure")
        equal(event, "tls.resumed", True if number else None)


@cases(*BOTH)
def test_resumed_is_killed(env, tls):
    """A session from before the policy: only its resumption shows a certificate, and it is condemned before a byte leaves."""
    env.stop_agents()
    server = Server(env, tls, leaf="forged-leaf")
    child = env.watch(env.host.start([program(env), "client", str(server.port), env.trusting, tls, "peer", "resume", "pause",
                                      NAME], stdin=""))
    env.closers.append(child.end)
    wait_for("the first connection", 20, lambda: CONNECTION.search(child.output))
    agent = env.agent("enforce")
    child.process.stdin.write(b"\n\n")
    child.process.stdin.flush()
    child.wait()
    check([line[1] for line in CONNECTION.findall(child.output)] == ["1", "0", "0"], "a resumed session was served")
    for _, count, early, _ in server.ended(3)[1:]:
        check(count == 0 and early == 0, "application bytes came through")
    # A session whose connection has broken off is not used again.
    for number, event in enumerate(agent.verifications(server.port, count=2)):
        check_violation(event, "localhost-issuer", "killed")
        check_result(event, "ok", "peer", resumed=number == 0)
        check_leaf(env, event, "forged-leaf")


@cases(*BOTH)
def test_resumed_clients_of_a_server(env, tls):
    """A ticket has the client's leaf alone: who signed it is known from the handshake it came of."""
    agent = env.agent("enforce")
    server = Server(env, tls, "require", "clients=" + env.fixtures.bundle("client-ca.pem", "rogue-client-ca.pem"))
    good = env.fixtures.path("client-good")
    seen = run(env, server, tls, "peer", "resume", NAME, f"cert={good}.chain.pem", f"key={good}.key")
    check([connection[:3] for connection in seen] == [(1, 1, 0), (1, 1, 1), (1, 1, 1)], f"the client saw {seen}")
    for number, event in enumerate(agent.verifications(server.port, role="server", count=3)):
        check_allowed(event)
        check_result(event, "ok", "peer", resumed=number > 0)
        check_leaf(env, event, "client-good", "client")


def test_early_data(env):
    """What went before anything could be judged is said."""
    agent = env.agent("enforce")
    server = Server(env, "1.3", "early")
    run(env, server, "1.3", "early", "peer", "resume", NAME)
    early = [count for _, _, count, _ in server.ended(3)]
    check(early == [0, 5, 5], f"early data that arrived: {early}")
    for number, event in enumerate(agent.verifications(server.port, count=3)):
        check_result(event, "ok", "peer", resumed=number > 0)
        equal(event, "tlswarden.early_data", True if number else None)


# --- applications that verify by themselves -----------------------------------------------------------------------------

@cases(*BOTH)
def test_custom(env, tls):
    agent = env.agent("enforce")
    server = Server(env, tls)
    for words, mode in (("peer",), "peer"), ((), "none"), (("peer", "implicit"), "peer"):
        run(env, server, tls, "custom", NAME, *words)
        event = agent.verifications(server.port)[-1]
        agent.begin_test()
        check_allowed(event)
        check_result(event, "custom", mode)
        check_leaf(env, event)
    run(env, server, tls, "custom", "resume", NAME)
    for number, event in enumerate(agent.verifications(server.port, count=3)):
        check_result(event, "custom", "none", resumed=number > 0)


@cases(*BOTH)
def test_custom_that_calls_the_library(env, tls):
    """It has verified, and once."""
    agent = env.agent("enforce")
    server = Server(env, tls)
    run(env, server, tls, "calls", "peer", NAME)
    (event,) = agent.verifications(server.port)
    check_result(event, "ok", "peer")


@cases(*BOTH)
def test_custom_is_judged(env, tls):
    agent = env.agent("enforce")
    server = Server(env, tls, leaf="forged-leaf")
    seen = run(env, server, tls, "custom", NAME)
    check(not any(connection[1] for connection in seen), "it was served")
    check(server.ended(1)[0][1] == 0, "application bytes came through")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    check_result(event, "custom", "none")


@cases(("custom",), ("psk",), ("resume",))
def test_verified_is_asked_for(env, what):
    """`verified: true` is broken by a custom verification and by a peer without a certificate, not by a good session."""
    agent = gated.gate_agent(env, POLICY.format(rule="verifies", asks="require: {verified: true}"))
    words = {"custom": ("custom", "peer"), "psk": ("psk",), "resume": ("peer", "resume")}[what]
    server = Server(env, "1.2", *(("psk",) if what == "psk" else ()))
    served = [connection[1] for connection in run(env, server, "1.2", NAME, *words)]
    if what == "resume":
        check(served == [1, 1, 1], f"served: {served}")
        return
    check(served == [0], "it was served")
    check(server.ended(1)[0][1] == 0, "application bytes came through")
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.action.result", "killed")
    equal(event, "rule.id", "verifies")


@cases(*BOTH)
def test_overruled_and_looked_at(env, tls):
    """A failure that a callback forgives, and one that the application looks at by itself."""
    agent = env.agent("audit")
    server = Server(env, tls)
    run(env, server, tls, "peer", "overrule", "name=wrong.example")
    seen = run(env, server, tls, "look", "name=wrong.example")
    check(seen[0][3] == 62, f"the client saw {seen}")
    forgiven, looked = agent.verifications(server.port, count=2)
    for event, mode in (forgiven, "peer"), (looked, "none"):
        check_result(event, "failed-ignored", mode)
        equal(event, "tlswarden.verify.code", 62)


# --- peers without a certificate ----------------------------------------------------------------------------------------

@cases(("psk", "1.2", "psk"), ("psk", "1.3", "psk"), ("anonymous", "1.2", "anonymous"))
def test_bare(env, word, tls, proof):
    agent = env.agent("audit")
    server = Server(env, tls, word)
    seen = run(env, server, tls, word)
    check(seen[0][:2] == (1, 1), f"the client saw {seen}")
    (event,) = agent.verifications(server.port)
    check_bare(event, proof)
    check_allowed(event)


@cases(*BOTH)
def test_bare_is_killed(env, tls):
    """Nothing is proven, so an issuer that is asked for is not there."""
    agent = env.agent("enforce")
    server = Server(env, tls, "psk")
    seen = run(env, server, tls, "psk", NAME)
    check(not any(connection[1] for connection in seen), "it was served")
    check(server.ended(1)[0][1] == 0, "application bytes came through")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    check_bare(event, "psk")


@cases(*BOTH)
def test_a_server_that_asked(env, tls):
    agent = env.agent("audit")
    server = Server(env, tls, "ask", "clients=" + env.fixtures.path("client-ca.pem"))
    run(env, server, tls, "peer", NAME)
    (event,) = agent.verifications(server.port, role="server")
    check_bare(event, "unknown", "peer")
    (event,) = agent.verifications(server.port, role="client")
    check_result(event, "ok", "peer")


# --- again, and later ---------------------------------------------------------------------------------------------------

@cases(("ok", "peer"), ("custom", "custom"))
def test_renegotiation(env, result, word):
    agent = env.agent("enforce")
    server = Server(env, "1.2")
    run(env, server, "1.2", "again", "peer", word, NAME)
    for event in agent.verifications(server.port, count=2):
        check_result(event, result, "peer")
        check_leaf(env, event)


@cases(("ok",), ("custom",))
def test_certificate_asked_for_later(env, result):
    """TLS 1.3: the server asks after the handshake, and its SSL_read gets the answer."""
    agent = env.agent("enforce")
    words = ("custom",) if result == "custom" else ()
    server = Server(env, "1.3", "later", "clients=" + env.fixtures.path("client-ca.pem"), *words)
    good = env.fixtures.path("client-good")
    seen = run(env, server, "1.3", "later", "peer", NAME, f"cert={good}.chain.pem", f"key={good}.key")
    check(seen[0][:2] == (1, 1), f"the client saw {seen}")
    (event,) = agent.verifications(server.port, role="server")
    check_result(event, result, "peer")
    check_leaf(env, event, "client-good", "client")


@cases(("ok", "peer"), ("custom", "custom"))
def test_dtls(env, result, word):
    """Without a gate, at which the one datagram of the client would be lost."""
    agent = env.agent("audit")
    server = Server(env, "dtls")
    run(env, server, "dtls", "peer", word, NAME)
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.verify.result", result)
    equal(event, "network.transport", "udp")
    check_leaf(env, event)
