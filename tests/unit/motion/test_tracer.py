"""What is read without the kernel's tracing: records, status, cgroup."""

from __future__ import annotations

import struct

from zonerss.motion.bound import Churn
from zonerss.motion.tracer import decode_churn, parse_hierarchy_id, parse_rss
from zonerss.units import PAGE_BYTES


def test_a_record_of_the_program():
    raw = struct.pack("=6Q5q2I", 1, 2, 3, 4, 5, 6, -7, 10, 11, 12, 13, 0b1011, 1)
    assert decode_churn(raw) == Churn(
        came_pages=1,
        went_pages=2,
        forked_pages=3,
        copied_pages=4,
        moved_pages=5,
        raced=6,
        held_pages=-7,
        first_pages={"file": 10, "anon": 11, "shmem": 13},
        replaced=True,
    )


def test_a_first_change_that_was_not_seen_is_not_0():
    raw = struct.pack("=6Q5q2I", *[0] * 7, 10, 11, 12, 13, 0b0010, 0)
    assert decode_churn(raw).first_pages == {"anon": 11}


def test_rss_of_a_status():
    text = b"Name:\tRssAnon:\t1 kB\nVmRSS:\t    100 kB\nRssAnon:\t     80 kB\nRssFile:\t   16 kB\nRssShmem:\t 4 kB\n"
    kib = PAGE_BYTES // 1024
    assert parse_rss(text) == {"anon": 80 // kib, "file": 16 // kib, "shmem": 4 // kib}
    assert parse_rss(b"Name:\tkthreadd\nUmask:\t0000\n") == {}
    assert parse_rss(b"") == {}


def test_the_number_of_a_hierarchy():
    text = b"12:pids:/a\n4:memory,hugetlb:/b:memory:c\n1:name=systemd:/\n0::/a\n"
    assert parse_hierarchy_id(text, "memory") == 4
    assert parse_hierarchy_id(text, "name=systemd") == 1
    assert parse_hierarchy_id(text, "cpu") is None
