"""The asyncio client: `client_asyncio.py PORT CA|-`; "-" turns verification off. Prints what the server said."""
import asyncio
import ssl
import sys


async def main(port, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca == "-":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    reader, writer = await asyncio.wait_for(asyncio.open_connection("localhost", port, ssl=context), 15)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    sys.stdout.write((await asyncio.wait_for(reader.read(), 15)).decode())
    writer.close()
    await writer.wait_closed()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
