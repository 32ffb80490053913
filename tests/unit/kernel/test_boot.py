"""The boot that this is."""

from __future__ import annotations

import re
from pathlib import Path

from zonerss.kernel.boot import read_boot_id, read_uptime
from zonerss.kernel.roots import HOST, Roots


def test_the_id_of_this_boot_is_a_uuid_and_stays() -> None:
    found = read_boot_id(HOST)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found)
    assert read_boot_id(HOST) == found


def test_without_proc_it_is_not_known(tmp_path: Path) -> None:
    assert read_boot_id(Roots(proc=tmp_path)) == ""


def test_the_clocks_go_forward() -> None:
    one, other = read_uptime(), read_uptime()
    assert one.monotonic_ns <= other.monotonic_ns
    assert 0 < one.boottime_ns <= other.boottime_ns
