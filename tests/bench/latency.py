"""How long it takes from a verification to its release or kill, of first contacts and of cached verdicts: part of gate.py.

Percentiles are over all samples of all rounds, for a hundredth of one turn is a single handshake.
"""

import time

from machine import (SETTLE_SECONDS, Agent, BenchError, Machine, handshakes, our_verifications, percentile, print_spread,
                     write_policy)

SETTLE_TRIES = 50      # of SETTLE_SECONDS each, for the events of a load to be written
# Each: how the load goes, the agent's mode, what its policy asks, which events it writes.
CASES = {
    "none": ("paced", None, None, None),
    "audit": ("paced", "audit", "require", "all"),
    "allow, first contact": ("fresh", "enforce", "require", "all"),
    "allow, cached": ("paced", "enforce", "require", "violations"),
    "kill, first contact": ("condemned-fresh", "enforce", "forbid", "violations"),
    "kill, cached": ("condemned", "enforce", "forbid", "violations"),
    "none again": ("paced", None, None, None),
}
KINDS = {"verdict": "verification to verdict", "action": "verification to kill"}
# What holding the connection until it is released adds: an auditing agent has all but that.
DIFFERENCES = (("allow, first contact", "audit"), ("allow, cached", "audit"))
KILLED = ("killed", "rejected")


class Latencies:
    """What the events say, in µs, by case and kind; what the client saw, one value a round."""

    def __init__(self, paths, number):
        self.paths, self.number = paths, number
        self.told = {(case, kind): [] for case in CASES for kind in KINDS}
        self.seen = {case: [] for case in CASES}
        self.seen_late = {case: [] for case in CASES}
        self.released = {"half": [], "99 of 100": []}   # the agent's own figures of a turn, one value a round

    def round(self, turn):
        cases = list(CASES)
        for case in cases[turn % len(cases):] + cases[:turn % len(cases)]:
            self.measure(case)

    def measure(self, case):
        how, mode, ask, events = CASES[case]
        if mode is None:
            with Machine(self.paths):
                return self.client(case, handshakes(self.paths, how, self.number))
        policy = write_policy(self.paths, mode, ask)
        with Agent(self.paths, policy, mode=None, events=events) as agent:
            load = handshakes(self.paths, how, self.number)
            expected = 0 if case == "allow, cached" else load.count + self.paths.warm_up
            self.collect(case, load, self.wait_events(case, agent, expected))
        if agent.lost():
            raise BenchError(f"{case}: verifications were lost")
        if case == "allow, first contact":
            self.collect_released(load, agent.events_of("agent-stopped")[-1]["tlswarden"]["gate"])
        if case.endswith(", cached"):
            self.expect_cached(case, load, agent.events_of("agent-stopped")[-1]["tlswarden"]["cached"])
        return None

    def expect_cached(self, case, load, cached):
        known = cached["denied" if case.startswith("kill") else "allowed"]
        if known < load.count:
            raise BenchError(f"{case}: the kernel knew the verdict of {known} of {load.count} only")

    def collect_released(self, load, gate):
        if gate["released"] < load.count:
            raise BenchError(f"{load.count} connections waited for their first verdict, and {gate['released']} were let go")
        self.released["half"].append(gate["release_us"]["p50"])
        self.released["99 of 100"].append(gate["release_us"]["p99"])

    def client(self, case, load):
        self.seen[case].append(load.p50)
        self.seen_late[case].append(load.p99)

    def wait_events(self, case, agent, expected):
        """Those of the load but its warm-up, in which a cache learns."""
        for _ in range(SETTLE_TRIES):
            time.sleep(SETTLE_SECONDS)
            events = our_verifications(agent)
            if len(events) >= expected:
                break
        # Until the first verdict is in the cache, a chain that becomes known leaves an event.
        if len(events) != expected and not (expected == 0 and len(events) <= self.paths.warm_up):
            raise BenchError(f"{case}: {len(events)} events of {expected} verifications")
        return events[self.paths.warm_up:]

    def collect(self, case, load, events):
        self.client(case, load)
        if case.startswith("kill"):
            if load.ended != load.count:
                raise BenchError(f"{case}: {load.count - load.ended} of {load.count} condemned connections got through")
            wrong = [event for event in events if event["tlswarden"]["action"]["result"] not in KILLED]
            if wrong:
                raise BenchError(f"{case}: {len(wrong)} were not killed: {wrong[0]['tlswarden']['action']}")
        for event in events:
            for kind in KINDS:
                if kind in event["tlswarden"]["latency_us"]:
                    self.told[case, kind].append(event["tlswarden"]["latency_us"][kind])

    def show(self):
        print(f"\n{'µs, at 100 a second, as the events tell':60} {'p50':>8} {'p99':>8} {'most':>8} {'of':>6}")
        for (case, kind), values in self.told.items():
            if values:
                print(f"  {case + ': ' + KINDS[kind]:58} {percentile(values, 0.5):8.0f} {percentile(values, 0.99):8.0f} "
                      f"{max(values):8.0f} {len(values):6}")
        print_spread("µs from verification to release, first contact", self.released, digits=0)
        print_spread("µs for a connection, as the client sees it: median", self.seen)
        for case in list(CASES)[1:]:
            print_spread(None, {f"{case} / none": [a / b for a, b in zip(self.seen[case], self.seen["none"])]}, digits=4)
        for case, base in DIFFERENCES:
            print_spread(None, {f"{case} − {base}": [a - b for a, b in zip(self.seen[case], self.seen[base])]})
        print_spread("the same: 99 of 100 are below", self.seen_late)
