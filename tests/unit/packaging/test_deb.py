"""What the Debian packages bring with them and ask for is what pyproject.toml says, and what they say of it is so."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from zonerss.commands import parse
from zonerss.commands.configuration import read_configuration

PROJECT = Path(__file__).resolve().parents[3]
DEB = PROJECT / "packaging" / "deb"
UNITS = PROJECT / "packaging" / "systemd"
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
OF_DEBIAN_12 = {
    "aiohttp": "3.8.4",
    "bcrypt": "3.2.2",
    "cffi": "1.15.1",
    "prometheus-client": "0.16.0",
    "pyroute2": "0.7.2",
    "pyyaml": "6.0",
}
"""packages.debian.org; what the packages that depend on them get there."""
MODULES = {"markdown-it-py": "markdown_it"}


def pins() -> dict[str, str]:
    """Versions by name."""
    lines = [
        line for line in (DEB / "vendor.txt").read_text("utf-8").splitlines() if not line.startswith("#")
    ]
    found = [re.fullmatch(r"([a-z-]+)==([\d.]+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    assert all(found), lines
    return {match[1]: match[2] for match in found if match}


def package(name: str) -> str:
    """Its paragraph in debian/control."""
    (found,) = re.findall(
        rf"^Package: {name}\n(?:.+\n)+", (DEB / "debian/control").read_text("utf-8"), re.MULTILINE
    )
    return str(found)


@pytest.mark.parametrize("text", [*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"]["serve"]])
def test_what_it_gets_is_in_the_range_that_is_asked_for(text: str) -> None:
    requirement = Requirement(text)
    name = requirement.name.lower()
    (version,) = {versions[name] for versions in (pins(), OF_DEBIAN_12) if name in versions}
    assert requirement.specifier.contains(version), f"{name} {version}"


@pytest.mark.parametrize("text", PYPROJECT["optional-dependencies"]["serve"])
def test_the_exporter_depends_on_what_serve_needs(text: str) -> None:
    name = Requirement(text).name.lower()
    assert f"\n python3-{ {'pyyaml': 'yaml'}.get(name, name) },\n" in package("zonerss-exporter")


def test_who_holds_the_rights_in_what_it_brings_is_said() -> None:
    told = (DEB / "debian/copyright").read_text("utf-8")
    for name in pins():
        assert f"\nFiles: debian/vendor/{MODULES.get(name, name)}/*\nCopyright: " in told

    brought = PROJECT / "collector/zonerss/vendor"
    for directory in brought.iterdir() if brought.exists() else ():
        assert f"\nFiles: collector/zonerss/vendor/{directory.name}/*\nCopyright: " in told


def test_its_configuration_is_one_and_says_nothing() -> None:
    file = DEB / "debian/etc/zonerss.toml"
    found = read_configuration(str(file), True, {"show", "top"})
    assert [Path(path).name for path in found.files] == ["zonerss.toml", "local.toml"]
    assert found.options == ()


def test_what_it_proposes_is_understood(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=\S)", "", (DEB / "debian/etc/zonerss.toml").read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / "zonerss.toml").write_text(text)
    (tmp_path / "rules.d").mkdir()
    rules = re.sub(
        r"^#(?=\S)", "", (DEB / "debian/etc/rules.d/local.toml").read_text("utf-8"), flags=re.MULTILINE
    )
    (tmp_path / "rules.d" / "local.toml").write_text(rules)
    found = read_configuration(str(tmp_path / "zonerss.toml"), True, {"show", "top"})
    assert {option.name for option in found.options} >= {"by", "patience", "columns", "interval"}
    assert b"{team}" in found.rules[0][1]


def test_the_options_that_the_exporters_defaults_propose_are_understood() -> None:
    proposed = re.findall(
        r"^#   (--.*)$", (DEB / "debian/zonerss-exporter.default").read_text("utf-8"), re.MULTILINE
    )
    assert len(proposed) == 3
    for line in proposed:
        parse("serve", [*line.split(), "--no-config"])


def test_the_units_run_what_is_installed() -> None:
    for name in ("zonerss-exporter", "zonerss-cap"):
        unit = (UNITS / f"{name}.service").read_text("utf-8")
        assert re.search(
            r"^ExecStart=zonerss ", unit, re.MULTILINE
        )  # packaging/deb/build makes it /usr/bin/zonerss
    exporter = (UNITS / "zonerss-exporter.service").read_text("utf-8")
    assert "\nEnvironmentFile=-/etc/default/zonerss-exporter\n" in exporter
    for name in re.findall(r"CAP_(\w+)", exporter):
        assert re.search(rf"^# {name} +\w", exporter, re.MULTILINE), name


@pytest.mark.parametrize("name", ["zonerss-exporter", "zonerss-cap"])
def test_a_unit_is_exposed_little(name: str) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed here, so systemd-analyze cannot tell")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=40"]
    told = subprocess.run([*command, UNITS / f"{name}.service"], capture_output=True, text=True, check=False)
    score = re.search(r"exposure level for \S+: ([\d.]+)", told.stdout)
    assert score is not None, told.stderr
    assert float(score[1]) < 4.0
    assert told.returncode == 0


def test_the_exporters_filter_lets_the_core_call_what_it_calls() -> None:
    """But for process_madvise(2), which the capper alone calls; systemd has it in @system-service by now."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed here, so systemd-analyze cannot tell")
    unit = (UNITS / "zonerss-exporter.service").read_text("utf-8")
    (words,) = re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)
    allowed = {word for word in words.split() if not word.startswith("@")}
    for group in [word for word in words.split() if word.startswith("@")]:
        allowed |= calls_of(group)
    core = (PROJECT / "collector/zonerss/_core").glob("*.c")
    called = {name for path in core for name in re.findall(r"\bSYS_(\w+)", path.read_text("utf-8"))}
    assert len(called) >= 5
    assert called - allowed <= {"process_madvise"}


def calls_of(group: str) -> set[str]:
    """The system calls of a group of systemd's, and of the groups in it."""
    command = ["systemd-analyze", "syscall-filter", "--no-pager", group]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = set[str]()
    for word in told.split("\n")[1:]:
        name = word.strip()
        if name.startswith("@"):
            found |= calls_of(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


def test_nothing_of_the_boot_is_removed_with_a_package() -> None:
    """Another capper may hold the lock that is there."""
    for script in (DEB / "debian").glob("*.postrm"):
        assert not re.search(r"rm .*/run", script.read_text("utf-8")), script
