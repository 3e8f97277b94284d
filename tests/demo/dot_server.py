"""DNS over TLS with a given certificate: `dot_server.py CHAIN KEY ADDRESS…`; prints "ready" when it serves them."""
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "live"))

import servers

chain, key, *addresses = sys.argv[1:]
for address in addresses:
    servers.Server(chain, key, serve=servers.serve_dns, address=address, port=853, family=6 if ":" in address else 4)
print("ready", flush=True)
signal.pause()
