"""A Debian root that runs as a container would: mount (an overlay), pid, network, UTS, IPC and cgroup namespaces of its own,
and a cgroup with a container's name. Its first process maps both libraries and waits; clients are started beside it.
"""
import os

from agent import descendants
from cgroups import Cgroups
from clients import HERE, PYTHON
from host import check, wait_for
from namespaces import Namespace

INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
UNSHARE = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "--propagation", "private"]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
START_LIMIT = 30


class Container:
    """Started at once. To clients it is what Host is: start_client(). serve() starts servers in its network."""

    def __init__(self, host, root, number, paths=()):
        """number: the container's, of which its cgroup's name is made; paths: of the host, that it sees."""
        self.host, self.child, self.cgroups = host, None, None
        self.id = f"{number:064x}"
        self.network = Namespace()
        try:
            self.cgroups = Cgroups(host)
            self.enter_cgroup = self.cgroups.inside(f"/tlswarden-libraries-{number}/docker-{self.id}.scope")
            self.child = host.start([*self.enter_cgroup, *self.network.inside, *UNSHARE, PYTHON, INSIDE, root,
                                     host.temporary("container"), HERE, *paths], env=ENVIRONMENT)
            wait_for("the container", START_LIMIT, lambda: "ready" in self.child.output or self.child.ended)
            check("ready" in self.child.output, f"there is no such container\n{self.child.describe()}")
        except BaseException:
            self.close()
            raise
        self.pid = descendants(self.child.pid)[-1]

    def start_client(self, args, stdin=None, env=None, before=()):
        enter = ["nsenter", "--target", self.pid, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--"]
        return self.host.start([*before, *self.enter_cgroup, *enter, *args], stdin, {**ENVIRONMENT, **(env or {})})

    def serve(self, make):
        return self.network.call(make)

    def describe(self):
        return f"container of process {self.pid}\n{self.child.describe()}"

    def close(self):
        if self.child:
            self.child.end()
        if self.cgroups:
            self.cgroups.close()
        self.network.close()
