"""The machine's memory from recorded text."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kernel.test_pressure import TEXT as PRESSURE

from zonerss.errors import KernelFormatError
from zonerss.kernel.meminfo import hugetlb_bytes, kernel_bytes, parse_meminfo, read_machine
from zonerss.kernel.roots import Roots
from zonerss.records.machine import Machine

KIB = 1024
TEXT = b"""\
MemTotal:        1000000 kB
MemFree:          200000 kB
MemAvailable:     700000 kB
Buffers:            3000 kB
Cached:           400000 kB
SwapCached:            0 kB
SwapTotal:         50000 kB
SwapFree:          20000 kB
Shmem:             70000 kB
KReclaimable:      11000 kB
Slab:              30000 kB
SReclaimable:      10000 kB
SUnreclaim:        20000 kB
KernelStack:        5000 kB
PageTables:         6000 kB
SecPageTables:       100 kB
VmallocTotal:   34359738367 kB
VmallocUsed:        9000 kB
Percpu:              500 kB
HugePages_Total:       7
HugePages_Free:        3
Hugepagesize:       2048 kB
Hugetlb:         1062912 kB
"""


def roots(proc: Path, text: bytes = TEXT) -> Roots:
    (proc / "meminfo").write_bytes(text)
    return Roots(proc=proc)


def test_the_machine(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/memory").write_bytes(PRESSURE)
    assert read_machine(roots(tmp_path)) == Machine(
        memory_bytes=1000000 * KIB,
        free_bytes=200000 * KIB,
        available_bytes=700000 * KIB,
        page_cache_bytes=333000 * KIB,
        shmem_bytes=70000 * KIB,
        kernel_bytes=(30000 + 6000 + 100 + 500 + 1000 + 9000) * KIB,
        hugetlb_bytes=1062912 * KIB,
        swap_bytes=50000 * KIB,
        swap_free_bytes=20000 * KIB,
        pressure_some=12.34,
        pressure_full=0.07,
        host_name=os.uname().nodename,
    )


def test_an_old_kernel(tmp_path: Path) -> None:
    machine = read_machine(roots(tmp_path, b"MemTotal: 8 kB\nMemFree: 4 kB\nCached: 2 kB\n"))
    assert machine is not None
    assert (machine.available_bytes, machine.pressure_some, machine.pressure_full) == (None, None, None)


def test_no_machine(tmp_path: Path) -> None:
    assert read_machine(Roots(proc=tmp_path)) is None
    assert read_machine(roots(tmp_path, b"")) is None


def test_stacks_count_once() -> None:
    assert kernel_bytes({"VmallocUsed": 9, "KernelStack": 5}) == 9
    assert kernel_bytes({"VmallocUsed": 0, "KernelStack": 5}) == 5


def test_hugetlb_of_an_old_kernel() -> None:
    assert hugetlb_bytes({"HugePages_Total": 7, "Hugepagesize": 2048 * KIB}) == 7 * 2048 * KIB


@pytest.mark.parametrize(
    "line", [b"MemTotal 8 kB", b": 8 kB", b"MemTotal: x kB", b"MemTotal: 8 MB", b"MemTotal:"]
)
def test_other_text_stops(line: bytes) -> None:
    with pytest.raises(KernelFormatError, match="/proc/meminfo:2: not of the form"):
        parse_meminfo(b"MemFree: 1 kB\n" + line + b"\n")


pieces = [b"MemTotal", b":", b" ", b"8", b" kB", b"MB", b"\n", b"\r", b"\x0b", b"-", b"9" * 5000]


@given(st.binary() | st.lists(st.sampled_from(pieces), max_size=12).map(b"".join))
def test_arbitrary_bytes_raise_nothing_else(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert all(name and value >= 0 for name, value in parse_meminfo(text).items())
