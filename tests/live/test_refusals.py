"""When the agent must refuse to start: exit 3 with what is missing, 1 or 2 for its policy, and nothing is attached."""
import json
import os
import shutil

from expect import cases
from host import Failure, check

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--"]
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
NO_BTF = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
          'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
OLD_KERNEL = ["setarch", os.uname().machine, "--uname-2.6", "--"]


def run_refused(env, before, arguments=()):
    """Runs the agent, which must end by itself: its child. Neither a program nor agent-started may be there."""
    # Where anybody may run it from.
    binary = os.path.join(env.host.directory, "tlswarden")
    if not os.path.exists(binary):
        shutil.copy(env.binary, binary)
        os.chmod(binary, 0o755)
    output = os.path.join(env.host.temporary("refused"), "events.jsonl")
    os.chmod(os.path.dirname(output), 0o777)
    child = env.watch(env.host.start([*before, binary, "run", "--output", output, "--events", "all", *arguments]))
    try:
        child.wait()
    except Failure:
        raise Failure("the agent has started, or does not end") from None
    if os.path.exists(output):
        with open(output, encoding="utf-8") as file:
            actions = [json.loads(line)["event"]["action"] for line in file]
        check("agent-started" not in actions and "library-attached" not in actions, f"events: {actions}")
    return child


def check_refused(child, code, *words):
    check(child.process.returncode == code, f"exit {child.process.returncode}, expected {code}")
    text = child.output.lower()
    check(any(word in text for word in words), f"the message has none of {words}")


def test_without_root(env):
    check_refused(run_refused(env, NOBODY), 3, "root", "cap_", "privilege", "capabilit")


def test_root_without_capabilities(env):
    check_refused(run_refused(env, NO_CAPABILITIES), 3, "cap_", "privilege", "capabilit")


def test_without_btf(env):
    check_refused(run_refused(env, NO_BTF), 3, "btf")


def test_old_kernel(env):
    check_refused(run_refused(env, OLD_KERNEL), 3, "kernel")


def test_policy_that_is_not_there(env):
    check_refused(run_refused(env, [], ["--policy", "/nonexistent/policy.yaml"]), 2, "/nonexistent/policy.yaml")


BROKEN = {
    "unknown-key": ("version: 1\nname: x\nrules:\n  - id: a\n    match: [{any: true}]\n    forbidden: {}\n", ":6:5:"),
    "bad-pin": ("version: 1\nname: x\nrules:\n  - id: a\n    match: [{any: true}]\n"
                "    forbid: {key_in: [{name: x, spki_sha256: \"short\"}]}\n", ":6:"),
    "missing-set": ("version: 1\nname: x\nrules:\n  - id: a\n    match: [{any: true}]\n    forbid: {key_in: \"@no\"}\n",
                    ":6:"),
    "not-yaml": ("version: 1\nname: [x\n", ":"),
}


@cases(*BROKEN)
def test_broken_policy(env, kind):
    text, place = BROKEN[kind]
    path = env.host.file(f"broken-{kind}.yaml", text)
    check_refused(run_refused(env, [], ["--policy", path]), 1, path + place)


@cases("--nonsense", "--mode=nonsense", "--events=nonsense")
def test_wrong_option(env, option):
    check_refused(run_refused(env, [], [option]), 2, "nonsense", "usage")


def test_configuration(env):
    """One in which everything is commented out says nothing, and is fine; what is wrong in it has a place."""
    missing = ["--policy", "/nonexistent/policy.yaml"]
    for text in ("", "# mode: audit\n\n  # output: -", "mode: audit\n"):
        config = env.host.file("config.yaml", text)
        check_refused(run_refused(env, [], ["--config", config, *missing]), 2, "/nonexistent/policy.yaml: no such file")
    for text, place in (("polices: [x]\n", ":1:1: there is no such key"), ("# x\n\tmode: audit\n", ":2:1: not yaml"),
                        ("- x\n", ":1:1: a mapping"), ("mode: off\n", ":1:7: audit")):
        config = env.host.file("config.yaml", text)
        check_refused(run_refused(env, [], ["--config", config, *missing]), 1, config + place)
