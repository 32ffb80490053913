"""Services, scopes and slices that a real systemd made, as zones."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import zonerss
from tests.workloads.build import build_mem


def systemd(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def units() -> Iterator[None]:
    """Two services in a slice within a slice, and a template's instance; each is one mem that waits for commands."""
    names = []
    try:
        for name, slice_ in (
            ("web", "shop-front.slice"),
            ("db", "shop-back.slice"),
            ("job@7", "system.slice"),
        ):
            # tail keeps the stdin of mem open; the two processes make a service of more than one.
            systemd(
                *("systemd-run", f"--unit={name}.service", f"--slice={slice_}", "--property=Type=exec"),
                *("sh", "-c", f"tail -f /dev/null | {build_mem()}"),
            )
            names.append(f"{name}.service")
            wait_for_processes(f"{name}.service", 3)
        yield
    finally:
        for name in names:
            systemd("systemctl", "stop", name)


def wait_for_processes(unit: str, count: int) -> None:
    """systemd-run returns when sh has begun; tail and mem come a little later."""
    show = ["systemctl", "show", "--property=ControlGroup", "--value", unit]
    cgroup = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    for _ in range(1000):
        if len(Path(f"/sys/fs/cgroup{cgroup}/cgroup.procs").read_text().split()) == count:
            return
        time.sleep(0.02)
    pytest.fail(f"{unit} did not come to {count} processes")


def zones_of(by: str) -> dict[str, zonerss.snapshot.Usage]:
    (grouping,) = zonerss.take_snapshot(by=(by,)).groupings
    return {usage.zone: usage for usage in grouping.zones}


@pytest.mark.usefixtures("units")
def test_a_service_is_a_zone_and_has_its_charge():
    zones = zones_of("zone")
    found = {name: usage for name, usage in zones.items() if usage.zone.startswith(("web", "db", "job@7"))}
    assert len(found) == 3, sorted(zones)
    for usage in found.values():
        assert usage.kind == "service"
        # sh, tail and mem.
        assert usage.processes == 3
        assert usage.charged_bytes > 0
        assert usage.rss_bytes == usage.exclusive_bytes + usage.shared_bytes
        # They run the same programs.
        assert usage.shared_bytes > 0


@pytest.mark.usefixtures("units")
def test_slices_are_zones_by_slice():
    zones = zones_of("slice")
    assert {"shop-front.slice", "shop-back.slice", "system.slice"} <= zones.keys()
    assert zones["shop-front.slice"].processes == 3


@pytest.mark.usefixtures("units")
def test_depth_one_is_the_outer_slice():
    zones = zones_of("depth=1")
    (shop,) = (usage for name, usage in zones.items() if name.strip("/") == "shop.slice")
    assert shop.processes == 6


def test_a_scope_is_a_zone():
    command = ["systemd-run", "--scope", "--quiet", "--unit=ours", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            # cat answers once it runs in its scope.
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.read(1) == b"x"
            scope = zones_of("zone")["ours.scope"]
            assert (scope.kind, scope.processes) == ("scope", 1)
        finally:
            process.stdin.close()


def test_systemd_itself_and_its_journal_are_zones():
    zones = zones_of("zone")
    assert "init.scope" in zones
    assert any(name.startswith("systemd-journald") for name in zones)
