"""The chain from what ps says to what the kernel bills, on zones that stand still and on some that do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import TestCgroups, end_processes, move, remove, stopped
from tests.live.measure import Zone
from tests.oracle import PAGE, RSS_KINDS, Kernel, pages_of
from tests.workloads.mem import HUGE, MemError
from tests.workloads.postgres import Postgres, programs
from zonerss.answers.explain.account import FLUSH_SECONDS, explain_zone, look_at_zone, pay_matrix
from zonerss.answers.explain.difference import changed
from zonerss.answers.marks import Mark, Why
from zonerss.commands import show
from zonerss.kernel.roots import HOST
from zonerss.kernel.smaps import read_smaps
from zonerss.snapshot import Session
from zonerss.views.explain.difference import sentence

MIB = 2**20
PROJECT = Path(__file__).parents[2]


def run_zonerss(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zonerss", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


def explain(zone: Zone, attempts: int = 3):
    """The account of a zone of ours, whose processes are stopped."""
    with Session() as session:
        for _ in range(attempts):
            account = explain_zone(session, zone.name, "cgroup")
            if account.chain.holds:
                break
    return account


def steps_of(account) -> dict[tuple[str, str | None], int]:
    return {(step.name, step.cgroup): step.bytes for step in account.chain.steps}


def assert_adds_up(document: dict) -> None:
    total = document["process_rss_bytes"] + sum(step["bytes"] for step in document["steps"])
    assert total + document["residual_bytes"] == document["charged_bytes"]
    (again,) = (step["bytes"] for step in document["steps"] if step["step"] == "counted_again")
    assert document["process_rss_bytes"] + again == document["rss_bytes"]


# ---- PostgreSQL ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres(cgroups: TestCgroups) -> Iterator[dict[str, Zone]]:
    """A server in one zone, its clients in another; both stopped, and memory.stat brought up to date."""
    if not programs():
        needs.skip("needs_postgres")
    made = {name: Zone(cgroups, cgroups.make(name)) for name in ("server", "clients")}
    server = Postgres(
        128,
        lambda: move(os.getpid(), made["server"].path),
        lambda: move(os.getpid(), made["clients"].path),
    )
    try:
        server.start(20)
        with stopped([zone.path for zone in made.values()]):
            time.sleep(FLUSH_SECONDS)
            yield made
    finally:
        server.stop()
        for zone in made.values():
            end_processes(zone.path)
            cgroups.remove(zone.path)


def test_the_chain_of_postgres_closes(postgres):
    for zone in postgres.values():
        account = explain(zone)
        chain = account.chain
        assert chain.holds, chain
        assert chain.residual_bytes >= 0
        assert chain.residual_bound_bytes == 64 * os.cpu_count() * PAGE
        assert account.drift.came == account.drift.left == ()
        assert steps_of(account)[("anon_not_seen", None)] == 0


def test_its_own_mapped_frames_are_memory_stat_to_the_page(postgres):
    for zone in postgres.values():
        account = explain(zone)
        bill = account.bill
        assert account.shares.own_anon_bytes == bill.anon_bytes
        assert (
            account.shares.own_file_bytes == bill.stat["file_mapped" if bill.version == 2 else "mapped_file"]
        )
    server = explain(postgres["server"])
    assert server.shares.own_file_bytes > 100 * MIB
    assert server.chain.process_rss_bytes > 10 * server.chain.rss_bytes


def test_the_command_line_says_the_same(postgres):
    name = postgres["server"].name
    done = run_zonerss("explain", name, "--by", "cgroup", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "zonerss.explain/1"
    assert document["holds"]
    assert_adds_up(document)
    text = run_zonerss("explain", name, "--by", "cgroup").stdout
    assert "within the kernel's own rounding" in text
    assert "memory." in text


def test_everyones_number(postgres):
    name = postgres["server"].name
    done = run_zonerss("explain", name, "--by", "cgroup", "--numbers", "--json")
    numbers = {row["name"]: row["bytes"] for row in json.loads(done.stdout)["numbers"]}
    rss = numbers["zonerss"]
    assert numbers["ps, prstat"] > 10 * rss
    assert numbers["getvmusage"] >= rss >= numbers["SmartOS live"]
    assert rss >= numbers["zone's share"] >= numbers["SmartOS live"] >= numbers["USS"]
    assert numbers["docker stats"] <= numbers["systemd-cgtop"]
    assert None not in numbers.values()


def test_numbers_are_of_one_moment(make_zone: Callable):
    """What another zone maps now and not a moment later is exclusive to no zone and to no process, or to both."""
    zone, other = make_zone("a"), make_zone("b")
    memory = zone.spawn().map("memfd 5003")
    mem, over = other.spawn(), threading.Event()

    def map_and_unmap() -> None:
        while not over.is_set():
            mem.unmap(mem.map(f"file {memory.path} 5003 shared read"), 0, 5003)

    thread = threading.Thread(target=map_and_unmap)
    thread.start()
    try:
        for _ in range(6):
            done = run_zonerss("explain", zone.name, "--by", "cgroup", "--numbers", "--json")
            numbers = {row["name"]: row["bytes"] for row in json.loads(done.stdout)["numbers"]}
            assert numbers["SmartOS live"] >= numbers["USS"]
    finally:
        over.set()
        thread.join()


# ---- who pays ------------------------------------------------------------------------------------------


def test_tmpfs_that_one_zone_wrote_and_another_maps(
    make_zone: Callable, cgroups: TestCgroups, tmpfs_directory
):
    """The reader uses 100 MiB and pays nothing; the writer pays, and goes on paying when it has gone."""
    writer, reader = make_zone("writer"), make_zone("reader")
    path = tmpfs_directory / "file"
    path.touch()
    os.truncate(path, 100 * MIB)
    mem, pages = writer.spawn(), 100 * MIB // PAGE
    mem.map(f"file {path} {pages} shared write")
    for other in (reader.spawn(), reader.spawn()):
        other.map(f"file {path} {pages} shared read")

    def check() -> None:
        with stopped([writer.path, reader.path]):
            account = explain(reader)
        steps = steps_of(account)
        assert account.chain.rss_bytes >= 100 * MIB
        assert account.chain.rss_bytes < 103 * MIB
        assert account.chain.process_rss_bytes > 200 * MIB
        assert steps[("billed_to_others", writer.name)] == -100 * MIB
        # Its own pages, the kernel's for it, and what each processor has charged ahead.
        assert account.chain.charged_bytes < 3 * MIB + account.chain.residual_bound_bytes
        assert account.chain.holds

    check()
    with stopped([writer.path, reader.path]):
        account = explain(writer)
    assert account.chain.holds
    assert account.chain.charged_bytes >= 100 * MIB

    mem.end()
    check()
    with Session() as session:
        matrix = pay_matrix(session, "cgroup")
    (cell,) = (p for p in matrix.payments if p.zone == reader.name and p.cgroup == writer.name)
    assert cell.bytes == 100 * MIB
    (payer,) = (payer for payer in matrix.payers if payer.cgroup == writer.name)
    assert payer.processes == 0
    lines = run_zonerss("explain", reader.name, "--by", "cgroup", "--payers").stdout.splitlines()
    assert any("no process is left in it" in line and writer.name in line for line in lines)

    cgroups.remove(writer.path)
    check_removed(reader, writer)


def check_removed(reader: Zone, writer: Zone) -> None:
    """The charge passes to the cgroup above; the kernel takes its time."""
    above = str(Path(writer.name).parent)
    for _ in range(50):
        with Session() as session:
            matrix = pay_matrix(session, "cgroup")
        payers = {payer.cgroup: payer for payer in matrix.payers}
        if above in payers and writer.name not in payers and payers[above].bytes >= 100 * MIB:
            break
        time.sleep(0.1)
    removed = payers[above].removed_bytes
    assert removed is None or removed >= 100 * MIB  # version 2 does not tell
    (cell,) = (p for p in matrix.payments if p.zone == reader.name and p.cgroup == above)
    assert cell.bytes >= 100 * MIB


def billed_and_unmapped(writer: Zone, directory: Path, pages: int) -> Path:
    """A file of so many pages that a process of the zone has written and maps no longer."""
    path = directory / "file"
    path.touch()
    os.truncate(path, pages * PAGE)
    mem = writer.spawn()
    where = mem.map(f"file {path} {pages} shared write")
    mem.unmap(where, 0, pages)
    return path


def test_a_zone_that_only_others_map(make_zone: Callable, tmpfs_directory):
    """What a zone pays for and only others map is a step of its own, named."""
    writer, reader = make_zone("writer"), make_zone("reader")
    path = billed_and_unmapped(writer, tmpfs_directory, 1009)
    reader.spawn().map(f"file {path} 401 shared read")
    with stopped([writer.path, reader.path]):
        time.sleep(FLUSH_SECONDS)
        account = explain(writer)
    steps = steps_of(account)
    assert steps[("mapped_by_others", reader.name)] == 401 * PAGE
    assert steps[("cache_not_mapped", None)] == (1009 - 401) * PAGE
    assert account.chain.holds


def test_a_bill_for_what_only_others_map_stands_out(make_zone: Callable, tmpfs_directory):
    writer, reader = make_zone("writer"), make_zone("reader")
    path = billed_and_unmapped(writer, tmpfs_directory, 6007)
    reader.spawn().map(f"file {path} 6007 shared read")
    time.sleep(FLUSH_SECONDS)
    with Session() as session:
        marks = show._marks(session.take("cgroup", controls=True))
    assert [mark for mark in marks if mark.zone == writer.name] == [Mark(Why.PAYS, writer.name, 6007 * PAGE)]


def assert_unmapped(zone: Zone, pages: int) -> None:
    """The chain closes, and names at least so many pages that no page table maps."""
    with stopped([zone.path]):
        time.sleep(FLUSH_SECONDS)
        account = explain(zone)
    assert account.chain.holds, account.chain
    assert account.shares.to_nobody_bytes < 8 * PAGE
    # The lists lag by what is in the batches of each processor.
    assert steps_of(account).get(("anon_not_mapped", None), 0) >= (pages - 64 * os.cpu_count()) * PAGE


def test_the_rest_of_cut_huge_pages_is_in_the_chain(zone, mem):
    """One page of each huge page stays mapped; the others stay charged until the kernel splits it."""
    try:
        made = mem.map("thp 4")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    huge = sum(row.sizes.get("AnonHugePages", 0) for row in read_smaps(HOST, mem.pid))
    for first in range(0, made.pages, HUGE):
        mem.unmap(made, first + 3, HUGE - 3)
    assert_unmapped(zone, huge // PAGE * (HUGE - 3) // HUGE)


def test_the_rest_of_small_huge_pages_is_in_the_chain(zone, mem, setting):
    """16 pages each: no counter of memory.stat tells that there are any."""
    try:
        setting(f"/sys/kernel/mm/transparent_hugepage/hugepages-{HUGE * PAGE // 1024}kB/enabled", "never")
        setting(f"/sys/kernel/mm/transparent_hugepage/hugepages-{16 * PAGE // 1024}kB/enabled", "madvise")
    except OSError as error:
        needs.skip("needs_thp", str(error))
    made = mem.map("thp 4")
    for first in range(0, made.pages, 16):
        mem.unmap(made, first + 1, 15)
    assert_unmapped(zone, made.pages * 15 // 16)


def test_pages_that_io_uring_holds_are_in_the_chain(zone, mem):
    try:
        mem.map("pin 3001")
    except MemError as error:
        needs.skip("needs_io_uring", str(error))
    assert_unmapped(zone, 3001)


def test_tails_of_huge_pages_are_charged_as_their_heads_are(zone, mem):
    """Linux before 6.4 tells the payer of a huge page's first frame only."""
    made = mem.map("thp 4")
    mem.unmap(made, 0, 1)  # the head of the first one is not mapped
    with stopped([zone.path]):
        account = explain(zone)
    assert account.shares.to_nobody_bytes < 8 * PAGE
    assert account.shares.own_anon_bytes >= 7 * MIB
    assert account.chain.holds, account.chain


@pytest.fixture
def nested(make_zone: Callable, cgroups: TestCgroups) -> Iterator[tuple[Zone, Zone]]:
    """A zone with 101 anon pages, and one below it with 5003."""
    outer = make_zone("outer")
    (outer.path / "inner").mkdir()
    inner = Zone(cgroups, outer.path / "inner")
    try:
        outer.spawn().map("anon 101")
        inner.spawn().map("anon 5003")
        yield outer, inner
    finally:
        inner.end()
        end_processes(inner.path)
        remove(inner.path)


def test_a_zone_below_a_zone_has_a_bill_of_its_own(nested: tuple[Zone, Zone], cgroups: TestCgroups):
    outer, inner = nested
    with stopped([outer.path, inner.path]):
        time.sleep(FLUSH_SECONDS)
        accounts = {zone: explain(zone) for zone in (outer, inner)}
    if cgroups.hierarchy.version == 2:
        # A cgroup with processes cannot hand the memory controller down: the outer one pays for both.
        assert accounts[inner].bill is None
        assert accounts[outer].chain.holds
        assert steps_of(accounts[outer])[("mapped_by_others", inner.name)] >= 5003 * PAGE
        return
    for zone, pages in ((outer, 101), (inner, 5003)):
        account = accounts[zone]
        assert account.chain.holds
        assert pages * PAGE <= account.bill.anon_bytes < (pages + 150) * PAGE


def test_other_tools_numbers_are_of_the_whole_cgroup(nested: tuple[Zone, Zone], cgroups: TestCgroups):
    """They read the cgroup's files, in which the zones below it are included."""
    outer, inner = nested
    with stopped([outer.path, inner.path]):
        time.sleep(FLUSH_SECONDS)
        done = run_zonerss("explain", outer.name, "--by", "cgroup", "--numbers", "--json")
        text = run_zonerss("explain", outer.name, "--by", "cgroup", "--numbers").stdout
        version = cgroups.hierarchy.version
        charge = outer.path / {1: "memory.usage_in_bytes", 2: "memory.current"}[version]
        charged = int(charge.read_text())
        stat = dict(line.split() for line in (outer.path / "memory.stat").read_text().splitlines())
    rows = {row["name"]: row for row in json.loads(done.stdout)["numbers"]}
    # What each processor has charged ahead for each of the two comes and goes (mm/memcontrol.c, MEMCG_CHARGE_BATCH).
    slack = 2 * 64 * os.cpu_count() * PAGE
    assert rows[charge.name.removeprefix("memory.") if version == 1 else charge.name]["whole_cgroup"]
    for name in ("systemd-cgtop", "podman, at first"):
        assert rows[name]["bytes"] == pytest.approx(charged, abs=slack)
    anon = int(stat["total_rss" if version == 1 else "anon"])
    assert rows["memory.stat anon"]["bytes"] == anon > 5100 * PAGE
    assert rows["docker stats"]["bytes"] > 5100 * PAGE
    assert rows["zonerss"]["bytes"] < 1000 * PAGE
    assert not rows["zonerss"]["whole_cgroup"]
    assert f"{inner.name} included." in text


def test_payers_by_brute_force(make_zone: Callable, tmpfs_directory):
    """Frame by frame: the pages of each process, and what kpagecgroup says of each."""
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in (*zones, *zones)]
    for number, mem in enumerate(mems):
        made = mem.map(f"memfd {101 + number}")
        for other in mems:
            other.map(f"file {made.path} {97 - 5 * number} shared read")
    kernel = Kernel()
    with stopped([zone.path for zone in zones]), open("/proc/kpagecgroup", "rb") as payers:
        with Session() as session:
            matrix = pay_matrix(session, "cgroup")
        for zone in zones:
            frames = {
                page.number
                for mem in zone.mems
                for page in pages_of(kernel, mem.pid)
                if page.kind in RSS_KINDS
            }
            found: Counter[int] = Counter()
            for pfn in frames:
                payers.seek(pfn * 8)
                found[int.from_bytes(payers.read(8), sys.byteorder)] += PAGE
            cells = {cell.cgroup: cell.bytes for cell in matrix.payments if cell.zone == zone.name}
            assert sorted(cells.values()) == sorted(found.values())
            for other in zones:
                assert cells[other.name] == found[other.path.stat().st_ino]
    kernel.close()


# ---- what moves, what is missing -----------------------------------------------------------------------


def test_a_zone_that_never_stands_still_is_told_with_its_drift(make_zone: Callable):
    zone = make_zone("storm")
    zone.spawn()
    zone.spawn().tell("storm fork")
    done = run_zonerss("explain", zone.name, "--by", "cgroup", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert_adds_up(document)
    assert 1 <= document["attempts"] <= 3
    assert set(document["drift"]) == {"came", "left", "charged_bytes"}


def test_a_zone_without_a_bill_ends_at_its_rss():
    done = run_zonerss("explain", "root", "--by", "user", "--json")
    document = json.loads(done.stdout)
    assert document["charged_bytes"] is None
    assert document["residual_bytes"] is None
    assert document["steps"][0]["step"] == "counted_again"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["explain", "no such zone"], 1),
        (["explain", "--payers", "no such zone"], 1),
        (["explain", "--pid", "0"], 2),
        (["explain", "--pid", "4000000"], 1),
        (["explain", "--pid", "x"], 2),
        (["explain", "a", "--pid", "1"], 2),
        (["explain", "a", "--basis", "incore"], 2),
        (["explain", "a", "--by", "zone", "--by", "user"], 2),
        (["explain", "a", "--numbers", "--payers"], 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, status):
    done = run_zonerss(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_names_of_cgroups_are_hostile(make_zone: Callable):
    zone = make_zone("a\x1b[2J\udcff")
    zone.spawn()
    for arguments in ([zone.name], [zone.name, "--numbers"], ["--payers"], [zone.name, "--json"]):
        done = run_zonerss("explain", *arguments, "--by", "cgroup")
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert r"a\x1b[2J\xff" in done.stdout.replace("\\u001b", r"\x1b").replace("\\\\", "\\")


# ---- one process ---------------------------------------------------------------------------------------


def ways_of(pid: int) -> dict:
    document = json.loads(run_zonerss("explain", "--pid", str(pid), "--json").stdout)
    steps = {step["step"]: step["bytes"] for step in document["steps"]}
    assert document["statm_bytes"] + sum(steps.values()) == document["translations_bytes"]
    return document | {"steps": steps}


def test_one_process_three_ways(zone, mem):
    before = ways_of(mem.pid)
    mem.map("zero 67")
    mem.map("anon 23")
    after = ways_of(mem.pid)
    assert after["smaps_bytes"] - before["smaps_bytes"] == 23 * PAGE
    assert after["translations_bytes"] - before["translations_bytes"] == (23 + 67) * PAGE
    assert after["steps"]["zero_page"] - before["steps"]["zero_page"] == 67 * PAGE
    assert after["steps"]["changed_meanwhile"] == 0


def test_hugetlb_is_beside_rss(zone, mem, setting):
    huge = f"/sys/kernel/mm/hugepages/hugepages-{HUGE * PAGE // 1024}kB/nr_hugepages"
    before = ways_of(mem.pid)
    try:
        setting(huge, int(Path(huge).read_text()) + 3)
        mem.map("hugetlb 3")
    except (OSError, MemError) as error:
        needs.skip("needs_hugetlb", str(error))
    after = ways_of(mem.pid)
    assert after["steps"]["hugetlb"] == 3 * HUGE * PAGE
    assert after["smaps_bytes"] == before["smaps_bytes"]
    mem.end()


# ---- private and shared, swap reserved -----------------------------------------------------------------


def test_private_shared_and_reserved(make_zone: Callable):
    zone = make_zone("a")
    mem = zone.spawn()

    def ask() -> dict[str, int]:
        with stopped([zone.path]):
            done = run_zonerss("explain", zone.name, "--by", "cgroup", "--private-shared", "--json")
        return json.loads(done.stdout)["how_mapped"]

    before = ask()
    assert before["rss_private_bytes"] + before["rss_shared_bytes"] == (
        before["exclusive_bytes"] + before["shared_with_others_bytes"]
    )
    mem.map("anon 101")
    mem.map("sharedanon 211")
    alone = ask()
    assert alone["swap_private_bytes"] - before["swap_private_bytes"] == 101 * PAGE
    assert alone["swap_shared_bytes"] - before["swap_shared_bytes"] == 211 * PAGE
    assert alone["rss_private_bytes"] - before["rss_private_bytes"] == 101 * PAGE
    assert alone["rss_shared_bytes"] - before["rss_shared_bytes"] == 211 * PAGE
    mem.fork()
    forked = ask()
    assert forked["swap_private_bytes"] == 2 * alone["swap_private_bytes"]  # as getvmusage has it
    assert forked["swap_shared_bytes"] == alone["swap_shared_bytes"]
    assert forked["rss_shared_bytes"] == alone["rss_shared_bytes"]


# ---- what changed ----------------------------------------------------------------------------------------

WRITER = """
import sys
with open(sys.argv[1], "wb") as log:
    for line in sys.stdin:
        log.write(b"x" * int(line))
        log.flush()
        print("done", flush=True)
"""


@pytest.fixture
def writer(make_zone: Callable, tmp_path: Path) -> Iterator[tuple[Zone, subprocess.Popen[str], Path]]:
    """A process in a zone that writes a log, as much as it is told to."""
    log = tmp_path / "x.log"
    zone = make_zone("writer")
    command = [sys.executable, "-c", WRITER, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            zone.add(process.pid)
            yield zone, process, log
        finally:
            process.kill()


def write(process: subprocess.Popen[str], size_bytes: int) -> None:
    assert process.stdin
    assert process.stdout
    print(size_bytes, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


def is_on_tmpfs(path: Path) -> bool:
    done = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "tmpfs"


def test_the_log_that_grew_is_named(writer):
    """Its pages are on the zone's bill, and nobody maps them."""
    zone, process, log = writer
    write(process, 3 * MIB)
    with Session() as session:
        before = look_at_zone(session, zone.name, "cgroup")
        write(process, 64 * MIB)
        after = look_at_zone(session, zone.name, "cgroup")
    found = changed(before, after)
    (reason,) = found.reasons(found.difference.charged_bytes)
    on_tmpfs = is_on_tmpfs(log)
    assert reason.name == ("shmem_not_mapped" if on_tmpfs else "cache")
    assert (reason.mover.name, reason.mover.pid, reason.mover.bytes) == (str(log), process.pid, 64 * MIB)
    assert abs(reason.bytes - 64 * MIB) < MIB  # version 2's memory.stat may be behind by some batches
    assert abs(found.difference.rss_bytes) < MIB
    text = sentence(found)
    assert f"of {log} (open by pid {process.pid}, python" in text
    assert on_tmpfs or text.endswith("; it goes when memory is needed.")


def test_the_process_that_grew_is_named(make_zone: Callable):
    zone = make_zone("grows")
    steady, grows = zone.spawn(), zone.spawn()
    steady.map("anon 700")
    with Session() as session:
        before = look_at_zone(session, zone.name, "cgroup")
        grows.map("anon 9000")
        after = look_at_zone(session, zone.name, "cgroup")
    found = changed(before, after)
    (reason,) = found.reasons(found.difference.charged_bytes)
    assert (reason.name, reason.mover.pid) == ("anon", grows.pid)
    assert 9000 * PAGE <= found.difference.rss_bytes < 9500 * PAGE
    assert f"private memory of pid {grows.pid}, " in sentence(found)


def test_the_difference_of_a_zone_that_stands_still_is_nothing(zone: Zone):
    zone.mems[0].map("anon 700")
    with stopped([zone.path]):
        time.sleep(FLUSH_SECONDS)
        done = run_zonerss("explain", zone.name, "--by", "cgroup", "--since", "-0.5s", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "zonerss.difference/1"
    assert_adds_up(document)
    assert (document["rss_bytes"], document["process_rss_bytes"], document["processes"]) == (0, 0, [])
    assert document["holds"]
    assert "nothing has changed by more than the kernel's own rounding" in document["sentence"]
