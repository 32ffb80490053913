"""Commands that lines propose: as a shell takes them, whatever the names of zones, and in no line that is too wide."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zonerss.snapshot import Snapshot
from zonerss.views.past import past_words
from zonerss.views.text import cells, printable
from zonerss.zones.labels import shortest_name

_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def advise(lead: str, verb: str, zone: str | None, snapshot: Snapshot, width: int | None = None) -> list[str]:
    """
    What a line says, and the command that tells more: ``lead: zonerss VERB ZONE``.

    Where that has no room on one line, the zone is named by its shortest name. Where that has none either, the command
    has a line of its own; where even that is too long, it goes on after a backslash, as shells have it.

    :param zone: by its full name, of the snapshot's first grouping; None: the command is about none
    :param width: columns of the terminal; None: no limit
    """
    past = past_words(snapshot)
    commands = [command_of(verb, zone, snapshot.by, past)]
    line = f"{lead}: {commands[0]}"
    if width is None or cells(line) <= width:
        return [line]
    if zone is not None:
        known = {member.zones[0].name for member in snapshot.members} | {one.zone for one in snapshot.zones}
        zone = shortest_name(zone, known)
        commands.append(command_of(verb, zone, snapshot.by, past))
        line = f"{lead}: {commands[1]}"
        if cells(line) <= width:
            return [line]
    for command in commands:
        if cells(command) + 2 <= width:
            return [f"{lead}:", f"  {command}"]
    word = () if zone is None else _word(verb, zone)
    return [f"{lead}:", *_continued(_start(verb, zone, snapshot.by, past), word, width)]


def command_of(verb: str, zone: str | None, by: str, past: Sequence[str] = ()) -> str:
    """
    The command on one line, however long: ``zonerss VERB ZONE``.

    :param by: the grouping that the zone is of
    :param past: options that say of which moment
    """
    return " ".join([*_start(verb, zone, by, past), *(() if zone is None else _word(verb, zone))])


def shell_word(name: str) -> str:
    """A zone's name as a shell takes it for one word; it is looked up by its printed spelling, too."""
    text = printable(name)
    return text if _PLAIN_WORD.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _start(verb: str, zone: str | None, by: str, past: Sequence[str]) -> list[str]:
    """What stands before the name."""
    way = ["--by", by] if zone is not None and by != "zone" else []
    return ["zonerss", verb, *way, *map(shell_word, past)]


def _word(verb: str, name: str) -> tuple[str, ...]:
    """The name as an argument of the verb: a number would be a pid to ps, and what begins with a minus an option."""
    if verb == "ps" and name.isdecimal():
        return "--zone", shell_word(name)
    return ("--", shell_word(name)) if name.startswith("-") else (shell_word(name),)


def _continued(start: Sequence[str], word: Sequence[str], width: int) -> list[str]:
    """A command on several lines, each but the last of which ends with a backslash; blanks only between words."""
    lines, line = [], ""
    for part in (*start, *word[:-1]):
        if line and cells(line) + 1 + cells(part) + 2 > width:
            lines.append(f"{line} \\")
            line = ""
        line += f" {part}" if line else part
    rest = word[-1] if word else ""
    if rest and cells(line) + 1 + cells(rest) > width:
        lines.append(f"{line} \\")
        line = ""
        *full, rest = _pieces(rest, width)
        lines += [f"{piece}\\" for piece in full]
    return [*lines, f"{line} {rest}".strip()]


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces that a shell joins again where only a backslash and a newline are between them."""
    plain = not word.startswith("'")
    found, piece = [], ""
    for char in word if plain else word[1:-1].replace("'\\''", "'"):
        longer = piece + char
        if piece and cells(longer if plain else _quoted(longer)) + 1 > width:
            found.append(piece if plain else _quoted(piece))
            longer = char
        piece = longer
    return [*found, piece if plain else _quoted(piece)]
