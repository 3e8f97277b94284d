#!/usr/bin/python3
"""The incident of 1.1.1.1, played through: `demo.py [--build DIR]`, as root.

In a network namespace of its own, without a way out, 1.1.1.1 is an address of the loopback, and a DNS-over-TLS server there
shows a certificate for 1.1.1.1 that a look-alike of Fina RDC 2020 has issued. kdig (GnuTLS) and dig (OpenSSL) trust the
look-alike of Fina Root CA through a file that they are given; nothing on the machine does. The agent runs outside, on the
host, as it always does. What is said below is checked: the exit code is 0 only if every line held.
"""
import argparse
import os
import secrets
import signal
import subprocess
import sys
import textwrap

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "live"))

from agent import Agent, get
from fixtures import ROOT, Fixtures
from host import Failure, Host, lock, wait_for

RESOLVER4, RESOLVER6 = "1.1.1.1", "2606:4700:4700::1111"
ANSWER = "192.0.2.53"
TOLD = (";; WARNING", ";; ERROR", ";; communications error", ";; TLS peer", ";; no servers")     # lines that are shown
POLICY = """\
version: 1
name: public-resolvers
mode: {mode}
sets:
  keys:
    resolver-cas:
{keys}\
  networks:
    resolvers: ["1.1.1.0/24", "1.0.0.0/24", "2606:4700:4700::/48"]
rules:
  - id: resolver-issuer
    description: only these CAs may vouch for the public resolvers
    match:                       # exe: the demo's keys are not those of the real resolver, so it keeps to its clients
      - {{san_ip: "@resolvers", exe: ["*/kdig", "*/dig"]}}
      - {{peer_ip: "@resolvers", peer_port: [443, 853], exe: ["*/kdig", "*/dig"]}}
    require: {{issuer_in: "@resolver-cas"}}
    action: kill
    severity: critical
"""


class Namespace:
    """A network namespace with nothing but its loopback."""

    def __init__(self):
        self.name = "tlswarden-demo-" + secrets.token_hex(4)
        subprocess.run(["ip", "netns", "add", self.name], check=True)

    def ip(self, *args, check=True):
        return subprocess.run(["ip", "-n", self.name, *args], check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout.decode().strip()

    def reaches(self, address):
        """How a packet to this address would leave, or None."""
        result = subprocess.run(["ip", "-n", self.name, "route", "get", address], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=False)
        return result.stdout.decode().strip() if result.returncode == 0 else None

    def links_up(self):
        return [line.split(":")[1].strip().split("@")[0] for line in self.ip("-o", "link", "show", "up").splitlines()]

    def command(self, args):
        return ["ip", "netns", "exec", self.name, *args]

    def close(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=False)


class Demo:
    def __init__(self, host, namespace, build):
        self.host, self.namespace = host, namespace
        self.binary = os.path.join(build, "tlswarden")
        self.fixtures = Fixtures(host, os.path.join(build, "fixtures"))
        self.roots = self.fixtures.bundle("fina-root.pem", "resolver-root.pem")
        self.agent = None
        self.server = None
        self.failed = 0
        self.step = 0

    # --- telling ---

    def title(self, text):
        self.step += 1
        print(f"\n{self.step}. {text}\n", flush=True)

    def say(self, text):
        print(textwrap.fill(" ".join(text.split()), 110, initial_indent="   ", subsequent_indent="   "), flush=True)

    def expect(self, condition, text):
        self.failed += not condition
        print(f"   {'ok  ' if condition else 'FAIL'} {text}", flush=True)

    def show_event(self, event):
        chain = get(event, "tlswarden.chain") or []
        rows = [("event", f"{get(event, 'event.action')} (outcome {get(event, 'event.outcome')})"),
                ("process", f"{get(event, 'process.executable')} [{get(event, 'process.pid')}], "
                            f"{get(event, 'tlswarden.library.name')} {get(event, 'tlswarden.library.version')}"),
                ("peer", f"{get(event, 'destination.ip')} port {get(event, 'destination.port')}"),
                ("certificate", f"{get(event, 'tls.server.subject')}, issued by {get(event, 'tls.server.issuer')}"),
                ("proven path", " <- ".join(str(entry.get("subject")) for entry in chain if entry.get("proven"))),
                ("the client", f"verified it: {get(event, 'tlswarden.verify.result')}")]
        for violation in get(event, "tlswarden.violations") or []:
            rows.append(("broken rule", f"{violation['rule']}: {violation['reason']}"))
        if get(event, "tlswarden.action.requested"):
            rows.append(("action", f"requested {get(event, 'tlswarden.action.requested')}, "
                                   f"result {get(event, 'tlswarden.action.result')}"))
        for name, text in rows:
            lines = textwrap.wrap(text, 94) or [""]
            print(f"      {name:12} {lines[0]}")
            for line in lines[1:]:
                print(f"      {'':12} {line}")
        print(flush=True)

    # --- doing ---

    def isolate(self):
        self.title("A network of its own, with no way out")
        namespace = self.namespace
        namespace.ip("link", "set", "lo", "up")
        links = namespace.links_up()
        ways = [namespace.reaches(address) for address in (RESOLVER4, RESOLVER6, "192.0.2.1", "2001:db8::1")]
        self.expect(links == ["lo"], f"the namespace {namespace.name} has only a loopback: {' '.join(links)}")
        self.expect(not any(ways), "1.1.1.1 cannot be reached from it, nor anything else: no way out")
        if self.failed:
            raise Failure("the namespace is not closed: nothing is sent")
        namespace.ip("address", "add", RESOLVER4 + "/32", "dev", "lo")
        namespace.ip("address", "add", RESOLVER6 + "/128", "dev", "lo", "nodad")
        for address in (RESOLVER4, RESOLVER6):
            way = namespace.reaches(address) or ""
            self.expect(way.startswith("local ") and " dev lo " in way, f"now {address} is the loopback's own")

    def serve(self, name):
        if self.server:
            self.server.end()
        path = self.fixtures.path(name)
        self.server = self.host.start(self.namespace.command(
            ["/usr/bin/python3", os.path.join(HERE, "dot_server.py"), path + ".chain.pem", path + ".key",
             RESOLVER4, RESOLVER6]))
        wait_for("the DNS-over-TLS server", 10, lambda: "ready" in self.server.output)

    def start_agent(self, mode=None):
        if self.agent:
            self.agent.stop()
        self.agent = Agent(self.host, self.binary, self.policy(mode) if mode else None, name="demo").wait_started()

    def policy(self, mode):
        return POLICY.format(mode=mode, keys=self.fixtures.key_set("resolver-root", "resolver-int"))

    def look_up(self, program, address=RESOLVER4, name=None, verify=True):
        """One lookup, and the one event of it: (answered, exit code, event)."""
        mark = self.agent.mark()
        tries = ["+retry=0", "+time=5"] if program == "kdig" else ["+tries=1", "+time=5", "+nocookie"]
        command = [program, "@" + address, "+tls", *(["+tls-ca=" + self.roots] if verify else []),
                   *(["+tls-hostname=" + name] if name else []), *tries, "example.com", "A"]
        child = self.host.start(self.namespace.command(command))
        code = child.wait(20)
        answered = ANSWER in child.output
        print(f"   $ {' '.join(command).replace(self.host.directory + '/', '')}")
        for line in child.output.splitlines():
            if ANSWER in line or line.startswith(TOLD):
                print(f"     {line}")
        print(f"     (exit {code})", flush=True)
        events = self.agent.wait(
            f"verification by {program}",
            lambda event: get(event, "event.action") in ("peer-verified", "policy-violation")
            and (get(event, "process.executable") or "").endswith("/" + program)
            and get(event, "destination.ip") == address, since=mark)
        self.show_event(events[0])
        if len(events) != 1:
            self.expect(False, f"one lookup made {len(events)} events")
        return answered, code, events[0]

    # --- the four acts ---

    def without_policy(self):
        self.title("The day before: without a policy, the forged certificate is accepted")
        self.say("""The server on 1.1.1.1:853 has a certificate for the IP address 1.1.1.1 from "Fina RDC 2020". The clients
                 trust "Fina Root CA" (look-alikes, both). The agent has no policy and only logs what is verified.""")
        print()
        self.start_agent()
        self.serve("forged-1111")
        for program in ("kdig", "dig"):
            answered, code, event = self.look_up(program)
            self.expect(answered and code == 0, f"{program}: the lookup succeeds; nothing looks wrong")
            self.expect(get(event, "event.action") == "peer-verified"
                        and get(event, "tlswarden.verify.result") == "ok", "the agent has logged it: peer-verified")

    def audit(self):
        self.title("Audit mode: only the resolver's own CAs may vouch for it, and what breaks that is logged")
        self.start_agent("audit")
        for program in ("kdig", "dig"):
            answered, code, event = self.look_up(program)
            self.expect(answered and code == 0, f"{program}: the lookup still succeeds")
            self.expect(get(event, "event.action") == "policy-violation"
                        and get(event, "tlswarden.action.result") == "would-kill"
                        and get(event, "tlswarden.policy.mode") == "audit", "the agent has logged it: would-kill")

    def enforce(self):
        self.title("Enforce mode: the connection is cut")
        self.say("The same policy with `mode: enforce`, loaded by SIGHUP into the running agent.")
        print()
        event = self.agent.reload(self.policy("enforce"))
        self.expect(get(event, "event.action") == "policy-loaded", "the agent has loaded it: policy-loaded")
        print()
        for program in ("kdig", "dig"):
            self.expect_cut(program, *self.look_up(program))
        self.say("The same certificate at another address of the resolver, and clients that verify nothing at all:")
        print()
        for program in ("kdig", "dig"):
            self.expect_cut(program, *self.look_up(program, RESOLVER6, verify=False))

    def expect_cut(self, program, answered, code, event):
        # dig exits with 0, without a word, if the connection ends inside the handshake.
        self.expect(not answered and (code != 0 or program == "dig"), f"{program}: no answer (exit {code})")
        self.expect(get(event, "event.action") == "policy-violation"
                    and get(event, "tlswarden.action.result") == "killed"
                    and get(event, "rule.id") == "resolver-issuer", "the agent has logged it: killed")

    def genuine(self):
        self.title("Still enforcing: the genuine issuer is left alone")
        self.say("Now the server has a certificate from \"Example Resolver CA 1\", whose key the policy names.")
        print()
        self.serve("genuine-1111")
        for program, address, name in (("kdig", RESOLVER4, None), ("dig", RESOLVER4, None),
                                       ("kdig", RESOLVER6, "cloudflare-dns.com"), ("dig", RESOLVER6, "cloudflare-dns.com")):
            answered, code, event = self.look_up(program, address, name)
            self.expect(answered and code == 0, f"{program}: the lookup at {address} succeeds")
            self.expect(get(event, "event.action") == "peer-verified"
                        and get(event, "tlswarden.action.result") in (None, "none"),
                        "the agent has let it be: peer-verified")

    def run(self):
        self.isolate()
        self.without_policy()
        self.audit()
        self.enforce()
        self.genuine()
        self.expect(self.agent.stop() == 0, "the agent ends by SIGTERM with exit 0")


def terminate(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description="Plays the incident of 1.1.1.1 in a network namespace without a way out.")
    parser.add_argument("--build", default=os.environ.get("BUILD") or os.path.join(ROOT, "build"))
    build = os.path.abspath(parser.parse_args().build)
    if os.geteuid() != 0:
        print("demo: must be run as root", file=sys.stderr)
        return 3
    if not os.path.exists(build + "/tlswarden"):
        print(f"demo: {build}/tlswarden is not there (run `make`)", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    print("tlswarden and the forged certificates for 1.1.1.1")
    held = lock("demo")
    host, namespace, demo = Host(), None, None
    try:
        namespace = Namespace()
        demo = Demo(host, namespace, build)
        demo.run()
    except Failure as failure:
        print(f"   FAIL {failure}")
        if demo and demo.agent:
            print(demo.agent.describe())
        if demo and demo.server:
            print(demo.server.describe())
        return 1
    finally:
        host.close()
        if namespace:
            namespace.close()
        held.close()
    print(f"\n{'Every line held.' if not demo.failed else f'{demo.failed} line(s) did not hold: see FAIL.'}")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
