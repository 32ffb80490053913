"""The user's rules: a regular expression for cgroup paths, and the name of the zone that a match makes. Pure.

    [[rule]]
    match = '^/batch/(?P<team>[^/]+)/job-([0-9]+)'
    name = '{team}:{2}'

The first rule whose expression is found in a path decides. The zone's cgroup is the ancestor in whose name
the match ends, so that everything below it belongs to it.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from zonerss.errors import UsageError
from zonerss.plain import dataclass
from zonerss.records import Zone

_GROUP = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; made by :func:`parse_rules`, which has checked that the name's groups exist."""

    match: re.Pattern[str]
    name: str
    """Template: {1} or {group} stands for what the expression's group matched, nothing where it did not."""

    def zone_of(self, path: str) -> Zone | None:
        """The zone of a cgroup path; None where the expression is not found in it."""
        match = self.match.search(path)
        if match is None:
            return None
        end = path.find("/", max(match.end(), 1))
        cgroup = path if end < 0 else path[:end]
        name = _GROUP.sub(lambda group: match[_key(group[1])] or "", self.name)
        return Zone(name=name, cgroup=cgroup, kind="rule")


def parse_rules(text: str, file: str) -> tuple[Rule, ...]:
    """
    The rules of a TOML file, in its order.

    :param file: what to call it in an error
    :raises UsageError: FILE:LINE:COLUMN, what is wrong there and what to do
    """
    return tuple(_rules(parse_toml(text, file), text, file))


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """
    What a TOML file says.

    :raises UsageError: FILE:LINE:COLUMN, what is wrong there
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise UsageError(_syntax_error(str(err), text, file)) from err
    except (ValueError, RecursionError) as err:  # a number of thousands of digits; lists in lists in lists
        raise UsageError(f"{file}: cannot be understood: {err}; make it simpler") from err


def _rules(document: dict[str, Any], text: str, file: str) -> list[Rule]:
    for key in document:
        if key != "rule":
            raise error_at(
                text,
                file,
                find_key(text, key),
                f"unknown table or key {key!r}; write [[rule]] before each rule",
            )
    entries = document.get("rule", [])
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise error_at(
            text, file, find_key(text, "rule"), "rule is no list of tables; write [[rule]] with two brackets"
        )
    return [_rule(entry, number, text, file) for number, entry in enumerate(entries)]


def _rule(entry: dict[str, Any], number: int, text: str, file: str) -> Rule:
    at = Position(text, number, "rule")
    for key in entry:
        if key not in ("match", "name"):
            raise error_at(text, file, at.key(key), f"unknown key {key!r}; a rule has match and name")
    for key in ("match", "name"):
        if key not in entry:
            raise error_at(text, file, at.start, f"this rule has no {key}; add {key} = '...'")
        if not isinstance(entry[key], str) or not entry[key]:
            raise error_at(
                text, file, at.value(key), f"{key} must be a text that is not empty; put it in quotes"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            match = re.compile(entry["match"])
    except Warning as err:  # [[ and the like, which Python may take for sets of sets one day
        where = at.value("match")
        raise error_at(
            text, file, where, f"match can mean two things: {err}; write \\ before what stands for itself"
        ) from err
    except re.error as err:
        where = at.value("match") + 1 + (err.pos or 0)
        raise error_at(text, file, where, f"match is no regular expression: {err.msg}; correct it") from err
    except (OverflowError, RecursionError) as err:
        raise error_at(text, file, at.value("match"), f"match is too much: {err}; make it simpler") from err
    for group in _GROUP.finditer(entry["name"]):
        if not _has_group(match, group[1]):
            where = at.value("name") + 1 + group.start()
            raise error_at(
                text, file, where, f"name uses {group[0]}, but match has no such group; {_groups(match)}"
            )
    return Rule(match=match, name=entry["name"])


class Position:
    """Where a table of a list and its keys are in the text: tomllib gives values without their positions."""

    def __init__(self, text: str, number: int, table: str) -> None:
        """:param table: ``rule`` for the numberth [[rule]]"""
        self._text = text
        header = re.compile(rf"^[ \t]*\[\[[ \t]*{re.escape(table)}[ \t]*\]\]", re.MULTILINE)
        starts = [match.start() for match in header.finditer(text)]
        if len(starts) > number:
            self.start = starts[number]
            self._end = starts[number + 1] if len(starts) > number + 1 else len(text)
        else:
            # written inline, rule = [{...}, ...]: the position is that of the whole list
            self.start, self._end = find_key(text, table), len(text)

    def key(self, key: str) -> int:
        """Offset of a key of this table; of the table where it is not found."""
        match = self._find(key)
        return match.start("key") if match else self.start

    def value(self, key: str) -> int:
        """Offset of the key's value, a quote where it is a text."""
        match = self._find(key)
        return match.end() if match else self.start

    def _find(self, key: str) -> re.Match[str] | None:
        quoted = re.escape(key)
        pattern = re.compile(rf"""(?:^|[{{,])[ \t]*(?P<key>["']?{quoted}["']?)[ \t]*=[ \t]*""", re.MULTILINE)
        return pattern.search(self._text, self.start, self._end)


def find_key(text: str, key: str) -> int:
    """Offset of a key or of a table's name; 0 where it is not found."""
    match = re.search(rf"^[ \t\[]*(?P<key>[\"']?{re.escape(key)})", text, re.MULTILINE)
    return match.start("key") if match else 0


def _key(group: str) -> int | str:
    return int(group) if group.isdecimal() else group


def _has_group(match: re.Pattern[str], group: str) -> bool:
    if group.isdecimal():
        return len(group) <= 9 and int(group) <= match.groups
    return group in match.groupindex


def _groups(match: re.Pattern[str]) -> str:
    known = [f"{{{number}}}" for number in range(match.groups + 1)] + [
        f"{{{name}}}" for name in match.groupindex
    ]
    return f"it has {', '.join(known)}"


def _syntax_error(message: str, text: str, file: str) -> str:
    # "Expected ... (at line 3, column 7)" or "... (at end of document)".
    what, _, where = message.rpartition(" (at ")
    match = re.fullmatch(r"line (\d+), column (\d+)\)", where)
    line, column = (int(match[1]), int(match[2])) if match else _line_column(text, len(text))
    return f"{file}:{line}:{column}: no valid TOML: {what or message}; correct it"


def error_at(text: str, file: str, offset: int, what: str) -> UsageError:
    """What is wrong at an offset of a file, as FILE:LINE:COLUMN: WHAT."""
    line, column = _line_column(text, offset)
    return UsageError(f"{file}:{line}:{column}: {what}")


def _line_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
