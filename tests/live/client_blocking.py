"""The blocking client: `client_blocking.py PORT CA|-`; "-" turns verification off. Prints what the server said."""
import ssl
import sys
import urllib.request

port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
if ca == "-":
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
else:
    context.load_verify_locations(ca)
with urllib.request.urlopen(f"https://localhost:{port}/", timeout=15, context=context) as response:
    sys.stdout.write(response.read().decode())
