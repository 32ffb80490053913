"""What changes while a walk looks, counted as this kernel counts: before Linux 6.2 threads hold back what they change.

The workloads and their truth are those of tests/live/test_motion.py, smaller and fewer.
"""

from __future__ import annotations

import zonerss
import zonerss.snapshot
from tests.live.test_motion import (  # noqa: F401  fixtures among them
    OWN_PAGES,
    base_pages,
    faults,
    hold,
    quiet,
    report,
    session,
    start,
    take,
    test_frames_that_are_replaced_count,
    usages,
    watch_walks,
)
from tests.oracle import PAGE

SNAPSHOTS = 20
FEW = 41  # pages, less than a thread of Linux 6.1 holds back


def test_changes_can_be_traced_and_nobody_hears_of_it(capfd):
    with zonerss.Session("pagemap", uncertainty=True) as session:  # noqa: F811
        assert session._windows.why_not == ""
        assert session.take("cgroup").uncertainty == "traced"
    assert capfd.readouterr() == ("", "")


def test_a_process_that_grows(session, make_zone, start, quiet, watch_walks):  # noqa: F811
    zone = make_zone("grower")
    moving = start(zone, "grow", "1000")
    base = base_pages(session, moving, zone)
    watch_walks(moving)
    bounds = hold(session, moving, zone, quiet, SNAPSHOTS, base)
    report("grow", bounds)
    assert max(bounds) > 0


def test_a_process_that_maps_and_unmaps_for_ever(session, make_zone, start, quiet, watch_walks):  # noqa: F811
    zone = make_zone("flipper")
    moving = start(zone, "flip", "16")
    watch_walks(moving)
    bounds = hold(session, moving, zone, quiet, SNAPSHOTS, margin=moving.own_pages())
    report("flip", bounds)
    assert max(bounds) > 0


def test_a_few_pages_are_counted_at_once_and_not_much_more(session, make_zone, quiet, monkeypatch):  # noqa: F811
    zone = make_zone("a")
    mem = zone.spawn()
    walk = zonerss.snapshot.walk

    def grown(*arguments, **named):
        mem.map(f"anon {FEW}")
        return walk(*arguments, **named)

    monkeypatch.setattr(zonerss.snapshot, "walk", grown)
    for _ in range(5):
        snapshot = take(session)
        pages = usages(snapshot)[zone.name].uncertainty_bytes // PAGE
        # The first change of a kind may hold what came before the window, too.
        assert FEW <= pages <= 2 * FEW + OWN_PAGES
        quiet(snapshot)
