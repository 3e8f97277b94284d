"""Many connections of one process at once: `client_many_asyncio.py CA|- GOOD CONDEMNED COUNT AT_ONCE [waves]`.

GOOD and CONDEMNED are ports; CONDEMNED 0: none there. With "-" no TLS: they are paths of Unix sockets, of a proxy that
talks to these servers. COUNT to either, mixed, AT_ONCE open at a time; waves: the next ones when
all of them have ended, and those of a proxy are asked when all are open: what a pool is used for then depends less on which
comes first. Prints the same as client_many_blocking.py.
"""
import asyncio
import json
import ssl
import sys
import time

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
BODY = b"hello from the test server"
LIMIT = 30


async def connect(context, place):
    if context:
        return await asyncio.open_connection("localhost", int(place), ssl=context)
    return await asyncio.open_unix_connection(place)


async def exchange(reader, writer):
    writer.write(REQUEST)
    answer = await reader.read()
    if BODY not in answer:
        raise ConnectionError(f"answer: {answer!r}")


async def ask(context, place, free, times, failed, together):
    async with free:
        begin, writer = time.perf_counter(), None
        try:
            reader, writer = await asyncio.wait_for(connect(context, place), LIMIT)
            if together:
                await asyncio.wait_for(together.wait(), LIMIT)
                begin = time.perf_counter()
            await asyncio.wait_for(exchange(reader, writer), LIMIT)
            times.append(time.perf_counter() - begin)
        except (OSError, asyncio.TimeoutError, asyncio.BrokenBarrierError) as error:
            failed.append(repr(error))
            if together and not writer:
                await together.abort()
        finally:
            if writer:
                writer.transport.abort()


async def main(ca, good, condemned, count, at_once, waves=None):
    context = None if ca == "-" else ssl.create_default_context(cafile=ca)
    free = asyncio.Semaphore(int(at_once))
    times, failed, served = [], [], []
    asked = []
    for _ in range(int(count)):
        if condemned != "0":
            asked.append((condemned, served, []))
        asked.append((good, times, failed))
    step = int(at_once) if waves else len(asked)
    for begin in range(0, len(asked), step):
        wave = asked[begin:begin + step]
        together = asyncio.Barrier(len(wave)) if waves and not context else None
        await asyncio.gather(*(ask(context, place, free, into, wrong, together) for place, into, wrong in wave))
    print(json.dumps({"good": times, "failed": failed, "served": len(served)}))


asyncio.run(main(*sys.argv[1:]))
