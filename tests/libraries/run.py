#!/usr/bin/python3
"""The agent against the libraries of other suites: `run.py [--build DIR] [--storm N] [--heavy] [--only WORD] [SUITE…]`.

Makes the root of each SUITE (all four, if none is named; make-root, once, in the build directory), runs that suite's clients in
a container of it, 32-bit processes, and a storm of N short-lived ones; with --heavy also those live tests that take minutes.
WORD chooses tests by name. Prints each test as it ends, a table, and, last, `N passed, N failed`; exit 1 if any failed, 3 if
nothing can be run here. Whatever happens, all that was started is ended.
"""
import argparse
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
LIVE = os.path.join(os.path.dirname(HERE), "live")
sys.path[:1] = [LIVE, HERE]     # the module `run` is that of the live tests

import bits32
import matrix
import storm
from fixtures import ROOT
from host import Host, lock
from run import Environment, run_one, terminate

# Live tests in full, which `make test` takes smaller: word, environment.
HEAVY = [("homes_heavy.", {}), ("discovery.", {"RUNS": "1000"})]
HEAVY_LIMIT = 3600      # seconds for one of them


def make_root(build, suite, architecture="amd64"):
    root = os.path.join(build, "roots", suite if architecture == "amd64" else f"{suite}-{architecture}")
    subprocess.run([os.path.join(HERE, "make-root"), suite, root, architecture], check=True, stdin=subprocess.DEVNULL)
    return root


class Counter:
    def __init__(self, env, word):
        self.env, self.word, self.passed, self.failed = env, word, 0, 0

    def run(self, label, function, *case):
        """A test of this name, if it was asked for: what became of it."""
        if self.word not in label:
            return "-"
        result = run_one(self.env, label, function, case)
        self.add(result == "ok", result == "FAIL")
        return result

    def add(self, passed, failed):
        self.passed += passed
        self.failed += failed


def run_matrix(counter, suites):
    results = {}
    for suite in suites:
        try:
            counter.run(f"{suite.name}.attached", matrix.test_attached, suite)
            counter.run(f"{suite.name}.twin", matrix.test_twin, suite)
            for name in matrix.CLIENTS:
                for tls in matrix.VERSIONS:
                    for kind in matrix.KINDS:
                        results[suite.name, name, tls, kind] = counter.run(
                            f"{suite.name}.{name}[{kind},{tls}]", matrix.test_cell, suite, name, tls, kind)
        finally:
            suite.close()
    return matrix.table(suites, results)


def run_heavy(counter, build):
    """Live tests, by their own runner, whose last line counts."""
    for word, environment in HEAVY:
        print(f"  {word} {environment or ''}", flush=True)
        child = subprocess.Popen([sys.executable, os.path.join(LIVE, "run.py"), "--build", build, word],
                                 env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = ""
        try:
            for line in child.stdout:
                print("  " + line, end="", flush=True)
        finally:
            child.terminate()
        found = re.fullmatch(r"(\d+) passed, (\d+) failed\n", line)
        counter.add(*(map(int, found.groups()) if found and line != "0 passed, 0 failed\n" else (0, 1)))


def parse():
    parser = argparse.ArgumentParser(description="Runs the agent against the libraries of Debian's suites.")
    parser.add_argument("--build", default=os.environ.get("BUILD") or os.path.join(ROOT, "build"))
    parser.add_argument("--storm", type=int, default=300, help="short-lived processes of the storm")
    parser.add_argument("--heavy", action="store_true", help="also the live tests that take minutes")
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(matrix.SUITES))
    return parser.parse_args()


def main():
    options = parse()
    build = os.path.abspath(options.build)
    reason = "must be run as root" if os.geteuid() != 0 else \
        f"{build}/tlswarden is not there (run `make`)" if not os.path.exists(build + "/tlswarden") else None
    if reason:
        print(f"test-libraries: {reason}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    try:
        # Their programs are asked for their versions before an agent runs, to which they would be the first to map a library.
        suites = [matrix.Suite(name, make_root(build, name)) for name in options.suites or matrix.SUITES]
        i386 = make_root(build, bits32.SUITE, "i386")
    except subprocess.CalledProcessError as error:
        print(f"test-libraries: {' '.join(error.cmd)} failed", file=sys.stderr)
        return 3
    held = lock("live-tests")
    host = Host()
    try:
        env = Environment(host, build)
        counter = Counter(env, options.only)
        counter.run("one_by_one[20]", storm.test_one_by_one, 20)
        counter.run(f"storm[{options.storm}]", storm.test_storm, options.storm)
        counter.run("stop", storm.test_stop)
        counter.run("i386", bits32.test_i386, i386)
        shown = run_matrix(counter, suites)
        env.stop_agents()
    finally:
        host.close()
        held.close()
    if options.heavy:
        run_heavy(counter, build)
    if shown:
        print(shown)
    print(f"{counter.passed} passed, {counter.failed} failed")
    return 1 if counter.failed or not counter.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
