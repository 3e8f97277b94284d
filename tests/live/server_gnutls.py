"""A TLS server made of GnuTLS, which sends certificates that OpenSSL would not load.

Like servers.Server in what tests use of it, but it serves one connection at a time, and speaks HTTP/1.0 only.
"""
import ctypes
import socket
import struct

import servers

GNUTLS_SERVER, GNUTLS_CRD_CERTIFICATE, GNUTLS_X509_FMT_PEM = 1, 1, 1
GNUTLS_SHUT_WR = 1
PRIORITIES = {"1.2": b"NORMAL:-VERS-ALL:+VERS-TLS1.2", "1.3": b"NORMAL:-VERS-ALL:+VERS-TLS1.3"}


class GnutlsError(OSError):
    pass


class GnutlsServer(servers.Server):
    def _context(self, chain, key, clients):
        self.library = ctypes.CDLL("libgnutls.so.30")
        self.credentials = ctypes.c_void_p()
        self._call("gnutls_certificate_allocate_credentials", ctypes.byref(self.credentials))
        self._call("gnutls_certificate_set_x509_key_file", self.credentials, chain.encode(), key.encode(),
                   GNUTLS_X509_FMT_PEM)
        return self.credentials

    def _call(self, name, *args):
        result = getattr(self.library, name)(*args)
        if result < 0:
            raise GnutlsError(f"{name}: {result}")
        return result

    def _handle(self, connection):
        raw = connection.sock
        session = ctypes.c_void_p()
        try:
            # A blocking descriptor with the kernel's own time limit: Python's would make it non-blocking.
            raw.setblocking(True)
            limit = struct.pack("ll", servers.IDLE_LIMIT, 0)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self._call("gnutls_init", ctypes.byref(session), GNUTLS_SERVER)
            self._call("gnutls_priority_set_direct", session, PRIORITIES[self.tls], None)
            self._call("gnutls_credentials_set", session, GNUTLS_CRD_CERTIFICATE, self.credentials)
            self.library.gnutls_transport_set_int2(session, raw.fileno(), raw.fileno())
            self._call("gnutls_handshake", session)
            connection.handshake, connection.version = True, "TLSv" + self.tls
            servers.pause(raw, self.delay)
            self._answer(connection, session)
        except OSError as error:
            connection.error = f"{type(error).__name__}: {error}"
        finally:
            if session:
                self.library.gnutls_deinit(session)
            raw.close()
            connection.ended.set()

    def _answer(self, connection, session):
        buffer, request = ctypes.create_string_buffer(4096), b""
        while b"\r\n\r\n" not in request and len(request) < servers.REQUEST_MAX:
            got = self._call("gnutls_record_recv", session, buffer, ctypes.c_size_t(len(buffer)))
            if got == 0:
                return
            request += buffer.raw[:got]
            connection.application_bytes += got
        answer = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + servers.BODY
        self._call("gnutls_record_send", session, answer, ctypes.c_size_t(len(answer)))
        self._call("gnutls_bye", session, GNUTLS_SHUT_WR)
