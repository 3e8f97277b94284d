"""Many processes of one connection each: `client_many_processes.py PLAN`; PLAN is JSON: {"good": argv, "condemned": argv or
null, "count": of either, "environment", "stdin": text or null, "served": what a client that was served prints}.

They run in turns, one at a time; who started this ends it with its session if one hangs. Prints the same as
client_many_blocking.py; seconds are those of the whole process.
"""
import json
import subprocess
import sys
import time


def run(plan, args):
    """How long it took if it was served; None, and why it was not."""
    begin = time.perf_counter()
    stdin = subprocess.PIPE if plan["stdin"] else subprocess.DEVNULL
    process = subprocess.Popen(args, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=plan["environment"],
                               bufsize=0)
    try:
        if plan["stdin"]:
            # Left open: some clients end the connection at the end of their input.
            process.stdin.write(plan["stdin"].encode())
    except BrokenPipeError:     # it has ended already
        pass
    output = process.stdout.read().decode("utf-8", "replace")
    code = process.wait()
    seconds = time.perf_counter() - begin
    process.stdout.close()
    if process.stdin:
        process.stdin.close()
    return (None, f"exit {code}: {output}") if code or plan["served"] not in output else (seconds, None)


def main(plan):
    result = {"good": [], "failed": [], "served": 0}
    for _ in range(plan["count"]):
        if plan["condemned"]:
            result["served"] += run(plan, plan["condemned"])[0] is not None
        seconds, why = run(plan, plan["good"])
        if why:
            result["failed"].append(why)
        else:
            result["good"].append(seconds)
    print(json.dumps(result))


main(json.loads(sys.argv[1]))
