"""Every client against a good chain, a forged one that it trusts, and with its verification off; the agent enforces."""
import clients
import servers
from expect import cases, check_allowed, check_verification, check_violation, equal, one_of
from host import check

WAYS = [("1.3", 4), ("1.2", 6)]
ALL = [(client.name, tls, family) for client in clients.ALL for tls, family in WAYS]
# Without verification the other way round, so that each client meets all four.
ALL_OFF = [(client.name, "1.3", 6) for client in clients.ALL]
ALL_OFF_FORGED = [(client.name, "1.2", 4) for client in clients.ALL]


def begin(env, kind, name, leaf, verify, **way):
    """A client on its way to a server of its own: (client, server, run)."""
    client = clients.BY_NAME[name]
    server = env.watch(client.server(env.fixtures, leaf, **way))
    run = env.watch(client.start(env.host, server, env.trusting if verify else None))
    return client, server, run


def prepare(env, kind, name):
    agent = env.agent(kind)
    client = clients.BY_NAME[name]
    if client.name == "node":
        agent.ensure_attached(node_library(), client.holder())
    return agent


def node_library():
    """The file that holds node's OpenSSL, which nothing else may have mapped before."""
    import shutil
    import subprocess
    import os
    node = os.path.realpath(shutil.which("node"))
    linked = subprocess.run(["ldd", node], stdout=subprocess.PIPE, check=False).stdout.decode()
    for line in linked.splitlines():
        if "libcrypto.so" in line:
            return os.path.realpath(line.split("=>")[1].split()[0])
    return node


def check_good(agent, env, client, server, run):
    check(run.wait(), "the client was not served by a server with a good chain")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "good-leaf")
    check_allowed(event)
    equal(event, "tlswarden.verify.result", client.good_result)
    equal(event, "tlswarden.verify.code", 0)
    equal(event, "tlswarden.verify.mode", client.verify_mode)


@cases(*ALL)
def test_good(env, name, tls, family):
    agent = prepare(env, "enforce", name)
    check_good(agent, env, *begin(env, "enforce", name, "good-leaf", True, tls=tls, family=family))


@cases(*ALL)
def test_forged_is_killed_and_the_good_one_beside_it_is_not(env, name, tls, family):
    agent = prepare(env, "enforce", name)
    good = begin(env, "enforce", name, "good-leaf", True, tls=tls, family=family)
    client, server, run = begin(env, "enforce", name, "forged-leaf", True, tls=tls, family=family,
                                delay=servers.PATIENCE)
    check(not run.wait(), "the client was served by a server with a forged chain")
    check(run.code != 0, "the client's exit code is 0")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "forged-leaf")
    check_violation(event, "localhost-issuer", "killed")
    equal(event, "tlswarden.verify.result", client.good_result)
    check_good(agent, env, *good)


@cases(*ALL_OFF)
def test_verification_off(env, name, tls, family):
    agent = prepare(env, "enforce", name)
    client, server, run = begin(env, "enforce", name, "good-leaf", False, tls=tls, family=family)
    check(run.wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "good-leaf")
    check_allowed(event)
    one_of(event, "tlswarden.verify.result", client.off_results)
    if client.library == "openssl":
        equal(event, "tlswarden.verify.mode", "none")


@cases(*ALL_OFF_FORGED)
def test_forged_is_killed_with_verification_off(env, name, tls, family):
    agent = prepare(env, "enforce", name)
    client, server, run = begin(env, "enforce", name, "forged-leaf", False, tls=tls, family=family,
                                delay=servers.PATIENCE)
    check(not run.wait(), "the client was served by a server with a forged chain")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "forged-leaf")
    check_violation(event, "localhost-issuer", "killed")
    one_of(event, "tlswarden.verify.result", client.off_results)


@cases("curl", "wget", "python-ssl", "s_client", "gnutls-cli")
def test_failed_verification(env, name):
    """The client itself does not trust the chain, which is a good one to the policy."""
    agent = prepare(env, "enforce", name)
    client = clients.BY_NAME[name]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    run = env.watch(client.start(env.host, server, env.fixtures.path("rogue-root.pem")))
    check(not run.wait(), "the client was served by a server that it does not trust")
    (event,) = agent.verifications(server.port)
    check_allowed(event)
    equal(event, "tlswarden.verify.result", "failed")
    check(event["tlswarden"]["verify"]["code"] != 0, "the code of a failed verification is 0")
