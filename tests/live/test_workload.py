"""Where a process runs, by its cgroup: what events and rules see of it; and rules that end the process.

Rules that end processes match by a unit of this run's own, so that they can hit nothing else on the machine.
"""
import os

import clients
import servers
from agent import get
from cgroups import Cgroups
from expect import cases, check_allowed, equal
from host import check, wait_for

RUN = f"tlswarden-live-{os.getpid()}"
ID = f"{os.getpid():064x}"
OTHER_ID = "f" + ID[1:]
PLACES = {
    "service": (f"/{RUN}.slice/{RUN}@1.service/below", f"{RUN}@1.service", None),
    "escaped": (f"/{RUN}.slice/{RUN}\\x2dweb.service", f"{RUN}-web.service", None),
    "scope": (f"/{RUN}.slice/session-{RUN}.scope", f"session-{RUN}.scope", None),
    "not-the-users-word": (f"/{RUN}.slice/user@{RUN}.service/app.slice/{RUN}.service", f"user@{RUN}.service", None),
    "docker": (f"/docker-{RUN}/{ID}", None, ID),
    "docker-systemd": (f"/{RUN}.slice/docker-{ID}.scope/init.scope", None, ID),
    "kubernetes": (f"/{RUN}.slice/{RUN}-pod.slice/cri-containerd-{ID}.scope", None, ID),
    "not-the-containers-word": (f"/{RUN}.slice/crio-{ID}.scope/docker-{OTHER_ID}.scope", None, ID),
    "podman-of-a-user": (f"/{RUN}.slice/user@{RUN}.service/user.slice/libpod-{ID}.scope/container",
                         f"user@{RUN}.service", ID),
    "outside": (f"/{RUN}-plain", None, None),
}


def rule(name, match, action="log"):
    return f"""\
  - id: {name}
    match: [{{{match}, role: client}}]
    require: {{issuer_in: "@local-cas"}}
    action: {action}
"""


def policy(env, *rules, mode="enforce"):
    return f"""\
version: 1
name: live
mode: {mode}
sets:
  keys:
    local-cas:
{env.fixtures.key_set("good-root", "good-int")}rules:
{"".join(rules)}"""


def agent_for(env, kind, text):
    """One agent for all cases of a kind."""
    if not env.current or env.current[0] != kind or not env.current[1].alive:
        env.current = (kind, env.new_agent(text, name=kind))
    else:
        env.trace.append((env.current[1].describe, env.current[1].begin_test()))
    return env.current[1]


@cases(*PLACES)
def test_place(env, kind):
    path, unit, container = PLACES[kind]
    agent = agent_for(env, "workload", policy(
        env, rule("unit", "unit: ['" + "', '".join(sorted({place[1] for place in PLACES.values() if place[1]})) + "']"),
        rule("container", f"container: {ID}")))
    cgroups = env.watch(Cgroups(env.host))
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "forged-leaf"))
    run = env.watch(client.start(env.host, server, env.trusting, before=cgroups.inside(path)))
    check(run.wait(), "the client was not served, though the rules only log")
    (event,) = agent.verifications(server.port)
    equal(event, "service.name", unit)
    equal(event, "container.id", container)
    broken = [violation["rule"] for violation in get(event, "tlswarden.violations") or []]
    expected = ["unit"] * bool(unit) + ["container"] * bool(container)
    check(broken == expected, f"rules broken: {broken}, expected {expected}")


KILLED = f"/{RUN}.slice/{RUN}.service"
# The client has a sibling and a parent, both as much in that unit as itself.
FAMILY = 'sleep 60 & echo "sibling $!"; "$@"; echo "status $?"; kill -0 $! && echo "the sibling lives"; kill $!'


def family_policy(env, mode):
    return policy(env, rule("end-it", f'unit: "{RUN}.service"', "kill-process"), mode=mode)


def start_family(env, cgroups, leaf, delay, client="python-ssl"):
    client = clients.BY_NAME[client]
    server = env.watch(client.server(env.fixtures, leaf, delay=delay))
    before = [*cgroups.inside(KILLED), "sh", "-c", FAMILY, "sh"]
    return server, env.watch(client.start(env.host, server, env.trusting, before=before))


def check_event(event, result, kind):
    equal(event, "event.action", "policy-violation")
    equal(event, "event.type", [kind])
    equal(event, "rule.id", "end-it")
    equal(event, "tlswarden.action.requested", "kill-process")
    equal(event, "tlswarden.action.result", result)
    equal(event, "service.name", f"{RUN}.service")
    check(get(event, "process.executable"), "who it was is not known")


@cases("python-ssl", "wget")
def test_process_is_killed_and_no_other(env, client):
    """wget's GnuTLS verifies after the handshake: it does not live to do so."""
    agent = agent_for(env, "kill-process", family_policy(env, "enforce"))
    cgroups = env.watch(Cgroups(env.host))
    server, run = start_family(env, cgroups, "forged-leaf", servers.PATIENCE, client)
    check(not run.wait(), "the client was served")
    check("status 137\n" in run.child.output, "the client was not ended by SIGKILL")
    check("the sibling lives\n" in run.child.output, "so was its sibling")
    (event,) = agent.verifications(server.port)
    check_event(event, "process-killed", "denied")
    check(server.connections[0].ended.wait(servers.IDLE_LIMIT), "the connection has not ended")

    server, run = start_family(env, cgroups, "good-leaf", servers.ANSWER_DELAY, client)
    check(run.wait() and "status 0\n" in run.child.output, "a client of a good server was ended")
    (event,) = agent.verifications(server.port)
    check_allowed(event)


def test_process_is_killed_without_its_socket(env):
    """The handshake is over memory, with data from a socket pair: which TCP connection it was cannot be told."""
    agent = agent_for(env, "kill-process", family_policy(env, "enforce"))
    cgroups = env.watch(Cgroups(env.host))
    leaf = env.fixtures.path("forged-leaf")
    child = env.watch(env.host.start_client(
        [clients.PYTHON, os.path.join(clients.HERE, "client_odd.py"), "wrapped", env.trusting, "0", "0",
         leaf + ".chain.pem", leaf + ".key"], before=cgroups.inside(KILLED)))
    check(child.wait() == -9, "the process was not ended by SIGKILL")
    (event,) = agent.wait("violation", lambda event: get(event, "process.pid") == child.pid, since=agent.begun)
    check_event(event, "process-killed", "denied")
    equal(event, "tlswarden.socket.how", "unknown")


def test_process_would_be_killed(env):
    agent = agent_for(env, "kill-process-audit", family_policy(env, "audit"))
    cgroups = env.watch(Cgroups(env.host))
    server, run = start_family(env, cgroups, "forged-leaf", servers.ANSWER_DELAY)
    check(run.wait() and "status 0\n" in run.child.output, "the client was not served, though the policy only audits")
    (event,) = agent.verifications(server.port)
    check_event(event, "would-kill", "allowed")
    wait_for("the client's end", servers.IDLE_LIMIT, server.connections[0].ended.is_set)
