"""What names a zone in metrics: its label ``zone``, safe to print and never another zone's, and the labels of its info
series. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from zonerss.records import Usage
from zonerss.views.text import printable

_HASH_DIGITS = 8
_POD = "pod"
_CONTAINERS = ("docker", "podman", "containerd", "cri-o", "container", "lxc")


def spelled(zones: Iterable[str]) -> dict[str, str]:
    r"""
    The label ``zone`` of each zone: its name as tables print it, with backslash escapes for what is not printable.

    Two names can be printed alike: a byte that is not UTF-8 and the four characters ``\xff``. The one that is printed
    as it is keeps its spelling; the others get ``~`` and digits of a hash of the name. So no two zones have one label,
    and a label depends only on which names there are.
    """
    labels: dict[str, str] = {}
    others = []
    for zone in zones:
        if printable(zone, "utf-8") == zone:
            labels[zone] = zone
        else:
            others.append(zone)
    taken = set(labels.values())
    of_spelling: dict[str, list[str]] = {}
    for zone in sorted(others):
        of_spelling.setdefault(printable(zone, "utf-8"), []).append(zone)
    for spelling, alike in of_spelling.items():
        for zone in alike:
            alone = len(alike) == 1 and spelling not in taken
            labels[zone] = spelling if alone else _told_apart(zone, spelling, taken)
            taken.add(labels[zone])
    return labels


def _told_apart(zone: str, spelling: str, taken: set[str]) -> str:
    digits = sha256(zone.encode("utf-8", "surrogatepass")).hexdigest()
    lengths = range(_HASH_DIGITS, len(digits) + 1)
    return next(label for n in lengths if (label := f"{spelling}~{digits[:n]}") not in taken)


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
        "id": usage.id and printable(usage.id, "utf-8"),
        "cgroup": usage.cgroup and printable(usage.cgroup, "utf-8"),
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
