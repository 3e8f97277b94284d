"""Connections that are over before their verdict: `client_abuse.py KIND PORT CA COUNT`.

`dead`: the peer resets them after it has shown its certificate; only then is it verified. `quick`: they are reset by the client itself
as soon as it has verified. Each asks for a name of its own, so that no verdict on an earlier one is known. Says `done` when all
have been verified, and goes at the end of standard input.
"""
import os
import select
import socket
import ssl
import struct
import sys

kind, port, ca, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
ROOM = 65536
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
kept = []


def flight(sock):
    """All that comes until there is nothing for a while."""
    data = b""
    while select.select([sock], [], [], 0.1 if data else 30)[0]:
        try:
            part = sock.recv(ROOM)
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    return data


for number in range(count):
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = "localhost" if kind == "dead" else f"n{number}.example.org"
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        sock.sendall(outgoing.read())
    incoming.write(flight(sock))
    if kind == "dead":
        poll = select.poll()
        poll.register(sock, 0)
        poll.poll(30000)        # until it is reset
        kept.append(sock)
    try:
        tls.do_handshake()
    except ssl.SSLError:
        pass
    if kind == "quick":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
print("done", flush=True)
sys.stdin.read()
os._exit(0)
