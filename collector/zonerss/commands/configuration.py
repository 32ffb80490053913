"""The configuration: options that hold where the command line has none, and rules for names (docs/configuration.md).

    by = "zone/user"            # common: for every verb that has the option

    [ps]                        # for one verb
    sort = "-pid"
    args = true

Beside the file, rules.d/*.toml are files of rules, as --rules takes them. A key is the name of an option without its
dashes. A file that others than root could have written is refused, and so is one with an error: none of it is used.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from zonerss.commands.options import FILE_BYTES, RuleFiles, toml_text
from zonerss.commands.parser import Collect
from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.safely import read_named, read_names, read_regular, trusted
from zonerss.plain import dataclass
from zonerss.records.facts import Fact, Probe
from zonerss.zones.rules import error_at, parse_rules, parse_toml

COMMON = ("by", "source", "basis", "rules", "threads", "patience", "bytes", "json", "color")
"""Options that may stand before the first table: several verbs have them."""
_NEVER = ("help", "config", "no-config")
_MOST_FILES = 1000
_HEADER = re.compile(r"""^[ \t]*\[+[ \t]*["']?(?P<table>[\w-]+)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a file."""

    verb: str | None
    """None: it is a common one."""
    name: str
    """Without its dashes."""
    value: Any
    """As the file has it."""
    file: str
    line: int
    column: int

    def error(self, what: str) -> UsageError:
        """The sentence for what is wrong with it."""
        return UsageError(f"{self.file}:{self.line}:{self.column}: {what}")

    def is_told_in(self, sentence: str) -> bool:
        """Whether a sentence is about it: names the option, or quotes what it is set to."""
        values = self.value if isinstance(self.value, list) else [self.value]
        words = [word.lstrip("+-") for value in values for word in str(value).split(",")]
        return any(repr(word) in sentence for word in words if word) or bool(
            re.search(rf"--{re.escape(self.name)}(?![\w-])", sentence)
        )


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say."""

    files: tuple[str, ...]
    """Those that are there."""
    options: tuple[Option, ...]
    rules: tuple[tuple[str, bytes], ...]
    """Path and content of the files of rules."""

    def of(self, verb: str) -> dict[str, Option]:
        """The options of a verb's table, and the common ones that the table lacks."""
        found = {option.name: option for option in self.options if option.verb is None}
        return found | {option.name: option for option in self.options if option.verb == verb}


# ---- reading ---------------------------------------------------------------------------------------------


def read_configuration(
    file: str, was_named: bool, verbs: Collection[str], roots: Roots = HOST
) -> Configuration:
    """
    The configuration of a file, and of the rules.d beside it.

    :param was_named: it must be there. Else it is the system's: it need not be, and all on the way to it must be root's
    :param verbs: that may have tables
    :param roots: where the system's is looked for
    :raises UsageError: a file is not to be trusted, cannot be read, or holds an error; says which, where and why
    """
    read, names = (_read_named, _names_named) if was_named else _system(roots)
    files, options = [], tuple[Option, ...]()
    with _usable(file):
        content = read(file)
    if content is not None:
        files.append(file)
        options = tuple(_options(toml_text(content, file), file, verbs))
    elif was_named:
        raise UsageError(f"there is no file {file}; name one that is there, or say --no-config")
    rules = []
    directory = os.path.join(os.path.dirname(file), "rules.d")
    with _usable(directory):
        paths = [os.path.join(directory, name) for name in names(directory) if name.endswith(".toml")]
    for path in paths:
        with _usable(path):
            rules.append((path, read(path) or b""))
    return Configuration((*files, *paths), options, tuple(rules))


@contextmanager
def _usable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        raise UsageError(f"{path} is not to be used: {why}; mend that, or say --no-config") from err


# A file that somebody named is to be a file of his, root's or ours. What nobody named is to be root's, all the way.
def _read_named(path: str) -> bytes | None:
    try:
        return read_named(path, FILE_BYTES)
    except FileNotFoundError:
        return None


def _names_named(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))[:_MOST_FILES]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _system(roots: Roots) -> tuple[Callable[[str], bytes | None], Callable[[str], list[str]]]:
    owners = {os.stat(roots.host).st_uid}  # of a recorded tree whoever recorded it

    def read(path: str) -> bytes | None:
        try:
            with trusted(roots.host, path, owners) as fd:
                return read_regular(fd, owners, FILE_BYTES)
        except FileNotFoundError:
            return None

    def names(directory: str) -> list[str]:
        try:
            with trusted(roots.host, directory, owners) as fd:
                return read_names(fd, owners, _MOST_FILES)
        except (FileNotFoundError, NotADirectoryError):
            return []

    return read, names


# ---- what it says ----------------------------------------------------------------------------------------


def _options(text: str, file: str, verbs: Collection[str]) -> Iterator[Option]:
    document = parse_toml(text, file)
    for key, value in document.items():
        if isinstance(value, dict):
            if key not in verbs:
                raise error_at(text, file, _table(text, key)[0], _no_such("verb", key, verbs))
            for name, inner in value.items():
                yield _option(text, file, key, name, inner)
        elif key not in COMMON:
            what = _no_such("common option", key, COMMON)
            where = "" if key in verbs else "; an option of one verb stands in its table, as below [ps]"
            raise error_at(text, file, _key(text, None, key), f"{what}{where}")
        else:
            yield _option(text, file, None, key, value)


def _no_such(what: str, key: str, known: Collection[str]) -> str:
    others = f"there are {', '.join(known)}"
    return f"there is no {what} {key!r}; {did_you_mean(nearest(key, known)) or others}"


def _option(text: str, file: str, verb: str | None, name: str, value: Any) -> Option:
    before = text[: _key(text, verb, name)]
    return Option(verb, name, value, file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _table(text: str, table: str | None) -> tuple[int, int]:
    """Where a table begins and ends; None: what stands before the first one. Whole, where it is spelled otherwise."""
    headers = list(_HEADER.finditer(text))
    ends = [*(header.start() for header in headers[1:]), len(text)]
    if table is None:
        return 0, headers[0].start() if headers else len(text)
    for header, end in zip(headers, ends, strict=False):
        if header["table"] == table:
            return header.start("table"), end
    return _line_of(text, table), len(text)


def _line_of(text: str, key: str) -> int:
    match = re.search(rf"""^[ \t]*(?P<key>["']?{re.escape(key)}["']?)[ \t]*[.=]""", text, re.MULTILINE)
    return match.start("key") if match else 0


def _key(text: str, table: str | None, key: str) -> int:
    """Offset of a key, of its table where it is not found."""
    start, end = _table(text, table)
    pattern = rf"""(?:^|[.{{,])[ \t]*(?P<key>["']?{re.escape(key)}["']?)[ \t]*="""
    match = re.compile(pattern, re.MULTILINE).search(text, start, end)
    return match.start("key") if match else start


# ---- what it means for a verb ----------------------------------------------------------------------------


class Defaults:
    """The values that a configuration gives a verb's arguments, where the command line has none."""

    def __init__(self, parser: argparse.ArgumentParser, verb: str, configuration: Configuration) -> None:
        """
        :raises UsageError: an option that the verb does not have, a value that it does not take, or two that exclude
            each other; says where
        """
        self.values: dict[str, Any] = {}
        self._options: dict[str, Option] = {}
        """By what it sets, as the values."""
        self._rules = configuration.rules
        self._groups = [group._group_actions for group in parser._mutually_exclusive_groups]
        """Of options that exclude each other."""
        for option in configuration.of(verb).values():
            action = parser._option_string_actions.get(f"--{option.name}")
            if action is not None and option.name not in _NEVER:
                found = _values(action, option)
                self.values |= found
                self._options |= dict.fromkeys(found, option)
            elif option.verb is not None:
                known = [name[2:] for name in parser._option_string_actions if name.startswith("--")]
                raise option.error(_no_such("option", option.name, [n for n in known if n not in _NEVER]))
        for group in self._groups:
            self._choose_one([action.dest for action in group if action.dest in self.values])

    def _choose_one(self, dests: Sequence[str]) -> None:
        """Of several that exclude each other; one of the verb's table goes before a common one."""
        first, *others = sorted(dests, key=lambda dest: self._options[dest].verb is None) or [""]
        for dest in others:
            option, kept = self._options[dest], self._options[first]
            if option.verb == kept.verb:
                raise option.error(f"{option.name} and {kept.name} exclude each other: take one of them out")
            del self.values[dest], self._options[dest]

    def begin(self) -> argparse.Namespace:
        """What the words of the command line are to be added to."""
        # A list would be added to: the command line is to replace it.
        return argparse.Namespace(
            **{dest: None if isinstance(value, list) else _UNSAID for dest, value in self.values.items()}
        )

    def complete(self, args: argparse.Namespace) -> argparse.Namespace:
        """Set what the words did not, as far as it goes with them; ``configured`` has the options of that."""
        excluded = [
            action for group in self._groups if any(_is_said(args, one) for one in group) for action in group
        ]
        for action in excluded:
            if getattr(args, action.dest) is _UNSAID:
                setattr(args, action.dest, action.default)
                del self.values[action.dest]
        args.configured = {
            d: self._options[d] for d in self.values if getattr(args, d) in (_UNSAID, None, [])
        }
        for dest in args.configured:
            setattr(args, dest, self.values[dest])
        if getattr(args, "recording", None) is not None:
            from zonerss.commands.past import set_aside_what_is_of_now

            set_aside_what_is_of_now(args)
        if self._rules and hasattr(args, "rules"):
            args.rules = RuleFiles(args.rules, self._rules)
        return args


_UNSAID = object()


def _is_said(args: argparse.Namespace, action: argparse.Action) -> bool:
    """Whether the words of the command line have set it."""
    value = getattr(args, action.dest)
    return value is not _UNSAID and value != action.default


def _values(action: argparse.Action, option: Option) -> dict[str, Any]:
    """What the option sets; nothing where it is a flag that is not to be set."""
    value = option.value
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise option.error(f"{option.name} is true or false, not {value!r}")
        return {action.dest: action.const} if value else {}
    if isinstance(action, (argparse._AppendAction, Collect)):
        return {
            action.dest: [
                _value(action, option, one) for one in (value if isinstance(value, list) else [value])
            ]
        }
    if option.name == "columns" and isinstance(value, list):
        value = ",".join(map(str, value))
    return {action.dest: _value(action, option, value)}


def _value(action: argparse.Action, option: Option, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise option.error(f"{option.name} takes a text or a number, not {value!r}")
    text = str(value)
    try:
        found = action.type(text) if callable(action.type) else text
    except (argparse.ArgumentTypeError, ValueError, UsageError) as err:
        raise option.error(f"{option.name}: {err}") from err
    if action.choices is not None and found not in action.choices:
        raise option.error(f"{option.name} is one of {', '.join(map(str, action.choices))}, not {value!r}")
    return found


# ---- what is in force ------------------------------------------------------------------------------------


def probe(
    place: tuple[str, bool] | None,
    verbs: Collection[str],
    parser_of: Callable[[str], argparse.ArgumentParser],
    roots: Roots = HOST,
) -> Probe:
    """
    What is in force and from where, for all verbs; or what is wrong with it.

    :param place: file and whether it was named, as for :func:`read_configuration`; None: there is none
    """
    try:
        found = read_configuration(*place, verbs, roots) if place else Configuration((), (), ())
        for verb in {option.verb or "show" for option in found.options}:
            Defaults(parser_of(verb), verb, found)
        facts = [*map(_option_fact, found.options), *map(_rules_fact, found.rules)]
    except UsageError as err:
        return Probe(_PART, False, (Fact("configuration", False, str(err)),))
    none = Fact(
        "configuration", None, f"there is no {place[0] if place else 'configuration'}: no option is set"
    )
    return Probe(_PART, True, tuple(facts) or (none,))


_PART = "configuration"


def _option_fact(option: Option) -> Fact:
    for_whom = f"{option.verb}: " if option.verb else ""
    text = f"{for_whom}{option.name} = {option.value!r} ({option.file}:{option.line})"
    return Fact(f"{option.verb or 'common'}.{option.name}", True, text)


def _rules_fact(file: tuple[str, bytes]) -> Fact:
    path, content = file
    return Fact("rules", True, f"{len(parse_rules(toml_text(content, path), path))} rules ({path})")
