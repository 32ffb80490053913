"""Capabilities by name, and giving them up in a process of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zonerss.kernel.privileges import CAPABILITIES, capability_names, parse_status, privileges

STATUS = """Name:\tpython3
CapInh:\t0000000000000000
CapPrm:\t0000000000280004
CapEff:\t0000000000080000
CapBnd:\t000001ffffffffff
NoNewPrivs:\t1
"""


def test_names_are_those_of_the_kernels_header() -> None:
    assert capability_names(1 << 2 | 1 << 19 | 1 << 21) == {
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_PTRACE",
        "CAP_SYS_ADMIN",
    }
    assert capability_names(1 << 40 | 1 << 41) == {"CAP_CHECKPOINT_RESTORE", "CAP_41"}
    assert capability_names(0) == frozenset()


def test_a_status_tells_what_may_be_done_and_what_could_be() -> None:
    found = parse_status(STATUS)
    assert found.effective == {"CAP_SYS_PTRACE"}
    assert found.permitted == {"CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"}
    assert found.bounding == set(CAPABILITIES)
    assert found.no_new_privs
    assert parse_status("").effective == frozenset()
    assert not parse_status("").no_new_privs


GIVE_UP = """
import json, os, sys
from zonerss.kernel.privileges import close_files_but, drop_privileges, open_files, privileges
os.dup2(0, 77)
close_files_but((0, 1, 2))
files = open_files()
before = privileges()
drop_privileges(("CAP_SYS_PTRACE", "CAP_KILL"), executed=("CAP_KILL",))
after = privileges()
drop_privileges(("CAP_KILL",))
last = privileges()
drop_privileges(("CAP_SYS_ADMIN",))
none = privileges()
print(json.dumps([files, *(
    [sorted(p.effective), sorted(p.permitted), sorted(p.bounding), p.no_new_privs] for p in (before, after, last, none)
)]))
"""


def test_what_is_given_up_does_not_come_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GIVE_UP], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    files, before, after, last, none = json.loads(done.stdout)
    assert files == 3
    had = {"CAP_KILL", "CAP_SYS_PTRACE"} & set(before[1])
    assert set(after[0]) == set(after[1]) == had
    assert set(last[0]) == set(last[1]) == had & {"CAP_KILL"}
    assert (none[0], none[1], none[3]) == ([], [], True)
    if "CAP_SETPCAP" in before[0]:
        assert set(after[2]) <= {"CAP_KILL"}


def test_our_own_are_those_of_the_kernel() -> None:
    text = Path("/proc/thread-self/status").read_text()
    assert privileges() == parse_status(text)
    if os.geteuid() == 0:
        assert privileges().effective


ALLOW = """
import resource, sys
from zonerss.kernel.privileges import allow_files
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(allow_files(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "limit"),
    [(100, 4000, 1000, 1000), (100, 500, 500, 500), (2000, 4000, 1000, 2000)],
)
def test_as_many_files_as_are_wanted_and_may_be(soft: int, hard: int, allowed: int, limit: int) -> None:
    words = [sys.executable, "-c", ALLOW, str(soft), str(hard)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(allowed), str(limit)]


@pytest.mark.parametrize("name", ["CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"])
def test_each_name_is_there_once(name: str) -> None:
    assert CAPABILITIES.count(name) == 1
