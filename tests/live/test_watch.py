"""--watch of each verb that has it: a document a line, and zones and processes that leave meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.measure import Zone

pytestmark = pytest.mark.same_in_container

PROJECT = Path(__file__).parents[2]
ROUNDS = 50  # within which what was done must show
OF_A_ZONE = {
    "show": ("--zone",),
    "ps": ("--zone",),
    "files": (),
    "zone": (),
    "whatif": ("--without",),
    "explain": (),
    "explain --payers": (),
    "explain --numbers": (),
}


@pytest.fixture
def watch() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """watch("show", "--json") is a zonerss that shows it again and again."""
    running: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "zonerss", *words, "--watch", "0.1"]
        running.append(
            subprocess.Popen(
                command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
            )
        )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def next_document(watching: subprocess.Popen[str]) -> dict:
    line = watching.stdout.readline()
    assert line, watching.stderr.read()
    return json.loads(line)


@pytest.mark.parametrize("verb", OF_A_ZONE)
def test_a_zone_that_leaves_is_told_of_and_seen_again_when_it_is_back(verb: str, make_zone, watch):
    zone: Zone = make_zone("a")
    mem = zone.spawn()
    watching = watch(*verb.split(), *OF_A_ZONE[verb], zone.name, "--by", "cgroup", "--json")
    before = next_document(watching)
    mem.end()
    # The round that saw it leave may say that of it; a traceback would be no such sentence.
    sentences = [watching.stderr.readline() for _ in range(2)]
    assert all(sentence.startswith("zonerss: ") for sentence in sentences)
    assert "no process of this host is in a zone" in sentences[1]
    zone.spawn()
    documents = [next_document(watching) for _ in range(5)]
    assert {document["schema"] for document in documents} == {before["schema"]}
    began = [document["began"] for document in (before, *documents)]
    assert sorted(set(began)) == began
    assert watching.poll() is None


def test_a_zone_that_leaves_does_not_take_another_one_with_it(make_zone, watch):
    a, b = make_zone("a"), make_zone("b")
    mem, _ = a.spawn(), b.spawn()
    watching = watch("show", "--zone", a.name, "--zone", b.name, "--by", "cgroup", "--json")
    assert {zone["zone"] for zone in next_document(watching)["zones"]} == {a.name, b.name}
    mem.end()
    assert any({zone["zone"] for zone in next_document(watching)["zones"]} == {b.name} for _ in range(ROUNDS))


def test_share_again_and_again(make_zone, watch):
    a, b = make_zone("a"), make_zone("b")
    memory = a.spawn().map("memfd 41")
    watching = watch("share", "--by", "cgroup", "--json")
    assert not is_shared_by(next_document(watching), a, b, 41)
    b.spawn().map(f"file {memory.path} 41 shared read")
    assert any(is_shared_by(next_document(watching), a, b, 41) for _ in range(ROUNDS))


def is_shared_by(document: dict, a: Zone, b: Zone, pages: int) -> bool:
    return any(
        part["shmem_bytes"] == pages * document["page_size"]
        for part in document["parts"]
        if set(part["zones"]) == {a.name, b.name}
    )


def test_a_process_that_ends_ends_the_watch_in_one_sentence(zone, mem, watch):
    watching = watch("explain", "--pid", str(mem.pid), "--json")
    assert next_document(watching)["pid"] == mem.pid
    mem.end()
    _, err = watching.communicate()
    assert watching.returncode == 1
    assert len(err.splitlines()) == 1
    assert str(mem.pid) in err


def test_the_first_round_does_not_wait_for_what_the_others_need(watch):
    watching = watch("show", "--json")
    told = [next_document(watching)["uncertainty"] for _ in range(3)]
    assert told[0] is None
    assert told[1] == told[2]
    assert told[1] in ("traced", "net")


def test_who_asks_for_the_uncertainty_has_it_at_once(watch):
    assert next_document(watch("show", "--json", "--uncertainty"))["uncertainty"] in ("traced", "net")
