"""What packages are made by and bring is held to hashes, is in the ranges of pyproject.toml, and is whole."""

from __future__ import annotations

import re
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
LISTS = (
    *("packaging/lib/tools.txt", "packaging/image/pins.txt", "packaging/kubernetes/pins.txt"),
    *("packaging/grafana/pins-10.1.txt", "packaging/grafana/pins-11.6.txt"),
)
PIN = re.compile(r"([a-z0-9-]+)==([\w.!]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


@pytest.fixture(scope="module")
def pin() -> ModuleType:
    loader = SourceFileLoader("packaging_pin", str(PROJECT / "packaging" / "lib" / "pin"))
    module = module_from_spec(spec_from_loader("packaging_pin", loader))
    loader.exec_module(module)
    return module


def pins(file: str) -> dict[str, str]:
    """Versions by name; a line that is no pin with its hashes is an error."""
    text = re.sub(r"^#.*\n", "", (PROJECT / file).read_text("utf-8"), flags=re.MULTILINE)
    assert PIN.sub("", text) == ""
    return {name: version for name, version, _ in PIN.findall(text)}


@pytest.mark.parametrize("file", LISTS)
def test_all_that_is_asked_for_is_pinned_within_its_range(pin: ModuleType, file: str) -> None:
    found = pins(file)
    for text in pin.requirements(pin.LISTS[file][1]):
        requirement = Requirement(text)
        assert requirement.specifier.contains(found[requirement.name.lower()]), text


def test_each_list_is_known(pin: ModuleType) -> None:
    assert tuple(pin.LISTS) == LISTS


def test_the_image_has_what_serve_needs(pin: ModuleType) -> None:
    project = PYPROJECT["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["serve"]}
    assert wanted <= set(pin.requirements(["serve"]))


def test_what_builds_is_what_pyproject_asks_for() -> None:
    for text in PYPROJECT["build-system"]["requires"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins("packaging/lib/tools.txt")[requirement.name])


def test_platforms_that_get_different_versions_are_an_error(
    pin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"x86_64": {"a": ("1.0", "0" * 64), "b": ("2", "1" * 64)}, "aarch64": {"a": ("1.0", "2" * 64)}}
    monkeypatch.setattr(pin, "resolved", lambda wanted, machine: told[machine])
    first, second = f"--hash=sha256:{'0' * 64}", f"--hash=sha256:{'2' * 64}"
    text = pin.pins("T", ["a", "b"])
    assert text.splitlines()[2:6] == ["a==1.0 \\", f"    {first} \\", f"    {second}", "b==2 \\"]
    told["aarch64"]["b"] = ("3", "1" * 64)
    with pytest.raises(SystemExit, match="b has 2 and 3, by platform"):
        pin.pins("T", ["a", "b"])


@pytest.mark.parametrize(
    "file",
    [
        "packaging/lib/tools",
        "packaging/kubernetes/test",
        "packaging/image/Containerfile",
        "packaging/deb/build",
    ],
)
def test_pip_is_told_to_hold_files_to_them(file: str) -> None:
    """Each command that lets pip fetch; what it makes of our own sources fetches nothing."""
    text = (PROJECT / file).read_text("utf-8").replace("\\\n", " ")
    fetching = [
        line
        for line in re.split(r"\n|&&", text)
        if re.search(r"\bpip (--\S+ \S+ )?(install|download) +-", line)
        and '--no-deps "$(echo /wheel/' not in line
    ]
    assert fetching
    assert all("--require-hashes" in line for line in fetching), fetching
