"""Whether every verb's JSON is the same by this checkout and by another commit, on processes that stand still.

    sudo tests/benchmarks/same COMMIT [--only VERB ...]

Compared are the documents, names of fields and their order included, but for times and for what processes of others
have a part in. Where two differ, both commands are run again: the kernel may have moved pages, or brought memory.stat
up to date, between one and the other. Exits with 1 if the documents of a command line never were the same.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.builds import Build, CannotBuild, build_of, interruptible, this_build
from tests.benchmarks.workloads import filled, mems_running
from tests.live.cgroups import TestCgroups, stopped

TRIES = 7
SHOWN = 20
NEAR_BYTES = 512
"""Proportional figures hold a share of the vdso, whose two pages are divided by how many processes there are."""
NAMES = ("db", "evil\udcff\x1b[2J", "web")
"""Of the cgroups; one cannot be printed as it is."""


@dataclass(frozen=True)
class Ours:
    """What stands still."""

    top: str
    """The cgroup that holds the zones."""
    zones: tuple[str, ...]
    pids: tuple[int, ...]

    def has(self, zone: str | None) -> bool:
        """Whether a zone, as JSON has it, is one of ours."""
        return zone is not None and (zone == self.top or zone.startswith(f"{self.top}/"))


@contextmanager
def standing_still(cgroups: TestCgroups) -> Iterator[Ours]:
    """Three zones that share files, a System V segment and a memfd, and one that has forked, stopped."""
    with (
        tempfile.TemporaryDirectory(prefix="zonerss-same-") as directory,
        mems_running(cgroups, NAMES) as (db, evil, web),
    ):
        file, private, deleted = (
            filled(Path(directory, name), 233) for name in ("file", "private", "deleted")
        )
        for mem, pages in ((db, 233), (evil, 101), (web, 41)):
            mem.map(f"file {file} {pages} shared read")
        db.map(f"file {private} 31 private write")
        db.map(f"file {private} 23 private none")
        evil.map(f"file {deleted} 29 shared read")
        deleted.unlink()
        evil.map(f"shmat {db.map('shm 19').id} 7")
        web.map(f"file {evil.map('memfd 37').path} 13 shared write")
        forked = web.map("anon 73")
        web.write(forked, 0, 17, web.fork())
        for command in (
            "zero 11",
            "hugezero 1",
            "thp 2",
            "sharedanon 5",
            "reserve 1",
            "protnone 3",
            "mlock 2",
        ):
            db.map(command)
        paths = [cgroups.top / name for name in NAMES]
        with stopped(paths) as pids:
            yield Ours(cgroups.name_of(cgroups.top), tuple(map(cgroups.name_of, paths)), tuple(pids))


def command_lines(ours: Ours) -> list[tuple[str, ...]]:
    """Every verb, each in its several ways."""
    # auto would choose by how much memory there is just then.
    by, pid = ("--by", "cgroup", "--source", "pagemap", "--json"), str(ours.pids[0])
    db, evil, _ = ours.zones
    named = tuple(word for zone in ours.zones for word in ("--zone", zone))
    return [
        ("show", *by, *named),
        ("show", *by, *named, "--source", "pagetable"),
        ("show", *by, *named, "--alone"),
        ("show", *by, *named, "--basis", "incore"),
        ("show", *by, *named, "--sort", "file", "--limit", "2"),
        ("show", *by, *named, "--by", "cgroup/command", "-a"),
        ("show", *by, *named, "--watch", "0.1", "--count", "1"),
        ("show", "--tree", "--source", "pagemap", "--json"),
        ("ps", *by, *named),
        ("ps", *by, *named, "--source", "pagetable"),
        ("ps", *by, *named, "--sort", "exclusive", "--limit", "2"),
        ("frames", pid, "--json"),
        ("frames", pid, "--json", "--pfn"),
        ("share", *by),
        ("share", *by, "--source", "pagetable"),
        ("files", *by),
        *(("files", zone, *by) for zone in ours.zones),
        ("whatif", *by, "--without", db),
        ("whatif", *by, "--without", db, "--without", evil, "--limit", "2"),
        *(("explain", zone, *by) for zone in ours.zones),
        ("explain", db, *by, "--numbers"),
        ("explain", db, *by, "--private-shared"),
        ("explain", db, *by, "--payers"),
        ("explain", *by, "--payers"),
        ("explain", "--pid", pid, "--json"),
        ("top", "--batch", "-n", "1", *by),
        ("check", "--json"),
    ]


# ---- what is compared ----------------------------------------------------------------------------------------

LEFT_OUT = ("began", "ended", "attempts", "drift", "text", "fix", "why_not")
"""Times and what hangs on them; of check the sentences, which may change."""


def comparable(value: Any, ours: Ours) -> Any:
    """A document, or a part of one, without what says nothing about zonerss."""
    if isinstance(value, list):
        return [comparable(row, ours) for row in value if not isinstance(row, dict) or is_about(row, ours)]
    if not isinstance(value, dict):
        return value
    fields = {name: None if name in LEFT_OUT else comparable(inner, ours) for name, inner in value.items()}
    if "total" in value and not all(ours.has(usage["zone"]) for usage in value["zones"]):
        fields["total"] = list(value["total"])
    if "mapcounts" in value and value["name"].startswith("["):  # the vdso: every process maps it
        fields["mapcounts"] = None
    for name in ("proportional_bytes", "bytes" if "formula" in value else ""):
        if fields.get(name) is not None:
            fields[name] = round(fields[name] / NEAR_BYTES)
    return fields


def is_about(row: dict[str, Any], ours: Ours) -> bool:
    """Whether an entry of a list is about our zones and processes alone, or about none at all."""
    if "by" in row:
        return True  # a grouping: its zones are judged one by one
    zones = [*row.get("zones", ()), *(mapped["zone"] for mapped in row.get("mapped_by", ()))]
    zones += [row["zone"]] if "zone" in row else []
    return all(map(ours.has, zones)) and ("pid" not in row or row["pid"] in ours.pids)


def answer(build: Build, words: Sequence[str], ours: Ours) -> str:
    """What is compared of a command's answer, as text: its status, and its document, one field a line."""
    run = build.run(*words)
    if run.returncode:
        return f"exit status {run.returncode}\n{run.stderr}"
    return json.dumps(comparable(json.loads(run.stdout), ours), indent=1)


def differences(old: Build, new: Build, words: Sequence[str], ours: Ours) -> list[str]:
    """Nothing where both gave the same once; or how the last two differ, or why there is nothing to compare."""
    for _ in range(TRIES):
        before, after = answer(old, words, ours), answer(new, words, ours)
        if before == after:
            return [] if before.startswith("{") else before.splitlines()
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), old.name, new.name, lineterm="")
    )
    return [*lines[:SHOWN], *([f"and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else [])]


def compare(old: Build, new: Build, only: Sequence[str], ours: Ours) -> int:
    """Print a verdict for each command line; how many differ."""
    differing = 0
    for words in command_lines(ours):
        if only and words[0] not in only:
            continue
        found = differences(old, new, words, ours)
        differing += bool(found)
        shown = " ".join(words).encode("unicode_escape", "surrogateescape").decode()
        print(f"{'DIFFERS' if found else 'same':8}{shown.replace(f'{ours.top}/', '')}", flush=True)
        for line in found:
            print(f"        {line}", flush=True)
    return differing


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="same", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", metavar="COMMIT", help="the build to compare with, as git names it")
    parser.add_argument("--only", nargs="+", default=[], metavar="VERB", help="these verbs only")
    arguments = parser.parse_args()
    cgroups = TestCgroups()
    try:
        with interruptible():
            old, new = build_of(arguments.commit), this_build()
            print(f"old {old.name}, new {new.name}")
            try:
                cgroups.open()
                with standing_still(cgroups) as ours:
                    differing = compare(old, new, arguments.only, ours)
            finally:
                cgroups.close()
    except CannotBuild as err:
        print(f"same: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{differing} differ" if differing else "all the same")
    return min(differing, 1)


if __name__ == "__main__":
    sys.exit(main())
