"""The incident of 1.1.1.1, as `make demo` shows it."""
import os
import subprocess

from fixtures import ROOT
from host import check


def test_demo(env):
    env.stop_agents()
    before = subprocess.run(["ip", "netns", "list"], stdout=subprocess.PIPE, check=True).stdout
    child = env.watch(env.host.run(["/usr/bin/python3", os.path.join(ROOT, "tests/demo/demo.py"), "--build", env.build],
                                   timeout=300))
    check(child.process.returncode == 0, f"the demo's exit code is {child.process.returncode}")
    for word in ("no way out", "without a policy", "Audit mode", "Enforce mode", "genuine", "kdig", "dig", "killed",
                 "would-kill"):
        check(word in child.output, f"the transcript does not say {word!r}")
    check("FAIL" not in child.output, "an assertion of the demo failed")
    after = subprocess.run(["ip", "netns", "list"], stdout=subprocess.PIPE, check=True).stdout
    check(after == before, f"network namespaces are left: {after.decode()}")
