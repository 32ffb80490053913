"""A real service: PostgreSQL with 20 clients that have read every buffer, beside a zone that maps the same libc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import TestCgroups, end_processes, move, stopped
from tests.live.measure import Zone, between_two_looks, read_zones
from tests.oracle import PAGE, RSS_KINDS
from tests.workloads.postgres import Postgres, programs
from zonerss.answers.explain.account import explain_zone
from zonerss.commands import files as files_command
from zonerss.commands import share as share_command
from zonerss.commands import zone as zone_command
from zonerss.views import files, ps, show
from zonerss.views import zone as zone_view
from zonerss.views.explain.chain import step_fields

pytestmark = pytest.mark.same_in_container

SHARED_BUFFERS_MIB = 128
CLIENTS = 20


@pytest.fixture(scope="module")
def zones(cgroups: TestCgroups) -> Iterator[dict[str, Zone]]:
    """The server in one zone, its clients in another."""
    if not programs():
        needs.skip("needs_postgres")
    made = {name: Zone(cgroups, cgroups.make(name)) for name in ("postgres", "clients")}
    postgres = Postgres(
        SHARED_BUFFERS_MIB,
        lambda: move(os.getpid(), made["postgres"].path),
        lambda: move(os.getpid(), made["clients"].path),
    )
    try:
        postgres.start(CLIENTS)
        yield made
    finally:
        postgres.stop()
        for zone in made.values():
            end_processes(zone.path)
            cgroups.remove(zone.path)


@pytest.fixture
def still(zones: dict[str, Zone]) -> Iterator[dict[str, Zone]]:
    with stopped([zone.path for zone in zones.values()]):
        yield zones


def usage_of(zone: Zone, snapshot: zonerss.Snapshot) -> zonerss.records.Usage:
    (usage,) = (usage for usage in snapshot.zones if usage.zone == zone.name)
    return usage


def test_rss_of_postgres_is_what_the_oracle_finds(still, source):
    snapshot, truth = between_two_looks(
        lambda: zonerss.take_snapshot(by=("cgroup",), source=source), still.values()
    )
    for zone in still.values():
        usage, true = usage_of(zone, snapshot), truth.zones[zone.name]
        # Stopped, so to the page; within 1 % is what is asked for.
        assert usage.rss_bytes == true.rss * PAGE
        for kind in (*RSS_KINDS, "hugetlb", "swap"):
            assert getattr(usage, f"{kind}_bytes") == true.mapped[kind] * PAGE
        assert usage.process_rss_bytes == truth.process_rss[zone.name] * PAGE
        # Which libraries others map, too, changes as they come and go.
        assert usage.exclusive_bytes == pytest.approx(true.exclusive * PAGE, rel=0.05)


def test_the_sum_of_its_processes_is_over_ten_times_too_large(still, source):
    usage = usage_of(still["postgres"], zonerss.take_snapshot(by=("cgroup",), source=source))
    assert usage.processes > CLIENTS
    assert usage.shmem_bytes > 0.9 * SHARED_BUFFERS_MIB * 2**20
    assert usage.process_rss_bytes > 10 * usage.rss_bytes


def test_libraries_are_charged_to_both_zones(still, source):
    snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
    server, clients = (usage_of(still[name], snapshot) for name in ("postgres", "clients"))
    assert server.shared_bytes > 100 * PAGE
    assert clients.shared_bytes > 100 * PAGE
    assert server.file_bytes + clients.file_bytes > 0
    both = zonerss.take_snapshot(by=("cgroup",), source=source, zone=[server.zone, clients.zone]).total
    assert max(server.rss_bytes, clients.rss_bytes) < both.rss_bytes < server.rss_bytes + clients.rss_bytes


def test_what_it_says_while_it_runs(zones, source):
    """The command line, on processes that are alive: within 1 % of the oracle."""
    command = [sys.executable, "-m", "zonerss", "--by", "cgroup", "--source", source, "--json"]
    project = Path(__file__).parents[2]
    name = zones["postgres"].name
    before = read_zones([zones["postgres"]]).zones[name].rss * PAGE
    document = json.loads(subprocess.run(command, cwd=project, check=True, capture_output=True).stdout)
    after = read_zones([zones["postgres"]]).zones[name].rss * PAGE
    (server,) = (zone for zone in document["zones"] if zone["zone"] == name)
    assert min(before, after) * 0.99 <= server["rss_bytes"] <= max(before, after) * 1.01
    assert server["process_rss_bytes"] > 10 * server["rss_bytes"]


class Kept:
    """A session that has taken its snapshot: whoever asks gets that one."""

    def __init__(self, snapshot: zonerss.Snapshot):
        self.snapshot = snapshot

    def take(self, *_: object, **__: object) -> zonerss.Snapshot:
        return self.snapshot


def test_every_figure_of_its_page_is_that_of_the_verb_it_is_taken_from(still, source):
    """All of one snapshot."""
    name, clients = still["postgres"].name, still["clients"].name
    with zonerss.Session(source) as session:
        snapshot = session.take("cgroup", zone=[name], processes=True, controls=True)
        kept = Kept(snapshot)
        for _ in range(5):  # the bill is read each time: until the kernel has brought it up to date
            before = explain_zone(kept, name, "cgroup").chain
            (page,) = zone_command.measure(kept, "cgroup", [name])
            after = explain_zone(kept, name, "cgroup").chain
            if before == after:
                break
        assert page.chain == before == after
        (of_page,) = zone_view.document([page])["zones"]
        (of_show,) = show.document(snapshot)["zones"]
        assert {field: of_page[field] for field in of_show} == of_show
        of_ps = ps.document(snapshot, snapshot.processes)["processes"]
        assert len(of_ps) > CLIENTS
        assert [{field: row[field] for field in of_ps[0]} for row in of_page["largest_processes"]] == of_ps
        _, listed, *_ = files_command.measure(kept, "cgroup", name)
        assert figures(of_page["largest_files"]) == figures(map(files.file_fields, listed))
        assert of_page["steps"] == [step_fields(step) for step in before.steps]
        assert of_page["residual_bytes"] == before.residual_bytes
        assert of_page["bill"]["charged_bytes"] == before.charged_bytes
        pairs = share_command.measure(session, "cgroup").pairs
        (both,) = (pair.bytes for pair in pairs if set(pair.zones) == {name, clients})
        assert {row["zone"]: row["bytes"] for row in of_page["shared_with"]}[clients] == both


def figures(listed) -> list[tuple]:
    """Of each file; who else maps it, and how much; in whatever order equal ones come."""
    return sorted(
        (
            row["bytes"],
            row["exclusive_bytes"],
            sorted((who["zone"], who["bytes"]) for who in row["mapped_by"]),
        )
        for row in listed
    )


def test_figures_do_not_change_when_its_neighbour_ends(zones, make_zone: Callable, source):
    """As the sum of proportional set sizes does."""
    with stopped([zones["postgres"].path]):
        neighbour = make_zone("leaving")
        server = programs() / "postgres"
        mem = neighbour.spawn()
        pages = server.stat().st_size // PAGE
        mem.map(f"file {server} {pages} shared read")
        before = usage_of(zones["postgres"], zonerss.take_snapshot(by=("cgroup",), source=source))
        mem.end()
        after = usage_of(zones["postgres"], zonerss.take_snapshot(by=("cgroup",), source=source))
    assert before.rss_bytes == after.rss_bytes
    assert before.exclusive_bytes < after.exclusive_bytes
