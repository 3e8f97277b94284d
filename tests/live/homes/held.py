#!/usr/bin/python3
"""held.py PROGRAM ARGS: starts a program that would end soon, or speak to strangers, and stops it at its first instruction: its file is
mapped and nothing of it has run. Prints its pid. It ends with this process."""
import ctypes
import os
import signal
import sys

PTRACE_TRACEME, PTRACE_SETOPTIONS, PTRACE_O_EXITKILL = 0, 0x4200, 0x100000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
child = os.fork()
if child == 0:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(child, 0)
if not os.WIFSTOPPED(status) or libc.ptrace(PTRACE_SETOPTIONS, child, None, PTRACE_O_EXITKILL) != 0:
    sys.exit(f"{sys.argv[1]} was not stopped: {status}, {os.strerror(ctypes.get_errno())}")
print(child, flush=True)
signal.pause()
