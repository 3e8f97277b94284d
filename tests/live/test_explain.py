"""The live agent and an offline `explain` say the same of the same chain: rules broken, reasons word for word, action.

The agent runs with a policy that uses every key of the language, and one that enforces. Real clients of both libraries meet a
server with an odd chain; then explain is told what the event says of the connection, and what the server sent. Only the
reason of `verified` has two numbers that explain is not told: the library's error code, and the mode."""
import glob
import os
import re
import ssl

import clients
import servers
from agent import get
from cgroups import Cgroups
from expect import cases
from fixtures import PEM
from host import Unable, check
from test_mtls import PythonServer, ask
from test_named_files import CA_CONFIG, Authority

RUN = f"tlswarden-explain-{os.getpid()}"
ID = f"{os.getpid():064x}"


class Nameless(clients.SClient):
    """Asks for no name, has the address checked, and is not root."""
    name = "nameless"
    user = 65534
    sni = None

    def command(self, server, ca, environment):
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "openssl", "s_client", "-quiet",
                "-connect", f"127.0.0.1:{server.port}", "-noservername", "-verify_return_error", "-verify_ip", "127.0.0.1",
                "-CAfile", ca]


BY_NAME = {**clients.BY_NAME, "nameless": Nameless()}
CLIENTS = {     # name: (does it trust the test's CAs, or not verify; the cgroup that it runs in)
    "python-ssl": (True, f"/{RUN}.slice/{RUN}@1.service"),
    "curl": (False, f"/docker-{RUN}/{ID}"),
    "nameless": (True, None),
    "wget": (True, f"/{RUN}.slice/docker-{ID}.scope"),
    "gnutls-cli": (False, f"/{RUN}.slice/{RUN}-web.service"),
}
MADE_CONFIG = CA_CONFIG + """\
policy = any
new_certs_dir = {0}
rand_serial = yes
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""
RSA_1024, P256 = "rsa:1024", "ec:"
LONG_AGO, LAST_YEAR, IN_TIME = "20200101000000Z", "20250101000000Z", "20491231000000Z"
GOOD = "good-leaf", "good-int"
FORGED = "forged-leaf", "rogue-int"
CHAINS = {      # what the server sends: names of fixtures, or of what make() makes; the first one's key is the server's
    "good": GOOD,
    "root-too": (*GOOD, "good-root"),
    "out-of-order": ("good-leaf", "rogue-int", "good-root", "good-int"),
    "forged": FORGED,
    "genuine-beside": (*FORGED, "good-int", "good-root"),
    "lookalike": ("forged-leaf", "lookalike-int", "good-root"),
    "self-signed": ("self-signed",),
    "cross-signed": ("cross-leaf", "cross-int-a", "cross-int-b"),
    "cross-signed-roots": ("cross-leaf", "cross-int-b", "cross-int-a", "cross-root-a", "cross-root-b"),
    "rsa-pss": ("rsapss-leaf",),
    "ed25519": ("ed25519-leaf",),
    "too-large": ("ext-40k", "good-int"),
    "logged": ("ct/logged", "good-int"),
    "unlogged": ("ct/unlogged", "good-int"),
    "forged-scts": ("ct/forged", "good-int"),
    "weak-key": ("weak-key", "good-int"),
    "sha1": ("sha1", "good-int"),
    "expired": ("expired", "good-int"),
    "wrong-name": ("wrong-name", "good-int"),
    "revoked": ("revoked", "good-int"),
}
KILLED = ("forged", "genuine-beside", "lookalike", "self-signed", "cross-signed", "cross-signed-roots", "rsa-pss", "ed25519",
          "too-large")


class Server(servers.Server):
    """At a security level that lets weak keys and signatures pass."""

    def _context(self, chain, key, clients):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = context.maximum_version = servers.VERSIONS[self.tls]
        context.load_cert_chain(chain, key)
        context.sni_callback = self._sni
        return context


def fixed_port():
    """A port for one server after the other: free, and none that the system gives to others meanwhile."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    for port in range(first - 1, 1024, -1):
        try:
            servers.Server(tls=None, address="127.0.0.1", port=port).close()
            return port
        except OSError:
            continue
    raise Unable("every port is in use, or given to others")


class Made:
    """What the fixtures do not have, below good-int; CRLs of good-int and good-root; the policies; the agent."""

    def __init__(self, env):
        self.env = env
        self.directory = env.host.temporary("explain")
        self.authority = Authority(env, "good-int")
        with open(os.path.join(self.authority.directory, "ca.cnf"), "w", encoding="ascii") as file:
            file.write(MADE_CONFIG.format(self.authority.directory))
        self.make("weak-key", key=RSA_1024)
        self.make("sha1", digest="sha1")
        self.make("expired", begin=LONG_AGO, end=LAST_YEAR)
        self.make("wrong-name", subject="/CN=elsewhere.example", names="DNS:elsewhere.example")
        self.make("revoked")
        self.authority.run("-revoke", os.path.join(self.directory, "revoked.pem"), "-crl_reason", "keyCompromise")
        self.crls = [os.path.join(self.directory, name) for name in ("int.crl", "root.crl")]
        self.authority.crl(self.crls[0])
        Authority(env, "good-root").crl(self.crls[1])
        self.port = fixed_port()
        self.trusting = env.fixtures.bundle("clients.pem")      # where any user may read it
        self.texts = self.known()
        self.policies = [env.host.file("explain-every.yaml", every_key(self)),
                         env.host.file("explain-kill.yaml", enforcing(self))]
        more = [word for path in self.policies for word in ("--policy", path)]
        self.agent = env.new_agent(name="explain", more=more)

    def make(self, name, subject="/CN=localhost", names="DNS:localhost,IP:127.0.0.1", key=P256, digest="sha256", begin=LONG_AGO,
             end=IN_TIME):
        path = os.path.join(self.directory, name)
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if key == P256 else []
        made = self.env.host.run(["openssl", "req", "-config", os.path.join(self.authority.directory, "ca.cnf"), "-new", "-noenc",
                                  "-newkey", key.rstrip(":"), *curve, "-keyout", path + ".key", "-subj", subject, "-out",
                                  path + ".csr"])
        check(made.process.returncode == 0, made.describe())
        with open(path + ".ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n"
                       "authorityKeyIdentifier=keyid\n")
        self.authority.run("-in", path + ".csr", "-out", path + ".pem", "-extfile", path + ".ext", "-startdate", begin,
                           "-enddate", end, "-md", digest)

    def path(self, name):
        """Without its suffix."""
        own = os.path.join(self.directory, name)
        return own if os.path.exists(own + ".pem") else self.env.fixtures.path(name)

    def bundle(self, *names):
        return self.env.fixtures.bundle(*(self.path(name) + ".pem" for name in names))

    def known(self):
        """Each certificate's PEM by its SHA-256, as events write it."""
        texts = {}
        for path in glob.glob(self.env.fixtures.path("*.pem")) + glob.glob(self.env.fixtures.path("ct/*.pem")) + \
                glob.glob(os.path.join(self.directory, "*.pem")):
            with open(path, encoding="ascii") as file:
                blocks = PEM.findall(file.read())
            texts.update((sha256, f"-----BEGIN CERTIFICATE-----\n{block}-----END CERTIFICATE-----\n")
                         for sha256, block in zip(self.env.fixtures.sha256s(path), blocks))
        return texts


def every_key(made):
    fixtures = made.env.fixtures
    output = made.env.host.run(["openssl", "x509", "-in", made.path("revoked") + ".pem", "-noout", "-serial"]).output
    number = output.strip().rpartition("=")[2]
    matches = {
        "any": "any: true", "server_name": "server_name: '@local'", "san_dns": "san_dns: '@local'",
        "san_ip": "san_ip: '@loopback'", "peer": f"peer_ip: '@loopback', peer_port: {made.port}",
        "exe": "exe: ['*/curl', '*/python3*']", "user": "user: ['root', '12345']", "uid": f"user: '{Nameless.user}'",
        "unit": f"unit: '{RUN}*.service'", "container": f"container: {ID[:12]}", "role": "role: server",
        "library": "library: gnutls", "verify": "verify: [failed, failed-ignored, 'off']", "issuer": "issuer_in: '@good'"}
    asks = {
        "key": "require: {key_in: '@good'}",
        "leaf": "require: {key_in: '@leaf', at: leaf}",
        "names": "require: {issuer_in: '@named', trusted_by: '@good'}",
        "verified": "require: {verified: true}",
        "revocation": f"require: {{trusted_by: {{store: '@good', crl: {made.crls}}}}}",
        "name": "require: {name_matches: true}",
        "ct": f"require: {{ct: {{scts: 2, operators: 2, logs: '{fixtures.path('ct/logs.json')}'}}}}",
        "life": "require: {max_lifetime: 4000d, min_remaining: 1000d}",
        "until": "require: {leaf_not_before_until: '2025-01-01T00:00:00Z'}",
        "bits": "require: {min_rsa_bits: 2048, min_ec_bits: 384}",
        "forbidden-key": "forbid: {key_in: '@forbidden'}",
        "certificate": "forbid: {cert_sha256_in: '@revoked'}",
        "serial": "forbid: {serial_in: '@revoked'}",
        "forbidden": f"forbid: {{signature: [md5, sha1], crl: ['{made.crls[0]}']}}"}
    rules = [f"  - {{id: match-{name}, match: [{{{entry}}}], require: {{key_in: '@nobody'}}}}\n"
             for name, entry in matches.items()]
    rules += [f"  - {{id: ask-{name}, match: [{{any: true}}], {ask}}}\n" for name, ask in asks.items()]
    check(len(rules) <= 30, "an event has no room for more violations")
    return f"""\
version: 1
name: every
sets:
  keys:
    good:
{fixtures.key_set("good-root", "good-int")}\
    leaf:
{fixtures.key_set("good-leaf")}\
    forbidden:
{fixtures.key_set("rogue-root", "cross-root-b")}\
    named: [{{organization: "Example Trust", common_name: "Good Intermediate"}}]
    nobody: [{{spki_sha256: "{'A' * 43}="}}]
  names: {{local: ["localhost"]}}
  networks: {{loopback: ["127.0.0.0/8", "::1"]}}
  trust_stores: {{good: "{fixtures.path("good-root.pem")}"}}
  strings: {{revoked: ["{fixtures.sha256s(made.path("revoked") + ".pem")[0].lower()}"]}}
  serials: {{revoked: [{{issuer_spki_sha256: "{fixtures.pin("good-int")}", serial: "{number}"}}]}}
rules:
{"".join(rules)}\
  - id: excepted
    match: [{{server_name: '@local'}}, {{role: server}}]
    require: {{key_in: '@nobody'}}
    except: [{{library: openssl, exe: '*/openssl'}}, {{verify: ok, san_dns: '@local'}}]
    action: kill-process
    severity: low
"""


def enforcing(made):
    return f"""\
version: 1
name: kill
mode: enforce
sets:
  keys:
    good:
{made.env.fixtures.key_set("good-root", "good-int")}\
rules:
  - id: localhost-issuer
    description: only the good CA may vouch for localhost
    match: [{{server_name: localhost, role: client}}]
    require: {{issuer_in: "@good"}}
    except: {{exe: "*/bench/*"}}
    action: kill
    severity: critical
"""


def made_for(env):
    """One agent for all cases."""
    if env.current and env.current[0] == "explain" and env.current[1].agent.alive:
        made = env.current[1]
        env.trace.append((made.agent.describe, made.agent.begin_test()))
        return made
    made = Made(env)
    env.current = ("explain", made)
    return made


# --- what explain is told, and says ------------------------------------------------------------------------------------------

def told(made, event, chain):
    """The options that say of a connection what the event does."""
    end = "source" if get(event, "tlswarden.role") == "server" else "destination"
    ip, port = get(event, f"{end}.ip"), get(event, f"{end}.port")
    values = {"server-name": get(event, "tls.client.server_name"), "host": get(event, "tlswarden.verify.expected_host"),
              "peer": f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", "verify": get(event, "tlswarden.verify.result"),
              "role": get(event, "tlswarden.role"), "library": get(event, "tlswarden.library.name"),
              "exe": get(event, "process.executable"), "unit": get(event, "service.name"),
              "container": get(event, "container.id"), "at": event["@timestamp"][:19] + "Z", "chain": chain}
    application = [entry for entry in get(event, "tlswarden.chain") if entry.get("application")]
    if application:
        # What was too large to be captured is still what the server sent.
        seen = {entry.get("sha256") for entry in get(event, "tlswarden.chain")}
        lost = (made.texts[sha256] for sha256 in made.env.fixtures.sha256s(chain) if sha256 not in seen)
        texts = [made.texts[entry["sha256"]] if "sha256" in entry else next(lost) for entry in application]
        values["application-chain"] = made.env.host.file("application.pem", "".join(texts))
    options = [word for key, value in values.items() if value for word in (f"--{key}", value)]
    for user in (get(event, "process.user.id"), get(event, "process.user.name")):
        options += ["--user", user] if user else []
    return options + [word for path in made.policies for word in ("--policy", path)]


HEAD = re.compile(r"^(BROKEN  |holds   |fine    |excepted|expired |no match|undecided)")
FOUND = re.compile(r"^  (?:require|forbid) +BROKEN  \S+ (?:@leaf, at: leaf|SCTs: \d+, operators: \d+, logs of .*?|.*?): (.*)$")
DONE = {"nothing but an event, would-kill (audit)": ("would-kill",), "an event": ("none",),
        # The connection may have ended by itself before.
        "the connection would be killed (enforce)": ("killed", "failed")}


def explained(output):
    """(rules broken, with their reasons; what is asked for; what would be done), or None where the output is not understood."""
    rules, name = {}, None
    for line in output.partition("\nrules\n")[2].splitlines():
        if HEAD.match(line):
            name = line[9:].partition(":")[0].strip() if line.startswith("BROKEN") else None
            if name:
                rules[name] = []
        elif name and FOUND.match(line):
            rules[name].append(FOUND.match(line).group(1))
    verdict = re.search(r"^verdict: (?:(ok, no rule is broken)|VIOLATION of (.*?); asked for: (\S+); done: (.*))$", output, re.M)
    check(verdict, f"no verdict in the output:\n{output}")
    return ({name: "; ".join(found) for name, found in rules.items()}, verdict.group(3), verdict.group(4))


def plain(reason):
    """Without what explain is not told."""
    return re.sub(r"code: -?\d+, mode: \w+\)", "code, mode)", reason)


def compare(made, event, chain):
    child = made.env.watch(made.env.host.run([made.env.binary, "explain", *told(made, event, chain)]))
    rules, asked, done = explained(child.output)
    violations = get(event, "tlswarden.violations") or []
    check(not get(event, "tlswarden.violations_left_out"), "the event does not show all violations")
    live = {f"{violation['ruleset']}/{violation['rule']}": violation["reason"] for violation in violations}
    check(list(rules) == list(live), f"explain: {list(rules)}\nagent: {list(live)}")
    for name, reason in live.items():
        check(plain(rules[name]) == plain(reason), f"{name}\n  explain: {rules[name]}\n  agent:   {reason}")
    check(child.process.returncode == (1 if live else 0), f"exit is {child.process.returncode}")
    check(asked == get(event, "tlswarden.action.requested"), f"asked for: {asked}")
    result = get(event, "tlswarden.action.result")
    check(not live or result in DONE[done], f"explain: {done}; agent: {result}")
    return set(live)


# --- the tests ---------------------------------------------------------------------------------------------------------------

def start(made, name, chain, number):
    """A client and the server that it connects to."""
    env = made.env
    trusts, place = CLIENTS[name]
    client = BY_NAME[name]
    delay = servers.PATIENCE if chain in KILLED and client.sni else servers.ANSWER_DELAY
    server = env.watch(Server(made.bundle(*CHAINS[chain]), made.path(CHAINS[chain][0]) + ".key", delay=delay,
                              port=made.port if number == 0 else 0))
    before = made.cgroups.inside(place) if place else ()
    return server, env.watch(client.start(env.host, server, made.trusting if trusts else None, before=before))


SEEN = {}       # rule: chains for which it was broken, and for which it was not


@cases(*CHAINS)
def test_chain(env, chain):
    made = made_for(env)
    made.cgroups = env.watch(Cgroups(env.host))
    started = [start(made, name, chain, number) for number, name in enumerate(CLIENTS)]
    for _, run in started:
        run.wait()
    for (server, _), name in zip(started, CLIENTS):
        (event,) = made.agent.verifications(server.port)
        broken = compare(made, event, made.bundle(*CHAINS[chain]))
        for rule in broken:
            SEEN.setdefault(rule, set()).add((chain, name))


@cases("client-good", "client-forged")
def test_client_certificate(env, certificate):
    """Both ends are here: the client's verification of the server, and the server's of the client."""
    made = made_for(env)
    trusted = env.fixtures.bundle("client-ca.pem", "rogue-client-ca.pem")
    server = env.watch(PythonServer(env, trusted, "1.3", 4))
    ask(env, server, certificate)
    for role, chain in (("server", certificate), ("client", "good-leaf")):
        (event,) = made.agent.verifications(server.port, role)
        for rule in compare(made, event, env.fixtures.path(chain + ".chain.pem")):
            SEEN.setdefault(rule, set()).add((certificate, role))


def test_each_rule_was_broken_and_was_not(env):
    """By what the tests above have seen: two that always say nothing would agree as well."""
    made = made_for(env)
    total = len(CHAINS) * len(CLIENTS) + 4
    ran = len(set().union(*SEEN.values())) if SEEN else 0
    rules = {f"every/{rule}" for rule in re.findall(r"id: ([\w-]+)", every_key(made))} | {"kill/localhost-issuer"}
    if ran != total:
        raise Unable(f"only {ran} of the {total} verifications of the tests before it have passed")
    always = {rule for rule in rules if len(SEEN.get(rule, ())) == total} - {"every/match-any"}
    never = rules - set(SEEN)
    check(not always and not never, f"rules that were always broken: {always}, never: {never}")
