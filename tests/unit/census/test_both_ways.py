"""Two ways of grouping at once, and the collectives of getvmusage."""

from __future__ import annotations

import pytest

from zonerss.errors import UsageError
from zonerss.records import Names, Task
from zonerss.zones.labels import label
from zonerss.zones.ways import COLLECTIVES, parse_by, zoner


def task(cgroup: str, uid: int) -> Task:
    return Task(1, 0, uid, uid + 1, "x", cgroup, 0, 1)


def test_each_zones_users_apart() -> None:
    zone_of = zoner(parse_by("zone/user"), Names(users={7: "ann", 8: "bob"}))
    web, db = "/system.slice/web.service", "/system.slice/db.service"
    names = [zone_of(task(path, uid)).name for path, uid in ((web, 7), (web, 8), (db, 7), (web, 7))]
    assert names == ["web.service/ann", "web.service/bob", "db.service/ann", "web.service/ann"]
    assert zone_of(task(web, 7)) == zone_of(task(web, 7)) != zone_of(task(db, 7))
    assert zone_of(task(web, 7)).cgroup is None


def test_what_has_one_name_is_two_all_the_same() -> None:
    zone_of = zoner(parse_by("depth=1/user"), Names(users={7: "ann", 8: "ann"}))
    zones = {zone_of(task("/a", uid)) for uid in (7, 8)}
    assert len(zones) == 2
    assert len({zone.name for zone in label(zones)}) == 2


def test_a_way_as_text_and_back() -> None:
    for text in (*COLLECTIVES, "depth=3/euser"):
        assert str(parse_by(text)) == text
    assert parse_by("zone/euser").needs_uids
    assert parse_by("user/slice").needs_uids
    assert not parse_by("zone/slice").needs_uids


@pytest.mark.parametrize("text", ["zone/", "/user", "a/b", "zone/user/zone", "/", "zone/depth="])
def test_what_cannot_be_combined(text: str) -> None:
    with pytest.raises(UsageError):
        parse_by(text)
