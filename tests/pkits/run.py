#!/usr/bin/python3
"""NIST's PKITS through `tlswarden explain`: run.py, with BUILD in the environment (default: build).

Each row of table.txt is asked three times: with the CRLs that the test names, with all CRLs of the suite at once, and without
the `crl` key. A policy with `trusted_by` must then be kept (exit status 0) or broken (1), as the table says. Prints what
differs; the last line is `N passed, N failed`; exit status 1 if any failed, 2 if the suite or the program is not there.
"""
import base64
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data"
PACKAGE = "python3-cryptography-vectors"
AT = "2020-06-01T00:00:00Z"  # the certificates are valid from 2010 to 2030
EXPECTED = {"valid": 0, "invalid": 1, "valid (refused)": 1}


def rows():
    with open(os.path.join(HERE, "table.txt"), encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                number, name, expected, without, certs, crls = [field.strip() for field in line.split("|")]
                yield number, name, EXPECTED[expected], EXPECTED[without], certs.split(), crls.split()


def pem(name):
    with open(f"{DATA}/certs/{name}.crt", "rb") as file:
        text = base64.b64encode(file.read()).decode()
    return "\n".join(["-----BEGIN CERTIFICATE-----", *textwrap.wrap(text, 64), "-----END CERTIFICATE-----", ""])


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def policy(path, crls):
    lines = "".join(f"\n          - {DATA}/crls/{crl}.crl" for crl in crls)
    crl = f"\n        crl:{lines}" if crls else ""
    return write(path, f"""version: 1
name: pkits
sets: {{trust_stores: {{nist: nist.pem}}}}
rules:
  - id: pkits
    match: [{{any: true}}]
    require:
      trusted_by:
        store: "@nist"{crl}
""")


def explain(program, policy_file, chain):
    """Exit status (None if the answer is not one about trust: an invalid policy also gives 1) and output."""
    anchors = os.path.join(os.path.dirname(chain), "nist.pem")
    command = [program, "explain", "--policy", policy_file, "--chain", chain, "--anchors", anchors, "--at", AT]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    told = {0: ": trusted by @nist through ", 1: ": not trusted by @nist: "}.get(done.returncode, "\0")
    return done.returncode if told in done.stdout else None, done.stdout


def questions(directory):
    """(what, expected exit status, policy, chain) of each call."""
    write(f"{directory}/nist.pem", pem("TrustAnchorRootCertificate"))
    every = sorted(name[:-len(".crl")] for name in os.listdir(f"{DATA}/crls") if name.endswith(".crl"))
    with_all = policy(f"{directory}/all.yaml", every)
    with_none = policy(f"{directory}/none.yaml", [])
    for number, name, expected, without, certs, crls in rows():
        chain = write(f"{directory}/{number}.pem", "".join(map(pem, certs)))
        own = policy(f"{directory}/{number}.yaml", ["TrustAnchorRootCRL", *crls])
        yield f"{number} {name}, with its CRLs", expected, own, chain
        yield f"{number} {name}, with all CRLs", expected, with_all, chain
        yield f"{number} {name}, without CRLs", without, with_none, chain


def main():
    program = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(HERE, "../../build"))), "tlswarden")
    for path, what in ((DATA, f"install {PACKAGE}"), (program, "run make first")):
        if not os.path.exists(path):
            print(f"run.py: {path} is not there: {what}", file=sys.stderr)
            return 2
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="tlswarden-pkits-") as directory:
        asked = list(questions(directory))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = pool.map(lambda question: explain(program, *question[2:]), asked)
            for (what, expected, _, _), (status, output) in zip(asked, answers):
                if status == expected:
                    passed += 1
                    continue
                failed += 1
                print(f"{what}: exit status {status} instead of {expected}")
                print(textwrap.indent(output, "    "))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
