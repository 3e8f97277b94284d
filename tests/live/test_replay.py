"""replay: the log of a real agent, judged again; lines that are no events; and what the command line says."""
import base64
import json
import os
import pty
import shutil
import subprocess

import clients
from agent import get
from expect import cases, equal
from host import CHILD_LIMIT, check


def run(env, *arguments):
    return env.watch(env.host.run([env.binary, "replay", *arguments]))


def expect_exit(child, code, *texts):
    check(child.process.returncode == code, f"exit is {child.process.returncode}, expected {code}")
    for text in texts:
        check(text in child.output, f"no {text!r} in the output")


def replayed(env, code, *arguments):
    """The report as JSON."""
    child = run(env, *arguments, "--json")
    expect_exit(child, code)
    return json.loads(child.output)


def rule(report, name):
    (found,) = [rule for rule in report["rules"] if rule["rule"] == name]
    return found


def policy_file(env, name, *rules, sets=""):
    return env.host.file(f"{name}.yaml", f"version: 1\nname: {name}\n{sets}rules:\n" +
                         "".join(f"  - {{{rule}}}\n" for rule in rules))


def ask(env, agent, leaf, verify=True):
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, leaf))
    check(env.watch(client.start(env.host, server, env.trusting if verify else None)).wait(), "the client was not served")
    return server.port, agent.verifications(server.port)[0]


def check_bytes(env, event, leaf, with_bytes):
    """Exactly the certificates of the chain, in its order."""
    ders = get(event, "tls.server.certificate_chain")
    chain = get(event, "tlswarden.chain")
    check((ders is not None) == with_bytes, "certificates are there, or are not, against the option")
    equal(event, "tlswarden.certificates_left_out", None)
    if with_bytes:
        check(len(ders) == len(chain), f"{len(ders)} certificates, {len(chain)} entries of the chain")
        sent = env.fixtures.ders(leaf + ".chain.pem")
        check([base64.b64decode(der) for der in ders[:len(sent)]] == sent, "these are not the bytes that were sent")
    check([entry.get("path") for entry in chain[:2]] == [0, 1], "leaf and intermediate are not first on the path")
    check(all(entry.get("public_key_algorithm") == "EC" and entry.get("public_key_size") == 256 for entry in chain[:2]),
          "the keys are not told")


@cases("without", "option", "configuration")
def test_recorded_and_replayed(env, way):
    """The same policy says the same; others say what they would have said, as far as the log holds what they ask."""
    with_bytes = way != "without"
    more = {"without": ["--config", env.host.file("without.yaml", "certificates: false\n")],
            "option": ["--certificates"],
            "configuration": ["--config", env.host.file("with.yaml", "certificates: true\n")]}
    agent = env.new_agent(env.fixtures.policy(mode="audit"), name="replay", more=more[way])
    good, event = ask(env, agent, "good-leaf")
    check_bytes(env, event, "good-leaf", with_bytes)
    forged, event = ask(env, agent, "forged-leaf")
    check_bytes(env, event, "forged-leaf", with_bytes)
    careless, _ = ask(env, agent, "good-leaf", False)
    check(agent.stop() == 0, "the agent did not end well")
    agent.read()
    log = agent.output
    os.chmod(log, 0o600)    # nobody, whom root becomes, could not open it
    logged = [event for event in agent.events if get(event, "event.action") == "policy-violation"]

    report = replayed(env, 1, log, "--policy", agent.policy_path)
    check(report["violations"] == sum(len(get(event, "tlswarden.violations")) for event in logged), "other violations")
    check(report["changed"] == {"new": 0, "gone": 0}, f"changed: {report['changed']}")
    check(report["torn"]["count"] == report["foreign"]["count"] == 0, "lines were passed over")
    check(report["lines"] == len(agent.events) == report["verifications"] + report["other_events"], "lines are missing")
    fired = rule(report, "localhost-issuer")
    check(fired["fired"] == len(logged) and fired["action"] == "kill" and fired["enforced"] == 0, f"{fired}")
    check(fired["processes"]["top"][0]["name"].endswith("/curl"), f"{fired['processes']}")
    check(f"127.0.0.1:{forged}" in [item["name"] for item in fired["peers"]["top"]], f"{fired['peers']}")
    check(fired["reason"] == get(logged[0], "tlswarden.violations")[0]["reason"], f"{fired['reason']}")

    ports = f"match: [{{peer_port: [{good}, {forged}, {careless}]}}]"
    other = policy_file(env, "other", f"id: store, {ports}, require: {{trusted_by: good}}",
                        f"id: verified, {ports}, require: {{verified: true}}",
                        f"id: never, {ports}, require: {{min_ec_bits: 256}}",
                        sets=f"sets: {{trust_stores: {{good: {env.fixtures.path('good-root.pem')}}}}}\n")
    report = replayed(env, 1, log, "--policy", other)
    check(rule(report, "verified")["fired"] == 1, "verified: it was the careless one alone")
    check(rule(report, "never")["fired"] == 0 and rule(report, "never")["undecided"] == 0, "never")
    store = rule(report, "store")
    check((store["fired"], store["undecided"]) == ((1, 0) if with_bytes else (0, 3)), f"store: {store}")
    check(report["changed"]["gone"] == len(logged), f"gone: {report['changed']}")
    child = run(env, log, "--policy", other)
    expect_exit(child, 1, "other/verified: 1 time, log, audit, medium", "would never fire:\n  other/never\n")
    check(("run --certificates" in child.output) == (not with_bytes), "the way to the certificates is, or is not, told")


def test_configuration_of_certificates(env):
    for value in ('"true"', "yes", "1", "[]"):
        path = env.host.file("certificates.yaml", f"certificates: {value}\n")
        child = env.watch(env.host.run([env.binary, "run", "--config", path]))
        expect_exit(child, 1, f"{path}:1:15: true or false is wanted here")


def event_line(env, **changes):
    """A verification as the agent writes it, made by hand."""
    event = {"@timestamp": "2026-01-01T00:00:00.000000Z", "ecs": {"version": "8.17.0"},
             "event": {"kind": "event", "action": "peer-verified"}, "process": {"executable": "/usr/bin/curl", "name": "curl"},
             "destination": {"ip": "192.0.2.1", "port": 443}, "tls": {"client": {"server_name": "www.example.com"}},
             "tlswarden": {"role": "client", "verify": {"result": "off", "code": 0, "mode": "none"}}}
    event.update(changes)
    return json.dumps(event) + "\n"


NEVER = "id: never, match: [{server_name: other.example}], require: {verified: true}"
ALWAYS = "id: always, match: [{any: true}], require: {verified: true}, action: kill"


def test_torn_and_foreign_lines(env):
    """Counted, named, and passed over; the first ten of each."""
    line = event_line(env)
    log = env.host.file("torn.jsonl", line[:100] + "\n" + line + '{"message": "hello"}\n' + line + "\x00\n" + "\n" +
                        "no JSON at all\n" * 12 + event_line(env, process={"name": "\x1b[31m"}) + line[:-20])
    policy = policy_file(env, "always", ALWAYS)
    report = replayed(env, 1, log, "--policy", policy)
    check(report["lines"] == 20 and report["verifications"] == 2, f"{report['lines']}, {report['verifications']}")
    torn, foreign = report["torn"], report["foreign"]
    check(torn["count"] == 16 and len(torn["first"]) == 10, f"torn: {torn}")
    check([item["line"] for item in torn["first"]] == [1, 5, 6, 7, 8, 9, 10, 11, 12, 13], f"torn: {torn}")
    check([item["line"] for item in foreign["first"]] == [3, 19], f"foreign: {foreign}")
    check(all(item["file"] == log for item in torn["first"]), "another file")
    child = run(env, log, "--policy", policy)
    expect_exit(child, 1, "16 torn lines passed over:", f"{log}:1: no JSON: it ends in the middle", "and 6 more",
                "2 foreign lines passed over:", f"{log}:3: JSON, but no event of tlswarden",
                f"{log}:19: process.name: a text with a control character", "always/always: 2 times, kill, audit, medium")
    check("\x1b" not in child.output, "the line's bytes reached the terminal")


def test_several_logs_and_standard_input(env):
    log = env.host.file("one.jsonl", event_line(env) * 3)
    policy = policy_file(env, "always", ALWAYS)
    with open(log, "rb") as stdin:
        result = subprocess.run([env.binary, "replay", "-", log, "--policy", policy, "--json"], stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CHILD_LIMIT, check=False)
    check(result.returncode == 1 and not result.stderr, f"exit {result.returncode}, {result.stderr}")
    check(json.loads(result.stdout)["violations"] == 6, "not both were read")
    check(replayed(env, 0, log, "--policy", policy_file(env, "never", NEVER))["verifications"] == 3, "not all were read")
    check(replayed(env, 0, env.host.file("empty.jsonl", ""), "--policy", policy)["lines"] == 0, "lines of nothing")


def test_logs_that_are_none(env):
    """A rotated log that is still packed, or another program's, must not look like one in which nothing would fire."""
    policy = policy_file(env, "never", NEVER)
    log = env.host.file("packed.jsonl", event_line(env) * 3)
    for name, command in (("gzip", ["gzip", "-kf"]), ("xz", ["xz", "-kf"]), ("zstd", ["zstd", "-qkf"]), ("bzip2", ["bzip2", "-kf"])):
        if not shutil.which(command[0]):
            check(name != "gzip", "there is no gzip")
            continue
        subprocess.run([*command, log], check=True)
        (packed,) = [log + end for end in (".gz", ".xz", ".zst", ".bz2") if os.path.exists(log + end)]
        expect_exit(run(env, packed, "--policy", policy), 2, f"{packed}: compressed ({name})")
        os.unlink(packed)
    for text in (event_line(env).encode("utf-16"), b"Nov 22 06:38:42 host sshd[1]: hello\n", b'{"message": "hello"}\n'):
        path = os.path.join(os.path.dirname(log), "other.jsonl")
        with open(path, "wb") as file:
            file.write(text)
        expect_exit(run(env, path, "--policy", policy), 2, "no line of these is an event of tlswarden", "passed over")
        expect_exit(run(env, path, log, "--policy", policy), 0, "3 verifications")


def test_progress_is_for_terminals(env):
    log = env.host.file("many.jsonl", event_line(env) * 200)
    command = [env.binary, "replay", log, "--policy", policy_file(env, "never", NEVER)]
    ours, theirs = pty.openpty()
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=CHILD_LIMIT, check=False)
        shown = os.read(ours, 10000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    check(result.returncode == 0 and " MB of 0.1 MB, " in shown and " events, " in shown, f"no progress: {shown!r}")
    check(shown.endswith("\r\x1b[K"), "the line of progress stays")
    check(b"\r" not in result.stdout, "progress on standard output")
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CHILD_LIMIT, check=False)
    check(not result.stderr, f"progress where nobody looks: {result.stderr}")


def test_command_line(env):
    log = env.host.file("one.jsonl", event_line(env))
    policy = policy_file(env, "never", NEVER)
    expect_exit(run(env, "--help"), 0, "usage: tlswarden replay EVENTS", "--anchors", "--json")
    expect_exit(run(env, "--policy", policy), 2, "no EVENTS")
    expect_exit(run(env, log), 2, "no policy")
    expect_exit(run(env, log, "--nonsense"), 2, "Try: tlswarden replay --help")
    expect_exit(run(env, "/nonexistent.jsonl", "--policy", policy), 2, "/nonexistent.jsonl: No such file")
    expect_exit(run(env, env.host.directory, "--policy", policy), 2, "directory")
    expect_exit(run(env, log, "--policy", "/nonexistent.yaml"), 2, "/nonexistent.yaml")
    expect_exit(run(env, log, "--policy", policy, "--anchors", "/nonexistent.pem"), 2, "/nonexistent.pem")
    expect_exit(run(env, log, "--policy", policy, "--anchors", env.fixtures.path("good-root.pem")), 0, "0 of 1 rule")
    broken = env.host.file("broken.yaml", "version: 1\nname: p\nrulez: []\n")
    expect_exit(run(env, log, "--policy", broken), 1, f"{broken}:3:1: ")
    named = policy_file(env, "named", "id: a, match: [{any: true}], require: {trusted_by: s}",
                        sets="sets: {trust_stores: {s: /nonexistent.pem}}\n")
    expect_exit(run(env, log, "--policy", named), 1, "/nonexistent.pem")
