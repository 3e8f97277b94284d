"""Many connections of one process at once: `client_many_asyncio.py CA|- GOOD CONDEMNED COUNT AT_ONCE [waves]`.

GOOD and CONDEMNED are ports; CONDEMNED 0: none there. With "-" no TLS: they are paths of Unix sockets, of a proxy that
talks to these servers. COUNT to either, mixed, AT_ONCE open at a time; waves: the next ones when
all of them have ended. Prints the same as client_many_blocking.py.
"""
import asyncio
import json
import ssl
import sys
import time

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
BODY = b"hello from the test server"
LIMIT = 30


async def exchange(context, place):
    if context:
        reader, writer = await asyncio.open_connection("localhost", int(place), ssl=context)
    else:
        reader, writer = await asyncio.open_unix_connection(place)
    try:
        writer.write(REQUEST)
        answer = await reader.read()
        if BODY not in answer:
            raise ConnectionError(f"answer: {answer!r}")
    finally:
        writer.transport.abort()


async def ask(context, place, free, times, failed):
    async with free:
        begin = time.perf_counter()
        try:
            await asyncio.wait_for(exchange(context, place), LIMIT)
            times.append(time.perf_counter() - begin)
        except (OSError, asyncio.TimeoutError) as error:
            failed.append(repr(error))


async def main(ca, good, condemned, count, at_once, waves=None):
    context = None if ca == "-" else ssl.create_default_context(cafile=ca)
    free = asyncio.Semaphore(int(at_once))
    times, failed, served = [], [], []
    tasks = []
    for _ in range(int(count)):
        if condemned != "0":
            tasks.append(ask(context, condemned, free, served, []))
        tasks.append(ask(context, good, free, times, failed))
    step = int(at_once) if waves else len(tasks)
    for begin in range(0, len(tasks), step):
        await asyncio.gather(*tasks[begin:begin + step])
    print(json.dumps({"good": times, "failed": failed, "served": len(served)}))


asyncio.run(main(*sys.argv[1:]))
