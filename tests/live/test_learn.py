"""`learn`: the policy that it writes passes `check`, and an agent with it finds nothing wrong with the same clients, and
something with a server that has another CA."""
import os
import stat

import clients
import servers
from agent import get
from host import check, wait_for

# Verifies against one CA, whatever names the certificate has: PORT, CA, and the name to ask for, or "-".
CLIENT = """
import socket, ssl, sys
port, ca, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.load_verify_locations(ca)
with socket.create_connection(("127.0.0.1", port), 15) as raw:
    with context.wrap_socket(raw, server_hostname=None if name == "-" else name) as tls:
        tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(tls.recv(65536).decode())
"""
START_LIMIT = 90


class Learning:
    """`learn` with its output in a file of its own; returns when it records."""

    def __init__(self, env, *args):
        self.env = env
        self.path = os.path.join(env.host.temporary("learn"), "policy.yaml")
        # Both libraries are mapped by somebody, so they have their probes when it says that it records.
        self.keeper = env.host.start_client(clients.BY_NAME["wget"].holder())
        self.child = env.host.start([env.binary, "learn", "--output", self.path, *args])
        wait_for("recording", START_LIMIT, lambda: "recording" in self.child.output or self.child.ended)
        check("recording" in self.child.output, f"learn does not record\n{self.child.describe()}")

    def end(self, number=None):
        """Its exit code and the policy."""
        if number:
            self.child.process.send_signal(number)
        code = self.child.wait()
        with open(self.path, encoding="utf-8") as file:
            return code, file.read()

    def describe(self):
        return self.child.describe()

    def close(self):
        self.child.end()
        self.keeper.end()


def serve(env, leaf, **options):
    return env.watch(servers.Server(env.fixtures.path(leaf + ".chain.pem"), env.fixtures.path(leaf + ".key"), **options))


def connect(env, server, ca, name):
    child = env.watch(env.host.start_client([clients.PYTHON, "-c", CLIENT, str(server.port), ca, name]))
    check(child.wait() == 0 and clients.BODY in child.output, f"the client for {name} was not served")


def all_connect(env, those, mutual):
    for server, ca, name in those:
        connect(env, server, ca, name)
    for name in ("curl", "wget"):
        server, ca, _ = those[0]
        check(env.watch(clients.BY_NAME[name].start(env.host, server, ca)).wait(), f"{name} was not served")
    path = env.fixtures.path("client-good")
    child = env.watch(env.host.start_client(["curl", "-sS", "-f", "-m", "15", "--cacert", env.trusting, "--cert",
                                             path + ".chain.pem", "--key", path + ".key", f"https://localhost:{mutual.port}/"]))
    check(child.wait() == 0, "the client with a certificate was not served")


def prepared(env):
    """Servers, each with the CA that its clients trust and the name they ask for; and one that wants certificates."""
    pem = env.fixtures.path
    those = [(serve(env, "good-leaf"), pem("good-root.pem"), "localhost"),
             (serve(env, "good-leaf"), pem("good-root.pem"), "other.test"),
             (serve(env, "genuine-1111"), pem("resolver-root.pem"), "resolver.test"),
             (serve(env, "ed25519-leaf"), pem("ed25519-root.pem"), "-"),
             (serve(env, "self-signed"), pem("self-signed.pem"), "printer.test")]
    return those, serve(env, "good-leaf", clients=pem("client-ca.pem"))


def test_accepts_what_it_saw(env):
    env.stop_agents()
    those, mutual = prepared(env)
    unverified = serve(env, "forged-leaf")
    learning = env.watch(Learning(env))
    all_connect(env, those, mutual)
    check(env.watch(clients.BY_NAME["curl"].start(env.host, unverified, None)).wait(), "curl -k was not served")
    code, text = learning.end(15)
    check(code == 0, f"learn ended with {code}")
    for part in ('- "localhost" # ', '- "other.test" # ', '- "resolver.test" # ', '- "printer.test" # ', '- "127.0.0.1" # ',
                 "role: server", "mode: audit", "/usr/bin/curl", env.fixtures.pin("good-int") + '"} # signed the leaf',
                 env.fixtures.pin("self-signed") + '"} # the leaf\'s own key', "at: leaf", "client-certificates"):
        check(part in text, f"no {part!r} in the policy\n{text}")
    check("# localhost, by " in text and "Rogue Intermediate" in text, f"the verification that was off is not listed\n{text}")
    check(env.fixtures.pin("rogue-int") not in text, f"the key of a verification that was off was learned\n{text}")
    check(stat.S_IMODE(os.stat(learning.path).st_mode) == 0o640, "others may read the policy")
    checked = env.watch(env.host.run([env.binary, "check", learning.path]))
    check(checked.process.returncode == 0, "check does not take the policy")

    agent = env.new_agent(text, name="learned")
    all_connect(env, those, mutual)
    expected = {those[0][0].port: 3, mutual.port: 1, **{server.port: 1 for server, _, _ in those[1:]}}
    for port, count in expected.items():
        for event in agent.verifications(port, count=count):
            check(get(event, "event.action") == "peer-verified", f"a violation: {get(event, 'tlswarden.violations')}\n{text}")
    (event,) = agent.verifications(mutual.port, role="server")
    check(get(event, "event.action") == "peer-verified", f"a violation: {get(event, 'tlswarden.violations')}\n{text}")

    # Trusted by the client, as is the right one; its name is the same, too.
    rogue = serve(env, "forged-leaf")
    connect(env, rogue, env.fixtures.path("rogue-root.pem"), "localhost")
    (event,) = agent.verifications(rogue.port)
    check(get(event, "event.action") == "policy-violation", "the server with another CA breaks no rule")
    check([violation["rule"] for violation in get(event, "tlswarden.violations")] == ["good-intermediate"],
          f"violations: {get(event, 'tlswarden.violations')}")
    # A name that nobody has asked for before: from a CA that was seen, and from one that was not.
    connect(env, those[0][0], env.fixtures.path("good-root.pem"), "new.test")
    check(get(agent.verifications(those[0][0].port, count=4)[-1], "event.action") == "peer-verified", "a CA that was seen")
    connect(env, rogue, env.fixtures.path("rogue-root.pem"), "new.test")
    event = agent.verifications(rogue.port, count=2)[-1]
    check([violation["rule"] for violation in get(event, "tlswarden.violations") or []] == ["everything-else"],
          f"violations: {get(event, 'tlswarden.violations')}")
    env.stop_agents()


def test_ends_by_itself(env):
    """--for; and what is there is not overwritten."""
    env.stop_agents()
    learning = env.watch(Learning(env, "--for", "2s"))
    code, text = learning.end()
    check(code == 0, f"learn ended with {code}")
    check("everything-else" in text, text)
    again = env.watch(env.host.run([env.binary, "learn", "--for", "1s", "--output", learning.path]))
    check(again.process.returncode == 2 and "not overwritten" in again.output, "an existing file is no error")
    with open(learning.path, encoding="utf-8") as file:
        check(file.read() == text, "the policy was overwritten")


def test_refusals(env):
    for args in (["--for", "10"], ["--for", "0s"], ["--for", "400d"], ["policy.yaml"], ["--nonsense"],
                 ["--output", "/nonexistent/policy.yaml"], ["--anchors", "/nonexistent.pem"], ["--user", "no-such-user"]):
        child = env.watch(env.host.run([env.binary, "learn", *args]))
        check(child.process.returncode == 2, f"learn {args}: exit is {child.process.returncode}, expected 2")


def test_nothing_half_written(env):
    """What cannot be written is no policy, and no file is left."""
    path = os.path.join(env.host.temporary("learn-refused"), "policy.yaml")
    child = env.watch(env.host.run([env.binary, "learn", "--anchors", "/nonexistent.pem", "--output", path]))
    check(child.process.returncode == 2 and not os.path.exists(path), "a file was left")
