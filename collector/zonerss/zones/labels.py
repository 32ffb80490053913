"""Names of zones: made unique, and looked up as the user spelled them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from zonerss.errors import UnknownZone
from zonerss.records import Zone
from zonerss.zones.schemes import SHORT_ID

_ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")


def label(zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """
    The same zones in the same order, renamed where two different ones have one name.

    Zones of one name get "@" and their short id, or where that is not enough the full id, then the cgroup. A zone that
    has none of these keeps its name. The result depends only on which zones there are, not on their order.
    """
    zones = tuple(zones)
    names = {zone: zone.name for zone in zones}
    for tell_apart in (_short_id, _full_id, _cgroup, _everything):
        taken = Counter(names.values())
        if len(taken) == len(names):
            break
        for zone, name in names.items():
            if taken[name] > 1 and (mark := tell_apart(zone)):
                names[zone] = f"{zone.name}@{mark}"
    return tuple(zone if names[zone] == zone.name else replace(zone, name=names[zone]) for zone in zones)


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
    The names of the zones that the user named, spelled raw or as tables and JSON print them.

    :param known: the names of all zones
    :raises UnknownZone: a name is not among them
    """
    found = []
    for name in wanted:
        match = next((spelling for spelling in (name, raw_name(name)) if spelling in known), None)
        if match is None:
            import difflib

            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else "zonerss show lists the zones"
            raise UnknownZone(f"no process of this host is in a zone {name!r}; {hint}", name)
        found.append(match)
    return tuple(found)


def _short_id(zone: Zone) -> str | None:
    return zone.id[:SHORT_ID] if zone.id and re.fullmatch(r"[0-9a-f]{64}", zone.id) else zone.id


def _full_id(zone: Zone) -> str | None:
    return zone.id


def _cgroup(zone: Zone) -> str | None:
    return zone.cgroup


def _everything(zone: Zone) -> str:
    return f"{zone.kind}:{zone.id or ''}:{zone.cgroup or ''}"
