"""TLS servers on ports that the system chooses, on 127.0.0.1 or ::1 only, that say what they saw of each client.

A server answers ANSWER_DELAY after the handshake, as one across a network would: `kill` destroys the socket as soon as the
verdict is there, and a server on loopback would have answered by then. Where a test expects a kill, the server is given
PATIENCE instead, so that it does not matter how busy the machine is: it waits for the connection to be cut. Each connection
is recorded with the client's address, its socket's cookie (asked from the kernel) and the number of application bytes that
arrived.
"""
import re
import select
import socket
import ssl
import struct
import subprocess
import threading

ANSWER_DELAY = 0.25
PATIENCE = 8             # seconds; less than any client's own limit
IDLE_LIMIT = 15          # seconds without a byte; beyond it the connection is closed
REQUEST_MAX = 65536      # bytes of one request; beyond it the connection is closed
BODY = b"hello from the test server\n"
LOOPBACK = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Connection:
    def __init__(self, sock, address):
        self.sock = sock
        self.ip, self.port = address[:2]
        self.sni = None
        self.version = None
        self.cookie = None
        self.handshake = False
        self.application_bytes = 0
        self.error = None
        self.ended = threading.Event()

    def receive(self, size):
        data = self.sock.recv(size)
        self.application_bytes += len(data)
        return data

    def receive_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.receive(size - len(data))
            if not part:
                raise ConnectionError("the client closed the connection")
            data += part
        return data

    def describe(self):
        return (f"connection from [{self.ip}]:{self.port} sni={self.sni} {self.version} cookie={self.cookie} "
                f"handshake={self.handshake} application_bytes={self.application_bytes} error={self.error}")


def socket_cookie(port, local_port):
    """The cookie of the TCP socket with these two ports, in decimal as events have it; None if there is none."""
    found = subprocess.run(["ss", "-tneH", f"sport = :{port} and dport = :{local_port}"], stdout=subprocess.PIPE,
                           check=False).stdout.decode()
    match = re.search(r"\bsk:([0-9a-f]+)", found)
    return str(int(match.group(1), 16)) if match else None


def pause(sock, seconds):
    """Waits; but not once the other side has closed or reset the connection."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll(seconds * 1000)


def serve_http(connection):
    """HTTP/1.1 with keep-alive; any path, and a dumb git repository at /repo.git."""
    answers = {b"/repo.git/info/refs": b"1234567890123456789012345678901234567890\trefs/heads/main\n",
               b"/repo.git/HEAD": b"ref: refs/heads/main\n"}
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            part = connection.receive(4096)
            if not part or len(data) > REQUEST_MAX:
                return
            data += part
        head, data = data.split(b"\r\n\r\n", 1)
        path = head.split()[1].split(b"?")[0]
        body = answers.get(path, BODY)
        close = b"HTTP/1.0" in head.split(b"\r\n")[0] or b"connection: close" in head.lower()
        connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n" % (
            len(body), b"Connection: close\r\n" if close else b"") + body)
        if close:
            return


def serve_dns(connection):
    """DNS over TLS: every question has the answer 192.0.2.53."""
    while True:
        try:
            (length,) = struct.unpack("!H", connection.receive_exactly(2))
        except ConnectionError:
            return
        query = connection.receive_exactly(length)
        end = 12
        while query[end]:
            end += 1 + query[end]
        question = query[12:end + 5]
        header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 53])
        reply = header + question + answer
        connection.sock.sendall(struct.pack("!H", len(reply)) + reply)


def postgres_ask_tls(sock):
    """The client asks whether it may speak TLS before it does."""
    length, code = struct.unpack("!II", sock.recv(8, socket.MSG_WAITALL))
    if (length, code) != (8, 80877103):
        raise ConnectionError("no SSLRequest")
    sock.sendall(b"S")


def serve_postgres(connection):
    """As much of PostgreSQL's protocol as `select 1` needs."""
    def message(kind, body):
        return kind + struct.pack("!I", len(body) + 4) + body

    ready = message(b"Z", b"I")
    (length,) = struct.unpack("!I", connection.receive_exactly(4))
    connection.receive_exactly(length - 4)
    parameters = b"".join(message(b"S", name + b"\0" + value + b"\0") for name, value in (
        (b"server_version", b"15.0"), (b"client_encoding", b"UTF8"), (b"standard_conforming_strings", b"on")))
    connection.sock.sendall(message(b"R", struct.pack("!I", 0)) + parameters + ready)
    while True:
        kind = connection.receive_exactly(1)
        (length,) = struct.unpack("!I", connection.receive_exactly(4))
        connection.receive_exactly(length - 4)
        if kind == b"X":
            return
        if kind == b"Q":
            column = b"answer\0" + struct.pack("!IHIhIh", 0, 0, 23, 4, 0xffffffff, 0)
            connection.sock.sendall(message(b"T", struct.pack("!H", 1) + column) +
                                    message(b"D", struct.pack("!HI", 1, 1) + b"1") +
                                    message(b"C", b"SELECT 1\0") + ready)


class Server:
    """Accepts until close(). tls: "1.2", "1.3", or None: plain; clients: a CA file, if clients must show a certificate from
    it. address, port: listen there, and nowhere else."""

    def __init__(self, chain=None, key=None, serve=serve_http, before=None, family=4, tls="1.3", clients=None,
                 delay=ANSWER_DELAY, address=None, port=0):
        self.family, self.tls = family, tls
        self.serve, self.before, self.delay = serve, before, delay
        self.connections = []
        self.sni_of = threading.local()
        self.context = self._context(chain, key, clients) if tls else None
        self.listener, self.reserved = self._bind(address, port)
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _context(self, chain, key, clients):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = VERSIONS[self.tls]
        context.load_cert_chain(chain, key)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        context.sni_callback = self._sni
        return context

    def _bind(self, address, port):
        """Listens on one family only; the other's same port is held, so that a client's attempt there is refused."""
        kind, loopback = LOOPBACK[self.family]
        other_kind, other = LOOPBACK[10 - self.family]
        for _ in range(64):
            listener = socket.socket(kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address or loopback, port))
            if address:
                return listener, None
            reserved = socket.socket(other_kind)
            try:
                reserved.bind((other, listener.getsockname()[1]))
                return listener, reserved
            except OSError:
                listener.close()
                reserved.close()
        raise OSError("no port that is free on both 127.0.0.1 and ::1")

    def _sni(self, _sock, name, _context):
        self.sni_of.name = name

    def _accept(self):
        while True:
            try:
                sock, address = self.listener.accept()
            except OSError:
                return
            connection = Connection(sock, address)
            self.connections.append(connection)
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection):
        raw = connection.sock
        try:
            raw.settimeout(IDLE_LIMIT)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.before:
                self.before(raw)
            if self.context:
                self._shake_hands(connection)
            pause(connection.sock, self.delay)
            self.serve(connection)
            if self.context:
                connection.sock.settimeout(2)
                connection.sock.unwrap()
        except (OSError, ssl.SSLError, struct.error, IndexError) as error:
            connection.error = f"{type(error).__name__}: {error}"
        finally:
            try:
                connection.sock.close()
            finally:
                raw.close()
            connection.ended.set()

    def _shake_hands(self, connection):
        self.sni_of.name = None
        try:
            connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
        finally:
            connection.sni = self.sni_of.name
        connection.version = connection.sock.version()
        connection.handshake = True
        # Only now that the client has verified: the question makes the kernel give the socket a cookie if it has none.
        connection.cookie = socket_cookie(connection.port, self.port)

    def describe(self):
        lines = [connection.describe() for connection in self.connections]
        return f"server on port {self.port}, IPv{self.family}, TLS {self.tls}: {len(lines)} connection(s)\n" + \
            "\n".join("  " + line for line in lines)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        if self.reserved:
            self.reserved.close()
        self.thread.join(5)
