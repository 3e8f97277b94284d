#!/usr/bin/python3
"""What good connections cost real clients while the gate is on: with the agent and without it, side by side.

The crowds of tests/live/crowds.py: real clients that connect to a good server and, in turns or at once, to one whose chain
is condemned. Only good connections are compared: from connect to answer, or the whole process where it makes but one.

The two servers are processes of their own: what one has to do for a connection that breaks off does not hold up the other.
Without the agent the condemned server itself ends each connection after the handshake, so that the client has the same to do
on both sides; with --served it answers them instead. A hundred at once come in waves: if each that ends made room for the next, the
good ones would take longer because the others are done sooner, whoever ends them.

A machine's speed drifts within minutes by more than the agent costs. So a case (a crowd, a version, alone or among condemned)
is visited for a few seconds in each round, and its turns follow each other in the order of VISIT, all with the same server
process. A ratio is that of two neighbours, and the side that is measured first changes. For `again` an agent is started
and has ended before: the same distance and the same disturbance, so that its ratio is what noise alone does.

A turn's figure is the median over its connections. Where a hundred are open at once, that depends much on the order in which
they happen to be served, and their mean less: its ratio is beside it. Over all ratios of a case: median, quartiles, and the
interval that the signed-rank test gives. `agent µs`: processor time of the agent's processes for each condemned
connection (and the good one beside it), or for each good one where there are no others.

Needs root, the built agent and the test certificates. One run at a time on a machine, and none beside the live tests.
"""
import argparse
import collections
import glob
import itertools
import math
import os
import pathlib
import signal
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/live"))

import clients              # noqa: E402  # the live tests' modules are found only now
import crowds               # noqa: E402
from agent import Agent, descendants, get       # noqa: E402
from host import Failure, Host, lock        # noqa: E402
from run import Environment     # noqa: E402
from test_gate import node_library, specs       # noqa: E402

VISIT = ("none", "agent", "agent", "none", "again", "again", "none", "agent", "agent", "none")
VERSIONS = ("1.2", "1.3")
KINDS = ("alone", "among condemned")
LIMIT = 1.05            # what a good connection may take at the median, as a multiple
SURE = 0.95             # of an interval: to have the true ratio in it
WARM_COUNT = 3          # connections to each server before a turn that comes after a start or an end
WARM_TRIES = 10         # until the agent has found what a client maps; beyond it the bench fails
SETTLE_SECONDS = 0.05   # for the agent to finish what it writes, before its time is read
LESS = {"curl": 4, "gnutls-cli": 4, "kdig": 4, "git": 16, "psql": 16}      # so many times fewer connections: they take so much longer
MORE = {"asyncio": 4, "node": 4, "nginx": 4}    # so many times more: of waves the first are slow, and each differs from the next
RUNS = {"curl": 8}      # in a turn, likewise, of processes that end after fewer

Case = collections.namedtuple("Case", "name tls kind")
# turns: (one of VISIT, median, mean) in seconds, in their order; used: the agent's ns for a connection.
Visited = collections.namedtuple("Visited", "turns used")


def processor_ns(agent):
    """Of all threads of the agent's processes so far."""
    total = 0
    for pid in descendants(agent.child.pid):
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                total += int(pathlib.Path(path).read_text(encoding="ascii").split()[0])
            except (FileNotFoundError, ProcessLookupError):     # it has ended
                pass
    return total


class Visit:
    """One case with servers of its own. measure() does all turns."""

    def __init__(self, env, case, count, served):
        self.env, self.case, self.crowd = env, case, crowds.BY_NAME[case.name]
        self.served = served
        self.crowd.waves = True
        self.count = max(1, count * MORE.get(case.name, 1) // LESS.get(case.name, 1))
        self.runs = RUNS.get(case.name, 1)
        self.alone = case.kind == "alone"
        self.turns, self.used = [], []
        condemned, good = specs(env, self.crowd.serve, case.tls)
        self.good = crowds.Servers(env.host, [good])
        self.condemned = crowds.Servers(env.host, [condemned, {**condemned, "resets": True}])

    def run(self, count, alone, resets=False):
        """Seconds of each good connection, and how many condemned ones were served."""
        good, = self.good.ports
        condemned = self.condemned.ports[resets]
        before = len(self.good.report(good))
        outcome = self.crowd.run(self.env.host, self.env.trusting, good, 0 if alone else condemned, count)
        if outcome.failed:
            raise Failure(f"{len(outcome.failed)} good connections failed, the first: {outcome.failed[0]}")
        times = outcome.times or [connection["asked"] for connection in self.good.report(good)[before:]
                                  if connection["asked"]]
        return times, outcome.served

    def turn(self, what):
        times, served = [], 0
        for _ in range(self.runs):
            more, answered = self.run(self.count, self.alone, resets=what != "agent" and not self.served)
            times += more
            served += answered
        if served != (0 if self.alone or what == "agent" or not self.served else self.count * self.runs):
            raise Failure(f"{served} of {self.count * self.runs} condemned connections were served, {what}")
        self.turns.append((what, statistics.median(times), statistics.fmean(times)))

    def warm_up(self, with_agent):
        """With the agent, until it ends what is condemned: then it has found the client's library, and its gate is on."""
        for _ in range(WARM_TRIES):
            _, served = self.run(WARM_COUNT, alone=False)
            if bool(served) != with_agent:
                return
        raise Failure(f"{served} of {WARM_COUNT} condemned connections are served, with{'' if with_agent else 'out'} the agent")

    def start_agent(self):
        """As users run it: only violations are written."""
        agent = Agent(self.env.host, self.env.binary, self.env.fixtures.policy(), events=())
        self.env.agents.append(agent)
        agent.wait_started()
        if self.case.name == "node":
            agent.ensure_attached(node_library(), clients.BY_NAME["node"].holder())
        return agent

    def turns_with_agent(self, number):
        agent = self.start_agent()
        try:
            self.warm_up(with_agent=True)
            mark, before = agent.mark(), processor_ns(agent)
            for _ in range(number):
                self.turn("agent")
            connections = number * self.runs * self.count
            if not self.alone:
                self.check_killed(agent, mark, connections)
            time.sleep(SETTLE_SECONDS)
            self.used.append((processor_ns(agent) - before) / connections)
        finally:
            self.env.stop_agents()

    def check_killed(self, agent, mark, count):
        events = agent.wait("violations", lambda event: get(event, "event.action") == "policy-violation", count=count,
                            since=mark)
        results = {get(event, "tlswarden.action.result") for event in events}
        if results - {"killed", "rejected"}:
            raise Failure(f"not every condemned connection was killed: {sorted(map(str, results))}")

    def measure(self):
        """A server that has just begun is quicker than later: a turn's worth of connections comes before all."""
        self.run(self.count, self.alone)
        for what, group in itertools.groupby(VISIT):
            number = len(list(group))
            if what == "agent":
                self.turns_with_agent(number)
                continue
            if what == "again":
                self.start_agent()
                self.env.stop_agents()
            self.warm_up(with_agent=False)
            for _ in range(number):
                self.turn(what)
        return Visited(self.turns, self.used)

    def close(self):
        """Forgets the children that have ended, too: thousands of them, whose ids the system gives to others in time."""
        self.good.close()
        self.condemned.close()
        self.env.host.children[:] = [child for child in self.env.host.children if not child.ended]


def measure(env, wanted, options, results):
    """Adds to results {case: [Visited]}, so that what has been measured is there whatever happens."""
    begin = time.monotonic()
    for number in itertools.count(1):
        left = wanted if number <= options.rounds else [case for case in wanted if verdict(results[case]) == UNDECIDED]
        if not left or number > options.rounds and time.monotonic() - begin > 60 * options.minutes:
            return
        for case in left:
            visit = Visit(env, case, options.count, options.served)
            try:
                results[case].append(visit.measure())
            except Failure as why:
                raise Failure(f"{' '.join(case)}: {why}") from None
            finally:
                visit.close()
        print(f"  round {number}, {len(left)} lines, after {time.monotonic() - begin:.0f} s", flush=True)


# --- the report -------------------------------------------------------------------------------------------------------

MEDIAN, MEAN = 1, 2
ABOVE, WITHIN, UNDECIDED = "above", "within", "undecided"


def ratios(visits, wanted, figure):
    """Of neighbours, one of which is without the agent."""
    found = []
    for visited in visits:
        for one, other in zip(visited.turns, visited.turns[1:]):
            if {one[0], other[0]} == {"none", wanted}:
                with_it, without = (one, other) if one[0] == wanted else (other, one)
                found.append(with_it[figure] / without[figure])
    return found


def interval(values):
    """That of the signed-rank test (Hodges and Lehmann), exact; None if there are too few values. It asks for no normal
    distribution, only that noise lengthens as often as it shortens; so it does, for it falls on either side alike."""
    sums = [1]          # how many sets of the ranks so far have this sum
    for rank in range(1, len(values) + 1):
        sums = [a + b for a, b in zip(sums + [0] * rank, [0] * rank + sums)]
    tail, left_out = 0, 0
    while tail + sums[left_out] <= (1 - SURE) / 2 * sum(sums):
        tail += sums[left_out]
        left_out += 1
    if not left_out:
        return None
    logs = [math.log(value) for value in values]
    means = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(logs, 2))
    return math.exp(means[left_out - 1]), math.exp(means[-left_out])


def verdict(visits):
    """Of the limit, by the whole interval."""
    span = interval(ratios(visits, "agent", MEDIAN))
    if not span or span[0] <= LIMIT < span[1]:
        return UNDECIDED
    return ABOVE if span[0] > LIMIT else WITHIN


def shown(pair):
    return f"{pair[0]:.3f}–{pair[1]:.3f}" if pair else "too few"


def report_line(case, visits):
    """Prints it. Gives what it says of the limit, and whether the interval of `again` leaves out 1."""
    with_it, of_means, again = (ratios(visits, *which) for which in (("agent", MEDIAN), ("agent", MEAN), ("again", MEDIAN)))
    without = statistics.median(turn[MEDIAN] for visited in visits for turn in visited.turns if turn[0] == "none")
    used = statistics.median(used for visited in visits for used in visited.used)
    low, _, high = statistics.quantiles(with_it, n=4)
    span, again_span = interval(with_it), interval(again)
    says = verdict(visits)
    print(f"{' '.join(case):30} {1000 * without:8.2f} {statistics.median(with_it):9.3f} {shown((low, high)):>12} {shown(span):>12} "
          f"{'ABOVE' if says == ABOVE else '':5} {statistics.median(of_means):7.3f} {shown(interval(of_means)):>12} "
          f"{statistics.median(again):8.3f} {shown(again_span):>12} {used / 1000:8.1f}")
    return says, bool(again_span) and not again_span[0] <= 1 <= again_span[1]


def report(results):
    lines = {case: visits for case, visits in results.items() if visits}
    if not lines:
        return
    sure = f"{100 * SURE:.0f} %"
    print(f"\n{'':30} {'ms':>8} {'with / without':>9} {'':28} {'of means':>17} {'':5} {'again / without':>18}")
    print(f"{'good connections':30} {'without':>8} {'median':>9} {'quartiles':>12} {sure:>12} {'':5} {'median':>7} {sure:>12} "
          f"{'median':>8} {sure:>12} {'agent µs':>8}")
    told = [report_line(case, visits) for case, visits in lines.items()]
    said = collections.Counter(says for says, _ in told)
    print(f"\nOf {len(told)} lines {said[ABOVE]} are above {LIMIT} with their whole interval, {said[WITHIN]} not above it, "
          f"{said[UNDECIDED]} undecided. Without the agent {sum(off for _, off in told)} intervals leave out 1; "
          f"{(1 - SURE) * len(told):.1f} are to be expected.")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("BUILD") or str(ROOT / "build"))
    parser.add_argument("--rounds", type=int, default=3,
                        help="visits to each case, of four ratios each; 1 gives no interval (default: 3; all cases: half an hour to an hour)")
    parser.add_argument("--minutes", type=float, default=0,
                        help="further rounds of the lines that are undecided begin until then (default: none)")
    parser.add_argument("--count", type=int, default=200,
                        help="good connections of a client's run; a quarter or less of those with a process for each, four "
                             "times as many of those that make a hundred at once (default: 200)")
    parser.add_argument("--crowds", nargs="+", choices=sorted(crowds.BY_NAME), default=[crowd.name for crowd in crowds.ALL])
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=VERSIONS)
    parser.add_argument("--kinds", nargs="+", choices=[kind.split()[-1] for kind in KINDS], help="(default: both)")
    parser.add_argument("--served", action="store_true", help="without the agent the condemned server answers")
    options = parser.parse_args()
    if options.rounds < 1 or options.count < 1:
        parser.error("at least 1 round, and 1 connection")
    return options


def main():
    options = arguments()
    if os.geteuid() != 0:
        print("gate_clients: needs root, to attach probes", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = [kind for kind in KINDS if not options.kinds or kind.split()[-1] in options.kinds]
    wanted = [Case(*case) for case in itertools.product(options.crowds, options.versions, kinds)]
    results = {case: [] for case in wanted}
    code = 0
    held = lock("live-tests")
    host = Host()
    try:
        measure(Environment(host, os.path.abspath(options.build)), wanted, options, results)
    except Failure as why:
        print(f"gate_clients: {why}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:       # or SIGTERM
        code = 1
    finally:
        host.close()
        held.close()
    report(results)
    return code


if __name__ == "__main__":
    sys.exit(main())
