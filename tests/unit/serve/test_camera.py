"""From snapshots, and walks that could not be done, to looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.unit.builders import BEGAN, MIB, members, snapshot, usage
from tests.unit.cap.test_status import STATUS, ZONE

from zonerss.cap.status import Status
from zonerss.census.parts import Parts
from zonerss.errors import CannotServe
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.serve.camera import Camera
from zonerss.serve.look import Build, Look
from zonerss.serve.ticker import Pace
from zonerss.snapshot import Snapshot

BUILD = Build("1", "2", "3")


class Shop:
    """A camera that takes what it is told to."""

    def __init__(
        self,
        *takes: Snapshot | Exception,
        pairs: int = 1,
        capped: Callable[[], Status | None] = lambda: None,
    ) -> None:
        self.takes, self.looks, self.failures = list(takes), list[Look](), list[str]()
        self.no_caps = list[str]()
        self.pace, self.spent = Pace(30.0, 1000.0), 0.0
        self.camera = Camera(
            self.take,
            self.pace,
            pairs,
            BUILD,
            self.looks.append,
            self.failures.append,
            lambda: self.spent,
            capped,
            self.no_caps.append,
        )

    def take(self) -> Snapshot:
        self.spent += 2.0
        found = self.takes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def taken(number: int, size: int, **fields: object) -> Snapshot:
    web = usage("web", anon_bytes=size, file_bytes=0, shmem_bytes=0)
    return snapshot(web, began=BEGAN + timedelta(seconds=30 * number), **fields)


def test_each_look_counts_on_and_has_its_own_growth() -> None:
    shop = Shop(*(taken(number, number * MIB, gaps=(Gap(1, "open", Cause.EXITED),)) for number in range(8)))
    for _ in range(8):
        shop.camera.walk()
    assert [look.counts.walks for look in shop.looks] == [*range(1, 9)]
    assert shop.looks[-1].counts.gaps == {Cause.EXITED: 8}
    assert [len(look.growth.sizes("web", 99)) for look in shop.looks] == [*range(1, 9)]
    assert shop.looks[-1].growth.bytes_per_minute("web") == 2 * MIB
    assert shop.looks[0].build == BUILD
    assert (shop.looks[0].interval_seconds, shop.looks[0].stretched_seconds) == (30.0, 30.0)


def test_the_pairs_that_share_most_are_in_it() -> None:
    parts = Parts.of(3, {(0, 1): (0, 5, 0, 0), (1, 2): (0, 3, 0, 0)})
    one = snapshot(parts=parts, members=members("web", "db", "cache"))
    shop = Shop(one, pairs=1)
    shop.camera.walk()
    assert shop.looks[0].pairs == ((("db", "web"), 5 * 4096),)
    none = Shop(one, pairs=0)
    none.camera.walk()
    assert none.looks[0].pairs == ()


def test_a_walk_that_could_not_be_done_leaves_the_look_before_it() -> None:
    shop = Shop(CannotServe("no"), taken(0, MIB), CannotServe("not now"), OSError(5, "Input/output error"))
    for _ in range(4):
        shop.camera.walk()
    assert shop.failures == ["no", "not now", "[Errno 5] Input/output error"]
    first, again, last = shop.looks
    assert (first.counts.walks, first.counts.failures) == (1, 1)
    assert (last.counts.walks, last.counts.failures) == (1, 3)
    assert first.snapshot is again.snapshot is last.snapshot
    assert first.ended_monotonic == last.ended_monotonic


def test_a_walk_costs_what_the_clock_of_walks_says_and_answers_what_they_said() -> None:
    shop = Shop(taken(0, MIB), CannotServe("not now"))
    shop.camera.walk()
    assert shop.looks[-1].counts.processor_seconds == 2.0
    shop.spent += 9.0  # between two walks
    shop.pace.spend_besides(0.5)
    shop.camera.walk()
    assert shop.looks[-1].counts.processor_seconds == 4.5


def test_what_a_capper_says_is_in_it() -> None:
    shop = Shop(taken(0, MIB), capped=lambda: STATUS)
    shop.camera.walk()
    assert shop.looks[0].caps[ZONE.zone] == ZONE


def test_a_capper_of_other_zones_and_one_that_is_not_understood() -> None:
    def spoiled() -> Status:
        raise CannotServe("cannot read it")

    for capped, why in ((lambda: replace(STATUS, by="user"), ""), (spoiled, "cannot read it")):
        shop = Shop(taken(0, MIB), capped=capped)
        shop.camera.walk()
        assert shop.looks[0].caps == {}
        assert shop.no_caps == [why]
        assert (shop.failures, shop.looks[0].counts.failures) == ([], 0)
