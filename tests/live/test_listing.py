"""The kernel's iterator lists the processes that /proc lists, whatever they are and wherever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import end_processes, remove
from tests.live.test_threads import threaded
from tests.own import NAME
from zonerss.errors import CannotServe
from zonerss.kernel import roster
from zonerss.kernel.cgroupfs import MemoryHierarchy, find_memory_hierarchy
from zonerss.kernel.mounts import read_mounts
from zonerss.kernel.proc import TaskList, read_tasks, shared_mm_leaders
from zonerss.kernel.roots import HOST
from zonerss.kernel.roster import WORTH_ITERATING
from zonerss.kernel.task_iterator import TaskIterator
from zonerss.plain import replace
from zonerss.records import Cause, Task

LOOKS = 50
ODD = b") R (x\n\xff\\"
"""A name."""
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def iterator() -> Iterator[TaskIterator]:
    try:
        loaded = TaskIterator()
    except CannotServe as error:
        needs.skip("needs_pagetable", str(error))
    with loaded:
        yield loaded


def ours(listed: TaskList, among: set[int] | None) -> dict[int, tuple[Task, int]]:
    """What is told of each process, and who has its address space. How many pages it has is an estimate of each."""
    leaders = shared_mm_leaders(listed, our_pids=True)
    return {
        task.pid: (replace(task, rss_pages=0, cgroup_text=0), leaders[task.pid])
        for task in listed.tasks
        if among is None or task.pid in among
    }


def both(iterator: TaskIterator, hierarchy: MemoryHierarchy, among: set[int] | None = None):
    """Both listings of one moment: /proc says the same before and after.

    Of all who are there, somebody may have come and gone in between.
    """
    quiet = None
    for _ in range(LOOKS):
        before = ours(read_tasks(HOST, hierarchy, True), among)
        told = ours(iterator.read(hierarchy, True), among)
        if ours(read_tasks(HOST, hierarchy, True), among) == before:
            quiet = before, told
            if told == before or among is not None:
                break
    if quiet is None:
        needs.skip("needs_quiet", "processes came and went in each look")
    return quiet


def test_all_that_is_there(iterator):
    """Kernel threads among them, who are none."""
    by_proc, by_kernel = both(iterator, find_memory_hierarchy(HOST))
    assert by_kernel == by_proc
    assert os.getpid() in by_kernel
    assert not any(task.command == "kthreadd" for task, _ in by_kernel.values())


def test_every_sort_of_process(iterator, make_zone):
    """Odd names, a dead leader, shared address spaces, zombies, fifty forks."""
    hierarchy, zone = find_memory_hierarchy(HOST), make_zone("a")
    odd, dead, sharer, zombie, crowd = (zone.spawn() for _ in range(5))
    odd.tell(f"name {ODD.hex()}")
    dead.tell("deadleader 2")
    sharing = {int(sharer.tell(verb)["pid"]) for verb in ("vmclone", "vfork")}
    zombie.process.kill()
    forks = {crowd.fork() for _ in range(50)}
    among = {mem.pid for mem in zone.mems} | sharing | forks
    wait_for(lambda: ") Z " in Path(f"/proc/{zombie.pid}/stat").read_text())
    by_proc, by_kernel = both(iterator, hierarchy, among)
    assert by_kernel == by_proc
    assert by_kernel.keys() == among - {zombie.pid}
    assert by_kernel[odd.pid][0].command == os.fsdecode(ODD)
    assert by_kernel[dead.pid][0].walk_tid != dead.pid
    assert {by_kernel[pid][1] for pid in sharing | {sharer.pid}} == {sharer.pid}
    assert {task.cgroup for task, _ in by_kernel.values()} == {
        f"/{zone.path.relative_to(hierarchy.mount_point)}"
    }


def test_another_user_and_another_pid_namespace(iterator):
    command = ["setpriv", "--ruid", "65534", "unshare", "--pid", "--fork", "sleep", "60"]
    outer = subprocess.Popen(command)
    try:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        wait_for(lambda: children.read_text().strip())
        inner = int(children.read_text())
        wait_for(lambda: Path(f"/proc/{inner}/comm").read_text() == "sleep\n")
        by_proc, by_kernel = both(iterator, find_memory_hierarchy(HOST), {outer.pid, inner})
        assert by_kernel == by_proc
        assert by_kernel.keys() == {outer.pid, inner}
        assert by_kernel[inner][0].uid == 65534
        assert by_kernel[inner][0].euid == 0
    finally:
        if children.exists() and (text := children.read_text().strip()):
            os.kill(int(text), 9)
        outer.kill()
        outer.wait()


INSIDE = """
import os, sys
from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.proc import read_tasks
from zonerss.kernel.roots import HOST
from zonerss.kernel.roster import WORTH_ITERATING
from zonerss.kernel.task_iterator import TaskIterator
try:
    with TaskIterator() as iterator:
        listed = iterator.read(find_memory_hierarchy(HOST))
        told = {task.pid for task in listed.tasks}
        assert told == {task.pid for task in read_tasks(HOST, find_memory_hierarchy(HOST)).tasks}
        print(os.getpid() in told, len(told))
except CannotServe as err:
    print(err)
"""


def inside(*prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", INSIDE]
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


def test_from_within_a_pid_namespace(iterator):
    """Only those that are in it, by their numbers there."""
    assert inside("unshare", "--pid", "--fork", "--mount-proc") == "True 1"


def test_a_proc_of_another_namespace_or_that_hides_processes_lists_itself(iterator):
    assert "another pid namespace" in inside("unshare", "--pid", "--fork")
    hide = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    assert "hidepid" in inside("unshare", "--mount", "sh", "-c", hide, "sh")


@pytest.mark.parametrize("first", ["lives", "ends"])
def test_threads_alone_in_other_cgroups_of_version_1(iterator, cgroups, make_zone, first):
    if cgroups.hierarchy.version != 1:
        needs.skip("needs_cgroup1")
    zones = [make_zone(name) for name in "abc"]
    with threaded(zones[0].path, first) as program:
        for tid, zone in zip(program.tids, zones[1:], strict=True):
            (zone.path / "tasks").write_text(str(tid))
        program.touch()
        by_proc, by_kernel = both(iterator, find_memory_hierarchy(HOST), {program.process.pid})
    assert by_kernel == by_proc
    ((task, _),) = by_kernel.values()
    assert task.cgroup.endswith(zones[first == "ends"].path.name)


def test_threaded_cgroups_of_version_2(iterator):
    (mount, *_) = [mount for mount in read_mounts(HOST) if mount.fs_type == "cgroup2"] or [None]
    if not mount or mount.root != "/":
        needs.skip("needs_cgroup2")
    hierarchy = MemoryHierarchy(2, Path(mount.mount_point), "/")
    top = Path(mount.mount_point) / f"{NAME}-listing"
    inner = top / "threaded"
    top.mkdir()
    try:
        inner.mkdir()
        (inner / "cgroup.type").write_text("threaded")
        with threaded(top, "lives") as program:
            (inner / "cgroup.threads").write_text(str(program.process.pid))
            by_proc, by_kernel = both(iterator, hierarchy, {program.process.pid})
        assert by_kernel == by_proc
        assert by_kernel[program.process.pid][0].cgroup == f"/{top.name}"
    finally:
        for path in (inner, top):
            if path.exists():
                if path is top:
                    end_processes(path)
                remove(path)


def test_a_renamed_cgroup_of_version_1(iterator, cgroups, make_zone):
    if cgroups.hierarchy.version != 1:
        needs.skip("needs_cgroup1")
    zone = make_zone("a")
    mem = zone.spawn()
    both(iterator, find_memory_hierarchy(HOST), {mem.pid})
    renamed = zone.path.with_name("renamed")
    zone.path.rename(renamed)
    try:
        by_proc, by_kernel = both(iterator, find_memory_hierarchy(HOST), {mem.pid})
    finally:
        renamed.rename(zone.path)
    assert by_kernel == by_proc
    assert by_kernel[mem.pid][0].cgroup.endswith("/renamed")


def test_while_processes_come_and_go(iterator, zone, mem):
    """None that stays is missed, none is told twice, and none has what another has."""
    stays = {mem.fork() for _ in range(20)} | {mem.pid}
    for what in ("exit", "fork", "exec"):
        mem.tell(f"storm {what}")
    hierarchy = find_memory_hierarchy(HOST)
    first = ours(iterator.read(hierarchy), stays)
    assert first.keys() == stays
    for _ in range(LOOKS):
        listed = iterator.read(hierarchy)
        pids = [task.pid for task in listed.tasks]
        assert pids == sorted(set(pids))
        assert ours(listed, stays) == first


@pytest.fixture
def session(iterator) -> Iterator[zonerss.Session]:
    with zonerss.Session("auto", follow=True) as opened:
        assert opened._roster.iterates
        yield opened


def test_the_first_look_of_a_session_does_not_wait_for_it(iterator, zone, mem):
    """Loading it takes longer than listing few processes does."""
    with zonerss.Session("auto") as opened:
        first = opened.take("cgroup")
        assert opened._roster.iterates == (
            sum(name.isdigit() for name in os.listdir("/proc")) >= WORTH_ITERATING
        )
        second = opened.take("cgroup")
        assert opened._roster.iterates
    for taken in (first, second):
        assert mem.pid in {member.task.pid for member in taken.members}


def test_who_moves_during_the_walk_is_a_gap(session, make_zone, monkeypatch):
    here, there = make_zone("here"), make_zone("there")
    moves, stays = here.spawn(), here.spawn()
    walk = session._walk

    def walk_and_move(*arguments):
        walked = walk(*arguments)
        there.add(moves.pid)
        return walked

    monkeypatch.setattr(session, "_walk", walk_and_move)
    gaps = {gap.pid: gap.cause for gap in session.take("cgroup").gaps}
    assert gaps.get(moves.pid) == Cause.MOVED
    assert stays.pid not in gaps


@pytest.mark.parametrize("uncertainty", [False, True])
def test_who_begins_during_the_walk_is_a_gap_and_in_the_next_snapshot(
    session, make_zone, monkeypatch, uncertainty
):
    zone = make_zone("a")
    zone.spawn()
    if uncertainty:
        session.go_on(uncertainty=True)
    walk = session._walk

    def walk_and_begin(*arguments):
        walked = walk(*arguments)
        zone.spawn()
        return walked

    with monkeypatch.context() as patched:
        patched.setattr(session, "_walk", walk_and_begin)
        gaps = {gap.pid: gap.cause for gap in session.take("cgroup").gaps}
    began = zone.mems[-1].pid
    assert gaps.get(began) == Cause.BEGAN
    assert began in {member.task.pid for member in session.take("cgroup").members}


def test_both_ways_of_listing_give_the_same_snapshot(make_zone, iterator):
    """Processes, zones and who shares an address space, of the processes of two zones."""
    a, b = make_zone("a"), make_zone("b")
    parent = a.spawn()
    parent.map("anon 331")
    b.add(int(parent.tell("vmclone")["pid"]))
    parent.tell("vmclone")
    b.spawn().map("memfd 17")
    names = {a.name, b.name}
    found = []
    for source in ("auto", "pagemap"):
        with zonerss.Session(source) as opened:
            opened.go_on()
            assert opened._roster.iterates == (source == "auto")
            taken = opened.take("cgroup", processes=True)
            found.append(
                {
                    *(
                        (usage.zone, usage.processes, usage.rss_bytes)
                        for usage in taken.zones
                        if usage.zone in names
                    ),
                    *(
                        (p.pid, p.zone, p.uid, p.command, p.rss_bytes)
                        for p in taken.processes
                        if p.zone in names
                    ),
                }
            )
    assert found[0] == found[1]
    assert found[0]


def test_the_window_around_a_walk_is_closed_without_reading_proc_again(session, zone, mem, monkeypatch):
    session.go_on(uncertainty=True)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all of /proc is read")

    monkeypatch.setattr(roster, "read_tasks", refuse)
    usage = next(usage for usage in session.take("cgroup").zones if usage.zone == zone.name)
    assert usage.uncertainty_bytes is not None


def test_where_it_cannot_be_read_proc_is(session, zone, mem, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(5, "no")

    monkeypatch.setattr(session._roster._iterator, "_rows", fails)
    assert mem.pid in {member.task.pid for member in session.take("cgroup").members}
    assert not session._roster.iterates


def test_several_threads_may_take_snapshots(iterator, zone, mem):
    """Each session has an iterator of its own."""
    found: list[bool] = []

    def look() -> None:
        with zonerss.Session("auto") as opened:
            found.append(mem.pid in {member.task.pid for member in opened.take("cgroup").members})

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 3


def wait_for(holds) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")
