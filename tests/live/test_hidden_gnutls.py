"""What a GnuTLS handshake can hide: sessions that are resumed, peers without a certificate, applications that verify by
themselves, later, or not at all. Client and server are hidden_gnutls/, both seen by the agent; each says on its own what happened."""
import glob
import os
import re
import subprocess

import servers
from agent import get
from expect import cases, check_chain, equal
from fixtures import ROOT
from host import CHILD_LIMIT, check, wait_for

SOURCES = os.path.join(ROOT, "tests/live/hidden_gnutls")
LINE = re.compile(r"^(client|server) (\d+) (.*)$", re.M)
NOTHING = """version: 1
name: later
mode: enforce
rules:
  - id: later
    match: [{server_name: nobody.invalid}]
    require: {verified: true}
    action: kill
"""


def program(env):
    """Built once a run, with the compiler that the agent was built with."""
    path = os.path.join(env.host.directory, "hidden_gnutls")
    if not os.path.exists(path):
        subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", path,
                        *sorted(glob.glob(SOURCES + "/*.c")), "-lgnutls"], check=True)
    return path


class Run:
    """One run of the program: port, and what each side said of each connection."""

    def __init__(self, env, *options, stdin=None):
        self.child = env.watch(env.host.start_client([program(env), env.fixtures.directory, *options], stdin))
        env.closers.append(self.child.end)
        self.port = int(wait_for("the server's port", CHILD_LIMIT,
                                 lambda: re.search(r"^port (\d+)$", self.child.output, re.M)).group(1))

    def wait(self):
        code = self.child.wait()
        check(code == 0, f"the program has ended with {code}")
        return self

    def values(self, side, number, end=False):
        """What it said at the end of the handshake, or (of a server) of the connection, as a dictionary of numbers."""
        for found, connection, text in LINE.findall(self.child.output):
            if (found, int(connection)) == (side, number) and text.startswith("end ") == end:
                return {name: int(value) for name, value in re.findall(r"([a-z-]+)=(-?\d+)", text)}
        check(False, f"no line of {side} {number}")
        return None

    def check_said(self, side, number, **expected):
        values = self.values(side, number)
        for name, value in expected.items():
            check(values[name] == value, f"{side} {number}: {name} is {values[name]}, expected {value}")


def check_event(event, result, resumed=None, early=None, proof=None):
    equal(event, "tlswarden.verify.result", result)
    equal(event, "tls.resumed", resumed)
    equal(event, "tlswarden.early_data", early)
    equal(event, "tlswarden.peer.proof", proof)
    equal(event, "tls.client.server_name", "localhost")
    equal(event, "tlswarden.library.name", "gnutls")
    if proof:
        check(not get(event, "tlswarden.chain"), "a chain of a peer without a certificate")


# --- resumed -----------------------------------------------------------------------------------------------------------

RESUMED = [("1.3", "ticket", "tcp"), ("1.2", "ticket", "tcp"), ("1.2", "id", "tcp"), ("1.2", "ticket", "udp")]


@cases(*[(*way, verify, result) for way in RESUMED for verify, result in (("callback", "ok"),)],
       *[("1.3", "ticket", "tcp", verify, result) for verify, result in
         (("auto", "ok"), ("session", "ok"), ("after", "ok"), ("none", "off"), ("custom", "custom"))])
def test_resumed(env, tls, how, transport, verify, result):
    """The session's own certificates are judged, and what came of their verification is told as far as it is known."""
    agent = env.agent("audit")
    run = Run(env, "connections=2", f"tls={tls}", f"resume={how}", f"transport={transport}", f"verify={verify}").wait()
    run.check_said("client", 1, handshake=0, resumed=0)
    run.check_said("client", 2, handshake=0, resumed=1, certificates=2)
    events = agent.verifications(run.port, count=2)
    for event in events:
        check_chain(event, "server", env.fixtures, "good-leaf.chain.pem")
        equal(event, "network.transport", transport)
        equal(event, "tlswarden.socket.how", "fd")
    check_event(events[0], result)
    check_event(events[1], result, resumed=True)


@cases(("1.3", "ticket"), ("1.2", "ticket"), ("1.2", "id"))
def test_resumed_client_certificate(env, tls, how):
    """A server goes on with a session whose client had shown a certificate."""
    agent = env.agent("audit")
    run = Run(env, "connections=2", f"tls={tls}", f"resume={how}", "client=client-good", "request=require").wait()
    run.check_said("server", 2, handshake=0, resumed=1, certificates=1)
    events = agent.verifications(run.port, role="server", count=2)
    for event in events:
        check_chain(event, "client", env.fixtures, "client-good.chain.pem")
    check_event(events[0], "ok")
    check_event(events[1], "ok", resumed=True)
    agent.verifications(run.port, count=2)


@cases("yes", "no")
def test_not_taken_up(env, early):
    """The server has forgotten the session: that is a handshake like any other."""
    agent = env.agent("audit")
    run = Run(env, "connections=2", "resume=ticket", "forget=yes", f"early={early}").wait()
    run.check_said("client", 2, handshake=0, resumed=0)
    for event in agent.verifications(run.port, count=2):
        check_event(event, "ok")


def test_early_data(env):
    agent = env.agent("audit")
    run = Run(env, "connections=2", "resume=ticket", "early=yes").wait()
    run.check_said("server", 2, early=1, got=len("early"))
    events = agent.verifications(run.port, count=2)
    check_event(events[0], "ok")
    check_event(events[1], "ok", resumed=True, early=True)


def resumed_under(env, policy, *options):
    """The second connection resumes the session of the first, which was made when nothing forbade it."""
    agent = env.new_agent(NOTHING, name="resumed")
    env.trace.append((agent.describe,))
    run = Run(env, "connections=2", "resume=ticket", "pause=yes", *options, stdin="")
    wait_for("the first connection", CHILD_LIMIT, lambda: "pause\n" in run.child.output)
    agent.wait("the first verification", lambda event: get(event, "destination.port") == run.port)
    equal(agent.reload(policy), "event.action", "policy-loaded")
    run.child.process.stdin.write(b"\n")
    run.child.process.stdin.flush()
    return agent, run.wait()


def resumed_event(agent, run, role="client"):
    """The first connection may still be open when the policy comes: then it is judged once more, and that is another event."""
    (event,) = agent.wait("the resumed session", lambda event: get(event, "destination.port") == run.port and
                          get(event, "tls.resumed") and get(event, "tlswarden.role") == role)
    return event


@cases(("1.3", "no", "callback"), ("1.2", "no", "callback"), ("1.3", "yes", "callback"), ("1.3", "no", "after"))
def test_resumed_is_killed(env, tls, early, verify):
    """What a rule condemns meanwhile sends nothing; but what was sent before the handshake was over has left."""
    agent, run = resumed_under(env, env.fixtures.policy(), f"tls={tls}", "leaf=forged-leaf", f"early={early}",
                               f"verify={verify}")
    check(run.values("client", 1)["got"] > 0, "the first connection was not served")
    check(run.values("server", 2, end=True)["got"] <= (len("early") if early == "yes" else 0), "application bytes came through")
    run.check_said("server", 2, early=1 if early == "yes" else 0)
    check(run.values("client", 2)["got"] < 0, "the second connection was served")
    event = resumed_event(agent, run)
    check_event(event, "ok", resumed=True, early=True if early == "yes" else None)
    equal(event, "rule.id", "localhost-issuer")
    equal(event, "tlswarden.action.result", "killed")


@cases("1.3", "1.2")
def test_resumed_client_is_killed(env, tls):
    """The same for a server, whose client's certificate is condemned."""
    policy = env.fixtures.policy().replace(env.fixtures.pin("client-ca"), env.fixtures.pin("rogue-client-ca"))
    agent, run = resumed_under(env, policy, f"tls={tls}", "client=client-good", "request=require")
    check(run.values("client", 1)["got"] > 0, "the first connection was not served")
    check(run.values("client", 2)["got"] < 0, "the second connection was served")
    event = resumed_event(agent, run, "server")
    check_event(event, "ok", resumed=True)
    equal(event, "rule.id", "client-issuer")
    equal(event, "tlswarden.action.result", "killed")


# --- no certificate ----------------------------------------------------------------------------------------------------

def raw_key(env):
    path = os.path.join(env.host.directory, "good-leaf.pub")
    subprocess.run(["openssl", "pkey", "-in", env.fixtures.path("good-leaf.key"), "-pubout", "-out", path], check=True)
    return path


@cases(("psk", "1.3", "psk", 0), ("psk", "1.2", "psk", 0), ("anonymous", "1.2", "anonymous", 0),
       ("raw", "1.3", "raw-public-key", 1), ("raw", "1.2", "raw-public-key", 1))
def test_bare(env, credentials, tls, proof, shown):
    """Nothing is proven: whatever a rule requires of a certificate is broken."""
    agent = env.agent("audit")
    run = Run(env, f"credentials={credentials}", f"tls={tls}", "verify=none", f"public={raw_key(env)}").wait()
    run.check_said("client", 1, handshake=0, certificates=shown)
    (event,) = agent.verifications(run.port)
    check_event(event, "none", proof=proof)
    equal(event, "rule.id", "localhost-issuer")
    equal(event, "tlswarden.action.result", "would-kill")
    check(run.values("client", 1)["got"] > 0, "the client was not served")


@cases("1.3", "1.2")
def test_bare_is_killed(env, tls):
    agent = env.agent("enforce")
    run = Run(env, "credentials=psk", f"tls={tls}").wait()
    (event,) = agent.verifications(run.port)
    check_event(event, "none", proof="psk")
    equal(event, "tlswarden.action.result", "killed")
    check(run.values("server", 1, end=True)["got"] == 0, "application bytes came through")


@cases(("no", 0), ("request", 1))
def test_client_without_certificate(env, request, told):
    """A server that asked for one, and goes on without: told. One that did not ask is no event."""
    agent = env.agent("audit")
    run = Run(env, f"request={request}", "server-verify=none").wait()
    run.check_said("server", 1, handshake=0, certificates=0)
    agent.verifications(run.port)
    for event in agent.verifications(run.port, role="server") if told else ():
        check_event(event, "none", proof="unknown")
    found = [event for event in agent.events[agent.begun:] if get(event, "tlswarden.role") == "server"]
    check(len(found) == told, f"{len(found)} events as server, expected {told}")


# --- who verifies ------------------------------------------------------------------------------------------------------

@cases(("auto", "clients", "ok"), ("session", "clients", "ok"), ("after", "clients", "ok"), ("none", "clients", "off"),
       ("custom", "clients", "custom"), ("list", "clients", "off"), ("ignored", "client-ca", "failed"),
       ("after-ignored", "client-ca", "failed"))
def test_who_verifies(env, verify, trust, result):
    """custom: a function of the application that never asks the library. Who verifies with a list of roots of its own when the
    handshake is over is not seen to verify."""
    agent = env.agent("audit")
    run = Run(env, f"verify={verify}", f"trust={trust}").wait()
    check(run.values("client", 1)["got"] > 0, "the client was not served")
    (event,) = agent.verifications(run.port)
    check_event(event, result)
    check_chain(event, "server", env.fixtures, "good-leaf.chain.pem")


@cases("auto", "after", "none")
def test_false_start(env, verify):
    """The client sends before the server has finished; the handshake then ends twice, and is told of once."""
    agent = env.agent("enforce")
    run = Run(env, "tls=1.2", "false-start=yes", f"verify={verify}").wait()
    check(run.values("client", 1)["false-start"] == 1, "there was no false start")
    check(run.values("client", 1)["got"] > 0, "the client was not served")
    (event,) = agent.verifications(run.port)
    check_event(event, "off" if verify == "none" else "ok")


@cases(("1.3", "none", "off"), ("1.2", "none", "off"), ("1.3", "custom", "custom"), ("1.2", "list", "off"))
def test_unverified_is_killed(env, tls, verify, result):
    """Whoever sends, and the library has not verified, is condemned by a rule that wants just that."""
    agent = env.new_agent(NOTHING.replace("nobody.invalid", "localhost"), name="verified-only")
    run = Run(env, f"tls={tls}", f"verify={verify}").wait()
    (event,) = agent.verifications(run.port)
    check_event(event, result)
    equal(event, "tlswarden.action.result", "killed")
    check(run.values("server", 1, end=True)["got"] == 0, "application bytes came through")


# --- once more ---------------------------------------------------------------------------------------------------------

@cases(("none", "off"), ("callback", "ok"), ("custom", "custom"))
def test_rehandshake(env, verify, result):
    agent = env.agent("audit")
    run = Run(env, "tls=1.2", "again=rehandshake", f"verify={verify}").wait()
    check(run.values("server", 1, end=True)["again"] == 0, "there was no second handshake")
    for event in agent.verifications(run.port, count=2):
        check_event(event, result)


@cases(("reauth", "auto", "ok"), ("auto-reauth", "auto", "ok"), ("reauth", "custom", "custom"), ("reauth", "none", "off"))
def test_after_the_handshake(env, again, verify, result):
    """The server asks for a certificate in the middle of the connection (RFC 8446 4.6.2)."""
    agent = env.agent("audit")
    run = Run(env, f"again={again}", "client=client-good", f"server-verify={verify}").wait()
    check(run.values("server", 1, end=True)["again"] == 0, "the client has shown no certificate")
    (event,) = agent.verifications(run.port, role="server")
    check_event(event, result)
    check_chain(event, "client", env.fixtures, "client-good.chain.pem")
    agent.verifications(run.port)


def test_datagrams(env):
    agent = env.agent("audit")
    run = Run(env, "transport=udp", "tls=1.2").wait()
    check(run.values("client", 1)["got"] == len("answer"), "the client was not served")
    (event,) = agent.verifications(run.port)
    check_event(event, "ok")
    equal(event, "network.transport", "udp")
    equal(event, "destination.ip", servers.LOOPBACK[4][1])
