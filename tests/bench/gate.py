#!/usr/bin/python3
"""What the gate costs: packets of connections that nobody judges, and the time from a verification to its verdict's effect.

Packets (transfer.c): one connection over loopback, in small writes and in large ones; without the agent, with it while
the gate is off (its policy only audits), on with nothing waiting, and on while another socket waits all the time: then each
packet on the host is looked at. For that the judge is stopped while a handshake of ours is before it. `empty` is a program in
the gate's place that does nothing: that part of the cost is the kernel's own.

Latencies (handshake.c, a hundred a second): a chain that is allowed and one that is condemned, of which the agent has not heard
(each asks for another name) and of which it has. What the events say, and what the client sees. A known good chain leaves no
event.

All in turns, as in bench.py; ratios and differences are made within a round. Needs root and what `make bench` builds.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

import latency
from machine import (BPFTOOL, LOAD_SECONDS, STATS, Agent, BenchError, Empty, counts, difference, expect_line,
                     find_paths, print_spread, run, write_policy)

KINDS = {"64-byte writes": (64, 160000, 8), "128 KiB writes": (131072, 8000)}
CASES = ("none", "gate off", "gate on", "one pending", "empty", "none again")
SUBTRACTED = (("gate off", "none"), ("gate on", "gate off"), ("one pending", "gate off"), ("gate on", "empty"),
              ("empty", "none"), ("none again", "none"))
DIVIDED = (("gate off", "none"), ("gate on", "none"), ("one pending", "none"), ("empty", "none"), ("none again", "none"))
GATE_SECONDS = 30       # for the gate to say that it has changed, or a socket to be held; beyond it the bench fails
CONFIG = "gate_timeout: 60s\nfail: open\n"      # far longer than a turn, so that the time does not let the socket go


class Gated(Agent):
    """The agent, with a policy that is changed between auditing and enforcing."""

    def __init__(self, paths, enforcing):
        config = pathlib.Path(paths.scratch, "gate.yaml")
        config.write_text(CONFIG, encoding="utf-8")
        self.file = pathlib.Path(paths.scratch, "gate-policy.yaml")
        self.texts = {mode: pathlib.Path(write_policy(paths, mode, "require")).read_text(encoding="utf-8")
                      for mode in ("audit", "enforce")}
        self.write(enforcing)
        super().__init__(paths, str(self.file), mode=None, events="violations", config=str(config))

    def __enter__(self):
        super().__enter__()
        try:
            self.expect_gate("gate on" if self.enforcing else "gate off")
        except BaseException:
            self.__exit__()
            raise
        return self

    def write(self, enforcing):
        self.enforcing = enforcing
        self.file.write_text(self.texts["enforce" if enforcing else "audit"], encoding="utf-8")

    def turn(self, enforcing):
        self.write(enforcing)
        self.reload()
        self.expect_gate("gate on" if enforcing else "gate off")

    def expect_gate(self, wanted):
        """What the agent says, and what is attached."""
        end = time.monotonic() + GATE_SECONDS
        while time.monotonic() < end:
            told = self.events_of("gate-changed")
            state = told[-1]["tlswarden"]["gate"]["state"] if told else "?"
            if "gate " + state == wanted and self.attached() == (state == "on"):
                return
            time.sleep(0.02)
        raise BenchError(f"{wanted} was expected; the agent says {state}, its program is "
                         f"{'' if self.attached() else 'not '}attached")

    def attached(self):
        """Is its program on some cgroup? By the cgroup's own list."""
        shown = subprocess.run([BPFTOOL, "-j", "cgroup", "tree"], check=True, capture_output=True, text=True)
        programs = self.held("prog")
        return any(program["id"] in programs for group in json.loads(shown.stdout or "[]") for program in group["programs"])

    def pending(self):
        """How many sockets wait."""
        shown = json.loads(subprocess.run([BPFTOOL, "-j", "map", "show"], check=True, capture_output=True).stdout)
        maps = self.held("map")
        found = [one["id"] for one in shown if one["id"] in maps and one.get("name") == "pending"]
        if not found:
            raise BenchError("the agent holds no map of pending sockets")
        dump = subprocess.run([BPFTOOL, "-j", "map", "dump", "id", str(found[0])], check=True, capture_output=True, text=True)
        return len(json.loads(dump.stdout))

    @contextlib.contextmanager
    def one_pending(self):
        """A handshake whose verdict does not come before the end of this."""
        judge = self.pids()[1]
        load = None
        os.kill(judge, signal.SIGSTOP)
        try:
            load = subprocess.Popen([self.paths.handshake, self.paths.fixtures, "records", "1"],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            end = time.monotonic() + GATE_SECONDS
            while not self.pending():
                if time.monotonic() > end or load.poll() is not None:
                    raise BenchError("the gate did not hold a handshake while the judge was stopped")
                time.sleep(0.02)
            yield
            if not self.pending() or load.poll() is not None:
                raise BenchError("the gate let a socket go while packets were measured")
            os.kill(judge, signal.SIGCONT)
            expect_line(load, "established")
        finally:
            os.kill(judge, signal.SIGCONT)
            if load:
                load.kill()
                load.wait()
                load.stdin.close()
                load.stdout.close()


# --- packets ----------------------------------------------------------------------------------------------------------

def transfer(paths, kind):
    """ns of processor time a packet, MB a second, packets."""
    done = subprocess.run([paths.transfer, *map(str, KINDS[kind])], capture_output=True, text=True, timeout=LOAD_SECONDS)
    words = done.stdout.split()
    if done.returncode or len(words) != 8:
        raise BenchError(f"the transfer failed\n{done.stdout}{done.stderr}")
    size, packets, used, seconds = (float(word) for word in words[1::2])
    return used * 1e9 / packets, size / seconds / 1e6, packets


def cgroup_root():
    for line in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return where
    raise BenchError("no cgroup v2 is mounted: there is no gate on this machine")


class Packets:
    """ns, MB/s: of each kind, of each case, one value a round."""

    def __init__(self, paths):
        self.paths = paths
        self.cgroup = cgroup_root()
        self.ns = {kind: {case: [] for case in CASES} for kind in KINDS}
        self.rates = {kind: {case: [] for case in CASES} for kind in KINDS}
        self.packets = {}

    def measure(self, case):
        for kind in KINDS:
            ns, rate, self.packets[kind] = transfer(self.paths, kind)
            self.ns[kind][case].append(ns)
            self.rates[kind][case].append(rate)

    def round(self, turn):
        """With one agent for all its cases, every other time in the reverse order."""
        self.measure("none")
        reverse = turn % 2 == 1
        with Gated(self.paths, enforcing=reverse) as agent:
            if not reverse:
                self.measure("gate off")
                agent.turn(enforcing=True)
                self.measure("gate on")
            with agent.one_pending():
                self.measure("one pending")
            if reverse:
                self.measure("gate on")
                agent.turn(enforcing=False)
                self.measure("gate off")
        with Empty(self.paths, self.cgroup):
            self.measure("empty")
        self.measure("none again")

    def show(self):
        for kind in KINDS:
            print_spread(f"{kind}: ns of processor time a packet", self.ns[kind])
            for case, base in SUBTRACTED:
                print_spread(None, {f"{case} − {base}": [a - b for a, b in zip(self.ns[kind][case], self.ns[kind][base])]})
            print_spread(f"{kind}: MB a second", self.rates[kind])
            for case, base in DIVIDED:
                print_spread(None, {f"{case} / {base}": [a / b for a, b in zip(self.rates[kind][case],
                                                                               self.rates[kind][base])]}, digits=4)


def own_time(paths):
    """{(kind, case): (runs a packet, ns a run)} by the kernel's own statistics of the program."""
    enabled = STATS.read_text()
    found = {}
    try:
        STATS.write_text("1\n")
        with Gated(paths, enforcing=True) as agent:
            programs = agent.held("prog")
            for case in ("gate on", "one pending"):
                with agent.one_pending() if case == "one pending" else contextlib.nullcontext():
                    for kind in KINDS:
                        before = counts(programs)
                        _, _, packets = transfer(paths, kind)
                        hits = difference(before, counts(programs))
                        gate = [(runs, ns) for runs, ns, what in hits.values() if what == "cgroup_skb"]
                        runs, ns = map(sum, zip(*gate))
                        if not runs:
                            raise BenchError("no packet went through the gate")
                        found[kind, case] = runs / packets, ns / runs
    finally:
        STATS.write_text(enabled)
    return found


def show_own_time(found):
    print("\nthe gate's program, by the kernel's own clock (whose reading is in it)   runs a packet     ns a run")
    for (kind, case), (runs, ns) in found.items():
        print(f"  {kind + ', ' + case:70} {runs:13.2f} {ns:12.0f}")


# --- the report -------------------------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="directory with the agent and the bench's programs")
    parser.add_argument("--fixtures", help="directory with the test certificates (default: BUILD/fixtures)")
    parser.add_argument("--rounds", type=int, default=7, help="at least 3 (default: 7)")
    parser.add_argument("--handshakes", type=int, default=120, help="in each turn, for the latencies (default: 120)")
    options = parser.parse_args()
    if options.rounds < 3 or options.handshakes < 1:
        parser.error("at least 3 rounds, and 1 handshake")
    options.policy = None
    return options


def bench(options, scratch):
    paths = find_paths(options, scratch, "handshake", "transfer", "empty")
    print(f"the gate: {options.rounds} rounds, each of {', '.join(KINDS)} over loopback, and of {options.handshakes} handshakes "
          f"a turn at 100 a second;\nLinux {platform.release()}, {os.cpu_count()} processors", flush=True)
    packets, latencies = Packets(paths), latency.Latencies(paths, options.handshakes)
    for turn in range(options.rounds):
        packets.round(turn)
        latencies.round(turn)
        small = next(iter(KINDS))
        print(f"  round {turn + 1} of {options.rounds}: ns a small packet " +
              ", ".join(f"{case} {packets.ns[small][case][-1]:.0f}" for case in CASES), flush=True)
    own = own_time(paths)
    packets.show()
    show_own_time(own)
    latencies.show()


if __name__ == "__main__":
    sys.exit(run(bench, arguments()))
