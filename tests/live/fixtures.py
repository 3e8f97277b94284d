"""The test certificates (made by tests/fixtures/make.sh), their pins, and the policies that the live tests load.

Pins are computed with the openssl command, so that they do not come from the code under test.
"""
import base64
import hashlib
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----\n", re.S)


class Fixtures:
    """Certificates in a directory: `made` by the build, or made here if that is not there."""

    def __init__(self, host, made=None):
        self.host = host
        self.directory = made
        if not made or not os.path.exists(os.path.join(made, "forged-leaf.chain.pem")):
            self.directory = host.temporary("fixtures")
            subprocess.run(["bash", os.path.join(ROOT, "tests/fixtures/make.sh"), self.directory], check=True,
                           stdout=subprocess.DEVNULL)
        self.pins = {}

    def path(self, name):
        return os.path.join(self.directory, name)

    def text(self, *names):
        parts = []
        for name in names:
            with open(self.path(name), encoding="ascii") as file:
                parts.append("".join(f"-----BEGIN CERTIFICATE-----\n{m}-----END CERTIFICATE-----\n"
                                     for m in PEM.findall(file.read())))
        return "".join(parts)

    def bundle(self, *names):
        """A file with the certificates of all these, in this order."""
        text = self.text(*names)
        return self.host.file(f"bundle-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pem", text)

    def ders(self, name):
        return [base64.b64decode(block) for block in PEM.findall(self.text(name))]

    def sha256s(self, name):
        """SHA-256 of each certificate of a file, as events write it."""
        return [hashlib.sha256(der).hexdigest().upper() for der in self.ders(name)]

    def pin(self, name):
        """SPKI SHA-256 of a file's first certificate, in base64."""
        if name not in self.pins:
            key = subprocess.run(["openssl", "x509", "-in", self.path(name + ".pem"), "-pubkey", "-noout"], check=True,
                                 stdout=subprocess.PIPE).stdout
            der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, input=key,
                                 stdout=subprocess.PIPE).stdout
            self.pins[name] = base64.b64encode(hashlib.sha256(der).digest()).decode()
        return self.pins[name]

    def key_set(self, *names):
        return "".join(f'      - {{name: "{name}", spki_sha256: "{self.pin(name)}"}}\n' for name in names)

    def policy(self, mode="enforce", name="live"):
        """Who may vouch for localhost, and for the clients of its servers. Names and roles keep it to the tests' own; the
        bench talks to localhost too."""
        return f"""\
version: 1
name: {name}
mode: {mode}
sets:
  keys:
    local-cas:
{self.key_set("good-root", "good-int")}\
    client-cas:
{self.key_set("client-ca", "good-root")}\
rules:
  - id: localhost-issuer
    description: only the good CA may vouch for localhost
    match:
      - {{server_name: localhost, role: client}}
      - {{san_dns: localhost, role: client}}
    require: {{issuer_in: "@local-cas"}}
    except: {{exe: "*/bench/*"}}
    action: kill
    severity: high
  - id: client-issuer
    description: only the client CA may vouch for clients of localhost
    match:
      - {{server_name: localhost, role: server}}
    require: {{issuer_in: "@client-cas"}}
    action: kill
    severity: critical
"""
