"""The process connector: who came is heard of, and an overrun is noticed and repaired. And nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest

import zonerss
from tests.live import needs
from zonerss.errors import CannotServe
from zonerss.kernel import events as events_module
from zonerss.kernel.events import ProcEvents
from zonerss.kernel.roots import HOST
from zonerss.motion.tracer import ChurnTracer

BURST = 3000


@pytest.fixture
def following(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """A session that hears of processes, over a socket that holds some dozens of events only where asked."""
    if getattr(request, "param", None):
        monkeypatch.setattr(events_module, "ProcEvents", lambda: ProcEvents(buffer_bytes=request.param))
    with zonerss.Session("pagemap", follow=True) as session:
        if not session._roster.follows:
            needs.skip("needs_proc_events")
        yield session


def walked(snapshot: zonerss.Snapshot) -> set[int]:
    return {member.task.pid for member in snapshot.members}


def test_a_process_that_came_is_in_the_next_snapshot_without_another_listing(following, make_zone):
    following.take("cgroup")
    zone = make_zone("a")
    mem = zone.spawn()
    snapshot = following.take("cgroup")
    assert mem.pid in walked(snapshot)
    assert zone.name in {usage.zone for usage in snapshot.zones}
    assert following._roster.full_listings == 1
    mem.end()
    assert mem.pid not in walked(following.take("cgroup"))
    assert following._roster.full_listings == 1


def test_a_process_that_moved_is_counted_where_it_is(following, make_zone):
    here, there = make_zone("here"), make_zone("there")
    mem = here.spawn()
    following.take("cgroup")
    there.add(mem.pid)
    names = {m.task.pid: m.zones[0].name for m in following.take("cgroup").members}
    assert names[mem.pid] == there.name


@pytest.mark.parametrize("following", [8192], indirect=True)
def test_an_overrun_is_repaired_by_listing_all(following, make_zone):
    following.take("cgroup")
    zone = make_zone("storm")
    stayed = [zone.spawn().pid]
    for _ in range(BURST // 10):
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    stayed.append(zone.spawn().pid)
    snapshot = following.take("cgroup")
    assert following._roster.full_listings == 2
    assert set(stayed) <= walked(snapshot)
    fresh = zonerss.take_snapshot("cgroup", "pagemap")
    assert {pid for pid in walked(fresh) if pid in stayed} == set(stayed)


def test_a_repeated_snapshot_equals_a_fresh_one(following, make_zone):
    """On stopped processes, whatever they did in between."""
    from tests.live.cgroups import stopped

    zone = make_zone("a")
    mem = zone.spawn()
    following.take("cgroup")
    mem.map("anon 331")
    mem.fork()
    with stopped([zone.path]):
        again = following.take("cgroup", processes=True)
        fresh = zonerss.take_snapshot("cgroup", "pagemap", processes=True)

        def ours(snapshot):
            """What these processes alone decide: the charge lags behind by a batch a processor,
            and what is exclusive is for the others to change, who run on."""
            usage = next(usage for usage in snapshot.zones if usage.zone == zone.name)
            processes = [p for p in snapshot.processes if p.zone == zone.name]
            return (
                usage.processes,
                usage.process_rss_bytes,
                (usage.anon_bytes, usage.file_bytes, usage.shmem_bytes, usage.hugetlb_bytes),
                usage.swap_bytes,
                [(p.pid, p.rss_bytes, p.anon_bytes, p.size_bytes, p.command) for p in processes],
            )

        assert ours(again) == ours(fresh)


def programs() -> set[tuple[int, str]]:
    text = subprocess.run(["bpftool", "prog", "-j"], check=True, capture_output=True).stdout
    return {(row["id"], row.get("name", "")) for row in json.loads(text)}


def test_churn_loads_soon_and_leaves_nothing_behind():
    if not shutil.which("bpftool"):
        needs.skip("needs_bcc", "no bpftool to look with")
    before = programs()
    began, busy = time.perf_counter(), time.process_time()
    try:
        tracer = ChurnTracer(HOST)
    except CannotServe as error:
        needs.skip("needs_bcc", str(error))
    with tracer:
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        tracer.begin()
        ours = {row for row in programs() - before if row[1].startswith("on_")}
        tracer.end()
    assert {"on_cgroup_attach_task", "on_rss_stat"} <= {name for _, name in ours}
    print(f"loaded in {seconds:.2f} s, {cpu:.2f} s of processor time")
    for _ in range(50):  # the kernel frees programs a moment later
        if not ours & programs():
            break
        time.sleep(0.1)
    assert not ours & programs()
