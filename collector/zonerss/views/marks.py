"""What stands out, in words: a sign, a sentence, and the command that explains it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from zonerss.answers.marks import ALARMS, Mark, Why
from zonerss.units import format_percent
from zonerss.views.footer import counted
from zonerss.views.text import cells, printable

_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
MARKS_SHOWN = 3
"""So many lines where there is little room."""
_SAYS = {
    Why.LIMIT: ("{zone} has {size} of its limit of {limit} ({share})", "zone"),
    Why.KILLS: ("{count} of {zone} killed for want of memory", "zone"),
    Why.CACHE: ("{size} of the bill of {zone} is page cache that nobody maps", "explain"),
    Why.BILL: ("the bill of {zone}, {size}, is more than twice its RSS", "explain"),
    Why.DEAD: ("{size} of the bill of {zone} was left by cgroups that are gone", "explain"),
    Why.UNACCOUNTED: ("{size} of the machine's memory is in none of these figures", "explain"),
}
COLUMN_OF = {
    Why.LIMIT: "used",
    Why.KILLS: "zone",
    Why.CACHE: "charged",
    Why.BILL: "charged",
    Why.DEAD: "charged",
}
"""Where the sign of a zone's mark stands: behind the figure in this column."""


def sign(mark: Mark) -> str:
    """``!`` for what is urgent, ``*`` for what is odd."""
    return "!" if mark.why in ALARMS else "*"


def mark_lines(
    marks: Sequence[Mark],
    limits: Mapping[str, int | None],
    size: Callable[[int | None], str],
    most: int | None = MARKS_SHOWN,
    width: int | None = None,
) -> list[str]:
    """
    A line for each of the first marks, and one that counts the others.

    :param limits: of zones, in bytes
    :param size: how sizes are shown
    :param most: None: all of them
    :param width: where a line would be wider, the command is on a line of its own, in one piece; None: never
    """
    lines = []
    for mark in marks[:most]:
        sentence, command = _sentence(mark, limits, size)
        line = f"{sign(mark)} {sentence}: {command}"
        fits = width is None or cells(line) <= width
        lines += [line] if fits else [f"{sign(mark)} {sentence}:", f"  {command}"]
    left = 0 if most is None else max(len(marks) - most, 0)
    return [*lines, f"* and {left} more of that kind: zonerss --all"] if left else lines


def _sentence(
    mark: Mark, limits: Mapping[str, int | None], size: Callable[[int | None], str]
) -> tuple[str, str]:
    """What is the case, and the command that explains it."""
    zone = mark.zone or ""
    limit = limits.get(zone)
    sentence, verb = _SAYS[mark.why]
    command = f"zonerss {verb} {shell_word(zone)}" if mark.zone is not None else f"zonerss {verb}"
    said = sentence.format(
        zone=printable(zone),
        size=size(mark.amount),
        count=counted(mark.amount, "process", "processes"),
        limit=size(limit),
        share=format_percent(mark.amount, limit or 0),
    )
    return said, command


def shell_word(zone: str) -> str:
    """A zone's name as a shell takes it for one word; it is looked up by its printed spelling, too."""
    name = printable(zone)
    if _PLAIN_WORD.fullmatch(name):
        return name
    return "'" + name.replace("'", "'\\''") + "'"
