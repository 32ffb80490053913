"""The loop: policy and hands together, with hands that only pretend, and a clock that only they move."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from zonerss.cap import loop
from zonerss.cap.command import Commands
from zonerss.cap.loop import Capper, LiveCaps, settings_of
from zonerss.cap.records import Armed, Back, Bound, ByKind, Cap, Classes, Look, Machine, Settings, Step
from zonerss.cap.rules import Caps, Rule
from zonerss.cap.status import ZoneStatus
from zonerss.errors import CannotServe, UnknownZone, UsageError
from zonerss.plain import dataclass, field, replace

MIB = 1 << 20
SECOND = 1_000_000_000


@dataclass
class Zone:
    """A zone of which so much is hot, and so much cold, all of it of files."""

    hot: int
    cold: int
    shared: int = 0
    armed_ns: int | None = None
    faults_back: bool = False
    unseen: int = 0
    """What the bound has besides, of processes that no walk can read."""

    @property
    def rss(self) -> int:
        return self.hot + self.cold + self.shared


@dataclass
class Pretend:
    """Hands that keep a model of some zones; each thing that they do takes a tenth of a second."""

    model: dict[str, Zone]
    now_ns: int = 1000 * SECOND
    did: list[tuple[str, ...]] = field(default_factory=list)
    fails: str = ""
    reclaiming: bool = False
    left: int = 0
    unread: str | None = None
    """What a walk says it could not read."""
    stuck: frozenset[str] = frozenset()
    """Zones of which no process can be walked."""

    def _do(self, what: str, *words: str) -> None:
        self.did.append((what, *words))
        self.now_ns += SECOND // 10
        if self.fails == what:
            raise CannotServe(f"{what} is not to be had")

    def bounds(self) -> dict[str, Bound]:
        return {
            name: Bound(name, self.now_ns, zone.rss + zone.unseen, 1) for name, zone in self.model.items()
        }

    def machine(self) -> Machine:
        return Machine(self.now_ns, 4096 * MIB, 2048 * MIB, 0, 0, self.reclaiming)

    def look(self, zones: Collection[str]) -> dict[str, Look]:
        self._do("look", *zones)
        return {name: self._look(name) for name in zones if name in self.model and name not in self.stuck}

    def _look(self, name: str) -> Look:
        zone = self.model[name]
        classes = Classes(
            shared_bytes=zone.shared,
            shared_with=(("other", zone.shared),) if zone.shared else (),
            locked_bytes=0,
            several_anon_bytes=0,
            several_file_bytes=0,
            several_shmem_bytes=0,
            own_anon_bytes=0,
            own_file_bytes=zone.hot + zone.cold,
            own_shmem_bytes=0,
        )
        if zone.armed_ns is not None:
            seconds = (self.now_ns - zone.armed_ns) / SECOND
            classes = replace(
                classes,
                cold_anon_bytes=0,
                cold_file_bytes=zone.cold,
                cold_shmem_bytes=0,
                unknown_bytes=0,
                cold_seconds=seconds,
            )
        return Look(
            name, f"/{name}", self.now_ns, SECOND // 100, classes, None, 0, None, False, problem=self.unread
        )

    def arm(self, zone: str) -> Armed:
        self._do("arm", zone)
        self.model[zone].armed_ns = self.now_ns
        return Armed(zone, self.now_ns)

    def page_out(self, zone: str, pages: ByKind) -> Step:
        self._do("page_out", zone)
        left = min(pages.file_bytes, self.model[zone].cold)
        self.model[zone].cold -= left
        self.left += left
        asked = pages.total_bytes
        return Step(zone, "page-out", self.now_ns, SECOND // 10, asked, ByKind(0, left), ByKind(0, left))

    def reclaim(self, zone: str, nbytes: int) -> Step:
        raise AssertionError("nothing is mapped by several")

    def back(self, zone: str) -> Back:
        self._do("back", zone)
        left, self.left = self.left, 0
        back = left if self.model[zone].faults_back else 0
        self.model[zone].hot += back
        return Back(zone, self.now_ns, left, back)

    def wait(self, zones: Collection[str], seconds: float) -> set[str]:
        self.now_ns += int(seconds * 1e9) + 1
        return set()

    def count(self, what: str) -> int:
        return sum(1 for did in self.did if did[0] == what)


class Ran(Commands):
    """Commands that are only noted."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[str, int | None, int, tuple[str, ...]]] = []

    def start(  # type: ignore[override]
        self, zone: str, rule: str, rss_bytes: int | None, cap_bytes: int, command: tuple[str, ...]
    ) -> None:
        self.started.append((zone, rss_bytes, cap_bytes, command))


def caps(**mib: int) -> Caps:
    return Caps(tuple(Rule(zone, Cap(zone, size * MIB), False, "argument") for zone, size in mib.items()))


def capper(
    hands: Pretend,
    read: Callable[[], Caps],
    *,
    enforce: bool = False,
    said: list[str] | None = None,
    commands: Commands | None = None,
) -> Capper:
    base = Settings(enforce=enforce)
    return Capper(
        hands,
        LiveCaps(read),
        lambda found: settings_of(found, base, None, None),
        commands or Commands(),
        (said if said is not None else []).append,
        lambda: hands.now_ns,
    )


def run(made: Capper, hands: Pretend, seconds: float) -> None:
    until = hands.now_ns + int(seconds * SECOND)
    while hands.now_ns < until:
        made.round()
        made.wait()


def settle(made: Capper) -> None:
    for _ in range(1000):
        if made.round():
            return
        made.wait()
    raise AssertionError("it never comes to rest")


def only(made: Capper) -> ZoneStatus:
    (zone,) = made.status().zones
    return zone


# ---- one zone ----------------------------------------------------------------------------------------------


def test_under_its_cap_nothing_is_walked() -> None:
    hands = Pretend({"web": Zone(100 * MIB, 0), "other": Zone(900 * MIB, 0)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    run(made, hands, 100)
    assert hands.did == []
    assert (only(made).rss_bytes, only(made).bound_bytes, only(made).excess_bytes) == (None, 100 * MIB, 0)


def test_enforced_it_comes_under_its_cap() -> None:
    hands, said = Pretend({"web": Zone(350 * MIB, 252 * MIB)}), list[str]()
    made = capper(hands, lambda: caps(web=400), enforce=True, said=said)
    settle(made)
    found = only(made)
    assert hands.model["web"].hot == 350 * MIB
    assert 350 * MIB <= hands.model["web"].rss <= 400 * MIB
    assert found.nover == 1
    assert found.pout_bytes == found.asked_bytes == 602 * MIB - hands.model["web"].rss
    assert (found.refault_bytes, found.excess_bytes) == (0, 0)
    assert any("paged out" in sentence for sentence in said)
    assert {"arm", "page_out", "back"} <= {did[0] for did in hands.did}


def test_a_dry_run_takes_nothing_and_tells_what_could_be_had() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    ran = Ran()
    rule = Rule("web", Cap("web", 400 * MIB, command=("/bin/true",)), False, "argument")
    made = capper(hands, lambda: Caps((rule,)), commands=ran)
    settle(made)
    found = only(made)
    assert found.forecast is not None
    assert (found.forecast.painless_bytes, found.forecast.working_set_bytes) == (252 * MIB, 350 * MIB)
    assert (found.excess_bytes, found.cold_bytes, found.pout_bytes) == (202 * MIB, 252 * MIB, 0)
    run(made, hands, 50)
    assert (hands.count("page_out"), hands.count("arm"), ran.started) == (0, 1, [])
    run(made, hands, 100)  # what is cold is measured anew, now and then
    assert 2 <= hands.count("arm") <= 3


def test_a_dry_run_that_may_touch_nothing() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    base = Settings(cold_ns=0)
    made = Capper(
        hands, LiveCaps(lambda: caps(web=400)), lambda _: base, Commands(), clock=lambda: hands.now_ns
    )
    settle(made)
    assert hands.count("arm") == 0
    assert only(made).cold_bytes is None


def test_what_came_back_is_counted_and_the_zone_is_left_alone() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB, faults_back=True)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    run(made, hands, 15)
    assert only(made).refault_bytes == only(made).pout_bytes > 0
    before = hands.count("page_out")
    run(made, hands, 3)
    assert hands.count("page_out") == before


def test_all_is_shared_and_nothing_is_taken() -> None:
    hands = Pretend({"web": Zone(10 * MIB, 0, shared=500 * MIB)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    run(made, hands, 60)
    assert hands.count("page_out") == 0
    assert "500M is shared with other" in only(made).last_action


@pytest.mark.parametrize("what", ["look", "arm", "page_out", "back"])
def test_what_fails_is_said_and_it_goes_on(what: str) -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)}, fails=what)
    made = capper(hands, lambda: caps(web=400), enforce=True)
    run(made, hands, 12)
    assert f"{what} is not to be had" in only(made).last_action
    hands.fails = ""
    run(made, hands, 400)
    assert only(made).excess_bytes == 0


def test_the_command_is_run_and_not_too_often() -> None:
    hands, ran = Pretend({"web": Zone(500 * MIB, 0)}), Ran()
    rule = Rule("web", Cap("web", 400 * MIB, command=("/bin/tell", "me")), False, "argument")
    made = capper(hands, lambda: Caps((rule,)), enforce=True, commands=ran)
    run(made, hands, 250)
    assert ran.started == [("web", 500 * MIB, 400 * MIB, ("/bin/tell", "me"))]
    run(made, hands, 1500)
    assert 2 <= len(ran.started) <= 6


# ---- zones that come and go, caps that change ----------------------------------------------------------------


def test_a_zone_that_ends_and_comes_back_keeps_what_was_counted() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    rule = Rule("web", Cap("web", 400 * MIB), True, "c.toml:1:1")
    made = capper(hands, lambda: Caps((rule,)), enforce=True)
    settle(made)
    pout = only(made).pout_bytes
    zone = hands.model.pop("web")
    run(made, hands, 10)
    assert made.status().zones == ()
    hands.model["web"] = zone
    run(made, hands, 10)
    assert (only(made).nover, only(made).pout_bytes) == (1, pout)


def test_it_ends_in_the_midst() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    while not hands.count("arm"):
        made.round()
        made.wait()
    del hands.model["web"]
    run(made, hands, 30)
    assert hands.count("page_out") == 0
    assert made.status().zones == ()


def test_caps_are_read_anew() -> None:
    hands, said = Pretend({"web": Zone(350 * MIB, 252 * MIB)}), list[str]()
    now = caps(web=1000)
    made = capper(hands, lambda: now, enforce=True, said=said)
    run(made, hands, 10)
    assert (only(made).cap_bytes, hands.count("page_out")) == (1000 * MIB, 0)
    now = caps(web=400)
    run(made, hands, 30)
    assert (only(made).cap_bytes, only(made).excess_bytes) == (400 * MIB, 0)
    assert hands.count("page_out") > 0
    assert said.count("the caps were read anew") == 1


def test_old_caps_stay_where_the_new_ones_are_wrong() -> None:
    hands, said = Pretend({"web": Zone(100 * MIB, 0)}), list[str]()
    state: list[Caps | UsageError] = [caps(web=400)]

    def read() -> Caps:
        if isinstance(state[0], UsageError):
            raise state[0]
        return state[0]

    made = capper(hands, read, said=said)
    run(made, hands, 5)
    state[0] = UsageError("c.toml:1:1: cap: '-5M' is no size")
    run(made, hands, 10)
    assert only(made).cap_bytes == 400 * MIB
    (warning,) = made.status().warnings
    assert warning.name == "caps"
    assert warning.text.endswith("; the caps from before stay")
    assert [sentence for sentence in said if "c.toml:1:1" in sentence] == [
        "c.toml:1:1: cap: '-5M' is no size; the caps from before stay"
    ]
    state[0] = caps(web=300)
    run(made, hands, 5)
    assert (only(made).cap_bytes, made.status().warnings) == (300 * MIB, ())


def test_a_name_that_comes_to_mean_two_zones() -> None:
    hands, said = Pretend({"/a/web": Zone(100 * MIB, 0), "db": Zone(350 * MIB, 252 * MIB)}), list[str]()
    now = caps(web=400, db=1000)
    made = capper(hands, lambda: now, enforce=True, said=said)
    run(made, hands, 5)
    hands.model["/b/web"] = Zone(1, 0)
    now = caps(web=400, db=400)
    run(made, hands, 30)
    assert (only(made).zone, only(made).excess_bytes) == ("db", 0)  # the other rule holds, and is read anew
    (warning,) = made.status().warnings
    assert "'web' can mean /a/web or /b/web" in warning.text
    assert len([sentence for sentence in said if "can mean" in sentence]) == 1
    del hands.model["/b/web"]
    run(made, hands, 5)
    assert [zone.zone for zone in made.status().zones] == ["/a/web", "db"]
    assert made.status().warnings == ()


def test_a_zone_that_is_not_there_yet() -> None:
    """As at boot: its rule is told of, the others hold, and it holds once the zone is there."""
    hands, said = Pretend({"web": Zone(100 * MIB, 0)}), list[str]()
    rules = tuple(Rule(zone, Cap(zone, 400 * MIB), False, "c.toml:1:1") for zone in ("web", "late"))
    live = LiveCaps(lambda: Caps(rules))
    live.check(hands.bounds())
    made = capper(hands, lambda: Caps(rules), said=said)
    run(made, hands, 10)
    assert [zone.zone for zone in made.status().zones] == ["web"]
    (warning,) = made.status().warnings
    assert warning.text.startswith("c.toml:1:1: no zone is called 'late'")
    assert len([sentence for sentence in said if "no zone" in sentence]) == 1
    hands.model["late"] = Zone(100 * MIB, 0)
    run(made, hands, 5)
    assert [zone.zone for zone in made.status().zones] == ["late", "web"]
    assert made.status().warnings == ()


def test_of_zones_that_come_and_go_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_MOST_KEPT", 10)
    hands = Pretend({})
    rule = Rule("job-*", Cap("job-*", 1 * MIB), True, "c.toml:1:1")
    made = capper(hands, lambda: Caps((rule,)), enforce=True)
    for number in range(30):
        hands.model = {f"job-{number}": Zone(2 * MIB, 0)}
        run(made, hands, 3)
        assert len(made._states) == min(number + 1, 10)
    assert set(made._said) <= set(made._states)


def test_wrong_caps_at_the_start() -> None:
    def read() -> Caps:
        raise UsageError("c.toml:1:1: no")

    with pytest.raises(UsageError):
        LiveCaps(read)
    with pytest.raises(UnknownZone, match="no zone is called 'web'"):
        LiveCaps(lambda: caps(web=1)).check(["db"])


# ---- several zones -----------------------------------------------------------------------------------------


def test_several_zones_are_walked_together() -> None:
    hands = Pretend({name: Zone(350 * MIB, 252 * MIB) for name in ("a", "b", "c")})
    made = capper(hands, lambda: caps(a=400, b=400, c=1000), enforce=True)
    settle(made)
    assert hands.did[0] == ("look", "a", "b")
    assert [zone.excess_bytes for zone in made.status().zones] == [0, 0, 0]
    assert [zone.nover for zone in made.status().zones] == [1, 1, 0]


def test_nothing_is_done_while_the_machine_reclaims() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)}, reclaiming=True)
    made = capper(hands, lambda: caps(web=400), enforce=True)
    settle(made)
    assert "reclaim" in only(made).last_action  # `--once` ends here: it says why nothing was done
    run(made, hands, 60)
    assert hands.did == []


def test_it_waits_no_longer_than_it_is_told() -> None:
    hands = Pretend({"web": Zone(1 * MIB, 0)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    made.round()
    before = hands.now_ns
    made.wait(0.5)
    assert 0 < hands.now_ns - before <= SECOND // 2 + 1


def test_the_threshold_of_the_file_holds_where_the_words_say_none() -> None:
    said = Caps((), threshold=0.8, cold_seconds=5.0)
    assert settings_of(said, Settings(), None, None) == Settings(cold_ns=5 * SECOND, threshold=0.8)
    assert settings_of(said, Settings(), 7.0, 0.5) == Settings(cold_ns=7 * SECOND, threshold=0.5)
    assert settings_of(Caps(()), Settings(), None, None) == Settings()


def test_below_the_threshold_nothing_is_taken() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    made = capper(hands, lambda: replace(caps(web=400), threshold=0.8), enforce=True)
    run(made, hands, 60)
    assert hands.count("page_out") == 0
    assert made.status().threshold == 0.8


def test_a_zone_that_could_not_be_walked_has_not_ended() -> None:
    """All that is known of it stays, and it is looked at again later."""
    hands, said = Pretend({"web": Zone(100 * MIB, 500 * MIB)}), list[str]()
    made = capper(hands, lambda: caps(web=400), enforce=True, said=said)
    hands.stuck = frozenset(["web"])
    run(made, hands, 5)
    assert only(made).last_action == "walk failed: none of its processes could be read"
    hands.stuck = frozenset()
    run(made, hands, 30)
    assert only(made).excess_bytes == 0
    assert "it has no process any more" not in " ".join(said)


def test_a_zone_of_which_a_part_could_not_be_read_is_not_told_to_be_under_its_cap() -> None:
    hands = Pretend({"web": Zone(2 * MIB, 0, unseen=204 * MIB)}, unread="1 process could not be read")
    made = capper(hands, lambda: caps(web=100))
    settle(made)
    found = only(made)
    assert (found.rss_bytes, found.excess_bytes, found.forecast) == (None, None, None)
    assert (found.bound_bytes, found.cgroup) == (206 * MIB, "/web")
    assert "1 process could not be read; RSS is at least 2.0M" in found.last_action
    (warning,) = made.status().warnings
    assert (warning.name, warning.text[:31]) == ("unread", "web: 1 process could not be rea")
    hands.model["web"].hot = 150 * MIB  # so much is above it, and it may be more
    run(made, hands, 15)
    assert only(made).excess_bytes == 50 * MIB
    assert [warning.name for warning in made.status().warnings] == ["unread"]
    hands.model["web"] = Zone(10 * MIB, 0)
    run(made, hands, 30)
    assert (only(made).excess_bytes, made.status().warnings) == (0, ())


def test_a_dry_run_waits_as_long_as_cold_is_to_be() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 252 * MIB)})
    base = Settings(cold_ns=600 * SECOND)
    made = Capper(
        hands, LiveCaps(lambda: caps(web=400)), lambda _: base, Commands(), clock=lambda: hands.now_ns
    )
    run(made, hands, 599)
    assert hands.count("arm") == 1
    run(made, hands, 30)
    assert hands.count("arm") == 2


@pytest.mark.parametrize("what", ["bounds", "machine"])
@pytest.mark.parametrize("err", [OSError(24, "Too many open files"), CannotServe("no meminfo")])
def test_a_round_that_cannot_measure_is_said_once_and_it_goes_on(
    what: str, err: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, said = Pretend({"web": Zone(350 * MIB, 252 * MIB)}), list[str]()
    made = capper(hands, lambda: caps(web=400), enforce=True, said=said)
    made.round()

    def fails() -> None:
        raise err

    with monkeypatch.context() as broken:
        broken.setattr(hands, what, fails)
        before = hands.now_ns
        for _ in range(10):
            assert not made.round()
            made.wait()
        assert hands.now_ns - before >= 20 * SECOND
        assert [warning.name for warning in made.status().warnings] == ["blind"]
    assert len([sentence for sentence in said if "nothing can be measured" in sentence]) == 1
    run(made, hands, 30)
    assert (only(made).excess_bytes, made.status().warnings) == (0, ())


def test_those_nearest_their_cap_are_waited_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Pretend({"a": Zone(100 * MIB, 0), "b": Zone(390 * MIB, 0), "c": Zone(200 * MIB, 0)})
    made, waited = capper(hands, lambda: caps(a=400, b=400, c=250)), list[tuple[str, ...]]()
    made.round()
    monkeypatch.setattr(hands, "wait", lambda zones, _: waited.append(tuple(zones)) or set())
    made.wait()
    assert waited == [("b", "c", "a")]


def test_a_command_that_has_to_wait_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hands, ran, said = Pretend({"web": Zone(500 * MIB, 0)}), Ran(), list[str]()
    rule = Rule("web", Cap("web", 400 * MIB, command=("/bin/tell", "me")), False, "argument")
    made = capper(hands, lambda: Caps((rule,)), enforce=True, commands=ran, said=said)
    with monkeypatch.context() as full:
        full.setattr(ran, "no_place", lambda *_: "8 commands run already")
        run(made, hands, 60)
    assert ran.started == []
    assert any("could not run /bin/tell: 8 commands run already" in sentence for sentence in said)
    assert hands.count("arm")  # it goes on without
    run(made, hands, 200)
    assert len(ran.started) == 1


def test_what_was_paged_out_is_not_told_to_be_cold_any_more() -> None:
    hands = Pretend({"web": Zone(350 * MIB, 100 * MIB)})
    made = capper(hands, lambda: caps(web=400), enforce=True)
    while not hands.count("page_out"):
        made.round()
        made.wait()
    found, zone = only(made), hands.model["web"]
    assert found.pout_bytes == 100 * MIB - zone.cold > 0
    assert (found.rss_bytes, found.cold_bytes, found.working_set_bytes) == (zone.rss, zone.cold, zone.hot)
    assert found.forecast is not None
    assert (found.forecast.rss_bytes, found.forecast.painless_bytes) == (zone.rss, zone.cold)


@pytest.mark.parametrize(("threshold", "times"), [(0.0, 0), (0.4, 1)])
def test_what_each_zone_may_give_is_shared_out_once_a_round(
    threshold: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, calls = Pretend({f"z{number}": Zone(10 * MIB, 90 * MIB) for number in range(50)}), list[int]()
    made = capper(
        hands, lambda: replace(caps(**dict.fromkeys(hands.model, 50)), threshold=threshold), enforce=True
    )
    real = loop.allowances

    def counted(threshold: float, machine: Machine, excesses: dict[str, int]) -> dict[str, int | None]:
        calls.append(len(excesses))
        return real(threshold, machine, excesses)

    monkeypatch.setattr(loop, "allowances", counted)
    for _ in range(20):
        calls.clear()
        made.round()
        made.wait()
        assert calls == [50] * times
    assert hands.count("page_out") >= 50
