"""Libraries that come and go: found wherever a process maps them, attached once a file, and left when nothing maps them.

RUNS: rounds of the last test, each with a library of its own that a short-lived process maps (20; `make test-libraries`
takes 1,000)."""
import os
import shutil
import subprocess
import tempfile
import time

import clients
from agent import get
from expect import check_allowed, equal
from host import check, wait_for
from test_attachments import linked

RUNS = int(os.environ.get("RUNS", "20"))
LIMIT = 30              # seconds, only so that a test that fails does not hang
OVERLAPPING = 10        # rounds whose libraries are left together
SETTLED = 2.5           # seconds in which what was left has gone
SPARE_FDS = 4           # descriptors that an agent may have more than before: looks that are under way
SPARE_KIB = 8192        # what its memory may have grown: allocators keep some
HERE = os.path.dirname(os.path.abspath(__file__))


class Places:
    """What a test makes of mounts and holders, undone in any case (env.watch)."""

    def __init__(self, env):
        self.env = env
        self.directory = env.host.temporary("places")
        self.program = os.path.join(self.directory, "holder")
        self.mounts, self.holders = [], []
        env.watch(self)
        build = env.host.run(["gcc", "-O1", "-o", self.program, os.path.join(HERE, "holder.c")])
        check(build.process.returncode == 0, f"the holder does not build: {build.output}")

    def copy(self, *name, pair=True, into=None):
        """A directory with a copy of this machine's OpenSSL, or GnuTLS: inodes of their own."""
        into = into or os.path.join(self.directory, *name)
        os.makedirs(into, exist_ok=True)
        for library in ("libcrypto.so", "libssl.so") if pair else ("libgnutls.so",):
            path = linked("/usr/bin/openssl" if pair else "/usr/bin/gnutls-cli", library)
            shutil.copy(path, into)
        return into

    def mount(self, *args):
        subprocess.run(["mount", *args], check=True)
        self.mounts.append(args[-1])
        return args[-1]

    def unmount(self, path):
        """True if it could be unmounted now."""
        if subprocess.run(["umount", path], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return False
        self.mounts.remove(path)
        return True

    def hold(self, *paths, before=()):
        """A process that maps those files, and has done so."""
        holder = subprocess.Popen([*before, self.program, *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        check(holder.stdout.readline() == b"mapped\n", f"not mapped: {paths}")
        return holder

    def leave(self, holder):
        holder.stdin.close()
        holder.wait(LIMIT)
        holder.stdout.close()
        self.holders.remove(holder)

    def describe(self):
        return f"mounts: {self.mounts}, holders: {[holder.args for holder in self.holders]}"

    def close(self):
        for holder in list(self.holders):
            holder.kill()
            self.leave(holder)
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], check=False)


def libraries(directory):
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if ".so" in name]


def events_of(agent, action, path, count=1, since=0):
    """Those about that library, once there are so many; fails if there are more."""
    def wanted(event):
        return get(event, "event.action") == action and get(event, "tlswarden.library.path") == path
    found = agent.wait(f"{action} of {path}", wanted, LIMIT, count=count, since=since)
    check(len(found) == count, f"{len(found)} times {action} of {path}")
    return found


def crypto_of(directory):
    return next(path for path in libraries(directory) if "libcrypto" in path)


def handshake(env, agent, directory, path=None):
    """A client with the libraries in that directory: its handshake is seen once, and by that file's probes."""
    client = clients.PythonBlocking()
    server = env.watch(client.server(env.fixtures, "good-leaf"))
    # Not in the clients' mount namespace: what is mounted here is not to be seen there.
    run = env.host.start(client.command(server, env.trusting, {}), env={**os.environ, "LD_LIBRARY_PATH": directory})
    check(env.watch(clients.Run(run, client.served)).wait(), "the client was not served")
    (event,) = agent.verifications(server.port)
    if path:
        equal(event, "tlswarden.library.path", path)
    check_allowed(event)


def test_after_silence_and_in_a_storm(env):
    """Twice each: the bell of the mappings has to ring again after it was stopped."""
    agent = env.new_agent(name="bell")
    places = Places(env)
    for number in range(2):
        time.sleep(1.5)     # nothing of ours happens: what comes next must ring
        silent = places.copy(f"silence-{number}")
        places.hold(*libraries(silent))
        events_of(agent, "library-attached", crypto_of(silent))
        storm = subprocess.Popen(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do /bin/true; i=$((i+1)); done"])
        try:
            time.sleep(0.5)
            stormy = places.copy(f"storm-{number}", pair=number == 0)
            places.hold(*libraries(stormy))
            events_of(agent, "library-attached", libraries(stormy)[0])
        finally:
            storm.kill()
            storm.wait()


def test_dlopen_in_a_running_process(env):
    agent = env.new_agent(name="dlopen")
    places = Places(env)
    directory = places.copy("late")
    program = ("import ctypes, sys, time\nfor line in sys.stdin:\n    kept = [ctypes.CDLL(path, ctypes.RTLD_GLOBAL) for path in line.split()]\n"
               "    print('open', flush=True)\n")
    runner = subprocess.Popen([clients.PYTHON, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        check(not agent.attached(crypto_of(directory)), "attached before it was mapped")
        runner.stdin.write(" ".join(libraries(directory)) + "\n")
        runner.stdin.flush()
        runner.stdout.readline()
        events_of(agent, "library-attached", crypto_of(directory))
    finally:
        runner.kill()
        runner.communicate()


def test_upgraded_and_deleted(env):
    """A file that is replaced by rename is another; one that is deleted stays covered as long as a process maps it, and is left then."""
    agent = env.new_agent(name="upgraded")
    places = Places(env)
    directory = places.copy("upgraded")
    path = crypto_of(directory)
    old = places.hold(*libraries(directory))
    events_of(agent, "library-attached", path)
    new = places.copy("new")
    for name in os.listdir(new):
        os.rename(os.path.join(new, name), os.path.join(directory, name))
    places.hold(*libraries(directory))
    events_of(agent, "library-attached", path, count=2)
    places.leave(old)
    events_of(agent, "library-detached", path)
    handshake(env, agent, directory, path)

    gone = places.copy("gone")
    holder = places.hold(*libraries(gone))
    path = crypto_of(gone)
    events_of(agent, "library-attached", path)
    mark = agent.mark()
    shutil.rmtree(gone)
    places.hold(os.path.join(directory, "libssl.so.3"))       # something happens on the host
    time.sleep(2.5)
    agent.read()
    check(not any(get(event, "event.action").startswith("library-") and
                  get(event, "tlswarden.library.path").startswith(gone) for event in agent.events[mark:]),
          "a deleted library that a process maps was left or attached anew")
    places.leave(holder)
    events_of(agent, "library-detached", path)


def test_at_its_place(env):
    """What root has put on the host's own file system keeps its probes, so that the next short run of a program is seen too; what
    belongs to somebody else is left."""
    agent = env.new_agent(name="place")
    places = Places(env)
    same = os.stat(places.directory).st_dev == os.stat("/").st_dev
    with tempfile.TemporaryDirectory(dir=places.directory if same else "/var/tmp") as base:
        ours, theirs = (places.copy(into=os.path.join(base, name)) for name in ("ours", "theirs"))
        for name in os.listdir(theirs):
            os.chown(os.path.join(theirs, name), 65534, 65534)
        os.chmod(base, 0o755)
        for directory in (ours, theirs):
            holder = places.hold(*libraries(directory))
            events_of(agent, "library-attached", crypto_of(directory))
            places.leave(holder)
        events_of(agent, "library-detached", crypto_of(theirs))
        handshake(env, agent, ours, crypto_of(ours))
        events_of(agent, "library-attached", crypto_of(ours))


def test_written_over(env):
    """In place: what the probes sit on is another library, and is looked at again."""
    agent = env.new_agent(name="over")
    places = Places(env)
    directory = places.copy("over", pair=False)
    (path,) = libraries(directory)
    places.hold(path)
    events_of(agent, "library-attached", path)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "r+b") as file:
        file.write(content)
    places.hold(path)
    events_of(agent, "library-detached", path)
    events_of(agent, "library-attached", path, count=2)


def test_chroot_and_mount_namespace(env):
    """A file system that nobody else sees; it is left, and can be unmounted, when its last process has ended."""
    agent = env.new_agent(name="private")
    places = Places(env)
    place = places.mount("-t", "tmpfs", "tmpfs", env.host.temporary("chroot"))
    inside = places.copy(into=os.path.join(place, "usr/lib"))
    shutil.copy(places.program, place)
    for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        os.makedirs(place + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, place + path)
    within = [path[len(place):] for path in libraries(inside)]
    holder = subprocess.Popen(["chroot", place, "/holder", *within], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    places.holders.append(holder)
    check(holder.stdout.readline() == b"mapped\n", "nothing runs in the chroot")
    # As its process sees it, or as we do: perf's records have the one, /proc the other.
    found = agent.wait("library-attached in the chroot", lambda event: get(event, "event.action") == "library-attached" and
                       get(event, "tlswarden.library.path").endswith("/usr/lib/libcrypto.so.3") and
                       get(event, "tlswarden.library.path") != "/usr/lib/libcrypto.so.3" or
                       get(event, "tlswarden.library.path") == "/usr/lib/libcrypto.so.3", LIMIT)
    equal(found[-1], "tlswarden.library.name", "openssl")
    check(not places.unmount(place), "unmounted while a process maps the library")
    places.leave(holder)
    begin = time.monotonic()
    wait_for("the file system of a chroot that is over can be unmounted", LIMIT, lambda: places.unmount(place))
    print(f"       | unmounted {time.monotonic() - begin:.2f} s after the last process's end", flush=True)

    hidden = env.host.temporary("namespace")
    script = f"mount -t tmpfs tmpfs {hidden} && cp {' '.join(libraries(places.copy('source')))} {hidden} && exec {places.program} {hidden}/*"
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    places.holders.append(holder)
    check(holder.stdout.readline() == b"mapped\n", "nothing runs in the mount namespace")
    events_of(agent, "library-attached", os.path.join(hidden, "libcrypto.so.3"))
    places.leave(holder)
    events_of(agent, "library-detached", os.path.join(hidden, "libcrypto.so.3"))


def test_overlay(env):
    """A file below an overlay, mapped through it and directly, and through a second overlay: one attachment, each handshake once."""
    agent = env.new_agent(name="overlay")
    places = Places(env)
    lower = places.copy("lower")
    for path in libraries(lower):
        os.chown(path, 65534, 65534)    # what is root's stays attached at its place
    merged = []
    for number in range(2):
        upper, work, at = (env.host.temporary(f"{name}-{number}") for name in ("upper", "work", "merged"))
        merged.append(places.mount("-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", at))
    mark = agent.mark()
    holders = [places.hold(*libraries(merged[0]))]
    first = crypto_of(merged[0])
    events_of(agent, "library-attached", first)
    handshake(env, agent, merged[0], first)
    holders += [places.hold(*libraries(lower)), places.hold(*libraries(merged[1]))]
    time.sleep(1)
    for directory in (lower, merged[0], merged[1]):
        handshake(env, agent, directory, first)
    agent.read()
    ours = (lower, *merged)
    attached = [event for event in agent.events[mark:] if get(event, "event.action") == "library-attached" and
                os.path.dirname(get(event, "tlswarden.library.path")) in ours]
    check(len(attached) == 1, f"{len(attached)} attachments")
    # One that was copied up is another file.
    with open(crypto_of(merged[1]), "ab"):
        os.utime(crypto_of(merged[1]))
    copied = places.hold(*libraries(merged[1]))
    events_of(agent, "library-attached", crypto_of(merged[1]))
    handshake(env, agent, merged[1], crypto_of(merged[1]))
    # The file stays covered as long as it is mapped in any of the ways; but the way in which it was met first is held no longer.
    for holder in (holders[0], copied, holders[2]):
        places.leave(holder)
    events_of(agent, "library-detached", crypto_of(merged[1]))
    events_of(agent, "library-detached", first)
    for path in merged:
        wait_for(f"{path} can be unmounted", LIMIT, lambda at=path: places.unmount(at))
    handshake(env, agent, lower, crypto_of(lower))
    places.leave(holders[1])
    events_of(agent, "library-detached", crypto_of(lower))


def test_hostile_files_hold_up_nobody(env):
    """Libraries that loop when asked, many and different, of one owner: another owner's library is attached meanwhile."""
    agent = env.new_agent(name="hostile")
    places = Places(env)
    source = "int X509_verify_cert(void *c) { (void)c; return 1; }\n" \
             "void *X509_STORE_CTX_get0_cert(void *c) { (void)c; for (;;) ; }\nint number = %d;\n"
    directory = os.path.join(places.directory, "hostile")
    os.mkdir(directory)
    first = os.path.join(directory, "libcrypto.so.0")
    build = env.host.run(["gcc", "-shared", "-fPIC", "-O1", "-o", first, env.host.file("hostile.c", source % 0)])
    check(build.process.returncode == 0, "the test's library does not build")
    with open(first, "rb") as file:
        content = file.read()
    paths = [first]
    for number in range(1, 30):
        paths.append(os.path.join(directory, f"libcrypto.so.{number}"))
        with open(paths[-1], "wb") as file:
            file.write(content + bytes([number]))
    for path in paths:
        os.chown(path, 1234, 1234)
    places.hold(*paths)
    good = places.copy("good")
    begin = time.monotonic()
    places.hold(*libraries(good))
    events_of(agent, "library-attached", crypto_of(good))
    took = time.monotonic() - begin
    agent.read()
    told = sum(get(event, "event.action") == "library-unsupported" for event in agent.events)
    print(f"       | attached {took:.2f} s after its mapping, when {told} of {len(paths)} hostile ones were done with", flush=True)
    check(told < len(paths), "it waited for all hostile files")


def own_links(agent):
    """Other agents may run on this machine."""
    directory = f"/proc/{agent.child.pid}/fd"
    return sum("bpf_link" in os.readlink(os.path.join(directory, number)) for number in os.listdir(directory))


def state_of(agent):
    """What must not grow: descriptors, memory in KiB, the agent's BPF links."""
    with open(f"/proc/{agent.child.pid}/status", encoding="ascii") as file:
        rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{agent.child.pid}/fd")), rss, own_links(agent)


def count_of(agent, action, paths):
    agent.read()
    return sum(get(event, "event.action") == action and get(event, "tlswarden.library.path") in paths for event in agent.events)


def mapped_once(agent, places, directory, pair):
    copy = places.copy(into=directory, pair=pair)
    holder = places.hold(*libraries(copy))
    events_of(agent, "library-attached", libraries(copy)[0])
    return [libraries(copy)[0]], [holder]


def upgraded(agent, places, directory, pair):
    """Another one takes its name while the old one is mapped."""
    paths, holders = mapped_once(agent, places, directory, pair)
    new = places.copy(into=directory + ".new", pair=pair)
    for name in os.listdir(new):
        os.rename(os.path.join(new, name), os.path.join(directory, name))
    os.rmdir(new)
    holders.append(places.hold(*libraries(directory)))
    events_of(agent, "library-attached", paths[0], count=2)
    return 2 * paths, holders


def contained(agent, places, directory, pair):
    """In a mount namespace of its own, on a file system that goes with it."""
    source = places.copy("image", pair=pair)
    os.makedirs(directory)
    inside = [os.path.join(directory, os.path.basename(path)) for path in libraries(source) if ("gnutls" in path) != pair]
    script = f'mount -t tmpfs none "$0" && cp {source}/*.so* "$0" && exec "$@"'
    holder = places.hold(*inside, before=("unshare", "--mount", "sh", "-c", script, directory))
    events_of(agent, "library-attached", inside[0])
    return inside[:1], [holder]


def test_rounds(env):
    """A new library, alone, in place of another, or in a container, mapped by a process that soon ends: attached, left, and
    nothing of it stays. Those of a few rounds overlap."""
    agent = env.new_agent(name="rounds")
    places = Places(env)
    begin = time.monotonic()
    waiting, before = [], None

    def all_left():
        wait_for(f"library-detached of {len(waiting)}", LIMIT, lambda: count_of(agent, "library-detached", waiting) == len(waiting), 0.05)
        check(count_of(agent, "library-attached", waiting) == len(waiting), "one was attached more than once")
        waiting.clear()
        agent.events.clear()

    for number in range(RUNS):
        directory = os.path.join(places.directory, "round", str(number))
        way = (mapped_once, upgraded, contained)[number % 3]
        paths, holders = way(agent, places, directory, pair=number % 4 != 3)
        waiting += paths
        for holder in holders:
            places.leave(holder)
        shutil.rmtree(directory)
        if len(waiting) >= OVERLAPPING:
            all_left()
            if before is None:      # by now everything has been used once
                time.sleep(SETTLED)
                before = state_of(agent)
    all_left()
    took = (time.monotonic() - begin) / RUNS
    time.sleep(SETTLED)
    after = state_of(agent)
    print(f"       | {RUNS} rounds of {took:.2f} s; descriptors {before[0]} → {after[0]}, memory {before[1]} → {after[1]} KiB, "
          f"links {before[2]} → {after[2]}", flush=True)
    check(after[0] <= before[0] + SPARE_FDS, f"{after[0] - before[0]} descriptors more")
    check(after[1] <= before[1] + SPARE_KIB, f"{after[1] - before[1]} KiB more")
    check(after[2] <= before[2], f"{after[2] - before[2]} links more")
