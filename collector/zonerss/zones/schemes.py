"""How container engines, Kubernetes, machined and systemd name cgroups: from a path to the zone that it is. Pure.

A scheme looks at one path component and those before it. Paths are read from the root, and the outermost
container wins: what runs inside of one (its own systemd, an engine in it) is part of it. Nothing here asks
whether a cgroup exists. Where each scheme is documented: docs/zones.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zonerss.records import Names, Zone

SHORT_ID = 12
"""Digits of an id that stands for a name, as the engines themselves show it."""


_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_OF_NO_IMAGE = ("monitor", "pod")
"""Kinds of zones that have a container's or a pod's id."""
_ENGINES = {
    "docker": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}
# docker-ID.scope, libpod-ID, crio-ID, bare ID, ...; the colons: a runtime that was given systemd's
# SLICE:PREFIX:ID and took it for a directory.
_CONTAINER = re.compile(r"(?:(?P<prefix>.*?)[-_:])?(?P<id>[0-9a-f]{64})(?:\.scope)?")
_POD_SLICE = re.compile(r"(?:.*-)?kubepods(?:-[a-z]+)?-pod(?P<uid>[^-]+)\.slice(?P<inside>:.*)?")
_POD = re.compile(r"pod(?P<uid>.+)")
_PODMAN_POD = re.compile(r"(?:.*-)?libpod_pod_(?P<id>[0-9a-f]{64})\.slice")
_LXC = re.compile(r"lxc\.(?P<part>payload|monitor)\.(?P<name>.+)")
_MACHINE = re.compile(r"machine-(?P<name>.+)\.scope")
_NSPAWN = re.compile(r"systemd-(?:nspawn|vmspawn)@(?P<name>.+)\.service")
_LIBVIRT = re.compile(r"(?P<name>.+)\.libvirt-(?:qemu|lxc|ch)")
_DOMAIN = re.compile(r"(?P<driver>qemu|lxc|ch)-[0-9]+-(?P<name>.+)")
_UNIT = re.compile(r".+\.(?P<type>service|scope|socket|mount|swap)")
_USER_SLICE = re.compile(r"user-(?P<uid>[0-9]{1,10})\.slice")
_USER_MANAGER = re.compile(r"user@(?P<uid>[0-9]{1,10})\.service")
_SESSION = re.compile(r"(?P<name>session-.+)\.scope")
_APP_SCOPE = re.compile(r"app-(?:[^-]+-)?(?P<name>[^-]+)-[^-]+\.scope")
_APP_SERVICE = re.compile(r"app-(?:[^-]+-)?(?P<name>[^-@0-9][^-@]*)(?:-[0-9]+|@.*)?\.service")
# Every path with a container, pod or machine contains one of these. Most paths do not, which saves the work below.
_MARK = re.compile(r"[0-9a-f]{64}|kubepods|libpod_parent|lxc|machine-|spawn@|\.libvirt-")
_ESCAPE = re.compile(r"(?:\\x[0-9a-f]{2})+")


def find_container(path: str, names: Names) -> Zone | None:
    """The outermost container, pod or machine on a cgroup path; None where there is none."""
    if _MARK.search(path) is None:
        return None
    parts = path.split("/")[1:]
    pod: Zone | None = None
    for index, part in enumerate(parts):
        here = "/" + "/".join(parts[: index + 1])
        before = parts[:index]
        if pod is None and (pod := _find_pod(part, before, here, names)) and ":" not in part:
            continue
        if found := _find_engine(part, before, here, names, pod) or _find_lxc(part, before, here):
            return found
        if pod is None and (found := _find_machine(part, before, here, names)):
            return found
    return pod


def is_of_image(kind: str, id: str) -> bool:
    """Whether a zone of this kind and id is a container that an engine has made of an image."""
    return kind not in _OF_NO_IMAGE and _CONTAINER_ID.fullmatch(id) is not None


def user_of(path: str) -> int | None:
    """
    The user below whose slice a cgroup is: whose own engines run a container there. None: the system's do.

    What is below root's is the system's. Of several slices it is the first: a user may call his own cgroups like them.
    """
    return _user_of(path.split("/"))


def _user_of(parts: Sequence[str]) -> int | None:
    uid = next((int(match["uid"]) for part in parts if (match := _USER_SLICE.fullmatch(part))), 0)
    return uid or None


def find_unit(path: str, names: Names) -> Zone | None:
    """
    The outermost service, scope or session on a cgroup path; None where there is none.

    The manager of a user (user@UID.service) is looked into: its services, apps and scopes are units of their
    own.
    """
    user = ""
    manager: Zone | None = None
    parts = path.split("/")[1:]
    for index, part in enumerate(parts):
        here = "/" + "/".join(parts[: index + 1])
        if (
            match := _USER_SLICE.fullmatch(part)
        ) and not user:  # below the first one, names are the user's choice
            uid = match["uid"]
            user = (names.users.get(int(uid)) or uid) + "/"
        elif _USER_MANAGER.fullmatch(part) and manager is None:
            manager = Zone(f"{user}{part}", here, None, "service")
        elif match := _UNIT.fullmatch(part):
            return _unit(here, part, match["type"], user)
    return manager


def systemd_unescape(name: str) -> str:
    r"""
    A unit name without systemd's \xNN escapes, which stand for bytes of UTF-8.

    Source: systemd.unit(5), "String Escaping for Inclusion in Unit Names".
    """
    return _ESCAPE.sub(
        lambda run: bytes.fromhex(run[0].replace("\\x", "")).decode("utf-8", "surrogateescape"), name
    )


def _unit(cgroup: str, unit: str, kind: str, user: str) -> Zone:
    if user and (match := _SESSION.fullmatch(unit)):
        return Zone(user + match["name"], cgroup, unit, "session")
    if user and (match := _APP_SCOPE.fullmatch(unit) or _APP_SERVICE.fullmatch(unit)):
        return Zone(user + systemd_unescape(match["name"]), cgroup, unit, "app")
    return Zone(user + unit, cgroup, None, kind)


def _find_pod(part: str, before: Sequence[str], here: str, names: Names) -> Zone | None:
    if match := _POD_SLICE.fullmatch(part):
        uid = match["uid"].replace("_", "-")
    elif "kubepods" in before and (match := _POD.fullmatch(part)):
        uid = match["uid"]
    elif match := _PODMAN_POD.fullmatch(part):
        uid = match["id"]
    elif before[-1:] == ["libpod_parent"] and re.fullmatch(r"[0-9a-f]{64}", part):
        uid = part
    else:
        return None
    # Below a user's slice he chooses names: none of the system's pods is there.
    name = names.pods.get(uid) if _user_of(before) is None else None
    return Zone(name or f"pod-{_short(uid)}", here, uid, "pod")


def _find_engine(part: str, before: Sequence[str], here: str, names: Names, pod: Zone | None) -> Zone | None:
    if part == "conmon" and (pod or before[-1:] == ["libpod_parent"]):
        return Zone(f"{pod.name}/conmon" if pod else "conmon", here, pod.id if pod else None, "monitor")
    match = _CONTAINER.fullmatch(part)
    if match is None:
        return None
    prefix = (match["prefix"] or "").rpartition(":")[2]
    engine, conmon, _ = prefix.partition("-conmon")
    if not prefix:
        engine = before[-1] if before else ""
    id = match["id"]
    name = _container_name(id, before, names) or _unnamed(id, pod)
    if conmon:
        return Zone(f"{name}/conmon", here, id, "monitor")
    in_kubernetes = pod is not None and not re.fullmatch(r"[0-9a-f]{64}", pod.id or "")
    return Zone(name, here, id, "kubernetes" if in_kubernetes else _ENGINES.get(engine, "container"))


def _find_lxc(part: str, before: Sequence[str], here: str) -> Zone | None:
    above = before[-1] if before else ""
    if match := _LXC.fullmatch(part):
        name, is_monitor = match["name"], match["part"] == "monitor"
    elif above in ("lxc", "lxc.payload", "lxc.monitor"):
        name, is_monitor = part, above == "lxc.monitor"
    else:
        return None
    return Zone(f"{name}/monitor", here, None, "monitor") if is_monitor else Zone(name, here, None, "lxc")


def _find_machine(part: str, before: Sequence[str], here: str, names: Names) -> Zone | None:
    match = _MACHINE.fullmatch(part) or _NSPAWN.fullmatch(part) or _LIBVIRT.fullmatch(part)
    if match is None:
        return None
    name = names.machines.get(part) if _user_of(before) is None else None
    name = name or systemd_unescape(match["name"])
    domain = _DOMAIN.fullmatch(name)
    if domain is None:
        return Zone(name, here, None, "machine")
    return Zone(domain["name"], here, name, "lxc" if domain["driver"] == "lxc" else "vm")


def _container_name(id: str, before: Sequence[str], names: Names) -> str | None:
    uid = _user_of(before)
    if uid is not None:
        return names.rootless.get(uid, {}).get(id)
    return names.containers.get(id) or names.rootless.get(0, {}).get(id)


def _unnamed(id: str, pod: Zone | None) -> str:
    return _short(id) if pod is None else f"{pod.name}/{_short(id)}"


def _short(id: str) -> str:
    return id[:SHORT_ID]
