"""Connections that are made at once, ask, and stay: `client_hold.py PORT CA COUNT [wait|upload BYTES]`.

Each connection is a thread. It says `connected N`, with `wait` only goes on to TLS after a line on standard input, and asks:
`served N`, or `failed N WHY`. Then it says `ended N` when its connection ends, and asks again for each further line: `again N`
or `refused N WHY`. With `upload` the first request has a body, and the answer that counts is its digest: `whole N`.
The end of standard input ends it.
"""
import hashlib
import os
import socket
import ssl
import sys
import threading

port, ca, count, how = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:5]
size = int(sys.argv[5]) if len(sys.argv) > 5 else 0
LIMIT = 55              # seconds for an answer
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
context = ssl.create_default_context(cafile=ca)
printing = threading.Lock()
told = [threading.Event() for _ in range(2)]    # the first line of standard input, the second one


def say(*words):
    with printing:
        print(*words, flush=True)


def ask(tls, request=REQUEST):
    tls.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"\n"):
        part = tls.recv(4096)
        if not part:
            raise ConnectionError("the server closed the connection")
        answer += part
    return answer


def upload():
    body = bytes(range(256)) * (size // 256)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body, hashlib.sha256(body).hexdigest().encode()


def watch(tls, number):
    """Tells when it ends; asks again when told."""
    asked = False
    while True:
        tls.settimeout(0.05)
        try:
            if not tls.recv(4096):
                raise EOFError
        except TimeoutError:
            pass
        except (OSError, EOFError) as error:
            say("ended", number, type(error).__name__)
            return
        if told[1].is_set() and not asked:
            asked = True
            tls.settimeout(LIMIT)
            try:
                ask(tls)
                say("again", number)
            except OSError as error:
                say("refused", number, type(error).__name__)
                return


def connect(number):
    try:
        raw = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        say("connected", number)
        if how == ["wait"]:
            told[0].wait()
        else:
            told[0].set()
        tls = context.wrap_socket(raw, server_hostname="localhost")
        if how == ["upload"]:
            request, digest = upload()
            if digest in ask(tls, request):
                say("whole", number)
        else:
            ask(tls)
        say("served", number)
    except OSError as error:
        say("failed", number, type(error).__name__, error)
        return
    watch(tls, number)


for index in range(count):
    threading.Thread(target=connect, args=(index,), daemon=True).start()
for _ in sys.stdin:
    if how == ["wait"] and not told[0].is_set():
        told[0].set()
    else:
        told[1].set()
os._exit(0)
