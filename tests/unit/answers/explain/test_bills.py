"""Bills less others, and whose bill a cgroup is on."""

from __future__ import annotations

from zonerss.answers.explain.bills import less, pays
from zonerss.records.bills import Bill


def test_a_zone_below_takes_its_bill_off():
    outer = Bill(1, 100, {"rss": 70, "cache": 20}, {"rss": 1}, 10, 8, None)
    inner = Bill(1, 30, {"rss": 25, "cache": 1}, {"rss": 2}, 4, None, None)
    assert less(outer, [inner]) == Bill(1, 70, {"rss": 45, "cache": 19}, {"rss": 1}, 6, 8, None)
    assert less(Bill(2, None, {}, None, None, None, None), [inner]).charged_bytes is None


def test_whose_bill_a_cgroup_is_on():
    assert pays("/a", "/a", ())
    assert pays("/a/b/c", "/a", ("/a/x",))
    assert not pays("/a/b/c", "/a", ("/a/b",))
    assert not pays("/ab", "/a", ())
    assert pays("/a", "/", ("/b",))
