"""Many connections of one process, one after the other: `client_many_blocking.py CA GOOD CONDEMNED COUNT`.

GOOD and CONDEMNED are ports; CONDEMNED 0: none there. COUNT to either, in turns. Prints {"good": seconds of each that was
answered, "failed": why others were not, "served": how many the condemned server answered}.
"""
import json
import socket
import ssl
import sys
import time

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
BODY = b"hello from the test server"
LIMIT = 30


def ask(context, port):
    with socket.create_connection(("localhost", port), LIMIT) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(REQUEST)
        answer = b""
        while data := sock.recv(4096):
            answer += data
    if BODY not in answer:
        raise ConnectionError(f"answer: {answer!r}")


def main(ca, good, condemned, count):
    context = ssl.create_default_context(cafile=ca)
    result = {"good": [], "failed": [], "served": 0}
    for _ in range(count):
        try:
            if condemned:
                ask(context, condemned)
                result["served"] += 1
        except OSError:
            pass
        begin = time.perf_counter()
        try:
            ask(context, good)
            result["good"].append(time.perf_counter() - begin)
        except OSError as error:
            result["failed"].append(repr(error))
    print(json.dumps(result))


main(sys.argv[1], *map(int, sys.argv[2:]))
