"""Connections from odd places: `client_places.py KIND CA ADDRESS GOOD FORGED [MORE…]`, the last two ports of servers there.

Prints one line of JSON: of the good and of the condemned connections how many were served, and how many were not. Kinds:
  talk            one of each, good last
  exit            to each port that is not 0: writes, and the process has gone
  passed          connects, and hands the socket to another process by SCM_RIGHTS; MORE: keep | close (its own descriptor)
  inherited       connects, and executes another program that has the socket as a descriptor
  thread          a thread enters the network namespace MORE[0]; with `back` it leaves it before it speaks TLS
  threads         eight threads, each with its own descriptors or memory BIOs, good and condemned in turns
  fd-reuse        a condemned one is closed at once, and its descriptor's number is a good one's: MORE: COUNT fresh|cached
  pid-reuse       a condemned one's process is gone at once, and its pid is that of a good one: MORE: COUNT
  told            for each line of standard input, `good` or `forged`, one of those
  corked          on sockets that the application corked, and finds so again
  forked          a child writes on the connection whose handshake its parent made
  port-reuse      the server on GOOD is condemned and good in turns, on the very same ports: MORE: COUNT killed|reset
"""
import ctypes
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading

kind, ca, address, good, forged = sys.argv[1:4] + [int(port) for port in sys.argv[4:6]]
more = sys.argv[6:]
LIMIT, ROOM = 20, 16384
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
CLONE_NEWNET, SYS_CLONE3 = 0x40000000, 435
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False      # so that a name of its own makes a verification that nothing is cached of
libc = ctypes.CDLL(None, use_errno=True)
result = {"good": 0, "good_failed": 0, "forged": 0, "forged_failed": 0, "why": []}
counting = threading.Lock()


def connect(port):
    return socket.create_connection((address, port), timeout=LIMIT)


def ask(raw, name="localhost", afterwards=None):
    tls = context.wrap_socket(raw, server_hostname=name)
    tls.sendall(REQUEST)
    answer = b""
    while part := tls.recv(ROOM):
        answer += part
    if b"hello" not in answer:
        raise ConnectionError("no answer")
    if afterwards:
        afterwards(tls)


def ask_in_memory(raw, name="localhost"):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)

    def until(function, *arguments):
        while True:
            try:
                done = function(*arguments)
            except ssl.SSLWantReadError:
                done = None
            if outgoing.pending:
                raw.sendall(outgoing.read())
            if done is not None:
                return done
            data = raw.recv(ROOM)
            if not data:
                raise ConnectionError("the server closed the connection")
            incoming.write(data)
    until(lambda: tls.do_handshake() or True)
    until(tls.write, REQUEST)
    if b"hello" not in until(tls.read, ROOM):
        raise ConnectionError("no answer")


def attempt(port, how=ask, raw=None, name="localhost"):
    which = "good" if port == good else "forged"
    try:
        with raw or connect(port) as raw:
            how(raw, name)
        served = which
    except OSError as error:
        served = which + "_failed"
        if which == "good":
            result["why"].append(f"{type(error).__name__}: {error}")
    with counting:
        result[served] += 1


def write_and(port, end):
    """Says something over TLS, and ends without waiting for anything."""
    try:
        raw = connect(port)
        raw = context.wrap_socket(raw, server_hostname="localhost")
        raw.sendall(REQUEST)
    except OSError:
        pass    # it was ended before it could write
    end()


def exit_at_once():
    for port in (good, forged):
        if port:
            write_and(port, lambda: os._exit(0))


def in_child(function):
    """A child process that ends with what the function did to the result; its pid is no longer there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        function()
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        result.update(json.loads(file.read()))
    os.waitpid(pid, 0)


def passed(own):
    for port in (forged, good):
        here, there = socket.socketpair()
        raw = connect(port)
        socket.send_fds(here, [b"x"], [raw.fileno()])
        kept = raw.detach()
        if own == "close":
            os.close(kept)

        def receive():
            if own == "keep":
                os.close(kept)
            _, fds, _, _ = socket.recv_fds(there, 1, 1)
            taken = socket.socket(fileno=fds[0])
            taken.settimeout(LIMIT)
            attempt(port, raw=taken)
        in_child(receive)
        if own == "keep":
            os.close(kept)


def inherited(fd=None, port=None):
    if fd:
        raw = socket.socket(fileno=int(fd))
        raw.settimeout(LIMIT)
        attempt(int(port), raw=raw)
        return
    for port in (forged, good):
        with connect(port) as raw:
            answer = subprocess.run([sys.executable, *sys.argv[:6], str(raw.fileno()), str(port)], pass_fds=[raw.fileno()],
                                    stdout=subprocess.PIPE, check=True).stdout
        for key, value in json.loads(answer).items():
            result[key] += value


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def thread_elsewhere(path, stay):
    def run():
        for port in (forged, good):
            enter(path)
            raw = connect(port)
            if stay == "back":
                enter(f"/proc/{os.getpid()}/ns/net")
            attempt(port, raw=raw)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def threads():
    def run(number):
        for turn in range(12):
            attempt((good, forged)[(number // 2 + turn) % 2], (ask, ask_in_memory)[number % 2], name=f"n{turn % 3}.example")
    started = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def fd_reuse(count, cached):
    for turn in range(int(count)):
        name = "localhost" if cached == "cached" else f"n{turn}.example"
        raw = connect(forged)
        number = raw.fileno()
        try:
            raw = context.wrap_socket(raw, server_hostname=name)
            raw.sendall(REQUEST)
        except OSError:
            pass
        raw.close()
        raw = connect(good)
        if raw.fileno() != number:
            sys.exit("the descriptor has another number")
        attempt(good, raw=raw, name=name)


def clone_as(pid):
    """fork() with a pid that is free."""
    wanted = (ctypes.c_int * 1)(pid)
    arguments = ctypes.create_string_buffer(struct.pack("11Q", 0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(wanted), 1, 0))
    got = libc.syscall(SYS_CLONE3, arguments, 88)
    if got < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    return got


def pid_reuse(count):
    for _ in range(int(count)):
        pid = os.fork()
        if pid == 0:
            write_and(forged, lambda: os._exit(0))
        os.waitpid(pid, 0)
        try:
            again = clone_as(pid)
        except FileExistsError:
            continue    # somebody else was faster
        if again == 0:
            attempt(good)
            os._exit(result["good_failed"])
        _, status = os.waitpid(again, 0)
        result["good" if status == 0 else "good_failed"] += 1


def port_reuse(count, how):
    source = 0
    for turn in range(int(count)):
        for which in ("forged", "good"):
            raw = socket.socket()
            raw.settimeout(LIMIT)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            raw.bind((address, source))
            source = raw.getsockname()[1]
            # Closed by a reset: no TIME_WAIT keeps the ports.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.connect((address, good))
            try:
                if which == "forged" and how == "reset":
                    raw = context.wrap_socket(raw, server_hostname=f"n{turn}.example")
                    raw.sendall(REQUEST)
                    result["forged_failed"] += 1
                else:
                    ask(raw, f"n{turn}.example")
                    result[which] += 1
            except OSError as error:
                result[which + "_failed"] += 1
                if which == "good":
                    result["why"].append(f"{turn}: {type(error).__name__}: {error}")
            raw.close()


def told():
    for line in sys.stdin:
        attempt(good if line.strip() == "good" else forged)
        print(json.dumps(result), flush=True)


def corked():
    def ask_corked(raw, name):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        ask(raw, name, lambda tls: tls.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 1 or sys.exit("it is not corked"))
    for port in (forged, good):
        attempt(port, ask_corked)


def forked():
    def ask_by_child(raw, name):
        tls = context.wrap_socket(raw, server_hostname=name)
        pid = os.fork()
        if pid == 0:
            try:
                tls.sendall(REQUEST)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        if not tls.recv(ROOM):
            raise ConnectionError("no answer")
    for port in (forged, good):
        attempt(port, ask_by_child)


def talk():
    attempt(forged)
    attempt(good)


{"talk": talk, "told": told, "corked": corked, "forked": forked, "exit": exit_at_once, "passed": passed,
 "inherited": inherited, "thread": thread_elsewhere, "threads": threads, "fd-reuse": fd_reuse,
 "pid-reuse": pid_reuse, "port-reuse": port_reuse}[kind](*more)
print(json.dumps(result))
