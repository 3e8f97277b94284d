"""Starts programs as fast as it can: `launch.py PLAN [one-by-one]`, a file of JSON: [{argv, environment}, …].

Prints one line of JSON when all have ended: what they wrote, and of each, in the plan's order, its pid, when it was started in
µs since 1970, and its exit code. Whoever started this ends it with its session if one hangs.
"""
import json
import os
import sys
import tempfile
import time

PAUSE = 0.2     # seconds, one by one: whoever watches has caught up
one_by_one = sys.argv[2:] == ["one-by-one"]


def reap():
    pid, status = os.wait()
    codes[pid] = os.waitstatus_to_exitcode(status)


with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
with tempfile.TemporaryFile("a+") as output:
    actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
    started, codes = [], {}
    for entry in plan:
        at = time.time_ns() // 1000
        started.append((os.posix_spawn(entry["argv"][0], entry["argv"], entry["environment"], file_actions=actions), at))
        if one_by_one:
            reap()
            time.sleep(PAUSE)
    while len(codes) < len(started):
        reap()
    output.seek(0)
    print(json.dumps({"output": output.read(),
                      "processes": [{"pid": pid, "started": at, "code": codes[pid]} for pid, at in started]}))
