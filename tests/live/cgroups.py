"""Cgroups of v2 for processes under test: made below the root, and removed again with the mount that shows them.

v2 is there beside v1 too, without controllers; a second mount of it is the same tree, so what is made here is what
/proc/PID/cgroup says. Only what was made is removed.
"""
import os
import subprocess

from host import Unable, check, wait_for

ENTER = 'echo $$ >"$0" && exec "$@"'
EMPTY_LIMIT = 20    # seconds until the last process of a cgroup has gone


class Cgroups:
    def __init__(self, host):
        self.directory = host.temporary("cgroup2")
        self.made = []
        mounted = subprocess.run(["mount", "-t", "cgroup2", "none", self.directory], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, check=False)
        if mounted.returncode != 0:
            raise Unable(f"no cgroup v2 can be mounted: {mounted.stdout.decode().strip()}")

    def inside(self, path):
        """What executes a command inside that cgroup, which is made if it is not there."""
        at = self.directory
        for name in path.strip("/").split("/"):
            at = os.path.join(at, name)
            if not os.path.isdir(at):
                os.mkdir(at)
                self.made.append(at)
        return ["sh", "-c", ENTER, os.path.join(at, "cgroup.procs")]

    def describe(self):
        lines = []
        for path in self.made:
            with open(os.path.join(path, "cgroup.procs"), encoding="ascii") as file:
                lines.append(f"{path}: {file.read().split()}")
        return "\n".join(lines)

    def close(self):
        def empty(path):
            try:
                os.rmdir(path)
            except OSError:
                return False
            return True
        while self.made:
            path = self.made.pop()
            wait_for(f"{path}: empty", EMPTY_LIMIT, lambda path=path: empty(path))
        unmounted = subprocess.run(["umount", self.directory], check=False)
        check(unmounted.returncode == 0, f"{self.directory} is still mounted")
