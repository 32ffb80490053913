"""What every_fault asks besides snapshots: of what acts on a process, and of what looks at known frames.

What has come of it is told by the oracle or by a walk, once nothing fails any more.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.oracle import PAGE, Kernel, PageAt, pages_of
from tests.own import NAME
from tests.workloads.mem import Mem, Range
from zonerss._core import ffi, lib
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.kernel.clearing import Clearing, clear_by_clear_refs, clear_by_cold
from zonerss.kernel.pageout import PagedOut, page_out, pages_present
from zonerss.kernel.roots import HOST
from zonerss.plain import dataclass
from zonerss.records import Gap
from zonerss.records.mappings import PAGE_STRUCT
from zonerss.snapshot import Session
from zonerss.walk import mapcounts
from zonerss.walk.arming import make_slices
from zonerss.walk.frames import frames
from zonerss.walk.jobs import walk

Figures = dict[str, int]
PAGES = 131
"""Of a process that is acted on: fewer than a huge page has, so that none is made of them."""


@dataclass(frozen=True)
class Answer:
    """What a question came to."""

    figures: Figures | Callable[[], Figures]
    """Of the still zone; or what tells them, once nothing fails any more."""
    excused: bool
    """It says that it lacks something of the zone."""


EXCUSED = Answer({}, True)


def seen(where: Range) -> list[PageAt]:
    """The pages of a range, as the oracle reads them."""
    kernel = Kernel()
    try:
        return [page for page in pages_of(kernel, where.pid, where.start, where.end) if page.kind != "swap"]
    finally:
        kernel.close()


class Scene:
    """A process that is acted on, one page of which is shared with another, and a session that walks it."""

    def __init__(self) -> None:
        self.pages_leave = False
        """It was seen that some do."""
        self.mem, self.other = Mem(), Mem()
        try:
            self.anon = self.mem.map(f"anon {PAGES}")
            self.shared = self.mem.map("memfd 61")
            self.theirs = self.other.map(f"file {self.shared.path} 61 shared read")
            self.file = self._file()
        except BaseException:
            self.close()
            raise

    def _file(self) -> Range:
        path = Path(f"/var/tmp/{NAME}-fault-{os.getpid()}")
        try:
            return self.mem.map_file_of_single_pages(path, PAGES)
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        self.mem.end()
        self.other.end()

    def settled(self, where: Range) -> None:
        """
        Each page is there and touched. What a processor has just allocated or moved is on a list of that processor,
        where it is passed over by who clears or pages out: now it is not.
        """
        self.mem.read(where, 0, where.pages)
        before = os.sched_getaffinity(self.mem.pid)
        for processor in os.sched_getaffinity(0):
            os.sched_setaffinity(self.mem.pid, {processor})
            self.mem.advise(where, 0, 1, "cold")
        os.sched_setaffinity(self.mem.pid, before)
        self.mem.read(where, 0, where.pages)


class Walker:
    """Walks one process of a scene for what has an accessed bit."""

    def __init__(self, scene: Scene) -> None:
        self._session = Session("pagetable")
        listed = self._session.place("command")[0].tasks
        (self.task,) = (task for task in listed if task.pid == scene.mem.pid)

    def close(self) -> None:
        self._session.close()

    def slices(self) -> tuple[Any, int, Any, list[Gap]]:
        """struct slice *, how many, what they belong to, and gaps."""
        rows = make_slices()
        source = self._session._sources.choose("pagetable", 0)
        _, gaps = walk(source.begin, Census(1), None, [(self.task, 0)], self._session._host, slices=rows)
        first = ffi.new("struct slice **")
        count = lib.slices_of(rows, 0, 0, first)
        return first[0], count, rows, gaps

    def touched(self, where: Range) -> int:
        """Pages of a range that lie in what has accessed bits."""
        rows, count, _keeps, gaps = self.slices()
        assert not gaps
        return len(_covered(rows, count, where))


def _covered(rows: Any, count: int, where: Range) -> set[int]:
    """Addresses of pages of a range that lie in slices."""
    return {
        page
        for at in range(count)
        for page in range(max(rows[at].start, where.start), min(rows[at].end, where.end), PAGE)
    }


def slices(scene: Scene, walker: Walker) -> Answer:
    """Where accessed bits are to be cleared."""
    scene.settled(scene.anon)
    rows, count, _keeps, gaps = walker.slices()
    return Answer({"pages": len(_covered(rows, count, scene.anon))}, bool(gaps))


def cold(scene: Scene, walker: Walker) -> Answer:
    """Clearing accessed bits by MADV_COLD."""
    scene.settled(scene.anon)
    rows, count, keeps, gaps = walker.slices()
    if gaps:
        return EXCUSED
    done = clear_by_cold(HOST, walker.task, rows, count, rest=0, keeps=keeps)
    if isinstance(done, Gap) or done.refused:
        return EXCUSED
    return Answer(lambda: {"left": walker.touched(scene.anon)}, False)


def clear_refs(scene: Scene, walker: Walker) -> Answer:
    """Likewise, by clear_refs."""
    scene.settled(scene.anon)
    done = clear_by_clear_refs(HOST, walker.task, 10.0)
    if not isinstance(done, Clearing):
        return EXCUSED
    return Answer(lambda: {"left": walker.touched(scene.anon)}, False)


def pageout(scene: Scene, walker: Walker) -> Answer:
    """Paging out, which pages left, and how many of them are there again."""
    where = scene.file
    scene.settled(where)
    there = seen(where)
    assert len(there) == PAGES
    row = ffi.new("struct slice[]", [(0, where.start, where.end, there[0].number, Kind.FILE, 0)])
    done = page_out(HOST, walker.task, row, 1, 0, PAGES)
    if not isinstance(done, PagedOut):
        return EXCUSED
    if not scene.pages_leave:  # nothing fails the first time
        assert done.left_pages, "nothing leaves"
        scene.pages_leave = True
    told = {page for start, end in done.runs for page in range(start, end, PAGE)}
    present = pages_present(HOST, walker.task, done.runs)
    if isinstance(present, Gap):
        return EXCUSED

    def figures() -> Figures:
        gone = set(range(where.start, where.end, PAGE)) - {page.address for page in seen(where)}
        return {"wrong": len(gone ^ told), "miscounted": len(told) - done.left_pages, "present": present}

    return Answer(figures, False)


def frames_of(scene: Scene, walker: Walker) -> Answer:
    """The pages of a process, by kind and by how often they are mapped."""
    found: Counter[tuple[int, int]] = Counter()
    for rows in frames(scene.mem.pid):
        for address, _, count, kind, _ in struct.iter_unpack(PAGE_STRUCT, rows.buffer):
            for where in (scene.anon, scene.shared):
                if where.start <= address < where.end:
                    found[kind, count] += 1
    return Answer({f"{Kind(kind).name} {count}": pages for (kind, count), pages in found.items()}, False)


# ---- known frames ----------------------------------------------------------------------------------------


def census_of(scene: Scene, owners: int) -> Census:
    """What the first owner maps: pages that are mapped once, and pages that are mapped twice."""
    census = Census(owners)
    for where, kind in ((scene.anon, Kind.ANON), (scene.theirs, Kind.SHMEM)):
        census.mark(0, [page.number for page in seen(where)], [kind] * where.pages)
    return census


def mapcount(scene: Scene, walker: Walker) -> Answer:
    """How often known frames are mapped, by both ways to ask."""
    figures: Figures = {}
    tells = mapcounts.counts_each_page
    try:
        for each_page in (True, False):
            mapcounts.counts_each_page = lambda _, said=each_page: said
            found = mapcounts.read_mapcounts(census_of(scene, 1), HOST)
            assert found is not None
            (counts,) = found.by_mapcount.filled().values()
            figures |= {f"{each_page} {number}": pages for number, pages in enumerate(counts)}
    finally:
        mapcounts.counts_each_page = tells
    return Answer(figures, False)


def several(scene: Scene, walker: Walker) -> Answer:
    """Which of them are mapped more than once, asked of all and of those of an owner."""
    figures: Figures = {}
    for wanted in (None, {0}):
        census = census_of(scene, 2)
        mapcounts.mark_several(census, 1, HOST, wanted)
        for owners, pages in census.parts():
            figures[f"{wanted} {owners}"] = sum(pages)
    return Answer(figures, False)


def sums(scene: Scene, walker: Walker) -> Answer:
    """Arithmetic of parts, and of two censuses."""
    census, other = census_of(scene, 2), census_of(scene, 1)
    census.mark(1, [page.number for page in seen(scene.theirs)], [Kind.SHMEM] * scene.theirs.pages)
    overlaps = {f"overlap {row.number} {row.other}": sum(row.pages) for row in census.overlaps(other)}
    parts = census.parts()
    (of_both,) = parts.project([0, 0], 1).sums()
    shared, _ = parts.pairs()
    figures = {
        "projected": sum(of_both.mapped),
        "together": sum(parts.together([0, 1]).mapped),
        "tree": sum(parts.tree([1, 1], [0, 0])[1].mapped),
        "pairs": sum(pair.pages for pair in shared),
        "sets": len(parts.filled()),
    }
    return Answer({**overlaps, **figures}, False)


ACTED_ON: dict[str, Callable[[Scene, Walker], Answer]] = {
    "slices": slices,
    "cold": cold,
    "clear_refs": clear_refs,
    "pageout": pageout,
    "frames": frames_of,
    "mapcount": mapcount,
    "several": several,
    "sums": sums,
}
