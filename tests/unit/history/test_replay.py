"""A moment that was kept answers as the look that it was made of, byte for byte but for what is not kept."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.questions import QUESTIONS
from tests.unit.builders import BEGAN
from tests.unit.fake_machine import PAGE, Frame, Machine, Process

from zonerss.census.kinds import Kind
from zonerss.errors import AmbiguousZone, NotKept, UnknownZone, UsageError
from zonerss.history.keeper import Keeper
from zonerss.history.moment import GROUPINGS, Moment, take_moment
from zonerss.history.recording import Recording
from zonerss.history.replay import PastSession
from zonerss.plain import replace
from zonerss.records import Names
from zonerss.records.bills import Bill
from zonerss.records.files import FileKind, MappedFile
from zonerss.snapshot import Observer
from zonerss.views.document import render_json

ID = "3b" * 32
CGROUPS = (
    "/system.slice/nginx.service",
    "/system.slice/nginx.service/worker",
    "/system.slice/db.service",
    f"/system.slice/docker-{ID}.scope",
    "/user.slice/user-7.slice/session-3.scope",
    "/",
    "/lone",
    f"/system.slice/docker-{ID[::-1]}.scope",
    "/lone/inner",
)
FILES = (
    MappedFile("/lib/libc.so.6", FileKind.FILE, True, 5 * PAGE, (8, 1), 77, None, ("/usr/lib/libc.so.6",)),
    MappedFile("/memfd:pool", FileKind.MEMFD, False, PAGE, (0, 1), 5),
    MappedFile("/memfd:pool", FileKind.MEMFD, False, PAGE, (0, 1), 6),
    MappedFile("/SYSV00000000", FileKind.SYSV, True, PAGE, (0, 1), 0, ipc_namespace=4026531839),
    MappedFile("/SYSV00000000", FileKind.SYSV, True, PAGE, (0, 1), 0, ipc_namespace=4026532000),
    MappedFile("/dev/shm/x", FileKind.TMPFS, True, PAGE, (0, 23), 9),
    MappedFile("/tmp/gone", FileKind.DELETED, False, PAGE, (8, 1), 10),
)
SORTS = (
    (Kind.ANON, None),
    (Kind.SWAP, None),
    (Kind.HUGETLB, None),
    (Kind.FILE, FILES[0]),
    (Kind.FILE, FILES[6]),
    *((Kind.SHMEM, file) for file in FILES[1:6]),
    (Kind.FILE, None),
)
NAMES = Names(containers={ID: "shop"}, users={0: "root", 7: "ann"})


def bill_of(path: str, size: int) -> Bill:
    stat = {"total": 0, "cache": size // 2, "rss": size // 3, "mapped_file": size // 4, "shmem": 0, "swap": 0}
    return Bill(1, size, stat, dict(stat), PAGE, 0, None)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Up to a dozen processes in a few cgroups, of which some share an address space, and up to forty frames."""
    sorts = draw(st.lists(st.sampled_from(SORTS), min_size=1, max_size=40))
    payer = st.sampled_from((None, *CGROUPS[:-1], "/system.slice"))
    frames = [Frame(kind, file, draw(payer)) for kind, file in sorts]
    processes: list[Process] = []
    mapped = st.frozensets(st.integers(0, len(frames) - 1), max_size=12)
    for pid in range(100, 100 + draw(st.integers(1, 12))):
        fellow = draw(st.none() | st.sampled_from(processes)) if processes else None
        space = draw(st.sampled_from((None, None, 4026532000)))
        cgroup = draw(st.sampled_from(CGROUPS))
        uid = 7 if "user-7" in cgroup else draw(st.sampled_from((0, 7)))  # whose session it is, is met
        if fellow is None or fellow.mm is not None:
            processes.append(Process(pid, cgroup, draw(mapped), None, uid, space))
        else:
            processes.append(Process(pid, cgroup, fellow.frames, fellow.pid, uid, space))
    sizes = st.integers(0, 60).map(lambda pages: pages * PAGE)
    bills = {path: bill_of(path, draw(sizes)) for path in (*CGROUPS[:5], "/system.slice", "/user.slice")}
    return Machine(frames, processes, bills, NAMES)


class OneMoment:
    """A recording of one moment."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def latest(self) -> Any:
        return self.moment.snapshot.began

    def at(self, when: Any) -> Moment:
        return self.moment


def past_of(machine: Observer, **how: Any) -> PastSession:
    return PastSession(OneMoment(take_moment(machine, **how)))  # type: ignore[arg-type]


BILLED = ("explain", "zone")
"""What asks for bills, which are kept of zones and of payers only."""


NOT_KEPT = ("args", "mapcounts", "mapcount_unknown_bytes")
NOT_KEPT_OF_DERIVED = (
    *("limit_bytes", "high_bytes", "pressure_some", "pressure_full", "oom_kills"),
    *("cache_unmapped_bytes", "dead_cgroups_bytes", "dying_cgroups", "uncertainty_bytes"),
)
"""What the machine's controller says besides: it is kept of zones and cgroups, not of slices and the like."""
NOT_KEPT_OTHERWISE = ("largest_files", "bytes", "open_files", "groupings")
"""Of a lean recording, of getvmusage among explain's numbers, of zonerss.difference/1, and of users."""


def forget(value: Any, keys: Collection[str]) -> Any:
    """With null where it is not kept."""
    if isinstance(value, dict):
        return type(value)((key, None if key in keys else forget(one, keys)) for key, one in value.items())
    return [forget(one, keys) for one in value] if isinstance(value, list | tuple) else value


def as_kept(document: dict[str, Any]) -> dict[str, Any]:
    """A document of now, without what a recording does not keep."""
    kept: dict[str, Any] = forget(document, NOT_KEPT)
    if kept["by"] not in GROUPINGS:
        groupings = kept.get("groupings", [])
        for grouping in (kept, *groupings[:1]):
            if "zones" in grouping:
                grouping["zones"] = forget(grouping["zones"], NOT_KEPT_OF_DERIVED)
    return kept


@given(machines(), st.sampled_from(("zone", "cgroup", "depth=1", "slice", "session")), st.data())
def test_each_document_is_that_of_the_moment(machine: Machine, by: str, data: st.DataObject) -> None:
    there = sorted({member.zones[0].name for member in machine.take((by,)).members})
    if not there:
        return
    names = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
    past = past_of(machine)
    looks = machine.looks
    then = {
        question: render_json(ask(past, by, names))
        for question, ask in QUESTIONS.items()
        if by == "zone" or question not in BILLED
    }
    assert machine.looks == looks
    for question, document in then.items():
        assert document == render_json(as_kept(QUESTIONS[question](machine, by, names))), question


@settings(max_examples=10)
@given(machines())
def test_each_document_is_that_of_the_moment_from_a_file_too(machine: Machine) -> None:
    there = sorted({member.zones[0].name for member in machine.take().members})
    if not there:
        return
    with TemporaryDirectory() as directory:
        file = f"{directory}/f.zrec"
        with Keeper(file) as keeper:
            keeper.add(take_moment(machine))
        with Recording(file) as recording:
            past = PastSession(recording)
            then = {
                question: render_json(ask(past, "zone", there[:2])) for question, ask in QUESTIONS.items()
            }
    for question, document in then.items():
        assert document == render_json(as_kept(QUESTIONS[question](machine, "zone", there[:2]))), question


@pytest.fixture
def machine() -> Machine:
    """nginx: two processes that map libc and five pages of their own; the database maps libc, too."""
    frames = [*[Frame(Kind.ANON)] * 5, *[Frame(Kind.FILE, FILES[0], "/system.slice/db.service")] * 3]
    return Machine(
        frames,
        [
            Process(11, CGROUPS[0], frozenset(range(8))),
            Process(12, CGROUPS[1], frozenset(range(5))),
            Process(13, CGROUPS[2], frozenset({5, 6, 7}), uid=7),
        ],
        {CGROUPS[0]: bill_of(CGROUPS[0], 9 * PAGE), CGROUPS[2]: bill_of(CGROUPS[2], 5 * PAGE)},
        NAMES,
    )


def test_the_page_lists_what_is_not_kept() -> None:
    page = (Path(__file__).parents[3] / "docs" / "replay.md").read_text("utf-8")
    rows = [line.split("|")[2] for line in page.splitlines() if line.startswith("| zonerss.")]
    named = [word for row in rows for word in re.findall("`([^`]+)`", row)]
    assert sorted(named) == sorted((*NOT_KEPT, *NOT_KEPT_OF_DERIVED, *NOT_KEPT_OTHERWISE))


@pytest.mark.parametrize("by", ["user", "euser", "command", "zone/user", "zone/slice"])
def test_what_does_not_follow_from_zones_and_cgroups_is_refused(machine: Machine, by: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be grouped by {by}.*--by takes zone, cgroup, depth=N"):
        past_of(machine).take((by,))


def test_another_basis_is_refused(machine: Machine) -> None:
    with pytest.raises(UsageError, match="had mapped, and nothing else"):
        past_of(machine).take(basis="incore")
    with pytest.raises(UsageError, match="and nothing else"):
        past_of(machine).take(zone="nginx", alone=True)


def test_a_zone_that_was_not_there_then(machine: Machine) -> None:
    with pytest.raises(
        UnknownZone, match=r"at 2026-11-22 12:00:00 UTC no process of vm was in a zone 'ngimx'; did"
    ) as raised:
        past_of(machine).take(zone=["ngimx"])
    assert raised.value.close == ("nginx.service",)
    crowded = replace(machine, processes=[Process(n, f"/{n}/x", frozenset({0})) for n in (1, 2)])
    with pytest.raises(AmbiguousZone, match="can mean /1/x or /2/x"):
        past_of(crowded).take("cgroup", zone="x")


def test_where_only_some_zones_were_recorded_only_these_are_shown(machine: Machine) -> None:
    past = past_of(machine, zone=["db"])
    found = past.take(controls=True)
    assert [usage.zone for usage in found.zones] == ["db.service"]
    assert found.zones == machine.take(zone=["db"], controls=True).zones
    assert [usage.zone for usage in past.take(zone="nginx").zones] == ["nginx.service"]
    assert len(past.take("cgroup").zones) == 1 + len(past.take("depth=2").zones) == 3


def test_what_a_lean_recording_lacks(machine: Machine) -> None:
    asked = past_of(machine, lean=True).take().ask()
    assert asked.payers() is None
    with pytest.raises(NotKept, match="record --lean"):
        asked.holdings()


@pytest.mark.parametrize("what", ["ram", "counters", "shmem"])
def test_what_no_recording_keeps(machine: Machine, what: str) -> None:
    asked = past_of(machine).take().ask()
    with pytest.raises(NotKept, match="a recording does not keep"):
        getattr(asked, what)()
    assert asked.mapcounts() is None


def test_an_older_recording_does_not_know_images(machine: Machine) -> None:
    old = replace(take_moment(machine), images=None)
    with pytest.raises(NotKept, match="did not keep of which image"):
        PastSession(OneMoment(old)).take().ask().images()  # type: ignore[arg-type]


def test_a_snapshot_of_the_past_says_so(machine: Machine) -> None:
    moment = take_moment(machine)
    later = BEGAN + timedelta(seconds=12)
    past = PastSession(OneMoment(moment), later, "f.zrec")  # type: ignore[arg-type]
    found = past.take()
    assert found.past is not None
    assert (found.past.file, found.past.host_name, found.past.asked) == ("f.zrec", "vm", later)
    assert found == machine.take()
    assert past_of(machine).take().past.asked is None  # type: ignore[union-attr]
