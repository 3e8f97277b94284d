"""The gate's promise: not one application byte of a condemned connection leaves, and its neighbours do not notice.

The servers answer at once and count what arrives. Crowds (crowds.py) connect to a good and a condemned server, mixed, from
one process where the client can; GATE_COUNT says how many times to each (the full matrix: 200). What the agent costs the
good ones is printed, for rounds with and without it in turns; the test itself fails only for what no noise explains:
tests/bench/gate_clients.py measures.
"""
import collections
import datetime
import json
import os
import statistics
import time

import clients
import crowds
from agent import Agent, get
from expect import cases, equal
from host import Unable, check
from test_matrix import node_library

COUNT = int(os.environ.get("GATE_COUNT") or 0)      # for every crowd; 0: as below
COUNT_TOGETHER, COUNT_EACH = 200, 40    # from one process; a process each, which takes longer
ROUNDS = 3
ROUND_COUNT = 8
ACTION_US = 100_000     # from the verification to the end of the connection
WRITTEN_SECONDS = 0.2   # until its event is written, at most
MUCH_SLOWER = 2.0       # TCP's timer alone is 200 ms; a ratio below this is noise or is measured by the bench
UNVERIFIED = 1.5        # seconds after which a handshake that nothing verified would be told of
END_LIMIT = 30          # seconds until the server must have seen the end of a connection
VERSIONS = ("1.2", "1.3")
ALL = [(crowd.name, tls) for crowd in crowds.ALL for tls in VERSIONS]
QUIET = [(name, "1.3") for name in ("curl", "wget", "asyncio", "nginx")]


def specs(env, serve, tls, family=4):
    """The condemned server, and the good one."""
    return [{"chain": env.fixtures.path(leaf + ".chain.pem"), "key": env.fixtures.path(leaf + ".key"), "tls": tls,
             "serve": serve, "family": family} for leaf in ("forged-leaf", "good-leaf")]


def gated(env, kind="enforce"):
    """The agent that the tests share, with its gate on and all the clients' libraries attached."""
    env.watch_stalls()
    agent = env.agent(kind)
    agent.ensure_attached(node_library(), clients.BY_NAME["node"].holder())
    check_on(agent)
    return agent


def check_on(agent):
    agent.read()
    states = [get(event, "tlswarden.gate.state") for event in agent.events if get(event, "event.action") == "gate-changed"]
    check(states[-1:] == ["on"], f"the gate is not on: {states}")


def quiet_agent(env):
    """One that writes violations alone: what it has allowed the kernel then lets through without a word."""
    env.watch_stalls()
    if not env.current or env.current[0] != "gate-quiet" or not env.current[1].alive:
        env.stop_agents()
        agent = Agent(env.host, env.binary, env.fixtures.policy(), name="gate-quiet", events=())
        env.agents.append(agent)
        env.current = ("gate-quiet", agent.wait_started())
        check_on(agent)
    env.trace.append((env.current[1].describe, env.current[1].begin_test()))
    return env.current[1]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def is_late(env, event):
    """Beyond the time, and beyond what the machine stood still in it; an event is written a while after that."""
    took, written = get(event, "tlswarden.latency_us.action"), datetime.datetime.fromisoformat(get(event, "@timestamp"))
    if took is None or took <= ACTION_US:
        return took is None
    end = written.timestamp()
    stood = env.stalls.seconds(end - WRITTEN_SECONDS - took / 1e6, end)
    print(f"       ended after {took} µs, in which the machine stood still for {stood:.3f} s", flush=True)
    return took - stood * 1e6 > ACTION_US


def check_events(env, agent, port, connections):
    """One violation for each connection, killed in time, and no other; their latencies."""
    events = agent.verifications(port, count=len(connections))
    results = collections.Counter(f'{get(event, "event.action")} {get(event, "tlswarden.action.result")}'
                                  for event in events)
    check(set(results) <= {"policy-violation killed", "policy-violation rejected"}, f"what became of them: {dict(results)}")
    of_server = collections.Counter(connection["port"] for connection in connections)
    of_agent = collections.Counter(get(event, "source.port") for event in events)
    check(of_server == of_agent, f"events of other connections: {of_agent - of_server}, of none: {of_server - of_agent}")
    latencies = {name: [get(event, f"tlswarden.latency_us.{name}") for event in events] for name in ("verdict", "action")}
    late = [get(event, "tlswarden.latency_us.action") for event in events if is_late(env, event)]
    check(not late, f"{len(late)} were ended too late (µs): {late[:10]}")
    return latencies


def check_silent(servers, port):
    """The server got nothing of any connection, and each has ended."""
    connections = servers.settled(port, END_LIMIT)
    leaks = [connection for connection in connections if connection["bytes"]]
    check(not leaks, f"{len(leaks)} of {len(connections)} condemned connections sent application bytes: " +
          json.dumps(leaks[:4]))
    patient = [connection for connection in connections if "timed out" in (connection["error"] or "")]
    check(not patient, f"{len(patient)} connections were not ended: {patient[:4]}")
    return connections


def check_innocent(agent, port):
    agent.read()
    wrong = [event for event in agent.events[agent.begun:] if get(event, "destination.port") == port and
             get(event, "event.action") == "policy-violation"]
    check(not wrong, f"{len(wrong)} violations of good connections, the first: {json.dumps(wrong[:1])}")


def check_crowd(env, agent, crowd, tls, count):
    """Both promises for one crowd; what is worth telling."""
    servers = env.watch(crowds.Servers(env.host, specs(env, crowd.serve, tls)))
    condemned, good = servers.ports
    outcome = crowd.run(env.host, env.trusting, good, condemned, count)
    connections = check_silent(servers, condemned)
    check(not outcome.served, f"{outcome.served} clients of the condemned server were answered")
    check(len(connections) >= count, f"only {len(connections)} of {count} reached the condemned server")
    check(not outcome.failed, f"{len(outcome.failed)} of {count} good connections failed: {outcome.failed[:1]}")
    check(outcome.times is None or len(outcome.times) == count, f"{len(outcome.times or [])} of {count} good ones ended")
    latencies = check_events(env, agent, condemned, connections)
    check_innocent(agent, good)
    shown = ", ".join(f"{what} p50 {percentile(values, 0.5)} p99 {percentile(values, 0.99)} max {max(values)} µs"
                      for what, values in latencies.items())
    print(f"       {crowd.name} {tls}: {len(connections)} condemned, 0 bytes; {count} good; {shown}", flush=True)


@cases(*ALL)
def test_not_one_byte(env, name, tls):
    crowd = crowds.BY_NAME[name]
    check_crowd(env, gated(env), crowd, tls, COUNT or (COUNT_EACH if crowd.each else COUNT_TOGETHER))


@cases(*QUIET)
def test_not_one_byte_without_records(env, name, tls):
    check_crowd(env, quiet_agent(env), crowds.BY_NAME[name], tls, COUNT or COUNT_TOGETHER)


class Waves(crowds.Asyncio):
    """So few at once that the agent begins to read what the kernel condemned in rounds, and stops, all the time."""
    name = "waves"
    waves = True

    def __init__(self, few):
        self.few = few

    def at_once(self):
        return [str(self.few), "waves"]


@cases(("all", 8), ("all", 20), ("violations", 8), ("violations", 12), ("violations", 20))
def test_waves(env, events, few):
    """The next wave comes when the last one has ended: a connection that nobody ends would hold up the rest for good."""
    agent = gated(env) if events == "all" else quiet_agent(env)
    check_crowd(env, agent, Waves(few), "1.3", COUNT or COUNT_TOGETHER)


HURRIED = [("exit", "1.3", 4), ("exit", "1.2", 4), ("exit-memory", "1.3", 4), ("exit-memory", "1.2", 4),
           ("coalesced", "1.3", 4), ("coalesced", "1.2", 4), ("six", "1.3", 6), ("six", "1.2", 6), ("mapped", "1.3", 4),
           ("mapped", "1.2", 4), ("false-start", "1.2", 4), ("false-start-after", "1.2", 4)]


def start(env, kind, ports):
    return env.watch(env.host.start_client([clients.PYTHON, os.path.join(clients.HERE, "client_gate.py"), kind, env.trusting,
                                            *map(str, ports)]))


@cases(*HURRIED)
def test_hurried(env, kind, tls, family):
    """Gone before the verdict, all in one segment, before the server's Finished, over IPv6. Some at a time, as a first
    contact and after it."""
    agent = gated(env)
    servers = env.watch(crowds.Servers(env.host, specs(env, "http", tls, family)))
    for _ in range(3):
        for child in [start(env, kind, servers.ports) for _ in range(3)]:
            child.wait()
            check("served" not in child.output.splitlines(), "the condemned server answered")
    connections = check_silent(servers, servers.ports[0])
    if kind.startswith("false-start"):
        time.sleep(UNVERIFIED)
    check_events(env, agent, servers.ports[0], connections)


def run_pairs(env, agent, kind, tls):
    """(servers, what they saw of the condemned connections): every good one was answered and is not told of."""
    servers = env.watch(crowds.Servers(env.host, specs(env, "http", tls)))
    child = start(env, kind, servers.ports)
    check(child.wait() == 0, "the client failed")
    connections = servers.settled(servers.ports[1], END_LIMIT)
    answered = child.output.splitlines().count("good")
    check(answered == len(connections), f"{len(connections) - answered} of {len(connections)} good connections failed")
    check_innocent(agent, servers.ports[1])
    return servers, child


@cases("1.3", "1.2")
def test_threads(env, tls):
    """Two threads of one process verify in the same moment."""
    agent = gated(env)
    servers, _ = run_pairs(env, agent, "threads", tls)
    check_events(env, agent, servers.ports[0], check_silent(servers, servers.ports[0]))


@cases(("batch", "1.3"), ("batch", "1.2"), ("handoff", "1.3"), ("handoff", "1.2"))
def test_never_the_neighbour(env, kind, tls):
    """The thread that verifies has last read from another connection. Then the right one is ended, or the event says that it
    is not known, and none is."""
    agent = gated(env)
    servers, child = run_pairs(env, agent, kind, tls)
    connections = servers.settled(servers.ports[0], END_LIMIT)
    events = agent.wait("violations", lambda event: get(event, "event.action") == "policy-violation" and
                        get(event, "process.pid") == child.pid, count=len(connections), since=agent.begun)
    named = [event for event in events if get(event, "tlswarden.socket.how") != "unknown"]
    silent = sum(not connection["bytes"] for connection in connections)
    check(len(named) <= silent, f"{len(named)} were ended, but only {silent} sent nothing")
    wrong = [event for event in named if get(event, "destination.port") != servers.ports[0]]
    check(not wrong, f"events of another connection: {json.dumps(wrong[:1])}")


def test_multipath(env):
    """An MPTCP socket is several TCP sockets. They are gated and ended, or the event says that they are not known."""
    if not os.path.exists("/proc/sys/net/mptcp"):
        raise Unable("the kernel has no MPTCP")
    agent = gated(env)
    servers = env.watch(crowds.Servers(env.host, specs(env, "http", "1.3")))
    child = start(env, "mptcp", servers.ports)
    child.wait()
    connections = servers.settled(servers.ports[0], END_LIMIT)
    (event,) = agent.wait("violation", lambda event: get(event, "event.action") == "policy-violation" and
                          get(event, "process.pid") == child.pid, since=agent.begun)
    if get(event, "tlswarden.action.result") == "killed":
        check_events(env, agent, servers.ports[0], check_silent(servers, servers.ports[0]))
    else:
        equal(event, "tlswarden.action.result", "failed")
        equal(event, "tlswarden.socket.how", "unknown")
        check(len(connections) == 1, f"{len(connections)} connections, expected 1")


def times_of(env, servers, ports):
    """Median seconds of a good connection, for each crowd and version."""
    result = {}
    for name, tls in ALL:
        condemned, good = ports[tls, crowds.BY_NAME[name].serve]
        before = len(servers.report(good))
        outcome = crowds.BY_NAME[name].run(env.host, env.trusting, good, condemned, ROUND_COUNT)
        check(not outcome.failed, f"{name} {tls}: good connections failed: {outcome.failed[:1]}")
        result[name, tls] = statistics.median(
            outcome.times or [connection["asked"] for connection in servers.report(good)[before:] if connection["asked"]])
    return result


def test_good_ones_are_as_fast(env):
    """The same crowds with the agent and without, in turns; without it the condemned server serves them all."""
    ports, wanted = {}, []
    for tls in VERSIONS:
        for serve in ("http", "postgres", "dns"):
            ports[tls, serve] = len(wanted)
            wanted += specs(env, serve, tls)
    servers = env.watch(crowds.Servers(env.host, wanted))
    ports = {key: servers.ports[first:first + 2] for key, first in ports.items()}
    ratios = {key: [] for key in ALL}
    for number in range(ROUNDS):
        measured = {}
        for on in (True, False) if number % 2 else (False, True):
            env.stop_agents()
            if on:
                gated(env)
            measured[on] = times_of(env, servers, ports)
        for key in ALL:
            ratios[key].append(measured[True][key] / measured[False][key])
    shown = {key: statistics.median(values) for key, values in ratios.items()}
    print("       good connections, median of the rounds' ratios with the agent to without: " +
          ", ".join(f"{name} {tls} {ratio:.2f}" for (name, tls), ratio in shown.items()), flush=True)
    slow = {key: ratios[key] for key, ratio in shown.items() if ratio > MUCH_SLOWER}
    check(not slow, f"much slower with the agent: {slow}")
