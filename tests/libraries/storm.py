"""Short-lived processes, started as fast as possible, each of which makes one handshake and has gone; half of them map copies
of the libraries that nobody has mapped before.

What is known when they start must be seen without exception. Of what is new, the probes come some milliseconds after the
first mapping, so that a process as short as this can be faster: how many were seen, and how long it took, is printed.
"""
import datetime
import json
import os
import re
import shutil
import statistics
import subprocess
import time

from agent import get
from clients import HERE as LIVE, PYTHON
from gated import settings
from host import check, wait_for
from matrix import check_not_lost

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.path.join(LIVE, "server_counting.py")
LIBRARIES = {"openssl": ("libcrypto.so", "libssl.so"), "gnutls": ("libgnutls.so",)}
LINKED = {"openssl": ["-lssl", "-lcrypto"], "gnutls": ["-DWITH_GNUTLS", "-lgnutls"]}
STORM_LIMIT = 180
SEEN_LIMIT = 60
ATTACH_LIMIT = 60
QUIET = 5        # seconds without a library attached, after which none is expected

HOLD = """
import mmap, os, signal, sys
held = []
for path in open(sys.argv[1]).read().split():
    fd = os.open(path, os.O_RDONLY)
    held.append(mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC))
    os.close(fd)
signal.pause()
"""


def microseconds(event):
    return datetime.datetime.fromisoformat(event["@timestamp"].replace("Z", "+00:00")).timestamp() * 1e6


def build(env, library):
    """The client: linked with the host's library."""
    program = os.path.join(env.host.directory, "handshake-" + library)
    if not os.path.exists(program):
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", os.path.join(HERE, "handshake.c"), "-o", program,
                        *LINKED[library]], check=True)
    return program


def libraries_of(program, library):
    """Paths of the library's files, by the names under which they are linked."""
    said = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    linked = re.findall(r"(\S+) => (/\S+)", said)
    return {name: os.path.realpath(path) for name, path in linked if name.startswith(LIBRARIES[library])}


class Copies:
    """Copies of the libraries in memory: a directory for each process."""

    def __init__(self, env, size):
        self.directory = env.host.temporary("copies")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "copies", self.directory], check=True)
        self.count = 0

    def make(self, files):
        directory = os.path.join(self.directory, str(self.count))
        self.count += 1
        os.mkdir(directory)
        for name, path in files.items():
            shutil.copyfile(path, os.path.join(directory, name))
        return directory

    def close(self):
        subprocess.run(["umount", "--lazy", self.directory], check=False)


class Servers:
    """Two in one process: one for those whose library is known, one for the others."""

    def __init__(self, env):
        chain, key = env.fixtures.path("good-leaf.chain.pem"), env.fixtures.path("good-leaf.key")
        spec = {"chain": chain, "key": key, "tls": "1.3", "serve": "http", "family": 4}
        self.child = env.host.start([PYTHON, SERVER, json.dumps([spec, spec])], stdin="")
        wait_for("the servers", 20, lambda: "\n" in self.child.output or self.child.ended)
        self.known, self.new = json.loads(self.child.output.splitlines()[0])

    def describe(self):
        return "two servers" if len(self.child.output) > 4000 else self.child.describe()

    def close(self):
        self.child.end()


class Process:
    """One of the storm: library, its copies' directory (None: the host's), and, when it has run, what became of it."""

    def __init__(self, library, directory):
        self.library, self.directory = library, directory

    def came_to(self, result, line):
        self.pid, self.started, self.code = result["pid"], result["started"], result["code"]
        self.port, self.main, self.begin, self.end = line or [None] * 4


def storm(env, servers, processes, *how):
    plan = [{"argv": [build(env, process.library), str(servers.new if process.directory else servers.known), env.trusting],
             "environment": {"LD_LIBRARY_PATH": process.directory} if process.directory else {}} for process in processes]
    launcher = env.host.start([PYTHON, os.path.join(HERE, "launch.py"), env.host.file("plan.json", json.dumps(plan)), *how])
    check(launcher.wait(STORM_LIMIT) == 0, f"the launcher failed\n{launcher.describe()}")
    result = json.loads(launcher.output)
    lines = {int(words[0]): [int(word) for word in words[1:]] for words in
             (line.split() for line in result["output"].splitlines()) if words[0].isdigit()}
    for process, one in zip(processes, result["processes"]):
        process.came_to(one, lines.get(one["pid"]))
    bad = [process for process in processes if process.code]
    check(not bad, f"{len(bad)} clients failed: {[process.code for process in bad][:5]}\n"
          f"{[line for line in result['output'].splitlines() if not line[:1].isdigit()][:5]}")
    return (max(process.started for process in processes) - min(process.started for process in processes)) / 1e6


def seen(agent, since, server, processes):
    """Those of the processes whose handshake with that server is in an event: by pid and port, for ports are used again."""
    agent.read()
    found = {(get(event, "process.pid"), get(event, "source.port")) for event in agent.events[since:] if get(event, "destination.port") == server and
            get(event, "event.action") in ("peer-verified", "policy-violation") and get(event, "tlswarden.role") == "client"}
    return [process for process in processes if (process.pid, process.port) in found]


def check_seen(agent, since, server, processes, what):
    try:
        wait_for(what, SEEN_LIMIT, lambda: len(seen(agent, since, server, processes)) == len(processes), 0.1)
    finally:
        there = seen(agent, since, server, processes)
        missing = [(one.library, one.pid, one.port, one.directory) for one in processes if one not in there]
        if missing:
            print(f"       {what}: {len(missing)} not seen: {missing[:5]}")


def spread(values):
    if not values:
        return "none"
    ordered = sorted(values)
    return f"median {statistics.median(ordered) / 1e3:.1f} ms, 90 % {ordered[int(len(ordered) * 0.9)] / 1e3:.1f} ms, " \
        f"most {ordered[-1] / 1e3:.1f} ms"


def attached(agent, since, processes):
    """Of the processes' copies, by directory: the first event of those that have got their probes."""
    agent.read()
    events = {}
    for event in agent.events[since:]:
        if get(event, "event.action") == "library-attached":
            events.setdefault(os.path.dirname(get(event, "tlswarden.library.path") or ""), event)
    return {process.directory: events[process.directory] for process in processes if process.directory in events}


def covered(agent, since, processes):
    """Those that have them now: a library that nobody maps any more may have been left."""
    agent.read()
    state = {get(event, "tlswarden.library.path"): get(event, "event.action") for event in agent.events[since:]
             if get(event, "event.action") in ("library-attached", "library-detached")}
    now = {os.path.dirname(path) for path, action in state.items() if action == "library-attached"}
    return [process for process in processes if process.directory in now]


def settle(agent, since, processes):
    """Until all copies have been attached, or none was for QUIET seconds: a process that has gone may have taken the way to its
    own along."""
    end, count = time.monotonic() + QUIET, 0
    while time.monotonic() < end and count < len(processes):
        time.sleep(0.1)
        now = len(attached(agent, since, processes))
        if now > count:
            end, count = time.monotonic() + QUIET, now


def test_stop(env):
    """With all that the agent has attached by now."""
    agent = agent_for(env)
    agent.read()
    actions = [get(event, "event.action") for event in agent.events]
    now = actions.count("library-attached") - actions.count("library-detached")
    begin = time.monotonic()
    code = agent.stop()
    print(f"       the agent ended within {time.monotonic() - begin:.1f} s, with {now} libraries attached", flush=True)
    check(code == 0, f"its exit code is {code}")


def report_new(agent, since, servers, new):
    settle(agent, since, new)
    events = attached(agent, since, new)
    for library in LIBRARIES:
        chosen = [process for process in new if process.library == library]
        latencies = [microseconds(events[process.directory]) - process.started for process in chosen
                     if process.directory in events]
        print(f"       new {library}: {len(seen(agent, since, servers.new, chosen))} of {len(chosen)} handshakes seen; "
              f"{len(latencies)} attached, from the process's start: {spread(latencies)}", flush=True)


def hold(env, agent, since, new):
    """One process that maps all copies: then they are covered, all of them, and stay so."""
    paths = [os.path.join(process.directory, name) for process in new for name in os.listdir(process.directory)]
    begin = time.monotonic()
    holder = env.watch(env.host.start([PYTHON, "-c", HOLD, env.host.file("held", "\n".join(paths))]))
    env.closers.append(holder.end)
    wait_for(f"{len(new)} held copies to be covered", ATTACH_LIMIT, lambda: len(covered(agent, since, new)) == len(new), 0.05)
    print(f"       {len(paths)} files held by one process: covered within {time.monotonic() - begin:.2f} s", flush=True)
    return holder


def from_start(processes):
    return f"from start to handshake: {spread([process.begin - process.started for process in processes])}"


def agent_for(env):
    """One agent for all tests here, which can be asked for its status."""
    if env.current and env.current[0] == "storm" and env.current[1].alive:
        env.trace.append((env.current[1].describe, env.current[1].begin_test()))
    else:
        more = settings(env.host, "storm", control=control_of(env))
        env.current = ("storm", env.new_agent(env.fixtures.policy(), name="storm", more=more))
    return env.current[1]


def control_of(env):
    return os.path.join(env.host.directory, "storm.sock")


def print_status(env):
    """What the agent itself says of the time from a file's first mapping to its probes."""
    said = env.host.run([env.binary, "status", "--json", "--control", control_of(env)])
    check(said.process.returncode == 0, f"status failed\n{said.describe()}")
    took = json.loads(said.output)["attach_us"]
    print(f"       the agent says, from first mapping to attached: {took['count']} libraries, half within {took['p50'] / 1e3:.1f} ms, "
          f"99 % within {took['p99'] / 1e3:.1f} ms, most {took['most'] / 1e3:.1f} ms", flush=True)


def prepare(env, number):
    """Copies' maker and servers, which go with the test."""
    copies = Copies(env, number * (8 << 20))
    env.closers.append(copies.close)
    return agent_for(env), copies, env.watch(Servers(env))


def process_of(env, copies, library, new):
    return Process(library, copies.make(libraries_of(build(env, library), library)) if new else None)


def test_one_by_one(env, number):
    """Each maps a copy that nobody has mapped before, while nothing else goes on."""
    agent, copies, servers = prepare(env, number)
    processes = [process_of(env, copies, library, True) for library in LIBRARIES for _ in range(number // 2)]
    since = agent.mark()
    storm(env, servers, processes, "one-by-one")
    print(f"       {number} processes, one by one; {from_start(processes)}", flush=True)
    report_new(agent, since, servers, processes)
    print_status(env)


def test_storm(env, number):
    agent, copies, servers = prepare(env, number)
    processes = [process_of(env, copies, "gnutls" if at % 6 >= 4 else "openssl", at % 2) for at in range(number)]
    known = [process for process in processes if not process.directory]
    new = [process for process in processes if process.directory]

    begun = since = agent.mark()
    took = storm(env, servers, processes)
    print(f"       {number} processes, started within {took:.2f} s; {from_start(processes)}", flush=True)
    check_seen(agent, since, servers.known, known, f"handshakes of {len(known)} processes with known libraries")
    report_new(agent, since, servers, new)
    print_status(env)

    holder = hold(env, agent, begun, new)
    since = agent.mark()
    took = storm(env, servers, processes)
    print(f"       the same again, within {took:.2f} s", flush=True)
    check_seen(agent, since, servers.known, known, f"again: {len(known)} processes with known libraries")
    check_seen(agent, since, servers.new, new, f"again: {len(new)} processes with copies that are known now")
    check_not_lost(agent, begun)
    env.closers.remove(holder.end)      # it goes with the last test here: so much is attached when the agent is stopped
