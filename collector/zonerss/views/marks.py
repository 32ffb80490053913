"""What stands out, in words: a sign, a sentence, and the command that explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zonerss.answers.marks import ALARMS, Mark, Why
from zonerss.snapshot import Snapshot
from zonerss.units import counted, format_percent
from zonerss.views.advice import advise
from zonerss.views.text import cells, printable, shorten

_NAME = 16
"""So many columns a zone's name has in a sentence, however narrow the terminal."""
MARKS_SHOWN = 3
"""So many lines where there is little room."""
_SAYS = {
    Why.LIMIT: ("{zone} has {size} of its limit of {limit} ({share})", "zone"),
    Why.KILLS: ("{count} of {zone} killed for want of memory", "zone"),
    Why.CACHE: ("{size} of the bill of {zone} is page cache that nobody maps", "explain"),
    Why.PAYS: ("{size} of the bill of {zone} is memory that only other zones map", "explain"),
    Why.BILL: ("the bill of {zone}, {size}, is more than twice its RSS", "explain"),
    Why.DEAD: ("{size} of the bill of {zone} was left by cgroups that are gone", "explain"),
    Why.UNACCOUNTED: ("{size} of the machine's memory is in none of these figures", "explain"),
}
COLUMN_OF = {
    Why.LIMIT: "used",
    Why.KILLS: "zone",
    Why.CACHE: "charged",
    Why.PAYS: "charged",
    Why.BILL: "charged",
    Why.DEAD: "charged",
}
"""Where the sign of a zone's mark stands: behind the figure in this column."""


def sign(mark: Mark) -> str:
    """``!`` for what is urgent, ``*`` for what is odd."""
    return "!" if mark.why in ALARMS else "*"


def mark_lines(
    marks: Sequence[Mark],
    snapshot: Snapshot,
    size: Callable[[int | None], str],
    most: int | None = MARKS_SHOWN,
    width: int | None = None,
) -> list[str]:
    """
    What each of the first marks says, with a command that explains it, and a line that counts the others.

    :param size: how sizes are shown
    :param most: None: all of them
    :param width: as of :func:`zonerss.views.advice.advise`
    """
    limits = {usage.zone: usage.limit_bytes for usage in snapshot.zones}
    lines = []
    for mark in marks[:most]:
        lead = f"{sign(mark)} {sentence(mark, limits, size)}"
        excess = 0 if width is None else cells(lead) + 1 - width
        if excess > 0:  # the command has the name in full, and is a line of its own
            room = max(cells(printable(mark.zone or "")) - excess, _NAME)
            lead = f"{sign(mark)} {sentence(mark, limits, size, room)}"
        if mark.zone is None and snapshot.past:  # where the machine's memory was is not kept
            lines.append(lead)
        else:
            lines += advise(lead, verb_of(mark), mark.zone, snapshot, width)
    left = 0 if most is None else max(len(marks) - most, 0)
    return [*lines, f"* and {left} more of that kind (--all shows them)"] if left else lines


def sentence(
    mark: Mark, limits: Mapping[str, int | None], size: Callable[[int | None], str], room: int | None = None
) -> str:
    """
    What is the case.

    :param limits: of zones, in bytes
    :param room: how many columns the zone's name may take; None: as many as it has
    """
    limit, name = limits.get(mark.zone or ""), printable(mark.zone or "")
    return _SAYS[mark.why][0].format(
        zone=name if room is None else shorten(name, room),
        size=size(mark.amount),
        count=counted(mark.amount, "process", "processes"),
        limit=size(limit),
        share=format_percent(mark.amount, limit or 0),
    )


def verb_of(mark: Mark) -> str:
    """The verb that explains it, of its zone where it has one."""
    return _SAYS[mark.why][1]
