"""The real clients: how each is told to verify or not to, and how each says that it was or was not served.

`verify_mode` is what the library is asked for when the client verifies: node and nginx ask OpenSSL for SSL_VERIFY_NONE and
look at the result themselves, which to the agent is a verification that nobody wanted (`good_result`). `how` is how the
agent can know the socket: by the file descriptor of the library's own socket BIO or pull function, or by the thread's last
received segment.
"""
import os
import re
import socket

import servers
from host import CHILD_LIMIT, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
BODY = servers.BODY.decode()
OPENSSL = r"/libcrypto\.so\.3[\d.]*$"
GNUTLS = r"/libgnutls\.so\.30[\d.]*$"


class Run:
    """One run of a client: wait() gives whether it was served; code is its exit code."""

    def __init__(self, child, served, also=()):
        self.child, self.is_served, self.also = child, served, also
        self.code = None

    def wait(self, timeout=CHILD_LIMIT):
        try:
            self.code = self.child.wait(timeout)
        finally:
            for other in self.also:
                other.end()
        return self.code == 0 and self.is_served(self.child.output)

    def describe(self):
        return "\n".join(child.describe() for child in (self.child, *self.also))


class Client:
    name = None
    executable = None           # basename in events
    library = "openssl"
    library_path = OPENSSL
    verify_mode = "peer"
    how = ("fd", "thread", "hello")
    sni = "localhost"
    serve = staticmethod(servers.serve_http)
    before = None
    stdin = None
    good_result = "ok"
    off_results = ("off", "failed-ignored")

    def server(self, fixtures, name, **options):
        return servers.Server(fixtures.path(name + ".chain.pem"), fixtures.path(name + ".key"), serve=self.serve,
                              before=type(self).before, **options)

    def start(self, host, server, ca, before=()):
        """ca: the bundle it trusts, or None: it must not verify. before: what executes it."""
        environment = {}
        args = self.command(server, ca, environment)
        return Run(host.start_client(args, self.stdin, environment, before), self.served)

    def command(self, server, ca, environment):
        raise NotImplementedError

    def served(self, output):
        return BODY in output

    def holder(self):
        """A command that keeps the client's library mapped for a while, so that the agent may find it."""
        return [PYTHON, "-c", "import ctypes, time; ctypes.CDLL('libgnutls.so.30'); import ssl; time.sleep(60)"]


class Curl(Client):
    name, executable, how = "curl", "curl", ("thread", "hello")

    def command(self, server, ca, environment):
        return ["curl", "-sS", "-m", "15", *(["--cacert", ca] if ca else ["-k"]), f"https://localhost:{server.port}/"]


class GnutlsClient(Client):
    # GnuTLS is asked to verify, or not; whether a failure was ignored is not to be seen there.
    library, library_path, verify_mode = "gnutls", GNUTLS, "peer"
    off_results = ("off", "failed")


class Wget(GnutlsClient):
    name, executable, how = "wget", "wget", ("fd",)

    def command(self, server, ca, environment):
        # GnuTLS then says which check failed, of what is else only "not trusted"; shown if the test fails.
        environment["GNUTLS_DEBUG_LEVEL"] = "3"
        return ["wget", "-nv", "--tries=1", "--timeout=15", "--no-config", "--no-hsts", "-O", "-",
                f"--ca-certificate={ca}" if ca else "--no-check-certificate", f"https://localhost:{server.port}/"]


class PythonBlocking(Client):
    name, executable, how = "python-ssl", os.path.basename(os.path.realpath(PYTHON)), ("fd",)
    program = "client_blocking.py"

    def command(self, server, ca, environment):
        return [PYTHON, os.path.join(HERE, self.program), str(server.port), ca or "-"]


class PythonAsyncio(PythonBlocking):
    name, how, program = "python-asyncio", ("thread", "hello"), "client_asyncio.py"


class Node(Client):
    # Debian's node uses the shared library, other builds have OpenSSL inside.
    name, executable, library_path = "node", "node", r"/(node|libnode\.so\.\d+|libcrypto\.so\.3[\d.]*)$"
    verify_mode, good_result, how = "none", "off", ("thread", "hello")

    def command(self, server, ca, environment):
        if ca:
            environment["NODE_EXTRA_CA_CERTS"] = ca
        return ["node", os.path.join(HERE, "client_node.js"), str(server.port), str(server.family),
                "verify" if ca else "off"]

    def holder(self):
        return ["node", "-e", "setTimeout(() => {}, 60000)"]


class Git(GnutlsClient):
    name, executable, how = "git", "git-remote-http", ("thread", "hello", "fd")

    def command(self, server, ca, environment):
        environment.update({"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"})
        environment.update({"GIT_SSL_CAINFO": ca} if ca else {"GIT_SSL_NO_VERIFY": "1"})
        return ["git", "ls-remote", f"https://localhost:{server.port}/repo.git"]

    def served(self, output):
        return "1234567890123456789012345678901234567890\trefs/heads/main" in output


class SClient(Client):
    name, executable, how = "s_client", "openssl", ("fd",)
    stdin = "GET / HTTP/1.0\r\n\r\n"

    def command(self, server, ca, environment):
        return ["openssl", "s_client", "-quiet", "-connect", f"localhost:{server.port}", "-servername", "localhost",
                *(["-verify_return_error", "-verify_hostname", "localhost", "-CAfile", ca] if ca else [])]


class GnutlsCli(GnutlsClient):
    name, executable, how = "gnutls-cli", "gnutls-cli", ("fd",)
    stdin = "GET / HTTP/1.0\r\n\r\n"

    def command(self, server, ca, environment):
        return ["gnutls-cli", "-p", str(server.port), *([f"--x509cafile={ca}"] if ca else ["--insecure"]), "localhost"]


class Kdig(GnutlsClient):
    # Without a CA it has a function of its own that takes any certificate.
    name, executable, how = "kdig", "kdig", ("fd",)
    off_results = ("custom",)
    serve = staticmethod(servers.serve_dns)

    def command(self, server, ca, environment):
        address = servers.LOOPBACK[server.family][1]
        return ["kdig", f"@{address}", "-p", str(server.port), "+tls", "+retry=0", "+time=10",
                *([f"+tls-ca={ca}", "+tls-hostname=localhost"] if ca else ["+tls-sni=localhost"]),
                "+short", "example.com", "A"]

    def served(self, output):
        return "192.0.2.53" in output


class Psql(Client):
    name, executable = "psql", "psql"
    serve = staticmethod(servers.serve_postgres)
    before = staticmethod(servers.postgres_ask_tls)

    def command(self, server, ca, environment):
        how = f"sslmode=verify-full sslrootcert={ca}" if ca else "sslmode=require"
        return ["psql", "-XAtc", "select 1",
                f"host=localhost port={server.port} user=test dbname=test gssencmode=disable {how}"]

    def served(self, output):
        return output.strip() == "1"


class Nginx(Client):
    """Proxies to a TLS upstream; asked over a Unix socket by curl, whose exit code says what nginx answered."""
    name, executable, verify_mode, good_result, how = "nginx", "nginx", "none", "off", ("fd", "thread", "hello")

    def start(self, host, server, ca):
        directory = host.temporary("nginx")
        verify = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};" if ca else "proxy_ssl_verify off;"
        location = f"""location / {{
            proxy_pass https://localhost:{server.port};
            proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_session_reuse off; {verify}
        }}"""
        nginx = start_nginx(host, directory, f"listen unix:{directory}/http.sock;", location)
        curl = host.start_client(["curl", "-sS", "-f", "-m", "15", "--unix-socket", f"{directory}/http.sock",
                                  "http://proxy/"])
        return Run(curl, self.served, also=(nginx,))


def start_nginx(host, directory, listen, location):
    """nginx in the foreground with everything in a directory of its own; returns when its socket is there."""
    config = os.path.join(directory, "nginx.conf")
    temps = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"""daemon off; worker_processes 1; user root; pid {directory}/pid; error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off; {temps}
    server {{
        {listen}
        {location}
    }}
}}
""")
    nginx = host.start_client(["nginx", "-e", "stderr", "-p", directory, "-c", config])
    wait_for("nginx", 30, lambda: "start worker process " in nginx.output or nginx.process.poll() is not None)
    return nginx


def free_port():
    """A port that is free now on 127.0.0.1 and ::1, for a server that cannot let the system choose."""
    for _ in range(64):
        with socket.socket(socket.AF_INET) as first, socket.socket(socket.AF_INET6) as second:
            first.bind(("127.0.0.1", 0))
            try:
                second.bind(("::1", first.getsockname()[1]))
                return first.getsockname()[1]
            except OSError:
                continue
    raise OSError("no port that is free on both 127.0.0.1 and ::1")


ALL = [Curl(), Wget(), PythonBlocking(), PythonAsyncio(), Node(), Git(), SClient(), GnutlsCli(), Kdig(), Psql(), Nginx()]
BY_NAME = {client.name: client for client in ALL}


def path_matches(pattern, path):
    return bool(path) and re.search(pattern, path) is not None
