"""The names of zones that shells complete with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.fake_proc import FakeProc, stat

from zonerss.commands import main, names
from zonerss.errors import UsageError
from zonerss.kernel import cgroupfs
from zonerss.zones.rules import parse_rules


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    fake = FakeProc(tmp_path)
    fake.process(7, stat(7), b"0::/system.slice/web.service\n")
    fake.process(8, stat(8), b"0::/system.slice/web.service\n")
    fake.process(9, stat(9), b"0::/lab/shop\n")
    hierarchy = cgroupfs.MemoryHierarchy(version=2, mount_point=tmp_path, mount_root="/")
    monkeypatch.setattr(names, "find_memory_hierarchy", lambda roots: hierarchy)
    return fake


def test_each_zone_is_named_once(proc: FakeProc) -> None:
    assert names.zone_names(roots=proc.roots) == ("/lab", "web.service")
    assert names.zone_names("cgroup", roots=proc.roots) == ("/lab/shop", "/system.slice/web.service")


def test_rules_name_zones(proc: FakeProc) -> None:
    rules = parse_rules('[[rule]]\nmatch = "/lab/(.*)"\nname = "lab-{1}"\n', "rules")
    assert "lab-shop" in names.zone_names("zone", rules, proc.roots)


def test_another_way_is_refused(proc: FakeProc) -> None:
    with pytest.raises(UsageError):
        names.zone_names("colour", roots=proc.roots)


def test_they_are_printed_one_a_line_and_escaped(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(names, "zone_names", lambda *_: ("a", "b\nc"))
    monkeypatch.setenv("ZONERSS_CONFIG", "")
    assert main(["--names"]) == 0
    assert capsys.readouterr().out == "a\nb\\x0ac\n"


def test_they_are_those_of_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    asked = []
    monkeypatch.setattr(names, "zone_names", lambda *how: asked.append(how) or ())
    (tmp_path / "zonerss.toml").write_text('by = "user"\n')
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "lab.toml").write_text('[[rule]]\nmatch = "/lab"\nname = "lab"\n')
    monkeypatch.setenv("ZONERSS_CONFIG", str(tmp_path / "zonerss.toml"))
    assert main(["--names"]) == 0
    ((by, rules),) = asked
    assert (by, len(rules)) == ("user", 1)
