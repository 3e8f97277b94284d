"""The ring overflows: what is lost is counted and told of, and the agent goes on."""
import os
import signal

import clients
import servers
from agent import descendants, get
from expect import check_allowed, check_head, equal
from host import check

# A chain of big-leaf takes half a MiB of the ring's 16: after some 30 its certificates find no room, and some 40 more
# records of verifications fill what is left. The others are lost.
VERIFICATIONS = 120
LOSS = "lost.verifications", "lost.certificates"


class Many(clients.PythonBlocking):
    name, program = "many", "client_large.py"

    def command(self, server, ca, environment):
        return [*super().command(server, ca, environment), str(VERIFICATIONS)]


def losses(event):
    return {key: get(event, "tlswarden." + key) for key in LOSS}


def overflow(env, agent, judge):
    """Verifications while the half that reads them stands still: the server of them, when all have been served."""
    client = Many()
    server = env.watch(client.server(env.fixtures, "big-leaf", delay=0))
    os.kill(judge, signal.SIGSTOP)
    try:
        run = env.watch(client.start(env.host, server, env.fixtures.path("big-root.pem")))
        check(run.wait(120), "the client was not served while the agent stood still")
        check(run.child.output.count(servers.BODY.decode()) == VERIFICATIONS, "not every connection was served")
    finally:
        os.kill(judge, signal.SIGCONT)
    return server


def test_overflow_of_the_ring(env):
    agent = env.new_agent(name="overflow")
    (judge,) = [pid for pid in descendants(agent.child.pid) if pid != agent.child.pid]
    mark = agent.mark()
    server = overflow(env, agent, judge)
    agent.wait("events-lost that tells of verifications and certificates", lambda event:
               get(event, "event.action") == "events-lost" and all(losses(event).values()), since=mark)

    # One more, after all of those.
    client = clients.BY_NAME["curl"]
    last = env.watch(client.server(env.fixtures, "good-leaf"))
    check(env.watch(client.start(env.host, last, env.trusting)).wait(), "the client was not served")
    (event,) = agent.verifications(last.port)
    check_allowed(event)
    check(not get(event, "tlswarden.truncated"), "the event after them is marked truncated")

    check(agent.stop() == 0, f"the agent's exit code is {agent.child.process.returncode}")
    agent.read()
    told = [event for event in agent.events if get(event, "event.action") == "events-lost"]
    for loss in told:
        check_head(loss)
        equal(loss, "event.outcome", "failure")
    lost = losses(told[-1])
    check(losses(agent.events[-1])["lost.verifications"] >= lost["lost.verifications"] > 0, f"told were {lost}")
    check(get(event, "tlswarden.lost_before") > 0, "the event after them does not say that some were lost")

    # Each is either logged, whole or marked, or lost. Others on this machine may have lost some, too.
    logged = [event for event in agent.events if get(event, "destination.port") == server.port]
    whole = [event for event in logged if not get(event, "tlswarden.truncated")]
    check(len(logged) < VERIFICATIONS <= len(logged) + lost["lost.verifications"],
          f"{len(logged)} of {VERIFICATIONS} verifications are logged, and {lost} are told to be lost")
    check(0 < len(whole) < len(logged), f"{len(whole)} of {len(logged)} are whole")
    check(all(entry["proven"] for event in whole for entry in event["tlswarden"]["chain"][:12]),
          "one that is whole is not proven")
    check(not any(entry["proven"] for event in logged if event not in whole for entry in event["tlswarden"]["chain"]),
          "one that is not whole has a proven certificate")
