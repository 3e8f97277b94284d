#!/usr/bin/python3
"""What the agent costs: full TLS handshakes per second without it, with it, and with an empty return probe in its place.

With it twice: `audit` tells of every verification, by the example policy; `enforce` has a policy that allows the load's chain and
would kill for another, and tells of violations: after the first handshake the kernel knows the verdict.

All of it in one run and in turns, since machines drift: each round measures every case once, in an order that rotates,
and `none` twice, so that the ratio between those two shows what this machine's noise alone does. Ratios are made within a
round, then summed up over rounds. Handshakes per second are what a user sees, and suffer from whatever else runs; the
processor time that client and server use for one, probes included, is steadier. Beside it: how often each probe is hit per
handshake and per record on an established connection (kernel.bpf_stats_enabled, put back afterwards), what a hit costs, and
how long the verdict takes.

Needs root, the built agent, tests/bench/handshake and tests/bench/empty, and the test certificates. Bounded: every
process it starts is ended with it, and has a time limit of its own.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

from machine import (SETTLE_SECONDS, STATS, Agent, BenchError, Empty, Machine, counts, difference,
                     expect_line, find_paths, handshakes, our_verifications, percentile, print_spread, run, spread,
                     write_policy)

RECORDS = 1000
RECORD_TRIES = 3       # probes see the whole host: another process's handshake in that moment must not fail the bench
STATS_HANDSHAKES = 500
PACED_HANDSHAKES = 500
UPROBE = "kprobe"      # the kernel's name for that type of program
CASES = ("none", "audit", "enforce", "empty", "none again")
AGENTS = ("audit", "enforce")
COMPARED = (("audit", "none"), ("enforce", "none"), ("enforce", "audit"), ("audit", "empty"), ("empty", "none"),
            ("none again", "none"))


# --- the turns --------------------------------------------------------------------------------------------------------

def attach(case, paths):
    if case == "audit":
        return Agent(paths)
    if case == "enforce":
        return Agent(paths, write_policy(paths, "enforce", "require"), mode=None, events="violations")
    return Empty(paths) if case == "empty" else Machine(paths)


def measure(case, paths, seconds, result):
    with attach(case, paths) as attached:
        cpu = attached.cpu_seconds()
        load = handshakes(paths, "seconds", seconds)
        result.rates[case].append(load.rate)
        result.used[case].append(load.used)
        if case in AGENTS:
            time.sleep(SETTLE_SECONDS)   # what is still on its way belongs to its work
            result.agent_cpu[case].append([[(end - begin) / (load.count + paths.warm_up) for begin, end in zip(*process)]
                                           for process in zip(cpu, attached.cpu_seconds())])
        if case == "empty":
            result.site = attached.site
    if case == "audit":
        events = our_verifications(attached)
        result.seen += len(events)
        result.done += load.count + paths.warm_up
        result.latencies += verdict_latencies(events)
        result.lost += attached.lost()


class Result:
    def __init__(self):
        self.rates = {case: [] for case in CASES}
        self.used = {case: [] for case in CASES}
        self.agent_cpu = {case: [] for case in AGENTS}
        self.latencies, self.paced = [], []
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

def uprobe_hits(hits):
    return sum(runs for runs, _, kind in hits.values() if kind == UPROBE)


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
            programs = agent.held("prog")
            if not programs:
                raise BenchError("the agent holds no BPF program: nothing to count")
            before = counts(programs)
            done = handshakes(paths, "count", STATS_HANDSHAKES).count
            per_handshake = difference(before, counts(programs))
            for _ in range(RECORD_TRIES):
                per_records = count_records(paths, programs)
                if uprobe_hits(per_records) == 0:
                    break
            return per_handshake, done + paths.warm_up, per_records
    finally:
        STATS.write_text(enabled)


def libcrypto_of(program):
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    libraries = [line.split()[2] for line in linked.splitlines() if "libcrypto.so" in line]
    if not libraries:
        raise BenchError(f"{program} is not linked with libcrypto")
    return os.path.realpath(libraries[0])


# --- the report -------------------------------------------------------------------------------------------------------

def print_measure(title, values):
    print_spread(title, values)
    for case, base in COMPARED:
        print_spread(None, {f"{case} / {base}, within each round": [a / b for a, b in zip(values[case], values[base])]}, digits=4)


def print_costs(result):
    def added(case):
        return statistics.median(a - b for a, b in zip(result.used[case], result.used["none"]))

    print()
    for case in CASES[1:-1]:
        print(f"  {case + ' adds':40} {added(case):9.1f} µs of processor time to a handshake")
    for case in AGENTS:
        turns = result.agent_cpu[case]
        total = statistics.median(sum(map(sum, turn)) for turn in turns) * 1e6
        parts = [[statistics.median(times) * 1e6 for times in zip(*process)] for process in zip(*turns)]
        print(f"  {case + ', the agent’s own processor time':40} {total:9.1f} µs a handshake, on whichever processor; "
              "by process: " + ", ".join(f"{user:.0f} user + {system:.0f} system" for user, system in parts))
    print(f"  {'verifications seen':40} {result.seen:9d} of {result.done}; told as lost: {result.lost}")
    for load, latencies in (("at full load", result.latencies), ("at 100 a second", result.paced)):
        print(f"  {'verification to verdict, ' + load:40} {percentile(latencies, 0.5):9.0f} µs p50, "
              f"{percentile(latencies, 0.99):.0f} µs p99, {max(latencies)} µs at most")


def print_hits(per_handshake, done, per_records):
    print(f"\n{'probe hits':33} {'a handshake':>11} {f'{RECORDS} records':>15} {'ns a hit':>10}")
    for name, (runs, ns, kind) in sorted(per_handshake.items(), key=lambda item: (item[1][2] != UPROBE, item[0])):
        if kind == "cgroup_skb":
            continue                     # the gate, which does not run while nothing enforces; gate.py is about it
        kind = "uprobe" if kind == UPROBE else "tracepoint"
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


def bench(options, scratch):
    load_before = os.getloadavg()[0]
    paths = find_paths(options, scratch, "handshake", "empty")
    paths.libcrypto = libcrypto_of(paths.handshake)
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


if __name__ == "__main__":
    sys.exit(run(bench, arguments()))
