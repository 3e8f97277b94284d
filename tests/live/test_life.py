"""The agent's own life: two halves, libraries that appear or do not answer, and what is left when it has ended."""
import json
import os
import signal
import subprocess

import clients
from agent import descendants, get
from expect import check_allowed, check_head, equal
from host import check, wait_for

FAKE = """
/* Says that it verifies certificates, and answers nothing that makes sense. */
int X509_verify_cert(void *ctx) { (void)ctx; return 1; }
void *X509_STORE_CTX_get0_cert(void *ctx) { (void)ctx; for (;;) ; }
void *X509_STORE_CTX_get0_chain(void *ctx) { (void)ctx; __builtin_trap(); }
int X509_STORE_CTX_get_error(void *ctx) { (void)ctx; return 42; }
"""


def bpf_objects(kind):
    """{id: entry} of what bpftool lists."""
    result = subprocess.run(["/usr/sbin/bpftool", "-j", kind, "list"], stdout=subprocess.PIPE, check=True)
    return {entry["id"]: entry for entry in json.loads(result.stdout or b"[]")}


def ask(env, agent):
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    check(env.watch(client.start(env.host, server, env.trusting)).wait(), "the client was not served")
    return agent.verifications(server.port)[0]


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def halves(agent):
    """{pid: status} of its processes, without those that ask a library or check its probes, which come and go."""
    statuses = {}
    for pid in descendants(agent.child.pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"-library" not in file.read():
                    statuses[pid] = status_of(pid)
        except OSError:     # it has ended
            pass
    return statuses


def in_pipe_write(pid):
    """Does it sleep until somebody reads from a pipe?"""
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            return "pipe_write" in file.read()
    except OSError:     # it has ended
        return False


def test_start_and_end(env):
    """Without a policy every verification is logged; nothing of the agent is left when it has ended."""
    env.stop_agents()
    before = {kind: set(bpf_objects(kind)) for kind in ("prog", "link")}
    agent = env.new_agent(name="life")
    owned = {kind: set(bpf_objects(kind)) - before[kind] for kind in before}
    check(owned["prog"], "the agent has loaded no program")
    event = ask(env, agent)
    check_allowed(event)
    started = [event for event in agent.events if get(event, "event.action") == "agent-started"]
    check(len(started) == 1, "agent-started is not there exactly once")
    check_head(started[0])
    pids = descendants(agent.child.pid)
    check(agent.stop() == 0, f"the agent's exit code is {agent.child.process.returncode}")
    agent.read()
    equal(agent.events[-1], "event.action", "agent-stopped")
    left = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    check(not left, f"processes are left: {left}")
    for kind in owned:
        wait_for(f"bpf {kind}s of the agent to go", 30, lambda kind=kind: not owned[kind] & set(bpf_objects(kind)), 0.1)


def test_sequence_has_no_gap(env):
    agent = env.new_agent(name="sequence")
    for _ in range(5):
        ask(env, agent)
    agent.stop()
    agent.read()
    numbers = [get(event, "event.sequence") for event in agent.events]
    check(numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"sequence: {numbers}")


def test_unprivileged_half(env):
    """One process of the agent has nothing: another user, no capability, no new privileges, a seccomp filter."""
    agent = env.new_agent(env.fixtures.policy(), name="halves")
    statuses = halves(agent)
    check(len(statuses) >= 2, f"the agent is one process: {list(statuses)}")
    bare = [pid for pid, status in statuses.items() if "0" not in status["Uid"].split()
            and all(int(status[kind], 16) == 0 for kind in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"))
            and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"]
    check(len(bare) == 1, f"no process without privileges among {statuses}")
    # It is the one that holds the output.
    check(any(os.path.exists(path) and os.path.samefile(path, agent.output) for path in
              (f"/proc/{bare[0]}/fd/{fd}" for fd in os.listdir(f"/proc/{bare[0]}/fd"))), "it does not write the events")
    check_allowed(ask(env, agent))


def test_death_of_one_half_ends_the_other(env):
    agent = env.new_agent(env.fixtures.policy(), name="orphan")
    (child,) = [pid for pid, status in halves(agent).items() if status["Seccomp"] == "2"]
    os.kill(child, 9)
    code = agent.child.wait()
    check(code != 0, "the agent says that all is well")
    env.agents.remove(agent)


def test_end_while_nobody_reads(env):
    """A judge that cannot write its events does not keep the agent from ending, and says that they are lost."""
    env.stop_agents()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen([env.binary, "run", "--config", env.host.file("no-settings.yaml", ""), "--policy",
                                env.host.temporary("no-policies"), "--output", "-", "--events", "all"], stdout=writer,
                               stderr=subprocess.PIPE)
    try:
        wait_for("the judge to write", 60, lambda: any(map(in_pipe_write, descendants(process.pid))))
        pids = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        check(process.wait(60) != 0, "the agent says that all is well")
        check(b"nobody reading" in process.stderr.read(), "it does not say why")
        left = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        check(not left, f"processes are left: {left}")
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)


def test_library_that_does_not_answer(env):
    """It is reported, with its path and a reason, and the others go on."""
    agent = env.new_agent(name="fake")
    directory = env.host.temporary("fake")
    path = os.path.join(directory, "libcrypto.so.3")
    source = env.host.file("fake.c", FAKE)
    build = env.watch(env.host.run(["gcc", "-shared", "-fPIC", "-O1", "-o", path, source]))
    check(build.process.returncode == 0, "the test's library does not build")
    keeper = env.host.start_client([clients.PYTHON, "-c", f"import ctypes, time; ctypes.CDLL('{path}'); time.sleep(60)"])
    try:
        event = agent.wait("library-unsupported", lambda event: get(event, "event.action") == "library-unsupported"
                           and get(event, "tlswarden.library.path") == path, timeout=45)[0]
    finally:
        keeper.end()
    check(get(event, "tlswarden.reason") or get(event, "tlswarden.library.reason"), f"no reason in {event}")
    check_allowed(ask(env, agent))


def test_library_that_appears_later(env):
    """A copy of libcrypto that nothing had mapped when the agent began: seen when a process maps it."""
    agent = env.new_agent(name="later")
    directory = env.host.temporary("copy")
    linked = subprocess.run(["ldd", "/usr/bin/openssl"], stdout=subprocess.PIPE, check=True).stdout.decode()
    for line in linked.splitlines():
        if "libssl.so" in line or "libcrypto.so" in line:
            name, _, found = line.strip().partition(" => ")
            subprocess.run(["cp", found.split()[0], os.path.join(directory, name)], check=True)
    path = os.path.join(directory, "libcrypto.so.3")

    class Copied(clients.PythonBlocking):
        library_path = path + "$"

        def start(self, host, server, ca):
            return clients.Run(host.start_client(self.command(server, ca, {}), None, {"LD_LIBRARY_PATH": directory}),
                               self.served)

    keeper = env.host.start_client([clients.PYTHON, "-c", "import ssl, time; time.sleep(60)"],
                                   env={"LD_LIBRARY_PATH": directory})
    try:
        wait_for("library-attached of the copy", 45, lambda: agent.attached(path), 0.05)
    finally:
        keeper.end()
    client = Copied()
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    check(env.watch(client.start(env.host, server, env.trusting)).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.library.path", path)
    check_allowed(event)


def test_library_whose_first_process_is_gone(env):
    """In a mount namespace of its own, mapped first by processes too short-lived to be looked at: a later one is seen."""
    agent = env.new_agent(name="gone")
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    directory = env.host.temporary("hidden")
    copied = f"cp -L /usr/lib/*/libssl.so.3 /usr/lib/*/libcrypto.so.3 {directory}"
    short = f"{clients.PYTHON} -S -c 'import ctypes, os; ctypes.CDLL(\"libssl.so.3\"); os._exit(0)'"
    long = f"{clients.PYTHON} -S -c 'import ctypes, time; ctypes.CDLL(\"libssl.so.3\"); time.sleep(3)'"
    curl = f"curl -sS --cacert {env.trusting} https://localhost:{server.port}/"
    script = f"mount -t tmpfs none {directory} && {copied} && export LD_LIBRARY_PATH={directory} && " \
        f"{short} && {short} && sleep 1 && {long} && {curl}"
    child = env.watch(env.host.start_client(["unshare", "--mount", "sh", "-c", script]))
    check(child.wait() == 0, "the client was not served")
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.library.path", os.path.join(directory, "libcrypto.so.3"))
    check_allowed(event)


def test_process_whose_first_thread_has_ended(env):
    """/proc shows nothing of it but through the thread that lives."""
    agent = env.agent("enforce")
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    program = ("import ctypes, socket, ssl, sys, threading, time\n"
               "def talk():\n"
               "    time.sleep(0.3)\n"
               "    context = ssl.create_default_context(cafile=sys.argv[1])\n"
               "    raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n"
               "    context.wrap_socket(raw, server_hostname='localhost').recv(1)\n"
               "threading.Thread(target=talk).start()\n"
               "ctypes.CDLL(None).pthread_exit(None)\n")
    env.watch(env.host.start_client(["/usr/bin/python3", "-c", program, env.trusting, str(server.port)]))
    (event,) = agent.verifications(server.port)
    equal(event, "process.executable", os.path.realpath("/usr/bin/python3"))
