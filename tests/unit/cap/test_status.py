"""What a capper says of itself: written whole, read back the same, and believed only while its writer runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.cap.forecast import forecast
from zonerss.cap.records import Cap, Classes, Look, Machine
from zonerss.cap.status import (
    Shared,
    Status,
    StatusFile,
    ZoneStatus,
    dumps,
    kept_status,
    laid_flat,
    loads,
    read_status,
)
from zonerss.errors import CannotServe
from zonerss.kernel.safely import Unfit
from zonerss.plain import fields, replace
from zonerss.records import Caveat
from zonerss.snapshot import Past

ME = os.geteuid()
CLASSES = Classes(
    shared_bytes=5,
    shared_with=(("db", 5), ("odd \udcff", 1)),
    locked_bytes=1,
    several_anon_bytes=1,
    several_file_bytes=1,
    several_shmem_bytes=1,
    own_anon_bytes=4,
    own_file_bytes=2,
    own_shmem_bytes=2,
    cold_anon_bytes=2,
    cold_file_bytes=1,
    cold_shmem_bytes=0,
    unknown_bytes=0,
    cold_seconds=3.0,
)
LOOK = Look("web", "/web", 0, 0, CLASSES, None, None, None, False)
MACHINE = Machine(0, 100, 50, 160, 50, False)
FORECAST = laid_flat(forecast(Cap("web", 10), LOOK, MACHINE), "there is no memory.reclaim")
ZONE = ZoneStatus(
    zone="web \udcff\u0661\n",
    cgroup="/web",
    rss_bytes=17,
    bound_bytes=20,
    cap_bytes=10,
    floor_bytes=0,
    excess_bytes=7,
    nover=2,
    asked_bytes=9,
    pout_bytes=8,
    refault_bytes=1,
    swap_bytes=3,
    swap_percent=1.5,
    cold_bytes=3,
    working_set_bytes=14,
    last_action="paged out",
    origin="caps.toml:3:1",
    forecast=FORECAST,
)
NOTHING_KNOWN = replace(
    ZONE,
    zone="new",
    cgroup=None,
    forecast=None,
    **{
        name: None
        for name in (
            "rss_bytes",
            "bound_bytes",
            "excess_bytes",
            "swap_bytes",
            "swap_percent",
            "cold_bytes",
            "working_set_bytes",
        )
    },
)
STATUS = Status(
    began="2026-11-28T10:00:00.000000Z",
    ended="2026-11-28T10:00:05.000000Z",
    pid=7,
    enforce=True,
    by="zone",
    cold_seconds=3.0,
    threshold=0.8,
    memory_bytes=100,
    used_bytes=50,
    swap_total_bytes=200,
    swap_free_bytes=100,
    zones=(ZONE, NOTHING_KNOWN),
    warnings=(Caveat("caps", "c.toml:1:1: wrong"),),
)


def test_a_forecast_laid_flat() -> None:
    assert (FORECAST.rss_bytes, FORECAST.excess_bytes, FORECAST.working_set_bytes) == (17, 7, 14)
    assert (FORECAST.painless_bytes, FORECAST.painless_anon_bytes, FORECAST.short_bytes) == (3, 2, 4)
    assert FORECAST.shared_with == (Shared("db", 5), Shared("odd \udcff", 1))
    own = FORECAST.own_anon_bytes + FORECAST.own_file_bytes + FORECAST.own_shmem_bytes
    assert FORECAST.shared_bytes + FORECAST.locked_bytes + FORECAST.several_bytes + own == FORECAST.rss_bytes
    assert FORECAST.at_most_bytes == 8


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    with StatusFile(directory) as file:
        assert read_status(directory, (ME,)) is None
        file.write(STATUS)
        assert read_status(directory, (ME,)) == STATUS
        file.write(replace(STATUS, zones=()))
        assert read_status(directory, (ME,)) == replace(STATUS, zones=())
        assert (tmp_path / "run/status.json").stat().st_mode & 0o777 == 0o644
    assert read_status(directory, (ME,)) is None
    assert sorted(os.listdir(directory)) == ["lock"]


def test_there_is_one_capper_at_a_time(tmp_path: Path) -> None:
    with StatusFile(str(tmp_path)), pytest.raises(CannotServe, match="another `zonerss cap` runs already"):
        StatusFile(str(tmp_path))
    StatusFile(str(tmp_path)).close()


def test_what_a_killed_one_left_is_no_status(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(dumps(STATUS))
    (tmp_path / "lock").touch(0o600)
    assert read_status(str(tmp_path), (ME,)) is None
    with StatusFile(str(tmp_path)) as file:
        assert read_status(str(tmp_path), (ME,)) is None  # the one that runs has not said anything yet
        file.write(STATUS)
        assert read_status(str(tmp_path), (ME,)) == STATUS


def test_who_may_not_ask_is_not_told_that_none_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with StatusFile(str(tmp_path)) as file:
        file.write(STATUS)
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for a plain user: root may always
        with pytest.raises(
            CannotServe, match=r"cannot tell whether a capper runs: only root may read .*/lock"
        ):
            read_status(str(tmp_path), (ME,))


def test_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Unfit, match="no directory"):
        StatusFile(str(tmp_path / "link"))
    (tmp_path / "real").chmod(0o777)
    with pytest.raises(Unfit, match="written to by others"):
        StatusFile(str(tmp_path / "real"))
    (tmp_path / "real").chmod(0o755)
    (tmp_path / "real/status.json.new").symlink_to("/etc/passwd")  # left by whomever: it is not followed
    with StatusFile(str(tmp_path / "real")) as file:
        file.write(STATUS)
        assert read_status(str(tmp_path / "real"), (ME,)) == STATUS


def test_a_strangers_file_is_not_believed(tmp_path: Path) -> None:
    with StatusFile(str(tmp_path)) as file:
        file.write(STATUS)
        (tmp_path / "status.json").chmod(0o666)
        with pytest.raises(CannotServe, match="can be written to by everybody"):
            read_status(str(tmp_path), (ME,))


def spoiled() -> list[dict[str, Any]]:
    document = json.loads(dumps(STATUS))
    wrong = [document | {"format": 2}, {**document, "zones": [7]}]
    for name in (field.name for field in fields(Status) if field.name != "warnings"):
        wrong += [{**document, name: {}}, {key: value for key, value in document.items() if key != name}]
    wrong += [
        {**document, "pid": True},
        {**document, "warnings": [{"name": "x", "text": 7}]},
        {**document, "enforce": 1},
    ]
    return wrong


@pytest.mark.parametrize("document", spoiled())
def test_what_is_no_status(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(json.dumps(document).encode())


@pytest.mark.parametrize("said", [None, "", "{", "\ufffd", json.dumps(spoiled()[0])])
def test_what_of_a_recording_cannot_be_read_is_not_known(said: str | None) -> None:
    assert kept_status(Past("f.zrec", "vm", capper=said)) is None


def test_what_of_a_recording_can() -> None:
    assert kept_status(Past("f.zrec", "vm", capper=dumps(STATUS))) == STATUS


def test_nested_too_deeply() -> None:
    with pytest.raises(ValueError, match="nested"):
        loads(b"[" * 100_000)


@given(st.binary())
def test_any_bytes_are_no_status(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(content)
