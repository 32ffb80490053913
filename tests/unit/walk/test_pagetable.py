"""What the source of page tables reads from files, and how it decides; no kernel needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.walk import pagetable
from zonerss.walk.pagetable import (
    STAGES,
    NotLoaded,
    PageTableSource,
    parse_ram,
    read_ram,
    worth_loading,
)

IOMEM = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-bfffffff : System RAM
  01000000-0220bb07 : Kernel code
c0000000-febfffff : PCI Bus 0000:00
100000000-63fffffff : System RAM
1000000000-13ffffffff : Persistent Memory
  1000000000-13ffffffff : namespace0.0
    1040000000-13ffffffff : System RAM (kmem)
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "self").mkdir()
    return Roots(proc=tmp_path)


def test_ram_is_whole_pages_of_system_ram(roots: Roots) -> None:
    (roots.proc / "iomem").write_text(IOMEM)
    assert read_ram(roots) == [
        (0x1, 0x9F - 0x1),
        (0x100, 0xC0000 - 0x100),
        (0x100000, 0x640000 - 0x100000),
        (0x1040000, 0x1400000 - 0x1040000),
    ]


def test_ram_hidden_reads_as_zeros(roots: Roots) -> None:
    hidden = "".join(f"00000000-00000000 : {line.split(' : ')[1]}\n" for line in IOMEM.splitlines())
    (roots.proc / "iomem").write_text(hidden)
    with pytest.raises(NotLoaded, match="tells no addresses") as caught:
        read_ram(roots)
    assert caught.value.stage == "ram"


@pytest.mark.parametrize(
    "text", ["", "garbage\n", "zz-yy : System RAM\n", "00100000-bfffffff : System RAMBO\n"]
)
def test_ram_of_files_that_tell_none(roots: Roots, text: str) -> None:
    (roots.proc / "iomem").write_text(text)
    with pytest.raises(NotLoaded):
        read_ram(roots)


def test_no_iomem(roots: Roots) -> None:
    with pytest.raises(NotLoaded, match="cannot read"):
        read_ram(roots)


ADDRESSES = st.integers(0, 2**64 - 1)


@given(
    st.lists(
        st.tuples(ADDRESSES, ADDRESSES, st.sampled_from(["System RAM", "System RAM (kmem)", "Reserved"]))
    )
)
def test_each_range_of_memory_is_read(lines: list[tuple[int, int, str]]) -> None:
    text = "".join(f"  {start:08x}-{end:08x} : {what}\n" for start, end, what in lines)
    whole = sorted(
        (-(-start // 4096), (end + 1) // 4096 - -(-start // 4096))
        for start, end, what in lines
        if what.startswith("System RAM") and (end + 1) // 4096 > -(-start // 4096)
    )
    assert parse_ram(text) == whole


@given(st.text() | st.text(st.sampled_from("0af- :System RAM()\n"), max_size=200))
def test_any_text_is_ranges_of_frames(text: str) -> None:
    for first, count in parse_ram(text):
        assert first >= 0
        assert count > 0
        assert first + count <= 2**52


def test_loading_is_worth_it_for_many_pages_or_many_looks() -> None:
    assert not worth_loading(0, resident=False)
    assert not worth_loading(100_000, resident=False)
    assert worth_loading(5_000_000, resident=False)
    assert worth_loading(0, resident=True)


def test_loading_becomes_worth_it_once() -> None:
    """No size above the smallest that is worth it is not."""
    answers = [worth_loading(pages, resident=False) for pages in range(0, 4_000_000, 50_000)]
    assert answers == sorted(answers)


def test_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6", "1", "riscv64")))
    with pytest.raises(NotLoaded, match="riscv64") as caught:
        PageTableSource()
    assert caught.value.stage == "architecture"
    assert isinstance(caught.value, CannotServe)


def test_built_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6", "1", "x86_64")))
    monkeypatch.setattr(pagetable, "BUILT", False)
    with pytest.raises(NotLoaded, match="built without the BPF program") as caught:
        PageTableSource()
    assert caught.value.stage == "built"


def test_proc_of_another_pid_namespace(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6", "1", "x86_64")))
    (roots.proc / "self").rmdir()
    (roots.proc / "self").symlink_to(str(os.getpid() + 1))
    monkeypatch.setattr(pagetable, "BUILT", True)
    with pytest.raises(NotLoaded, match="another pid namespace") as caught:
        PageTableSource(roots)
    assert caught.value.stage == "namespace"


def test_stages_are_told_apart() -> None:
    assert len(set(STAGES)) == len(STAGES)
