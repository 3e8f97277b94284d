"""When the machine itself stood still: a virtual one is paused now and then, for as long as its host likes.

What must happen within a time cannot, then, and nobody who runs on it can do anything about that. So one process for each
processor, with a priority above all that is tested, sleeps for a moment, and writes down each time that it woke much too late. As a
program: `stalls.py`, which prints `FROM TO` (seconds, CLOCK_REALTIME) for each until it is ended.
"""
import os
import sys
import time

import clients

SLEEP = 0.01
LATE = 0.02     # beyond that: it stood still


class Stalls:
    def __init__(self, host):
        self.child = host.start([clients.PYTHON, os.path.join(clients.HERE, "stalls.py")])

    def seconds(self, begin, end):
        """Of that time, in which some processor stood still."""
        spans = sorted(tuple(map(float, line.split())) for line in self.child.output.splitlines() if len(line.split()) == 2)
        total, reached = 0.0, begin
        for first, last in spans:
            first, last = max(first, reached), min(last, end)
            if last > first:
                total += last - first
                reached = last
        return total


def watch(processor):
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    parent, before = os.getppid(), time.time()
    while os.getppid() == parent:
        time.sleep(SLEEP)
        now = time.time()
        if now - before > SLEEP + LATE:
            os.write(1, f"{before + SLEEP:.6f} {now:.6f}\n".encode())
        before = now


def main():
    *others, last = sorted(os.sched_getaffinity(0))
    for processor in others:
        if not os.fork():
            watch(processor)
            return
    watch(last)


if __name__ == "__main__":
    sys.exit(main())
