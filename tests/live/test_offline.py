"""The commands that judge offline: explain, test and check. No agent, no probes: command line, exit codes, messages."""
import os
import re

from expect import cases
from host import check
from test_refusals import BROKEN

AT = "2030-01-01T00:00:00Z"     # the fixtures are valid then


def run(env, *arguments, **more):
    return env.watch(env.host.run([env.binary, *arguments], **more))


def expect_exit(child, code, *texts):
    check(child.process.returncode == code, f"exit is {child.process.returncode}, expected {code}")
    for text in texts:
        check(text in child.output, f"no {text!r} in the output")
    return child.output


def policy(*rules, name="p", head="", sets=""):
    return f"version: 1\nname: {name}\n{head}\n{sets}rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)


def write(directory, name, text, mode=0o644):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def explain(env, policy_text, *arguments, chain="good-leaf.chain.pem", anchors="good-root.pem"):
    path = env.host.file("explained.yaml", policy_text)
    return run(env, "explain", "--policy", path, "--chain", env.fixtures.path(chain), "--anchors",
               env.fixtures.path(anchors), "--at", AT, *arguments)


# --- explain -----------------------------------------------------------------------------------------------------------

def test_explain_a_violation(env):
    """Certificates, pins, rules, verdict, and what would be done in each mode."""
    text = env.fixtures.policy()
    args = ("--server-name", "localhost", "--exe", "/usr/bin/curl")
    child = explain(env, text, *args, chain="forged-leaf.chain.pem", anchors="rogue-root.pem")
    output = expect_exit(child, 1, "CN=Rogue Intermediate", "BROKEN   live/localhost-issuer", "  yes     server_name ",
                         "issuer_in @local-cas: no key of @local-cas", "/usr/bin/curl", "asked for: kill",
                         "done: the connection would be killed (enforce)", "no match live/client-issuer")
    for name in ("forged-leaf", "rogue-int", "rogue-root"):
        check(env.fixtures.pin(name) in output, f"no pin of {name}")
    for mode, result in (("audit", "nothing but an event, would-kill (audit)"), ("enforce", "would be killed (enforce)")):
        child = explain(env, text, *args, "--mode", mode, chain="forged-leaf.chain.pem")
        expect_exit(child, 1, "done: ", result)
    child = explain(env, env.fixtures.policy("audit"), *args, chain="forged-leaf.chain.pem")
    expect_exit(child, 1, "its policy audits", "would-kill (audit)")
    expect_exit(explain(env, text, *args), 0, "verdict: ok, no rule is broken", "fine     live/localhost-issuer")


# Option, the entry of `match`, values with which it matches, and with which it does not; "" stands for without the option.
MATCHES = [
    ("server-name", "{server_name: \"*.example.com\"}", ["www.example.com", "WWW.EXAMPLE.COM."], ["example.com", ""]),
    ("host", "{server_name: www.example.com}", ["www.example.com"], ["example.com", ""]),
    ("peer", "{peer_ip: 192.0.2.0/24}", ["192.0.2.7", "192.0.2.7:443", "::ffff:192.0.2.7"], ["192.0.3.7", "::1", ""]),
    ("peer", "{peer_ip: \"2001:db8::/32\", peer_port: 853}", ["[2001:db8::1]:853"], ["[2001:db8::1]:443", "2001:db8::1"]),
    ("exe", "{exe: \"/opt/lab/*\"}", ["/opt/lab/x"], ["/opt/x", ""]),
    ("user", "{user: alice}", ["alice"], ["bob", "1000", ""]),
    ("user", "{user: 0}", ["0", "root"], ["1", ""]),
    ("unit", "{unit: nginx.service}", ["nginx.service"], ["ssh.service", ""]),
    ("container", "{container: abc}", ["abc"], ["abd", ""]),
    ("role", "{role: server}", ["server"], ["client", ""]),
    ("library", "{library: gnutls}", ["gnutls"], ["openssl", ""]),
]


@cases(*[(number, option) for number, (option, *_) in enumerate(MATCHES)])
def test_what_a_connection_is(env, number, option):
    """Each option of explain and key of a test, both ways: they agree."""
    _, entry, good, bad = MATCHES[number]
    text = policy(f"id: r, match: [{entry}], require: {{key_in: [{{spki_sha256: \"{env.fixtures.pin('rogue-root')}\"}}]}}")
    env.host.file("explained.yaml", text)
    key = option.replace("-", "_")
    for value in good + bad:
        child = explain(env, text, *([f"--{option}", value] if value else []))
        expect_exit(child, 1 if value in good else 0, "verdict: VIOLATION of p/r" if value in good else "no match p/r")
        told = f"{key}: \"{value}\", " if value else ""
        tests = env.host.file("explained.test.yaml", f"""\
policies: explained.yaml
anchors: {env.fixtures.path("good-root.pem")}
tests:
  - {{name: t, chain: {env.fixtures.path("good-leaf.chain.pem")}, {told}expect: {{verdict: {"log" if value in good else "ok"}}}}}
""")
        expect_exit(run(env, "test", tests), 0, "1 passed, 0 failed")


def test_explain_verify(env):
    text = policy("id: r, match: [{any: true}], require: {verified: true}")
    for library in ("openssl", "gnutls"):
        for value in ("ok", "failed", "failed-ignored", "off"):
            expect_exit(explain(env, text, "--verify", value, "--library", library), 0 if value == "ok" else 1)
    expect_exit(explain(env, text), 0)


def test_explain_where_the_root_is_known_from(env):
    """The root is not presented: it is proven by the application's chain, by the anchors, or by a trust store."""
    pin = env.fixtures.pin("good-root")
    text = policy(f"id: r, match: [{{any: true}}], require: {{key_in: [{{spki_sha256: \"{pin}\"}}]}}")
    none = "rogue-root.pem"
    expect_exit(explain(env, text, anchors=none), 1, "the end: nobody here has signed it")
    expect_exit(explain(env, text, anchors="good-root.pem"), 0, "known here")
    expect_exit(explain(env, text, "--application-chain", env.fixtures.path("good-leaf.full.pem"), anchors=none), 0,
                "in the application's chain")
    store = f"sets:\n  trust_stores: {{ours: {env.fixtures.path('good-root.pem')}}}\n"
    trusting = "id: s, match: [{any: true}], require: {trusted_by: \"@ours\"}"
    expect_exit(explain(env, policy(trusting, sets=store), anchors=none), 0)
    expect_exit(explain(env, policy(trusting, sets=store), anchors=none, chain="forged-leaf.chain.pem"), 1, "trusted_by @ours")


def test_explain_at(env):
    """--at is the time of all: the policy's end, its enforcement, the certificate's dates."""
    text = policy("id: r, match: [{any: true}], require: {verified: true}, action: kill",
                  head="mode: enforce\nenforce_until: 2029-01-01T00:00:00Z\nexpires: \"2030-01-01T00:00:00Z\"")
    path = env.host.file("timed.yaml", text)
    chain = env.fixtures.path("expired-leaf.chain.pem")

    def at(time, code, *texts):
        child = run(env, "explain", "--policy", path, "--chain", chain, "--verify", "off", "--at", time)
        expect_exit(child, code, *texts)

    at("2019-06-01T00:00:00Z", 1, "it was, for", "would be killed (enforce)")
    at("2028-12-31T23:59:59Z", 1, "it had expired", "would be killed (enforce)")
    at("2029-01-01T00:00:00Z", 1, "would-kill (audit)")
    at("2030-01-01T00:00:00Z", 0, "expired  p: the policy no longer applies")
    at("2018-01-01T00:00:00Z", 1, "not yet")


def test_explain_command_line(env):
    good = ["--policy", env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}")),
            "--chain", env.fixtures.path("good-leaf.chain.pem")]
    expect_exit(run(env, "explain", *good), 0)
    expect_exit(run(env, "explain"), 2, "--chain is missing", "--help")
    expect_exit(run(env, "explain", *good[:2]), 2, "--chain is missing")
    expect_exit(run(env, "explain", *good[2:]), 2, "--policy is missing")
    expect_exit(run(env, "explain", *good, "more"), 2, "what is this?")
    expect_exit(run(env, "explain", *good, "--nonsense"), 2)
    for option, value, text in (("peer", "localhost:443", "[IPv6]:PORT"), ("peer", "1.1.1.1:0", "IP"),
                                ("verify", "maybe", "failed-ignored"), ("role", "peer", "client or server"),
                                ("library", "nss", "openssl or gnutls"), ("at", "tomorrow", "2027-01-31T00:00:00Z"),
                                ("mode", "kill", "audit or enforce"), ("user", "4294967295", "a number below"),
                                ("exe", "curl", "whole path")):
        expect_exit(run(env, "explain", *good, f"--{option}", value), 2, f"--{option} {value}: ", text)
    for option in ("chain", "application-chain", "anchors", "policy"):
        expect_exit(run(env, "explain", *good, f"--{option}", "/nonexistent"), 2, "/nonexistent: No such file")
    expect_exit(run(env, "explain", *good, "--policy", env.host.temporary("empty")), 2, "no *.yaml or *.yml in it")
    key = env.fixtures.path("good-leaf.key")
    expect_exit(run(env, "explain", *good, "--chain", key), 2, f"{key}: no PEM certificate")
    expect_exit(run(env, "explain", *good, "--application-chain", key), 2, "in the application's chain")
    expect_exit(run(env, "explain", "--help"), 0, "usage: tlswarden explain")


def test_explain_policies_that_are_wrong(env):
    chain = ["--chain", env.fixtures.path("good-leaf.chain.pem")]
    for kind, (text, place) in BROKEN.items():
        path = env.host.file(f"explain-{kind}.yaml", text)
        expect_exit(run(env, "explain", "--policy", path, *chain), 1, path + place)
    rule = "id: r, match: [{any: true}], require: {trusted_by: \"@s\"}"
    sets = "sets:\n  trust_stores:\n    s: %s\n"
    for store, what in (("/nonexistent.pem", "No such file"), ("good-leaf.key", "")):
        path = env.host.file("explain-store.yaml", policy(rule, sets=sets % env.fixtures.path(store)))
        expect_exit(run(env, "explain", "--policy", path, *chain), 1, f"{path}:6:8: ", what)


def test_explain_several_policies(env):
    """Files and directories, all in force together, in the order of their names."""
    directory = env.host.temporary("several")
    rule = "id: r, match: [{any: true}], require: {verified: true}"
    write(directory, "2.yaml", policy(rule, name="two"))
    write(directory, "1.yml", policy(rule, name="one"))
    third = env.host.file("three.yaml", policy(rule, name="three"))
    chain = ["--chain", env.fixtures.path("good-leaf.chain.pem"), "--verify", "off"]
    expect_exit(run(env, "explain", "--policy", third, "--policy", directory, *chain), 1,
                "VIOLATION of three/r, one/r, two/r")
    expect_exit(run(env, "explain", "--policy", third, "--policy", third, *chain), 1, "is taken already")


def test_explain_many_rules(env):
    """What does not match is summed up, and what does comes first."""
    rules = [f"id: r{i}, match: [{{server_name: h{i}.test}}], require: {{verified: true}}" for i in range(150)]
    text = policy(*rules)
    output = expect_exit(explain(env, text, "--server-name", "h77.test", "--verify", "off"), 1, "BROKEN   p/r77",
                         "no match: 129 more rules (--verbose shows them)")
    check(output.count("\nno match p/") == 20, f"{output.count('no match p/')} rules that do not match, expected 20")
    check(output.index("p/r77") < output.index("p/r0"), "what applies does not come first")
    output = expect_exit(explain(env, text, "--server-name", "h77.test", "--verify", "off", "--verbose"), 1)
    check(output.count("\nno match p/") == 149, "--verbose does not show all")


def test_explain_colour(env):
    """On a terminal only."""
    path = env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    command = f"{env.binary} explain --policy {path} --chain {env.fixtures.path('good-leaf.chain.pem')} --verify off"
    check("\033" not in run(env, *command.split()[1:]).output, "colour in a file")
    for settings, coloured in (("TERM=xterm", True), ("TERM=dumb", False), ("TERM=xterm NO_COLOR=1", False)):
        child = env.watch(env.host.run(["env", *settings.split(), "script", "-qec", command, "/dev/null"]))
        expect_exit(child, 1, "VIOLATION")
        check(("\033" in child.output) == coloured, f"colour on a terminal with {settings}")


@cases("odd-text", "odd-nul", "odd-utf8", "odd-serial", "many-sans", "broken-san", "ext-30k", "ext-40k", "big")
def test_explain_hostile_certificates(env, name):
    """A verdict, and not one byte of theirs that a terminal would obey."""
    text = policy("id: r, match: [{san_dns: \"**.example.com\"}, {any: true}], require: {verified: true}")
    for more in ((), ("--verbose",)):
        child = explain(env, text, "--host", "a\033[31mb\x01", "--unit", "x\ny", "--exe", "/bin/\033[2J", *more,
                        chain=name + ".chain.pem")
        expect_exit(child, 0, "verdict: ok")
        with open(child.path, "rb") as file:
            raw = file.read()
        bad = re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
        check(not bad, f"control characters in the output: {bad[:5]}")
        raw.decode("utf-8")


def test_large_chains_are_refused_by_name(env):
    chain = env.host.file("large.pem", "-----BEGIN CERTIFICATE-----\n" + "A" * 270000 + "\n-----END CERTIFICATE-----\n")
    path = env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    expect_exit(run(env, "explain", "--policy", path, "--chain", chain), 2, f"{chain}: ", "more than")
    chain = env.host.file("long.pem", env.fixtures.text("good-leaf.pem") * 33)
    expect_exit(run(env, "explain", "--policy", path, "--chain", chain), 2, "33 certificates")
    chain = env.host.file("long.pem", env.fixtures.text("good-leaf.pem") * 17)
    expect_exit(run(env, "explain", "--policy", path, "--chain", chain), 0, "nothing is proven: the agent does not get all")


def test_files_of_root_alone(env):
    """Everything is read before root's rights are given up."""
    directory = env.host.temporary("secret")
    os.chmod(directory, 0o700)
    for name in ("good-leaf.chain.pem", "good-root.pem"):
        write(directory, name, env.fixtures.text(name), 0o600)
    text = policy("id: r, match: [{any: true}], require: {trusted_by: \"@s\"}",
                  sets="sets:\n  trust_stores: {s: good-root.pem}\n")
    path = write(directory, "p.yaml", text, 0o600)
    tests = write(directory, "tests", "policies: p.yaml\nanchors: good-root.pem\ntests:\n"
                  f"  - {{name: t, chain: good-leaf.chain.pem, at: {AT}, expect: {{verdict: ok}}}}\n", 0o600)
    expect_exit(run(env, "explain", "--policy", path, "--chain", os.path.join(directory, "good-leaf.chain.pem"),
                    "--anchors", os.path.join(directory, "good-root.pem"), "--at", AT), 0)
    expect_exit(run(env, "test", tests), 0, "1 passed, 0 failed")
    expect_exit(run(env, "check", path, tests), 0, "fine: policy p", "fine: 1 test of 1 policy")


def test_without_any_right(env):
    """An ordinary user may do all of it. The chain is a copy: the build may lie in a home directory that is closed to others."""
    path = env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    chain = env.fixtures.bundle("good-leaf.pem")
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", env.binary]
    child = env.watch(env.host.run([*user, "explain", "--policy", path, "--chain", chain]))
    expect_exit(child, 0, "verdict: ok")
    expect_exit(env.watch(env.host.run([*user, "check", path])), 0)


# --- test --------------------------------------------------------------------------------------------------------------

def suite(env, *tests, policies="live.yaml", head=""):
    env.host.file("live.yaml", env.fixtures.policy("audit"))
    return env.host.file("suite.yaml", f"policies: {policies}\n{head}tests:\n" + "".join(f"  - {test}\n" for test in tests))


def one_test(env, name="t", chain="forged-leaf", more="server_name: localhost", expect="{verdict: kill}"):
    return f"{{name: {name}, chain: {env.fixtures.path(chain + '.chain.pem')}, {more}, at: {AT}, expect: {expect}}}"


def test_test_passes(env):
    """What is asked for counts, though the policy audits."""
    path = suite(env, one_test(env, "a", expect="{verdict: kill, rules: [localhost-issuer]}"),
                 one_test(env, "b", expect="{verdict: kill, rules: live/localhost-issuer, reason: no key of @local-cas}"),
                 one_test(env, "c", "good-leaf", expect="{verdict: ok, rules: []}"),
                 one_test(env, "d", more="server_name: null, role: server", expect="{verdict: ok}"))
    output = expect_exit(run(env, "test", path), 0)
    check(output == "4 passed, 0 failed\n", "more than the sum was printed")
    expect_exit(run(env, "test", "--verbose", path), 0, f"{path}:3:12: ok: a\n", f"{path}:6:12: ok: d\n")


def test_test_fails(env):
    path = suite(env, one_test(env, "a", "good-leaf", expect="{verdict: kill, rules: localhost-issuer}"),
                 one_test(env, "b", expect="{verdict: ok}"), one_test(env, "c"),
                 one_test(env, "d", expect="{verdict: log}"),
                 one_test(env, "e", expect="{verdict: kill, rules: [localhost-issuer, client-issuer]}"),
                 one_test(env, "f", expect="{verdict: kill, reason: no such text}"))
    expect_exit(run(env, "test", path), 1, "1 passed, 5 failed\n",
                f"{path}:3:12: FAIL: a\n  expected: kill, by live/localhost-issuer\n  got:      ok\n",
                "  not:      live/localhost-issuer: it matches, and all that it asks holds",
                f"{path}:4:12: FAIL: b\n  expected: ok\n  got:      kill, by live/localhost-issuer\n"
                "  broken:   live/localhost-issuer: no key of @local-cas",
                f"{path}:6:12: FAIL: d\n", f"{path}:7:12: FAIL: e\n", "  not:      live/client-issuer: role ",
                f"{path}:8:12: FAIL: f\n", "with \"no such text\" in a reason")


def test_test_files_that_are_wrong(env):
    """Each with its place; check says the same, and one bad file keeps no other from running."""
    good = env.host.file("good.yaml", f"policies: live.yaml\ntests:\n  - {one_test(env)}\n")
    wrong = (
        (lambda: suite(env, one_test(env, more="servername: x")), ":3:", "did you mean \"server_name\"?"),
        (lambda: suite(env, one_test(env, expect="{verdict: kill, rules: [localhost-isuer]}")), ":3:",
         "did you mean \"localhost-issuer\"?"),
        (lambda: suite(env, "{name: t, chain: missing.pem, expect: {verdict: ok}}"), ":3:22: ", "No such file"),
        (lambda: suite(env, "{name: t, chain: .., expect: {verdict: ok}}"), ":3:22: ", "directory"),
        (lambda: suite(env, one_test(env), policies="[live.yaml, missing.yaml]"), ":1:23: ", "No such file"),
        (lambda: suite(env, one_test(env), head="anchors: missing.pem\n"), ":2:10: ", "No such file"),
        (lambda: suite(env, "{name: t}"), ":3:5: ", "\"expect\" is missing"),
    )
    for make, place, text in wrong:
        path = make()
        expect_exit(run(env, "test", path, good), 1, path + place, text, "1 passed, 0 failed, 1 test file invalid")
        expect_exit(run(env, "check", path, good), 1, path + place, text, f"{good}: fine: 1 test of 1 policy")


def test_test_of_what_is_no_chain(env):
    """Fails that test; the others are run."""
    path = suite(env, f"{{name: t, chain: {env.fixtures.path('good-leaf.key')}, expect: {{verdict: ok}}}}", one_test(env, "u"))
    expect_exit(run(env, "test", path), 1, f"{path}:3:", "no PEM certificate", "1 passed, 1 failed")
    expect_exit(run(env, "check", path), 1, f"{path}:3:", "no PEM certificate")


def test_test_of_broken_policies(env):
    for kind, (text, place) in BROKEN.items():
        named = env.host.file(f"tested-{kind}.yaml", text)
        path = suite(env, one_test(env), policies=f"tested-{kind}.yaml")
        for command in ("test", "check"):
            expect_exit(run(env, command, path), 1, named + place)
    store = policy("id: r, match: [{any: true}], require: {trusted_by: \"@s\"}", sets="sets:\n  trust_stores: {s: none.pem}\n")
    named = env.host.file("tested-store.yaml", store)
    path = suite(env, one_test(env), policies="tested-store.yaml")
    for command in ("test", "check"):
        expect_exit(run(env, command, path), 1, f"{named}:5:", "none.pem")


def test_test_of_directories(env):
    """Tests lie beside policies, or below them; paths are relative to the test file, wherever the command is run."""
    directory = env.host.temporary("pack")
    os.mkdir(os.path.join(directory, "tests"))
    write(directory, "live.yaml", env.fixtures.policy())
    test = one_test(env)
    write(directory, "tests/one.yaml", f"policies: ../live.yaml\ntests:\n  - {test}\n")
    write(directory, "tests/two.yaml", f"policies: [..]\ntests:\n  - {test}\n")
    expect_exit(run(env, "test", os.path.join(directory, "tests")), 0, "2 passed, 0 failed")
    expect_exit(run(env, "test", directory), 2, "no test file in it")
    write(directory, "beside.yaml", f"policies: live.yaml\ntests:\n  - {test}\n")
    expect_exit(run(env, "test", directory), 0, "1 passed, 0 failed")
    # Among policies it is in the way, and is told to be.
    expect_exit(run(env, "test", os.path.join(directory, "tests")), 1, "this is a file of tests, not a policy",
                "1 passed, 0 failed, 1 test file invalid")
    expect_exit(run(env, "check", directory), 0, "fine: policy live", "fine: 1 test of 1 policy")
    for command in (["run", "--output", "-", "--policy"], ["explain", "--chain", env.fixtures.path("good-leaf.pem"), "--policy"]):
        expect_exit(run(env, *command, os.path.join(directory, "beside.yaml")), 1, "beside.yaml:2:1: this is a file of tests")


def test_test_command_line(env):
    expect_exit(run(env, "test"), 2, "usage: tlswarden test")
    expect_exit(run(env, "test", "--nonsense"), 2)
    expect_exit(run(env, "test", "--help"), 0, "usage: tlswarden test")
    expect_exit(run(env, "test", "/nonexistent"), 2, "/nonexistent: No such file")
    expect_exit(run(env, "test", suite(env, one_test(env)), "/nonexistent"), 2, "1 passed, 0 failed")
    # A policy that is named as a test file.
    expect_exit(run(env, "test", env.host.file("live.yaml", env.fixtures.policy())), 1, "unknown key", "in a test file")


# --- what no command takes ---------------------------------------------------------------------------------------------

def test_pipes_that_nobody_writes_into(env):
    """They end at once: what is wrong is told, and nobody is waited for."""
    directory = env.host.temporary("pipes")
    pipe = os.path.join(directory, "pipe.yaml")
    os.mkfifo(pipe)
    os.mkfifo(os.path.join(directory, "leaf.chain.pem"))
    chain = env.fixtures.path("good-leaf.chain.pem")
    expect_exit(run(env, "check", pipe), 1, "pipe.yaml:1:1: the file is empty")
    expect_exit(run(env, "check", directory), 2, "pipe.yaml: a pipe or a device, and no file")
    expect_exit(run(env, "test", pipe), 1, "the file is empty")
    expect_exit(run(env, "explain", "--policy", directory, "--chain", chain), 2, "a pipe or a device")
    expect_exit(explain(env, policy("id: r, match: [{any: true}], require: {verified: true}"), chain=pipe), 2, "no PEM")
    expect_exit(run(env, "pin", pipe), 2, "no PEM certificate")
    tests = env.host.file("piped.test.yaml", f"policies: explained.yaml\ntests:\n  - {one_test(env, chain=directory + '/leaf')}\n")
    expect_exit(run(env, "test", tests), 1, "no PEM certificate in the chain")
    expect_exit(run(env, "run", "--policy", pipe, "--output", "-"), 2, "a pipe or a device, and no file")


def test_names_of_files_are_made_harmless(env):
    """In CI, whose files are checked may be a stranger."""
    directory = env.host.temporary("names")
    write(directory, "a\x1b[31m\n::error::b.yaml", "x: y\n")
    write(directory, "c\x1b[31m.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    os.mkdir(os.path.join(directory, "d\x1b[31m.yaml"))
    for command in (["check"], ["check", "c\x1b[31m.yaml"], ["test"], ["run", "--output", "-", "--policy"]):
        child = run(env, *command[:1], *[os.path.join(directory, name) for name in command[1:] if name[0] != "-"],
                    *command[1:] if command[-1] == "--policy" else (), directory)
        check(child.process.returncode != 0, "a directory is no policy")
        check("\x1b" not in child.output and "\n::error" not in child.output, "a name came out as it is")


def test_an_answer_that_cannot_be_written(env):
    """A full disk is not a fine answer."""
    good = env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    chain = env.fixtures.path("good-leaf.chain.pem")
    for command in (["check", good], ["pin", chain], ["explain", "--policy", good, "--chain", chain]):
        shell = env.watch(env.host.run(["sh", "-c", "exec \"$@\" >/dev/full", "sh", env.binary, *command]))
        expect_exit(shell, 3, "could be written to standard output")


def test_many_large_chains(env):
    """Together they are bounded, not only each."""
    large = env.host.file("large.chain.pem", "x" * (8 << 20))[:-len(".chain.pem")]
    tests = "".join(f"  - {one_test(env, name=f't{number}', chain=large)}\n" for number in range(40))
    path = env.host.file("large.test.yaml", f"policies: explained.yaml\ntests:\n{tests}")
    env.host.file("explained.yaml", policy("id: r, match: [{any: true}], require: {verified: true}"))
    expect_exit(run(env, "test", path), 1, "large.test.yaml:35:", "large.chain.pem: File too large", "1 test file invalid")


# --- check -------------------------------------------------------------------------------------------------------------

def test_check_what_policies_name(env):
    """Trust stores, CRLs and log lists are read and taken apart."""
    junk = env.host.file("junk.pem", "nothing\n")
    for requirement, key in (("require: {trusted_by: \"@s\"}", None),
                             (f"forbid: {{crl: [{junk}]}}", "crl"),
                             (f"require: {{ct: {{scts: 1, operators: 1, logs: {junk}}}}}", "logs")):
        sets = "" if key else f"sets:\n  trust_stores: {{s: {junk}}}\n"
        path = env.host.file("names.yaml", policy(f"id: r, match: [{{any: true}}], {requirement}", sets=sets))
        expect_exit(run(env, "check", path), 1, f"{path}:5:" if key or sets else path, "junk.pem")
    good = env.fixtures.path("good-root.pem")
    path = env.host.file("names.yaml", policy("id: r, match: [{any: true}], require: {trusted_by: \"@s\"}",
                                              sets=f"sets:\n  trust_stores: {{s: {good}}}\n"))
    expect_exit(run(env, "check", path), 0, "fine: policy p")


def test_check_of_tests_is_no_run(env):
    path = suite(env, one_test(env, expect="{verdict: ok}"))
    expect_exit(run(env, "check", path), 0, f"{path}: fine: 1 test of 1 policy")
    expect_exit(run(env, "test", path), 1)
    expect_exit(run(env, "check", path, "/nonexistent"), 2, "fine: 1 test")
