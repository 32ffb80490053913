"""Who may ask: names and passwords by HTTP basic authentication, checked against hashes by bcrypt.

A check takes a tenth of a second of processor time on purpose. So it is made in a thread, one at a time; who waits for
one is limited, for each client and for all, and who waits for many gives way to who waits for few; and a pair of name
and password that was right is remembered, by a keyed hash. A name that is not known costs the same as one that is, if
all hashes are of one cost.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import bcrypt

MOST_REMEMBERED = 128
MOST_WAITING = 16
MOST_WAITING_OF_ONE = 4
_MOST_HEADER = 1024
_BCRYPT_BYTES = 72
"""bcrypt looks at no more of a password; its library refuses longer ones."""
_LEAST_COST = 10


class Verdict(Enum):
    """What comes of a request's credentials."""

    RIGHT = "right"
    WRONG = "wrong"
    """Wrong, or none."""
    BUSY = "busy"
    """Too many checks are waiting: not looked at."""


def credentials(header: str | None) -> tuple[str, bytes] | None:
    """Name and password of an Authorization header (RFC 7617); None: there are none. Pure."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MOST_HEADER:
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode("utf-8"), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def dummy(cost: int) -> bytes:
    """A hash that takes as long to check as others of its cost, and is of no password that anybody knows. Pure."""
    return b"$2b$%02d$" % cost + b"." * 53


class Passwords:
    """Checks credentials. All but the checks themselves is done in one thread, that of the event loop."""

    def __init__(self, begin: Callable[[], None] | None = None) -> None:
        """:param begin: is called once in the thread that checks"""
        self._users: Mapping[str, str] = {}
        self._dummy = dummy(_LEAST_COST)
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: dict[Hashable, list[asyncio.Future[bool]]] = {}
        self._checker = ThreadPoolExecutor(1, "bcrypt", begin)

    def use(self, users: Mapping[str, str]) -> None:
        """From now on these hold: hashes by name; none: everybody may ask."""
        self._users = dict(users)
        self._dummy = dummy(max((int(text[4:6]) for text in users.values()), default=_LEAST_COST))

    @property
    def asks(self) -> bool:
        """Whether anybody has to name himself."""
        return bool(self._users)

    def close(self) -> None:
        """What waits for a check is not checked any more."""
        self._checker.shutdown(wait=False, cancel_futures=True)

    async def verdict(self, header: str | None, client: Hashable) -> Verdict:
        """
        What comes of a request.

        :param header: its Authorization
        :param client: who asks, as far as that can be told
        """
        if not self._users:
            return Verdict.RIGHT
        pair = credentials(header)
        if pair is None:
            return Verdict.WRONG
        name, password = pair
        text = self._users.get(name)
        key = self._key(text or "", name, password)
        if text is not None and key in self._right:
            self._right.move_to_end(key)
            return Verdict.RIGHT
        if not self._has_room(client):
            return Verdict.BUSY
        hashed = self._dummy if text is None else text.encode("ascii")
        is_right = await self._check(client, password, hashed)
        if is_right is None:
            return Verdict.BUSY
        if not is_right or text is None or self._users.get(name) != text:
            return Verdict.WRONG
        self._right[key] = None
        while len(self._right) > MOST_REMEMBERED:
            self._right.popitem(last=False)
        return Verdict.RIGHT

    def _has_room(self, client: Hashable) -> bool:
        """Whether one more check of a client may wait; the newest of the client with most makes room for few."""
        own = len(self._waiting.get(client, ()))
        if own >= MOST_WAITING_OF_ONE:
            return False
        if sum(map(len, self._waiting.values())) >= MOST_WAITING:
            most = max(self._waiting.values(), key=len)
            if own + 1 >= len(most):
                return False
            most.pop().cancel()  # one of several, which are made in order: it waits yet
        return True

    async def _check(self, client: Hashable, password: bytes, hashed: bytes) -> bool | None:
        """Whether the password is right; None: it had to make room and was not looked at."""
        check = asyncio.get_running_loop().run_in_executor(self._checker, _check, password, hashed)
        waiting = self._waiting.setdefault(client, [])
        waiting.append(check)
        try:
            return await check
        except asyncio.CancelledError:
            if check in waiting:
                raise  # the request was cancelled
            return None
        finally:
            if check in waiting:
                waiting.remove(check)
                if not waiting:
                    del self._waiting[client]

    def _key(self, hashed: str, name: str, password: bytes) -> bytes:
        """Of a triple; no part of it can be told from this."""
        parts = (hashed.encode(), name.encode(), password)
        framed = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
        return hmac.digest(self._secret, framed, hashlib.sha256)


def _check(password: bytes, hashed: bytes) -> bool:
    if b"\0" in password:
        return False  # bcrypt would end there
    return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed)
