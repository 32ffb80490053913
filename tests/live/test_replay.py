"""A moment of zones that do not change, recorded and asked again: what each verb said of now it says from the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.cgroups import stopped
from tests.live.measure import Zone
from tests.live.test_files import spawn_in_new_ipc_namespace
from tests.oracle import PAGE
from tests.questions import QUESTIONS
from zonerss.answers.explain.account import FLUSH_SECONDS
from zonerss.commands import main
from zonerss.history.keeper import Keeper
from zonerss.history.moment import take_moment
from zonerss.history.recording import Recording
from zonerss.history.replay import PastSession
from zonerss.snapshot import Observer, Session

pytestmark = pytest.mark.same_in_container

OF_THE_MOMENT = (
    "began",
    "ended",
    "machine",
    "gaps",
    "warnings",
    "source",
    "uncertainty",
    "proportional_bytes",
)
"""What two looks have each for itself. Proportional: each zone that comes or goes maps a library, too."""
ABOUT_OUR_ZONES = ("show ZONE", "zone", "share ZONE", "files ZONE", "whatif", "explain")


@pytest.fixture
def zones(make_zone: Callable, tmp_path: Path) -> Iterator[tuple[Zone, ...]]:
    """Three zones, of which two map one file, and one has a System V segment of its own namespace; all stopped."""
    a, b, c = made = tuple(make_zone(name) for name in "abc")
    file = tmp_path / "file"
    file.write_bytes(os.urandom(50 * PAGE))
    for zone, pages in ((a, 300), (b, 70), (c, 30)):
        zone.spawn().map(f"anon {pages}")
    a.spawn().map(f"file {file} 50")
    b.spawn().map(f"file {file} 50")
    spawn_in_new_ipc_namespace(c).map("shm 43")
    with stopped([zone.path for zone in made]):
        time.sleep(FLUSH_SECONDS)  # charges that processors hold in stock are given back
        yield made


def of_ours(document: Any, names: set[str]) -> Any:
    """Without what is another look's, and what zones that are not ours have in common with ours."""
    if isinstance(document, dict):
        return {key: of_ours(one, names) for key, one in document.items() if key not in OF_THE_MOMENT}
    if isinstance(document, list | tuple):
        return [of_ours(one, names) for one in document if not is_of_others(one, names)]
    return document


def is_of_others(row: Any, names: set[str]) -> bool:
    if not isinstance(row, dict):
        return False
    involved = {row["zone"]} if "zone" in row else set(row.get("zones") or ())
    return not involved <= names


NOT_KEPT = ("args", "mapcounts", "mapcount_unknown_bytes")


def as_kept(document: Any) -> Any:
    """With null for what is not kept."""
    if isinstance(document, dict):
        return {key: None if key in NOT_KEPT else as_kept(one) for key, one in document.items()}
    return [as_kept(one) for one in document] if isinstance(document, list) else document


def differences(live: Any, then: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where the two differ."""
    if isinstance(live, dict) and isinstance(then, dict) and live.keys() == then.keys():
        for key in live:
            yield from differences(live[key], then[key], f"{path}.{key}")
    elif isinstance(live, list) and isinstance(then, list) and len(live) == len(then):
        for number, (one, other) in enumerate(zip(live, then, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif live != then:
        yield path, live, then


@pytest.mark.parametrize("lean", [False, True])
def test_what_a_recording_says_of_zones_that_did_not_change(
    zones: tuple[Zone, ...], lean: bool, tmp_path: Path
) -> None:
    names = {zone.name for zone in zones}

    def asked(question: str, seen: Observer) -> dict[str, Any]:
        return of_ours(QUESTIONS[question](seen, "cgroup", sorted(names)), names)

    with Session() as session:
        for question in ("show ZONE",) if lean else ABOUT_OUR_ZONES:
            for attempt in range(20):
                path = tmp_path / f"{question}-{attempt}.zrec"
                before = as_kept(asked(question, session))
                with Keeper(path) as keeper:
                    keeper.add(take_moment(session, lean))
                if before == as_kept(asked(question, session)):  # nor did others who map the same libraries
                    break
            else:
                pytest.fail("other zones came and went in each of twenty attempts")
            with Recording(path) as recording:
                then = asked(question, PastSession(recording))
            assert list(differences(before, then)) == [], question


def test_from_the_command_line(zones: tuple[Zone, ...], tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "f.zrec"
    with Session() as session, Keeper(path) as keeper:
        for _ in range(3):
            keeper.add(take_moment(session))
    name = zones[0].name
    assert main(["whatif", name, "--by", "cgroup", "--from", str(path), "--json"]) == 0
    freed = json.loads(capsys.readouterr().out)["freed_bytes"]
    assert freed >= 300 * PAGE
    # Another user who may read the file needs no privilege.
    path.chmod(0o644)
    for above in path.parents[:3]:
        above.chmod(0o755)
    command = [sys.executable, "-m", "zonerss", "show", name, "--by", "cgroup", "--from", str(path)]
    nobody = subprocess.run(command, capture_output=True, text=True, user=65534, group=65534, extra_groups=[])
    assert nobody.returncode == 0, nobody.stderr
    assert "As of" in nobody.stdout
    assert main(["show", "--from", str(path), "--at", "2001-01-01"]) == 1
    assert "has nothing of 2001" in capsys.readouterr().err
