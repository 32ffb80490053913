"""Records made by hand, and the text of every JSON document that the program makes of them.

The texts that are expected are tests/fixtures/documents/NAME.json. The code of 894667a wrote them; they change only
with the number of their schema. When a function moves, only what stands above the line changes. Write them anew:

    .venv/bin/python -m tests.unit.documents NAME...
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.unit import builders
from tests.unit.answers import reports as hand_made
from tests.unit.builders import KIB, MACHINE, MIB, ONE_OF_EACH, mapping, process, usage
from tests.unit.cap.recorded import growing
from tests.unit.cap.test_status import FORECAST, STATUS
from zonerss.answers.autopsy import Autopsy, LastLook, autopsy
from zonerss.answers.conditions import outcomes, parse_conditions
from zonerss.answers.explain.chain import chain, paid_frames, payments, shares_of
from zonerss.answers.explain.difference import changed
from zonerss.answers.explain.getvmusage import HowMapped
from zonerss.answers.explain.machine import Check, MachineChain, Part
from zonerss.answers.explain.numbers import Facts, everyones
from zonerss.answers.explain.process import three_ways
from zonerss.answers.explain.records import (
    Account,
    Drift,
    MachineAccount,
    Matrix,
    Payer,
    ShmemAccount,
    ZoneLook,
)
from zonerss.answers.explain.tmpfs import Charged, Held, ShmemAnswer
from zonerss.answers.files import files_usage
from zonerss.answers.frames import count_pages
from zonerss.answers.images import ImageSharing, group_by_image, images_usage, named
from zonerss.answers.recording import Recorded
from zonerss.answers.report import Report, Reporter, compared
from zonerss.answers.run import Looks, Run
from zonerss.answers.share import Own, Sharing, neighbours, pairs, shared_parts, with_any
from zonerss.answers.whatif import whatif
from zonerss.answers.wss import FileTouched, ProcessTouched, WorkingSets, ZoneTouched
from zonerss.answers.zone import Page
from zonerss.cap.playback import Replayed, replay
from zonerss.cap.records import Cap
from zonerss.cap.status import ZoneForecast
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts
from zonerss.census.tree import TreeNode
from zonerss.census.usage import Member
from zonerss.commands.watching import put
from zonerss.plain import replace
from zonerss.records import Cause, Caveat, Gap, Grouping, Mapcounts, ProcessUsage, Task, Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.facts import Fact, Probe
from zonerss.records.files import FileKind, Holdings, MappedFile, OpenFile, OpenFiles
from zonerss.records.images import Image
from zonerss.records.kills import BoxTally, Kill, ToldBy
from zonerss.records.mappings import PAGE_DEVICE, PAGE_ZERO, VmaPages
from zonerss.records.shmem import Shmem, ShmemKind
from zonerss.snapshot import Snapshot
from zonerss.views import autopsy as autopsy_view
from zonerss.views import (
    cap,
    cap_simulation,
    check,
    files,
    frames,
    images,
    ps,
    record,
    run,
    share,
    show,
    tree,
    wss,
)
from zonerss.views import report as report_view
from zonerss.views import whatif as whatif_view
from zonerss.views import zone as zone_view
from zonerss.views.columns import RSS, ZONE
from zonerss.views.document import render_json
from zonerss.views.explain import chain as chain_view
from zonerss.views.explain import difference as difference_view
from zonerss.views.explain import getvmusage, numbers, payers, tmpfs
from zonerss.views.explain import machine as machine_view
from zonerss.views.explain import process as process_view


def printed(document: dict[str, Any], watch: float | None = None) -> str:
    """As a command prints it; with --watch one document a line."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        put(argparse.Namespace(json=True, watch=watch), lambda: document, list)
    return out.getvalue().removesuffix("\n")


def show_text(
    snapshot: Snapshot, sort: Any = RSS, limit: int | None = None, watch: float | None = None
) -> str:
    return printed(show.document(snapshot, sort, limit), watch)


def ps_text(
    snapshot: Snapshot,
    processes: Sequence[ProcessUsage],
    arguments: Mapping[int, Sequence[str]] | None = None,
    mapcounts: bool = False,
) -> str:
    return printed(ps.document(snapshot, processes, arguments, mapcounts))


def top_text(snapshot: Snapshot, limit: int | None = None) -> str:
    return render_json(show.document(snapshot, limit=limit), compact=True)


def tree_text(snapshot: Snapshot, nodes: Sequence[TreeNode]) -> str:
    return printed(tree.document(snapshot, nodes))


def share_text(
    snapshot: Snapshot,
    parts: Parts,
    holdings: Holdings,
    limit: int | None = None,
    watch: float | None = None,
) -> str:
    found, count = pairs(parts, NAMES)
    sharing = Sharing(snapshot, shared_parts(parts, NAMES), found, count, holdings, MORE_GAPS)
    return printed(share.document(sharing, limit), watch)


def own_text(snapshot: Snapshot, parts: Parts, holdings: Holdings, zone: str) -> str:
    found = with_any(shared_parts(parts, NAMES), [zone])
    own = [Own(snapshot.zones[0], neighbours(found, holdings, zone))]
    return printed(share.document(Sharing(snapshot, found, (), 2, holdings, MORE_GAPS, own=own)))


def images_text(
    snapshot: Snapshot, parts: Parts, holdings: Holdings, image_of: Mapping[str, Image | None]
) -> str:
    listed = shared_parts(parts, NAMES)
    unknown = tuple(zone for zone, image in image_of.items() if image is None)
    usages, total = images_usage(listed, group_by_image(image_of), unknown)
    by_number = {part.number: part for part in listed}
    told = [replace(usage, holds=named(usage, by_number, holdings)) for usage in usages]
    return printed(images.document(ImageSharing(snapshot, told, total, unknown, MORE_GAPS)))


def files_text(snapshot: Snapshot, parts: Parts, holdings: Holdings, zone: str | None) -> str:
    return printed(files.document(snapshot, zone, files_usage(parts, NAMES, holdings, zone), MORE_GAPS))


def whatif_text(
    snapshot: Snapshot, parts: Parts, holdings: Holdings, without: Sequence[str], limit: int | None = None
) -> str:
    answer = whatif(parts, NAMES, without, holdings, ending_ipc=(7,))
    return printed(whatif_view.document(snapshot, answer, limit, MORE_GAPS))


def explain_text(account: Account) -> str:
    return printed(chain_view.document(account))


def numbers_text(account: Account, facts: Facts) -> str:
    return printed(chain_view.document(account, {"numbers": numbers.fields(everyones(facts))}))


def how_mapped_text(account: Account, mapped: HowMapped) -> str:
    return printed(chain_view.document(account, {"how_mapped": getvmusage.fields(mapped)}))


def payers_text(matrix: Matrix, zone: str | None) -> str:
    return printed(payers.document(matrix, zone))


def zone_text(
    pages: Sequence[Page],
    most: int | None = None,
    forecasts: Mapping[str, ZoneForecast] | None = None,
) -> str:
    return printed(zone_view.document(pages, most, forecasts))


def process_text(statm_bytes: int, smaps_bytes: int, entries: Mapping[int, int]) -> str:
    return printed(
        process_view.document(three_ways(42, statm_bytes, smaps_bytes, Counter(entries), 16 * KIB), MACHINE)
    )


def wss_text(found: WorkingSets, limit: int | None = None, watch: float | None = None) -> str:
    return printed(wss.document(found, limit=limit), watch)


def machine_text(account: MachineAccount) -> str:
    return printed(machine_view.document(account))


def shmem_text(account: ShmemAccount) -> str:
    return printed(tmpfs.document(account))


def frames_text(mappings: Sequence[VmaPages], with_runs: bool) -> str:
    return printed(
        frames.document(42, [count_pages(pages, with_runs) for pages in mappings], with_runs, MACHINE)
    )


def check_text(probes: Sequence[Probe], kernel: str) -> str:
    return printed(check.document(kernel, probes))


# ---- what stays when functions move ----------------------------------------------------------------------


def kernel_text(raw: bytes) -> str:
    """As the kernel's bytes come to us."""
    return raw.decode("utf-8", "surrogateescape")


ODD = kernel_text(b'caf\xc3\xa9\n"\\\x1b[2J\xff')
"""What a name may hold: not ASCII, a newline, quotes, an escape sequence, a byte that is no UTF-8."""
NAMES = {0: "db", 1: ODD, 2: "web"}
"""The zone of each owner; owner 3 has none."""
GAPS = (
    Gap(1, "open", Cause.REFUSED, "Operation not permitted"),
    Gap(23, "list", Cause.BEGAN),
    Gap(29, "maps", Cause.UNREADABLE, ODD),
)
MORE_GAPS = (Gap(31, "pagemap", Cause.EXITED),)

UNKNOWN = usage(
    ODD,
    cgroup=f"/{ODD}",
    id=None,
    exclusive_bytes=None,
    proportional_bytes=None,
    charged_bytes=None,
)
CONTAINER = usage(
    "shop/web",
    id="4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2",
    kind="docker",
    anon_bytes=(1 << 53) + 4096,
    hugetlb_bytes=2048 * KIB,
    swap_bytes=12 * KIB,
    uncertainty_bytes=0,
    limit_bytes=1 << 40,
    high_bytes=0,
    pressure_some=3.5,
    pressure_full=0.25,
    oom_kills=2,
    cache_unmapped_bytes=19 * KIB,
    dead_cgroups_bytes=7 * KIB,
    dying_cgroups=3,
)
USER = usage("www-data", cgroup=None, kind="user", charged_bytes=None, uncertainty_bytes=8 * KIB)
PROCESSES = (
    process(42),
    process(23, zone=ODD, uid=None, command=ODD, rss_bytes=71 * KIB, hugetlb_bytes=2048 * KIB),
    process(4_194_303, zone="shop/web", swap_bytes=4 * KIB, exclusive_bytes=0, size_bytes=(1 << 47) - 4096),
)

MAPCOUNTS = Mapcounts((23 * KIB, 4 * KIB, 8 * KIB, 12 * KIB, 16 * KIB), 4 * KIB)
COUNTED_PROCESSES = (
    process(42, mapcounts=MAPCOUNTS),
    process(23),
)


def snapshot(**fields: Any) -> Snapshot:
    return builders.snapshot(usage("db"), UNKNOWN, CONTAINER, gaps=GAPS, **fields)


def groupings() -> Snapshot:
    first = snapshot(by="zone/user", uncertainty="traced")
    return replace(
        first, machine=None, groupings=(Grouping("zone/user", first.zones), Grouping("user", (USER,)))
    )


def warned() -> Snapshot:
    first = snapshot(uncertainty="traced", unsettled_bytes=8 * KIB)
    return replace(first, warnings=(Caveat("names", f"Ids stand for some names: {ODD}."),))


def nothing() -> Snapshot:
    return replace(builders.snapshot(), zones=(), groupings=(Grouping("depth=2", ()),), by="depth=2")


def nodes() -> tuple[TreeNode, ...]:
    return (
        TreeNode(usage("/", cgroup="/", charged_bytes=None), None, 0, 0, 0),
        TreeNode(usage(f"/{ODD}", cgroup=f"/{ODD}"), "/", 1, 3 * KIB, 2),
        TreeNode(usage(f"/{ODD}/in", cgroup=f"/{ODD}/in"), f"/{ODD}", 2, 61 * KIB, 1),
    )


# ---- parts: of three zones, and what they hold ------------------------------------------------------------

LIBC = MappedFile("/usr/lib/libc.so.6", FileKind.FILE, True, 2_000_000, (8, 1), 77, None, ("/lib/libc.so.6",))
GONE = MappedFile(f"/tmp/{ODD}", FileKind.DELETED, False, 0, (0, 40), 5)
MEMFD = MappedFile("/memfd:pool", FileKind.MEMFD, False, 1 << 20)
SEGMENT = MappedFile("/SYSV00000000", FileKind.SYSV, True, 4096, (0, 1), 32814, ipc_namespace=7)
OTHER_SEGMENT = MappedFile("/SYSV00000001", FileKind.SYSV, True, None, (0, 1), 0, ipc_namespace=9)
TMPFS = MappedFile("/dev/shm/x", FileKind.TMPFS, True, 8192, (0, 23), 3)
VDSO = MappedFile("[vdso]", FileKind.KERNEL, True)
HUGE = MappedFile("/dev/hugepages/h", FileKind.HUGETLB, True, 2 << 20, (0, 50), 9)

HOLDS: Mapping[tuple[int, ...], Sequence[tuple[MappedFile | None, tuple[int, ...]]]] = {
    (0,): [(None, (101, 3, 0, 0, 5)), (SEGMENT, (0, 0, 2, 0, 0)), (HUGE, (0, 0, 0, 512, 0))],
    (0, 1): [(OTHER_SEGMENT, (0, 0, 7, 0, 0)), (None, (0, 0, 1, 0, 0))],
    (0, 2): [(LIBC, (2, 300, 0, 0, 0)), (None, (7, 0, 0, 0, 0)), (MEMFD, (0, 0, 23, 0, 0))],
    (1,): [(None, (11, 0, 0, 0, 0)), (GONE, (0, 13, 0, 0, 0))],
    (0, 1, 2): [(VDSO, (0, 2, 0, 0, 0)), (TMPFS, (0, 0, 2, 0, 0))],
    (2,): [(LIBC, (0, 17, 0, 0, 0))],
}


def parts() -> Parts:
    """Each set with the pages that HOLDS says, marked frame by frame."""
    census, pfn = Census(len(NAMES)), 1000
    for zones, held in HOLDS.items():
        for _, pages in held:
            for kind, count in zip(Kind, pages, strict=True):
                for zone in zones:
                    census.mark(zone, range(pfn, pfn + count), [kind] * count)
                pfn += count
    return census.parts()


def holdings(*without: tuple[int, ...]) -> Holdings:
    """What was found of each set but some."""
    found = parts()
    of_sets = {found.owners_of(number): number for number in found.filled()}
    return {of_sets[zones]: held for zones, held in HOLDS.items() if zones not in without}


# ---- explain ---------------------------------------------------------------------------------------------

PATHS = {1: "/", 2: "/web", 3: "/web/in", 4: f"/{ODD}"}
BILLED = tuple(
    Billed(keys, inode, pages)
    for keys, inode, pages in (
        ((2,), 2, (23, 31, 7, 0, 2)),  # web maps and pays
        ((0, 2), 3, (0, 41, 0, 0, 0)),  # a cgroup below it pays
        ((2,), 4, (1, 0, 5, 512, 0)),  # another one
        ((1, 2, 3), 1, (0, 300, 0, 0, 0)),  # the root
        ((2,), 9, (0, 3, 0, 0, 0)),  # one that cannot be seen
        ((0, 2), 0, (2, 0, 0, 0, 0)),  # nobody
        ((1,), 2, (17, 0, 0, 0, 0)),  # web pays, others map
        ((0, 1), 2, (0, 19, 0, 0, 0)),
        ((3,), 2, (4, 0, 0, 0, 0)),
        ((0,), 1, (0, 900, 0, 0, 0)),
    )
)
STAT_2 = {
    "anon": 180 * KIB,
    "file": 900 * KIB,
    "shmem": 31 * KIB,
    "file_mapped": 400 * KIB,
    "inactive_anon": 150 * KIB,
    "active_anon": 90 * KIB,
    "inactive_file": 500 * KIB,
    "active_file": 300 * KIB,
    "unevictable": 0,
    "swapcached": 8 * KIB,
    "kernel": 300 * KIB,
    "pagetables": 40 * KIB,
    "kernel_stack": 32 * KIB,
    "slab": 100 * KIB,
    "percpu": 4 * KIB,
    "sock": 12 * KIB,
    "zswap": 0,
}
STAT_1 = {
    "rss": 180 * KIB,
    "cache": 900 * KIB,
    "shmem": 31 * KIB,
    "mapped_file": 400 * KIB,
    "inactive_anon": 150 * KIB,
    "active_anon": 90 * KIB,
    "inactive_file": 500 * KIB,
}
BILL_2 = Bill(2, 1536 * KIB, STAT_2, None, 300 * KIB, 16 * KIB, 3)
BILL_1 = Bill(1, 1536 * KIB, STAT_1, {"rss": 4096}, 300 * KIB, None, None)


def path_of(inode: int) -> str:
    return PATHS.get(inode, f"(no cgroup that can be seen here, inode {inode})")


def account(bill: Bill | None, with_shares: bool = True, drift: Drift | None = None) -> Account:
    shares = shares_of("web", paid_frames(BILLED, NAMES, path_of), lambda path: path.startswith("/web"))
    shares_or_none = shares if with_shares else None
    cgroups = {"db": "/db", ODD: f"/{ODD}", "web": "/web"}
    joined = chain(
        "web", "/web" if bill else None, 3, 500 * KIB, 436 * KIB, shares_or_none, bill, 512 * KIB, cgroups
    )
    found = builders.snapshot(usage("web"), gaps=GAPS)
    return Account(
        found, Zone("web", "/web"), found.zones[0], joined, bill, shares_or_none, drift, 2, bill, ()
    )


STAT_LATER = STAT_2 | {"file": 2900 * KIB, "slab": 130 * KIB, "zswap": 4 * KIB, "sock": 0}
BILL_LATER = Bill(2, 3600 * KIB, STAT_LATER, None, 334 * KIB, 16 * KIB, 3)


def look(
    bill: Bill | None, seconds: float, cached: Mapping[int, int] | None, *grown: ProcessUsage
) -> ZoneLook:
    """:param cached: of each open file the inode, and what is cached of it"""
    one = account(bill)
    processes = tuple(grown) or PROCESSES
    began = one.snapshot.began + timedelta(seconds=seconds)
    found = replace(one.snapshot, began=began, ended=began + timedelta(seconds=1), processes=processes)
    names = {7: f"/var/log/{ODD}", 8: "/dev/shm/x", 9: "/tmp/gone"}
    opened = None
    if cached is not None:
        files = (
            OpenFile(names[n], (8, 1), n, 42 if n == 7 else 77, size + 5, size) for n, size in cached.items()
        )
        opened = OpenFiles(tuple(files), ("/x, which process 42 holds open, does not answer",))
    return ZoneLook(replace(one, snapshot=found), {LIBC: 31 * KIB}, opened)


def difference_text(before: ZoneLook, after: ZoneLook) -> str:
    return printed(difference_view.document(changed(before, after)))


def page(bill: Bill | None, **fields: Any) -> Page:
    """As the command makes it: the figures of one zone from all verbs."""
    explained = account(bill)
    found = builders.snapshot(usage("web"), gaps=GAPS)
    return replace(
        Page(
            found,
            found.zones[0],
            PROCESSES,
            {42: ("httpd", "-D", ODD)},
            files_usage(parts(), NAMES, holdings(), "web"),
            [("db", 40 * KIB), (ODD, 4 * KIB)],
            explained.chain if bill else None,
            None,
            MORE_GAPS,
        ),
        **fields,
    )


DRIFT = Drift((51, 52), (), -4096)


def facts(bill: Bill | None) -> Facts:
    known = None if bill is None else 71 * KIB
    return Facts(101 * KIB, 67 * KIB, 43 * KIB, 61 * KIB, known, known, known, bill)


def matrix() -> Matrix:
    paying = (
        Payer("/", None, 4800 * KIB, None, 7),
        Payer("/web", "web", 900 * KIB, 2 * KIB, 3),
        Payer(f"/{ODD}", ODD, 24 * KIB, 0, 0),
        Payer("/web/in", "web", 164 * KIB, 0, 1),
        Payer(None, None, 8 * KIB, None, 0),
        Payer("(no cgroup that can be seen here, inode 9)", None, 12 * KIB, None, 0),
    )
    found = builders.snapshot(*(usage(name) for name in NAMES.values()), gaps=GAPS)
    return Matrix(found, payments(paid_frames(BILLED, NAMES, path_of)), paying)


# ---- the machine -----------------------------------------------------------------------------------------

CHAIN = MachineChain(
    ram_bytes=1000 * MIB,
    reserved_bytes=3 * MIB,
    memory_bytes=997 * MIB,
    parts=(
        Part("zones_anon", 101 * MIB, "census"),
        Part("file_not_mapped", 300 * MIB, "kpageflags"),
        Part("vmalloc", 7 * MIB, "meminfo"),
        Part("free", 590 * MIB, "kpageflags"),
    ),
    unaccounted_bytes=-MIB,
    unaccounted_bound_bytes=MIB // 2,
    checks=(
        Check("MemFree", 590 * MIB, 590 * MIB, 0),
        Check("Slab", 20 * MIB, 30 * MIB, MIB),
    ),
    within=(Part("tcp_sockets", 4096, "sockstat"),),
)
THINGS = (
    Held(
        Shmem(ShmemKind.MOUNT, "/dev/shm", (0, 23), bytes=9 * MIB, pids=(1,)),
        2 * MIB,
        (("db", 2 * MIB),),
        ("db",),
    ),
    Held(Shmem(ShmemKind.SYSV, "0x00000000", (0, 0), 0, 7, 3 * MIB, MIB), 0, (), ()),
    Held(
        Shmem(ShmemKind.MEMFD, ODD, (0, 1), 77, None, 2 * MIB, None, (9,)),
        2 * MIB,
        ((ODD, 2 * MIB),),
        (ODD, "web"),
    ),
    Held(Shmem(ShmemKind.SHARED, "/dev/zero", (0, 1), 78), MIB, (("db", MIB), ("web", 4096)), ()),
)
CHARGED = (Charged(f"/{ODD}", 3 * MIB, 8 * MIB), Charged(None, 0, 4096))


def machine_account() -> MachineAccount:
    return MachineAccount(snapshot_of_names(), CHAIN, 3)


def shmem_account(charged: tuple[Charged, ...] | None = CHARGED) -> ShmemAccount:
    answer = ShmemAnswer(5 * MIB, 10 * MIB, THINGS, charged)
    return ShmemAccount(snapshot_of_names(), answer, (f"the mounts that process 7 sees: {ODD}",), MORE_GAPS)


# ---- frames and check ------------------------------------------------------------------------------------


MAPPINGS = (
    mapping(0x400000, f"/bin/{ODD}", *ONE_OF_EACH),
    mapping(0x7F0000000000, ""),
    replace(mapping(0x7FFF00000000, "/dev/mem"), pfnmap=True),
    mapping(0x7FFFFFFFE000, "/dev/hugepages/h", (512, 1, Kind.HUGETLB, 1), (513, 1, Kind.HUGETLB, 1)),
)
PROBES = (
    Probe("pagemap", True, (Fact("root", True, "we are root"), Fact("kpagecount", True, "é"))),
    Probe(
        "pagetable",
        False,
        (
            Fact("pagetable_built", True, "built"),
            Fact("pagetable_bpf", False, "the kernel refuses it", "load it as root"),
            Fact("pagetable_base", None, "not tried"),
        ),
    ),
    Probe("cgroups", False, (Fact("memory", None, ODD, "mount it"),)),
)

# ---- over time -----------------------------------------------------------------------------------------------


def run_of(looks: Looks, **fields: Any) -> Run:
    return replace(
        Run(
            command=("make", "-j4", ODD),
            zone="web",
            cgroup="/session/web",
            has_bill=True,
            began=builders.BEGAN,
            ended=builders.BEGAN + timedelta(seconds=12.25),
            wall_seconds=12.25,
            user_seconds=20.125,
            system_seconds=3.5,
            status=137,
            signal=9,
            peak_charged_bytes=211 * KIB,
            largest_process_bytes=63 * KIB,
            oom_kills=1,
            left=(23, 42),
            seen=looks,
        ),
        **fields,
    )


def looks() -> Looks:
    """Four looks at web, which grows, and one that did not see it any more; the last one could not be kept."""
    found = Looks("web")
    members = tuple(
        Member(Task(pid, 1, 0, 0, name, f"/{name}", 1, pid), pid, (Zone(name),), owner, 1)
        for pid, (owner, name) in enumerate(NAMES.items(), start=10)
    )
    for second in range(4):
        taken = builders.snapshot(
            usage("db"),
            usage("web", anon_bytes=(23 + 8 * second) * KIB, processes=2 + second),
            began=builders.BEGAN + timedelta(seconds=second),
            parts=parts(),
            members=members,
            gaps=GAPS,
        )
        found.add(second, taken, lambda: (holdings(), ()))
    found.add(5.0, builders.snapshot(usage("db")), lambda: (holdings(), ()))
    for is_kept in (True, True, True, True, False):
        found.note_kept(is_kept)
    return found


UNSEEN = {
    "command": ("true",),
    "has_bill": False,
    "status": 0,
    "signal": None,
    "peak_charged_bytes": None,
    "largest_process_bytes": None,
    "oom_kills": None,
    "left": (),
}
"""A command that no look saw, in a cgroup without a bill."""


def recorded(**fields: Any) -> Recorded:
    found = Recorded(f"/var/lib/zonerss/{ODD}.zrec", "vm", 10.0, builders.BEGAN)
    for number in range(4):
        found.note(
            snapshot(began=builders.BEGAN + timedelta(seconds=10 * number)), 9001 if number == 0 else 1501
        )
    return replace(
        found,
        ended=builders.BEGAN + timedelta(seconds=73),
        ended_by="SIGTERM",
        not_kept=2,
        skipped=1,
        failed=1,
        zones_missing=3,
        clock_jumps=1,
        file_bytes=49_152,
        processor_seconds=0.75,
        wall_seconds=73.0,
        **fields,
    )


def dead() -> list[Autopsy]:
    """Of a host whose zone web grew until its limit was hit; and a kill of which only a counter tells."""
    members = builders.members("db", ODD, "web")
    task = replace(members[2].task, pid=PROCESSES[0].pid, cgroup="/web/in")
    first = builders.snapshot(usage("web", anon_bytes=1 * MIB), usage("db"), processes=PROCESSES)
    last = builders.snapshot(
        *(usage("web", anon_bytes=9 * MIB, charged_bytes=10 * MIB), usage(ODD)),
        processes=(replace(PROCESSES[0], rss_bytes=9 * MIB), *PROCESSES[1:]),
        parts=parts(),
        members=(*members[:2], replace(members[2], task=task)),
        began=builders.BEGAN + timedelta(seconds=2),
        ended=builders.BEGAN + timedelta(seconds=2.1),
    )
    at = builders.BEGAN + timedelta(seconds=3)
    words = f"oom-kill:constraint=CONSTRAINT_MEMCG\nKilled process {PROCESSES[0].pid} ({ODD})"
    told = (
        PROCESSES[0].pid,
        ODD,
        "web",
        "/web/in",
        "/web",
        10 * MIB,
        "CONSTRAINT_MEMCG",
        ToldBy.TRACEPOINT,
        words,
    )
    counted = Kill(at, *[None] * 3, "/db", None, None, None, ToldBy.COUNTER)
    kept = LastLook(last, holdings((0, 1)), {"/web": 10 * MIB}, {"/web": BILL_2})
    return [
        autopsy(Kill(at, *told), [first, last], kept),
        autopsy(counted, [first, last], replace(kept, holdings=None)),
        autopsy(counted, [], None),
    ]


def nothing_recorded() -> Recorded:
    return Recorded("/x.zrec", "vm", 0.1, builders.BEGAN, ended=builders.BEGAN, ended_by="for")


# ---- the documents ---------------------------------------------------------------------------------------


def watched(count: int = 30, leak: int = MIB) -> Report:
    """A zone that leaks towards its limit, one whose log grows, one that shares less and less, a saw, a steady one."""
    reporter = Reporter("zone", processors=2)
    for n in range(count):
        grown, copied = n * leak, n * MIB
        zones = [
            hand_made.zone(ODD, 20 * MIB + grown, limit_bytes=99 * MIB),
            hand_made.zone("log", 12 * MIB, charged_bytes=12 * MIB + copied, cache_unmapped_bytes=copied),
            hand_made.zone("pool", 80 * MIB + 2 * copied),
            hand_made.zone("saw", (20 + n % 6) * MIB),
            replace(hand_made.zone("steady", 7 * MIB), cgroup=None),
        ]
        workers = [
            hand_made.process(pid, "pool", 70 * MIB, exclusive_bytes=2 * MIB + copied) for pid in (21, 22)
        ]
        leaker = hand_made.process(11, ODD, 20 * MIB + grown, command=ODD)
        reporter.add(
            hand_made.look(10 * n, zones, [leaker, hand_made.process(12, "log", 12 * MIB), *workers])
        )
        reporter.opened([("log", OpenFile(f"/var/log/{ODD}", (8, 1), 7, 12, copied, copied))])
    damaged = [f"the snapshot of 2026-11-22 12:00:07+00:00 in {ODD} cannot be read: {ODD}"]
    return reporter.report(ODD, "vm", count + 7, damaged=damaged)


def report_compared_text() -> str:
    before, after = watched(leak=0), watched()
    found = outcomes(parse_conditions("growth(*)>1M/min, verdict(steady)=grows"), after)
    return printed(report_view.document(after, found, before, compared(before, after), 2))


DOCUMENTS: dict[str, Callable[[], str]] = {
    "snapshot": lambda: show_text(snapshot()),
    "snapshot-groupings": lambda: show_text(groupings()),
    "snapshot-sorted-limit-2": lambda: show_text(groupings(), ZONE, 2),
    "snapshot-processes": lambda: show_text(snapshot(processes=PROCESSES, basis="incore")),
    "snapshot-processes-limit-1": lambda: show_text(snapshot(processes=PROCESSES), RSS, 1),
    "snapshot-warned": lambda: show_text(warned()),
    "snapshot-nothing": lambda: show_text(nothing()),
    "snapshot-tree": lambda: tree_text(snapshot(by="cgroup"), nodes()),
    "snapshot-tree-nothing": lambda: tree_text(nothing(), ()),
    "snapshot-top": lambda: top_text(groupings()),
    "snapshot-top-limit-1": lambda: top_text(groupings(), 1),
    "snapshot-watched": lambda: show_text(snapshot(source="pagetable", uncertainty="net"), watch=1.0),
    "processes": lambda: ps_text(snapshot(), PROCESSES),
    "processes-args": lambda: ps_text(snapshot(), PROCESSES, {PROCESSES[0].pid: ("/bin/x", ODD, "")}),
    "processes-mapcounts": lambda: ps_text(snapshot(), COUNTED_PROCESSES, mapcounts=True),
    "processes-nothing": lambda: ps_text(nothing(), ()),
    "sharing": lambda: share_text(snapshot_of_names(), parts(), holdings((0, 1, 2), (2,))),
    "sharing-limit-2": lambda: share_text(snapshot_of_names(), parts(), holdings(), 2),
    "sharing-nothing": lambda: share_text(nothing(), Census(0).parts(), {}),
    "sharing-watched": lambda: share_text(snapshot_of_names(), parts(), holdings((0, 2)), watch=1.0),
    "sharing-own": lambda: own_text(snapshot_of_names(), parts(), holdings((0, 1)), "db"),
    "images": lambda: images_text(
        snapshot_of_names(),
        parts(),
        holdings(),
        {"db": Image("ab" * 32, f"web:{ODD}"), "web": Image("ab" * 32, None)},
    ),
    "images-unknown": lambda: images_text(
        snapshot_of_names(),
        parts(),
        holdings((0, 2)),
        {"db": Image(None, "registry.example/db:1"), "web": Image("cd" * 32, None), ODD: None},
    ),
    "files": lambda: files_text(snapshot_of_names(), parts(), holdings(), None),
    "files-of-a-zone": lambda: files_text(snapshot_of_names(), parts(), holdings(), ODD),
    "files-nothing": lambda: files_text(nothing(), parts(), {}, None),
    "whatif": lambda: whatif_text(snapshot_of_names(), parts(), holdings(), ["db"]),
    "whatif-two": lambda: whatif_text(snapshot_of_names(), parts(), holdings((0, 1)), ["db", ODD]),
    "whatif-all-limit-2": lambda: whatif_text(snapshot_of_names(), parts(), {}, list(NAMES.values()), 2),
    "explain": lambda: explain_text(account(BILL_2, drift=DRIFT)),
    "difference": lambda: difference_text(
        look(BILL_2, 0, {7: 40 * KIB, 9: 8 * KIB}),
        look(BILL_LATER, 30, {7: 1900 * KIB, 8: 4 * KIB}, replace(PROCESSES[0], rss_bytes=65 * KIB)),
    ),
    "difference-recorded": lambda: difference_text(look(BILL_2, 0, None), look(BILL_LATER, 0.5, None)),
    "difference-without-bill": lambda: difference_text(look(None, 0, {}), look(None, 30, {})),
    "explain-version-1": lambda: explain_text(account(BILL_1, drift=Drift((), (), 0))),
    "explain-without-bill": lambda: explain_text(account(None)),
    "explain-without-payers": lambda: explain_text(account(BILL_2, with_shares=False)),
    "explain-numbers": lambda: numbers_text(account(BILL_2), facts(BILL_2)),
    "explain-numbers-version-1": lambda: numbers_text(account(BILL_1), facts(BILL_1)),
    "explain-numbers-without-bill": lambda: numbers_text(account(None), facts(None)),
    "explain-private-shared": lambda: how_mapped_text(account(BILL_2), HowMapped(1, 2, 3, 4, 5, 6, 7, 8)),
    "explain-process": lambda: process_text(
        700 * KIB,
        712 * KIB,
        {Kind.ANON: 150, Kind.FILE: 20, Kind.SHMEM: 9, Kind.HUGETLB: 512, PAGE_ZERO: 3, PAGE_DEVICE: 1},
    ),
    "zone": lambda: zone_text([page(BILL_2, mapcounts=MAPCOUNTS)], forecasts={"web": FORECAST}),
    "zone-two-limit-1": lambda: zone_text([page(BILL_1, growth=1234.5), page(None)], 1),
    "zone-watched": lambda: zone_text([page(BILL_2, growth=1e6, verdict=watched().zones[0].verdict)]),
    "payers": lambda: payers_text(matrix(), None),
    "payers-of-a-zone": lambda: payers_text(matrix(), "web"),
    "machine": lambda: machine_text(machine_account()),
    "shmem": lambda: shmem_text(shmem_account()),
    "shmem-without-payers": lambda: shmem_text(shmem_account(None)),
    "wss": lambda: wss_text(
        working(files=(FileTouched(LIBC, 12288, 4096, 8192), FileTouched(None, 4096, 0, 0)))
    ),
    "wss-limit-1": lambda: wss_text(working(processes=None), 1),
    "wss-watched": lambda: wss_text(working(method="clear_refs", unarmed=(), zones=()), watch=1.0),
    "cap": lambda: printed(cap.document(STATUS)),
    "cap-nothing": lambda: printed(cap.document(replace(STATUS, zones=(), warnings=())), watch=1.0),
    "frames": lambda: frames_text(MAPPINGS, False),
    "frames-pfn": lambda: frames_text(MAPPINGS, True),
    "frames-nothing": lambda: frames_text((), False),
    "run": lambda: printed(run.document(run_of(looks()))),
    "run-unseen": lambda: printed(run.document(run_of(Looks("web"), **UNSEEN))),
    "report": lambda: printed(report_view.document(watched())),
    "report-compared": lambda: report_compared_text(),
    "report-too-short": lambda: printed(report_view.document(watched(3), limit=1)),
    "recording": lambda: printed(record.document(recorded())),
    "autopsy": lambda: printed(autopsy_view.document(dead(), f"/{ODD}.zrec", "vm")),
    "autopsy-nothing": lambda: printed(autopsy_view.document([], "/x.zrec", "vm")),
    "recording-black-box": lambda: printed(
        record.document(
            recorded(
                box=BoxTally(
                    300.0,
                    2.0,
                    31,
                    0.25,
                    16 << 20,
                    217_000,
                    kills=2,
                    kills_lost=1,
                    looks_kept=29,
                    keeping_seconds=0.5,
                )
            )
        )
    ),
    "recording-nothing": lambda: printed(record.document(nothing_recorded())),
    "cap-simulation": lambda: printed(cap_simulation.document(cap_simulated())),
    "check": lambda: check_text(PROBES, f"6.18 {ODD}"),
}
DIRECTORY = Path(__file__).parents[1] / "fixtures" / "documents"


def working(**fields: Any) -> WorkingSets:
    """Two zones and two processes, one of which was not cleared."""
    zone = ZoneTouched(
        700 * KIB, 92 * KIB, 28 * KIB, 4 * KIB, 512 * KIB, 230_000, "db", "/db", None, "cgroup", 3
    )
    other = replace(zone, zone=ODD, cgroup=None, id="ab" * 32, kind="docker", longest_stall_ns=None)
    process = ProcessTouched(64 * KIB, 4 * KIB, 0, 0, 8 * KIB, 230_000, 42, "db", 1000, ODD)
    found = WorkingSets(
        snapshot=replace(snapshot(source="pagetable"), warnings=(Caveat("damon", "DAMON runs."),)),
        seconds=10.00049,
        method="cold",
        total=replace(zone, zone="total", cgroup=None, kind="total"),
        zones=(zone, other),
        processes=(process, replace(process, pid=23, uid=None, longest_stall_ns=None)),
        files=None,
        unarmed=(
            Gap(23, "clear", Cause.REFUSED, "clearing would hold it up for about 40 ms, more than 10 ms"),
        ),
        gaps=GAPS,
    )
    return replace(found, **fields)


def cap_simulated() -> Replayed:
    """Four minutes of a zone that grows above its cap."""
    caps = {"web": Cap("web", 200 * MIB, floor_bytes=64 * MIB)}
    return replay(growing(4), lambda zones: caps)


def snapshot_of_names() -> Snapshot:
    return builders.snapshot(*(usage(name) for name in NAMES.values()), gaps=GAPS)


def expected(name: str) -> str:
    return (DIRECTORY / f"{name}.json").read_text("utf-8", "strict").removesuffix("\n")


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        (DIRECTORY / f"{chosen}.json").write_text(f"{DOCUMENTS[chosen]()}\n", "utf-8")
