"""Clients that hurry, or do two things at once: `client_gate.py KIND CA CONDEMNED [GOOD]`, the servers' ports.

`exit` and `exit-memory` send their request and are gone at once; `coalesced` sends its Finished and its request in one
segment; `six` and `mapped` talk over an IPv6 socket, `mapped` to an IPv4 server; `mptcp` over MPTCP.
`threads`: two threads shake hands over memory BIOs at the same moment, one with either server; `batch`: one thread takes
the bytes of two connections before it looks at either; `handoff`: a thread that has just read from the good connection
verifies what another has read from the condemned one.
`false-start`, `false-start-after`: GnuTLS sends before the server's Finished is there, and verifies within or after the
handshake. Prints "served" for each answer of the condemned server, "good" for each of the other.
"""
import ctypes
import os
import socket
import ssl
import sys
import threading

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
NAME = "localhost"
NAME_BYTES = NAME.encode()     # GnuTLS keeps the pointer
ADDRESSES = {"six": (socket.AF_INET6, "::1"), "mapped": (socket.AF_INET6, "::ffff:127.0.0.1"),
             "mptcp": (socket.AF_INET, "127.0.0.1", socket.IPPROTO_MPTCP)}
ROUNDS = 40
ROOM = 65536


class Memory:
    """TLS over memory BIOs on a blocking socket."""

    def __init__(self, context, address, family=socket.AF_INET):
        self.sock = socket.socket(family)
        self.sock.settimeout(30)
        self.sock.connect(address)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)

    def step(self):
        """One step of the handshake with what has come in: is it over? What it wants to send stays."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def take(self):
        data = self.sock.recv(ROOM)
        if not data:
            raise ConnectionError("ended")
        self.incoming.write(data)

    def shake_hands(self):
        while not self.step():
            self.flush()
            self.take()

    def ask(self):
        """Request and answer; what the handshake still had to send goes with the request."""
        self.tls.write(REQUEST)
        self.flush()
        while True:
            try:
                return self.tls.read(ROOM)
            except ssl.SSLWantReadError:
                self.take()


def blocking(context, port, family=socket.AF_INET, host="127.0.0.1", protocol=0):
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.settimeout(30)
    sock.connect((host, port))
    return context.wrap_socket(sock, server_hostname=NAME)


def say(answer, word):
    if b"hello" in answer:
        print(word, flush=True)


def attempt(function, word):
    """Did it work? A connection that was ended is left out from then on."""
    try:
        function()
        return True
    except OSError as error:
        print(f"{word}: {error!r}", file=sys.stderr)
        return False


def ask(connection, word):
    try:
        say(connection.ask(), word)
    except OSError as error:
        print(f"{word}: {error!r}", file=sys.stderr)


def one_of_pair(context, port, word, together):
    connection = Memory(context, ("127.0.0.1", port))
    try:
        connection.step()
        connection.flush()
        together.wait()
        connection.shake_hands()
        say(connection.ask(), word)
    except OSError as error:
        print(f"{word}: {error!r}", file=sys.stderr)


def threads(context, condemned, good):
    for _ in range(ROUNDS):
        together = threading.Barrier(2)
        pair = [threading.Thread(target=one_of_pair, args=(context, port, word, together))
                for port, word in ((condemned, "served"), (good, "good"))]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()


def batch(context, condemned, good):
    """The bytes of the good connection come in last, those of the condemned one are looked at first; and the other way."""
    for number in range(ROUNDS):
        pair = [(Memory(context, ("127.0.0.1", condemned)), "served"), (Memory(context, ("127.0.0.1", good)), "good")]
        order = pair if number % 2 else pair[::-1]
        for connection, _ in order:
            connection.step()
            connection.flush()
        waiting = list(order)
        while waiting:
            here = [each for each in waiting if attempt(each[0].take, each[1])]
            waiting = [each for each in here if not each[0].step()]
            for connection, word in here:
                attempt(connection.flush, word)
        for connection, word in pair:
            ask(connection, word)


def handoff(context, condemned, good):
    for _ in range(ROUNDS):
        innocent, other = (Memory(context, ("127.0.0.1", port)) for port in (good, condemned))
        innocent.shake_hands()
        innocent.flush()
        other.step()
        other.flush()
        reader = threading.Thread(target=other.take)
        reader.start()
        reader.join()
        try:
            other.shake_hands()
        except OSError as error:
            print(f"served: {error!r}", file=sys.stderr)
        else:
            ask(other, "served")
        ask(innocent, "good")


def false_start(ca, port, within):
    gnutls = ctypes.CDLL("libgnutls.so.30")
    session, credentials = ctypes.c_void_p(), ctypes.c_void_p()
    gnutls.gnutls_certificate_allocate_credentials(ctypes.byref(credentials))
    gnutls.gnutls_certificate_set_x509_trust_file(credentials, ca.encode(), 1)
    gnutls.gnutls_init(ctypes.byref(session), 1 << 1 | 1 << 8)     # GNUTLS_CLIENT | GNUTLS_ENABLE_FALSE_START
    gnutls.gnutls_priority_set_direct(session, b"NORMAL:-VERS-ALL:+VERS-TLS1.2", None)
    gnutls.gnutls_credentials_set(session, 1, credentials)
    gnutls.gnutls_server_name_set(session, 1, NAME_BYTES, ctypes.c_size_t(len(NAME)))
    if within:
        gnutls.gnutls_session_set_verify_cert(session, NAME_BYTES, 0)
    sock = socket.create_connection(("127.0.0.1", port))
    gnutls.gnutls_transport_set_int2(session, sock.fileno(), sock.fileno())
    gnutls.gnutls_handshake_set_timeout(session, 30000)
    result = gnutls.gnutls_handshake(session)
    status = ctypes.c_uint()
    if not result and not within:
        result = gnutls.gnutls_certificate_verify_peers3(session, NAME_BYTES, ctypes.byref(status)) or status.value
    if result:
        sys.exit(f"handshake or verification: {result}")
    gnutls.gnutls_session_get_flags.restype = ctypes.c_uint
    if not gnutls.gnutls_session_get_flags(session) & 1 << 5:      # GNUTLS_SFLAGS_FALSE_START
        sys.exit("no false start")
    print("false start", flush=True)
    gnutls.gnutls_record_send.restype = gnutls.gnutls_record_recv.restype = ctypes.c_ssize_t
    gnutls.gnutls_record_send(session, REQUEST, ctypes.c_size_t(len(REQUEST)))
    room = ctypes.create_string_buffer(ROOM)
    if gnutls.gnutls_record_recv(session, room, ctypes.c_size_t(ROOM)) > 0:
        print("served")


def main(kind, ca, condemned, good=0):
    context = ssl.create_default_context(cafile=ca)
    condemned, good = int(condemned), int(good)
    if kind == "exit":
        blocking(context, condemned).send(REQUEST)
        os._exit(0)
    elif kind in ("exit-memory", "coalesced"):
        connection = Memory(context, ("127.0.0.1", condemned))
        connection.shake_hands()
        if kind == "exit-memory":
            connection.tls.write(REQUEST)
            connection.flush()
            os._exit(0)
        say(connection.ask(), "served")
    elif kind in ADDRESSES:
        sock = blocking(context, condemned, *ADDRESSES[kind])
        sock.sendall(REQUEST)
        say(sock.recv(ROOM), "served")
    elif kind == "threads":
        threads(context, condemned, good)
    elif kind in ("batch", "handoff"):
        {"batch": batch, "handoff": handoff}[kind](context, condemned, good)
    else:
        false_start(ca, condemned, kind == "false-start")


main(*sys.argv[1:])
