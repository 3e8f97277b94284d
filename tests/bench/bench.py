#!/usr/bin/python3
"""What the agent costs: full TLS handshakes per second without it, with it, and with an empty return probe in its place.

All of it in one run and in turns, since machines drift: each round measures every case once, in an order that rotates,
and `none` twice, so that the ratio between those two shows what this machine's noise alone does. Ratios are made within a
round, then summed up over rounds. Handshakes per second are what a user sees, and suffer from whatever else runs; the
processor time that client and server use for one, probes included, is steadier. Beside it: how often each probe is hit per handshake and per record on an established
connection (kernel.bpf_stats_enabled, put back afterwards), what a hit costs, and how long the verdict takes.

Needs root, the built agent, tests/bench/handshake and tests/bench/empty, and the test certificates. Bounded: every
process it starts is ended with it, and has a time limit of its own.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

BPFTOOL = next((p for p in ("/usr/sbin/bpftool", "/sbin/bpftool") if os.path.exists(p)), "bpftool")
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
READY_SECONDS = 60     # for the agent to attach; beyond it the bench fails
STOP_SECONDS = 30      # for the agent to detach; beyond it it is killed, and the bench fails
SETTLE_SECONDS = 0.3   # after a load, for the agent to finish
RECORDS = 1000
RECORD_TRIES = 3       # probes see the whole host: another process's handshake in that moment must not fail the bench
STATS_HANDSHAKES = 500
PACED_HANDSHAKES = 500
CASES = ("none", "agent", "empty", "none again")


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
    """The empty return probe on X509_verify_cert of the libcrypto that the load uses."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.paths.empty, self.paths.libcrypto, "X509_verify_cert"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.site = self.process.stdout.readline().strip()
        if not self.site.startswith("ready"):
            self.process.kill()
            self.process.wait()
            raise BenchError("the empty probe did not attach")
        return self

    def __exit__(self, *_):
        stop(self.process)
        return False


class Agent(Machine):
    """The agent with the example policy, writing every verification into a file."""

    def __enter__(self):
        self.events = pathlib.Path(self.paths.scratch, f"events-{time.monotonic_ns()}.jsonl")
        command = [self.paths.agent, "run", "--events", "all", "--mode", "audit", "--output", str(self.events),
                   "--config", "/dev/null"]       # not the one that is installed on this machine
        if self.paths.policy:
            command += ["--policy", self.paths.policy]
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
            if any(event["event"]["action"] == "agent-started" for event in self.read_events()):
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

    def lost(self):
        """Verifications told as lost, from the last event."""
        stopped = [event for event in self.read_events() if event["event"]["action"] == "agent-stopped"]
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

    def programs(self):
        """Identifiers of the BPF programs that the agent's processes hold, from their file descriptors."""
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
                found |= {int(line.split()[1]) for line in text.splitlines() if line.startswith("prog_id:")}
        return found

    def __exit__(self, *_):
        stop(self.process)
        self.log.close()
        return False


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
    """Handshakes per second; processor time of client and server for one, in µs; how many there were."""
    done = subprocess.run([paths.handshake, paths.fixtures, how, str(number)], capture_output=True, text=True, timeout=150)
    words = done.stdout.split()
    if done.returncode or len(words) != 6:
        raise BenchError(f"the load failed; does another agent on this host enforce a policy?\n{done.stdout}{done.stderr}")
    count = int(words[1])
    return count / float(words[3]), float(words[5]) * 1e6 / count, count


def our_verifications(agent):
    """The events of the load's own verifications: other processes of this host may handshake meanwhile. By the thread's
    name, since the load may have ended before its last ones were judged, and then its executable is not known."""
    return [event for event in agent.read_events()
            if event["event"]["action"] in ("peer-verified", "policy-violation")
            and event.get("process", {}).get("name") == "handshake"]


# --- the turns --------------------------------------------------------------------------------------------------------

def measure(case, paths, seconds, result):
    with {"agent": Agent, "empty": Empty}.get(case, Machine)(paths) as attached:
        cpu = attached.cpu_seconds()
        rate, used, count = handshakes(paths, "seconds", seconds)
        result.rates[case].append(rate)
        result.used[case].append(used)
        if case == "agent":
            time.sleep(SETTLE_SECONDS)   # what is still on its way belongs to its work
            result.agent_cpu.append([[(end - begin) / (count + paths.warm_up) for begin, end in zip(*process)]
                                     for process in zip(cpu, attached.cpu_seconds())])
        if case == "empty":
            result.site = attached.site
    if case == "agent":
        events = our_verifications(attached)
        result.seen += len(events)
        result.done += count + paths.warm_up
        result.latencies += verdict_latencies(events)
        result.lost += attached.lost()


class Result:
    def __init__(self):
        self.rates = {case: [] for case in CASES}
        self.used = {case: [] for case in CASES}
        self.latencies, self.paced, self.agent_cpu = [], [], []
        self.seen = self.done = self.lost = 0
        self.site = "?"


def take_turns(paths, rounds, seconds):
    result = Result()
    for turn in range(rounds):
        for case in CASES[turn % len(CASES):] + CASES[:turn % len(CASES)]:
            measure(case, paths, seconds, result)
        print(f"  round {turn + 1} of {rounds}: " +
              ", ".join(f"{case} {result.rates[case][-1]:.0f}/s" for case in CASES), flush=True)
    return result


def verdict_latencies(events):
    return [event["tlswarden"]["latency_us"]["verdict"] for event in events]


def measure_paced(paths):
    """Latencies when a handshake comes now and then, and not as fast as the machine can: no queue."""
    with Agent(paths) as agent:
        handshakes(paths, "paced", PACED_HANDSHAKES)
        time.sleep(SETTLE_SECONDS)
    return verdict_latencies(our_verifications(agent))


# --- probe hits -------------------------------------------------------------------------------------------------------

def counts(programs):
    """{name: (runs, nanoseconds, is it a uprobe)} of these programs."""
    shown = json.loads(subprocess.run([BPFTOOL, "-j", "prog", "show"], check=True, capture_output=True).stdout)
    return {program["name"]: (program.get("run_cnt", 0), program.get("run_time_ns", 0), program["type"] == "kprobe")
            for program in shown if program["id"] in programs and "name" in program}


def difference(before, after):
    return {name: (runs - before.get(name, (0, 0))[0], ns - before.get(name, (0, 0))[1], uprobe)
            for name, (runs, ns, uprobe) in after.items()}


def expect_line(process, word):
    line = process.stdout.readline()
    if not line.startswith(word):
        raise BenchError(f"the load said {line!r} in place of {word!r}")


def uprobe_hits(hits):
    return sum(runs for runs, _, uprobe in hits.values() if uprobe)


def count_records(paths, programs):
    """Hits while an established connection sends and receives RECORDS records; its handshake is over by then."""
    load = subprocess.Popen([paths.handshake, paths.fixtures, "records", str(RECORDS)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        expect_line(load, "established")
        time.sleep(0.2)
        before = counts(programs)
        print(file=load.stdin, flush=True)
        expect_line(load, "records")
        after = counts(programs)
        print(file=load.stdin, flush=True)
        load.wait(10)
    finally:
        if load.poll() is None:
            load.kill()
            load.wait()
        load.stdin.close()
        load.stdout.close()
    return difference(before, after)


def count_hits(paths):
    """Per program: hits and time for STATS_HANDSHAKES handshakes, then hits for RECORDS records."""
    enabled = STATS.read_text()
    try:
        STATS.write_text("1\n")
        with Agent(paths) as agent:
            programs = agent.programs()
            if not programs:
                raise BenchError("the agent holds no BPF program: nothing to count")
            before = counts(programs)
            _, _, done = handshakes(paths, "count", STATS_HANDSHAKES)
            per_handshake = difference(before, counts(programs))
            for _ in range(RECORD_TRIES):
                per_records = count_records(paths, programs)
                if uprobe_hits(per_records) == 0:
                    break
            return per_handshake, done + paths.warm_up, per_records
    finally:
        STATS.write_text(enabled)


# --- the report -------------------------------------------------------------------------------------------------------

def spread(values):
    """Median, and the quartiles and extremes around it."""
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return statistics.median(values), quartiles[0], quartiles[2], min(values), max(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_measure(title, values):
    print(f"\n{title:42} {'median':>9} {'quartiles':>17} {'extremes':>17}")
    for case in CASES:
        middle, low, high, least, most = spread(values[case])
        print(f"  {case:40} {middle:9.1f} {low:8.1f}–{high:<8.1f} {least:8.1f}–{most:<8.1f}")
    for case, base in (("agent", "none"), ("agent", "empty"), ("empty", "none"), ("none again", "none")):
        middle, low, high, least, most = spread([a / b for a, b in zip(values[case], values[base])])
        print(f"  {case + ' / ' + base + ', within each round':40} "
              f"{middle:9.4f} {low:8.4f}–{high:<8.4f} {least:8.4f}–{most:<8.4f}")


def print_costs(result):
    def added(case):
        return statistics.median(a - b for a, b in zip(result.used[case], result.used["none"]))

    print(f"\n  {'the agent adds':40} {added('agent'):9.1f} µs of processor time to a handshake, "
          f"the empty return probe {added('empty'):.1f} µs")
    total = statistics.median(sum(map(sum, turn)) for turn in result.agent_cpu) * 1e6
    parts = [[statistics.median(times) * 1e6 for times in zip(*process)] for process in zip(*result.agent_cpu)]
    print(f"  {'agent’s own processor time':40} {total:9.1f} µs a handshake, on whichever processor; by process: " +
          ", ".join(f"{user:.0f} user + {system:.0f} system" for user, system in parts))
    print(f"  {'verifications seen':40} {result.seen:9d} of {result.done}; told as lost: {result.lost}")
    for load, latencies in (("at full load", result.latencies), ("at 100 a second", result.paced)):
        print(f"  {'verification to verdict, ' + load:40} {percentile(latencies, 0.5):9.0f} µs p50, "
              f"{percentile(latencies, 0.99):.0f} µs p99, {max(latencies)} µs at most")


def print_hits(per_handshake, done, per_records):
    print(f"\n{'probe hits':33} {'a handshake':>11} {f'{RECORDS} records':>15} {'ns a hit':>10}")
    for name, (runs, ns, uprobe) in sorted(per_handshake.items(), key=lambda item: (not item[1][2], item[0])):
        kind = "uprobe" if uprobe else "tracepoint"
        cost = f"{ns / runs:10.0f}" if runs else f"{'–':>10}"
        print(f"  {name:22} {kind:10} {runs / done:9.2f} {per_records[name][0]:15d} {cost}")
    hits = uprobe_hits(per_records)
    print(f"  uprobe hits for {RECORDS} records sent and {RECORDS} received: {hits}" + ("" if hits == 0 else "  (must be 0)"))
    return hits


def print_noise(result, load_before):
    def apart(values):
        middle, low, high, _, _ = spread(values["none"] + values["none again"])
        return 100 * (high - low) / middle

    print(f"\nnoise: without the agent the quartiles of all turns lie {apart(result.rates):.1f} % of the median apart "
          f"(processor time: {apart(result.used):.1f} %);\n       load average before the run {load_before:.2f}; "
          "a ratio is worth something only where it stands out from `none again / none`")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="directory with the agent and the bench's programs")
    parser.add_argument("--fixtures", help="directory with the test certificates (default: BUILD/fixtures)")
    parser.add_argument("--policy", default="deploy/policies/public-resolvers.yaml", help="policy of the agent; '' for none")
    parser.add_argument("--rounds", type=int, default=9, help="at least 7 (default: 9)")
    parser.add_argument("--seconds", type=float, default=3, help="of load in each turn (default: 3)")
    options = parser.parse_args()
    if options.rounds < 7 or options.seconds <= 0:
        parser.error("at least 7 rounds, and more than 0 seconds")
    return options


def find_paths(options, scratch):
    build = pathlib.Path(options.build).absolute()
    paths = argparse.Namespace(
        agent=str(build / "tlswarden"), handshake=str(build / "bench/handshake"), empty=str(build / "bench/empty"),
        fixtures=options.fixtures or str(build / "fixtures"), policy=options.policy, scratch=scratch, warm_up=20)
    for path in (paths.agent, paths.handshake, paths.empty, paths.fixtures + "/good-root.pem"):
        if not os.path.exists(path):
            raise BenchError(f"{path} is missing; `make bench` builds it")
    linked = subprocess.run(["ldd", paths.handshake], check=True, capture_output=True, text=True).stdout
    libraries = [line.split()[2] for line in linked.splitlines() if "libcrypto.so" in line]
    if not libraries:
        raise BenchError(f"{paths.handshake} is not linked with libcrypto")
    paths.libcrypto = os.path.realpath(libraries[0])
    return paths


def bench(options, scratch):
    load_before = os.getloadavg()[0]
    paths = find_paths(options, scratch)
    print(f"TLS 1.3 over loopback, ECDSA P-256, leaf and intermediate, client verifies; client and server on one processor;\n"
          f"{options.rounds} rounds of {options.seconds:g} s a turn; Linux {platform.release()}, {os.cpu_count()} processors, {paths.libcrypto}")
    result = take_turns(paths, options.rounds, options.seconds)
    result.paced = measure_paced(paths)
    if not result.latencies or not result.paced:
        raise BenchError("the agent saw no verification of the load")
    per_handshake, done, per_records = count_hits(paths)
    print_measure("handshakes per second", result.rates)
    print_measure("µs of processor time for one", result.used)
    print_costs(result)
    hits = print_hits(per_handshake, done, per_records)
    print(f"  the empty return probe: {result.site.removeprefix('ready ')}")
    print_noise(result, load_before)
    if hits:
        raise BenchError("a record on an established connection hit a uprobe")


def main():
    options = arguments()
    if os.geteuid() != 0:
        print("bench: needs root, to attach probes: sudo make bench", file=sys.stderr)
        return 3
    try:
        with tempfile.TemporaryDirectory(prefix="tlswarden-bench-") as scratch:
            bench(options, scratch)
    except (BenchError, subprocess.SubprocessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
