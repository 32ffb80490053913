"""Bills from recorded trees, of both versions of cgroups."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.memcg import (
    cgroup_inodes,
    cgroup_processes,
    parse_stat,
    read_bill,
    swap_room,
)

# The fields of Linux 6.1, as Documentation/admin-guide/cgroup-v2.rst lists them.
STAT_V2 = """\
anon 229376
file 3256320
kernel 126976
kernel_stack 16384
pagetables 32768
sec_pagetables 0
percpu 0
sock 4096
vmalloc 0
shmem 3002368
file_mapped 196608
swapcached 0
anon_thp 0
inactive_anon 3182592
active_anon 4096
inactive_file 249856
active_file 4096
unevictable 0
slab 48704
pgfault 295
"""
# As Documentation/admin-guide/cgroup-v1/memory.rst lists them.
STAT_V1 = """\
cache 11000
rss 4096
mapped_file 700
swap 0
inactive_file 23
hierarchical_memory_limit 9223372036854771712
total_cache 1638400
total_rss 184320
total_shmem 1638400
total_mapped_file 1638400
total_swap 8192
total_inactive_file 29
"""


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v2(root: Path) -> MemoryHierarchy:
    return MemoryHierarchy(version=2, mount_point=root, mount_root="/")


def v1(root: Path) -> MemoryHierarchy:
    return MemoryHierarchy(version=1, mount_point=root, mount_root="/")


def test_a_bill_of_version_2(tmp_path):
    tree(
        tmp_path,
        {
            "a/memory.stat": STAT_V2,
            "a/memory.current": "4046848\n",
            "a/memory.swap.current": "12288\n",
            "a/cgroup.stat": "nr_descendants 1\nnr_dying_descendants 3\n",
        },
    )
    bill = read_bill(v2(tmp_path), "/a")
    assert bill.version == 2
    assert bill.charged_bytes == 4046848
    assert bill.anon_bytes == 229376
    assert bill.cache_bytes == 3256320
    assert bill.kernel_bytes == 126976
    assert bill.swap_bytes == 12288
    assert bill.dying == 3
    assert bill.own is None


def test_version_2_before_kernel_and_swap(tmp_path):
    """memory.stat has no kernel before Linux 5.18; without swap accounting there is no memory.swap.current."""
    tree(tmp_path, {"a/memory.stat": "anon 1\nfile 2\n", "a/memory.current": "3\n"})
    bill = read_bill(v2(tmp_path), "/a")
    assert (bill.kernel_bytes, bill.swap_bytes, bill.dying) == (None, None, None)


def test_room_in_swap_is_the_least_from_a_cgroup_up(tmp_path):
    files = {
        "a/memory.swap.max": "100000\n",
        "a/memory.swap.current": "40000\n",
        "a/b/memory.swap.max": "80000\n",
        "a/b/memory.swap.current": "5000\n",
        "a/c/memory.swap.max": "max\n",
        "a/c/memory.swap.current": "5000\n",
        "d/memory.swap.max": "0\n",
        "d/memory.swap.current": "4096\n",
        "e/memory.swap.max": "max\n",
    }
    tree(tmp_path, files)
    found = [swap_room(v2(tmp_path), path) for path in ("/a", "/a/b", "/a/c", "/d", "/e", "/none", "/")]
    assert found == [60000, 60000, 60000, 0, None, None, None]
    assert swap_room(v1(tmp_path), "/a") is None
    tree(tmp_path, {"a/b/memory.swap.current": "70000\n"})
    assert swap_room(v2(tmp_path), "/a/b") == 10000


def test_a_bill_of_version_1(tmp_path):
    tree(
        tmp_path,
        {
            "a/memory.stat": STAT_V1,
            "a/memory.usage_in_bytes": "1925120\n",
            "a/memory.memsw.usage_in_bytes": "1933312\n",
            "a/memory.kmem.usage_in_bytes": "36864\n",
        },
    )
    bill = read_bill(v1(tmp_path), "/a")
    assert bill.version == 1
    assert bill.charged_bytes == 1925120
    assert bill.anon_bytes == 184320
    assert bill.cache_bytes == 1638400
    assert bill.stat["inactive_file"] == 29
    assert bill.kernel_bytes == 36864
    assert bill.swap_bytes == 8192
    assert bill.own["rss"] == 4096
    assert bill.own["mapped_file"] == 700


def test_version_1_without_kmem_and_memsw(tmp_path):
    tree(tmp_path, {"a/memory.stat": STAT_V1, "a/memory.usage_in_bytes": "7\n"})
    bill = read_bill(v1(tmp_path), "/a")
    assert (bill.kernel_bytes, bill.swap_bytes) == (None, None)


def test_no_bill(tmp_path):
    tree(tmp_path, {"a/cgroup.procs": ""})
    assert read_bill(v2(tmp_path), "/a") is None  # the controller is not enabled here
    assert read_bill(v2(tmp_path), "/gone") is None
    no_controller = MemoryHierarchy(version=2, mount_point=tmp_path, mount_root="/", charges=False)
    assert read_bill(no_controller, "/a") is None


@pytest.mark.parametrize("text", [b"anon\n", b"anon x\n", b"anon -1\n", b" 7\n", b"anon 1 2\n"])
def test_what_is_not_understood_stops(text):
    with pytest.raises(KernelFormatError, match=r"memory\.stat:1: .*NAME NUMBER"):
        parse_stat(text)


@settings(deadline=None)
@given(
    st.binary()
    | st.lists(st.sampled_from([b"anon", b" ", b"7", b"\n", b"\r", b"\xff", b"total_", b"9" * 5000])).map(
        b"".join
    )
)
def test_arbitrary_bytes_raise_nothing_else(text):
    with contextlib.suppress(KernelFormatError):
        assert all(name and value >= 0 for name, value in parse_stat(text).items())


def test_a_charge_that_is_no_number_stops(tmp_path):
    tree(tmp_path, {"a/memory.stat": STAT_V2, "a/memory.current": "lots\n"})
    with pytest.raises(KernelFormatError, match=r"memory\.current: not a number of bytes"):
        read_bill(v2(tmp_path), "/a")


def test_cgroups_by_inode(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    found = cgroup_inodes(v2(tmp_path))
    assert found == {
        tmp_path.stat().st_ino: "/",
        (tmp_path / "a").stat().st_ino: "/a",
        (tmp_path / "a/b").stat().st_ino: "/a/b",
    }


def test_cgroups_by_inode_where_only_a_part_is_mounted(tmp_path):
    (tmp_path / "b").mkdir()
    part = MemoryHierarchy(version=2, mount_point=tmp_path, mount_root="/x/y")
    assert cgroup_inodes(part) == {
        tmp_path.stat().st_ino: "/x/y",
        (tmp_path / "b").stat().st_ino: "/x/y/b",
    }


def test_processes_of_a_cgroup_and_below(tmp_path):
    tree(tmp_path, {"a/cgroup.procs": "3\n5\n", "a/b/cgroup.procs": "7\n", "a/c/cgroup.procs": "11\n"})
    assert cgroup_processes(v2(tmp_path), "/a") == {3, 5, 7, 11}
    assert cgroup_processes(v2(tmp_path), "/a", ("/a/c",)) == {3, 5, 7}
    assert cgroup_processes(v2(tmp_path), "/gone") == set()
