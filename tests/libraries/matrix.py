"""Each suite's own clients, in a container of that suite: library by client by TLS version by what is to be seen.

The agent enforces, on the host, and knows nothing of the suites. A cell is a test; what it needs to hold stands here once.
"""
import copy
import itertools
import os
import re
import subprocess

import clients
from agent import get
from container import Container
from expect import check_allowed, check_verification, check_violation, equal, one_of
from host import check, wait_for
from test_matrix import check_good

SUITES = ("bullseye", "bookworm", "trixie", "sid")
CLIENTS = ("curl", "python-ssl", "s_client", "wget", "gnutls-cli")
KINDS = ("good", "forged", "off", "failed")
VERSIONS = ("1.2", "1.3")
ATTACH_LIMIT = 45       # seconds from the container's start until both libraries have their probes
END_LIMIT = 20
numbers = itertools.count(os.getpid() * 16)     # of containers
OPENSSL = r"^/(usr/)?lib/[^/]+/libcrypto\.so\.(1\.1|3)$"

# Where a suite's client is another than that of the live tests: (suite, client): attributes, and, if the agent could be
# thought to be wrong, the reason, which the table shows.
VARIANTS = {
    ("bullseye", "curl"): ({"how": ("fd",)}, None),                         # a socket BIO
    ("bullseye", "gnutls-cli"): ({"how": ("thread", "hello")}, None),       # a pull function of its own
    ("sid", "curl"): ({"verify_mode": "none", "good_result": "off", "failed_result": "failed-ignored"},
                      "asks OpenSSL for SSL_VERIFY_NONE and looks at the result itself: good is `off`, failed `failed-ignored`"),
}


class Suite:
    """One suite's root, what its libraries say of themselves, and, once started, its container."""

    def __init__(self, name, root):
        self.name, self.root = name, root
        self.container = None
        self.versions = {"openssl": self.say("openssl", "version"), "gnutls": self.say("gnutls-cli", "--version")}
        directory = os.path.join(root, "usr/lib/x86_64-linux-gnu")
        self.build_ids = {"openssl": build_id(directory, r"libcrypto\.so\.[\d.]+"),
                          "gnutls": build_id(directory, r"libgnutls\.so\.30\.[\d.]+")}

    def say(self, *command):
        """The version in a program's first line."""
        said = subprocess.run(["chroot", self.root, *command], stdout=subprocess.PIPE, check=True).stdout.decode()
        return re.search(r"\d+(\.\d+)+[a-z]?", said).group()

    def start(self, env):
        self.container = Container(env.host, self.root, next(numbers), [env.fixtures.directory])
        return self.container

    def client(self, name):
        """The client as this suite has it."""
        client = copy.copy(clients.BY_NAME[name])
        client.failed_result = "failed"
        for attribute, value in VARIANTS.get((self.name, name), ({},))[0].items():
            setattr(client, attribute, value)
        if client.library == "openssl":
            client.library_path = OPENSSL
        if name == "python-ssl":
            client.executable = os.readlink(self.root + clients.PYTHON)
        return client

    def close(self):
        if self.container:
            self.container.close()
        self.container = None


def build_id(directory, name):
    """Of the one library of that name, read by a program that is not under test."""
    (found,) = [entry for entry in os.listdir(directory) if re.fullmatch(name, entry)]
    notes = subprocess.run(["readelf", "-n", os.path.join(directory, found)], stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


def found(agent, since, number):
    """What became of the library of that build id, at its place in a container. Another file can have it too: a copy somewhere
    else, or the one that another agent's confined child maps."""
    agent.read()
    return [event for event in agent.events[since:] if get(event, "tlswarden.library.build_id") == number and
            get(event, "event.action") in ("library-attached", "library-unsupported") and
            re.match("/(usr/)?lib/", get(event, "tlswarden.library.path"))]


def test_attached(env, suite):
    """Both libraries are found in the container, each once, and say which version they are."""
    agent = env.agent("enforce")
    since = agent.mark()
    env.trace.append((suite.start(env).describe,))
    for library, number in suite.build_ids.items():
        events = wait_for(f"{suite.name}'s {library}", ATTACH_LIMIT, lambda number=number: found(agent, since, number), 0.05)
        check(len(events) == 1, f"{len(events)} events of one file")
        equal(events[0], "event.action", "library-attached")
        equal(events[0], "tlswarden.library.name", library)
        equal(events[0], "tlswarden.library.version", suite.versions[library])


def check_not_lost(agent, since):
    """But for returns whose call was not seen: there are some when probes come while a function runs."""
    agent.read()
    lost = [get(event, "tlswarden.lost") for event in agent.events[since:] if get(event, "event.action") == "events-lost"]
    lost = [counts for counts in lost if any(count for name, count in counts.items() if name != "calls")]
    check(not lost, f"events were lost: {lost[-1:]}")


def test_twin(env, suite):
    """Another container of the same root, with an overlay of its own: the files are the same, their device is not. Nothing is
    attached twice: a handshake in either is one event."""
    agent = env.agent("enforce")
    if not suite.container:
        test_attached(env, suite)
    since = agent.mark()
    twin = copy.copy(suite)
    env.watch(twin.start(env))
    for place in (suite, twin):
        for name in ("curl", "wget"):
            good(env, agent, place, name, "1.3")
            forged(env, agent, place, name, "1.3")
    for library, number in suite.build_ids.items():
        check(not found(agent, since, number), f"{library} was attached once more")
    check_not_lost(agent, since)


def begin(env, suite, name, tls, leaf, ca):
    client = suite.client(name)
    server = suite.container.serve(lambda: env.watch(client.server(env.fixtures, leaf, tls=tls, delay=0)))
    return client, server, env.watch(client.start(suite.container, server, ca))


def check_place(event, suite, client):
    """Of a process that has gone before it could be asked for its container is not known."""
    gone = get(event, "tlswarden.process_gone")
    equal(event, "container.id", None if gone else suite.container.id)
    equal(event, "tlswarden.library.build_id", suite.build_ids[client.library])
    equal(event, "tlswarden.library.version", suite.versions[client.library])


def good(env, agent, suite, name, tls):
    client, server, run = begin(env, suite, name, tls, "good-leaf", env.trusting)
    check_good(agent, env, client, server, run)
    (event,) = agent.verifications(server.port)
    check_place(event, suite, client)
    check(server.connections[0].version == "TLSv" + tls, f"it was {server.connections[0].version}")


def forged(env, agent, suite, name, tls):
    """The client trusts it, the policy does not: nothing of what it wanted to say arrives."""
    client, server, run = begin(env, suite, name, tls, "forged-leaf", env.trusting)
    check(not run.wait() and run.code != 0, f"the client was served by a server with a forged chain, or thinks so: {run.code}")
    (event,) = agent.verifications(server.port)
    check(server.connections[0].ended.wait(END_LIMIT), "the connection has not ended")
    check(server.connections[0].application_bytes == 0, f"{server.connections[0].application_bytes} bytes left the client")
    check_verification(event, client, server, env.fixtures, "forged-leaf")
    check_violation(event, "localhost-issuer", "killed")
    equal(event, "tlswarden.verify.result", client.good_result)
    check_place(event, suite, client)


def off(env, agent, suite, name, tls):
    client, server, run = begin(env, suite, name, tls, "good-leaf", None)
    check(run.wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "good-leaf")
    check_allowed(event)
    one_of(event, "tlswarden.verify.result", client.off_results)
    if client.library == "openssl":
        equal(event, "tlswarden.verify.mode", "none")
    check_place(event, suite, client)


def failed(env, agent, suite, name, tls):
    """The client itself does not trust the chain, which is a good one to the policy."""
    client, server, run = begin(env, suite, name, tls, "good-leaf", env.fixtures.path("rogue-root.pem"))
    check(not run.wait(), "the client was served by a server that it does not trust")
    (event,) = agent.verifications(server.port)
    check_allowed(event)
    equal(event, "tlswarden.verify.result", client.failed_result)
    check(event["tlswarden"]["verify"]["code"] != 0, "the code of a failed verification is 0")
    check_place(event, suite, client)


CELLS = {"good": good, "forged": forged, "off": off, "failed": failed}


def test_cell(env, suite, name, tls, kind):
    if not suite.container:
        test_attached(env, suite)
    CELLS[kind](env, env.agent("enforce"), suite, name, tls)


def table(suites, results):
    """results: (suite, client, TLS version, kind) → text."""
    heads = [f"{kind} {tls}" for tls in VERSIONS for kind in KINDS]
    lines = [f"  {'suite':9} {'library':15} {'client':11} " + " ".join(f"{head:10}" for head in heads)]
    for suite, name in itertools.product(suites, CLIENTS):
        if any(key[:2] == (suite.name, name) and result != "-" for key, result in results.items()):
            library = clients.BY_NAME[name].library
            mark = "*" if VARIANTS.get((suite.name, name), ({}, None))[1] else ""
            cells = [results.get((suite.name, name, tls, kind), "-") for tls in VERSIONS for kind in KINDS]
            lines.append(f"  {suite.name:9} {library + ' ' + suite.versions[library]:15} {name + mark:11} " +
                         " ".join(f"{cell:10}" for cell in cells))
    if len(lines) == 1:
        return ""
    for (suite, name), (_, reason) in VARIANTS.items():
        if reason and any(known.name == suite for known in suites):
            lines.append(f"  * {suite}'s {name} {reason}")
    return "\n".join(line.rstrip() for line in lines)
