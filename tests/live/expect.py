"""What an event of a verification must say, compared with what the client and the server saw themselves."""
import re

from agent import get
from clients import path_matches
from host import check

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def cases(*arguments):
    """Runs a test once for each: a tuple of arguments after env."""
    def mark(function):
        function.cases = [case if isinstance(case, tuple) else (case,) for case in arguments]
        return function
    return mark


def equal(event, path, expected):
    found = get(event, path)
    check(found == expected, f"{path} is {found!r}, expected {expected!r}")


def one_of(event, path, expected):
    found = get(event, path)
    check(found in expected, f"{path} is {found!r}, expected one of {expected!r}")


def upper(text):
    return text.upper() if isinstance(text, str) else text


def check_head(event):
    """What every event has."""
    check(TIMESTAMP.match(get(event, "@timestamp") or ""), f"@timestamp is {get(event, '@timestamp')!r}")
    equal(event, "ecs.version", "8.17.0")
    check(isinstance(get(event, "event.sequence"), int), "event.sequence is not a number")
    check(get(event, "host.name"), "host.name is empty")


def check_process(event, client):
    executable = get(event, "process.executable") or ""
    check(executable.rsplit("/", 1)[-1].startswith(client.executable),
          f"process.executable is {executable!r}, expected {client.executable}")
    pid = get(event, "process.pid")
    check(isinstance(pid, int) and pid > 1, f"process.pid is {pid!r}")
    check((get(event, "process.entity_id") or "").startswith(f"{pid}-"), "process.entity_id does not begin with the pid")
    equal(event, "process.user.id", "0")
    equal(event, "tlswarden.library.name", client.library)
    path = get(event, "tlswarden.library.path")
    check(path_matches(client.library_path, path), f"tlswarden.library.path is {path!r}, expected {client.library_path}")
    check(re.fullmatch(r"[0-9a-f]{16,}", get(event, "tlswarden.library.build_id") or ""), "no build id of the library")
    check(get(event, "tlswarden.library.version"), "no version of the library")


def check_socket(event, source, destination, cookie, how):
    """Addresses and ports are the real ones, and the cookie is that of the real socket."""
    for side, (ip, port) in (("source", source), ("destination", destination)):
        equal(event, f"{side}.ip", ip)
        equal(event, f"{side}.port", port)
    equal(event, "network.transport", "tcp")
    one_of(event, "tlswarden.socket.how", how)
    if cookie:
        equal(event, "tlswarden.socket.cookie", cookie)


def check_chain(event, block, fixtures, chain_file):
    """Every certificate that the peer sent is there, in its order, and the hash is that of the leaf."""
    sent = fixtures.sha256s(chain_file)
    check(upper(get(event, f"tls.{block}.hash.sha256")) == sent[0], f"tls.{block}.hash.sha256 is not the leaf's")
    chain = get(event, "tlswarden.chain") or []
    presented = [upper(entry.get("sha256")) for entry in chain if entry.get("presented")]
    check(presented == sent, f"certificates presented: {presented}, sent were {sent}")
    return chain


def check_verification(event, client, server, fixtures, leaf):
    """Everything that does not depend on the verdict, for a client of one of our servers that had one connection."""
    check(len(server.connections) == 1, f"{len(server.connections)} connections to the server, expected 1")
    connection = server.connections[0]
    check_head(event)
    check_process(event, client)
    equal(event, "tlswarden.role", "client")
    check_socket(event, (connection.ip, connection.port), (connection.ip, server.port), connection.cookie, client.how)
    check(connection.sni == client.sni, f"the server saw the name {connection.sni!r}, expected {client.sni!r}")
    equal(event, "tls.client.server_name", client.sni)
    equal(event, "destination.domain", client.sni)
    chain = check_chain(event, "server", fixtures, leaf + ".chain.pem")
    check(chain[0].get("spki_sha256") == fixtures.pin(leaf), "the leaf's spki_sha256 is not its pin")
    check(all(entry.get("proven") for entry in chain[:2]), "leaf and intermediate are not proven")
    check(isinstance(get(event, "tlswarden.latency_us.verdict"), int), "no latency")


def check_allowed(event):
    equal(event, "event.action", "peer-verified")
    equal(event, "event.kind", "event")
    one_of(event, "tlswarden.action.result", (None, "none"))
    check(not get(event, "tlswarden.violations"), f"violations: {get(event, 'tlswarden.violations')}")


def check_violation(event, rule, result, mode="enforce"):
    equal(event, "event.action", "policy-violation")
    equal(event, "event.kind", "alert")
    equal(event, "event.type", ["denied" if result == "killed" else "allowed"])
    equal(event, "rule.id", rule)
    equal(event, "rule.ruleset", "live")
    equal(event, "tlswarden.policy.name", "live")
    equal(event, "tlswarden.policy.mode", mode)
    equal(event, "tlswarden.action.requested", "kill")
    equal(event, "tlswarden.action.result", result)
    rules = [violation.get("rule") for violation in get(event, "tlswarden.violations") or []]
    check(rules == [rule], f"rules broken: {rules}, expected {[rule]}")
