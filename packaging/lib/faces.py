"""The face of each verb, from its parser: what its man page and the completions of shells are made from."""

from __future__ import annotations

import argparse
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from zonerss.commands import VERBS
from zonerss.commands.parser import Help, verb_parser
from zonerss.schemas import names as schema_names
from zonerss.views.glossary import WORDS
from zonerss.walk.choices import BASES, SOURCES
from zonerss.zones.ways import WAYS

_WIDE = 1 << 20


@dataclass(frozen=True, slots=True)
class Values:
    """What a shell may complete an argument with."""

    kind: str
    """words; list: several of the words, with commas between them; zones, caps (ZONE=), pids, files, any."""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """An option, or what stands by itself."""

    options: tuple[str, ...]
    """How it is spelled; none: it is positional."""
    metavar: str | None
    """None: a flag, which takes no value."""
    help: str
    values: Values


@dataclass(frozen=True, slots=True)
class Group:
    """Arguments below one heading."""

    title: str | None
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """What a verb takes."""

    verb: str
    summary: str
    description: str
    """Paragraphs, with an empty line between them."""
    usages: tuple[str, ...]
    """Each on one line, from `zonerss` on."""
    groups: tuple[Group, ...]
    takes_command: bool
    """Whether a command of its own may follow --."""

    @property
    def arguments(self) -> Iterator[Argument]:
        """All of them."""
        return (argument for group in self.groups for argument in group.arguments)

    @property
    def options(self) -> list[Argument]:
        """Those with a name."""
        return [argument for argument in self.arguments if argument.options]

    @property
    def positionals(self) -> list[Argument]:
        """Those without."""
        return [argument for argument in self.arguments if not argument.options]


def faces() -> list[Face]:
    """Of all verbs."""
    return [face(verb) for verb in VERBS]


def face(verb: str) -> Face:
    """Of one verb."""
    parser = verb_parser(verb)
    parser.formatter_class = functools.partial(Help, width=_WIDE)  # type: ignore[assignment]
    columns = _columns(parser)
    usage = parser.format_usage().removeprefix("usage: ")
    groups = (
        Group(
            None if group.title in ("positional arguments", "options") else group.title,
            tuple(
                _argument(parser, action, columns)
                for action in group._group_actions
                if action.help != argparse.SUPPRESS
            ),
        )
        for group in parser._action_groups
    )
    return Face(
        verb=verb,
        summary=VERBS[verb],
        description=inspect.cleandoc(parser.description or ""),
        usages=tuple(" ".join(line.split()) for line in usage.splitlines()),
        groups=tuple(group for group in groups if group.arguments),
        takes_command=parser.takes_command,
    )


def _argument(parser: argparse.ArgumentParser, action: argparse.Action, columns: tuple[str, ...]) -> Argument:
    metavar = None if action.nargs == 0 else str(action.metavar or action.dest)
    return Argument(
        options=tuple(action.option_strings),
        metavar=metavar,
        help=parser._get_formatter()._expand_help(action) if action.help else "",
        values=_values(metavar, action, columns),
    )


def _columns(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """The columns that --columns takes, which its help lists."""
    action = parser._option_string_actions.get("--columns")
    told = (action.help or "") if action else ""
    return tuple(told.partition("The columns are ")[2].split(", ")) if action else ()


def _values(metavar: str | None, action: argparse.Action, columns: tuple[str, ...]) -> Values:
    if action.choices is not None:
        return Values("words", tuple(map(str, action.choices)))
    ways = [way.removesuffix("N") for way in WAYS if way != "WAY/WAY"]
    return {
        "SOURCE": Values("words", SOURCES),
        "BASIS": Values("words", BASES),
        "WAY": Values("words", (*ways, "zone/user", "zone/euser", "zone/slice", "zone/session")),
        "COLUMNS": Values("list", columns),
        "COLUMN": Values("words", columns),
        "NAME": Values("words", tuple(schema_names())),
        "VERB|WORD": Values("words", (*VERBS, "words", *(word for word in WORDS if " " not in word))),
        "ZONE": Values("zones"),
        "PID|ZONE": Values("zones"),
        "ZONE=SIZE": Values("caps"),
        "PID": Values("pids"),
        "FILE": Values("files"),
        "OUT": Values("files"),
    }.get(metavar or "", Values("any"))
