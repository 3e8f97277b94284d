"""Other implementations of TLS: a process that uses one is listed by `coverage` as not covered, with the reason. For
`make test-libraries`: these need large packages (PACKAGES)."""
import glob
import os
import subprocess
import time

import clients
from agent import SETTLE, get
from expect import cases
from host import check, wait_for
from test_control import ask_json, control_of
from test_homes import SOURCES, Home

PACKAGES = ["golang-go", "default-jdk-headless", "tealdeer", "libnss3", "libmbedtls-dev", "libwolfssl-dev", "android-libboringssl"]
HELD = os.path.join(SOURCES, "held.py")
DLOPEN = "import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); print(1, flush=True); time.sleep(600)"
GO = {"go": [], "go-stripped": ["-ldflags=-s -w"], "go-pie": ["-buildmode=pie"]}
LIBRARIES = {"nss": ("libssl3.so", "NSS"), "mbedtls": ("libmbedtls.so.*", "Mbed TLS"), "wolfssl": ("libwolfssl.so.*", "wolfSSL")}


def tool(env, *command, **environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "HOME": env.host.temporary("home"), **environment})
    check(done.returncode == 0, f"{command}: {done.stdout.decode()}")


def homes_agent(env):
    """Shared by the tests here: an agent that can be asked."""
    if not (env.current and env.current[0] == "homes" and env.current[1].alive):
        path = control_of(env)
        agent = env.new_agent(env.fixtures.policy(), name="homes", more=["--control", path])
        agent.control = path
        env.current = ("homes", agent)
    env.current[1].begin_test()
    return env.current[1]


def start(env, *command):
    child = env.watch(env.host.start(command))
    env.closers.append(child.end)
    return child


def check_listed(env, agent, pid, name):
    """Not covered, as it uses what has this name (the file's, or part of the reason)."""
    def listed():
        answer, code = ask_json(env, "coverage", agent.control)
        found = [process for process in answer["processes"] if process["pid"] == pid and process["uses"]]
        check(not found or code == 1, f"exit code {code}, although it is not covered")
        return found
    (process,) = wait_for(f"process {pid} in coverage", 30, listed, 0.2)
    check(not process["covered"], f"it is said to be covered: {process}")
    check(any(name in (used.get("name") or "") for used in process["uses"]), f"no {name}: {process}")
    check(process["reasons"], f"no reason: {process}")


def check_unseen(env, agent, client):
    """It is served, by a forged chain too: nothing of it is seen."""
    for leaf in "good-leaf", "forged-leaf":
        server = env.watch(client.server(env.fixtures, leaf))
        check(env.watch(client.start(env.host, server, env.trusting)).wait(), "the client was not served")
        time.sleep(SETTLE)
        agent.read()
        seen = [event for event in agent.events if get(event, "destination.port") == server.port]
        check(not seen, f"it was seen, then: {seen}")


class GoHome(Home, clients.Client):
    pass


class JavaHome(clients.Client):
    name = executable = "java"

    def __init__(self, directory):
        self.directory = directory

    def command(self, server, ca, _environment):
        return ["java", "-cp", self.directory, "Client", str(server.port), ca]


@cases(*GO)
def test_go(env, name):
    agent = homes_agent(env)
    path = os.path.join(env.host.temporary("go"), name)
    tool(env, "go", "build", *GO[name], "-o", path, os.path.join(SOURCES, "client.go"), CGO_ENABLED="0", GOFLAGS="-mod=mod",
         GOPROXY="off", GOTOOLCHAIN="local")
    check_listed(env, agent, start(env, path, "hold").pid, "Go")
    check_unseen(env, agent, GoHome(path))


def test_java(env):
    agent = homes_agent(env)
    directory = env.host.temporary("java")
    tool(env, "javac", "-d", directory, os.path.join(SOURCES, "Client.java"))
    check_listed(env, agent, start(env, "java", "-cp", directory, "Client", "hold").pid, "Java")
    check_unseen(env, agent, JavaHome(directory))


def test_rustls(env):
    """A program of Debian's with rustls inside. It would speak to strangers: it is stopped before its first instruction."""
    agent = homes_agent(env)
    child = start(env, clients.PYTHON, HELD, "/usr/bin/tldr", "ls")
    wait_for("the stopped program", 30, lambda: child.output.strip() or child.ended)
    check(child.output.strip().isdigit(), "it was not stopped")
    check_listed(env, agent, int(child.output), "rustls")


def library(pattern):
    found = sorted(glob.glob("/usr/lib/*/" + pattern))
    check(found, f"no {pattern}: install {' '.join(PACKAGES)}")
    return found[0]


@cases(*LIBRARIES)
def test_other_library(env, name):
    agent = homes_agent(env)
    pattern, shown = LIBRARIES[name]
    check_listed(env, agent, start(env, clients.PYTHON, "-c", DLOPEN, library(pattern)).pid, shown)


def test_boringssl(env):
    """It has the functions, and other objects: it does not answer all questions, and says so."""
    agent = homes_agent(env)
    child = start(env, clients.PYTHON, "-c", DLOPEN, library("android/libcrypto.so.*"))
    agent.wait("library-unsupported", lambda event: event["event"]["action"] == "library-unsupported" and
               "/android/libcrypto.so" in event["tlswarden"]["library"]["path"])
    answer, code = ask_json(env, "coverage", agent.control)
    (process,) = [process for process in answer["processes"] if process["pid"] == child.pid]
    check(code == 1 and not process["covered"] and any("it has no " in reason for reason in process["reasons"]),
          f"exit code {code}: {process}")
