"""What goes wrong with the gate: the agent stands still, its map or its ring is full, the kernel refuses it netlink.

Each says which bytes the server got, and what the events tell. Times are bounds against hanging, and lower bounds of what
must have waited; no test is about speed.
"""
import hashlib
import json
import os
import re
import signal
import time

import clients
import gated
from agent import Agent, get
from expect import cases, check_allowed, check_violation
from gated import Holder, check_timeout, check_waited, server_of, settle
from host import check, wait_for
from test_matrix import node_library

LEAVES = {"good": "good-leaf", "forged": "forged-leaf"}
STILL = 3               # seconds in which a closed gate lets nothing out
PATIENT = "60s"         # a gate_timeout that does not pass in a test


def agent_for(env, name, **values):
    """Shared by tests that follow each other; nothing is cached of earlier ones, for each has a server port of its own."""
    if not env.current or env.current[0] != name or not env.current[1].alive:
        env.current = (name, gated.gate_agent(env, name=name, **values))
    else:
        env.trace.append((env.current[1].describe, env.current[1].begin_test()))
    return env.current[1]


# --- the agent stands still -------------------------------------------------------------------------------------------

@cases(("both", "good"), ("both", "forged"), ("judge", "good"), ("judge", "forged"))
def test_stopped_open(env, who, leaf):
    """The client is served after gate_timeout; a condemned one is killed as soon as the agent goes on."""
    agent = agent_for(env, "open", fail="open", gate_timeout="500ms")
    judge = gated.judge_of(agent)
    server = server_of(env, LEAVES[leaf])
    with gated.stopped(judge, *([agent.child.pid] if who == "both" else [])):
        holder = Holder(env, server.port)
        check(holder.wait_result() == 1, "the client was not served while the agent stood still")
        check(server.bytes > 0, "the server got nothing")
    (event,) = gated.timeouts(agent, port=server.port)
    check_timeout(event, server, "timeout", "none")
    check_waited(event)
    (event,) = agent.verifications(server.port)
    if leaf == "good":
        check_allowed(event)
        holder.tell("again")
        holder.wait_lines("again")
    else:
        check_violation(event, "localhost-issuer", "killed")
        holder.wait_lines("ended")
    time.sleep(0.2)
    check(len(gated.timeouts(agent, port=server.port)) == 1, "more than one gate-timeout")


@cases("good", "forged")
def test_stopped_closed(env, leaf):
    """Warden and judge: no byte leaves while they stand still, however long; then it is killed, good or not."""
    agent = agent_for(env, "closed", fail="closed", gate_timeout="500ms")
    judge = gated.judge_of(agent)
    server = server_of(env, LEAVES[leaf])
    with gated.stopped(agent.child.pid, judge):
        holder = Holder(env, server.port)
        holder.wait_lines("connected")
        time.sleep(STILL)
        check(server.bytes == 0 and server.handshakes == 0, f"{server.bytes} bytes left, and the handshake "
              f"{'has' if server.handshakes else 'has not'} ended, while the agent stood still")
        check(not holder.lines("failed"), "the connection ended while nobody could have ended it")
    holder.wait_lines("failed")
    server.wait_ended(1)
    check(server.bytes == 0, f"{server.bytes} bytes left")
    check_closed(agent, server, leaf)


def check_closed(agent, server, leaf):
    """Killed by the time, or, if it was condemned, by the rule: whichever came first."""
    def of_it(event):
        return get(event, "destination.port") == server.port and get(event, "tlswarden.action.result") == "killed"
    agent.asked.add(server.port)
    (event, *more) = agent.wait("killed", of_it, since=agent.begun)
    time.sleep(0.3)
    agent.read()
    more = [event for event in agent.events[agent.begun:] if of_it(event)][1:]
    check(not more, f"it was killed twice: {more}")
    if leaf == "good" or get(event, "event.action") == "gate-timeout":
        check_timeout(event, server, "timeout", "killed")
        check_waited(event)
    else:
        check_violation(event, "localhost-issuer", "killed")


@cases("good", "forged")
def test_judge_stopped_closed(env, leaf):
    """The warden kills by itself, while the judge stands still."""
    agent = agent_for(env, "closed", fail="closed", gate_timeout="500ms")
    server = server_of(env, LEAVES[leaf])
    with gated.stopped(gated.judge_of(agent)):
        holder = Holder(env, server.port)
        holder.wait_lines("failed", timeout=20)
        server.wait_ended(1)
        check(server.bytes == 0, f"{server.bytes} bytes left")
    (event,) = gated.timeouts(agent, port=server.port)
    check_timeout(event, server, "timeout", "killed")
    check_waited(event)


def test_others_do_not_wait(env):
    """One connection is gated; one that is not goes on at once."""
    agent = gated.gate_agent(env, fail="closed", gate_timeout=PATIENT)
    server, other = server_of(env, "good-leaf"), server_of(env, "good-leaf")
    first = Holder(env, server.port)
    first.wait_lines("served")
    with gated.stopped(gated.judge_of(agent), agent.child.pid):
        second = Holder(env, other.port)
        gated.wait_pending()
        first.tell("again")
        first.wait_lines("again", timeout=10)
        check(not second.lines("served"), "the second connection did not wait")
    second.wait_lines("served")
    check(not gated.pending(), "a socket is still gated")


def serve_upload(connection):
    """Answers a request whose body has all come with the digest of that."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.receive_exactly(1)
    length = int(re.search(rb"Content-Length: (\d+)", data).group(1))
    digest = hashlib.sha256(connection.receive_exactly(length)).hexdigest().encode()
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + digest + b"\n")


@cases("1.2", "1.3")
def test_what_waited_is_whole(env, tls):
    """A queue of many segments, dropped again and again while the judge stood still, arrives as it was written."""
    agent = agent_for(env, "patient", fail="open", gate_timeout=PATIENT)
    server = server_of(env, "good-leaf", tls=tls, serve=serve_upload)
    with gated.stopped(gated.judge_of(agent)):
        holder = Holder(env, server.port, 3, more=("upload", str(4 << 20)))
        gated.wait_pending(3)
        time.sleep(2)
        check(server.bytes == 0, f"{server.bytes} bytes left while the gate was shut")
    holder.wait_lines("whole")
    for event in agent.verifications(server.port, count=3):
        check_allowed(event)


def test_known_verdicts_need_no_judge(env):
    """What a process was told before is decided in the kernel, and ended by the warden alone."""
    agent = gated.gate_agent(env, fail="closed", gate_timeout=PATIENT)
    good, forged = server_of(env, "good-leaf"), server_of(env, "forged-leaf")
    child = env.watch(env.host.start_client([clients.PYTHON, clients.HERE + "/client_places.py", "told", env.trusting,
                                             "127.0.0.1", str(good.port), str(forged.port)], stdin=""))
    env.closers.append(child.end)
    said = []

    def ask(which):
        child.process.stdin.write(which.encode() + b"\n")
        child.process.stdin.flush()
        said.append(which)
        wait_for(f"answer {len(said)}, to {which}", 20, lambda: len(child.output.splitlines()) == len(said))
    for which in ("good", "forged"):
        ask(which)
    agent.verifications(good.port)
    agent.verifications(forged.port)
    with gated.stopped(gated.judge_of(agent)):
        for which in ("good", "forged") * 5:
            ask(which)
    result = json.loads(child.output.splitlines()[-1])
    check((result["good"], result["forged"], result["forged_failed"]) == (6, 0, 6), f"of six each: {result}")
    check(forged.bytes == 0, f"{forged.bytes} bytes left")
    for event in agent.verifications(forged.port, count=6):
        check_violation(event, "localhost-issuer", "killed")
    for event in agent.verifications(good.port, count=6):
        check_allowed(event)


@cases("open", "closed")
def test_ring_full(env, fail):
    """More verifications than the judge's ring holds: who finds no room in it is let go, or ended."""
    agent = gated.gate_agent(env, name="ring", fail=fail, gate_timeout="200ms" if fail == "open" else "1s")
    server = server_of(env, "big-leaf")
    mark, count = agent.mark(), 100
    with gated.stopped(gated.judge_of(agent)):
        many = [env.host.start_client(
            [clients.PYTHON, clients.HERE + "/client_large.py", str(server.port), env.fixtures.path("big-root.pem"),
             *(["25"] if fail == "open" else [])]) for _ in range(4 if fail == "open" else count)]
        codes = [child.wait(120) for child in many]
    served = sum(child.output.count(clients.BODY) for child in many)
    agent.wait("events-lost", lambda event: get(event, "event.action") == "events-lost", since=mark)
    if fail == "open":
        check(served == count and not any(codes), f"{served} of {count} were served")
    else:
        check(served == 0 and all(codes), f"{served} of {count} were served")
        check(server.bytes == 0, f"{server.bytes} bytes left")
        reasons = {get(event, "tlswarden.gate.reason") for event in gated.timeouts(agent, count, mark, server.port)}
        check(reasons == {"timeout", "full"}, f"reasons: {reasons}")
    settle(agent, env)


@cases("good", "forged")
def test_policies_change_meanwhile(env, leaf):
    """A connection waits while the judge stands still, and is to be judged by policies that no longer enforce."""
    agent = gated.gate_agent(env, fail="closed", gate_timeout=PATIENT)
    server = server_of(env, LEAVES[leaf])
    with gated.stopped(gated.judge_of(agent)):
        holder = Holder(env, server.port)
        gated.wait_pending()
        agent.write_policy(env.fixtures.policy(mode="audit"))
        agent.child.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        check(server.bytes == 0, f"{server.bytes} bytes left before anybody had judged")
    served = holder.wait_result()
    check(served or leaf == "forged", "the good one was not served")
    agent.wait("the gate's end", lambda event: get(event, "tlswarden.gate.state") == "off")
    agent.verifications(server.port)
    wait_for("the gate to go", 20, lambda: not gated.pending())


# --- the map is full --------------------------------------------------------------------------------------------------

MANY, ROOM = 10, 2


@cases("open", "closed")
def test_full(env, fail):
    """Ten at once, and room for two."""
    agent = gated.gate_agent(env, name="full", fail=fail, gate_timeout="3s", gate_max=ROOM)
    server = server_of(env, "good-leaf")
    mark = agent.mark()
    with gated.stopped(gated.judge_of(agent)):
        holder = Holder(env, server.port, MANY, more=("wait",))
        holder.wait_lines("connected")
        holder.tell("go")
        served = holder.wait_result()
    if fail == "open":
        check(served == MANY, f"{served} of {MANY} were served")
        def lost(event):
            return get(event, "event.action") == "events-lost" and (get(event, "tlswarden.lost.gated") or 0)
        event = agent.wait("events-lost that tells of sockets", lost, since=mark)[-1]
        wait_for("all that were not gated to be told of", 10, lambda: (
            agent.read(), max(lost(event) for event in agent.events[mark:]) == MANY - ROOM)[1])
        check(get(event, "event.outcome") == "failure", "the loss is no failure")
        reasons = [get(event, "tlswarden.gate.reason") for event in gated.timeouts(agent, ROOM, mark, server.port)]
        check(reasons == ["timeout"] * ROOM, f"reasons: {reasons}")
    else:
        check(served == 0, f"{served} of {MANY} were served")
        server.wait_ended(MANY)
        check(server.bytes == 0, f"{server.bytes} bytes left")
        told = gated.timeouts(agent, MANY, mark, server.port)
        for event in told:
            check_timeout(event, server, get(event, "tlswarden.gate.reason"), "killed")
        reasons = sorted(get(event, "tlswarden.gate.reason") for event in told)
        check(reasons == ["full"] * (MANY - ROOM) + ["timeout"] * ROOM, f"reasons: {reasons}")
    # There is room again.
    settle(agent, env)


# --- the kernel refuses ------------------------------------------------------------------------------------------------

NO_SOCK_DIAG = """
import ctypes, os, sys
class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
ALLOW, EPERM, EQUAL, NO_NEW_PRIVS = 0x7fff0000, 0x00050001, 4, 3
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
library.seccomp_attr_set(context, NO_NEW_PRIVS, ctypes.c_uint32(0))
# socket(AF_NETLINK, anything, NETLINK_SOCK_DIAG)
which = (Compare * 2)(Compare(0, EQUAL, 16, 0), Compare(2, EQUAL, 4, 0))
number = library.seccomp_syscall_resolve_name(b"socket")
if library.seccomp_rule_add_array(context, ctypes.c_uint32(EPERM), number, 2, which) or library.seccomp_load(context):
    sys.exit("no seccomp filter")
os.execv(sys.argv[1], sys.argv[1:])
"""


def refused_agent(env):
    """An agent that cannot ask the kernel to destroy sockets."""
    if env.current and env.current[0] == "no-sock-diag" and env.current[1].alive:
        env.trace.append((env.current[1].describe, env.current[1].begin_test()))
        return env.current[1]
    env.stop_agents()
    program = env.host.file("no_sock_diag.py", NO_SOCK_DIAG)
    wrapper = env.host.file("tlswarden-no-sock-diag", f'#!/bin/sh\nexec {clients.PYTHON} {program} {env.binary} "$@"\n')
    os.chmod(wrapper, 0o755)
    agent = Agent(env.host, wrapper, env.fixtures.policy(), name="no-sock-diag")
    env.agents.append(agent)
    env.trace.append((agent.describe, 0))
    env.current = ("no-sock-diag", agent.wait_started())
    return agent


@cases("curl", "wget", "python-ssl", "python-asyncio", "node")
def test_netlink_refused(env, name):
    """The connection is ended through the process's own descriptor, and no byte was out."""
    agent = refused_agent(env)
    client = clients.BY_NAME[name]
    if name == "node":
        agent.ensure_attached(node_library(), client.holder())
    server = server_of(env, "forged-leaf")
    check(not env.watch(client.start(env.host, server, env.trusting)).wait(), "the client was served")
    server.wait_ended(1)
    check(server.bytes == 0, f"{server.bytes} bytes left")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    server = server_of(env, "good-leaf")
    check(env.watch(client.start(env.host, server, env.trusting)).wait(), "a good one was not served")
