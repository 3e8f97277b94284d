"""The machine side of the live tests: a directory of their own, child processes, and a mount namespace for the clients.

Clients run in a mount namespace whose /etc/hosts says that localhost is 127.0.0.1 and ::1, whatever the machine's own file
says. Every child dies with the runner (PR_SET_PDEATHSIG) and is ended by the id it was started with; nothing else is
touched. start() must be called from the main thread: the death signal belongs to the thread that made the child.
"""
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
CHILD_LIMIT = 60        # seconds for a child to end by itself: far more than it takes on a busy machine
OUTPUT_SHOWN = 4000     # characters of a child's output in a report; the middle is left out beyond it


class Failure(Exception):
    """What a test found to be wrong."""


class Unable(Exception):
    """This machine cannot do what the test needs; the text says why."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, timeout, probe, interval=0.01):
    """The first true value of probe(); fails after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {timeout} s")
        time.sleep(interval)


def lock(name):
    """Held until the process ends: two runs at a time would end each other's connections. Waits for the other run."""
    os.makedirs("/run/lock", exist_ok=True)
    file = open(f"/run/lock/tlswarden-{name}.lock", "w", encoding="ascii")      # stays open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another run of the {name} to end", flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


class BpfFileSystem:
    """Where the gate's pins go, mounted if the machine has none (systemd mounts it). close() takes away what was mounted here."""

    PLACE = "/sys/fs/bpf"

    def __init__(self):
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            self.mounted = not any(line.split()[1:3] == [self.PLACE, "bpf"] for line in mounts)
        if self.mounted:
            subprocess.run(["mount", "-t", "bpf", "-o", "mode=700", "bpf", self.PLACE], check=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.PLACE], check=True)
        self.mounted = False


class Child:
    """A child process whose output goes to a file."""

    def __init__(self, args, directory, stdin=None, env=None):
        self.args = [str(arg) for arg in args]
        self.path = tempfile.mktemp(prefix="out-", dir=directory)
        self.stdin_text = stdin
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.args],
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=output, stderr=output,
                env=env, start_new_session=True)
        self.pid = self.process.pid
        self.session_ended = False      # its number may be another's by then
        if stdin:
            # Left open: some clients end the connection at the end of their input.
            try:
                self.process.stdin.write(stdin.encode())
                self.process.stdin.flush()
            except BrokenPipeError:     # it has ended already
                pass

    @property
    def ended(self):
        return self.process.poll() is not None

    @property
    def output(self):
        with open(self.path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def wait(self, timeout=CHILD_LIMIT):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failure(f"{' '.join(self.args)}: still running after {timeout} s\n{self.output}") from None
        finally:
            if self.process.stdin:
                try:
                    self.process.stdin.close()
                except BrokenPipeError:
                    pass
        return self.process.returncode

    def end(self, number=signal.SIGKILL):
        """Ends it and, with SIGKILL, what it left in its own session."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if number == signal.SIGKILL and not self.session_ended:
            self.session_ended = True
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def describe(self):
        text = self.output
        if len(text) > OUTPUT_SHOWN:
            text = text[:OUTPUT_SHOWN // 2] + "\n   […]\n" + text[-OUTPUT_SHOWN // 2:]
        return f"$ {' '.join(self.args)}\n  exit {self.process.poll()}\n{text}"


class Host:
    """Temporary directory, children, and the clients' mount namespace. close() undoes all of it, in any state."""

    def __init__(self):
        self.children = []
        self.holder = None
        self.directory = tempfile.mkdtemp(prefix="tlswarden-live-")
        os.chmod(self.directory, 0o755)
        try:
            self.holder = self._hold_namespace()
        except BaseException:
            self.close()
            raise

    def _hold_namespace(self):
        hosts = self.file("hosts", HOSTS)
        holder = Child(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        'mount --bind "$1" /etc/hosts && echo ready && exec sleep 86400', "sh", hosts], self.directory)
        self.children.append(holder)
        wait_for("mount namespace with its own /etc/hosts", 20, lambda: "ready" in holder.output or holder.ended)
        check("ready" in holder.output, f"no mount namespace with its own /etc/hosts:\n{holder.describe()}")
        return holder

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def temporary(self, name):
        path = tempfile.mkdtemp(prefix=name + "-", dir=self.directory)
        os.chmod(path, 0o755)
        return path

    def start(self, args, stdin=None, env=None):
        """A child on the host as it is."""
        child = Child(args, self.directory, stdin, env)
        self.children.append(child)
        return child

    def start_client(self, args, stdin=None, env=None, before=()):
        """A child in the clients' mount namespace, with an environment that names no proxy and no user's settings. before:
        what executes it."""
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.directory, "LC_ALL": "C.UTF-8"}
        clean.update(env or {})
        return self.start([*before, "nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--", *args], stdin, clean)

    def run(self, args, timeout=CHILD_LIMIT, **more):
        child = self.start(args, **more)
        child.wait(timeout)
        return child

    def close(self):
        for child in reversed(self.children):
            child.end()
        self.children.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
