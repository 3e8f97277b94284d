"""Which connection a verification belongs to, where it is easily taken for another: the innocent one must stay."""
import os
import re

import clients
import servers
from agent import get
from expect import check_allowed, check_violation, equal
from host import Unable, check, wait_for

ODD = os.path.join(clients.HERE, "client_odd.py")
RECV_LENGTH = b"btf_trace_sock_recv_length"


def odd(env, kind, port=0, forged=0):
    leaf = env.fixtures.path("forged-leaf")
    child = env.watch(env.host.start_client([clients.PYTHON, ODD, kind, env.trusting, str(port), str(forged),
                                             leaf + ".chain.pem", leaf + ".key"] if kind in ("unix", "wrapped") else
                                            [clients.PYTHON, ODD, kind, env.trusting, str(port), str(forged)]))
    check(child.wait() == 0, "the client failed")
    check("alive" in child.output.splitlines(), f"the innocent connection: {child.output!r}")
    return child.pid


def of_process(agent, executable, count=1):
    """Violations of this test's process, whatever their socket."""
    return agent.wait("violation", lambda event: get(event, "event.action") == "policy-violation" and
                      executable in (get(event, "process.executable") or ""), count=count, since=agent.begun)


def check_unknown(event):
    equal(event, "tlswarden.socket.how", "unknown")
    equal(event, "destination.port", None)
    check_violation(event, "localhost-issuer", "failed")


def test_unix_socket_is_not_the_last_tcp_socket(env):
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        if RECV_LENGTH not in file.read():
            raise Unable("the kernel does not tell of data from other sockets (before 6.3)")
    agent = env.agent("enforce")
    odd(env, "unix")
    (event,) = of_process(agent, "python3")
    check_unknown(event)


def test_unix_socket_by_its_descriptor(env):
    """The library reads from it itself: no TCP socket, whatever else the thread reads from."""
    agent = env.agent("enforce")
    odd(env, "wrapped")
    (event,) = of_process(agent, "python3")
    check_unknown(event)


def test_udp_is_not_the_last_tcp_socket(env):
    """DTLS: its own socket is ended, and not the TCP connection that the thread has just read from."""
    agent = env.agent("enforce")
    leaf = env.fixtures.path("forged-leaf")
    server = env.watch(env.host.start(["openssl", "s_server", "-dtls", "-accept", "127.0.0.1:0", "-cert", leaf + ".pem",
                                       "-key", leaf + ".key", "-cert_chain", leaf + ".chain.pem"], stdin="\n"))
    try:
        found = wait_for("port of the DTLS server", 10, lambda: re.search(r"ACCEPT .*:(\d+)\n", server.output))
        odd(env, "dtls", forged=found.group(1))
    finally:
        server.end()
    (event,) = of_process(agent, "python3")
    equal(event, "tlswarden.socket.how", "fd")
    equal(event, "network.transport", "udp")
    equal(event, "destination.port", int(found.group(1)))
    check_violation(event, "localhost-issuer", "killed")


def test_socket_that_was_closed_before_its_verification(env):
    """What was received over it is verified when the thread has read from another connection since. Its memory may be another
    socket's by then."""
    agent = env.agent("enforce")
    server = env.watch(clients.BY_NAME["curl"].server(env.fixtures, "forged-leaf", delay=servers.PATIENCE))
    odd(env, "left", forged=server.port)
    (event,) = of_process(agent, "python3")
    check(get(event, "destination.port") in (None, server.port), f"it is taken for another: {get(event, 'destination')}")
    check_violation(event, "localhost-issuer", "failed")


def test_data_that_comes_through_a_pipe(env):
    """splice: nobody calls recv. The hello tells, and that it was this process that took the data."""
    agent = env.agent("enforce")
    server = env.watch(clients.BY_NAME["curl"].server(env.fixtures, "forged-leaf", delay=servers.PATIENCE))
    odd(env, "spliced", forged=server.port)
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.socket.how", "hello")
    check_violation(event, "localhost-issuer", "killed")


def test_connection_within_a_verification(env):
    """A verify callback that fetches something over TLS: each of the two connections is judged for itself."""
    agent = env.agent("enforce")
    client = clients.BY_NAME["curl"]
    good = env.watch(client.server(env.fixtures, "good-leaf"))
    forged = env.watch(client.server(env.fixtures, "forged-leaf"))
    odd(env, "nested", good.port, forged.port)
    (event,) = agent.verifications(forged.port)
    check_violation(event, "localhost-issuer", "killed")
    (event,) = agent.verifications(good.port)
    check_allowed(event)


def test_socket_bound_to_a_device(env):
    """The kernel finds it only under that device."""
    agent = env.agent("enforce")
    server = env.watch(clients.BY_NAME["curl"].server(env.fixtures, "forged-leaf", delay=servers.PATIENCE))
    child = env.watch(env.host.start_client(["curl", "-sS", "--interface", "lo", "--cacert", env.trusting,
                                             f"https://localhost:{server.port}/"]))
    check(child.wait() != 0, "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
