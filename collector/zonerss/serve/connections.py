"""Accepting connections: each has one request, and a time limit for every part of it.

aiohttp parses requests and writes answers. It has no time limit for the head of a request, and asyncio's servers none
on how many may connect: so connections are accepted here, one coroutine for each, and aiohttp's protocol is given what
comes in.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from zonerss.serve.limits import (
    ANSWER_SECONDS,
    FIRST_BYTE_SECONDS,
    HANDSHAKE_SECONDS,
    HEAD_BYTES,
    HEAD_SECONDS,
    MOST_CONNECTIONS,
    MOST_OF_ONE,
    Place,
    Places,
)
from zonerss.serve.moving import Traffic
from zonerss.serve.sockets import client_of
from zonerss.serve.tls import Certificates, is_allowed

_GOODBYE_SECONDS = 2.0
"""For TLS to end in order."""
_PARSING_SECONDS = 1.0
"""From the end of what a client sends until it was a request or was none."""
_PAUSE_SECONDS = 0.05
"""Where no more files can be opened."""
_ENDED_BETWEEN_COLLECTIONS = 64


class Conversation(asyncio.Protocol):
    """Stands between a connection and aiohttp's protocol, which gets one request and no more of it than its head."""

    def __init__(self, inner: asyncio.Protocol, client: Hashable) -> None:
        self.inner, self.client = inner, client
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[None] = loop.create_future()
        """Done when the head of a request is there, or the connection has ended."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self.has_asked = False
        self.transport: asyncio.Transport | None = None
        self._bytes = 0

    def begin(self) -> None:
        """The head of a request was there."""
        self.has_asked = True
        if not self.asked.done():
            self.asked.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol, as of all that follow."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """What is beyond the head of a request is not looked at."""
        if self.has_asked or self._bytes > HEAD_BYTES:
            return
        self._bytes += len(data)
        self.inner.data_received(data)

    def eof_received(self) -> bool:
        """
        A client may end its side behind the request, and still takes the answer: True, where it may have asked.

        What came in is answered by a task that has not begun yet, so it has a moment to be a request. TLS ends both
        sides at once.
        """
        self.inner.eof_received()
        assert self.transport is not None
        if not self._bytes or self.transport.get_extra_info("ssl_object") is not None:
            return False
        asyncio.get_running_loop().call_later(_PARSING_SECONDS, self._leave_unless_asked)
        return True

    def _leave_unless_asked(self) -> None:
        if not self.has_asked and self.transport is not None:
            self.transport.close()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)
        for future in (self.asked, self.ended):
            if not future.done():
                future.set_result(None)


async def _first_byte(sock: socket.socket) -> bool:
    """Wait until something has come, or the client has left. False: neither did in time."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        loop.remove_reader(sock)
        if not came.done():
            came.set_result(None)

    loop.add_reader(sock, note)
    try:
        return await _in_time(came, FIRST_BYTE_SECONDS)
    finally:
        loop.remove_reader(sock)


async def _in_time(future: asyncio.Future[None], seconds: float) -> bool:
    """Wait for it; unlike asyncio.timeout() it is not cancelled when the time is over."""
    done, _ = await asyncio.wait((future,), timeout=seconds)
    return bool(done)


class Acceptor:
    """Accepts connections on sockets that listen."""

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        met: Callable[[Conversation], None],
        certificates: Callable[[], Certificates | None],
        traffic: Traffic,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """
        :param protocol: makes aiohttp's side of a connection
        :param met: is told of each conversation that begins
        :param certificates: those in force; None: connections are not encrypted
        :param most: so many may be connected
        """
        self._protocol, self._met, self._certificates = protocol, met, certificates
        self._traffic = traffic
        self._places = Places(most, min(most, MOST_OF_ONE))
        self._ended = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, listening: socket.socket) -> None:
        """Accept on this socket until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, place = await loop.sock_accept(listening)
            except OSError:  # the client has left, or no more files can be opened
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._enter(sock, client_of(sock, place))
            await asyncio.sleep(0)  # so that it has begun before the next one

    def _enter(self, sock: socket.socket, client: Hashable) -> None:
        task: asyncio.Task[None] | None = None

        def leave() -> None:
            self._traffic.lost["evicted"] += 1
            if task is not None:
                task.cancel()

        place = self._places.enter(client, leave)
        if place is None:
            self._traffic.lost["refused"] += 1
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._converse(sock, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._traffic.connections = self._places.count

    async def _converse(self, sock: socket.socket, place: Place) -> None:
        cause: str | None = "silent"
        try:
            if await _first_byte(sock):
                cause = await self._conversation(sock, place)
        finally:
            sock.close()  # where nothing has taken it over
            self._places.leave(place)
            self._traffic.connections = self._places.count
            self._clean_up()
        if cause:
            self._traffic.lost[cause] += 1

    def _clean_up(self) -> None:
        """
        Give back memory now and then.

        asyncio's side of a TLS connection is a circle of references with 256 KiB, which Python's garbage collector
        counts as a few small objects.
        """
        self._ended += 1
        if self._ended % _ENDED_BETWEEN_COLLECTIONS == 0:
            gc.collect()

    async def _conversation(self, sock: socket.socket, place: Place) -> str | None:
        conversation = Conversation(self._protocol(), place.client)
        try:
            return await self._phases(sock, conversation, place)
        finally:
            if conversation.transport is not None and not conversation.ended.done():
                # asyncio's TLS transport cannot be aborted any more once it was closed twice (Python 3.11).
                with suppress(AttributeError):
                    conversation.transport.abort()
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                await asyncio.wait((conversation.ended,))  # the transport closes the socket

    async def _phases(self, sock: socket.socket, conversation: Conversation, place: Place) -> str | None:
        """One after the other; why it ended without an answer, or None."""
        certificates = self._certificates()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self._connect(sock, conversation, certificates)
        except (OSError, TimeoutError):
            return "handshake"
        assert conversation.transport is not None
        if certificates and not _is_welcome(certificates, conversation.transport):
            return "handshake"
        self._met(conversation)
        if not await _in_time(conversation.asked, HEAD_SECONDS):
            return "silent"
        place.has_asked = conversation.has_asked
        if not await _in_time(conversation.ended, ANSWER_SECONDS):
            return "slow"
        return None if conversation.has_asked else "unfinished"

    async def _connect(
        self, sock: socket.socket, conversation: Conversation, certificates: Certificates | None
    ) -> None:
        context: ssl.SSLContext | None = certificates.context() if certificates else None
        options: dict[str, Any] = {}
        if context is not None:
            options = {
                "ssl": context,
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": _GOODBYE_SECONDS,
            }
        await asyncio.get_running_loop().connect_accepted_socket(lambda: conversation, sock, **options)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _is_welcome(certificates: Certificates, transport: asyncio.Transport) -> bool:
    return is_allowed(certificates.config, transport.get_extra_info("peercert"))
