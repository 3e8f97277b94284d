#!/usr/bin/python3
"""Runs the live tests: real probes, real clients. `run.py [--build DIR] [--list] [WORD…]`; WORDs choose tests by name.

A test is a function test_NAME(env) in test_*.py here; @cases(…) runs it once for each argument. It fails by an exception.
A test that this machine cannot run says so by Unable(why): the reason is printed, and it counts neither way. The last line
is `N passed, N failed`; exit 1 if any failed, 3 if nothing can be run here. Whatever happens, all that was started is ended.
"""
import argparse
import importlib
import os
import shutil
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True

from agent import Agent
from fixtures import ROOT, Fixtures
from host import BpfFileSystem, Failure, Host, Unable, lock
from stalls import Stalls

# In this order: the agent is started anew as seldom as possible.
MODULES = ["test_refusals", "test_commands", "test_offline", "test_pack", "test_matrix", "test_mtls", "test_chains", "test_sockets", "test_gate",
           "test_gate_places", "test_gate_executable", "test_gate_unverified", "test_gate_abuse", "test_audit",
           "test_reload", "test_named_files", "test_learn", "test_workload", "test_explain", "test_replay", "test_rotation",
           "test_gate_state", "test_gate_faults", "test_gate_hostile", "test_gate_death",
           "test_attachments", "test_discovery", "test_homes", "test_hidden_openssl", "test_hidden_gnutls", "test_control", "test_life", "test_overflow", "test_demo"]
HEAVY = ["test_homes_heavy"]     # only by name ("homes_heavy."): they need large packages
TOOLS = ["curl", "wget", "git", "node", "openssl", "gnutls-cli", "kdig", "dig", "psql", "nginx", "ip", "ss", "nsenter",
         "unshare", "setpriv", "setarch", "gcc"]


class Environment:
    """What a test gets: host, fixtures, the agent in a mode, and a trace that is shown if it fails."""

    def __init__(self, host, build):
        self.host, self.build = host, build
        self.binary = os.path.join(build, "tlswarden")
        self.fixtures = Fixtures(host, os.path.join(build, "fixtures"))
        self.trusting = self.fixtures.path("clients.pem")
        self.current = None
        self.agents = []
        self.trace = []
        self.closers = []
        self.stalls = None

    def agent(self, kind):
        """The agent that enforces or audits the tests' policy, shared by the tests that follow each other."""
        if self.current and self.current[0] == kind and self.current[1].alive:
            self.trace.append((self.current[1].describe, self.current[1].begin_test()))
        else:
            agent = self.new_agent(self.fixtures.policy(), mode="audit" if kind == "audit" else None, name=kind)
            self.current = (kind, agent)
        return self.current[1]

    def new_agent(self, policy=None, mode=None, name="agent", more=()):
        """An agent of the test's own; any other is stopped first."""
        self.stop_agents()
        agent = Agent(self.host, self.binary, policy, mode, name, more)
        self.agents.append(agent)
        self.trace.append((agent.describe, 0))
        return agent.wait_started()

    def stop_agents(self):
        self.current = None
        while self.agents:
            self.agents.pop().stop()

    def watch(self, thing):
        """Shows thing.describe() if the test fails, and closes it at the test's end if it can be closed."""
        self.trace.append((thing.describe,))
        if hasattr(thing, "close"):
            self.closers.append(thing.close)
        return thing

    def watch_stalls(self):
        """From now on: until then nobody looks, so that what is measured is not disturbed."""
        if not self.stalls:
            self.stalls = Stalls(self.host)

    def end_test(self):
        while self.closers:
            self.closers.pop()()
        self.trace = []


def discover(words):
    for module_name in MODULES + [name for name in HEAVY if f"{name[5:]}." in words]:
        module = importlib.import_module(module_name)
        for name, function in vars(module).items():
            if not name.startswith("test_") or not callable(function) or function.__module__ != module_name:
                continue
            for case in getattr(function, "cases", [None]):
                label = f"{module_name[5:]}.{name[5:]}" + (f"[{','.join(map(str, case))}]" if case else "")
                if all(word in label for word in words):
                    yield label, function, case or ()


def run_one(env, label, function, case):
    begin = time.monotonic()
    result, report = "ok", ""
    try:
        function(env, *case)
    except Unable as why:
        result, report = "skip", f"this machine cannot: {why}"
    except Exception as error:      # a test may fail in any way, and the others go on
        result = "FAIL"
        where = str(error) if isinstance(error, Failure) else traceback.format_exc()
        shown = []
        for describe, *args in reversed(env.trace):    # what was begun last is likely what failed
            try:
                shown.append(describe(*args))
            except Exception as broken:
                shown.append(f"({broken})")
        report = "\n".join([where, *shown])
    finally:
        env.end_test()
    print(f"  {result:4} {label:58} {time.monotonic() - begin:6.2f} s", flush=True)
    if report:
        print("\n".join("       | " + line for line in report.splitlines()), flush=True)
    return result


def terminate(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description="Runs the live tests.")
    parser.add_argument("--build", default=os.environ.get("BUILD") or os.path.join(ROOT, "build"))
    parser.add_argument("--list", action="store_true", help="only print the tests' names")
    parser.add_argument("words", nargs="*", help="run the tests whose name contains all of these")
    options = parser.parse_args()
    tests = list(discover(options.words))
    if options.list:
        print("\n".join(label for label, _, _ in tests))
        return 0
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    build = os.path.abspath(options.build)
    reason = "must be run as root" if os.geteuid() != 0 else \
        "missing programs (run `make deps`): " + ", ".join(missing) if missing else \
        f"{build}/tlswarden is not there (run `make`)" if not os.path.exists(build + "/tlswarden") else None
    if reason:
        print(f"live tests: {reason}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    held = lock("live-tests")
    pins = BpfFileSystem()
    host = None
    try:
        host = Host()
        env = Environment(host, build)
        for label, function, case in tests:
            counts[run_one(env, label, function, case)] += 1
        env.stop_agents()
    finally:
        if host:
            host.close()
        pins.close()
        held.close()
    if counts["skip"]:
        print(f"{counts['skip']} not run: see the reasons above")
    print(f"{counts['ok']} passed, {counts['FAIL']} failed")
    return 1 if counts["FAIL"] or not counts["ok"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
