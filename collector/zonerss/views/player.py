"""Where a recording is being played: at which of its snapshots, whether it goes on, and how fast. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from zonerss.views.past import local_time
from zonerss.views.text import cells, shorten

SPEEDS = tuple(2.0**power for power in range(-3, 13))
"""From an eighth of the time that it took to 4,096 times as fast."""
USUAL_SPEED = 8.0
LONGEST_SECONDS = 5.0
"""So long one snapshot is shown at most, however long there was no other one."""
LEAST_SECONDS = 0.05


class Player:
    """A place in a sequence of times, and how to go on from it."""

    def __init__(self, times: Sequence[datetime], at: int) -> None:
        """
        :param times: when each snapshot began; at least one
        :param at: the index of the first one that is shown
        """
        self.times, self.at = times, at
        self.is_playing, self.speed = False, USUAL_SPEED
        self._way = 1
        self._damaged: set[int] = set()

    @property
    def time(self) -> datetime:
        """Of the snapshot that is shown."""
        return self.times[self.at]

    @property
    def is_at_end(self) -> bool:
        """Whether there is no later one."""
        return self.at == len(self.times) - 1

    def step(self, count: int) -> None:
        """So many snapshots on, or back, as far as there are any."""
        self._way = 1 if count > 0 else -1
        self.at = min(max(self.at + count, 0), len(self.times) - 1)

    def edge(self, index: int) -> None:
        """To the first one, 0, or the last one, -1."""
        self._way = 1 if index == 0 else -1
        self.at = index % len(self.times)

    def skip(self) -> bool:
        """This one cannot be shown: on in the way that it went, or else back; False: there is none left."""
        self._damaged.add(self.at)
        for way in (self._way, -self._way):
            at = self.at + way
            while at in self._damaged:
                at += way
            if 0 <= at < len(self.times):
                self.at = at
                return True
        return False

    def toggle(self) -> None:
        """Play, from the beginning where it is at the end; or pause."""
        self.is_playing = not self.is_playing
        if self.is_playing and self.is_at_end:
            self.at = 0

    def advance(self) -> None:
        """The next one is due; after the last one it pauses."""
        self.step(1)
        self.is_playing = not self.is_at_end

    def change_speed(self, count: int) -> None:
        """So many times doubled, or halved."""
        place = min(max(SPEEDS.index(self.speed) + count, 0), len(SPEEDS) - 1)
        self.speed = SPEEDS[place]

    @property
    def wait_seconds(self) -> float:
        """How long this snapshot is shown while it plays."""
        if self.is_at_end:
            return LEAST_SECONDS
        gap = (self.times[self.at + 1] - self.time).total_seconds() / self.speed
        return min(max(gap, LEAST_SECONDS), LONGEST_SECONDS)

    def line(self, host_name: str, width: int) -> str:
        """The moment, its place and the speed; what is worth least is left out where there is no room."""
        state = f"▶ {self.speed:g}x" if self.is_playing else f"PAUSED  {self.speed:g}x"
        moment = local_time(self.time)
        place = f"{self.at + 1} of {len(self.times)}"
        for parts in (
            (shorten(host_name, 24), moment, place, state),
            (moment, place, state),
            (moment, state),
        ):
            line = f" {'  '.join(part for part in parts if part)}"
            if cells(line) <= width:
                return line
        return shorten(moment, width)
