"""Fifty libraries at once: each gets its probes, one of them is used, and the agent's end takes them all away in time."""
import os
import shutil
import subprocess
import time

import clients
from agent import get
from expect import check_allowed, equal
from host import check, wait_for
from test_life import bpf_objects

OPENSSL_COPIES = 44
GNUTLS_COPIES = 6
ATTACH_LIMIT = 120      # seconds, only so that a test that fails does not hang
STOP_LIMIT = 2          # seconds that stopping may take with that many, where the kernel has multi links

HOLDER = """
import mmap, sys, time
kept = []
for path in open(sys.argv[1]).read().split():
    with open(path, "rb") as file:
        kept.append(mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC))
print("mapped", flush=True)
time.sleep(600)
"""


def linked(program, name):
    """Where the library that this program is linked with lies, and its name without links."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    (path,) = [line.split()[2] for line in listed.splitlines() if line.strip().startswith(name)]
    return path


def copies(directory):
    """Copies of this machine's libraries, each pair and each GnuTLS in a directory of its own: (the files that verify, their
    companions)."""
    verifying, companions = [], []
    crypto, ssl, gnutls = linked("/usr/bin/openssl", "libcrypto.so"), linked("/usr/bin/openssl", "libssl.so"), \
        linked("/usr/bin/gnutls-cli", "libgnutls.so")
    for number in range(OPENSSL_COPIES + GNUTLS_COPIES):
        place = os.path.join(directory, str(number))
        os.mkdir(place)
        if number < OPENSSL_COPIES:
            companions.append(shutil.copy(ssl, place))
        verifying.append(shutil.copy(crypto if number < OPENSSL_COPIES else gnutls, place))
    return verifying, companions


def held(pid, kind):
    """Ids of the BPF objects of a kind that a process has descriptors of: other agents may run beside this one."""
    ids = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii", errors="replace") as file:
                ids.update(int(line.split()[1]) for line in file if line.startswith(f"{kind}_id:"))
        except FileNotFoundError:
            continue
    return ids


def has_multi_links():
    return tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 6)


def test_fifty_libraries(env):
    """… appear while the agent runs; a client with one of them is seen; stopping is quick and leaves nothing."""
    env.stop_agents()
    verifying, companions = copies(env.host.temporary("fifty"))
    listed = env.host.file("fifty.txt", "\n".join([*companions, *verifying]))
    agent = env.new_agent(name="fifty")
    begin = time.monotonic()
    holder = env.watch(env.host.start_client([clients.PYTHON, "-c", HOLDER, listed]))
    wanted = set(verifying)
    agent.wait("library-attached of all copies", lambda event: get(event, "event.action") == "library-attached"
               and get(event, "tlswarden.library.path") in wanted, ATTACH_LIMIT, count=len(wanted))
    attached = time.monotonic() - begin
    own = {kind: held(agent.child.pid, kind) for kind in ("prog", "link")}

    client = clients.PythonBlocking()
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    command = client.command(server, env.trusting, {})
    run = env.host.start_client(command, None, {"LD_LIBRARY_PATH": os.path.dirname(verifying[7])})
    check(env.watch(clients.Run(run, client.served)).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    equal(event, "tlswarden.library.path", verifying[7])
    check_allowed(event)

    check(len(own["link"]) >= 2 * len(wanted) or not has_multi_links(), f"only {len(own['link'])} links")
    begin = time.monotonic()
    check(agent.stop() == 0, f"the agent's exit code is {agent.child.process.returncode}")
    stopped = time.monotonic() - begin
    holder.end()
    print(f"       {len(wanted)} libraries: {attached:.2f} s until the last had its probes, {len(own['link'])} links; "
          f"stopping took {stopped:.2f} s")
    check(stopped < STOP_LIMIT or not has_multi_links(), f"stopping took {stopped:.2f} s")
    for kind in own:
        wait_for(f"bpf {kind}s of the agent to go", 30, lambda kind=kind: not own[kind] & set(bpf_objects(kind)), 0.1)
