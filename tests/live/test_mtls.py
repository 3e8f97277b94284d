"""Servers that verify their client's certificate: nginx, and Python's ssl; clients show a good one, or a forged one that the
server trusts. The client's own verification of the server is an event of its own, and is never the one that is killed."""
import os
import re

import clients
import servers
from expect import (cases, check_allowed, check_chain, check_head, check_process, check_socket, check_violation, equal,
                    one_of)
from host import check

WAYS = [("1.3", 4), ("1.2", 6)]
LOCAL_PORT = re.compile(r"local_port=(\d+)")


class Side:
    """What check_process() compares with, for a server."""
    library, library_path = "openssl", clients.OPENSSL

    def __init__(self, executable):
        self.executable = executable


class NginxServer:
    """nginx that asks for a client certificate, in front of a plain server that takes its time to answer."""
    side, how = Side("nginx"), ("fd", "thread")

    def __init__(self, env, clients_file, tls, family, verify="on"):
        self.plain = servers.Server(tls=None)
        self.port = clients.free_port()
        address = "[::1]" if family == 6 else "127.0.0.1"
        leaf = env.fixtures.path("good-leaf")
        listen = f"""listen {address}:{self.port} ssl;
        ssl_certificate {leaf}.chain.pem; ssl_certificate_key {leaf}.key; ssl_protocols TLSv{tls};
        ssl_session_cache off; ssl_session_tickets off;
        ssl_verify_client {verify}; ssl_client_certificate {clients_file};"""
        location = f"location / {{ proxy_pass http://127.0.0.1:{self.plain.port}; }}"
        self.child = clients.start_nginx(env.host, env.host.temporary("nginx"), listen, location)

    def set_delay(self, seconds):
        self.plain.delay = seconds

    def describe(self):
        return self.child.describe()

    def close(self):
        self.child.end()
        self.plain.close()


class PythonServer(servers.Server):
    """Python's ssl, in this very process."""
    side, how = Side(os.path.basename(os.path.realpath("/proc/self/exe"))), ("fd",)

    def __init__(self, env, clients_file, tls, family):
        super().__init__(env.fixtures.path("good-leaf.chain.pem"), env.fixtures.path("good-leaf.key"),
                         clients=clients_file, tls=tls, family=family)

    def set_delay(self, seconds):
        self.delay = seconds


def ask(env, server, certificate):
    """curl with a client certificate: (served, exit code, its local port)."""
    path = env.fixtures.path(certificate)
    child = env.watch(env.host.start_client(
        ["curl", "-sS", "-f", "-m", "15", "-w", "local_port=%{local_port}\n", "--cacert", env.trusting,
         "--cert", path + ".chain.pem", "--key", path + ".key", f"https://localhost:{server.port}/"]))
    code = child.wait()
    output = child.output
    match = LOCAL_PORT.search(output)
    return servers.BODY.decode() in output, code, int(match.group(1)) if match else 0


def check_server_event(env, event, server, family, port, certificate):
    address = servers.LOOPBACK[family][1]
    check_head(event)
    check_process(event, server.side)
    equal(event, "tlswarden.role", "server")
    check_socket(event, (address, port), (address, server.port), None, server.how)
    equal(event, "tls.client.server_name", "localhost")
    check("server" not in event["tls"], "a server's event has the block tls.server")
    chain = check_chain(event, "client", env.fixtures, certificate + ".chain.pem")
    check(chain[0].get("proven"), "the leaf is not proven")
    check("service-a.internal" in event["tls"]["client"]["x509"]["alternative_names"], "the client's name is missing")


def make(env, kind, trusted, tls, family, **more):
    file = env.fixtures.bundle(*trusted)
    return env.watch((NginxServer if kind == "nginx" else PythonServer)(env, file, tls, family, **more))


ALL = [(kind, tls, family) for kind in ("nginx", "python-ssl") for tls, family in WAYS]
BOTH = ("client-ca.pem", "rogue-client-ca.pem")


@cases(*ALL)
def test_good(env, kind, tls, family):
    agent = env.agent("enforce")
    server = make(env, kind, BOTH, tls, family)
    served, code, port = ask(env, server, "client-good")
    check(served and code == 0, "the client was not served")
    (event,) = agent.verifications(server.port, role="server")
    check_server_event(env, event, server, family, port, "client-good")
    check_allowed(event)
    equal(event, "tlswarden.verify.result", "ok")
    equal(event, "tlswarden.verify.mode", "peer")
    check_allowed(agent.verifications(server.port, role="client")[0])


@cases(*ALL)
def test_forged_is_killed(env, kind, tls, family):
    agent = env.agent("enforce")
    server = make(env, kind, BOTH, tls, family)
    server.set_delay(servers.PATIENCE)
    served, code, port = ask(env, server, "client-forged")
    check(not served and code != 0, "a client with a forged certificate was served")
    (event,) = agent.verifications(server.port, role="server")
    check_server_event(env, event, server, family, port, "client-forged")
    check_violation(event, "client-issuer", "killed")
    equal(event, "tlswarden.verify.result", "ok")
    check_allowed(agent.verifications(server.port, role="client")[0])
    # The server lives, and serves the next one.
    server.set_delay(servers.ANSWER_DELAY)
    served, code, _ = ask(env, server, "client-good")
    check(served and code == 0, "the next client was not served")
    events = agent.verifications(server.port, role="server", count=2)
    check_allowed(events[1])


@cases("1.3", "1.2")
def test_failure_ignored(env, tls):
    """nginx asks, and takes a certificate from anyone (optional_no_ca): its callback overrides the library's verdict."""
    agent = env.agent("enforce")
    server = make(env, "nginx", ("client-ca.pem",), tls, 4, verify="optional_no_ca")
    server.set_delay(servers.PATIENCE)
    served, code, _ = ask(env, server, "client-forged")
    check(not served and code != 0, "a client with a forged certificate was served")
    (event,) = agent.verifications(server.port, role="server")
    check_violation(event, "client-issuer", "killed")
    one_of(event, "tlswarden.verify.result", ("failed-ignored",))
