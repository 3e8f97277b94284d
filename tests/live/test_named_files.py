"""Files that policies name: trust stores and CRLs judged by in the live agent, read again at a reload, refused if broken."""
import datetime
import hashlib
import os
import signal
import subprocess

import clients
import servers
from agent import Agent, get
from expect import cases, check_allowed, check_violation, equal, upper
from host import check
from test_refusals import check_refused, run_refused

CA_CONFIG = """\
[ca]
default_ca = this
[this]
database = {0}/index
crlnumber = {0}/number
default_md = sha256
unique_subject = no
"""


class Authority:
    """Makes CRLs of a fixture's CA with the openssl command."""

    def __init__(self, env, name):
        self.env, self.name = env, name
        self.directory = env.host.temporary("ca-" + name)
        for file, text in (("index", ""), ("number", "01\n"), ("ca.cnf", CA_CONFIG.format(self.directory))):
            with open(os.path.join(self.directory, file), "w", encoding="ascii") as opened:
                opened.write(text)

    def run(self, *arguments):
        subprocess.run(["openssl", "ca", "-config", os.path.join(self.directory, "ca.cnf"), "-batch", "-notext",
                        "-cert", self.env.fixtures.path(self.name + ".pem"),
                        "-keyfile", self.env.fixtures.path(self.name + ".key"), *arguments],
                       check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def revoke(self, leaf):
        self.run("-revoke", self.env.fixtures.path(leaf + ".pem"), "-crl_reason", "keyCompromise")

    def crl(self, path, days=7):
        """Until so many days from now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        times = [f"{now + datetime.timedelta(days=shift):%Y%m%d%H%M%SZ}" for shift in (min(days, 0) - 1, days)]
        self.run("-gencrl", "-crl_lastupdate", times[0], "-crl_nextupdate", times[1], "-out", path)


def policy(rule, mode="enforce", sets=""):
    return f"""\
version: 1
name: live
mode: {mode}
{sets}rules:
  - id: localhost-issuer
    match: [{{server_name: localhost, role: client}}]
    {rule}
    except: {{exe: "*/bench/*"}}
    action: kill
"""


def ask(env, agent, leaf, served, client="curl", trusts=True):
    client = clients.BY_NAME[client]
    server = env.watch(client.server(env.fixtures, leaf, delay=servers.ANSWER_DELAY if served else servers.PATIENCE))
    run = env.watch(client.start(env.host, server, env.trusting if trusts else None))
    check(run.wait() == served, f"{leaf}: served is {not served}")
    return agent.verifications(server.port)[0]


def beside(agent, name):
    """A file beside the agent's policy, by whose directory a relative path goes."""
    return os.path.join(agent.directory, name)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def test_trust_store(env):
    """What the application trusts is not what the policy trusts."""
    store = env.host.file("store.pem", env.fixtures.text("good-root.pem"))
    agent = env.new_agent(policy('require: {trusted_by: "@ours"}', sets=f"sets: {{trust_stores: {{ours: {store}}}}}\n"),
                          name="trust")
    check_allowed(ask(env, agent, "good-leaf", True))
    check_violation(ask(env, agent, "forged-leaf", False), "localhost-issuer", "killed")

    env.host.file("store.pem", env.fixtures.text("rogue-root.pem"))
    check_allowed(ask(env, agent, "good-leaf", True))       # it is not looked at before SIGHUP
    equal(agent.reload(policy('require: {trusted_by: "@ours"}', sets="sets: {trust_stores: {ours: " + store + "}}\n")),
          "event.action", "policy-loaded")
    check_allowed(ask(env, agent, "forged-leaf", True))
    check_violation(ask(env, agent, "good-leaf", False), "localhost-issuer", "killed")


def test_trust_store_makes_roots_known(env):
    """Its certificates are looked for above what the peer sent: the proven path ends in one, which GnuTLS does not show."""
    directory = env.host.temporary("store")
    for name in ("good-root", "rogue-root"):
        write(os.path.join(directory, name + ".crt"), env.fixtures.text(name + ".pem").encode())
    agent = env.new_agent(policy("require: {trusted_by: " + directory + "}"), name="trust")
    event = ask(env, agent, "good-leaf", True, client="wget")
    check_allowed(event)
    anchors = [entry for entry in get(event, "tlswarden.chain") if entry.get("anchor") and entry.get("proven")]
    check([upper(entry["sha256"]) for entry in anchors] == env.fixtures.sha256s("good-root.pem"), f"anchors: {anchors}")


def test_crl(env):
    authority = Authority(env, "good-int")
    agent = env.new_agent(policy("forbid: {key_in: [{name: none, spki_sha256: \"" + env.fixtures.pin("client-ca") + "\"}]}"),
                          name="crl")
    check_allowed(ask(env, agent, "good-leaf", True))

    authority.revoke("good-leaf")
    authority.crl(beside(agent, "int.crl"))
    revoked = policy("forbid: {crl: [int.crl]}")
    equal(agent.reload(revoked), "event.action", "policy-loaded")
    check_violation(ask(env, agent, "good-leaf", False), "localhost-issuer", "killed")

    # Not the CRL alone: the policy that came with it audits, and must not be in force in either half.
    with open(beside(agent, "int.crl"), "rb") as file:
        whole = file.read()
    for broken in (whole[:len(whole) // 2], b"", b"\0" * 100000):
        write(beside(agent, "int.crl"), broken)
        event = agent.reload(policy("forbid: {crl: [int.crl]}", mode="audit"))
        equal(event, "event.action", "policy-rejected")
        equal(event, "event.outcome", "failure")
        reason = get(event, "tlswarden.reason") or ""
        check(reason.startswith(agent.policy_path + ":7:") and "int.crl" in reason, f"reason: {reason!r}")
        check_violation(ask(env, agent, "good-leaf", False), "localhost-issuer", "killed")

    os.unlink(beside(agent, "int.crl"))
    equal(agent.reload(revoked), "event.action", "policy-rejected")
    check_violation(ask(env, agent, "good-leaf", False), "localhost-issuer", "killed")

    write(beside(agent, "int.crl"), whole)
    equal(agent.reload(policy("forbid: {crl: [int.crl]}", mode="audit")), "event.action", "policy-loaded")
    check_violation(ask(env, agent, "good-leaf", True), "localhost-issuer", "would-kill", mode="audit")


def test_crl_that_is_old(env):
    """It still counts, and an event says that it is old."""
    authority = Authority(env, "good-int")
    authority.revoke("good-leaf")
    path = os.path.join(authority.directory, "old.crl")
    authority.crl(path, days=-2)
    agent = env.new_agent(policy("forbid: {crl: " + path + "}"), name="old-crl")
    event = agent.wait_action("policy-expired")
    equal(event, "tlswarden.policy.name", "live")
    check("nextUpdate" in (get(event, "tlswarden.reason") or ""), "the reason does not say why")
    check_violation(ask(env, agent, "good-leaf", False), "localhost-issuer", "killed")


def test_log_list(env):
    """SCTs are checked against the list; one that is too old is not judged by, and an event says so."""
    agent = env.new_agent(policy("require: {ct: {scts: 1, logs: " + env.fixtures.path("ct/logs.json") + "}}"), name="ct")
    check_allowed(ask(env, agent, "ct/logged", True, trusts=False))
    check_violation(ask(env, agent, "ct/unlogged", False, trusts=False), "localhost-issuer", "killed")
    mark = agent.mark()
    agent.reload(policy("require: {ct: {scts: 1, logs: " + env.fixtures.path("ct/logs-old.json") + "}}"))
    event = agent.wait_action("policy-expired", since=mark)
    check("log list" in (get(event, "tlswarden.reason") or ""), "the reason does not say why")
    check_allowed(ask(env, agent, "ct/unlogged", True, trusts=False))


def test_policies_that_become_pipes(env):
    """Nobody writes into it: the privileged half does not wait for that, for it answers the other half and the signals."""
    agent = env.new_agent(policy("require: {verified: true}"), name="pipe")
    for more in (False, True):
        os.unlink(agent.policy_path)
        os.mkfifo(agent.policy_path)
        writer = os.open(agent.policy_path, os.O_RDWR) if more else None      # somebody does, and says nothing
        mark = agent.mark()
        agent.child.process.send_signal(signal.SIGHUP)
        event = agent.wait_action("policy-rejected", since=mark)
        check("a pipe or a device" in (get(event, "tlswarden.reason") or ""), "the reason does not say why")
        check_violation(ask(env, agent, "forged-leaf", False, trusts=False), "localhost-issuer", "killed")
        if writer is not None:
            os.close(writer)
    os.unlink(agent.policy_path)
    equal(agent.reload(policy("require: {verified: true}")), "event.action", "policy-loaded")
    check(agent.stop() == 0, "the agent did not end well")


def test_directory_that_is_emptied(env):
    """It may just not be mounted: the policies stay, and an event says so. From the start on it is no policy at all."""
    directory = env.host.temporary("emptied")
    path = os.path.join(directory, "live.yaml")
    write(path, policy("require: {verified: true}").encode())
    agent = env.new_agent(name="emptied", more=["--policy", directory])
    os.rename(path, path + ".off")
    mark = agent.mark()
    agent.child.process.send_signal(signal.SIGHUP)
    event = agent.wait_action("policy-rejected", since=mark)
    equal(event, "tlswarden.policy.in_force", 1)
    check("no policy any more" in (get(event, "tlswarden.reason") or ""), "the reason does not say why")
    check_violation(ask(env, agent, "forged-leaf", False, trusts=False), "localhost-issuer", "killed")


@cases((), ("--events", "violations"))
def test_directory_that_is_empty(env, *said):
    """Without a policy every verification is logged, unless it was said which are; with the first policy, violations only."""
    env.stop_agents()
    directory = env.host.temporary("empty")
    agent = Agent(env.host, env.binary, name="empty", more=["--policy", directory], events=said)
    env.agents.append(agent)
    env.watch(agent)
    agent.wait_started()
    client = clients.BY_NAME["curl"]

    def visit(leaf):
        server = env.watch(client.server(env.fixtures, leaf))
        check(env.watch(client.start(env.host, server, env.trusting)).wait(), "the client was not served")
        return server.port

    first = visit("good-leaf")
    if not said:
        check_allowed(agent.verifications(first)[0])
    write(os.path.join(directory, "live.yaml"), policy("require: {key_in: [{spki_sha256: \"" + env.fixtures.pin("rogue-root") +
                                                       "\"}]}", mode="audit").encode())
    mark = agent.mark()
    agent.child.process.send_signal(signal.SIGHUP)
    agent.wait_action("policy-loaded", since=mark)
    fine, broken = visit("forged-leaf"), visit("good-leaf")
    check_violation(agent.verifications(broken)[0], "localhost-issuer", "would-kill", mode="audit")
    told = {get(event, "destination.port") for event in agent.events}
    check(fine not in told, "what is fine was logged though there is a policy")
    check((first in told) == (not said), f"{said}: the verification without a policy was logged, or was not")


def test_reloads_in_a_row(env):
    """However many signals come while one is being served, the policy of the last is in force at the end."""
    texts = [policy("require: {verified: true}") + f"# {number}\n" for number in range(20)]
    store = env.host.file("store.pem", env.fixtures.text("good-root.pem"))
    agent = env.new_agent(texts[0], name="row")
    last = policy("require: {trusted_by: " + store + "}")
    for text in [*texts, last]:
        agent.write_policy(text)
        agent.child.process.send_signal(signal.SIGHUP)
    agent.wait("the last policy", lambda event: get(event, "event.action") == "policy-loaded" and
               get(event, "tlswarden.policy.sha256") == hashlib.sha256(last.encode()).hexdigest())
    check_violation(ask(env, agent, "forged-leaf", False), "localhost-issuer", "killed")
    check_allowed(ask(env, agent, "good-leaf", True))


def make_missing(_path):
    pass


def make_empty(path):
    write(path, b"")


def make_junk(path):
    write(path, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 10)


def make_directory(path):
    os.mkdir(path)


def make_pipe(path):
    os.mkfifo(path)


BROKEN = {function.__name__[5:]: function for function in (make_missing, make_empty, make_junk, make_directory, make_pipe)}


@cases(*[(kind, broken) for kind in ("store", "crl") for broken in BROKEN])
def test_broken_at_start(env, kind, broken):
    directory = env.host.temporary("broken")
    BROKEN[broken](os.path.join(directory, "named.pem"))
    path = os.path.join(directory, "policy.yaml")
    rule = "require: {trusted_by: ./named.pem}" if kind == "store" else "forbid: {crl: [named.pem]}"
    write(path, policy(rule).encode())
    check_refused(run_refused(env, [], ["--policy", path]), 1, path + ":7:")
