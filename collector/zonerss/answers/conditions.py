"""Conditions on a report, as --fail-on takes them: growth(ZONE)>1M/min, rss(ZONE)>80M, verdict(*)=grows. Pure.

    condition  = test { "," test }
    test       = "growth" "(" zones ")" order SIZE "/" ( "s" | "min" | "h" | "d" )
               | ( "rss" | "first" | "last" | "peak" | "charged" ) "(" zones ")" order SIZE
               | "verdict" "(" zones ")" ( "=" | "!=" ) ( "steady" | "grows" | "saw-tooth" | "bill-only" | "unsharing" )
    order      = ">" | ">=" | "<" | "<="
    zones      = a name, with * for any text and ? for any character

rss is the peak. Blanks count nowhere but within a name. A name with a parenthesis, a comma or a star in it stands
between quotes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from zonerss.answers.report import Report, ZoneReport
from zonerss.answers.verdict import Word
from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.plain import dataclass

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SIZES: dict[str, Callable[[ZoneReport], int | None]] = {
    "rss": lambda zone: zone.peak.size_bytes,
    "peak": lambda zone: zone.peak.size_bytes,
    "first": lambda zone: zone.first.size_bytes,
    "last": lambda zone: zone.last.size_bytes,
    "charged": lambda zone: max(
        (one for one in zone.rows.column("charged") if one is not None), default=None
    ),
}
_WORDS = ("growth", *_SIZES, "verdict")
_SIZE = re.compile(r"(?ai)(\d{1,18}(?:\.\d{0,9})?)(?:([KMGTPE])(?:i?B)?|B)?")
_UNITS = "KMGTPE"
_LONGEST = 4096
"""Characters of a condition."""


class BadCondition(UsageError):
    """A condition that is none; the sentence has its place."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of some zones."""

    text: str
    """As it was written."""
    what: str
    zones: str
    """A name, or a pattern."""
    is_quoted: bool
    """It is a name, whatever is in it."""
    holds: Callable[[ZoneReport], bool | None]
    """Whether it does of a zone; None: that is not known."""

    @property
    def is_name(self) -> bool:
        """Whether it is about one zone, and not about all whose names fit a pattern."""
        return self.is_quoted or not set(self.zones) & set("*?")

    def is_about(self, name: str) -> bool:
        """Whether it is about the zone of this name; a leading slash may be left out."""
        if self.is_name:
            return name in (self.zones, f"/{self.zones}")
        pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in self.zones)
        return re.fullmatch(f"/?(?:{pattern})", name, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a condition."""

    condition: Condition
    holding: Sequence[ZoneReport]
    """The zones of which it holds."""
    unknown: Sequence[ZoneReport]
    """Those of which it is not known."""
    asked: int
    """How many zones it is about."""


def parse_conditions(text: str) -> list[Condition]:
    """
    The conditions in a text.

    :raises BadCondition: it is none; says where
    """
    return _Parser(text).conditions()


def outcomes(conditions: Sequence[Condition], report: Report) -> list[Held]:
    """What comes of each condition."""
    found = []
    for condition in conditions:
        zones = [zone for zone in report.zones if condition.is_about(zone.usage.zone)]
        said = [(zone, condition.holds(zone)) for zone in zones]
        found.append(
            Held(
                condition,
                [zone for zone, holds in said if holds],
                [zone for zone, holds in said if holds is None],
                len(zones),
            )
        )
    return found


class _Parser:
    """One look ahead, by hand: so an error has its place."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        if len(text) > _LONGEST:
            raise BadCondition(f"a condition of --fail-on has {_LONGEST} characters at the most")

    def conditions(self) -> list[Condition]:
        found = [self._test()]
        while self._skip() and self._peek() == ",":
            self._at += 1
            found.append(self._test())
        if self._at < len(self._text):
            self._refuse("a comma and another test, or the end")
        return found

    def _test(self) -> Condition:
        self._skip()
        start = self._at
        what = self._word()
        if what not in _WORDS:
            hint = did_you_mean(nearest(what, _WORDS)) if what else None
            self._at = start
            self._refuse(f"one of {', '.join(_WORDS)}", hint)
        self._demand("(")
        zones, is_quoted = self._zones()
        self._demand(")")
        holds = self._verdict() if what == "verdict" else self._compared(what)
        return Condition(self._text[start : self._at].strip(), what, zones, is_quoted, holds)

    def _zones(self) -> tuple[str, bool]:
        self._skip()
        start, quote = self._at, self._peek()
        if quote in ("'", '"') and quote:
            end = self._text.find(quote, start + 1)
            if end < 0:
                self._refuse(f"a {quote} that ends the name")
            self._at = end + 1
            name = self._text[start + 1 : end]
        else:
            while self._peek() not in ("", ")", "(", ","):
                self._at += 1
            name = self._text[start : self._at].strip()
        if not name:
            self._at = start
            self._refuse("the name of a zone, or *")
        return name, self._text[start] in "'\""

    def _compared(self, what: str) -> Callable[[ZoneReport], bool | None]:
        self._skip()
        name = next((name for name in _ORDERS if self._text.startswith(name, self._at)), None)
        if name is None:
            self._refuse("> or >= or < or <=")
        self._at += len(name)
        order, limit = _ORDERS[name], self._size()
        if what != "growth":
            size = _SIZES[what]
            return lambda zone: None if (found := size(zone)) is None else order(found, limit)
        pace = limit / self._per()
        return lambda zone: None if (found := zone.verdict.bytes_per_second) is None else order(found, pace)

    def _verdict(self) -> Callable[[ZoneReport], bool | None]:
        self._skip()
        is_not = self._text.startswith("!=", self._at)
        if not is_not and self._peek() != "=":
            self._refuse("= or !=")
        self._at += 1 + is_not
        self._skip()
        start, word = self._at, self._word()
        if word not in set(Word):
            self._at = start
            self._refuse(f"one of {', '.join(Word)}", did_you_mean(nearest(word, Word)) if word else None)
        return lambda zone: None if zone.verdict.word is None else (zone.verdict.word == word) != is_not

    def _size(self) -> float:
        self._skip()
        match = _SIZE.match(self._text, self._at)
        if match is None:
            self._refuse("a size, as in 80M")
        self._at = match.end()
        power = _UNITS.index(match[2].upper()) + 1 if match[2] else 0
        return float(match[1]) * float(1 << 10 * power)

    def _per(self) -> int:
        self._demand("/", "a time, as in 1M/min")
        self._skip()
        start, unit = self._at, self._word()
        if unit not in _SECONDS:
            self._at = start
            self._refuse(f"one of {', '.join(_SECONDS)}")
        return _SECONDS[unit]

    def _word(self) -> str:
        start = self._at
        while (char := self._peek()) and (char.isalpha() or char == "-"):
            self._at += 1
        return self._text[start : self._at]

    def _demand(self, char: str, what: str = "") -> None:
        self._skip()
        if self._peek() != char:
            self._refuse(f"{char}{f' and {what}' if what else ''}")
        self._at += 1

    def _skip(self) -> bool:
        while self._peek() in (" ", "\t") and self._peek():
            self._at += 1
        return True

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _refuse(self, wanted: str, hint: str | None = None) -> NoReturn:
        there = self._text[self._at : self._at + 12]
        found = f"not {there!r}" if there else "but it ends"
        raise BadCondition(
            f"--fail-on {self._text!r}: at character {self._at + 1} there must be {wanted}, {found}"
            f"{f'; {hint}' if hint else ''}"
        )
