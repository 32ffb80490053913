"""What is made of the rows of the kernel's iterator; the kernel's part is written down here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_proc import FakeProc, stat

from zonerss.errors import CannotServe
from zonerss.kernel import proc
from zonerss.kernel import task_iterator as module
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.proc import shared_mm_leaders
from zonerss.kernel.roots import Roots
from zonerss.kernel.task_iterator import TaskIterator

MM = 0xFFFF888000000000


def row(pid: int, cgroup: int, mm: int | None = None, threads: int = 1, comm: bytes = b"sh", start: int = 77):
    return (
        pid,
        threads,
        start,
        MM + pid if mm is None else mm,
        8192,
        2,
        57,
        cgroup,
        1000,
        0,
        comm.ljust(16, b"\0"),
    )


class Told(TaskIterator):
    """One that the kernel tells these rows, listing after listing."""

    def __init__(self, roots: Roots, *told: list[tuple[Any, ...]]) -> None:
        self._roots, self.told = roots, list(told)
        self._offers_all, self._hierarchy, self._paths, self.known = False, None, {}, frozenset()

    def _rows(self, hierarchy: MemoryHierarchy) -> list[tuple[Any, ...]]:
        return self.told.pop(0)


class Tree:
    """A /proc and a hierarchy of cgroups whose ids are the inodes of its directories."""

    def __init__(self, root: Path) -> None:
        self.proc = FakeProc(root / "proc")
        self.proc.roots.proc.mkdir()
        self.mount = root / "cgroup"
        self.mount.mkdir()
        self.hierarchy = MemoryHierarchy(version=2, mount_point=self.mount, mount_root="/")

    def cgroup(self, name: str) -> int:
        (self.mount / name).mkdir()
        (self.mount / name / "memory.current").touch()
        return os.stat(self.mount / name).st_ino

    def process(self, pid: int, path: str, **how: Any) -> None:
        self.proc.process(pid, stat(pid, **how), f"0::{path}\n".encode())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_one_process_of_a_cgroup_tells_its_path_for_all(tree: Tree) -> None:
    a, b = tree.cgroup("a"), tree.cgroup("b")
    for pid, path in ((41, "/a"), (43, "/b")):
        tree.process(pid, path)
    told = Told(tree.proc.roots, [row(41, a), row(42, a, comm=b"x) R\xff(\n"), row(43, b)])
    found = told.read(tree.hierarchy, want_users=True)
    assert [(task.pid, task.cgroup, task.uid, task.euid) for task in found.tasks] == [
        (41, "/a", 1000, 0),
        (42, "/a", 1000, 0),
        (43, "/b", 1000, 0),
    ]
    assert found.tasks[1].command == "x) R\udcff(\n"
    assert (found.tasks[0].start_ticks, found.tasks[0].size_bytes, found.tasks[0].stack_start) == (
        77,
        8192,
        57,
    )
    assert found.handle is None
    assert found.gaps == ()


def test_users_are_none_where_they_were_not_asked_for(tree: Tree) -> None:
    a = tree.cgroup("a")
    tree.process(41, "/a")
    (task,) = Told(tree.proc.roots, [row(41, a)]).read(tree.hierarchy).tasks
    assert (task.uid, task.euid) == (None, None)


def test_who_tells_a_path_may_have_moved_meanwhile(tree: Tree) -> None:
    """Then each process tells its own."""
    a = tree.cgroup("a")
    tree.cgroup("b")
    tree.process(41, "/b")
    tree.process(42, "/a")
    found = Told(tree.proc.roots, [row(41, a), row(42, a)]).read(tree.hierarchy)
    assert {task.pid: task.cgroup for task in found.tasks} == {41: "/b", 42: "/a"}


def test_a_renamed_cgroup_is_called_by_its_name_of_now(tree: Tree) -> None:
    """Version 1 allows it."""
    a = tree.cgroup("a")
    tree.process(41, "/a")
    told = Told(tree.proc.roots, [row(41, a)], [row(41, a)], [row(41, a)])
    assert [task.cgroup for task in told.read(tree.hierarchy).tasks] == ["/a"]
    (tree.mount / "a").rename(tree.mount / "c")
    other = tree.cgroup("a")
    assert other != a
    (tree.proc.roots.proc / "41" / "cgroup").write_bytes(b"0::/c\n")
    assert [task.cgroup for task in told.read(tree.hierarchy).tasks] == ["/c"]
    # A path that is known is not asked for again.
    (tree.proc.roots.proc / "41" / "cgroup").unlink()
    assert [task.cgroup for task in told.read(tree.hierarchy).tasks] == ["/c"]


def test_processes_of_cgroups_that_have_no_directory_here_tell_their_own(tree: Tree) -> None:
    tree.process(41, "/../elsewhere")
    tree.process(42, "/../elsewhere")
    found = Told(tree.proc.roots, [row(41, 5), row(42, 5)]).read(tree.hierarchy)
    assert {task.cgroup for task in found.tasks} == {"/../elsewhere"}
    assert not found.mm_leaders


def test_without_cgroups_all_are_in_one(tree: Tree) -> None:
    nothing = MemoryHierarchy(version=0, mount_point=tree.mount, mount_root="/")
    tree.process(41, "/")
    found = Told(tree.proc.roots, [row(41, 5), row(42, 6)]).read(nothing)
    assert [task.cgroup for task in found.tasks] == ["/", "/"]


def test_kernel_threads_and_zombies_are_none_of_them_and_dead_leaders_are_read_through_proc(
    tree: Tree,
) -> None:
    a = tree.cgroup("a")
    threads = {44: stat(44, vsize=0, state=b"Z", threads=2), 45: stat(45, vsize=4096)}
    tree.proc.process(44, threads[44], b"0::/a\n", threads)
    tree.process(46, "/a")
    found = Told(tree.proc.roots, [row(2, 1, 0), row(43, a, 0), row(44, a, 0, threads=2), row(46, a)]).read(
        tree.hierarchy
    )
    assert [(task.pid, task.walk_tid) for task in found.tasks] == [(44, 45), (46, 46)]


def test_whom_the_kernel_offers_to_no_iterator_is_read_through_proc(tree: Tree) -> None:
    a = tree.cgroup("a")
    for pid in (1, 41):
        tree.process(pid, "/a")
    told = Told(tree.proc.roots, [row(41, a)], [row(41, a)], [row(41, a)])
    for _ in range(2):
        assert [task.pid for task in told.read(tree.hierarchy).tasks] == [1, 41]
    shutil.rmtree(tree.proc.roots.proc / "1")
    assert [task.pid for task in told.read(tree.hierarchy).tasks] == [41]


def test_names_are_not_read_where_everybody_is_offered(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    a = tree.cgroup("a")
    tree.process(41, "/a")
    told = Told(tree.proc.roots, [row(41, a)], [row(41, a)])
    told.read(tree.hierarchy)
    monkeypatch.setattr(module, "pids", lambda roots: pytest.fail("all were offered before"))
    told.read(tree.hierarchy)


@pytest.mark.parametrize("same", [True, False], ids=["shared", "used again"])
def test_one_address_space_has_its_lowest_pid(
    tree: Tree, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it ended while the list was made, another one may have its place in the kernel's memory."""
    monkeypatch.setattr(proc, "_compare_mm", lambda a, b: 0 if same else a.pid - b.pid)
    monkeypatch.setattr(proc, "_is_same_mm", lambda roots, a, b: same)
    a = tree.cgroup("a")
    tree.process(41, "/a")
    found = Told(tree.proc.roots, [row(41, a, MM), row(42, a), row(43, a, MM)]).read(tree.hierarchy)
    assert shared_mm_leaders(found, our_pids=True) == {41: 41, 42: 42, 43: 41 if same else 43}
    assert shared_mm_leaders(found, our_pids=False) == {41: 41, 42: 42, 43: 41}


def test_later_tells_who_moved_and_who_began(tree: Tree) -> None:
    a, b = tree.cgroup("a"), tree.cgroup("b")
    tree.process(40, "/a")
    first = [row(40, a), row(41, a), row(42, a), row(43, a)]
    then = [row(40, b), row(41, b), row(42, b, start=78), row(43, b, 0), row(44, a, 0), row(45, b)]
    told = Told(tree.proc.roots, first, then)
    listed = told.read(tree.hierarchy)
    tree.process(45, "/b")
    later = told.later(tree.hierarchy, listed, {41, 42, 43})
    assert later.moved == {41}, "40 was not walked, 42 is another process, 43 has ended"
    assert later.began == (45,)


def test_a_list_in_between_changes_nothing_of_what_later_tells(tree: Tree) -> None:
    a, b = tree.cgroup("a"), tree.cgroup("b")
    tree.process(41, "/a")
    told = Told(tree.proc.roots, [row(41, a)], *[[row(41, b), row(45, b)]] * 2)
    listed = told.read(tree.hierarchy)
    tree.process(45, "/b")
    assert [task.pid for task in told.again(tree.hierarchy).tasks] == [41, 45]
    later = told.later(tree.hierarchy, listed, {41})
    assert (later.moved, later.began) == ({41}, (45,))


def test_later_asks_proc_for_those_whom_it_told(tree: Tree) -> None:
    tree.process(41, "/../a")
    tree.process(42, "/../a")
    rows = [row(41, 5), row(42, 5)]
    told = Told(tree.proc.roots, rows, rows)
    listed = told.read(tree.hierarchy)
    (tree.proc.roots.proc / "41" / "task" / "41" / "cgroup").write_bytes(b"0::/../b\n")
    assert told.later(tree.hierarchy, listed, {41, 42}).moved == {41}


def test_another_controller_of_version_1_is_not_told(tree: Tree) -> None:
    told = Told(tree.proc.roots)
    assert told.serves(MemoryHierarchy(1, tree.mount, "/"))
    assert not told.serves(MemoryHierarchy(1, tree.mount, "/", controller="name=systemd"))


@pytest.mark.parametrize(
    ("option", "hides"),
    [
        ("hidepid=2", True),
        ("hidepid=invisible", True),
        ("hidepid=off", False),
        ("hidepid=0", False),
        ("rw", False),
    ],
)
def test_a_proc_that_hides_processes_is_listed_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, hides: bool
) -> None:
    monkeypatch.setattr(module, "BUILT", True)
    monkeypatch.setattr(module, "shows_our_pids", lambda roots: True)
    (tmp_path / "self").mkdir()
    mountinfo = f"22 27 0:21 / {tmp_path} rw,relatime - proc proc rw,{option}\n"
    (tmp_path / "self" / "mountinfo").write_text(mountinfo)
    if hides:
        with pytest.raises(CannotServe, match="hidepid"):
            module._require_here(Roots(proc=tmp_path))
    else:
        module._require_here(Roots(proc=tmp_path))


def test_another_pid_namespace_and_no_clang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUILT", False)
    with pytest.raises(CannotServe, match="install clang"):
        module._require_here(Roots(proc=tmp_path))
    monkeypatch.setattr(module, "BUILT", True)
    with pytest.raises(CannotServe, match="another pid namespace"):
        module._require_here(Roots(proc=tmp_path))
