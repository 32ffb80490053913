"""Where the cgroup of a command goes, in recorded trees; tests/live/test_run.py has real ones."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from zonerss.errors import CannotServe
from zonerss.kernel import own_cgroup as module
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.own_cgroup import OwnCgroup, own_cgroup
from zonerss.kernel.roots import Roots


class Tree:
    """A cgroup file system of plain files: what is written to them can be read, and does nothing."""

    def __init__(self, top: Path, version: int, ours: str) -> None:
        self.cgroups, self.proc = top / "cgroup", top / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.roots = Roots(proc=self.proc, host=top)
        line = f"0::{ours}" if version == 2 else f"4:memory:{ours}\n0::/other"
        (self.proc / "self" / "cgroup").write_text(f"{line}\n")
        self.hierarchy = MemoryHierarchy(version, self.cgroups, "/")
        self.add("/")
        path = ""
        for part in ours.strip("/").split("/"):
            path = f"{path}/{part}" if part else path
            if path:
                self.add(path)

    def add(self, path: str, **files: str) -> Path:
        where = self.cgroups / path.strip("/")
        where.mkdir(parents=True, exist_ok=True)
        usual = {"cgroup.procs": "", "cgroup.subtree_control": "", "cgroup.controllers": "cpu memory"}
        for name, text in (usual | {name.replace("__", "."): text for name, text in files.items()}).items():
            if not (where / name).exists() or name not in usual or text != usual[name]:
                (where / name).write_text(text)
        return where

    def refuse(self, path: str, name: str) -> None:
        """Let a file be one that nothing can be written to."""
        where = self.cgroups / path.strip("/") / name
        where.unlink(missing_ok=True)
        where.mkdir()

    def choose(self) -> tuple[str, bool]:
        ours = (self.proc / "self" / "cgroup").read_text().split("\n")[0].split(":")[2]
        with ExitStack() as undo:
            return module._choose(self.hierarchy, ours, undo)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path, 2, "/user.slice/session-3.scope")


SESSION = "/user.slice/session-3.scope"


def busy(tree: Tree, path: str = SESSION, pids: str = "1\n2\n") -> Path:
    """A cgroup with others in it, which therefore cannot hand a controller down."""
    tree.refuse(path, "cgroup.subtree_control")
    return tree.add(path, cgroup__procs=pids)


def test_version_1_is_below_ours_and_has_a_bill(tmp_path: Path) -> None:
    assert Tree(tmp_path, 1, "/a/b").choose() == ("/a/b", True)


def test_without_a_memory_controller_there_is_no_bill(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2, "/a")
    tree.hierarchy = MemoryHierarchy(2, tree.cgroups, "/", charges=False)
    assert tree.choose() == ("/a", False)


def test_below_ours_where_that_hands_memory_down_already(tree: Tree) -> None:
    busy(tree)
    (tree.cgroups / SESSION[1:] / "cgroup.subtree_control").rmdir()
    tree.add(SESSION, cgroup__subtree_control="cpu memory\n")
    assert tree.choose() == (SESSION, True)


def test_below_ours_where_it_can_hand_memory_down(tree: Tree) -> None:
    """As the root does, and so it is taken back."""
    control = tree.cgroups / SESSION[1:] / "cgroup.subtree_control"
    written = []
    with ExitStack() as undo:
        assert module._choose(tree.hierarchy, SESSION, undo) == (SESSION, True)
        written.append(control.read_text())
    assert [*written, control.read_text()] == ["+memory", "-memory"]


def test_ours_lacks_the_controller_itself(tree: Tree) -> None:
    tree.add(SESSION, cgroup__controllers="cpu\n")
    assert tree.choose() == (SESSION, False)


def test_beside_ours_where_others_are_in_it(tree: Tree) -> None:
    busy(tree)
    assert tree.choose() == ("/user.slice", True)


@pytest.mark.parametrize("name", ["memory.max", "memory.high", "memory.swap.max"])
def test_a_limit_of_ours_is_not_escaped(tree: Tree, name: str) -> None:
    where = busy(tree)
    (where / name).write_text("1073741824\n")
    assert tree.choose() == (SESSION, False)
    (where / name).write_text("max\n")
    assert tree.choose() == ("/user.slice", True)


def test_a_service_is_not_left(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2, "/system.slice/x.service")
    busy(tree, "/system.slice/x.service")
    assert tree.choose() == ("/system.slice/x.service", False)


def test_at_the_top_of_what_can_be_seen_it_stays_below(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2, "/")
    busy(tree, "/")
    assert tree.choose() == ("/", False)


def test_alone_in_ours_we_step_aside_and_come_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tree.add(SESSION, cgroup__procs=f"{os.getpid()}\n")
    wrote = []
    refused = [True]

    def write(path: Path, text: str) -> None:
        wrote.append((path.relative_to(where).as_posix(), text))
        if path.name == "cgroup.subtree_control" and text == "+memory" and refused:
            raise OSError(refused.pop(), "busy", str(path))

    monkeypatch.setattr(module, "_write", write)
    aside = f"zonerss-self-{os.getpid()}"
    with ExitStack() as undo:
        assert module._choose(tree.hierarchy, SESSION, undo) == (SESSION, True)
        assert (where / aside).is_dir()
    assert not (where / aside).exists()
    assert wrote == [
        ("cgroup.subtree_control", "+memory"),
        (f"{aside}/cgroup.procs", "0"),
        ("cgroup.subtree_control", "+memory"),
        ("cgroup.subtree_control", "-memory"),
        ("cgroup.procs", "0"),
    ]


def test_what_cannot_step_aside_is_as_it_was(tree: Tree) -> None:
    where = busy(tree, pids=f"{os.getpid()}\n")
    before = sorted(where.iterdir())
    # The child that we would go into has no cgroup.procs in a tree of plain files.
    assert tree.choose() == ("/user.slice", True)
    assert sorted(where.iterdir()) == before


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2, "/")
    nothing = MemoryHierarchy(0, tree.cgroups, "/", charges=False)
    with pytest.raises(CannotServe, match="cannot be seen here"), own_cgroup(nothing, tree.roots):
        pass


def test_ours_cannot_be_seen(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2, "/../../a")
    with pytest.raises(CannotServe, match=r"--cgroupns=host"), own_cgroup(tree.hierarchy, tree.roots):
        pass


def test_a_cgroup_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path, 1, "/a")

    def mkdir(path: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(module.os, "mkdir", mkdir)
    with (
        pytest.raises(CannotServe, match=r"below /a: Read-only file system: .*must be mounted for writing"),
        own_cgroup(tree.hierarchy, tree.roots),
    ):
        pass


def test_it_is_made_and_removed_with_what_is_below_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 1, "/a")
    with own_cgroup(tree.hierarchy, tree.roots) as made:
        assert made.path == f"/a/zonerss-run-{os.getpid()}"
        where = tree.cgroups / made.path[1:]
        (where / "inner" / "most").mkdir(parents=True)
        with own_cgroup(tree.hierarchy, tree.roots) as other:
            assert other.path == f"{made.path}-1"
    assert made.is_removed
    assert other.is_removed
    assert not where.exists()


def test_what_a_killed_zonerss_left_is_removed(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 1, "/a")
    gone, alive, other = (
        tree.cgroups / "a" / name for name in ("zonerss-run-23", "zonerss-run-42-1", "zonerss-run-x")
    )
    for where in (gone, alive, other):
        where.mkdir()
    (tree.proc / "42").mkdir()
    with own_cgroup(tree.hierarchy, tree.roots):
        assert [where.exists() for where in (gone, alive, other)] == [False, True, True]


def test_with_processes_left_it_stays(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 1, "/a")
    with own_cgroup(tree.hierarchy, tree.roots) as made:
        where = tree.cgroups / made.path[1:]
        (where / "cgroup.procs").write_text("77\n")
    assert not made.is_removed
    assert where.exists()
    assert made.processes() == {77}


@pytest.mark.parametrize(
    ("version", "files", "peak", "kills"),
    [
        (
            1,
            {"memory.max_usage_in_bytes": "8192\n", "memory.oom_control": "oom_kill_disable 0\noom_kill 2\n"},
            8192,
            2,
        ),
        (2, {"memory.peak": "4096\n", "memory.events": "low 0\noom 1\noom_kill 1\n"}, 4096, 1),
        (2, {"memory.events": "low 0\n"}, None, None),
        (2, {}, None, None),
        (1, {"memory.max_usage_in_bytes": "many\n"}, None, None),
    ],
)
def test_what_the_kernel_says_of_it(
    tmp_path: Path, version: int, files: dict[str, str], peak: int | None, kills: int | None
) -> None:
    tree = Tree(tmp_path, version, "/a")
    for name, text in files.items():
        (tree.cgroups / "a" / name).write_text(text)
    billed = OwnCgroup(tree.hierarchy, "/a", has_bill=True)
    assert (billed.peak_bytes(), billed.oom_kills()) == (peak, kills)
    assert OwnCgroup(tree.hierarchy, "/a", has_bill=False).peak_bytes() is None
