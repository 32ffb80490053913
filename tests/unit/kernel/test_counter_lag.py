"""How far the kernel's counters of RSS can be behind: the figures of kernels and machines that are not here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from zonerss.kernel.counter_lag import CounterLag, counter_lag, find_counter_lag
from zonerss.kernel.roots import Roots
from zonerss.units import PAGE_BYTES


@pytest.mark.parametrize(
    ("release", "processors", "lag"),
    [
        ("6.18.5", 2, CounterLag(3 * 2 * 31, 0)),
        ("6.2.0-rc1", 2, CounterLag(3 * 2 * 31, 0)),
        ("6.12.48+deb13-amd64", 64, CounterLag(3 * 64 * 127, 0)),
        ("6.1.0-56-amd64", 2, CounterLag(3 * 2 * 31, 66 * 16)),
        ("5.14.0-503.el9", 2, CounterLag(3 * 2 * 31, 66 * 16)),
        ("10.0", 1, CounterLag(3 * 31, 0)),
        ("unknown", 1, CounterLag(3 * 31, 66 * 16)),
    ],
)
def test_lag(release: str, processors: int, lag: CounterLag) -> None:
    assert counter_lag(release, processors, 16) == lag


def test_threads_hold_back_too() -> None:
    assert CounterLag(10, 3).pages(4) == 22
    assert CounterLag(10, 3).pages(0) == 13


def test_debugfs_tells_what_a_fault_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(release="6.1.0"))
    monkeypatch.setattr("os.sysconf", lambda _: 1)
    roots = Roots(sys=tmp_path)
    assert find_counter_lag(roots) == counter_lag("6.1.0", 1, 65_536 // PAGE_BYTES)
    (tmp_path / "kernel/debug").mkdir(parents=True)
    (tmp_path / "kernel/debug/fault_around_bytes").write_text(f"{3 * PAGE_BYTES}\n")
    assert find_counter_lag(roots) == CounterLag(3 * 31, 66 * 3)
