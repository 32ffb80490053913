"""The parser of a verb's arguments, and its help. argparse and what it imports cost 10 ms: see quick.py."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from zonerss.commands.verbs import CONFIGURATION, VERBS
from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.views.text import fit


class Help(argparse.HelpFormatter):
    """Keeps paragraphs, and the lines of a table; these and the usage are wrapped at the width of the terminal."""

    def __init__(self, prog: str, *how: Any, **more: Any) -> None:
        super().__init__(prog, *how, **{"width": terminal_columns() - 2, **more})

    def _format_usage(self, *how: Any) -> str:
        usage: str = super()._format_usage(*how)
        return "\n".join(fit(usage.splitlines(), self._width)) + "\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = super()._fill_text
        return "\n\n".join(
            "\n".join(fit((indent + line for line in part.splitlines()), width))
            if "  " in part
            else filled(part, width, indent)
            for part in text.strip().split("\n\n")
        )


def terminal_columns() -> int:
    """As shutil.get_terminal_size() has them, without shutil: it would import bz2 and lzma."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 80
    return columns or 80


class Collect(argparse.Action):
    """Collects what is given as arguments and what is given by an option of the same meaning in one list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add what was given to what was given before."""
        more = [values] if isinstance(values, str) else values
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest, None) or ()), *more])


_WITH_MINUS = ("--sort", "--at", "--since", "--until")
"""Options whose values may begin with a minus."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is for those who ask for it."""

    takes_command = False
    """Whether all that follows -- is a command, which becomes the argument ``command``."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.register("action", "collect", Collect)

    def error(self, message: str) -> NoReturn:
        """:raises UsageError: always"""
        what, _, words = message.partition("unrecognized arguments: ")
        option = words.partition("=")[0].split(" ")[0]
        close = nearest(option, self._option_string_actions) if not what and option.startswith("--") else []
        raise UsageError(f"{message}; {did_you_mean(close) or f'see `{self.prog} --help`'}")

    def parse_words(
        self, words: Sequence[str], begin: Callable[[], argparse.Namespace] = argparse.Namespace
    ) -> argparse.Namespace:
        """
        As parse_args(), with arguments anywhere between the options, and columns and times that begin with a minus.

        :param begin: makes the namespace that they are added to
        """
        if self.takes_command and "--" in words:
            end = words.index("--")
            args = self.parse_words(words[:end], begin)
            args.command = list(words[end + 1 :])
            return args
        joined: list[str] = []
        for word in words:
            if joined and joined[-1] in _WITH_MINUS and word.startswith("-") and not word.startswith("--"):
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        args, rest = self.parse_known_args(joined, begin())
        if not rest:
            return args
        try:
            return self.parse_intermixed_args(joined, begin())
        except TypeError:  # an argument takes all that follows
            self.error(f"unrecognized arguments: {' '.join(rest)}")


class _Version(argparse.Action):
    """Prints what zonerss this is, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        """:raises SystemExit: always"""
        print(import_module("zonerss.commands.version").version())
        parser.exit()


_WORDS = (
    "`zonerss help words` says what the words mean: zone, walk, frame, kind, part, gap, basis and others."
)


def overview() -> argparse.ArgumentParser:
    """What tells about zonerss itself, and lists the verbs."""
    parser = Parser(
        prog="zonerss",
        usage="zonerss [VERB] [OPTIONS]\n       zonerss ZONE [OPTIONS]",
        description="How much physical memory each zone uses: each container, service and user. A page counts once "
        "in a zone,\nhowever many of its processes map it, and in full in every zone that maps it. Run as root.",
        epilog=f"Without a verb, zonerss shows all zones. `zonerss help VERB` tells more about a verb.\n{_WORDS}",
        formatter_class=Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    parser.add_argument_group("verbs", "\n".join(f"{name:<9} {summary}" for name, summary in VERBS.items()))
    return parser


def verb_parser(verb: str) -> Parser:
    """What takes the arguments of a verb; only its module is imported."""
    module = import_module(f"zonerss.commands.{verb}")
    parser = Parser(
        prog=f"zonerss {verb}",
        description=module.__doc__,
        epilog=_WORDS,
        formatter_class=Help,
        allow_abbrev=False,
    )
    module.prepare(parser)
    parser.add_argument(
        "--config", metavar="FILE", help=f"options that hold where none is given (default: {CONFIGURATION})"
    )
    parser.add_argument("--no-config", action="store_true", help="without any configuration")
    parser.set_defaults(run=module.run, verb=verb)
    return parser
