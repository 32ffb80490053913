"""What is counted from walk to walk, and how old a look is."""

from __future__ import annotations

from tests.unit.builders import look

from zonerss.records import Cause, Gap
from zonerss.serve.look import WALK_BUCKETS, Counts


def test_each_walk_is_in_the_bucket_that_it_just_fits_in() -> None:
    counts = Counts()
    for seconds in (0.0, 0.01, 0.011, 10.0, 10.1):
        counts = counts.with_walk(seconds, 0.5, ())
    assert counts.walks_by_seconds == (2, 1, *(0,) * (len(WALK_BUCKETS) - 3), 1, 1)
    assert (counts.walks, counts.failures, counts.processor_seconds) == (5, 0, 2.5)
    assert round(counts.walk_seconds, 6) == 20.121


def test_gaps_of_all_walks_add_up_by_cause() -> None:
    counts = Counts().with_walk(1, 1, [Gap(1, "open", Cause.EXITED), Gap(2, "maps", Cause.EXITED)])
    counts = counts.with_walk(1, 1, [Gap(1, "open", Cause.BEGAN), Gap(1, "open", Cause.EXITED)])
    assert counts.gaps == {Cause.EXITED: 3, Cause.BEGAN: 1}


def test_a_failure_is_no_walk() -> None:
    counts = Counts().with_failure(0.25)
    assert (counts.walks, counts.failures, counts.processor_seconds, counts.walk_seconds) == (0, 1, 0.25, 0)


def test_age_is_since_the_end_of_the_walk() -> None:
    served = look(ended_monotonic=1000.0)
    assert served.age_seconds(1012.5) == 12.5
    assert served.age_seconds(999.0) == 0.0
