"""What is attached while the bench measures: nothing, an empty return probe, or the agent; and the load.

Every process that is started here is ended here, by its id, and has a time limit.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "live"))
from host import lock  # noqa: E402

BPFTOOL = next((p for p in ("/usr/sbin/bpftool", "/sbin/bpftool") if os.path.exists(p)), "bpftool")
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
READY_SECONDS = 60     # for the agent to attach, or to load policies; beyond it the bench fails
SETTLE_SECONDS = 0.3   # after a load, for the agent to finish
STOP_SECONDS = 30      # for the agent to detach; beyond it it is killed, and the bench fails
LOAD_SECONDS = 150     # for the load to end; it has a limit of its own below this
LOAD_NAMES = ["bench.example", "**.bench.example"]     # what the load asks for; nobody else on this host does

# Handshakes per second; processor time of client and server for one, in µs; how many there were; µs for one, as the client
# saw it; how many somebody ended.
Load = collections.namedtuple("Load", "rate used count p50 p99 ended")


class BenchError(Exception):
    pass


class Machine:
    """Nothing attached: the load alone."""

    def __init__(self, paths):
        self.paths = paths

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def cpu_seconds(self):
        return ()


class Empty(Machine):
    """The empty return probe on X509_verify_cert of the libcrypto that the load uses; or the empty program for packets."""

    def __init__(self, paths, cgroup=None):
        super().__init__(paths)
        self.what = ["egress", cgroup] if cgroup else [paths.libcrypto, "X509_verify_cert"]

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.paths.empty, *self.what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.site = self.process.stdout.readline().strip()
        if not self.site.startswith("ready"):
            self.process.kill()
            self.process.wait()
            raise BenchError("the empty program did not attach")
        return self

    def __exit__(self, *_):
        stop(self.process)
        return False


class Agent(Machine):
    """The agent with one policy file, writing its events into a file. Without more said it audits the example policy, and
    tells of every verification."""

    def __init__(self, paths, policy=None, mode="audit", events="all", config="/dev/null"):
        super().__init__(paths)
        self.policy = policy or paths.policy
        self.mode, self.what, self.config = mode, events, config

    def __enter__(self):
        self.events = pathlib.Path(self.paths.scratch, f"events-{time.monotonic_ns()}.jsonl")
        command = [self.paths.agent, "run", "--events", self.what, "--output", str(self.events),
                   "--config", self.config]       # not the one that is installed on this machine
        if self.mode == "audit":
            command += ["--mode", "audit"]
        if self.policy:
            command += ["--policy", self.policy]
        self.log = open(self.events.with_suffix(".log"), "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_ready(self):
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.events_of("agent-started"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.log.seek(0)
        raise BenchError(f"the agent did not start (exit status {self.process.poll()}):\n{self.log.read()}")

    def read_events(self):
        if not self.events.exists():
            return []
        lines = self.events.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def events_of(self, *actions):
        return [event for event in self.read_events() if event["event"]["action"] in actions]

    def reload(self):
        """Has it read its policies again; that also empties its caches."""
        before = len(self.events_of("policy-loaded", "policy-rejected"))
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            answers = self.events_of("policy-loaded", "policy-rejected")[before:]
            if answers:
                if answers[-1]["event"]["action"] == "policy-rejected":
                    raise BenchError("the agent rejected the policy of the bench")
                return
            time.sleep(0.02)
        raise BenchError("the agent did not load its policies again")

    def lost(self):
        """Verifications told as lost, from the last event."""
        stopped = self.events_of("agent-stopped")
        if not stopped:
            raise BenchError("the agent ended without an agent-stopped event")
        return stopped[-1]["tlswarden"]["lost"]["verifications"]

    def pids(self):
        """The agent's processes: it and its children."""
        found = [self.process.pid]
        for pid in found:
            try:
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    found += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                pass
        return found

    def cpu_seconds(self):
        """(user, system) processor time of each of the agent's processes so far, the privileged one first."""
        times = []
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            times.append([int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]])
        return times

    def held(self, what):
        """Identifiers of the BPF objects ("prog" or "map") that the agent's processes hold, from their file descriptors."""
        found = set()
        for pid in self.pids():
            try:
                infos = list(pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
            except OSError:
                continue
            for info in infos:
                try:
                    text = info.read_text()
                except OSError:
                    continue
                found |= {int(line.split()[1]) for line in text.splitlines() if line.startswith(what + "_id:")}
        return found

    def __exit__(self, *_):
        stop(self.process)
        self.log.close()
        return False


def run(bench, options):
    """The exit code. No live test of this tree runs meanwhile: an agent that enforces, or whose judge is stopped, holds up the
    connections of all. Being told to end undoes everything, too: such an agent must not stay behind."""
    if os.geteuid() != 0:
        print("bench: needs root, to attach probes: sudo make bench", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    held = lock("live-tests")
    try:
        with tempfile.TemporaryDirectory(prefix="tlswarden-bench-") as scratch:
            bench(options, scratch)
    except (BenchError, subprocess.SubprocessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        held.close()
    return 0


def stop(process):
    """Ends a process that we started: by its closed standard input or SIGTERM, and if it hangs by SIGKILL, and says so."""
    if process.stdin:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise BenchError(f"{process.args[0]} did not end within {STOP_SECONDS} s")


def handshakes(paths, how, number):
    done = subprocess.run([paths.handshake, paths.fixtures, how, str(number)], capture_output=True, text=True,
                          timeout=LOAD_SECONDS)
    words = done.stdout.split()
    if done.returncode or len(words) != 12:
        raise BenchError(f"the load failed; does another agent on this host enforce a policy?\n{done.stdout}{done.stderr}")
    count, seconds, used, p50, p99, ended = (float(word) for word in words[1::2])
    return Load(count / seconds, used * 1e6 / count, int(count), p50, p99, int(ended))


def our_verifications(agent):
    """The events of the load's own verifications: other processes of this host may handshake meanwhile. By the thread's
    name, since the load may have ended before its last ones were judged, and then its executable is not known."""
    return [event for event in agent.events_of("peer-verified", "policy-violation")
            if event.get("process", {}).get("name") == "handshake"]


def write_policy(paths, mode, ask):
    """A policy about the load's chain: ask is "require", which it keeps, or "forbid", which condemns it."""
    pins = []
    for name in ("good-root.pem", "good-int.pem"):
        shown = subprocess.run([paths.agent, "pin", f"{paths.fixtures}/{name}"], check=True, capture_output=True, text=True)
        pins.append(shown.stdout.splitlines()[-1])
    path = pathlib.Path(paths.scratch, f"{mode}-{ask}.yaml")
    path.write_text("\n".join([
        "version: 1", "name: bench", f"mode: {mode}", "sets:", "  keys:", "    cas:", *(f"      {pin}" for pin in pins),
        "rules:", "  - id: bench", f"    match: [{{server_name: {json.dumps(LOAD_NAMES)}, role: client}}]",
        f'    {ask}: {{key_in: "@cas"}}', "    action: kill", ""]), encoding="utf-8")
    return str(path)


def counts(programs):
    """{name: (runs, nanoseconds, its type)} of these programs, while kernel.bpf_stats_enabled is on."""
    shown = json.loads(subprocess.run([BPFTOOL, "-j", "prog", "show"], check=True, capture_output=True).stdout)
    return {program["name"]: (program.get("run_cnt", 0), program.get("run_time_ns", 0), program["type"])
            for program in shown if program["id"] in programs and "name" in program}


def difference(before, after):
    return {name: (runs - before.get(name, (0, 0))[0], ns - before.get(name, (0, 0))[1], kind)
            for name, (runs, ns, kind) in after.items()}


def find_paths(options, scratch, *programs):
    build = pathlib.Path(options.build).absolute()
    paths = argparse.Namespace(
        agent=str(build / "tlswarden"), fixtures=options.fixtures or str(build / "fixtures"), policy=options.policy,
        scratch=scratch, warm_up=20, **{name: str(build / "bench" / name) for name in programs})
    for path in (paths.agent, *(getattr(paths, name) for name in programs), paths.fixtures + "/good-root.pem"):
        if not os.path.exists(path):
            raise BenchError(f"{path} is missing; `make bench` builds it")
    return paths


def expect_line(process, word):
    line = process.stdout.readline()
    if not line.startswith(word):
        raise BenchError(f"the load said {line!r} in place of {word!r}")


def spread(values):
    """Median, and the quartiles and extremes around it."""
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return statistics.median(values), quartiles[0], quartiles[2], min(values), max(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_spread(title, values, digits=1):
    """A line for each; the title, if there is one, heads a table."""
    if title:
        print(f"\n{title:48} {'median':>9} {'quartiles':>17} {'extremes':>17}")
    for case, list_of in values.items():
        middle, low, high, least, most = spread(list_of)
        print(f"  {case:46} {middle:9.{digits}f} {low:8.{digits}f}–{high:<8.{digits}f} {least:8.{digits}f}–{most:<8.{digits}f}")
