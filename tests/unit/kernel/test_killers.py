"""What earlyoom and systemd-oomd say in the journal: which words tell of an end, and which are a stranger's."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.kernel.killers import JournalKills, ProgramKill, cursor_of, parse_entry

AT = 1_764_329_269_000_000
EARLY_1_7 = 'sending SIGTERM to process 411 uid 1000 "chrome": badness 871, VmRSS 2048 MiB'
EARLY_1_8 = (
    'sending SIGTERM to process 411 uid 1000 "chrome": oom_score 871, VmRSS 2048 MiB, cmdline "chrome --x"'
)
OOMD = (
    "Killed /user.slice/app.scope due to memory pressure for /user.slice being 61.20% > 50.00% for > 20s with reclaim "
    "activity"
)
OOMD_SWAP = (
    "Killed /system.slice/shop.service due to memory used (98) / total (100) and swap used (91) / total (100) being "
    "more than 90.00%"
)


def entry(message: object, **more: Any) -> bytes:
    return json.dumps({"__REALTIME_TIMESTAMP": str(AT), "MESSAGE": message} | more).encode()


@pytest.mark.parametrize("words", [EARLY_1_7, EARLY_1_8, f"{EARLY_1_7}\n"])
def test_earlyoom_names_a_process(words: str) -> None:
    assert parse_entry(entry(words)) == ProgramKill(AT, "earlyoom", 411, "chrome", None, words)


@pytest.mark.parametrize(
    ("words", "cgroup"),
    [
        (OOMD, "/user.slice/app.scope"),
        (OOMD_SWAP, "/system.slice/shop.service"),
        (OOMD.replace("Killed", "Marked").replace(" due", " for killing due"), "/user.slice/app.scope"),
    ],
)
def test_systemd_oomd_names_a_cgroup(words: str, cgroup: str) -> None:
    assert parse_entry(entry(words)) == ProgramKill(AT, "systemd-oomd", None, None, cgroup, words)


def test_a_name_may_be_anything() -> None:
    name = 'a": badness 1\n'
    words = f'sending SIGKILL to process 7 uid 0 "{name}": badness 9, VmRSS 1 MiB'
    found = parse_entry(entry(words))
    assert found
    assert (found.pid, found.command) == (7, name)
    found = parse_entry(entry([*b'sending SIGTERM to process 7 uid 0 "\xff": badness 9, VmRSS 1 MiB']))
    assert found
    assert found.command == "\udcff"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'"x"',
        b"{" * 100_000,
        b"[" * 100_000,
        entry(None),
        entry([256]),
        entry("mem avail: 5.00%, swap free: 0.00%"),
        entry(EARLY_1_7, __REALTIME_TIMESTAMP="1e400"),
        entry(EARLY_1_7, __REALTIME_TIMESTAMP=str(1 << 60)),
        entry(1 << 45),  # as many bytes would be nulls
        entry(EARLY_1_7.replace("411", "4" * 40)),
        entry(f"somebody says: {EARLY_1_7}"),
        entry("Killed me due to memory pressure for /x being"),
    ],
    ids=range(14),
)
def test_what_tells_of_no_end(line: bytes) -> None:
    assert parse_entry(line) is None


@given(st.binary(max_size=200), st.text(max_size=200))
def test_nothing_is_an_error(line: bytes, words: str) -> None:
    parse_entry(line)
    parse_entry(entry(words))


def journal(root: Path, *lines: bytes) -> tuple[str, ...]:
    """A program that says these lines, and then nothing more; the journal and earlyoom's unit are there."""
    (root / "run/systemd/journal").mkdir(parents=True)
    (root / "lib/systemd/system").mkdir(parents=True)
    (root / "lib/systemd/system/earlyoom.service").touch()
    said, program = root / "said", root / "journalctl"
    said.write_bytes(b"".join(line + b"\n" for line in lines))
    program.write_text(f"#!/bin/sh\ncat {said}\nexec sleep 1000\n")
    program.chmod(stat.S_IRWXU)
    return (str(program),)


def all_of(kills: JournalKills, count: int) -> list[ProgramKill]:
    found: list[ProgramKill] = []
    while len(found) < count:
        found += kills.read()
        time.sleep(0.01)
    return found


def test_a_process_that_is_asked_and_then_ended_is_one(tmp_path: Path) -> None:
    asked = entry(EARLY_1_7)
    killed = entry(EARLY_1_7.replace("SIGTERM", "SIGKILL"))
    other = entry(EARLY_1_7.replace("411", "412").replace("SIGTERM", "SIGKILL"))
    kills = JournalKills(str(tmp_path), journal(tmp_path, asked, b"\xff", killed, other, entry(OOMD)))
    try:
        found = all_of(kills, 3)
        assert [(kill.program, kill.pid) for kill in found] == [
            ("earlyoom", 411),
            ("earlyoom", 412),
            ("systemd-oomd", None),
        ]
        assert kills.read() == []
    finally:
        kills.close()


def test_a_line_without_an_end_is_not_kept(tmp_path: Path) -> None:
    command = journal(tmp_path, b"x" * (1 << 20), entry(OOMD))
    kills = JournalKills(str(tmp_path), command)
    try:
        assert [kill.program for kill in all_of(kills, 1)] == ["systemd-oomd"]
        assert len(kills._rest) < 1 << 18
    finally:
        kills.close()


def test_where_there_is_nobody_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neither earlyoom nor systemd-oomd is installed"):
        JournalKills(str(tmp_path))
    (tmp_path / "lib/systemd/system").mkdir(parents=True)
    (tmp_path / "lib/systemd/system/systemd-oomd.service").touch()
    with pytest.raises(FileNotFoundError, match="no journal"):
        JournalKills(str(tmp_path))
    (tmp_path / "run/systemd/journal").mkdir(parents=True)
    with pytest.raises(OSError, match="nowhere"):
        JournalKills(str(tmp_path), ("/nowhere/journalctl",))


def test_it_ends_with_us(tmp_path: Path) -> None:
    kills = JournalKills(str(tmp_path), journal(tmp_path))
    child = kills._child
    assert child is not None
    kills.close()
    assert child.returncode is not None


def test_a_journalctl_that_ends_is_no_silence(tmp_path: Path) -> None:
    """It is said once, and it is started again, later each time, from behind what was read."""
    now, waits = [0.0], []
    command = journal(tmp_path, entry(OOMD, __CURSOR="s=1f;i=2"))
    program, asked = Path(command[0]), tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$1" >>{asked}\n[ -e {tmp_path}/no ] || cat {tmp_path}/said\n')
    kills = JournalKills(str(tmp_path), command, lambda: now[0])
    try:
        assert len(all_of(kills, 1)) == 1
        assert kills.trouble() is None
        (tmp_path / "no").touch()
        said = []
        for _ in range(12):
            while kills._child is not None:  # until its end is seen
                assert kills.read() == []
            said.append(kills.trouble())
            waits.append(kills._due - now[0])
            now[0] = kills._due - 0.1
            assert kills.read() == []
            assert kills._child is None
            now[0] = kills._due
            kills.read()
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        assert said[0] is not None
        assert said[1:] == [None] * 11
        (tmp_path / "no").unlink()
        while kills._child is not None:
            kills.read()
        now[0] = kills._due
        assert len(all_of(kills, 1)) == 1
        assert kills._wait == 1
    finally:
        kills.close()
    first, *others = asked.read_text().splitlines()
    assert first.startswith("--since=@")
    assert set(others) == {"--after-cursor=s=1f;i=2"}


def test_a_journalctl_that_cannot_be_started_again_is_tried_later(tmp_path: Path) -> None:
    command, now = journal(tmp_path), [0.0]
    Path(command[0]).write_text("#!/bin/sh\n")
    kills = JournalKills(str(tmp_path), command, lambda: now[0])
    while kills._child is not None:
        kills.read()
    Path(command[0]).unlink()
    now[0] = 1.0
    assert kills.read() == []
    assert kills._due == 3.0
    journal_again = f"#!/bin/sh\ncat {tmp_path}/said\n"
    (tmp_path / "said").write_bytes(entry(OOMD) + b"\n")
    Path(command[0]).write_text(journal_again)
    Path(command[0]).chmod(stat.S_IRWXU)
    now[0] = 3.0
    assert len(all_of(kills, 1)) == 1
    kills.close()


@pytest.mark.parametrize("cursor", ["", "--file=/etc/shadow", "s=1\n", 5, None, "x" * 300])
def test_a_strangers_cursor_is_none(cursor: object) -> None:
    assert cursor_of(entry(OOMD, __CURSOR=cursor)) is None
    assert cursor_of(entry(OOMD, __CURSOR="s=0a;i=1;b=ff;m=1;t=2;x=3")) == "s=0a;i=1;b=ff;m=1;t=2;x=3"
