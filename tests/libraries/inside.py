"""The first process of a container: `inside.py ROOT WORK PATH…`; started in namespaces of its own (see container.py).

Mounts an overlay of ROOT, which stays clean, with the host's PATHs in it at the same places, read-only, makes it the whole
file system, and becomes a program of that root which maps its OpenSSL and its GnuTLS and waits.
"""
import ctypes
import os
import subprocess
import sys

MNT_DETACH = 2
DEVICES = ("null", "zero", "random", "urandom", "tty")
WAIT = """
import ctypes, os, signal, ssl
ctypes.CDLL("libgnutls.so.30")
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""
libc = ctypes.CDLL(None, use_errno=True)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def called(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(root, work, paths):
    mount("-t", "tmpfs", "container", work)
    upper, inner, merged = (os.path.join(work, name) for name in ("upper", "inner", "merged"))
    for path in (upper, inner, merged):
        os.mkdir(path)
    mount("-t", "overlay", "container", "-o", f"lowerdir={root},upperdir={upper},workdir={inner}", merged)
    for path in paths:
        os.makedirs(merged + path)
        mount("--bind", "-o", "ro", path, merged + path)
    mount("-t", "proc", "proc", merged + "/proc")
    for name in DEVICES:
        open(f"{merged}/dev/{name}", "w", encoding="ascii").close()
        mount("--bind", f"/dev/{name}", f"{merged}/dev/{name}")
    os.chdir(merged)
    called(libc.pivot_root, b".", b".")
    called(libc.umount2, b".", MNT_DETACH)
    os.chdir("/")
    os.execv("/usr/bin/python3", ["python3", "-c", WAIT])


main(sys.argv[1], sys.argv[2], sys.argv[3:])
