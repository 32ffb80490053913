"""What is read without the kernel's tracing: records, status, cgroup."""

from __future__ import annotations

import struct

import pytest

from zonerss.motion.bound import Churn
from zonerss.motion.tracer import decode_churn, doubts


def test_a_record_of_the_program():
    raw = struct.pack("=6Q9q2I", 1, 2, 3, 4, 5, 6, -7, 10, 11, 12, 13, 20, 21, 22, 23, 0b1011, 1)
    assert decode_churn(raw) == Churn(
        came_pages=1,
        went_pages=2,
        forked_pages=3,
        copied_pages=4,
        moved_pages=5,
        raced=6,
        held_pages=-7,
        first_pages={"file": 10, "anon": 11, "shmem": 13},
        most_pages={"file": 20, "anon": 21, "shmem": 23},
        replaced=True,
    )


def test_a_first_change_that_was_not_seen_is_not_0():
    raw = struct.pack("=6Q9q2I", *[0] * 7, 10, 11, 12, 13, *[0] * 4, 0b0010, 0)
    assert decode_churn(raw).first_pages == {"anon": 11}


@pytest.mark.parametrize(
    ("came", "copied", "write_faults_count", "doubt"),
    [
        (23, 0, False, ""),
        (23, 23, True, ""),
        (32, 2, True, ""),  # 16 at once
        (23, 0, True, "no page fault"),
        (0, 23, True, "counted 0 pages where 23 came"),
        (21, 0, False, "counted 21 pages where 23 came"),
    ],
)
def test_what_does_not_count_what_it_should_is_not_trusted(came, copied, write_faults_count, doubt):
    found = Churn(came_pages=came, copied_pages=copied)
    said = doubts(found, write_faults_count)
    assert (doubt in said) if doubt else (said == "")
