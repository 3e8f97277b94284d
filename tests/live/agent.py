"""The agent under test: started with a policy, its events followed in its output file, ended by SIGTERM."""
import json
import os
import signal
import time

from host import Failure, check, wait_for

START_LIMIT = 90       # seconds until agent-started
EVENT_LIMIT = 30       # seconds from a client's end to its event
SETTLE = 0.1           # seconds in which an event too many would show itself
STOP_LIMIT = 60        # seconds: closing many probes is slow on some kernels
EVENTS_SHOWN = 20      # first and last ones in a report; those between are counted


def get(event, path):
    """The value at a dotted path, or None."""
    for key in path.split("."):
        if not isinstance(event, dict) or key not in event:
            return None
        event = event[key]
    return event


def descendants(pid):
    """The process and those it started, by /proc."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [pid] if pid in parents else []
    for known in found:
        found += [child for child, parent in parents.items() if parent == known and child not in found]
    return found


def same_file(a, b):
    try:
        return os.path.samefile(a, b)
    except OSError:
        return a == b


class Agent:
    """Started at once; wait_started() returns when its probes are in place. stop() is safe in any state."""

    def __init__(self, host, binary, policy=None, mode=None, name="agent", more=(), events=("--events", "all")):
        self.host = host
        self.directory = host.temporary(name)
        self.output = os.path.join(self.directory, "events.jsonl")
        self.policy_path = os.path.join(self.directory, "policy.yaml")
        args = [binary, "run", "--output", self.output, *events, *more]
        if policy is not None:
            self.write_policy(policy)
            args += ["--policy", self.policy_path]
        # Without these it would take the settings and policies that are installed on this machine.
        if policy is None and "--policy" not in more:
            args += ["--policy", host.temporary("no-policies")]
        if "--config" not in more:
            args += ["--config", host.file("no-settings.yaml", "")]
        if mode:
            args += ["--mode", mode]
        self.events = []
        self.asked = set()      # server ports of which a test wanted the events
        self.begun = 0          # events before this number are of earlier tests, whose ports the system may give again
        self.read_at = 0
        self.pids = []
        self.child = host.start(args)

    def write_policy(self, text):
        with open(self.policy_path, "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def alive(self):
        return self.child.process.poll() is None

    def read(self):
        """Reads what has been written since; each line must be one JSON object."""
        try:
            with open(self.output, "rb") as file:
                file.seek(self.read_at)
                data = file.read()
        except FileNotFoundError:
            return
        whole, newline, _ = data.rpartition(b"\n")
        self.read_at += len(whole) + len(newline)
        for line in whole.split(b"\n") if newline else []:
            try:
                event = json.loads(line.decode("utf-8", "strict"))
            except ValueError as error:
                raise Failure(f"not a line of JSON ({error}): {line[:400]!r}") from None
            check(isinstance(event, dict), f"not a JSON object: {line[:400]!r}")
            self.events.append(event)

    def wait(self, what, wanted, timeout=EVENT_LIMIT, count=1, since=0):
        """The events from number `since` on for which wanted(event) is true, once there are `count` of them."""
        def found():
            self.read()
            chosen = [event for event in self.events[since:] if wanted(event)]
            if len(chosen) >= count:
                return chosen
            check(self.alive, f"the agent has ended (exit {self.child.process.poll()})\n{self.child.describe()}")
            return None
        return wait_for(f"event: {what}", timeout, found)

    def wait_action(self, action, since=0, timeout=EVENT_LIMIT):
        return self.wait(action, lambda event: get(event, "event.action") == action, timeout, since=since)[0]

    def wait_started(self):
        self.wait_action("agent-started", timeout=START_LIMIT)
        self.pids = descendants(self.child.pid)
        return self

    def mark(self):
        self.read()
        return len(self.events)

    def verifications(self, port, role="client", count=1):
        """Events of verifications on this test's connections to this port: as many as asked for, and not one more."""
        def wanted(event):
            return get(event, "event.action") in ("peer-verified", "policy-violation") and \
                get(event, "destination.port") == port and get(event, "tlswarden.role") == role
        self.asked.add(port)
        chosen = self.wait(f"verification as {role} on port {port}", wanted, count=count, since=self.begun)
        time.sleep(SETTLE)
        self.read()
        chosen = [event for event in self.events[self.begun:] if wanted(event)]
        check(len(chosen) == count, f"{len(chosen)} events as {role} on port {port}, expected {count}")
        return chosen

    def begin_test(self):
        self.begun = self.mark()
        self.asked.clear()
        return self.begun

    def attached(self, path):
        self.read()
        return any(get(event, "event.action") == "library-attached" and
                   same_file(get(event, "tlswarden.library.path") or "", path) for event in self.events)

    def ensure_attached(self, path, holder):
        """Waits until the library at this path has its probes; a process that maps it is kept meanwhile."""
        if self.attached(path):
            return
        keeper = self.host.start_client(holder)
        try:
            wait_for(f"library-attached: {path}", 45, lambda: self.attached(path), 0.05)
        finally:
            keeper.end()

    def reload(self, policy):
        """SIGHUP with another policy: the event that says what became of it."""
        mark = self.mark()
        self.write_policy(policy)
        self.child.process.send_signal(signal.SIGHUP)
        return self.wait("policy-loaded or policy-rejected",
                         lambda event: get(event, "event.action") in ("policy-loaded", "policy-rejected"), since=mark)[0]

    def stop(self):
        """SIGTERM; its exit code, which must be there within STOP_LIMIT."""
        if self.alive:
            self.child.process.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(STOP_LIMIT)
        finally:
            self.child.end()

    def describe(self, since=0):
        """In full the events that tests asked for, of others what they are, for a report."""
        self.read()
        lines = []
        for event in self.events[since:]:
            if get(event, "destination.port") in self.asked or get(event, "event.dataset"):
                lines.append(json.dumps(event))
            else:
                lines.append(f"{get(event, 'event.action')} of {get(event, 'process.executable')} "
                             f"[{get(event, 'process.pid')}], {get(event, 'destination.ip')}:"
                             f"{get(event, 'destination.port')}, {get(event, 'tlswarden.action')}")
        left_out = max(0, len(lines) - 2 * EVENTS_SHOWN)
        if left_out:
            lines[EVENTS_SHOWN:-EVENTS_SHOWN] = [f"[… {left_out} events …]"]
        return "\n".join([f"events of the agent ({len(self.events) - since}):", *lines, self.child.describe()])
