"""The last snapshot close up: its portions add up, its chains close, its pairs are those of share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser.recordings import ZONES, day, night

from zonerss.answers import closeup as module
from zonerss.answers.closeup import Closeup, closeup
from zonerss.answers.explain import account as account_module
from zonerss.answers.explain.account import Ledger, explain_zone
from zonerss.answers.share import zone_pairs
from zonerss.history import replay
from zonerss.history.recording import Recording
from zonerss.history.replay import PastSession


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> PastSession:
    path = tmp_path_factory.mktemp("closeup") / "a.zrec"
    night(path, ZONES, 3)
    with Recording(path) as recording:
        return PastSession(recording)


@pytest.fixture(scope="module")
def found(session: PastSession) -> Closeup:
    return closeup(session.take("zone", processes=True, controls=True), [made.name for made in ZONES])


def test_portions_add_up_to_the_rss_of_all(found: Closeup) -> None:
    total = sum(portion.bytes for portion in found.portions)
    assert abs(total - found.snapshot.total.rss_bytes) <= 2 * len(found.portions)
    of_zone = {portion.zone: portion.bytes for portion in found.portions}
    for usage in found.snapshot.zones:
        assert usage.proportional_bytes is not None
        assert abs(of_zone[usage.zone] - usage.proportional_bytes) <= 2
    assert [portion.bytes for portion in found.portions] == sorted(of_zone.values(), reverse=True)


def test_chains_are_those_of_explain(found: Closeup, session: PastSession) -> None:
    assert set(found.accounts) == {made.name for made in ZONES} - {"nightly-batch"}  # it has ended
    for name, account in found.accounts.items():
        assert account.chain == explain_zone(session, name).chain
        assert account.chain.holds


def test_numbers_are_of_the_zones_own_processes(found: Closeup) -> None:
    processes = [process for process in found.snapshot.processes or () if process.zone == "api"]
    of = {number.name: number.bytes for number in found.numbers["api"]}
    assert of["USS"] == sum(process.exclusive_bytes for process in processes)
    assert of["smem, ps_mem"] == sum(process.proportional_bytes for process in processes)
    assert of["zonerss"] == found.accounts["api"].usage.rss_bytes


def test_pairs_are_those_of_share(found: Closeup) -> None:
    all_pairs = zone_pairs(found.snapshot)
    assert found.pairs == all_pairs[: module.MOST_PAIRS]
    assert found.pair_count == len(all_pairs)
    assert set(found.heat) == set(all_pairs)  # fewer zones than are set against each other
    assert found.heat_zones[0] == "api"


def test_only_those_that_share_most_are_set_against_each_other(
    session: PastSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEAT_ZONES", 3)
    some = closeup(session.take("zone", processes=True), ["web"])
    assert len(some.heat_zones) == 3
    assert {zone for pair in some.heat for zone in pair.zones} == set(some.heat_zones)
    assert set(some.accounts) == {"web"}


def test_a_ledger_tells_of_each_zone_what_explain_tells_of_it(session: PastSession) -> None:
    """Payers and nested zones are looked up once: as if each zone were looked up alone."""
    snapshot = session.take("zone", processes=True, controls=True)
    paid = snapshot.ask().payers()
    ledger = Ledger(snapshot, paid)
    for usage in snapshot.zones:
        assert ledger.account(usage) == Ledger(snapshot, paid).account(usage)


def test_the_cost_of_a_closeup_grows_with_its_zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: how often a row of payers is looked at, and a path taken apart."""
    looks = Counter[str]()
    for module_, name in ((account_module, "path_of"), (account_module, "ancestors"), (replay, "ancestors")):
        monkeypatch.setattr(module_, name, _counted(getattr(module_, name), looks))
    costs = []
    for zones in (20, 200):
        path = tmp_path / f"{zones}.zrec"
        day(path, zones, 1)
        with Recording(path) as recording:
            snapshot = PastSession(recording).take("zone", processes=True, controls=True)
            looks.clear()
            closeup(snapshot, [usage.zone for usage in snapshot.zones])
        costs.append(looks.total())
    assert costs[1] <= 11 * costs[0]


def _counted(function: Callable[..., object], looks: Counter[str]) -> Callable[..., object]:
    def wrapper(*args: object) -> object:
        looks[function.__name__] += 1
        return function(*args)

    return wrapper
