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
    local: int | None = None
    """What it counted last in itself alone."""


class KillsBelow:
    """Remembers them from look to look; at the first look only those are known that are zones then."""

    def __init__(self) -> None:
        self._uppers: dict[tuple[str, str], _Upper] = {}

    def own(
        self,
        way: str,
        path: str,
        without: Collection[str],
        kills: Callable[[str], int | None],
        local: Callable[[str], int | None] = lambda path: None,
    ) -> int | None:
        """
        The kills of a cgroup less those below it; None: not known. Not below 0, since they are not read at one instant.

        :param way: the grouping that the zones are of
        :param without: cgroups below that are zones now
        :param kills: what a cgroup counts; None: it is not there
        :param local: what it counts in itself alone; None: the kernel does not tell
        """
        whole = kills(path)
        known = self._uppers.pop((way, path), None)
        if whole is None:
            return None
        if known is None or whole < known.whole:  # the first time, or it was made anew
            known, upper = None, _Upper()
        else:
            upper = known
        risen = whole - upper.whole
        for inner in without:
            upper.inner.setdefault(inner, 0)
        risen_below, some_went = _read_again(upper, kills)
        if some_went or upper.inner or upper.gone:
            here = local(path)
            risen_here = here - upper.local if here is not None and upper.local is not None else 0
            if some_went and known is not None:
                # Who was killed there after the last look, before it was removed, was counted here only.
                upper.gone += max(risen - risen_below - max(risen_here, 0), 0)
            upper.local = here
        upper.whole = whole
        if upper.inner or upper.gone:
            self._uppers[way, path] = upper  # as the one that was asked for last
            if len(self._uppers) > _MOST_UPPERS:
                del self._uppers[next(iter(self._uppers))]
        return max(whole - upper.gone - sum(upper.inner[inner] for inner in _uppermost(upper.inner)), 0)


def _read_again(upper: _Upper, kills: Callable[[str], int | None]) -> tuple[int, bool]:
    """By how much those below have risen, and whether one was removed."""
    uppermost, risen, some_went = _uppermost(upper.inner), 0, False
    for inner, before in list(upper.inner.items()):
        now = kills(inner)
        if inner in uppermost:  # what lies below another one is counted there, too
            went = now is None or now < before  # the latter: and made anew
            some_went |= went
            upper.gone += before if went else 0
            risen += (now or 0) - (0 if went else before)
        if now is None:
            del upper.inner[inner]
        else:
            upper.inner[inner] = now
    return risen, some_went


def _uppermost(paths: Collection[str]) -> set[str]:
    """Those that lie below no other."""
    return {path for path in paths if not any(str(above) in paths for above in PurePosixPath(path).parents)}
