"""Who verifies, told by the executable: what was decided of one process is known to the next that executes the same, before
the agent has heard of it, and to nobody else.

A verdict that the kernel had by itself has a latency of 0. The path is the one that the agent reads of the process, however the
executable came there: copied, mounted, replaced since.
"""
import os
import shutil
import subprocess

import clients
import gated
from agent import get
from cgroups import Cgroups
from expect import cases, check_allowed, check_violation, equal
from gated import END_LIMIT, server_of
from host import check, wait_for

EXCEPTED = 'except: {exe: "*/bench/*"}'    # in the tests' policy
UNTOLD = "u" * 120          # a name that is too long for a key


def agent_of(env, excepted=None):
    policy = env.fixtures.policy()
    check(EXCEPTED in policy, "the tests' policy excepts another executable")
    if excepted:
        policy = policy.replace(EXCEPTED, f"except: {{{excepted}}}")
    return gated.gate_agent(env, policy, name="executable")


class Program:
    """curl under another path, with a server of its own."""

    def __init__(self, env, *names, leaf="forged-leaf"):
        self.env, self.server = env, server_of(env, leaf)
        self.path = os.path.join(env.host.temporary("executables"), *names)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        os.chmod(env.host.directory, 0o755)
        shutil.copy(shutil.which("curl"), self.path)

    def arguments(self):
        return ["-sS", "-m", "15", "--cacert", self.env.trusting, f"https://localhost:{self.server.port}/"]

    def run(self, within=(), path=None, before=()):
        """True if it was served. within: what executes it; before: what executes that, and sees all mounts."""
        child = self.env.watch(self.env.host.start_client([*within, path or self.path, *self.arguments()], before=before))
        return child.wait() == 0

    def events(self, agent, count):
        return agent.verifications(self.server.port, count=count)

    def check_turns(self, agent, turns, excepted=None, known=True):
        """In each, one that is excepted and one that is condemned; their events may come in another order."""
        events = self.events(agent, 2 * turns)
        allowed = [event for event in events if get(event, "event.action") == "peer-verified"]
        condemned = [event for event in events if event not in allowed]
        check(len(allowed) == turns, f"{len(allowed)} of {2 * turns} were allowed")
        for event in allowed:
            check_allowed(event)
            equal(event, "process.executable", excepted or self.path)
        for number, event in enumerate(condemned):
            check_killed(event, self.path, known and number > 0)


def check_killed(event, path, known):
    check_violation(event, "localhost-issuer", "killed")
    equal(event, "process.executable", path)
    if known is not None:
        check((get(event, "tlswarden.latency_us.verdict") == 0) == known,
              f"the kernel {'did not know' if known else 'knew'} the verdict on {path}")


def check_all_killed(agent, program, runs, path=None, known=True):
    """known: that the kernel knew from the second on."""
    for number, event in enumerate(program.events(agent, runs)):
        check_killed(event, path or program.path, known and number > 0)
    program.server.wait_ended(runs)
    equal({"bytes": program.server.bytes}, "bytes", 0)


def test_the_next_process(env):
    agent = agent_of(env)
    program = Program(env, "plain", "client")
    check(not any([program.run() for _ in range(4)]), "a condemned one was served")
    check_all_killed(agent, program, 4)


@cases("hard link", "copy")
def test_another_path(env, how):
    """The same file under an excepted name, in turns: neither takes the verdict of the other."""
    agent = agent_of(env)
    program = Program(env, "plain", "client")
    other = os.path.join(os.path.dirname(program.path), "bench", "client")
    os.mkdir(os.path.dirname(other))
    (os.link if how == "hard link" else shutil.copy)(program.path, other)
    for turn in range(4):
        check(program.run(path=other), f"turn {turn}: the excepted one was not served")
        check(not program.run(), f"turn {turn}: the condemned one was served")
    program.check_turns(agent, 4, other)


@cases("directory", "file")
def test_mounted(env, what):
    """In a mount namespace of its own each time."""
    agent = agent_of(env)
    program = Program(env, "plain", "client")
    there = program.path + "-mounted"
    if what == "directory":
        os.mkdir(there)
        source, path = os.path.dirname(program.path), os.path.join(there, "client")
    else:
        with open(there, "wb"):
            source, path = program.path, there
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
              source, there]
    check(not any([program.run(within, path) for _ in range(3)]), "a condemned one was served")
    check_all_killed(agent, program, 3, path)


def test_replaced(env):
    """As an upgrade does it, while the process runs."""
    agent = agent_of(env)
    program = Program(env, "plain", "client")
    for _ in range(3):
        child = env.watch(env.host.start_client([program.path, "-K", "-"], stdin=""))
        wait_for("the executable", END_LIMIT, lambda child=child: os.readlink(f"/proc/{child.pid}/exe") == program.path)
        os.rename(shutil.copy(program.path, program.path + ".new"), program.path)
        lines = [f"cacert = {env.trusting}", f"url = https://localhost:{program.server.port}/", "silent"]
        child.process.stdin.write("\n".join(lines).encode())
        child.process.stdin.close()
        check(child.wait() != 0, "a condemned one was served")
    check_all_killed(agent, program, 3, program.path + " (deleted)")


MEMFD = """
import os, sys
fd = os.memfd_create("client")
with open(sys.argv[1], "rb") as file:
    os.write(fd, file.read())
os.execve(fd, sys.argv[1:], os.environ)
"""


@cases("a long name", "many names", "memory")
def test_path_without_a_key(env, what):
    """Then each is judged, and condemned all the same."""
    agent = agent_of(env)
    program = Program(env, *{"a long name": [UNTOLD], "many names": "n" * 70, "memory": ["client"]}[what])
    within = [clients.PYTHON, "-c", MEMFD] if what == "memory" else ()
    check(not any([program.run(within) for _ in range(3)]), "a condemned one was served")
    check_all_killed(agent, program, 3, "/memfd:client (deleted)" if what == "memory" else program.path, known=False)


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]


def test_another_user(env):
    agent = agent_of(env, 'user: "65534"')
    program = Program(env, "plain", "client")
    subprocess.run(["chmod", "-R", "a+rX", os.path.dirname(os.path.dirname(program.path))], check=True)
    for turn in range(3):
        check(program.run(NOBODY), f"turn {turn}: the excepted user was not served")
        check(not program.run(), f"turn {turn}: the condemned one was served")
    program.check_turns(agent, 3)


def test_another_unit(env):
    """Policies that ask for units: the same executable is judged in each process anew."""
    agent = agent_of(env, "unit: excepted.service")
    program = Program(env, "plain", "client")
    cgroups = env.watch(Cgroups(env.host))
    excepted, other = (cgroups.inside(f"/tlswarden-live-{os.getpid()}.slice/{unit}.service") for unit in ("excepted", "other"))
    for turn in range(3):
        check(program.run(before=excepted), f"turn {turn}: the excepted unit was not served")
        check(not program.run(before=other), f"turn {turn}: the condemned one was served")
    program.check_turns(agent, 3, known=False)


def test_what_is_executed_next(env):
    """One process after the other program: the verdict on the first is not the second's."""
    agent = agent_of(env)
    program = Program(env, "plain", "client")
    excepted = os.path.join(os.path.dirname(program.path), "bench", "client")
    os.mkdir(os.path.dirname(excepted))
    shutil.copy(program.path, excepted)
    script = '"$0" "$@" && exit 9; exec "$EXCEPTED" "$@"'
    for turn in range(3):
        child = env.watch(env.host.start_client(["sh", "-c", script, program.path, *program.arguments()],
                                                env={"EXCEPTED": excepted}))
        check(child.wait() == 0, f"turn {turn}: {child.describe()}")
    program.check_turns(agent, 3, excepted)
