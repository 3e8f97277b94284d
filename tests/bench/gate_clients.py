#!/usr/bin/python3
"""What good connections cost real clients while the gate is on: with the agent and without it, in turns.

The crowds of tests/live/crowds.py: real clients that connect to a good server and, in turns or at once, to one whose chain
is condemned; without the agent that one serves them too. Only good connections are compared: from connect to answer, or the
whole process where it makes but one. Each round measures every case once, in an order that rotates, and `none` twice: the
ratio of those two is what this machine's noise alone does. Medians within a turn, ratios within a round, then the median and
the quartiles over rounds.

Needs root, the built agent and the test certificates. One run at a time on a machine, and none beside the live tests.
"""
import argparse
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/live"))

import clients              # noqa: E402  # the live tests' modules are found only now
import crowds               # noqa: E402
from agent import Agent, get        # noqa: E402
from host import Failure, Host, lock        # noqa: E402
from run import Environment     # noqa: E402
from test_gate import node_library, specs       # noqa: E402

CASES = ("none", "agent", "none again")
VERSIONS = ("1.2", "1.3")
SERVES = ("http", "postgres", "dns")
EACH_LESS = 4       # so many times fewer connections of clients that need a process for each


def median_of(crowd, servers, ports, env, count, alone):
    condemned, good = ports
    before = len(servers.report(good))
    count = max(1, count // EACH_LESS) if crowd.each else count
    outcome = crowd.run(env.host, env.trusting, good, 0 if alone else condemned, count)
    if outcome.failed:
        raise Failure(f"{crowd.name}: {len(outcome.failed)} good connections failed, the first: {outcome.failed[0]}")
    return statistics.median(outcome.times or [connection["asked"] for connection in servers.report(good)[before:]
                                               if connection["asked"]])


def start_agent(env):
    """As users run it: only violations are written."""
    agent = Agent(env.host, env.binary, env.fixtures.policy(), events=())
    env.agents.append(agent)
    agent.wait_started()
    agent.ensure_attached(node_library(), clients.BY_NAME["node"].holder())
    return agent


def turn(case, wanted, servers, ports, env, options):
    """{(crowd, version, alone): median} with or without the agent; a few connections first, so that all is warm."""
    agent = start_agent(env) if case == "agent" else None
    try:
        for name, tls, alone in wanted:
            place = ports[tls, crowds.BY_NAME[name].serve]
            median_of(crowds.BY_NAME[name], servers, place, env, 3, alone)
        result = {key: median_of(crowds.BY_NAME[key[0]], servers, ports[key[1], crowds.BY_NAME[key[0]].serve], env,
                                 options.count, key[2]) for key in wanted}
    finally:
        env.stop_agents()
    if agent:
        agent.read()
        results = [get(event, "tlswarden.action.result") for event in agent.events
                   if get(event, "event.action") == "policy-violation"]
        if set(results) - {"killed", "rejected"}:
            raise Failure(f"not every condemned connection was killed: {sorted(set(map(str, results)))}")
    return result


def measure(env, options):
    wanted = [(name, tls, alone) for name in options.crowds for tls in VERSIONS for alone in (False, True)]
    ports, all_specs = {}, []
    for tls in VERSIONS:
        for serve in SERVES:
            ports[tls, serve] = slice(len(all_specs), len(all_specs) + 2)
            all_specs += specs(env, serve, tls)
    servers = crowds.Servers(env.host, all_specs)
    try:
        ports = {key: servers.ports[place] for key, place in ports.items()}
        rounds = []
        for number in range(options.rounds):
            order = CASES[number % len(CASES):] + CASES[:number % len(CASES)]
            rounds.append({case: turn(case, wanted, servers, ports, env, options) for case in order})
            print(f"  round {number + 1} of {options.rounds}", flush=True)
    finally:
        servers.close()
    return wanted, rounds


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:8.3f} {low:7.3f}–{high:<7.3f}"


def report(wanted, rounds):
    print(f"\n{'good connections':34} {'ms without':>10} {'with / without':>15} {'':8} {'without again / without':>24}")
    for key in wanted:
        name, tls, alone = key
        without = 1000 * statistics.median(each["none"][key] for each in rounds)
        ratio, noise = (spread([each[case][key] / each["none"][key] for each in rounds]) for case in ("agent", "none again"))
        print(f"  {name + ' ' + tls + (', alone' if alone else ', among condemned'):32} {without:10.2f} {ratio} {noise}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("BUILD") or str(ROOT / "build"))
    parser.add_argument("--rounds", type=int, default=7, help="at least 3 (default: 7)")
    parser.add_argument("--count", type=int, default=200,
                        help=f"good connections of a client in a turn; with a process for each, 1/{EACH_LESS} (default: 200)")
    parser.add_argument("--crowds", nargs="+", choices=sorted(crowds.BY_NAME), default=[crowd.name for crowd in crowds.ALL])
    options = parser.parse_args()
    if options.rounds < 3 or options.count < 1:
        parser.error("at least 3 rounds, and 1 connection")
    if os.geteuid() != 0:
        print("gate_clients: needs root, to attach probes", file=sys.stderr)
        return 3
    held = lock("live-tests")
    host = Host()
    try:
        report(*measure(Environment(host, os.path.abspath(options.build)), options))
    except Failure as why:
        print(f"gate_clients: {why}", file=sys.stderr)
        return 1
    finally:
        host.close()
        held.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
