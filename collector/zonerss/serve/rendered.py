"""The answers of one look: each is made when it is first asked for, once, in a thread, and kept until the next look."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from zonerss.serve.look import Look

Makers = Mapping[str, Callable[[Look], bytes]]
"""What makes an answer, by its name."""
Pieces = tuple[bytes, ...]
"""Of an answer, one behind the other."""
_LEVEL = 6
_GZIP = 31  # zlib.h: a window of 32 KiB, with gzip's header and trailer


class Encoded:
    """
    Bytes that are the same for all who ask, and the same compressed, to both of which something can be added.

    They come in two pieces, of which the first is one object for all: so those who take it slowly hold no copies.
    """

    def __init__(self, plain: bytes) -> None:
        self._plain = plain
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._packed = self._packer.compress(plain)

    def plain(self, more: bytes = b"") -> Pieces:
        """As they are."""
        return self._plain, more

    def gzip(self, more: bytes = b"") -> Pieces:
        """Compressed as one stream; what was compressed before is not compressed again."""
        packer = self._packer.copy()
        return self._packed, packer.compress(more) + packer.flush()


class Rendered:
    """All answers that are made from one look."""

    def __init__(
        self, look: Look, makers: Makers, executor: Executor, spent: Callable[[float], None]
    ) -> None:
        """
        :param executor: where answers are made
        :param spent: is told how much processor time each took, in seconds; not in the thread of the event loop
        """
        self.look = look
        self._makers, self._executor, self._spent = makers, executor, spent
        self._made: dict[str, asyncio.Future[Encoded]] = {}

    async def get(self, name: str) -> Encoded:
        """The answer of a name; all who ask while it is made wait for the same."""
        made = self._made.get(name)
        if made is None:
            loop = asyncio.get_running_loop()
            made = self._made[name] = loop.run_in_executor(self._executor, self._make, name)
        return await asyncio.shield(made)

    def _make(self, name: str) -> Encoded:
        began = time.thread_time()
        try:
            return Encoded(self._makers[name](self.look))
        finally:
            self._spent(time.thread_time() - began)
