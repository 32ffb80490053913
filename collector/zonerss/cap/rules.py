"""Which zone has which cap: what the command line says, and what a file of caps says. Pure, but for reading the file.

    threshold = "80%"           # do nothing while less of the machine's memory is in use

    [[cap]]
    zone = "shop-*.service"     # a zone's name, or a pattern with * and ?
    cap = "400M"
    floor = "100M"              # never page out below this
    may = ["anon", "file"]      # of anon, file, shmem, reclaim; all where it is not said
    command = ["/usr/local/bin/tell", "me"]
    optional = true             # there need not be such a zone

    [[cap]]
    zone = "db.service"
    never = true                # leave it alone, whatever stands below

The first table whose zone matches decides. Names of cgroups below a user's slice are that user's choice: no name makes
a pattern match less, and one that makes a short name ambiguous touches no other rule (:meth:`Caps.judge`).

A file that others than root could have written is refused, and so is one with an error: none of it is used, and whoever
has read it before keeps to what it said then.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from zonerss.cap.records import MAY, Cap
from zonerss.errors import UnknownZone, UsageError, ZonerssError, did_you_mean, nearest
from zonerss.kernel.safely import read_kept
from zonerss.plain import dataclass, replace
from zonerss.zones.labels import ZONES_OF_NOW, find_names, is_short_for, raw_name
from zonerss.zones.rules import Position, error_at, find_key, parse_toml

CAPS = "/etc/zonerss/caps.toml"
MOST_BYTES = 1 << 20
"""As long may a file of caps be."""
_TABLE_KEYS = ("zone", "cap", "floor", "may", "command", "never", "optional")
_KEYS = ("threshold", "cold", "cap")
_WILD = re.compile(r"[*?]")
_MOST_WORDS, _MOST_WORD = 64, 4096
_ARGUMENT = "argument"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How quantities are spelled; each raises an ArgumentTypeError whose text is a sentence."""

    size: Callable[[str], int]
    duration: Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is to be done with the zones that a pattern matches."""

    pattern: str
    cap: Cap | None
    """None: nothing, ever."""
    optional: bool
    """There need not be such a zone."""
    origin: str
    """Where it stands: FILE:LINE:COLUMN, or "argument"."""

    def zones(self, known: Collection[str]) -> tuple[str, ...]:
        """
        The zones that it is for.

        A pattern is one whatever zones there are: a zone that is called as it is spelled is one of those it matches.
        Where it says never, names are matched without what :func:`zonerss.zones.labels.label` puts behind an @, too:
        another zone of the same name, whoever makes it, takes none out.

        :param known: the names of all zones
        :raises UsageError: a name without * or ? can mean several; says where it stands
        """
        if _WILD.search(self.pattern):
            pattern = self.pattern.replace("[", "[[]")  # is no wildcard here
            spelled = _without_marks if self.cap is None else _as_it_is
            return tuple(
                sorted(name for name in known if any(fnmatchcase(one, pattern) for one in spelled(name)))
            )
        try:
            return find_names([self.pattern], known)
        except UnknownZone as err:
            if err.exit_status == UsageError.exit_status:
                raise UsageError(f"{self._where}{err}") from err
            return ()

    def all_it_can_mean(self, known: Collection[str]) -> tuple[str, ...]:
        """The zones of a name that can mean several: see :func:`zonerss.zones.labels.find_names`."""
        spelled = (self.pattern, raw_name(self.pattern))
        return tuple(sorted(name for name in known if any(is_short_for(short, name) for short in spelled)))

    @property
    def is_argument(self) -> bool:
        """Somebody waits for the answer who can correct it."""
        return self.origin == _ARGUMENT

    @property
    def _where(self) -> str:
        return "" if self.is_argument else f"{self.origin}: "

    def no_zone(self, known: Collection[str], otherwise: str = ZONES_OF_NOW) -> ZonerssError:
        """
        The sentence for a rule that is for no zone that is there. In a file it is an error of the file.

        :param otherwise: what it says where no zone has a name that is spelled nearly so
        """
        close = nearest(self.pattern, known)
        sentence = f"{self._where}no zone is called {self.pattern!r}; {did_you_mean(close) or otherwise}"
        if self.is_argument:
            return UnknownZone(sentence, self.pattern, close)
        return UsageError(f"{sentence}; optional = true lets it be missing")


def _as_it_is(name: str) -> tuple[str, ...]:
    return (name,)


def _without_marks(name: str) -> tuple[str, ...]:
    """A name, and what of it stands before an @."""
    return (name, *(name[: at.start()] for at in re.finditer("@", name)))


@dataclass(frozen=True, slots=True)
class Caps:
    """All that was said."""

    rules: tuple[Rule, ...]
    threshold: float | None = None
    """Do nothing while less of the machine's memory is in use, as a share; None: it was not said."""
    cold_seconds: float | None = None
    """How long a page must not have been touched to be cold; None: it was not said."""

    def of(
        self, known: Collection[str], must_match: bool = False, otherwise: str = ZONES_OF_NOW
    ) -> dict[str, Cap]:
        """
        The cap of each zone that has one; the first rule that is for it decides.

        :param known: the names of all zones
        :param must_match: a rule that is for no zone is an error, unless it is optional
        :param otherwise: as of :meth:`Rule.no_zone`
        :raises UnknownZone: a rule of the command line is for no zone
        :raises UsageError: one of a file is, or a name can mean several zones; says where
        """
        found: dict[str, Cap | None] = {}
        for rule in self.rules:
            zones = rule.zones(known)
            if must_match and not zones and not rule.optional:
                raise rule.no_zone(known, otherwise)
            for zone in zones:
                found.setdefault(zone, rule.cap and replace(rule.cap, zone=zone))
        return {zone: cap for zone, cap in found.items() if cap is not None}

    def judge(self, known: Collection[str]) -> tuple[dict[str, Cap], tuple[str, ...]]:
        """
        As :meth:`of`, but one rule that is for no zone, or whose name can mean several, says nothing of the others.

        A name that can mean several zones leaves all of them alone: ``never`` holds for each, a cap for none of them,
        and no rule below it takes its place.

        :return: the cap of each zone that has one, and what is wrong, a sentence without its end each
        """
        found, problems = dict[str, Cap | None](), list[str]()
        for rule in self.rules:
            cap = rule.cap
            try:
                zones = rule.zones(known)
            except UsageError as err:
                zones, cap = rule.all_it_can_mean(known), None
                problems.append(f"{err}; until then they are left alone")
            if not zones and not rule.optional:
                problems.append(str(rule.no_zone(known)))
            for zone in zones:
                found.setdefault(zone, cap and replace(cap, zone=zone))
        return {zone: cap for zone, cap in found.items() if cap is not None}, tuple(problems)

    def demand_arguments(self, known: Collection[str]) -> None:
        """
        Each rule of the command line is for a zone that is there.

        :raises UnknownZone: it is for none
        :raises UsageError: its name can mean several
        """
        Caps(tuple(rule for rule in self.rules if rule.is_argument)).of(known, must_match=True)

    def below(self, first: Caps) -> Caps:
        """What ``first`` says, and this where that says nothing."""
        return Caps(
            (*first.rules, *self.rules),
            self.threshold if first.threshold is None else first.threshold,
            self.cold_seconds if first.cold_seconds is None else first.cold_seconds,
        )


# ---- the command line --------------------------------------------------------------------------------------


def caps_of_words(words: Iterable[str], size: Callable[[str], int]) -> Caps:
    """
    The caps of arguments ZONE=SIZE.

    :raises UsageError: an argument is none, or two are for one zone
    """
    rules: dict[str, Rule] = {}
    for word in words:
        zone, sign, cap = word.rpartition("=")
        if not sign or not zone or not cap:
            raise UsageError(f"{word!r} is no cap: say ZONE=SIZE, as in web.service=400M")
        if zone in rules:
            raise UsageError(f"{zone!r} has two caps: give one")
        try:
            found = Cap(zone=zone, cap_bytes=_positive(size(cap)), origin=_ARGUMENT)
        except argparse.ArgumentTypeError as err:
            raise UsageError(f"{word!r} is no cap: {err}") from err
        rules[zone] = Rule(zone, found, False, _ARGUMENT)
    return Caps(tuple(rules.values()))


def _positive(size_bytes: int) -> int:
    if size_bytes <= 0:
        raise argparse.ArgumentTypeError("a cap of nothing cannot be held")
    return size_bytes


def share(text: str) -> float:
    """
    A share of the machine's memory: 80% is 0.8, and so is 80. A number up to 1 needs its %: 0.8 could mean either.

    :raises argparse.ArgumentTypeError: it is none from 0% to 100%
    """
    match = re.fullmatch(r"(?a)(\d{1,3}(?:\.\d{1,6})?)(%?)", text)
    if not match or float(match[1]) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of memory: say 0% to 100%, as in 80%")
    if not match[2] and 0 < float(match[1]) <= 1:
        percent = f"{100 * float(match[1]):.6g}"
        raise argparse.ArgumentTypeError(
            f"{text!r} can be {percent}% or {text}%: say {percent}%, if that is meant"
        )
    return float(match[1]) / 100


# ---- the file ----------------------------------------------------------------------------------------------


def read_caps(file: str, spelling: Spelling, owners: Collection[int] = (0,)) -> Caps | None:
    """
    The caps of a file; None: there is none of that name.

    :param owners: user ids that may have written it
    :raises UsageError: it is not to be trusted, cannot be read, or holds an error; says where and why
    """
    try:
        content = read_kept(file, owners, MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        raise UsageError(f"{file} is not to be used: {why}; caps are root's to set") from err
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise UsageError(f"{file}:{line}: no UTF-8; correct it") from err
    return parse_caps(text, file, spelling)


def parse_caps(text: str, file: str, spelling: Spelling) -> Caps:
    """
    The caps of a TOML file, in its order.

    :param file: what to call it in an error
    :raises UsageError: FILE:LINE:COLUMN, what is wrong there and what to do
    """
    document = parse_toml(text, file)
    for key in document:
        if key not in _KEYS:
            what = f"unknown key {key!r}; {_known(key, _KEYS)}; write [[cap]] before each cap"
            raise error_at(text, file, find_key(text, key), what)
    entries = document.get("cap", [])
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        where = find_key(text, "cap")
        raise error_at(text, file, where, "cap is no list of tables; write [[cap]] with two brackets")
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(entries):
        table = _Table(text, file, number, entry)
        rule = _rule(table, spelling)
        if rule.pattern in rules:
            before = rules[rule.pattern].origin
            raise table.error("zone", f"{rule.pattern!r} has a cap already, at {before}; take one out")
        rules[rule.pattern] = rule
    return Caps(
        tuple(rules.values()),
        _top(document, "threshold", share, text, file),
        _top(document, "cold", spelling.duration, text, file),
    )


def _known(key: str, keys: Collection[str]) -> str:
    return did_you_mean(nearest(key, keys)) or f"there are {', '.join(keys)}"


def _top(
    document: Mapping[str, Any], key: str, parse: Callable[[str], float], text: str, file: str
) -> float | None:
    if key not in document:
        return None
    try:
        return parse(_spelled(document[key]))
    except argparse.ArgumentTypeError as err:
        raise error_at(text, file, find_key(text, key), f"{key}: {err}") from err


def _spelled(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise argparse.ArgumentTypeError(f"a text or a number is wanted, not {value!r}")
    return str(value)


@dataclass(frozen=True, slots=True)
class _Table:
    """One [[cap]], and where its keys stand."""

    text: str
    file: str
    number: int
    entry: Mapping[str, Any]

    @property
    def at(self) -> Position:
        return Position(self.text, self.number, "cap")

    @property
    def origin(self) -> str:
        """FILE:LINE:COLUMN of its beginning."""
        return str(error_at(self.text, self.file, self.at.start, "")).removesuffix(": ")

    def error(self, key: str, what: str) -> UsageError:
        """What is wrong with a key's value."""
        return error_at(self.text, self.file, self.at.value(key), what)

    def size(self, key: str, parse: Callable[[str], int]) -> int | None:
        """A size; None: it is not there."""
        if key not in self.entry:
            return None
        try:
            return parse(_spelled(self.entry[key]))
        except argparse.ArgumentTypeError as err:
            raise self.error(key, f"{key}: {err}") from err

    def flag(self, key: str) -> bool:
        """true or false; false where it is not there."""
        value = self.entry.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"{key} is true or false, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; None: it is not there."""
        if key not in self.entry:
            return None
        value = self.entry[key]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(key, f'{key} must be a list of texts, as in ["one", "two"]')
        return tuple(value)


def _rule(table: _Table, spelling: Spelling) -> Rule:
    for key in table.entry:
        if key not in _TABLE_KEYS:
            where = table.at.key(key)
            what = f"unknown key {key!r}; {_known(key, _TABLE_KEYS)}"
            raise error_at(table.text, table.file, where, what)
    zone = table.entry.get("zone")
    if zone is None:
        raise error_at(table.text, table.file, table.at.start, "this cap has no zone; add zone = '...'")
    if not isinstance(zone, str) or not zone:
        raise table.error("zone", "zone must be a text that is not empty: a zone's name, or a pattern")
    optional = table.flag("optional")
    if table.flag("never"):
        if more := [key for key in table.entry if key not in ("zone", "never", "optional")]:
            raise table.error("never", f"never = true leaves the zone alone: take {more[0]} out, or never")
        return Rule(zone, None, optional, table.origin)
    return Rule(zone, _cap(table, zone, spelling), optional, table.origin)


def _cap(table: _Table, zone: str, spelling: Spelling) -> Cap:
    cap = table.size("cap", lambda text: _positive(spelling.size(text)))
    if cap is None:
        raise error_at(table.text, table.file, table.at.start, "this cap has no cap; add cap = '400M'")
    floor = table.size("floor", spelling.size) or 0
    if floor > cap:
        raise table.error("floor", f"floor ({table.entry['floor']}) is above cap ({table.entry['cap']})")
    may = table.texts("may")
    for word in may or ():
        if word not in MAY:
            raise table.error("may", f"may has {word!r}; {_known(word, sorted(MAY))}")
    return Cap(
        zone=zone,
        cap_bytes=cap,
        floor_bytes=floor,
        may=frozenset(MAY if may is None else may),
        command=_command(table),
        origin=table.origin,
    )


def _command(table: _Table) -> tuple[str, ...]:
    command = table.texts("command")
    if command is None:
        return ()
    if not command or not command[0].startswith("/"):
        raise table.error("command", "command begins with the whole path of a program: it is no shell's line")
    if (
        any("\0" in word for word in command)
        or len(command) > _MOST_WORDS
        or max(map(len, command)) > _MOST_WORD
    ):
        raise table.error("command", "command has a word that no program can be given, or too many")
    return command
