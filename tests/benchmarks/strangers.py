"""Clients that mean no good, in a process of their own: `python -m tests.benchmarks.strangers PORT TLS SILENT SLOW`.

They connect again as soon as they are sent away, until they are ended.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

Step = Callable[[int, ssl.SSLContext | None], Awaitable[None]]
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"


def context() -> ssl.SSLContext:
    """A client's that takes any certificate."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    return found


async def silent(port: int, tls: ssl.SSLContext | None) -> None:
    """Connects and says nothing; where the server speaks TLS, not even hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.read()
    finally:
        writer.close()


async def slow(port: int, tls: ssl.SSLContext | None) -> None:
    """A byte a second."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        for byte in REQUEST * 100:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(1)
    finally:
        writer.close()


async def hello(port: int, tls: ssl.SSLContext | None) -> None:
    """Says hello by TLS and never finishes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context().wrap_bio(incoming, outgoing).do_handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(outgoing.read())
        while await reader.read(1 << 16):
            pass
    finally:
        writer.close()


async def long_path(port: int, tls: ssl.SSLContext | None) -> None:
    """A path of a megabyte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n")
        await writer.drain()
        await reader.read()
    finally:
        writer.close()
    await asyncio.sleep(0.2)


async def guess(port: int, tls: ssl.SSLContext | None) -> None:
    """A password that is wrong."""
    word = base64.b64encode(b"prometheus:" + os.urandom(6).hex().encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(REQUEST + b"Authorization: Basic " + word + b"\r\n\r\n")
        await reader.read()
    finally:
        writer.close()
    await asyncio.sleep(0.05)


async def again(step: Step, port: int, tls: ssl.SSLContext | None, pause: float) -> None:
    while True:
        with suppress(OSError):
            await step(port, tls)
        await asyncio.sleep(pause)


async def main(port: int, encrypted: bool, silent_count: int, slow_count: int) -> None:
    tls = context() if encrypted else None
    crowd = [(silent, silent_count, 0.5), (slow, slow_count, 0.5), (long_path, 5, 0.0), (guess, 5, 0.0)]
    if encrypted:
        crowd.append((hello, 50, 0.5))
    tasks = [again(step, port, tls, pause) for step, count, pause in crowd for _ in range(count)]
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "yes", int(sys.argv[3]), int(sys.argv[4])))
