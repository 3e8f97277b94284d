"""The commands that need no agent: check and pin; and watch, which is one itself."""
import os
import re

import clients
from host import check, wait_for
from test_refusals import BROKEN


def run(env, *arguments):
    return env.watch(env.host.run([env.binary, *arguments]))


def test_check_of_good_policies(env):
    path = env.host.file("good-policy.yaml", env.fixtures.policy())
    child = run(env, "check", path)
    check(child.process.returncode == 0, "exit is not 0")


def test_check_names_the_place(env):
    for kind, (text, place) in BROKEN.items():
        path = env.host.file(f"check-{kind}.yaml", text)
        child = run(env, "check", path)
        check(child.process.returncode == 1, f"{kind}: exit is not 1")
        check(re.search(re.escape(path) + r":\d+:\d+: ", child.output) and path + place in child.output,
              f"{kind}: no {path}{place} in the output")


def test_check_of_nothing(env):
    check(run(env, "check", "/nonexistent.yaml").process.returncode == 2, "exit is not 2")


def test_pin_of_a_file(env):
    child = run(env, "pin", env.fixtures.path("good-leaf.full.pem"))
    check(child.process.returncode == 0, "exit is not 0")
    for name in ("good-leaf", "good-int", "good-root"):
        check(f'spki_sha256: "{env.fixtures.pin(name)}"' in child.output, f"the pin of {name} is missing")


def test_pin_of_a_server(env):
    server = env.watch(clients.BY_NAME["curl"].server(env.fixtures, "good-leaf"))
    child = run(env, "pin", f"127.0.0.1:{server.port}")
    check(child.process.returncode == 0, "exit is not 0")
    for name in ("good-leaf", "good-int"):
        check(f'spki_sha256: "{env.fixtures.pin(name)}"' in child.output, f"the pin of {name} is missing")


def test_pin_of_nothing(env):
    check(run(env, "pin", "/nonexistent.pem").process.returncode == 2, "exit is not 2")
    check(run(env, "pin", f"127.0.0.1:{clients.free_port()}").process.returncode == 2, "exit is not 2")


def test_help(env):
    for command in ("run", "watch", "check", "test", "explain", "pin"):
        child = run(env, command, "--help")
        check(child.process.returncode == 0 and len(child.output) > 100, f"{command} --help")
    check(run(env, "nonsense").process.returncode == 2, "exit for an unknown command is not 2")


def test_watch(env):
    """A line for a verification, with process, peer, name, issuer and verdict."""
    env.stop_agents()
    watch = env.watch(env.host.start([env.binary, "watch"]))
    client = clients.BY_NAME["curl"]

    def line_of(leaf, ca):
        server = env.watch(client.server(env.fixtures, leaf))
        run_ = env.watch(client.start(env.host, server, ca))
        check(run_.wait(), "the client was not served")
        lines = [line for line in watch.output.splitlines() if f"127.0.0.1:{server.port}" in line]
        return lines[-1] if lines else None

    # It does not say when it has begun: the first line there tells.
    first = wait_for("a line of watch", 60, lambda: line_of("good-leaf", env.trusting), 0.3)
    check(re.search(r"\d\d:\d\d:\d\d\.\d{3}\s+curl\[\d+\]\s.*localhost\s.*Good Intermediate.*\bok\b", first), first)
    off = wait_for("a line of watch", 30, lambda: line_of("forged-leaf", None))
    check(re.search(r"Rogue Intermediate.*(off|failed.*ignored)", off), off)
    watch.process.send_signal(2)
    watch.wait()
    check(watch.process.returncode == 0, f"watch ended with {watch.process.returncode}")
    check(os.path.getsize(watch.path) > 0, "nothing was written")
