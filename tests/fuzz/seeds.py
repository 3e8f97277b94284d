#!/usr/bin/python3
"""Inputs to begin with, made from the fixtures: seeds.py FIXTURES DIR. One directory a target; tests/fuzz/*.c tell the shapes.

They are made anew with each build's fixtures and are not kept: tests/fuzz/corpus holds a small set that covers the same.
"""
import base64
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures"))
from odd import ECDSA_SHA256, extension, integer, oid, openssl, sequence, subject_of, time, tlv  # noqa: E402

PRESENTED, CHAIN, ANCHOR, CRL = 1, 2, 4, 64
LARGE = 12000


def read(path):
    with open(path, "rb") as file:
        return file.read()


def certificates(path):
    blocks = read(path).decode().split("-----BEGIN CERTIFICATE-----")[1:]
    return [base64.b64decode(block.split("-----END")[0]) for block in blocks]


def parcels(*items):
    return b"".join(bytes([flags]) + len(data).to_bytes(2, "big") + data for flags, data in items)


def paths(chain):
    """The same chain as OpenSSL and GnuTLS show it, with the root known, and in the wrong order."""
    yield "chain", parcels(*((PRESENTED | CHAIN, der) for der in chain))
    yield "anchor", parcels(*((PRESENTED, der) for der in chain[:-1]), (ANCHOR, chain[-1]))
    yield "turned", parcels((PRESENTED, chain[0]), *((PRESENTED, der) for der in chain[:0:-1]))


def recipe(subject, issuer, key, signer, rights=0, limits=0xff, flags=PRESENTED):
    return bytes([subject, issuer, key, signer, rights, limits, flags])


def graphs():
    leaf = recipe(1, 2, 1, 2, rights=1)
    root, other = recipe(3, 3, 3, 3, flags=ANCHOR), recipe(4, 4, 4, 4, flags=CHAIN)
    yield "straight", leaf + recipe(2, 3, 2, 3) + root
    yield "crossed", leaf + recipe(2, 3, 2, 3) + recipe(2, 4, 2, 4) + root + other
    yield "circle", leaf + recipe(2, 3, 2, 3) + recipe(3, 2, 3, 2) + root
    yield "same-names", leaf + b"".join(recipe(2, 2, key, key + 1) for key in range(5))
    yield "limits", leaf + recipe(2, 3, 2, 3, limits=0xf0) + recipe(3, 4, 3, 4, limits=0x1f) + other


def serial_of(der):
    """The serial number's element, behind the version's five bytes."""
    start = der.index(b"\xa0\x03\x02\x01\x02") + 5
    return der[start:start + 2 + der[start + 1]]


def crl(issuer, *entries, extensions=()):
    algorithm = sequence(oid(ECDSA_SHA256))
    number = extension("2.5.29.20", integer(1))
    tbs = sequence(integer(1), algorithm, subject_of(issuer + ".pem"), time("20240101000000Z"), time("20440101000000Z"),
                   sequence(*entries), tlv(0xA0, sequence(number, *extensions)))
    return sequence(tbs, algorithm, tlv(3, b"\0", openssl("dgst", "-sha256", "-sign", issuer + ".key", data=tbs)))


def crls(fixtures):
    chain = certificates(f"{fixtures}/good-leaf.full.pem")
    serial, day = serial_of(chain[0]), time("20240601000000Z")
    indirect = extension("2.5.29.28", sequence(b"\x84\x01\xff"), True)
    lists = {
        "reason": crl(f"{fixtures}/good-int", sequence(serial, day, sequence(extension("2.5.29.21", b"\x0a\x01\x01")))),
        "no-reason": crl(f"{fixtures}/good-int", sequence(integer(7), day), sequence(serial, day)),
        "removed": crl(f"{fixtures}/good-int", sequence(serial, day, sequence(extension("2.5.29.21", b"\x0a\x01\x08")))),
        "indirect": crl(f"{fixtures}/good-root", sequence(serial, day, sequence(extension(
            "2.5.29.29", sequence(tlv(0xA4, subject_of(f"{fixtures}/good-int.pem"))), True))), extensions=[indirect]),
        "delta": crl(f"{fixtures}/good-int", sequence(serial, day), extensions=[extension("2.5.29.27", integer(1), True)]),
        "rogue": crl(f"{fixtures}/lookalike-int", sequence(serial, day)),
    }
    shown = [(PRESENTED, der) for der in chain]
    for name, der in lists.items():
        yield name, parcels(*shown, (CRL, der))
    pem = b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(lists["reason"]) + b"-----END X509 CRL-----\n"
    yield "pem", parcels(*shown[:1], (CRL, pem + pem), (CRL, lists["rogue"]))


def main():
    fixtures, out = sys.argv[1:]

    def write(target, name, data):
        os.makedirs(f"{out}/{target}", exist_ok=True)
        with open(f"{out}/{target}/{name}", "wb") as file:
            file.write(data)

    for path in sorted(glob.glob(f"{fixtures}/*.pem")):
        name, chain = os.path.basename(path)[:-4], certificates(path)
        if len(chain) == 1:
            write("certificate", name, chain[0])
        if len(read(path)) > LARGE:
            continue
        write("pem", name, read(path))
        if name.endswith(".full"):
            for kind, data in paths(chain):
                write("path", f"{name}-{kind}", data)
                write("trust", f"{name}-{kind}", data)
    for path in sorted(glob.glob(f"{fixtures}/hostile/*.der")):
        write("certificate", os.path.basename(path), read(path))
    for name, data in graphs():
        write("graph", name, data)
    for name, data in crls(fixtures):
        write("crl", name, data)
        root = parcels((PRESENTED | ANCHOR, certificates(f"{fixtures}/good-root.pem")[0]))
        none = parcels((CRL, crl(f"{fixtures}/good-int")), (CRL, crl(f"{fixtures}/good-root")))
        write("trust", name, data + root + none)
    for path in sorted(glob.glob(f"{fixtures}/ct/*.full.pem")):
        leaf = parcels(*((PRESENTED, der) for der in certificates(path)[:2]))
        write("ct_list", os.path.basename(path), read(f"{fixtures}/ct/logs.json") + b"\0" + leaf)
    for path in sorted(glob.glob("deploy/policies/*.yaml") + glob.glob("deploy/policies/*/*.yaml")):
        kind = "test_file" if b"\ntests:" in b"\n" + read(path) else "policy"
        write(kind, os.path.basename(path), read(path))


main()
