"""The control socket: `status` and `coverage` of an agent that runs, who may ask, and what those who do harm can do to it."""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import clients
from agent import Agent, descendants, get
from expect import check_allowed, check_violation
from host import check, wait_for
from test_life import FAKE
from test_refusals import NOBODY

WIDTH = 100
WORKERS = 20
HARMFUL = 1000          # connections
SHORT = 30              # seconds: far more than an answer takes
USUAL = "/run/tlswarden/control.sock"


def control_of(env, name="control"):
    return os.path.join(env.host.temporary(name), "control.sock")


def run(env, *arguments, before=(), binary=None):
    return env.watch(env.host.run([*before, binary or env.binary, *arguments], timeout=SHORT))


def code_of(child):
    return child.process.returncode


def ask(env, command, path, *more):
    """The text, whose lines must fit the page; and the exit code."""
    child = run(env, command, "--control", path, *more)
    for line in child.output.split("\n") if code_of(child) in (0, 1) else ():
        check(len(line) <= WIDTH and line == line.rstrip(), f"{len(line)} wide: {line!r}")
    return child.output, code_of(child)


def ask_json(env, command, path):
    """The object, which is one line, and the exit code."""
    child = run(env, command, "--control", path, "--json")
    check(child.output.count("\n") == 1 and child.output.endswith("}\n"), f"not one line: {child.output!r}")
    answer = json.loads(child.output)
    check(answer["control"] == 1, f"control is {answer['control']!r}")
    return answer, code_of(child)


def has(text, *patterns):
    for pattern in patterns:
        check(re.search(pattern, text, re.M), f"{pattern!r} is not in:\n{text}")


def talk(env, chain="good-leaf", served=True):
    client = clients.BY_NAME["python-ssl"]
    server = env.watch(client.server(env.fixtures, chain))
    check(env.watch(client.start(env.host, server, env.trusting)).wait() == served, f"served is not {served}")
    return server


def new_agent(env, path, *more, policy=None):
    return env.new_agent(policy, name="control", more=["--control", path, *more])


def hold(env, path=None):
    """A process that maps OpenSSL, or the library at that path, until the test's end."""
    program = f"import ctypes; ctypes.CDLL({path!r}); " if path else "import ssl; "
    child = env.watch(env.host.start_client([clients.PYTHON, "-c", program + "import time; print(1, flush=True); time.sleep(600)"]))
    wait_for("the process to have its library", SHORT, lambda: "1\n" in child.output or child.ended)
    env.closers.append(child.end)
    return child


def libraries_of(answer):
    return {(library["device"], library["inode"]): library for library in answer["libraries"]}


def test_status(env):
    """What the agent says of itself is what its events and files say."""
    path = control_of(env)
    agent = new_agent(env, path, policy=env.fixtures.policy())
    check_allowed(agent.verifications(talk(env).port)[0])
    answer, code = ask_json(env, "status", path)
    check(code == 0, f"exit {code}")
    check(answer["agent"]["pid"] == agent.child.pid and answer["agent"]["state"] == "running", f"agent: {answer['agent']}")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["agent"]["since"]), "since is no time")
    with open(agent.policy_path, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    (policy,) = answer["policies"]
    check((policy["name"], policy["mode"], policy["sha256"], policy["file"]) ==
          ("live", "enforce", sha256, agent.policy_path), f"policy: {policy}")
    check(policy["rules"] > 1, f"rules: {policy['rules']}")
    check(answer["gate"]["state"] == "on" and answer["gate"]["fail"] == "open", f"gate: {answer['gate']}")
    check(answer["counters"]["verifications"] >= 1, f"counters: {answer['counters']}")
    known = {(library["path"], library.get("build_id")) for library in answer["libraries"] if library["state"] == "attached"}
    for event in agent.events:
        if get(event, "event.action") == "library-attached":
            expected = (get(event, "tlswarden.library.path"), get(event, "tlswarden.library.build_id"))
            check(expected in known, f"{expected} is not among {known}")
    text, code = ask(env, "status", path)
    check(code == 0, f"exit {code}")
    has(text, rf"^tlswarden [\d.]+, process {agent.child.pid}, running since ", r"^Gate: on: .*500 ms.*fail: open",
        r"^  live: enforce, \d+ rules$", rf"^      sha256 {sha256}$", r"^  /.*libcrypto\.so\.3$", r"^      openssl 3\.\S+, ",
        r"^Verifications: [1-9]\d* judged, ", "^Lost: ")


def test_status_follows(env):
    """A policy that is loaded later, and the gate that goes off with it."""
    path = control_of(env)
    agent = new_agent(env, path, "--mode", "audit", policy=env.fixtures.policy())
    answer, _ = ask_json(env, "status", path)
    check(answer["agent"]["mode"] == "audit" and answer["policies"][0]["mode"] == "audit", f"{answer['policies']}")
    check(answer["gate"]["state"] == "off", f"gate: {answer['gate']}")
    agent.reload(env.fixtures.policy(name="another"))
    wait_for("the policy in status", SHORT, lambda: ask_json(env, "status", path)[0]["policies"][0]["name"] == "another", 0.1)


def test_coverage(env):
    """Processes that map a library are there, each of them, and those of whom the same is to be said share a line."""
    path = control_of(env)
    new_agent(env, path)
    workers = [hold(env) for _ in range(WORKERS)]
    answer, code = ask_json(env, "coverage", path)
    processes = {process["pid"]: process for process in answer["processes"]}
    for worker in workers:
        process = processes.get(worker.pid)
        check(process and process["covered"] and "reasons" not in process, f"{worker.pid}: {process}")
        check(process["executable"] == os.path.realpath(clients.PYTHON), f"executable: {process['executable']}")
        check(any(use["name"] == "openssl" and use["state"] == "attached" for use in process["uses"]), f"{process['uses']}")
    uncovered = [process for process in answer["processes"] if not process["covered"]]
    check(all(process["reasons"] for process in uncovered), f"without a reason: {uncovered}")
    counts = answer["processes_count"]
    check((counts["covered"], counts["not_covered"]) == (len(processes) - len(uncovered), len(uncovered)), f"{counts}")
    check(code == (1 if uncovered else 0), f"exit {code}")
    text, _ = ask(env, "coverage", path)
    name = processes[workers[0].pid]["name"]
    grouped = re.findall(rf"^ *\d+  {re.escape(name)} ×(\d+) +openssl.* yes$", text, re.M)
    check(any(int(count) >= WORKERS for count in grouped), f"no line for the {WORKERS} {name}:\n{text}")
    text, _ = ask(env, "coverage", path, "--all")
    for worker in workers:
        has(text, rf"^ *{worker.pid}  {re.escape(name)} .* yes$")
    counted = {library["processes"] for library in ask_json(env, "status", path)[0]["libraries"] if library["state"] == "attached"}
    check(max(counted) >= WORKERS, f"processes of libraries: {counted}")


def test_not_covered(env):
    """A library that does not answer: its process is named, with the reason, and the answer is no."""
    path = control_of(env)
    new_agent(env, path)
    library = os.path.join(env.host.temporary("evil\x1b[31m"), "libcrypto.so.3")
    build = run(env, "-shared", "-fPIC", "-O1", "-o", library, env.host.file("fake.c", FAKE), binary="gcc")
    check(code_of(build) == 0, "the test's library does not build")
    holder = hold(env, library)

    def listed():
        answer, code = ask_json(env, "coverage", path)
        found = [process for process in answer["processes"] if process["pid"] == holder.pid]
        return found and found[0]["uses"] and (found[0], code)
    process, code = wait_for("the process in coverage", SHORT, listed, 0.2)
    check(not process["covered"] and process["reasons"] and code == 1, f"exit {code}: {process}")
    (use,) = [use for use in process["uses"] if use["path"].endswith("libcrypto.so.3")]
    check("\\x1b[31m" in use["path"] and use["state"] == "unsupported", f"{use}")
    text, code = ask(env, "coverage", path)
    has(text, rf"^ *{holder.pid}  .* no: ", "not covered")
    check(code == 1 and "\x1b" not in text, f"exit {code}: {text!r}")
    text, code = ask(env, "status", path)
    check(code == 0 and "\x1b" not in text, f"exit {code}: {text!r}")
    has(text, r"^Not covered: [1-9]", r"^  /.*evil\\x1b\[31m.*libcrypto\.so\.3$")
    status, _ = ask_json(env, "status", path)
    (found,) = [found for found in status["libraries"] if found["path"] == use["path"]]
    check(found["processes"] >= 1 and found["reason"], f"{found}")


def test_only_root(env):
    path = control_of(env)
    new_agent(env, path)
    check(os.stat(path).st_mode & 0o777 == 0o600, f"mode {os.stat(path).st_mode:o}")
    binary = os.path.join(env.host.directory, "tlswarden")
    if not os.path.exists(binary):
        shutil.copy(env.binary, binary)
        os.chmod(binary, 0o755)
    for command in ("status", "coverage"):
        child = run(env, command, "--control", path, before=NOBODY, binary=binary)
        check(code_of(child) == 3 and "only root may ask" in child.output, f"exit {code_of(child)}")
    # Nor where the file lets anybody in.
    os.chmod(path, 0o666)
    child = run(env, "status", "--control", path, before=NOBODY, binary=binary)
    check(code_of(child) == 3 and "libcrypto" not in child.output, f"exit {code_of(child)}")
    check(ask(env, "status", path)[1] == 0, "root is not answered any more")


def test_nobody_answers(env):
    """Exit 3, and what to do."""
    path = control_of(env)
    for command in ("status", "coverage"):
        text, code = ask(env, command, path)
        check(code == 3 and "systemctl start" in text.replace("\n", " "), f"exit {code}")
        child = run(env, command, "--control", "x" * 200)
        check(code_of(child) == 3 and "too long" in child.output, f"exit {code_of(child)}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        check(ask(env, "status", path)[1] == 3, "an answer of nobody")
        listener.listen(1)
        asking = env.host.start([env.binary, "status", "--control", path])
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b'{"something":"else"}\n')
        check(env.watch(asking).wait() == 3 and "no agent of this version" in asking.output, f"{asking.output}")
    for wrong in (["--nonsense"], ["x"], ["--control"]):
        child = run(env, "status", *wrong)
        check(code_of(child) == 2 and "--help" in child.output, f"{wrong}: exit {code_of(child)}")
    check(code_of(run(env, "status", "--all")) == 2, "status knows --all")


def harmful(path, kind):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.setblocking(False)
    text = {"silent": b"", "half": b"stat", "endless": b"z" * (1 << 20), "garbage": os.urandom(4096), "unread": b"coverage\n"}[kind]
    try:
        sock.send(text)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    return sock


def test_harmful_clients(env):
    """A thousand of them disturb neither verdicts nor those who ask as they should."""
    path = control_of(env)
    agent = new_agent(env, path, policy=env.fixtures.policy())
    ask(env, "status", path)
    descriptors = len(os.listdir(f"/proc/{agent.child.pid}/fd"))
    kinds = ("silent", "half", "endless", "garbage", "unread")
    held = []
    try:
        for i in range(HARMFUL):
            held.append(harmful(path, kinds[i % len(kinds)]))
            if i % (HARMFUL // 4) == 0:
                check_allowed(agent.verifications(talk(env).port)[0])
                forged = talk(env, "forged-leaf", served=False)
                check_violation(agent.verifications(forged.port)[0], "localhost-issuer", "killed")
                begin = time.monotonic()
                check(ask(env, "status", path)[1] == 0, "status is not answered")
                check(time.monotonic() - begin < SHORT, "status is not answered in time")
        check(len(os.listdir(f"/proc/{agent.child.pid}/fd")) < descriptors + 64, "each of them has a descriptor of the agent")
    finally:
        for sock in held:
            sock.close()
    wait_for("the agent to let go of them", SHORT,
             lambda: len(os.listdir(f"/proc/{agent.child.pid}/fd")) <= descriptors, 0.1)
    check_allowed(agent.verifications(talk(env).port)[0])
    check(agent.stop() == 0, f"exit {agent.child.process.returncode}")


def test_socket_that_is_left(env):
    """An agent that was killed leaves its socket: the next one replaces it, and takes it away when it ends."""
    path = control_of(env)
    first = new_agent(env, path)
    pids = descendants(first.child.pid)
    first.child.process.send_signal(signal.SIGKILL)
    first.child.process.wait(SHORT)
    wait_for("the first agent to go", SHORT, lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
    env.agents.remove(first)
    check(os.path.exists(path), "nothing is left of it")
    text, code = ask(env, "status", path)
    check(code == 3 and "has ended" in text.replace("\n", " "), f"exit {code}: {text}")
    second = new_agent(env, path)
    check(ask_json(env, "status", path)[0]["agent"]["pid"] == second.child.pid, "the second does not answer")
    check(second.stop() == 0, "it does not end well")
    check(not os.path.exists(path), "its socket is left")


def test_two_agents(env):
    """With sockets of their own side by side; one cannot take another's that was named; without a name it runs, and says so."""
    path, other = control_of(env), control_of(env)
    first = new_agent(env, path)
    common = ["run", "--config", env.host.file("no-settings.yaml", ""), "--policy", env.host.temporary("no-policies")]
    child = run(env, *common, "--output", "-", "--control", path)
    check(code_of(child) == 3 and f"process {first.child.pid}" in child.output and "--control" in child.output,
          f"exit {code_of(child)}")
    check("agent-started" not in child.output and "library-attached" not in child.output, "it began nevertheless")
    config = env.host.file("control.yaml", f"control: {other}\n")
    second = Agent(env.host, env.binary, env.fixtures.policy(), name="second", more=["--config", config])
    env.agents.append(second)
    second.wait_started()
    for agent, socket_path in ((first, path), (second, other)):
        check(ask_json(env, "status", socket_path)[0]["agent"]["pid"] == agent.child.pid, f"who answers at {socket_path}?")
    file = env.host.file("no-socket", "mine")
    child = run(env, *common, "--output", "-", "--control", file)
    with open(file, encoding="ascii") as left:
        check(code_of(child) == 2 and "no socket" in child.output and left.read() == "mine", f"exit {code_of(child)}")
    env.stop_agents()
    # The usual one, if it is free.
    usual = [Agent(env.host, env.binary, name="usual").wait_started()]
    try:
        usual.append(Agent(env.host, env.binary, name="again").wait_started())
        check("will not reach this agent" in usual[1].child.output and USUAL in usual[1].child.output, usual[1].child.output)
    finally:
        codes = [agent.stop() for agent in usual]
    check(codes == [0, 0], f"exit codes {codes}")


def test_without_a_socket(env):
    agent = env.new_agent(name="mute", more=["--control", "none"])
    listening = subprocess.run(["ss", "-xlpH"], stdout=subprocess.PIPE, check=True).stdout.decode()
    check(f"pid={agent.child.pid}," not in listening, listening)
    check_allowed(agent.verifications(talk(env).port)[0])
