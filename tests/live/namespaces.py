"""Network namespaces without a name and without a way out: they live as long as the runner holds their descriptor.

Nothing runs in one but what a test starts there; a server's sockets can be in one without any process being.
"""
import ctypes
import os
import subprocess
import threading

from host import check

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def in_thread(function):
    """Runs it in a thread of its own, whose namespaces are nobody else's: its result, or its exception."""
    result = []

    def run():
        try:
            result.append((function(), None))
        except BaseException as error:
            result.append((None, error))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def entered(call, *arguments):
    if call(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """With loopback only, until link() connects it to another."""

    def __init__(self, fd=None):
        def make():
            entered(libc.unshare, CLONE_NEWNET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.fd = in_thread(make) if fd is None else fd
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.inside = ["nsenter", f"--net={self.path}", "--"]
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        result = subprocess.run([*self.inside, "ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        check(result.returncode == 0, f"ip {' '.join(words)}: {result.stdout.decode()}")

    def call(self, function):
        """What it opens belongs to this namespace, and so do the threads that it starts."""
        def run():
            entered(libc.setns, self.fd, CLONE_NEWNET)
            return function()
        return in_thread(run)

    def link(self, other, address, other_address):
        """A cable to the other one."""
        self.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other.path)
        for side, ip in ((self, address), (other, other_address)):
            side.ip("address", "add", f"{ip}/24", "dev", "cable")
            side.ip("link", "set", "cable", "up")

    def describe(self):
        return f"network namespace {os.fstat(self.fd).st_ino}"

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
