"""OpenSSL's and GnuTLS's code in other homes than their shared libraries: linked into a program, with its symbols in either table or
in none. What has symbols is covered like a library, and what was stripped of them is named."""
import json
import os
import subprocess

from agent import get, same_file
from clients import HERE, Client, GnutlsClient
from expect import cases, check_allowed, check_verification, check_violation, equal
from host import check, wait_for
from servers import PATIENCE

SOURCES = os.path.join(HERE, "homes")
OPENSSL = ["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-ldl", "-lpthread"]
# Debian has no static library of the last two.
GNUTLS = ["-Wl,-Bstatic", "-lgnutls", "-lhogweed", "-lnettle", "-lgmp", "-ltasn1", "-lidn2", "-Wl,-Bdynamic", "-l:libunistring.so.2",
          "-l:libp11-kit.so.0"]

# Source, what it is built with, what is run on it. -rdynamic: the symbols are in .dynsym too, where stripping leaves them.
HOMES = {
    "openssl-exported": ("openssl", ["-rdynamic", *OPENSSL], None),
    "openssl-exported-stripped": ("openssl", ["-rdynamic", *OPENSSL], ["strip"]),
    "openssl-symtab": ("openssl", OPENSSL, None),
    "openssl-debug-stripped": ("openssl", ["-g", *OPENSSL], ["strip", "--strip-debug"]),
    "openssl-static": ("openssl", ["-static", "-lssl", "-lcrypto"], None),
    "openssl-static-pie": ("openssl", ["-static-pie", "-fPIE", "-lssl", "-lcrypto"], None),
    "openssl-no-version": ("openssl", ["-DNO_VERSION", "-static", "-lssl", "-lcrypto"], None),
    "gnutls-exported-stripped": ("gnutls", ["-rdynamic", *GNUTLS], ["strip"]),
    "gnutls-symtab": ("gnutls", GNUTLS, None),
}
STRIPPED = {
    "openssl-stripped": ("openssl", OPENSSL, ["strip"]),
    "openssl-unneeded": ("openssl", OPENSSL, ["strip", "--strip-unneeded"]),
    "openssl-static-stripped": ("openssl", ["-static", "-lssl", "-lcrypto"], ["strip"]),
    "openssl-static-pie-stripped": ("openssl", ["-static-pie", "-fPIE", "-lssl", "-lcrypto"], ["strip"]),
    "gnutls-stripped": ("gnutls", GNUTLS, ["strip"]),
}
built = {}  # path by name


def build(env, name):
    if name in built:
        return built[name]
    source, options, strip = {**HOMES, **STRIPPED}[name]
    path = os.path.join(env.host.temporary(name), name)
    for command in (["gcc", "-O2", os.path.join(SOURCES, source + "_client.c"), "-o", path, *options],
                    [*strip, path] if strip else None):
        done = command and subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        check(not done or done.returncode == 0, f"{command}: {done and done.stdout.decode()}")
    built[name] = path
    return path


class Home:
    how, sni = ("fd",), "localhost"

    def __init__(self, path):
        self.path = path
        self.name = self.executable = os.path.basename(path)
        self.library_path = f"/{self.name}$"

    def command(self, server, ca, _environment):
        return [self.path, str(server.port), ca or "-"]


class OpensslHome(Home, Client):
    pass


class GnutlsHome(Home, GnutlsClient):
    pass


def client_of(path, source):
    return (OpensslHome if source == "openssl" else GnutlsHome)(path)


def told(agent, path, *actions):
    """The events with one of these actions about the file there."""
    agent.read()
    return [event for event in agent.events if get(event, "event.action") in actions and
            same_file(get(event, "tlswarden.library.path") or "", path)]


def hold(env, agent, path):
    """Has its probes, and keeps them until the test's end: what nothing maps loses them, and a client that starts then is too quick."""
    env.closers.append(env.host.start([path, "hold"]).end)

    def attached():
        events = told(agent, path, "library-attached", "library-detached")
        return events and get(events[-1], "event.action") == "library-attached"
    wait_for(f"library-attached: {path}", 45, attached)


def check_client(env, agent, client, tls):
    """Served by a server with a good chain; killed at one with a forged chain, and not one byte of its request came."""
    server = env.watch(client.server(env.fixtures, "good-leaf", tls=tls))
    run = env.watch(client.start(env.host, server, env.trusting))
    check(run.wait(), "the client was not served by a server with a good chain")
    (event,) = agent.verifications(server.port)
    check_event(env, event, client, server, "good-leaf")
    check_allowed(event)
    equal(event, "tlswarden.verify.result", "ok")

    server = env.watch(client.server(env.fixtures, "forged-leaf", tls=tls, delay=PATIENCE))
    run = env.watch(client.start(env.host, server, env.trusting))
    check(not run.wait(), "the client was served by a server with a forged chain")
    (event,) = agent.verifications(server.port)
    check_event(env, event, client, server, "forged-leaf")
    check_violation(event, "localhost-issuer", "killed")
    check(server.connections[0].application_bytes == 0, "application bytes came through")


def check_event(env, event, client, server, leaf):
    if client.name == "openssl-no-version":
        check(not get(event, "tlswarden.library.version"), "it has a version, and was not asked for one")
        event["tlswarden"]["library"]["version"] = "unknown"
    check_verification(event, client, server, env.fixtures, leaf)


@cases(*((name, tls) for name in HOMES for tls in ("1.3", "1.2")))
def test_linked_into_a_program(env, name, tls):
    agent = env.agent("enforce")
    client = client_of(build(env, name), HOMES[name][0])
    hold(env, agent, client.path)
    check_client(env, agent, client, tls)


@cases(*STRIPPED)
def test_stripped_is_named(env, name):
    """It speaks TLS unseen, and is named once for that, with the reason."""
    agent = env.agent("enforce")
    path = build(env, name)
    client = client_of(path, STRIPPED[name][0])
    env.closers.append(env.host.start([path, "hold"]).end)
    (event,) = wait_for("library-unsupported", 30, lambda: told(agent, path, "library-unsupported"))
    check("was stripped" in json.dumps(event), f"the reason is missing: {event}")
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    run = env.watch(client.start(env.host, server, env.trusting))
    check(run.wait(), "the client was not served")
    check(len(told(agent, path, "library-unsupported")) == 1, "it was named twice")
