"""A TCP peer that takes its first bytes one by one: `tiny_window.py ADDRESS CHAIN KEY WINDOW`.

It answers for every port of ADDRESS behind a tun device, in the network namespace it is started in. The window that it offers at first is
WINDOW bytes, so that the kernel sends a hello in pieces; then it is wide. Behind that is a TLS server: it prints `ready`, and
for each connection `handshake` and `bytes N`, application bytes that came. Ends at the end of its input.
"""
import fcntl
import os
import select
import socket
import ssl
import struct
import subprocess
import sys

address, chain, key, window = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
WIDE = 60000
NARROW_BYTES = 64       # so many bytes come through the narrow window
MSS = 1200
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Connection:
    def __init__(self, tun, source, target, ports, sequence):
        self.tun, self.source, self.target, self.ports = tun, source, target, ports
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.begin = self.expected = sequence + 1 & 0xffffffff
        self.sequence, self.done, self.bytes = 1000, False, 0
        self.send(SYN | ACK, options=struct.pack("!BBH", 2, 4, MSS))
        self.sequence += 1

    def send(self, flags, data=b"", options=b""):
        narrow = (self.expected - self.begin) & 0xffffffff < NARROW_BYTES
        head = struct.pack("!HHIIBBHHH", self.ports[1], self.ports[0], self.sequence, self.expected, (5 + len(options) // 4) << 4,
                           flags, window if narrow else WIDE, 0, 0) + options
        pseudo = self.target + self.source + struct.pack("!BBH", 0, 6, len(head) + len(data))
        total = checksum(pseudo + head + data)
        tcp = head[:16] + struct.pack("!H", total) + head[18:] + data
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, self.target, self.source)
        os.write(self.tun, ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp)

    def take(self, sequence, flags, data):
        if flags & RST:
            print("reset", flush=True)
        if not data and not flags & FIN:
            return
        if sequence == self.expected and data:
            self.expected = sequence + len(data) & 0xffffffff
            self.incoming.write(data)
            self.talk()
        self.send(ACK)

    def talk(self):
        try:
            if not self.done:
                self.tls.do_handshake()
                self.done = True
                print("handshake", flush=True)
            while data := self.tls.read(65536):
                self.bytes += len(data)
                print("bytes", self.bytes, flush=True)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            print("error", error, flush=True)
        data = self.outgoing.read()
        for at in range(0, len(data), MSS):
            part = data[at:at + MSS]
            self.send(ACK | PSH, part)
            self.sequence += len(part)


def main():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tiny", IFF_TUN | IFF_NO_PI))
    for words in (["link", "set", "tiny", "up"], ["address", "add", "192.0.2.9/32", "dev", "tiny"],
                  ["route", "add", address, "dev", "tiny", "src", "192.0.2.9"]):
        subprocess.run(["ip", *words], check=True)
    connections = {}
    print("ready", flush=True)
    while True:
        readable = select.select([tun, sys.stdin], [], [])[0]
        if sys.stdin in readable:
            return
        packet = os.read(tun, 65536)
        if packet[0] >> 4 != 4 or packet[9] != 6 or packet[16:20] != socket.inet_aton(address):
            continue
        tcp = packet[(packet[0] & 15) * 4:]
        source, target = packet[12:16], packet[16:20]
        ports, sequence, flags = struct.unpack("!HH", tcp[:4]), struct.unpack("!I", tcp[4:8])[0], tcp[13]
        if flags & SYN:
            connections[ports] = Connection(tun, source, target, ports, sequence)
        elif ports in connections:
            connections[ports].take(sequence, flags, tcp[(tcp[12] >> 4) * 4:])


main()
