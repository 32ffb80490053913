"""The kernel's counters from recorded text."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.counters import parse_zoneinfo, read_counters
from zonerss.kernel.roots import Roots
from zonerss.records.machine import HugetlbPool

ZONEINFO = b"""\
Node 0, zone      DMA
  per-node stats
      nr_free_pages 7
  pages free     3840
        spanned  4095
        present  3998
        managed  3840
        cma      0
        protection: (0, 2929, 23996, 23996, 23996)
      nr_zspages   0
  pagesets
    cpu: 0
              count:    1
              high:     0
  vm stats threshold: 4
    cpu: 1
              count:    2
              high:     0
  vm stats threshold: 4
  start_pfn:           1
Node 0, zone   Normal
  pages free     100
        present  5505024
        managed  5394266
      nr_zspages   13
  pagesets
    cpu: 0
              count:    300
  vm stats threshold: 48
  start_pfn:           1048576
Node 0, zone  Movable
  pages free     0
        present  0
        managed  0
"""


def test_sums_over_zones() -> None:
    found = parse_zoneinfo(ZONEINFO)
    assert (found.present, found.managed) == (3998 + 5505024, 3840 + 5394266)
    assert (found.compressed, found.batched, found.drift) == (13, 303, 56)


def test_other_text_stops() -> None:
    with pytest.raises(KernelFormatError, match="/proc/zoneinfo: no present and managed pages"):
        parse_zoneinfo(b"Node 0\n")


def host(root: Path) -> Roots:
    for name, text in {
        "proc/zoneinfo": ZONEINFO,
        "proc/meminfo": b"MemTotal: 8 kB\n",
        "proc/vmallocinfo": b"0x1-0x2 8192 n_tty_open+0x1/0x2 pages=1 vmalloc\n",
        "proc/net/sockstat": b"sockets: used 21\n"
        b"TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 420\nUDP: inuse 0 mem 3\nRAW: inuse 0\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": b"7\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": b"5\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages": b"2\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages": b"1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text)
    return Roots(proc=root / "proc", sys=root / "sys")


def test_all_of_them(tmp_path: Path) -> None:
    found = read_counters(host(tmp_path))
    assert found.meminfo == {"MemTotal": 8192}
    assert (found.present_pages, found.managed_pages, found.batched_pages) == (5509022, 5398106, 303)
    assert found.hugetlb == (HugetlbPool(2 << 20, 7, 5, 2, 1),)
    assert found.socket_bytes == {"tcp": 420 * 4096, "udp": 3 * 4096}


@pytest.mark.parametrize(
    ("line", "stacks"),
    [(b"0x1-0x2 20480 kernel_clone+0x1/0x2 pages=4 vmalloc\n", True), (b"0x1-0x2 8192 ioremap\n", False)],
)
def test_whether_stacks_are_in_vmalloc(tmp_path: Path, line: bytes, stacks: bool) -> None:
    roots = host(tmp_path)
    (roots.proc / "vmallocinfo").write_bytes(line)
    assert read_counters(roots).stacks_in_vmalloc is stacks
    (roots.proc / "vmallocinfo").unlink()
    assert read_counters(roots).stacks_in_vmalloc is None


def test_a_kernel_without_most_of_them(tmp_path: Path) -> None:
    roots = host(tmp_path)
    (roots.proc / "net/sockstat").unlink()
    found = read_counters(Roots(proc=roots.proc, sys=tmp_path / "nothing"))
    assert (found.hugetlb, found.socket_bytes) == ((), {})


def test_no_counters_at_all(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="counters of memory cannot be read"):
        read_counters(Roots(proc=tmp_path))
