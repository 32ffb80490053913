"""What podman is to be told so that a container is what a pod of a DaemonSet would be: derived from the manifest.

Whatever the manifest says must be known here: a field that is not is an error, so that none is left out unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from zonerss.plain import dataclass

NO_MATTER = {
    "automountServiceAccountToken": False,  # podman has none
    "enableServiceLinks": False,
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
}
"""Of a pod: what is for a scheduler, or for what only Kubernetes has; it must be as it is here."""
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


@dataclass(frozen=True)
class Probe:
    """A GET that kubelet would send to the pod."""

    path: str
    port: int


@dataclass(frozen=True)
class Derived:
    """A container of a pod, for podman."""

    options: tuple[str, ...]
    arguments: tuple[str, ...]
    liveness: Probe | None
    readiness: Probe | None
    memory_bytes: int


def documents(path: Path) -> list[dict[str, Any]]:
    """What a rendered file declares."""
    return [found for found in yaml.safe_load_all(path.read_text("utf-8")) if found]


def derive(declared: Iterable[dict[str, Any]], stand_ins: Path) -> Derived:
    """
    The one DaemonSet's one container.

    :param stand_ins: a directory; what the host lacks of the mounted paths is looked for there, and made there
    """
    declared = list(declared)
    (daemon_set,) = (one for one in declared if one["kind"] == "DaemonSet")
    maps = {one["metadata"]["name"]: one["data"] for one in declared if one["kind"] == "ConfigMap"}
    pod = dict(daemon_set["spec"]["template"]["spec"])
    for name, value in NO_MATTER.items():
        assert pod.pop(name) == value, name
    assert pod.pop("terminationGracePeriodSeconds") >= 5
    (container,) = map(dict, pod.pop("containers"))
    volumes = {volume["name"]: volume for volume in pod.pop("volumes")}
    options = ["--pid=host"] if pod.pop("hostPID", False) else []
    assert pod == {}, f"not known here: {pod}"
    # What every pod has on version 2 of cgroups, and no field can change.
    options += ["--cgroupns=private"]
    options += security(dict(container.pop("securityContext")))
    for mount in container.pop("volumeMounts"):
        options += ["--volume", volume_of(dict(mount), dict(volumes.pop(mount["name"])), maps, stand_ins)]
    assert volumes == {}, f"mounted nowhere: {volumes}"
    ports = {port["name"]: port["containerPort"] for port in container.pop("ports", ())}
    liveness, readiness = (
        probe(container.pop(f"{name}Probe", None), ports) for name in ("liveness", "readiness")
    )
    resources = container.pop("resources")
    assert set(resources) == {"requests", "limits"}
    assert set(resources["limits"]) == {"memory"}  # a limit of processor time would throttle walks
    memory_bytes = size(resources["limits"]["memory"])
    options += ["--memory", str(memory_bytes)]
    arguments = tuple(map(str, container.pop("args")))
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert re.fullmatch(r"zonerss:[0-9.]+", container.pop("image"))
    assert container.pop("name") == daemon_set["metadata"]["name"]
    assert container == {}, f"not known here: {container}"
    return Derived(tuple(options), arguments, liveness, readiness, memory_bytes)


def security(context: dict[str, Any]) -> list[str]:
    assert context.pop("privileged") is False
    assert context.pop("seccompProfile") == {"type": "RuntimeDefault"}  # podman's, which is its default
    assert context.pop("appArmorProfile") == {"type": "Unconfined"}
    options = ["--user", f"{context.pop('runAsUser')}:{context.pop('runAsGroup')}"]
    if not context.pop("allowPrivilegeEscalation"):
        options += ["--security-opt", "no-new-privileges"]
    if context.pop("readOnlyRootFilesystem"):
        options += ["--read-only", "--read-only-tmpfs=false"]
    capabilities = context.pop("capabilities")
    for how in ("drop", "add"):
        for name in capabilities.pop(how):
            options += [f"--cap-{how}", name]
    assert (context, capabilities) == ({}, {}), "not known here"
    return options


def volume_of(mount: dict[str, Any], volume: dict[str, Any], maps: dict[str, Any], stand_ins: Path) -> str:
    del mount["name"], volume["name"]
    inside, read_only = mount.pop("mountPath"), mount.pop("readOnly", False)
    key = mount.pop("subPath", None)
    assert mount == {}, f"not known here: {mount}"
    (kind,) = volume
    if kind == "configMap":
        outside = stand_ins / inside.lstrip("/")
        outside.parent.mkdir(parents=True, exist_ok=True)
        outside.write_text(maps[volume[kind]["name"]][key])
    else:
        assert kind == "hostPath"
        assert key is None
        outside = host_path(Path(volume[kind]["path"]), volume[kind]["type"], stand_ins)
    return f"{outside}:{inside}{':ro' * read_only}"


def host_path(path: Path, kind: str, stand_ins: Path) -> Path:
    """Where podman finds it: there, or where it stands in for it."""
    stand_in = stand_ins / str(path).lstrip("/")
    if stand_in.exists() or not path.exists() or kind.endswith("OrCreate"):
        if kind.startswith("File"):
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.touch()
        else:
            stand_in.mkdir(parents=True, exist_ok=True)
        return stand_in
    return path


def probe(declared: dict[str, Any] | None, ports: dict[str, int]) -> Probe | None:
    if declared is None:
        return None
    asked = declared["httpGet"]
    return Probe(asked["path"], ports[asked["port"]])


def size(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]
