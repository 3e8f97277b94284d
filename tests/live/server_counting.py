"""Servers that answer at once and count: `server_counting.py SPEC`; SPEC is a JSON list of {chain, key, tls, serve, family},
and with "resets" what follows the handshake is a reset.

All in one process of its own, so that the test's work does not slow them down. Prints the ports as a JSON list; then, for
each port that comes in on a line, a JSON list of what it knows of that server's connections so far. Ends at the end of its
input. It has no patience: a request that is let through is answered, and its bytes are counted.
"""
import json
import select
import socket
import ssl
import struct
import sys
import threading
import time

import servers

BACKLOG = 1024      # connections at once; beyond it the kernel has clients repeat their SYN after a second
SERVE = {"http": (servers.serve_http, None), "dns": (servers.serve_dns, None),
         "postgres": (servers.serve_postgres, servers.postgres_ask_tls)}


class Connection(servers.Connection):
    def __init__(self, sock, address):
        super().__init__(sock, address)
        self.accepted, self.asked = time.monotonic(), None

    def receive(self, size):
        data = super().receive(size)
        if data and self.asked is None:
            self.asked = time.monotonic() - self.accepted
        return data

    def seen(self):
        return {"port": self.port, "version": self.version, "handshake": self.handshake, "asked": self.asked,
                "bytes": self.application_bytes, "ended": self.ended.is_set(), "error": self.error}


class Counting(servers.Server):
    def _accept(self):
        self.listener.listen(BACKLOG)
        while True:
            try:
                sock, address = self.listener.accept()
            except OSError:
                return
            connection = Connection(sock, address)
            self.connections.append(connection)
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _shake_hands(self, connection):
        """Acknowledges at once: clients that send in small pieces would wait 40 ms for it, beside which nothing is slow."""
        sock = connection.sock = self.context.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
        sock.settimeout(0)
        while True:
            try:
                sock.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                if not select.select([sock], [], [], servers.IDLE_LIMIT)[0]:
                    raise TimeoutError("timed out") from None
        sock.settimeout(servers.IDLE_LIMIT)
        connection.version = sock.version()
        connection.handshake = True


def reset(connection):
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError("the server ends it")


def start(spec):
    serve, before = SERVE[spec["serve"]]
    serve = reset if spec.get("resets") else serve
    return Counting(spec["chain"], spec["key"], serve, before, spec["family"], spec["tls"], delay=0)


def main():
    by_port = {server.port: server for server in map(start, json.loads(sys.argv[1]))}
    print(json.dumps(list(by_port)), flush=True)
    for line in sys.stdin:
        print(json.dumps([connection.seen() for connection in list(by_port[int(line)].connections)]), flush=True)


main()
