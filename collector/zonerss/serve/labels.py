"""What names a zone in metrics: its label ``zone``, safe to print and never another zone's, and the labels of its info
series. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256

from zonerss.records import Usage
from zonerss.views.text import printable

MOST_BYTES = 1024
"""Of a label, in UTF-8. A scrape with longer ones may be dropped (label_value_length_limit)."""
_HASH_DIGITS = 8
_MOST_HASH_DIGITS = 64
_POD = "pod"
_CONTAINERS = ("docker", "podman", "containerd", "cri-o", "container", "lxc")


def spelled(zones: Iterable[str]) -> dict[str, str]:
    r"""
    The label ``zone`` of each zone: its name as tables print it, with backslash escapes for what is not printable.

    Two names can be printed alike: a byte that is not UTF-8 and the four characters ``\xff``. The one that is printed
    as it is keeps its spelling; the others get ``~`` and digits of a hash of the name. So does what is left of one that
    is longer than MOST_BYTES. So no two zones have one label, and a label depends only on which names there are.
    """
    labels: dict[str, str] = {}
    others = []
    for zone in zones:
        if printable(zone, "utf-8") == zone and not _is_long(zone):
            labels[zone] = zone
        else:
            others.append(zone)
    taken = set(labels.values())
    of_spelling: dict[str, list[str]] = {}
    for zone in sorted(others):
        of_spelling.setdefault(printable(zone, "utf-8"), []).append(zone)
    for spelling, alike in of_spelling.items():
        for zone in alike:
            alone = len(alike) == 1 and spelling not in taken and not _is_long(spelling)
            labels[zone] = spelling if alone else _told_apart(zone, spelling, taken)
            taken.add(labels[zone])
    return labels


def _told_apart(name: str, spelling: str, taken: Collection[str] = ()) -> str:
    digits = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    spelling = _beginning(spelling, MOST_BYTES - 1 - _MOST_HASH_DIGITS)
    lengths = range(_HASH_DIGITS, _MOST_HASH_DIGITS + 1)
    return next(label for n in lengths if (label := f"{spelling}~{digits[:n]}") not in taken)


def _is_long(spelling: str) -> bool:
    return len(spelling) > MOST_BYTES // 4 and len(spelling.encode()) > MOST_BYTES


def _beginning(spelling: str, most_bytes: int) -> str:
    return spelling.encode()[:most_bytes].decode(errors="ignore")


def _bounded(name: str) -> str:
    """A label that is of one zone by the label ``zone`` beside it."""
    spelling = printable(name, "utf-8")
    return _told_apart(name, spelling) if _is_long(spelling) else spelling


def info_labels(usage: Usage, label: str) -> dict[str, str]:
    """
    What is known of a zone beside its figures, for ``zonerss_zone_info``; what is not known is left out.

    Names of containers in pods are NAMESPACE/POD/CONTAINER, of pods NAMESPACE/POD (:mod:`zonerss.kernel.names`). A part
    of a pod whose name is not known has no namespace.

    :param label: its label ``zone``
    """
    found = {
        "zone": label,
        "kind": usage.kind,
        "id": usage.id and _bounded(usage.id),
        "cgroup": usage.cgroup and _bounded(usage.cgroup),
        **_parts_of_name(usage.kind, label),
    }
    return {name: value for name, value in found.items() if value}


def _parts_of_name(kind: str, name: str) -> dict[str, str]:
    parts = name.split("/")
    if kind in _CONTAINERS:
        return {"container": name}
    if kind == _POD:
        return {"namespace": parts[0], "pod": parts[1]} if len(parts) == 2 else {"pod": name}
    if kind == "kubernetes" and len(parts) == 3:
        return dict(zip(("namespace", "pod", "container"), parts, strict=True))
    if kind == "kubernetes" and len(parts) == 2:
        return {"pod": parts[0], "container": parts[1]}
    return {}
