"""Which kills of a cgroup of version 2 are its zone's own: not those of cgroups below it that are zones, or were.

A cgroup counts the kills in it and below (memory.events). Where the only process of one below is killed it has none any
more and is no zone at the next look: what it counts does not become the upper one's. Source: mm/memcontrol.c
memcg_memory_event().
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import PurePosixPath

from zonerss.plain import dataclass, field

_MOST_UPPERS = 5000
"""Of whom so much is remembered: those that were asked for last."""


@dataclass(slots=True)
class _Upper:
    """What is known of a cgroup that has zones below it."""

    whole: int = 0
    """What it counted last."""
    inner: dict[str, int] = field(default_factory=dict)
    """Those below that are there and are zones, or were, and what they counted last."""
    gone: int = 0
    """What those counted that were removed."""


class KillsBelow:
    """Remembers them from look to look; at the first look only those are known that are zones then."""

    def __init__(self) -> None:
        self._uppers: dict[tuple[str, str], _Upper] = {}

    def own(
        self, way: str, path: str, without: Collection[str], kills: Callable[[str], int | None]
    ) -> int | None:
        """
        The kills of a cgroup less those below it; None: not known. Not below 0, since they are not read at one instant.

        :param way: the grouping that the zones are of
        :param without: cgroups below that are zones now
        :param kills: what a cgroup counts; None: it is not there
        """
        whole = kills(path)
        upper = self._uppers.pop((way, path), None) or _Upper()
        if whole is None:
            return None
        if whole < upper.whole:  # it was made anew
            upper = _Upper()
        upper.whole = whole
        for inner in without:
            upper.inner.setdefault(inner, 0)
        _read_again(upper, kills)
        if upper.inner or upper.gone:
            self._uppers[way, path] = upper  # as the one that was asked for last
            if len(self._uppers) > _MOST_UPPERS:
                del self._uppers[next(iter(self._uppers))]
        return max(whole - upper.gone - sum(upper.inner[inner] for inner in _uppermost(upper.inner)), 0)


def _read_again(upper: _Upper, kills: Callable[[str], int | None]) -> None:
    uppermost = _uppermost(upper.inner)
    for inner, before in list(upper.inner.items()):
        now = kills(inner)
        # Removed, or removed and made anew. What lies below another one is counted there, too.
        if (now is None or now < before) and inner in uppermost:
            upper.gone += before
        if now is None:
            del upper.inner[inner]
        else:
            upper.inner[inner] = now


def _uppermost(paths: Collection[str]) -> set[str]:
    """Those that lie below no other."""
    return {path for path in paths if not any(str(above) in paths for above in PurePosixPath(path).parents)}
