"""Holds its connections' locks in the kernel: `client_hostile.py PORT CA COUNT`.

Each connection's send stops in a page fault that this process serves itself, before it verifies its peer: so whoever would end the
connection has to wait for it. Says `held` once all have verified; `unable WHY` if this machine does not let it. A line on
standard input lets all go, with what the handshake and a request were to send; then it says `ended N WHY` or `served N`. The end of
standard input ends it.
"""
import ctypes
import fcntl
import mmap
import os
import platform
import select
import socket
import ssl
import struct
import sys
import threading

port, ca, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
USERFAULTFD = {"x86_64": 323, "aarch64": 282}
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03
MISSING = 1
SIZE = mmap.PAGESIZE
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
context = ssl.create_default_context(cafile=ca)


def faults_open():
    fd = ctypes.CDLL(None, use_errno=True).syscall(USERFAULTFD[platform.machine()], os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        print("unable", os.strerror(ctypes.get_errno()), flush=True)
        sys.exit(1)
    fcntl.ioctl(fd, UFFDIO_API, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))
    return fd


class Held:
    def __init__(self, faults):
        self.faults = faults
        self.page = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        fcntl.ioctl(faults, UFFDIO_REGISTER, bytearray(struct.pack("QQQQ", self.address, SIZE, MISSING, 0)))
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def step(self):
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def hello(self):
        """Until the server's certificate is there, unread by the library: of TLS 1.3 it is in one flight."""
        self.step()
        self.sock.sendall(self.outgoing.read())
        self.sock.settimeout(None)
        flight = b""
        while len(flight) < 1500:
            flight += self.sock.recv(65536)
            if not select.select([self.sock], [], [], 0.3)[0]:
                break
        self.flight = flight

    def hold(self):
        def send():
            try:
                self.sock.send(memoryview(self.page))
            except OSError:
                pass
        self.thread = threading.Thread(target=send, daemon=True)
        self.thread.start()
        if not select.select([self.faults], [], [], 30)[0]:
            sys.exit("no fault")
        os.read(self.faults, 32)

    def verify(self):
        self.incoming.write(self.flight)
        if not self.step():
            sys.exit("the handshake has not ended")
        self.tls.write(REQUEST)

    def let_go(self):
        data = self.outgoing.read().ljust(SIZE, b"\0")[:SIZE]
        keep = ctypes.create_string_buffer(data, SIZE)
        fcntl.ioctl(self.faults, UFFDIO_COPY, bytearray(struct.pack("QQQQq", self.address, ctypes.addressof(keep), SIZE, 0, 0)))

    def ended(self):
        self.thread.join()
        self.sock.settimeout(60)
        try:
            while True:
                data = self.sock.recv(65536)
                if not data:
                    return "closed"
                self.incoming.write(data)
        except OSError as error:
            return type(error).__name__


def main():
    faults = faults_open()
    every = [Held(faults) for _ in range(count)]
    for held in every:
        held.hello()        # each in its turn: a verification is of the connection that was read last
        held.hold()
        held.verify()
    print("held", flush=True)
    if not sys.stdin.readline():
        os._exit(0)
    for held in every:
        held.let_go()
    for number, held in enumerate(every):
        print("ended", number, held.ended(), flush=True)
    sys.stdin.read()
    os._exit(0)


main()
