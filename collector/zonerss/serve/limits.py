"""How many may be connected, how long they may take, and who has to go where there are too many. Pure.

A newcomer is let in as long as there is anybody who has not asked yet: the one of them who has been silent longest
has to go, of the same client if that one has too many, else of the client that has most. So clients that connect and
say nothing cannot keep others out, whoever they are. Where all have asked, the first of the client that has most has to
go, if the newcomer has fewer even then. So a few clients that do not take their answers cannot keep others out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from zonerss.plain import dataclass
from zonerss.serve.webconfig import RateLimit

FIRST_BYTE_SECONDS = 10.0
"""From connecting until something comes: until then a connection costs little more than its file."""
HANDSHAKE_SECONDS = 5.0
"""From then on, for TLS."""
HEAD_SECONDS = 10.0
"""From then until the whole head of a request is there."""
ANSWER_SECONDS = 30.0
"""From then until the client has taken the whole answer."""
MOST_CONNECTIONS = 512
MOST_OF_ONE = 400
LINE_BYTES = 4096
"""Of the request line, and of each header."""
HEADERS = 64
HEAD_BYTES = 32 * 1024


@dataclass(eq=False, slots=True)
class Place:
    """One connection."""

    client: Hashable
    close: Callable[[], None]
    """Ends it."""
    has_asked: bool = False
    """The whole head of its request was there."""


class Places:
    """Who is connected."""

    def __init__(self, most: int = MOST_CONNECTIONS, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._places: dict[Hashable, dict[Place, None]] = {}
        self.count = 0
        """How many are connected."""
        self.evicted = 0
        """How many had to go for others."""
        self.refused = 0
        """How many were not let in: all who are connected are being answered, and no other client has more of them."""

    def enter(self, client: Hashable, close: Callable[[], None]) -> Place | None:
        """
        A place for a new connection; None: there is none.

        :param close: is called when it has to go for others
        """
        own = self._places.get(client, {})
        is_one_too_many = len(own) >= self._most_of_one
        if is_one_too_many or self.count >= self._most:
            leaving = _oldest_silent(own) if is_one_too_many else self._leaving(len(own))
            if leaving is None:
                self.refused += 1
                return None
            self._evict(leaving)
        place = Place(client, close)
        self._places.setdefault(client, {})[place] = None
        self.count += 1
        return place

    def leave(self, place: Place) -> None:
        """It is not connected any more. A second call does nothing."""
        own = self._places.get(place.client, {})
        if place in own:
            del own[place]
            self.count -= 1
            if not own:
                del self._places[place.client]

    def _leaving(self, own: int) -> Place | None:
        """Who has to go for a client that has so many; None: nobody."""
        silent = _oldest_silent(max(self._places.values(), key=_silent))
        most = max(self._places.values(), key=len)
        return silent or (next(iter(most)) if own + 1 < len(most) else None)

    def _evict(self, place: Place) -> None:
        self.leave(place)
        self.evicted += 1
        place.close()


def _oldest_silent(places: dict[Place, None]) -> Place | None:
    return next((place for place in places if not place.has_asked), None)


def _silent(places: dict[Place, None]) -> int:
    return sum(not place.has_asked for place in places)


class Bucket:
    """Tokens, of which each request takes one."""

    def __init__(self, limit: RateLimit | None, clock: Callable[[], float]) -> None:
        """:param clock: seconds, never going back"""
        self._limit, self._clock = limit, clock
        self._tokens = float(limit.burst) if limit else 0.0
        self._last = clock()

    def take(self) -> bool:
        """Whether there was one left."""
        if self._limit is None:
            return True
        now = self._clock()
        grown = (now - self._last) / self._limit.interval_seconds
        self._tokens, self._last = min(self._tokens + grown, float(self._limit.burst)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
