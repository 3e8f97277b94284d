"""Copies of the pack's policies with other keys and stores in them, and tests of those copies.

The CAs that the policies pin have made no certificate for us, and nobody else's lie here. So an own CA takes the place of each
key in a copy, and chains of it show what that place is worth. Test files are written as JSON, which is YAML."""
import json
import os
import re

from fixtures import ROOT
from host import check

PACK = os.path.join(ROOT, "deploy/policies")
LINE = re.compile(r'^(?:    ([\w-]+):|      - \{name: "([^"]+)", spki_sha256: "([^"]{44})"\})', re.M)
# Where a public resolver answers, one of the others, and anybody.
RESOLVER, OTHER, ELSEWHERE = "1.1.1.1:853", "94.140.14.14:853", "192.0.2.7:443"
AT = "2030-01-01T00:00:00Z"     # the fixtures are valid then


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def pack(name):
    return read(os.path.join(PACK, name + ".yaml"))


class Entry:
    """One key in one set of a policy."""

    def __init__(self, text, found, name_of_set):
        self.text, self.set = text, name_of_set
        self.name, self.pin = found.group(2, 3)
        self.span = found.span(3)

    def replaced(self, pin):
        """The policy with another key in this place."""
        begin, end = self.span
        return self.text[:begin] + pin + self.text[end:]

    def removed(self):
        begin = self.text.rindex("\n", 0, self.span[0])
        return self.text[:begin] + self.text[self.text.index("\n", self.span[1]):]


def entries(text):
    """All keys that a policy names, in order."""
    found, name_of_set = [], None
    for line in LINE.finditer(text):
        name_of_set = line.group(1) or name_of_set
        if line.group(2):
            found.append(Entry(text, line, name_of_set))
    return found


def case(name, chain, verdict, *rules, peer=ELSEWHERE, reason=None, at=AT, **more):
    expect = {"verdict": verdict, "rules": list(rules), **({"reason": reason} if reason else {})}
    return {"name": name, "chain": chain, **({"peer": peer} if peer else {}), "at": at, **more, "expect": expect}


class Copies:
    """A directory of policies and of their tests, each with the roots that the test needs known."""

    def __init__(self, env, *roots):
        self.env = env
        self.directory = env.host.temporary("copies")
        self.anchors = env.fixtures.bundle(*(f"{root}.pem" for root in roots))
        self.files, self.count = [], 0

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def add(self, text, *tests):
        """A copy, and its tests. Returns the copy's path."""
        number = len(self.files)
        policy = self.write(f"{number}.yaml", text)
        content = {"policies": policy, "anchors": self.anchors, "tests": tests}
        self.files.append(self.write(f"{number}.tests.yaml", json.dumps(content, indent=1) + "\n"))
        self.count += len(tests)
        return policy

    def expect_passed(self):
        """One process for all of them."""
        child = self.env.watch(self.env.host.run([self.env.binary, "test", *self.files]))
        check(child.process.returncode == 0 and child.output == f"{self.count} passed, 0 failed\n",
              f"not all of {self.count} passed")
