"""Arguments that need no parser: none at all, flags, and names. argparse would take a tenth of a cold command.

What it makes of them is the oracle (tests/unit/commands/test_quick.py), and whatever is not plain here is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

PLAIN = ("show", "zone")
"""Verbs that are mostly used without options, and whose modules do not import argparse."""


def quickly(module: ModuleType, verb: str, words: Sequence[str]) -> Namespace | None:
    """
    What argparse would make of these words for the verb of a module; None: ask argparse.

    These are taken: flags spelled out, as --json, once each, and words for the verb's one argument.
    """
    options = _Options()
    module.prepare(cast("ArgumentParser", options))
    values = options.values(words)
    if values is None:
        return None
    common = {"config": None, "no_config": False, "run": module.run, "verb": verb, "configuration": None}
    return cast("Namespace", SimpleNamespace(**values, **common))


class _Options:
    """Takes the place of a parser in a verb's prepare()."""

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}
        """What set_defaults() says."""
        self._defaults: dict[str, Any] = {}
        """Of each option or argument; its own goes before what was set."""
        self._flags: dict[str, tuple[str, int]] = {}
        """By its option: what it sets, and the group of those that exclude each other; 0: none."""
        self._arguments: list[tuple[str, Any]] = []
        """Name and number of words of what is no option."""
        self._groups = 0

    def set_defaults(self, **values: Any) -> None:
        self._set.update(values)

    def add_argument_group(self, *_: Any, **__: Any) -> _Options:
        return self

    def add_mutually_exclusive_group(self, **_: Any) -> _Group:
        self._groups += 1
        return _Group(self, self._groups)

    def add_argument(self, *names: str, group: int = 0, **how: Any) -> None:
        long = next((name for name in names if name.startswith("--")), names[0])
        dest = how.get("dest") or long.lstrip("-").replace("-", "_")
        if not names[0].startswith("-"):
            self._arguments.append((dest, how.get("nargs")))
            return
        is_flag = how.get("action") == "store_true"
        default = how.get("default", self._set.get(dest, False if is_flag else None))
        if is_flag:
            self._flags |= {name: (dest, group) for name in names if name.startswith("--")}
        if "type" in how and isinstance(default, str):
            default = how["type"](default)
        self._defaults.setdefault(dest, default)

    def values(self, words: Sequence[str]) -> dict[str, Any] | None:
        found, taken = self._set | self._defaults, set[Any]()
        for word in words:
            if not word.startswith("-"):
                continue
            if word not in self._flags:
                return None
            dest, group = self._flags[word]
            if dest in taken or (group and group in taken):
                return None
            taken |= {dest, group}
            found[dest] = True
        names = [word for word in words if not word.startswith("-")]
        for dest, number in self._arguments:
            if len(self._arguments) > 1 or number not in ("*", "+") or (number == "+" and not names):
                return None
            found[dest] = names
        return found if self._arguments or not names else None


class _Group:
    """Options of which one may be given."""

    def __init__(self, options: _Options, number: int) -> None:
        self._options, self._number = options, number

    def add_argument(self, *names: str, **how: Any) -> None:
        self._options.add_argument(*names, group=self._number, **how)
