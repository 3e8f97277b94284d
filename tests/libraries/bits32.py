"""32-bit programs: the agent cannot read their structures, and says so, of each of their libraries."""
import re
import subprocess

import clients
from agent import get
from container import Container
from expect import equal
from host import Unable, check, wait_for
from matrix import numbers

SUITE = "bookworm"
NAMED_LIMIT = 45
FILES = ("libcrypto", "libssl", "libgnutls")


def start(env, root):
    """Its container, whose first process maps the libraries; what runs before it must not."""
    runs = subprocess.run(["chroot", root, "python3", "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if runs.returncode != 0:
        raise Unable("its kernel runs no 32-bit programs")
    return env.watch(Container(env.host, root, next(numbers), [env.fixtures.directory]))


def named(agent, since, name):
    agent.read()
    return [event for event in agent.events[since:] if get(event, "event.action") in ("library-unsupported", "library-attached")
            and re.search(f"/lib/i386-linux-gnu/{name}", get(event, "tlswarden.library.path") or "")]


def test_i386(env, root):
    """Each library is an event of its own, whose reason says it. Its clients are served, by a condemned server too: that is what
    not covered means."""
    agent = env.agent("enforce")
    since = agent.mark()
    container = start(env, root)
    for name in FILES:
        events = wait_for(f"the 32-bit {name}", NAMED_LIMIT, lambda name=name: named(agent, since, name), 0.05)
        check(len(events) == 1, f"{len(events)} events of one file")
        equal(events[0], "event.action", "library-unsupported")
        reason = get(events[0], "tlswarden.reason")
        check("32-bit" in (reason or ""), f"the reason is {reason!r}")
    for client in (clients.BY_NAME["curl"], clients.BY_NAME["wget"]):
        for leaf in ("good-leaf", "forged-leaf"):
            server = container.serve(lambda: env.watch(client.server(env.fixtures, leaf, delay=0)))
            run = env.watch(client.start(container, server, env.trusting))
            check(run.wait(), f"{client.name} was not served by the server with {leaf}")
            check(server.connections[0].application_bytes, "the server was not asked")
