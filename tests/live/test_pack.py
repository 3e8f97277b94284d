"""The pack of policies in deploy/policies, and its own unit tests, which `tlswarden test` runs: that they pass, that they
ask both ways for every rule, that pins are those of the CAs named, that each single one counts, and that the agent takes the
pack as it is. What only the CAs named could show is shown by own CAs in their places (pack.py)."""
import base64
import glob
import hashlib
import os
import re
import shutil
import subprocess

from agent import get
from host import Unable, check
from pack import AT, OTHER, PACK, RESOLVER, Copies, case, entries, pack, read

TESTS = os.path.join(PACK, "tests")
MOZILLA = "/usr/share/ca-certificates/mozilla"
RULE = re.compile(r"^  - id: (\S+)$", re.M)
EXPECT = re.compile(r"^    expect: \{verdict: (\S+), rules: \[([^]]*)\]", re.M)
# Fina's two as the incident made them known.
FINA = {"Fina Root CA": "vjKAxoY8dwozyQQL2X1VQLIW0dkduLCIzqwRl9rh1mA=",
        "Fina RDC 2020": "fMPVcos4UUtyrf+fGKoXWACb72JP/DsqnYSS00iN9to="}
# Chains beside the tests whose certificates have keys that a policy names.
BESIDE = {"Example Corp Root CA": "corp.pem", "Example Corp Root CA 2": "corp-spare.pem"}
# Broken by no test in the pack, for nobody here can make such a chain: test_each_forbidden_key has it broken.
ELSEWHERE_BROKEN = {"no-fina"}


def policies():
    found = sorted(glob.glob(os.path.join(PACK, "*.yaml")))
    check(len(found) >= 6, f"policies: {found}")
    return found


def run(env, *arguments):
    return env.watch(env.host.run([env.binary, *arguments]))


def test_check(env):
    child = run(env, "check", PACK, TESTS)
    check(child.process.returncode == 0, "exit is not 0")
    for path in policies():
        check(f"{path}: fine: policy {os.path.basename(path)[:-5]}, " in child.output, f"{path} is not told to be fine")
        check(f"{os.path.join(TESTS, os.path.basename(path))}: fine: " in child.output, f"{path} has no tests")


def test_tests(env):
    """All pass, wherever the command is run from, and none is left out."""
    count = sum(len(EXPECT.findall(read(path))) for path in glob.glob(os.path.join(TESTS, "*.yaml")))
    child = run(env, "test", TESTS)
    check(child.process.returncode == 0 and child.output == f"{count} passed, 0 failed\n", f"not all of {count} passed")


def test_every_rule_both_ways(env):
    """Each rule is expected to be broken by some test, and not to be by another. Dates never matter: each says as of when."""
    for path in policies():
        tests = os.path.join(TESTS, os.path.basename(path))
        text = read(tests)
        names = len(re.findall(r"^  - name: ", text, re.M))
        expected = [set(filter(None, re.split(r",\s*", rules))) for _, rules in EXPECT.findall(text)]
        check(len(expected) == names == len(re.findall(r"^    at: ", text, re.M)), f"{tests}: a test without at, or rules")
        for rule in RULE.findall(read(path)):
            broken = sum(rule in rules for rules in expected)
            least = 0 if rule in ELSEWHERE_BROKEN else 1
            check(least <= broken < len(expected), f"{tests}: {rule} is broken by {broken} of {len(expected)} tests")


def test_a_test_that_fails(env):
    """The same tests of a policy that asks for less."""
    directory = env.host.temporary("pack")
    os.mkdir(os.path.join(directory, "tests"))
    os.symlink(os.path.join(TESTS, "chains"), os.path.join(directory, "tests/chains"))
    text = read(os.path.join(PACK, "public-resolvers.yaml"))
    weaker = text.replace("      - {san_ip: \"@resolvers\"}", "      - {san_ip: [\"192.0.2.1\"]}")
    check(weaker != text, "the rule is not as this test knows it")
    for name, content in (("public-resolvers.yaml", weaker),
                          ("tests/public-resolvers.yaml", read(os.path.join(TESTS, "public-resolvers.yaml")))):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(content)
    child = run(env, "test", os.path.join(directory, "tests"))
    check(child.process.returncode == 1, "exit is not 1")
    check("FAIL: a certificate that claims a resolver's address" in child.output, "the test that must fail is not named")


def pin_of(path):
    """SPKI SHA-256 of a certificate, in base64, by the openssl command."""
    key = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-pubkey"], check=True, stdout=subprocess.PIPE).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, input=key,
                         stdout=subprocess.PIPE).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def roots():
    """Mozilla's roots on this machine, by the names that policies give them."""
    found = {os.path.basename(path)[:-4].replace("_", " "): path for path in glob.glob(os.path.join(MOZILLA, "*.crt"))}
    if not found:
        raise Unable(f"{MOZILLA} is empty: install ca-certificates")
    return found


def test_pins(env):
    """Names and pins belong together: those of Mozilla's roots, of the certificates that lie beside the tests, and Fina's.

    Mozilla takes roots in and puts others out, and Debian follows by updates, so a root may not be there. Then no root that is
    there may have its pin: that would be one with a wrong name."""
    known, compared = roots(), set()
    names = {pin_of(path): name for name, path in known.items()}
    for path in policies():
        found = entries(read(path))
        check(len(found) == read(path).count("spki_sha256:"), f"{path}: not all pins are as this test knows them")
        for entry in found:
            if entry.name in FINA:
                pin = FINA[entry.name]
            elif entry.name in BESIDE:
                chain = os.path.join(TESTS, "chains", BESIDE[entry.name])
                pin = entry.pin
                check(f'"{entry.name}", spki_sha256: "{pin}"' in run(env, "pin", chain).output, f"{chain} has not that key")
            elif entry.name in known:
                pin = pin_of(known[entry.name])
                compared.add(entry.name)
            else:
                check(entry.pin not in names, f"{path}: {entry.name} is {names.get(entry.pin)} in {MOZILLA}")
                continue
            check(entry.pin == pin, f"{path}: the pin of {entry.name} in {entry.set} is not {pin}")
    check(len(compared) >= 30, f"only {len(compared)} roots are in {MOZILLA}")


def test_each_root_is_known(env):
    """The real roots, by the pins of the policy: each is in its set by its own entry alone."""
    known, copies = roots(), Copies(env, "good-root")
    text = pack("public-resolvers")
    stranger = next(path for name, path in sorted(known.items()) if name not in {entry.name for entry in entries(text)})
    for entry in entries(text):
        if entry.name not in known:
            continue
        rule = f'rules:\n  - {{id: known, match: [{{any: true}}], require: {{key_in: "@{entry.set}"}}}}\n'
        for policy, verdict in ((text, ("ok",)), (entry.removed(), ("log", "known"))):
            copies.add(policy.partition("rules:\n")[0] + rule, case(entry.name, known[entry.name], *verdict),
                       case("another root", stranger, "log", "known"))
    check(copies.count >= 4 * 30, f"only {copies.count} tests")
    copies.expect_passed()


def resolver_cases(chain, stranger, counts):
    """Of a CA that is in resolver-cas, or in no set: the other set is not meant."""
    return (case("at a resolver", chain, *(("ok",) if counts else ("kill", "resolver-issuer")), peer=RESOLVER),
            case("at another", chain, *(("log", "other-resolver-issuer") if counts else
                                        ("kill", "resolver-issuer", "other-resolver-issuer")), peer=OTHER),
            case("by its name, elsewhere", chain, *(("ok",) if counts else ("kill", "resolver-issuer")),
                 server_name="cloudflare-dns.com"),
            case("another CA", stranger, "kill", "resolver-issuer", peer=RESOLVER, reason="no key of @resolver-cas"))


def other_cases(chain, stranger, counts):
    """Likewise of usual-cas."""
    return (case("at another resolver", chain, *(("ok",) if counts else ("log", "other-resolver-issuer")), peer=OTHER),
            case("at a large one", chain, "kill", "resolver-issuer", peer=RESOLVER),
            case("by its name, elsewhere", chain, *(("ok",) if counts else ("log", "other-resolver-issuer")),
                 server_name="dns.mullvad.net"),
            case("another CA", stranger, "log", "other-resolver-issuer", peer=OTHER, reason="no key of @usual-cas"))


# Set: what its chains are judged by, and the certificates whose names the fixtures have: leaf, intermediate, root; a forged one.
REQUIRED = {"resolver-cas": (resolver_cases, ("genuine-1111", "resolver-int", "resolver-root"), "forged-1111"),
            "usual-cas": (other_cases, ("good-leaf", "good-int", "good-root"), "forged-leaf")}


def test_each_required_key(env):
    """With an own CA in the place of one key of the policy, one after the other, what that CA vouches for is good; without, it
    is not. Both a root that is not sent and an intermediate count, and the leaf's own key does not."""
    text = pack("public-resolvers")
    places = [entry for entry in entries(text) if entry.set in REQUIRED]
    check({entry.set for entry in places} == set(REQUIRED) and len(places) >= 40, "the sets are not as this test knows them")
    copies = Copies(env, "resolver-root", "good-root", "fina-root", "rogue-root")
    for entry in places:
        cases, names, forged = REQUIRED[entry.set]
        chain, stranger = (env.fixtures.path(f"{name}.chain.pem") for name in (names[0], forged))
        for name in names:
            copies.add(entry.replaced(env.fixtures.pin(name)), *cases(chain, stranger, name != names[0]))
    for cases, names, forged in REQUIRED.values():
        copies.add(text, *cases(*(env.fixtures.path(f"{name}.chain.pem") for name in (names[0], forged)), False))
    copies.expect_passed()


def test_the_entry_that_counts_is_named(env):
    """explain tells by which key the rule holds."""
    copies = Copies(env, "resolver-root", "good-root")
    for entry in (entry for entry in entries(pack("public-resolvers")) if entry.set in REQUIRED):
        _, names, _ = REQUIRED[entry.set]
        policy = copies.add(entry.replaced(env.fixtures.pin(names[2])))
        peer = RESOLVER if entry.set == "resolver-cas" else OTHER
        child = run(env, "explain", "--policy", policy, "--chain", env.fixtures.path(names[0] + ".chain.pem"), "--anchors",
                    copies.anchors, "--peer", peer, "--at", AT)
        check(child.process.returncode == 0, "exit is not 0")
        check(re.search(rf'^  require +holds +issuer_in @{entry.set}: .*"{re.escape(entry.name)}"', child.output, re.M),
              f"{entry.name} of {entry.set} is not named")


def test_a_genuine_ca_beside_a_forged_chain(env):
    """It proves nothing: neither any of the real roots that are pinned, nor an own CA in the place of one."""
    known, text = roots(), pack("public-resolvers")
    copies = Copies(env, "rogue-root", "good-root")
    real = sorted({known[entry.name] for entry in entries(text) if entry.name in known})
    forged = [env.fixtures.path(name) for name in ("forged-leaf.pem", "rogue-int.pem")]
    tests = []
    for begin in range(0, len(real), 12):       # no more than the agent takes of a chain
        beside = env.fixtures.bundle(*forged, *real[begin:begin + 12])
        tests += [case(f"at a resolver, {begin}", beside, "kill", "resolver-issuer", peer=RESOLVER),
                  case(f"at another, {begin}", beside, "log", "other-resolver-issuer", peer=OTHER),
                  case(f"built by the application, {begin}", env.fixtures.path("forged-leaf.chain.pem"), "kill",
                       "resolver-issuer", peer=RESOLVER, application_chain=beside)]
    copies.add(text, *tests)
    beside = env.fixtures.bundle("forged-leaf.pem", "good-int.pem", "good-root.pem", "lookalike-int.pem", "rogue-int.pem")
    for entry in (entry for entry in entries(text) if entry.set in REQUIRED):
        tests = (case("at a resolver", beside, "kill", "resolver-issuer", peer=RESOLVER),
                 case("at another", beside, "log", "other-resolver-issuer", peer=OTHER))
        for name in ("good-int", "good-root"):
            # That CA is in the set now, and has signed nothing of what the leaf needs.
            copies.add(entry.replaced(env.fixtures.pin(name)), *tests)
    copies.expect_passed()


def forbidden(env, entry, ca):
    """What a chain with that key in it is judged to be, wherever the key stands."""
    files = env.fixtures
    whole, good = files.path("forged-leaf.full.pem"), files.path("good-leaf.chain.pem")
    beside = files.bundle("good-leaf.chain.pem", ca + ".pem")
    rule, reason = ("kill", "no-fina"), f'"{entry.name}" is the key of'
    return (case("whatever it is for", whole, *rule, reason=reason, server_name="www.example.com"),
            case("its root not sent", files.path("forged-leaf.chain.pem"), *rule, reason=reason),
            case("at a resolver", whole, *rule, "resolver-issuer", peer=RESOLVER),
            case("at another", whole, *rule, "other-resolver-issuer", peer=OTHER),
            case("to a process that does not verify", whole, *rule, verify="off"),
            case("beside a chain that does not need it", beside, *rule, reason=f"{reason} CN=Rogue"),
            case("before a chain that does not need it", files.bundle("good-leaf.pem", ca + ".pem", "good-int.pem"), *rule),
            case("in the application's chain, not sent", good, *rule, application_chain=beside),
            case("a client that logs in here", whole, *rule, role="server", peer=None),
            case("a CA that vouches for nothing but itself", files.path(ca + ".pem"), *rule))


def test_each_forbidden_key(env):
    """An own CA in the place of each of Fina's; without it, none of this is forbidden. The other of the two is not meant."""
    text = pack("public-resolvers")
    places = [entry for entry in entries(text) if entry.set == "fina"]
    check([entry.name for entry in places] == list(FINA), "the set is not as this test knows it")
    copies = Copies(env, "good-root", "rogue-root")
    for entry, (ca, other) in zip(places, (("rogue-root", "rogue-int"), ("rogue-int", "rogue-root"))):
        pin, good = env.fixtures.pin(ca), env.fixtures.path("good-leaf.chain.pem")
        tests = forbidden(env, entry, ca)
        # The root is known without being sent, as the one that signed the intermediate.
        verdict = ("ok",) if ca == "rogue-int" else ("kill", "no-fina")
        only_other = case("only the other", env.fixtures.bundle("good-leaf.chain.pem", other + ".pem"), *verdict)
        copies.add(entry.replaced(pin), *tests, case("another CA", good, "ok"), only_other,
                   case("its name and another key", env.fixtures.path("forged-1111.full.pem"), "kill", "resolver-issuer"))
        for test in tests:
            rules = [rule for rule in test["expect"]["rules"] if rule != "no-fina"]
            verdict = {"resolver-issuer": "kill", "other-resolver-issuer": "log"}[rules[0]] if rules else "ok"
            test["expect"] = {"verdict": verdict, "rules": rules}
        copies.add(text, *tests)
    copies.expect_passed()


def stores(env):
    """Two of our roots as a store: in a directory as Debian's package has it, and as a bundle."""
    names = "good-root.pem", "client-ca.pem"
    directory = env.host.temporary("store")
    for name in names:
        shutil.copy(env.fixtures.path(name), os.path.join(directory, name[:-4] + ".crt"))
    return directory, env.fixtures.bundle(*names)


def store_cases(env, known):
    """What is judged by a store: with our roots in it (known), or without."""
    files, rule = env.fixtures, ("log", "not-mozilla")
    good, forged = files.path("good-leaf.chain.pem"), files.path("forged-leaf.chain.pem")
    told, late, early, purpose = ("not trusted by @mozilla", "expired", "not yet valid", "purpose") if known else (None,) * 4
    fine = ("ok",) if known else rule
    return (case("a root of the store vouches for it", good, *fine),
            case("taken unseen, and good all the same", good, *fine, verify="off"),
            case("its root is sent along", files.path("good-leaf.full.pem"), *fine),
            case("in another order", files.bundle("good-leaf.pem", "good-root.pem", "good-int.pem"), *fine),
            case("another root", forged, *rule, reason=told),
            case("another root that is sent along", files.path("forged-leaf.full.pem"), *rule),
            case("the store's CA beside it", files.bundle("forged-leaf.chain.pem", "good-int.pem", "good-root.pem"), *rule),
            case("the store's CA in the application's chain", forged, *rule, application_chain=good),
            case("the name of the store's CA", files.bundle("forged-leaf.pem", "lookalike-int.pem", "good-root.pem"), *rule),
            case("the intermediate is missing", files.path("good-leaf.pem"), *rule),
            case("a client's certificate as a server's", files.path("client-good.chain.pem"), *rule, reason=purpose),
            case("it has expired", good, *rule, verify="failed-ignored", at="2049-01-01T00:00:00Z", reason=late),
            case("it is not good yet", good, *rule, verify="off", at="2020-01-01T00:00:00Z", reason=early),
            case("another root, not taken", forged, "ok", verify="failed"),
            case("another root, inside", forged, "ok", server_name="db.prod.internal"))


def test_store(env):
    """mozilla-only with a store whose CAs are ours: what leads to a root in it is fine, and all else is told."""
    text = pack("mozilla-only")
    check(text.count(MOZILLA + "\n") == 1, "the store is not as this test knows it")
    copies = Copies(env, "good-root", "rogue-root")     # the agent knows them in any case; that is no trust
    for store in stores(env):
        copies.add(text.replace(MOZILLA, store), *store_cases(env, True))
    for store in MOZILLA, env.fixtures.path("cross-root-a.pem"):
        copies.add(text.replace(MOZILLA, store), *store_cases(env, False))
    copies.expect_passed()


def test_run(env):
    """The agent takes the directory as it is; the tests below it are no policies."""
    agent = env.new_agent(mode="audit", name="pack", more=("--policy", PACK))
    loaded = [get(event, "tlswarden.policy.name") for event in agent.events
              if get(event, "event.action") == "policy-loaded"]
    check(loaded == [os.path.basename(path)[:-5] for path in policies()], f"policies loaded: {loaded}")
    env.stop_agents()
