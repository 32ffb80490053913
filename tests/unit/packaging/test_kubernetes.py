"""The manifests for Kubernetes: zonerss understands what they say, and so does what runs them (tests/live/pods.py).

packaging/kubernetes/test holds them to the schemas of Kubernetes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.live.pods import Derived, derive, documents

from zonerss import __version__
from zonerss.cap.rules import Spelling, parse_caps
from zonerss.commands import parse
from zonerss.commands.quantities import duration, size
from zonerss.kernel.capper import DIRECTORY
from zonerss.kernel.privileges import CAPABILITIES
from zonerss.serve.app import _PATHS as PATHS

KUBERNETES = Path(__file__).resolve().parents[3] / "packaging" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())


def rendered(tmp_path: Path, name: str) -> Path:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed, which renders kustomizations")
    made = tmp_path / "rendered.yaml"
    with made.open("w") as file:
        subprocess.run(["kubectl", "kustomize", KUBERNETES / name], stdout=file, check=True)
    return made


def derived(tmp_path: Path, name: str) -> Derived:
    return derive(documents(rendered(tmp_path, name)), tmp_path / "stand-ins")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_exporter_of_each_overlay(tmp_path: Path, overlay: str) -> None:
    pod = derived(tmp_path, f"overlays/{overlay}")
    verb, *words = pod.arguments
    args = parse(verb, [*words, "--no-config"])
    assert (verb, args.listen) == ("serve", [":9742"])
    for probe in (pod.liveness, pod.readiness):
        assert probe is not None
        assert probe.path in PATHS
        assert probe.port == 9742
    mounted = [option for option in pod.options if option.startswith("/") or ":/" in option]
    assert len(mounted) > 3  # what base has, and what the engine has
    assert all(volume.endswith(":ro") for volume in mounted)


def test_the_capper(tmp_path: Path) -> None:
    pod = derived(tmp_path, "cap")
    verb, *words = pod.arguments
    assert verb == "cap"
    assert parse(verb, [*words, "--no-config"]).enforce
    text = (KUBERNETES / "cap" / "caps.toml").read_text("utf-8")
    assert not parse_caps(text, "caps.toml", Spelling(size, duration)).rules
    example = "\n".join(line[2:] for line in text.splitlines() if re.match(r"# (\[\[|\w+ = )", line))
    assert len(parse_caps(example, "caps.toml", Spelling(size, duration)).rules) == 1


def test_the_exporter_sees_what_the_capper_says(tmp_path: Path) -> None:
    """It is the node's directory for both, and only the capper may write to it."""
    (exporter,), (capper,) = (
        [volume for volume in derived(tmp_path, name).options if f":{DIRECTORY}" in volume]
        for name in ("base", "cap")
    )
    assert exporter == f"{capper}:ro"


@pytest.mark.parametrize("place", ["base", "cap"])
def test_each_capability_is_there_and_its_purpose_said(place: str) -> None:
    text = (KUBERNETES / place / "daemonset.yaml").read_text("utf-8")
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    context = container["securityContext"]
    assert context["capabilities"]["drop"] == ["ALL"]
    for name in context["capabilities"]["add"]:
        assert f"CAP_{name}" in CAPABILITIES
        assert re.search(rf"^ +- {name} +# \w", text, re.MULTILINE)


@pytest.mark.parametrize("place", ["base", "cap"])
def test_the_image_is_of_this_version(place: str) -> None:
    (image,) = yaml.safe_load((KUBERNETES / place / "kustomization.yaml").read_text("utf-8"))["images"]
    assert image["newTag"] == __version__


def changed(tmp_path: Path, **fields: Any) -> list[dict[str, Any]]:
    found = documents(rendered(tmp_path, "overlays/containerd"))
    (one,) = (one for one in found if one["kind"] == "DaemonSet")
    one["spec"]["template"]["spec"] |= fields
    return found


def test_what_is_not_known_is_not_left_out(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="hostIPC"):
        derive(changed(tmp_path, hostIPC=True), tmp_path)


def test_without_the_hosts_pids_podman_is_not_told_of_them(tmp_path: Path) -> None:
    assert "--pid=host" in derive(changed(tmp_path), tmp_path).options
    assert "--pid=host" not in derive(changed(tmp_path, hostPID=False), tmp_path).options


def test_a_directory_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    theirs = tmp_path / "kubernetes" / "theirs"
    theirs.parent.mkdir()
    theirs.write_text("somebody's")
    subprocess.run([KUBERNETES / "build", tmp_path], check=True, capture_output=True)
    assert theirs.read_text() == "somebody's"
    assert len(list(theirs.parent.rglob("*.yaml"))) > 2
    assert not list(theirs.parent.glob(".new*"))
