"""Clients that connect many times, mixed, to a server with a good chain and to one with a condemned chain.

From one process wherever the client can: curl --parallel, wget with many addresses, Python, node, nginx with a pool. git,
psql, gnutls-cli and kdig make one connection in a process: there the processes take turns. Each says how long each good
connection took, and how many the condemned server answered; a crowd without a condemned server (port 0) is for measuring.
"""
import json
import os
import subprocess

import clients
from host import check, wait_for

LIMIT = 240         # seconds for a whole crowd: far more than it takes on a busy machine
AT_ONCE = 100
POOL = 4            # connections that nginx keeps open: few, so that most of a crowd are new


class Outcome:
    """times: seconds of each good connection that was answered, or None: only the server knows. failed: why others were not.
    served: how many the condemned server answered, as the client saw it."""

    def __init__(self, times, failed, served):
        self.times, self.failed, self.served = times, failed, served


class Crowd:
    """serve: what the servers speak. each: every connection has a process of its own. waves: where many are
    open at once, the next ones begin when all of them have ended."""

    name = None
    serve = "http"
    each = False
    waves = False
    served = clients.BODY.strip()

    def at_once(self):
        return [str(AT_ONCE), *(["waves"] if self.waves else [])]

    def start(self, host, ca, good, condemned, count):
        """A child whose output read() takes."""
        raise NotImplementedError

    def read(self, child, good, condemned, count):
        lines = [line for line in child.output.splitlines() if line.startswith('{"good"')]
        check(lines, f"{self.name}: no result\n{child.describe()}")
        result = json.loads(lines[-1])
        return Outcome(result["good"], result["failed"], result["served"])

    def run(self, host, ca, good, condemned, count):
        """good, condemned: ports on localhost; condemned 0: none."""
        child = self.start(host, ca, good, condemned, count)
        try:
            child.wait(LIMIT)
        finally:
            child.end()
        return self.read(child, good, condemned, count)


class Blocking(Crowd):
    name = "python"

    def start(self, host, ca, good, condemned, count):
        return host.start_client([clients.PYTHON, os.path.join(clients.HERE, "client_many_blocking.py"), ca, str(good),
                                  str(condemned), str(count)])


class Asyncio(Crowd):
    name = "asyncio"

    def start(self, host, ca, good, condemned, count):
        return host.start_client([clients.PYTHON, os.path.join(clients.HERE, "client_many_asyncio.py"), ca, str(good),
                                  str(condemned), str(count), *self.at_once()])


class Node(Crowd):
    name = "node"

    def start(self, host, ca, good, condemned, count):
        return host.start_client(["node", os.path.join(clients.HERE, "client_many_node.js"), str(good), str(condemned),
                                  str(count), *self.at_once()], env={"NODE_EXTRA_CA_CERTS": ca})


class Curl(Crowd):
    """Every address has its own connection; sessions are not resumed, for then nothing would be verified."""
    name = "curl"

    def start(self, host, ca, good, condemned, count):
        ports = [port for _ in range(count) for port in (condemned, good) if port]
        addresses = "".join(f'url = "https://localhost:{port}/"\noutput = "/dev/null"\n' for port in ports)
        directory = host.temporary("curl")
        config = os.path.join(directory, "config")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"""parallel
parallel-immediate
parallel-max = {AT_ONCE}
silent
stderr = "{directory}/errors"
http1.1
no-sessionid
max-time = 60
cacert = "{ca}"
header = "Connection: close"
write-out = "%{{http_code}} %{{time_total}} %{{url}}\\n"
{addresses}""")
        return host.start_client(["curl", "--disable", "--config", config])

    def read(self, child, good, condemned, count):
        times, served, failed = [], 0, []
        for line in child.output.splitlines():
            code, seconds, address = (line.split() + [""] * 3)[:3]
            if code == "200" and address.endswith(f":{good}/"):
                times.append(float(seconds))
            elif address.endswith(f":{good}/"):
                failed.append(line)
            else:
                served += code == "200"
        return Outcome(times, failed, served)


class Wget(Crowd):
    name = "wget"

    def start(self, host, ca, good, condemned, count):
        ports = [port for _ in range(count) for port in (condemned, good) if port]
        return host.start_client(["wget", "-nv", "--tries=1", "--timeout=60", "--no-config", "--no-hsts", "-O", "-",
                                  f"--ca-certificate={ca}", "--no-http-keep-alive",
                                  *(f"https://localhost:{port}/" for port in ports)])

    def read(self, child, good, condemned, count):
        def fetched(port):
            return child.output.count(f"URL:https://localhost:{port}/")
        missing = count - fetched(good)
        return Outcome(None, [child.describe()] * missing, fetched(condemned))


class Processes(Crowd):
    """A client of clients.py, a process for each connection."""

    each = True

    def __init__(self, name, serve="http", served=None):
        self.name, self.serve = name, serve
        self.client = clients.BY_NAME[name]
        self.served = served or Crowd.served

    def start(self, host, ca, good, condemned, count):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": host.directory, "LC_ALL": "C.UTF-8"}

        def command(port):
            return self.client.command(Place(port), ca, environment) if port else None
        plan = {"good": command(good), "condemned": command(condemned), "count": count, "environment": environment,
                "stdin": self.client.stdin, "served": self.served}
        return host.start_client([clients.PYTHON, os.path.join(clients.HERE, "client_many_processes.py"), json.dumps(plan)])


class Place:
    def __init__(self, port):
        self.port, self.family = port, 4


class Nginx(Crowd):
    """Both servers behind one worker; the good one by a pool of connections. Asked over Unix sockets, AT_ONCE at a time."""
    name = "nginx"

    def start(self, host, ca, good, condemned, count):
        directory = host.temporary("nginx-crowd")
        nginx = start_nginx(host, directory, ca, good, condemned or good)
        child = host.start_client([clients.PYTHON, os.path.join(clients.HERE, "client_many_asyncio.py"), "-",
                                   f"{directory}/good.sock", f"{directory}/condemned.sock" if condemned else "0",
                                   str(count), *self.at_once()])
        return Proxied(child, nginx, f"{directory}/errors")


class Proxied:
    """The child that asks, and nginx, which is ended with it. Its complaints go to a file: whoever read them from a pipe
    would be woken for each condemned connection, and the good ones would wait for that."""

    def __init__(self, child, nginx, errors):
        self.child, self.nginx, self.errors = child, nginx, errors

    @property
    def output(self):
        return self.child.output

    def wait(self, limit):
        return self.child.wait(limit)

    def end(self):
        self.child.end()
        self.nginx.end()

    def describe(self):
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return "\n".join([self.child.describe(), self.nginx.describe(), *file.readlines()[-20:]])


def start_nginx(host, directory, ca, good, condemned):
    temps = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))

    def side(name, pool):
        return f"""
    server {{
        listen unix:{directory}/{name}.sock backlog=1024;
        location / {{
            proxy_pass https://{name}; proxy_http_version 1.1; proxy_set_header Connection "{'' if pool else 'close'}";
        }}
    }}"""
    config = os.path.join(directory, "nginx.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"""daemon off; worker_processes 1; user root; pid {directory}/pid; error_log {directory}/errors error;
events {{ worker_connections 1024; }}
http {{
    access_log off; {temps}
    proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_session_reuse off; proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
    proxy_next_upstream off; proxy_connect_timeout 60s;
    upstream good {{ server 127.0.0.1:{good} max_fails=0; keepalive {POOL}; }}
    upstream condemned {{ server 127.0.0.1:{condemned} max_fails=0; }}
{side("good", True)}{side("condemned", False)}
}}
""")
    nginx = host.start_client(["nginx", "-e", f"{directory}/errors", "-p", directory, "-c", config])
    wait_for("nginx", 30, lambda: os.path.exists(f"{directory}/condemned.sock") and os.path.exists(f"{directory}/pid")
             and os.path.getsize(f"{directory}/pid") or nginx.ended)
    check(not nginx.ended, nginx.describe())
    return nginx


class Servers:
    """The counting servers, in a process of their own: report(port) gives what that server saw. close() ends them."""

    def __init__(self, host, specs):
        self.child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", clients.PYTHON, os.path.join(clients.HERE, "server_counting.py"),
             json.dumps(specs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.child.stdout.readline())

    def report(self, port):
        print(port, file=self.child.stdin, flush=True)
        return json.loads(self.child.stdout.readline())

    def settled(self, port, limit):
        """The same, once every connection has ended."""
        def seen():
            report = self.report(port)
            return (report,) if all(connection["ended"] for connection in report) else None
        return wait_for(f"end of all connections to port {port}", limit, seen, 0.05)[0]

    def describe(self):
        return "\n".join(f"server on port {port}: " + json.dumps(self.report(port)[:8]) for port in self.ports)

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


ALL = [Curl(), Wget(), Blocking(), Asyncio(), Node(), Nginx(), Processes("git", served="refs/heads/main"),
       Processes("psql", "postgres", "1"), Processes("gnutls-cli"), Processes("kdig", "dns", "192.0.2.53")]
BY_NAME = {crowd.name: crowd for crowd in ALL}
