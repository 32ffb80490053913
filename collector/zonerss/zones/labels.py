"""Names of zones: made unique, and looked up as the user spelled them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from zonerss.errors import AmbiguousZone, UnknownZone, did_you_mean, nearest
from zonerss.plain import replace
from zonerss.records import Zone
from zonerss.zones.schemes import SHORT_ID, user_of

ZONES_OF_NOW = "zonerss show lists the zones"
"""What is said of a name that no zone has, nor nearly."""
_MOST_NAMED = 5
_UNIT_TYPE = re.compile(r"\.(?:service|scope|slice|socket|mount|swap)\Z")
_INSTANCE = re.compile(r"(?<=[^/])@[^/]*\Z")
_ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")


def label(zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """
    The same zones in the same order, renamed where two different ones have one name.

    Zones of one name get "@" and their short id, or where that is not enough the full id, then the cgroup. A zone that
    has none of these keeps its name. Below a user's slice the user chooses names, those of other zones and their marks
    among them: such zones change no name of a zone elsewhere, and are numbered where no mark is enough. The result
    depends only on which zones there are, not on their order.
    """
    zones = tuple(zones)
    users = {zone for zone in zones if user_of(zone.cgroup or "") is not None}
    names = {zone: zone.name for zone in zones}
    for tell_apart in (_short_id, _full_id, _cgroup, _everything):
        taken = Counter(names.values())
        if len(taken) == len(names):
            break
        elsewhere = Counter(name for zone, name in names.items() if zone not in users)
        for zone, name in names.items():
            count = taken[name] if zone in users else elsewhere[name]
            if count > 1 and (mark := tell_apart(zone)):
                names[zone] = f"{zone.name}@{mark}"
    found = _numbered(names, users)
    return tuple(zone if found[zone] == zone.name else replace(zone, name=found[zone]) for zone in zones)


def _numbered(names: Mapping[Zone, str], users: Collection[Zone]) -> Mapping[Zone, str]:
    """The same names where they are unique; else all but the first of each, those of users last, get a number."""
    taken = set(names.values())
    if len(taken) == len(names):
        return names
    found, given = dict(names), set[str]()
    for zone in sorted(names, key=lambda zone: (zone in users, _key(zone))):
        name, number = names[zone], 1
        while name in given or (number > 1 and name in taken):
            number += 1
            name = f"{names[zone]}@{number}"
        given.add(name)
        found[zone] = name
    return found


def _key(zone: Zone) -> tuple[str, ...]:
    return zone.name, zone.kind, zone.id or "", zone.cgroup or ""


def raw_name(name: str) -> str:
    """
    A zone's name from its printed spelling: \\xNN, \\uNNNN and \\UNNNNNNNN undone.

    systemd's unit names contain such sequences themselves, so look a name up unchanged first.
    """
    raw = _ESCAPE.sub(lambda match: _unescape_one(match[0]), name)
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _unescape_one(escape: str) -> str:
    code = int(escape[2:], 16)
    if escape[1] == "x" and code >= 0x80:
        return chr(0xDC00 + code)  # a byte that is no UTF-8
    is_byte = 0xDC80 <= code <= 0xDCFF  # as surrogateescape has it; other surrogates stand for nothing
    return chr(code) if is_byte or (code < 0x110000 and not 0xD800 <= code <= 0xDFFF) else escape


def find_names(wanted: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """
    The names of the zones that the user named: in full, or by a short name where only one zone can be meant.

    A short name is the end of a name from a slash on (``postgres-ux`` of ``/postgres-ux``, ``web/app`` of
    ``shop/web/app``), without the type of a unit (``nginx`` of ``nginx.service``), and without what follows an @
    (``postgresql`` of ``postgresql@15-main.service``). Never the beginning of a word: another zone might begin so
    tomorrow. Characters may be spelled raw or as tables and JSON print them.

    :param known: the names of all zones
    :raises AmbiguousZone: a short name that several zones have; the sentence names them
    :raises UnknownZone: no zone is called so
    """
    return tuple(_find_name(name, known) for name in wanted)


def _find_name(wanted: str, known: Collection[str]) -> str:
    spellings = dict.fromkeys((wanted, raw_name(wanted)))
    for spelling in spellings:
        if spelling in known:
            return spelling
    found = sorted(name for name in known if any(is_short_for(short, name) for short in spellings))
    if len(found) == 1:
        return found[0]
    if found:
        others = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise AmbiguousZone(
            f"{wanted!r} can mean {' or '.join(found[:_MOST_NAMED])}{others}: name one of them in full",
            wanted,
        )
    close = _close_names(wanted, known)
    hint = did_you_mean(close) or ZONES_OF_NOW
    raise UnknownZone(f"no process of this host is in a zone {wanted!r}; {hint}", wanted, close)


def shortest_name(name: str, known: Collection[str]) -> str:
    """
    The shortest of a zone's names by which :func:`find_names` finds it, and no other zone.

    :param known: the names of all zones
    """
    ends = {end for whole in _without_type(name) for end in _ends(whole)}
    for short in sorted(ends, key=lambda end: (len(end), end)):
        try:
            if find_names([short], known) == (name,):
                return short
        except UnknownZone:
            continue
    return name


def _ends(name: str) -> Iterator[str]:
    """A name, and what stands behind each of its slashes."""
    while name:
        yield name
        name = name.partition("/")[2]


def is_short_for(short: str, name: str) -> bool:
    """Whether a zone may be named so where no other may; see :func:`find_names`."""
    return bool(short) and any(end == short or end.endswith(f"/{short}") for end in _without_type(name))


def _without_type(name: str) -> set[str]:
    """A name, and the same without the type of a unit, without what follows an @, and without both."""
    unit, plain = _UNIT_TYPE.sub("", name), _INSTANCE.sub("", name)
    return {name, unit, plain, _INSTANCE.sub("", unit), _UNIT_TYPE.sub("", plain)}


def _close_names(wanted: str, known: Collection[str]) -> list[str]:
    """Names that are spelled nearly so, in full or by their last part."""
    spelled: dict[str, str] = {}
    for name in known:
        for end in (name, *_without_type(name)):
            spelled.setdefault(end, name)
            spelled.setdefault(end.rpartition("/")[2], name)
    return list(dict.fromkeys(spelled[end] for end in nearest(wanted, spelled)))


def _short_id(zone: Zone) -> str | None:
    return zone.id[:SHORT_ID] if zone.id and re.fullmatch(r"[0-9a-f]{64}", zone.id) else zone.id


def _full_id(zone: Zone) -> str | None:
    return zone.id


def _cgroup(zone: Zone) -> str | None:
    return zone.cgroup


def _everything(zone: Zone) -> str:
    return f"{zone.kind}:{zone.id or ''}:{zone.cgroup or ''}"
