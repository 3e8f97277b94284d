"""A client that takes chains of any size: `client_large.py PORT CA|- [COUNT]`; "-" turns verification off. Prints what was
said; with COUNT, on so many connections, one after the other.

OpenSSL refuses certificate messages over 100 KiB unless the application raises the limit, which Python's ssl module cannot;
so this one calls libssl itself.
"""
import ctypes
import socket
import sys

SSL_CTRL_SET_MAX_CERT_LIST, MAX_CERT_LIST = 51, 4 << 20
SSL_CTRL_SET_TLSEXT_HOSTNAME = 55
SSL_VERIFY_PEER = 1

ssl = ctypes.CDLL("libssl.so.3")
for function in (ssl.TLS_client_method, ssl.SSL_CTX_new, ssl.SSL_new):
    function.restype = ctypes.c_void_p

port, ca = int(sys.argv[1]), sys.argv[2]
context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))
ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, ctypes.c_long(MAX_CERT_LIST), None)
if ca != "-":
    ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, None)
    if ssl.SSL_CTX_load_verify_locations(context, ca.encode(), None) != 1:
        sys.exit("cannot load " + ca)


def ask():
    """One connection: the number of bytes that came, 0 if none did."""
    with socket.create_connection(("localhost", port)) as sock:
        sock.setblocking(True)
        session = ctypes.c_void_p(ssl.SSL_new(context))
        ssl.SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, ctypes.c_long(0), b"localhost")
        ssl.SSL_set_fd(session, sock.fileno())
        if ssl.SSL_connect(session) != 1:
            sys.exit("handshake failed")
        request = b"GET / HTTP/1.0\r\n\r\n"
        ssl.SSL_write(session, request, len(request))
        buffer = ctypes.create_string_buffer(4096)
        total = 0
        while (got := ssl.SSL_read(session, buffer, len(buffer))) > 0:
            sys.stdout.write(buffer.raw[:got].decode())
            total += got
        ssl.SSL_free(session)
        return total


for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 1):
    if not ask():
        sys.exit("connection lost")
