"""Connections of which the agent could take the wrong one: `client_odd.py KIND CA PORT FORGED [CHAIN KEY]`.

A TLS handshake over memory BIOs in a thread that has just read from an innocent TCP connection: `unix` over a socket pair;
`wrapped` the same, but the library reads from the descriptor itself; `dtls` over UDP, with OpenSSL's own datagram BIO, to
the server on port FORGED; `nested` over TCP to that port, within the verification callback of a handshake with the server
on PORT; `spliced` over TCP to port FORGED, through a pipe; `left` over TCP to port FORGED, whose answer is only looked at when its socket is closed and the innocent one was
read from once more. Prints what became of the innocent connection.
"""
import ctypes
import os
import socket
import ssl
import sys
import threading
import time

NAME = b"localhost"
SSL_ERROR_WANT_READ, SSL_CTRL_SET_TLSEXT_HOSTNAME, BIO_CTRL_DGRAM_SET_CONNECTED = 2, 55, 32
ROOM = 65536
libssl, libcrypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
for library, names in ((libssl, ("TLS_client_method", "DTLS_client_method", "SSL_CTX_new", "SSL_new")),
                       (libcrypto, ("BIO_new", "BIO_s_mem", "BIO_new_dgram"))):
    for name in names:
        getattr(library, name).restype = ctypes.c_void_p
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


def call(library, function, *arguments):
    return ctypes.c_void_p(getattr(library, function)(*arguments))


def session(method, ca, callback=None):
    context = call(libssl, "SSL_CTX_new", call(libssl, method))
    libssl.SSL_CTX_load_verify_locations(context, ca.encode(), None)
    libssl.SSL_CTX_set_verify(context, 1, callback)
    ssl_object = call(libssl, "SSL_new", context)
    libssl.SSL_ctrl(ssl_object, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, NAME)
    libssl.SSL_set_connect_state(ssl_object)
    return ssl_object


def shake_hands(sock, ca, callback=None, receive=None):
    """Over memory BIOs, as asyncio does."""
    ssl_object = session("TLS_client_method", ca, callback)
    incoming, outgoing = (call(libcrypto, "BIO_new", call(libcrypto, "BIO_s_mem")) for _ in range(2))
    libssl.SSL_set_bio(ssl_object, incoming, outgoing)
    room = ctypes.create_string_buffer(ROOM)
    while True:
        result = libssl.SSL_do_handshake(ssl_object)
        pending = libcrypto.BIO_read(outgoing, room, ROOM)
        if pending > 0:
            sock.sendall(room.raw[:pending])
        if result == 1:
            return
        if libssl.SSL_get_error(ssl_object, result) != SSL_ERROR_WANT_READ:
            sys.exit("the handshake failed")
        data = receive() if receive else sock.recv(ROOM)
        if not data:
            sys.exit("the server closed the connection")
        libcrypto.BIO_write(incoming, data, len(data))


def innocent():
    """A TCP connection from which this thread has just read."""
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    far.sendall(b"x")
    near.recv(1)
    return near, far


def over_unix(ca, chain, key, by_descriptor):
    near, far = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    threading.Thread(target=context.wrap_socket, args=(far, True), daemon=True).start()
    if by_descriptor:
        ssl.create_default_context(cafile=ca).wrap_socket(near, server_hostname=NAME.decode())
    else:
        shake_hands(near, ca)


def over_udp(ca, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    ssl_object = session("DTLS_client_method", ca)
    bio = call(libcrypto, "BIO_new_dgram", sock.fileno(), 0)
    peer = socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    libcrypto.BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, ctypes.c_long(0), peer)
    libssl.SSL_set_bio(ssl_object, bio, bio)
    if libssl.SSL_do_handshake(ssl_object) != 1:
        print("the DTLS handshake failed", file=sys.stderr)


def spliced(ca, forged):
    with socket.create_connection(("127.0.0.1", forged)) as sock:
        drain, fill = os.pipe()

        def receive():
            os.splice(sock.fileno(), fill, ROOM)
            return os.read(drain, ROOM)

        try:
            shake_hands(sock, ca, receive=receive)
        except ConnectionError:
            pass    # ended before its Finished was sent: as good
        time.sleep(0.5)


def left(ca, forged, near, far):
    with socket.create_connection(("127.0.0.1", forged)) as sock:
        ssl_object = session("TLS_client_method", ca)
        incoming, outgoing = (call(libcrypto, "BIO_new", call(libcrypto, "BIO_s_mem")) for _ in range(2))
        libssl.SSL_set_bio(ssl_object, incoming, outgoing)
        libssl.SSL_do_handshake(ssl_object)
        room = ctypes.create_string_buffer(ROOM)
        pending = libcrypto.BIO_read(outgoing, room, ROOM)
        sock.sendall(room.raw[:pending])
        sock.settimeout(0.5)
        try:
            while data := sock.recv(ROOM):
                libcrypto.BIO_write(incoming, data, len(data))
        except TimeoutError:    # that was all
            pass
    time.sleep(0.5)     # its memory has been given back
    far.sendall(b"x")
    near.recv(1)
    libssl.SSL_do_handshake(ssl_object)


def nested(ca, port, forged):
    fetched = []

    def fetch(verified, _context):
        if not fetched:
            fetched.append(socket.create_connection(("127.0.0.1", forged)))
            try:
                shake_hands(fetched[0], ca)
            except ConnectionError:
                pass    # cut before the end of its handshake: as good
        return verified

    outer = socket.create_connection(("127.0.0.1", port))
    shake_hands(outer, ca, CALLBACK(fetch))
    return outer, fetched[0]


def main(kind, ca, port, forged, *files):
    near, far = innocent()
    if kind in ("unix", "wrapped"):
        over_unix(ca, *files, kind == "wrapped")
    elif kind == "dtls":
        over_udp(ca, int(forged))
    elif kind == "spliced":
        spliced(ca, int(forged))
    elif kind == "left":
        left(ca, int(forged), near, far)
    else:
        connections = nested(ca, int(port), int(forged))
        near, far = connections[0], None
    time.sleep(0.5)
    if far:
        far.sendall(b"y")
    near.settimeout(5)
    print("alive" if near.recv(1) else "ended")


main(*sys.argv[1:])
