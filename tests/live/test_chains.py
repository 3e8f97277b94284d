"""Chains that are odd: too long, too large, with a genuine certificate thrown in, or that OpenSSL cannot parse."""
import hashlib
import json
import ssl

import clients
import servers
from agent import get
from expect import (cases, check_allowed, check_chain, check_process, check_verification, check_violation, equal, one_of,
                    upper)
from host import check
from server_gnutls import GnutlsServer

GOOD = "good-leaf.pem", "good-int.pem"


class Large(clients.PythonBlocking):
    name, program = "large", "client_large.py"


def serve(env, chain, key, **more):
    return env.watch(servers.Server(chain, env.fixtures.path(key + ".key"), **more))


def run(env, client, server, ca):
    return env.watch(client.start(env.host, server, ca))


@cases("curl", "wget")
def test_genuine_certificate_beside_a_forged_leaf_proves_nothing(env, name):
    agent = env.agent("enforce")
    chain = env.fixtures.bundle("forged-leaf.pem", "rogue-int.pem", "good-int.pem", "good-root.pem")
    server = serve(env, chain, "forged-leaf", delay=servers.PATIENCE)
    check(not run(env, clients.BY_NAME[name], server, env.trusting).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    proven = {upper(entry["sha256"]): entry["proven"] for entry in event["tlswarden"]["chain"]}
    for genuine in ("good-int.pem", "good-root.pem"):
        check(not proven[env.fixtures.sha256s(genuine)[0]], f"{genuine} counts as proven")
    check(proven[env.fixtures.sha256s("rogue-int.pem")[0]], "rogue-int.pem is not proven")


@cases("curl", "wget")
def test_issuer_of_the_right_name_and_another_key_proves_nothing(env, name):
    """The forged leaf comes with an intermediate that only has the good one's name; the client does not verify."""
    agent = env.agent("enforce")
    chain = env.fixtures.bundle("forged-leaf.pem", "lookalike-int.pem", "good-root.pem")
    server = serve(env, chain, "forged-leaf", delay=servers.PATIENCE)
    check(not run(env, clients.BY_NAME[name], server, None).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    check([entry["proven"] for entry in event["tlswarden"]["chain"][1:]].count(True) == 0, "a decoy counts as proven")


def test_order_of_the_certificates_does_not_matter(env):
    agent = env.agent("enforce")
    chain = env.fixtures.bundle("good-leaf.pem", "rogue-int.pem", "good-root.pem", "good-int.pem")
    server = serve(env, chain, "good-leaf")
    client = clients.BY_NAME["curl"]
    check(run(env, client, server, env.trusting).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    check_allowed(event)


def test_twelve_certificates_of_16_kib(env):
    """Within the bounds: all twelve are there and proven."""
    agent = env.agent("enforce")
    client = Large()
    server = env.watch(client.server(env.fixtures, "big-leaf", delay=servers.PATIENCE))
    run(env, client, server, env.fixtures.path("big-root.pem")).wait()
    (event,) = agent.verifications(server.port)
    check_process(event, client)
    chain = check_chain(event, "server", env.fixtures, "big-leaf.chain.pem")
    check(len(chain) >= 12 and all(entry["proven"] for entry in chain[:12]), "not all of them are proven")
    check(not get(event, "tlswarden.truncated"), "the event is marked truncated")
    check_violation(event, "localhost-issuer", "killed")


@cases("curl", "wget", "large")
def test_certificate_of_30_kib(env, name):
    agent = env.agent("enforce")
    client = Large() if name == "large" else clients.BY_NAME[name]
    server = env.watch(client.server(env.fixtures, "ext-30k"))
    check(run(env, client, server, env.trusting).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "ext-30k")
    check_allowed(event)


@cases("curl", "wget")
def test_certificate_over_the_bound_is_truncated_and_not_proven(env, name):
    """A good chain to the client; to the agent, one whose leaf it has not seen."""
    agent = env.agent("enforce")
    client = clients.BY_NAME[name]
    server = env.watch(client.server(env.fixtures, "ext-40k", delay=servers.PATIENCE))
    check(not run(env, client, server, env.trusting).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    equal(event, "tlswarden.truncated", True)
    check(not any(entry["proven"] for entry in event["tlswarden"]["chain"]), "a truncated chain has a proven certificate")
    leaf = env.fixtures.sha256s("ext-40k.pem")[0]
    one_of(event, "tls.server.hash.sha256", (None, leaf, leaf.lower()))


@cases("curl", "wget")
def test_more_certificates_than_the_bound_are_truncated_and_not_proven(env, name):
    agent = env.agent("enforce")
    extra = [f"{kind}-{end}.pem" for kind in ("rogue", "fina", "resolver", "cross", "ed25519", "rsa", "rsapss") for end in
             {"fina": ("root", "rdc"), "cross": ("root-a", "root-b", "int-a", "int-b")}.get(
                 kind, ("root", "int") if kind in ("rogue", "resolver") else ("root",))]
    chain = env.fixtures.bundle(*GOOD, "good-root.pem", "client-ca.pem", "rogue-client-ca.pem", *extra)
    count = len(env.fixtures.ders(chain))
    env.trace.append((lambda: f"{count} certificates were sent",))
    check(count > 16, f"the test has only {count} certificates")
    server = serve(env, chain, "good-leaf", delay=servers.PATIENCE)
    check(not run(env, clients.BY_NAME[name], server, env.trusting).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    equal(event, "tlswarden.truncated", True)
    check(upper(get(event, "tls.server.hash.sha256")) == env.fixtures.sha256s("good-leaf.pem")[0], "not the leaf's hash")
    shown = [entry for entry in event["tlswarden"]["chain"] if entry["presented"]]
    check(len(shown) >= 10, f"only {len(shown)} certificates were captured")
    check(not any(entry["proven"] for entry in shown), "a truncated chain has a proven certificate")


@cases(("wget", "1.3"), ("gnutls-cli", "1.2"))
def test_leaf_that_does_not_parse(env, name, tls):
    """GnuTLS takes it, OpenSSL, which the agent uses, does not: an event with its SHA-256, and nothing is proven."""
    agent = env.agent("enforce")
    leaf = env.fixtures.path("odd-utf8")
    server = env.watch(GnutlsServer(leaf + ".chain.pem", leaf + ".key", tls=tls, delay=servers.PATIENCE))
    client = clients.BY_NAME[name]
    check(not run(env, client, server, None).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    chain = check_chain(event, "server", env.fixtures, "odd-utf8.chain.pem")
    check(chain[0].get("error"), "the leaf's entry does not say that it does not parse")
    check(not any(entry["proven"] for entry in chain), "something is proven")
    equal(event, "tls.server.subject", None)


@cases("nul-in-names", "newlines-in-names", "quotes-in-names", "escapes-in-names", "directions-in-names", "sans-10000",
       "sans-of-each-kind", "serial-negative", "serial-of-5000-bytes", "extensions-3000", "constraints-1500",
       "extension-nested-10000", "unknown-critical", "basic-huge-length", "time-of-letters", "size-just-too-large")
def test_hostile_leaf(env, name):
    """tests/fixtures/hostile.py, with the key of good-leaf: one event, of one line, with a verdict; it proves nothing."""
    with open(env.fixtures.path(f"hostile/{name}.der"), "rb") as file:
        der = file.read()
    agent = env.agent("enforce")
    chain = env.host.file("hostile.pem", ssl.DER_cert_to_PEM_cert(der))
    server = serve(env, chain, "good-leaf", delay=servers.PATIENCE)
    check(not run(env, clients.BY_NAME["curl"], server, None).wait(), "the client was served")
    (event,) = agent.verifications(server.port)
    check_violation(event, "localhost-issuer", "killed")
    text = json.dumps(event, ensure_ascii=False)
    check(not any(ord(letter) < 0x20 or 0x7f <= ord(letter) < 0xa0 or letter in "\u202e\u2066\u2028" for letter in text),
          "a control character is in the event")
    cut = get(event, "tlswarden.truncated")
    check(not cut or len(der) > 32 << 10, "not all of it was seen")
    check(cut or get(event, "tls.server.hash.sha256").lower() == hashlib.sha256(der).hexdigest(), "not the leaf's hash")


def test_text_of_a_certificate_stays_one_line(env):
    """A subject with a quote, a newline, a backslash and a direction mark."""
    agent = env.agent("enforce")
    client = clients.BY_NAME["python-ssl"]
    server = env.watch(client.server(env.fixtures, "odd-text"))
    check(run(env, client, server, env.trusting).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    check_allowed(event)
    subject = get(event, "tls.server.subject")
    check("\n" not in subject and "\u202e" not in subject and "\0" not in subject, f"subject: {subject!r}")


def test_the_agent_still_lives(env):
    agent = env.agent("enforce")
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    check(run(env, client, server, env.trusting).wait(), "the client was not served")
    check_allowed(agent.verifications(server.port)[0])


def test_verification_that_is_not_tls_is_no_event(env):
    """`openssl verify`, then a client whose event must be the next one of ours."""
    agent = env.agent("enforce")
    mark = agent.mark()
    path = env.fixtures.path
    verify = env.watch(env.host.run(["openssl", "verify", "-CAfile", path("good-root.pem"), "-untrusted",
                                     path("good-int.pem"), path("good-leaf.pem")]))
    check(verify.wait() == 0, "openssl verify failed")
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    check(run(env, client, server, env.trusting).wait(), "the client was not served")
    agent.verifications(server.port)
    wrong = [event for event in agent.events[mark:]
             if get(event, "process.pid") == verify.pid or (get(event, "process.executable") or "").endswith("/openssl")]
    check(not wrong, f"openssl verify made an event: {wrong}")
