"""The minutes before a kill: tables for people, and a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zonerss.answers.autopsy import Account, Autopsy, Grown
from zonerss.records import ProcessUsage
from zonerss.records.kills import PROGRAMS, Kill, ToldBy
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.document import machine_fields, time_text, usage_fields
from zonerss.views.past import local_time
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

_MOST_ROWS = 8
"""Of zones in a table."""
MOST_KILLS = 5
"""That are shown to people."""
_TOLD_BY = {
    ToldBy.TRACEPOINT: "told by the kernel's tracepoint oom:mark_victim",
    ToldBy.LOG: "told by the kernel's log",
    ToldBy.COUNTER: "told by the cgroup's count of kills only: which process it was is not known",
    ToldBy.EARLYOOM: "told by earlyoom in the journal: that it ended by this signal is a guess",
    ToldBy.OOMD: "told by systemd-oomd in the journal: all processes of that cgroup, which are not named",
}
_CONSTRAINTS = {
    "CONSTRAINT_NONE": "the whole machine had no memory left",
    "CONSTRAINT_CPUSET": "the memory nodes of its cpuset had none left",
    "CONSTRAINT_MEMORY_POLICY": "the memory nodes of its policy had none left",
}
_Size = Callable[[int | None], str]


def render(found: Sequence[Autopsy], file: str, left: int, others: int, in_bytes: bool = False) -> list[str]:
    """
    Each kill with what was before it, the last one first.

    :param left: kills of the same time that are not shown
    :param others: further kills in the recording
    """
    lines: list[str] = []
    for one in found[::-1]:
        lines += [*_of_a_kill(one, sizes(in_bytes)), ""]
    if left > 0:
        lines.append(f"{counted(left, 'kill')} before these in the same time: --json has all of them.")
    if others:
        lines.append(
            f"{counted(others, 'more kill')} in {printable(file)}: --at TIME shows the last one by then."
        )
    return lines if left > 0 or others else lines[:-1]


def _of_a_kill(found: Autopsy, size: _Size) -> list[str]:
    lines = [*_head(found.kill, size)]
    if not found.looks:
        return [*lines, "Nothing was recorded of the time before it."]
    lines += [f"It was {_victim(found.victim, size)}."] if found.victim else []
    lines += ["", *_growth(found, size)]
    if found.account is not None:
        lines += ["", *_bill(found.account, found.kill, size)]
    lines += ["", *_ended(found, size)]
    if found.kill.words:
        lines += [
            "",
            "Its words:" if found.kill.told_by in PROGRAMS else "The kernel's words:",
            *(f"  {printable(word)}" for word in found.kill.words.splitlines()),
        ]
    return lines


def _head(kill: Kill, size: _Size) -> list[str]:
    some = "the processes" if kill.told_by is ToldBy.OOMD else "a process"
    who = some if kill.pid is None else f"pid {kill.pid}"
    by = str(kill.told_by) if kill.told_by in PROGRAMS else "the kernel"
    if kill.command is not None:
        who += f", {printable(kill.command)}"
    where = (
        f", of {printable(kill.zone)}"
        if kill.zone
        else f", in {printable(kill.cgroup)}"
        if kill.cgroup
        else ""
    )
    return [
        f"{local_time(kill.time)}: {by} killed {who}{where}",
        f"{_why(kill, size)}; {_TOLD_BY[kill.told_by]}.",
    ]


def _why(kill: Kill, size: _Size) -> str:
    if kill.told_by in PROGRAMS:
        return "No limit was hit: it is to keep memory free"
    if kill.limit_cgroup is not None:
        limit = f", {size(kill.limit_bytes)}," if kill.limit_bytes is not None else ""
        own = "its own cgroup" if kill.limit_cgroup == kill.cgroup else printable(kill.limit_cgroup)
        return f"The limit of {own}{limit} was hit"
    if kill.constraint in _CONSTRAINTS:
        return f"{_CONSTRAINTS[kill.constraint].capitalize()}"
    return (
        "A cgroup's limit was hit; whose was not told"
        if kill.constraint
        else "Which limit was hit was not told"
    )


def _victim(victim: ProcessUsage, size: _Size) -> str:
    return (
        f"at {size(victim.rss_bytes)} then: {size(victim.anon_bytes)} private memory, {size(victim.file_bytes)} files, "
        f"{size(victim.shmem_bytes)} shared memory; {size(victim.exclusive_bytes)} of it nobody else mapped"
    )


def _growth(found: Autopsy, size: _Size) -> list[str]:
    first, last = found.looks[0], found.looks[-1]
    rows = [
        [
            _known(one.first.rss_bytes if one.first else None, size),
            _known(one.last.rss_bytes if one.last else None, size),
            _signed(one.bytes, size),
            *(
                [
                    size(_last(one, field))
                    for field in ("exclusive_bytes", "shared_bytes", "cache_unmapped_bytes")
                ]
            ),
            printable(one.zone),
        ]
        for one in found.grown[:_MOST_ROWS]
    ]
    seconds = (last.began - first.began).total_seconds()
    looks = counted(len(found.looks), "look")
    title = f"The {seconds:.0f} s before, by {looks}, the last one {found.seconds_before or 0.0:.1f} s before the kill:"
    header = ["BEFORE", "AT LAST", "GROWTH", "EXCL", "SHARED", "CACHE", "ZONE"]
    table = render_rows(header, rows, [False] * 6 + [True])
    return [title, *table, *_more(len(found.grown), "zone"), *_processes(found, size)]


def _processes(found: Autopsy, size: _Size) -> list[str]:
    """Those that grew."""
    grew = [one for one in found.processes if one.bytes > 0][:_MOST_ROWS]
    rows = [
        [
            _known(one.first_bytes, size),
            _known(one.last_bytes, size),
            _signed(one.bytes, size),
            str(one.pid),
            printable(one.command),
            printable(one.zone),
        ]
        for one in grew
    ]
    if not rows:
        return ["", "No process grew."]
    header = ["BEFORE", "AT LAST", "GROWTH", "PID", "COMMAND", "ZONE"]
    return ["", "Processes that grew:", *render_rows(header, rows, [False] * 4 + [True, True])]


def _known(size_bytes: int | None, size: _Size) -> str:
    return "–" if size_bytes is None else size(size_bytes)


def _last(one: Grown, field: str) -> int | None:
    return None if one.last is None else getattr(one.last, field)


def _more(count: int, what: str) -> list[str]:
    return [f"and {counted(count - _MOST_ROWS, f'more {what}')}"] if count > _MOST_ROWS else []


def _signed(change: int, size: _Size) -> str:
    return f"{'+' if change > 0 else ''}{size(change)}"


def _bill(account: Account, kill: Kill, size: _Size) -> list[str]:
    rows = [
        [size(account.charged_bytes), f"charged to {printable(account.cgroup)}, of {size(kill.limit_bytes)}"],
        [size(account.victim_bytes), "private memory of the victim that nobody else maps"],
        [
            size(account.others_bytes),
            "else mapped below that limit, files and shared memory of the victim included, each page once",
        ],
        [size(account.cache_unmapped_bytes), "page cache and shared memory that no process maps"],
        [size(account.kernel_bytes), "kernel memory"],
    ]
    table = render_rows(["SIZE", "WHAT"], rows, [False, True], prose=True)
    return ["What was on the bill at the last look:", *table]


def _ended(found: Autopsy, size: _Size) -> list[str]:
    rows = [
        [
            size(one.freed_bytes),
            size(one.reclaimable_bytes),
            size(one.stays_bytes),
            size(one.kept_bytes),
            printable(zone),
        ]
        for zone, one in found.ended[:_MOST_ROWS]
    ]
    header = ["FREED", "RECLAIMABLE", "STAYS", "KEPT", "ZONE"]
    unknown = (
        []
        if found.knows_files
        else ["The look did not keep files: shared memory whose file has no name any more is under STAYS."]
    )
    return [
        "What ending one zone would have given at the last look:",
        *render_rows(header, rows, [False] * 4 + [True]),
        *_more(len(found.ended), "zone"),
        *unknown,
    ]


# ---- the document ----------------------------------------------------------------------------------------


def document(
    found: Sequence[Autopsy], file: str, host_name: str, damaged: Iterable[str] = ()
) -> dict[str, Any]:
    """
    ``zonerss.autopsy/1``.

    Kills of one time have most looks in common. All of them are with the last kills, MOST_KILLS; with each of the
    others is the one that is nearest to it.
    """
    whole = len(found) - MOST_KILLS
    return {
        "schema": "zonerss.autopsy/1",
        "file": encodable(file),
        "host_name": encodable(host_name),
        "kills": [_kill_fields(one, number >= whole) for number, one in enumerate(found)],
        "damaged": [encodable(sentence) for sentence in damaged],
    }


def _text(text: str | None) -> str | None:
    return None if text is None else encodable(text)


def _kill_fields(found: Autopsy, whole: bool) -> dict[str, Any]:
    kill, victim, account = found.kill, found.victim, found.account
    looks = found.looks if whole else found.looks[-1:]
    return {
        "time": time_text(kill.time),
        "pid": kill.pid,
        "command": _text(kill.command),
        "zone": _text(kill.zone),
        "cgroup": _text(kill.cgroup),
        "limit_cgroup": _text(kill.limit_cgroup),
        "limit_bytes": kill.limit_bytes,
        "constraint": _text(kill.constraint),
        "told_by": str(kill.told_by),
        "words": [encodable(word) for word in kill.words.splitlines()],
        "victim_rss_bytes": None if victim is None else victim.rss_bytes,
        "victim_exclusive_bytes": None if victim is None else victim.exclusive_bytes,
        "growth": [
            {
                "zone": encodable(one.zone),
                "first_bytes": one.first.rss_bytes if one.first else None,
                "last_bytes": one.last.rss_bytes if one.last else None,
            }
            for one in found.grown
        ],
        "processes": [
            {
                "pid": one.pid,
                "command": encodable(one.command),
                "zone": encodable(one.zone),
                "first_bytes": one.first_bytes,
                "last_bytes": one.last_bytes,
            }
            for one in found.processes
        ],
        "bill": None if account is None else _bill_fields(account),
        "before": [
            {
                "began": time_text(look.began),
                "machine": machine_fields(look.machine),
                "zones": [usage_fields(usage) for usage in look.zones],
            }
            for look in looks
        ],
        "before_left_out": len(found.looks) - len(looks),
        "whatif": [
            {
                "zone": encodable(zone),
                "freed_bytes": one.freed_bytes,
                "reclaimable_bytes": one.reclaimable_bytes,
                "stays_bytes": one.stays_bytes,
                "kept_bytes": one.kept_bytes,
            }
            for zone, one in found.ended
        ],
        "knows_files": found.knows_files,
    }


def _bill_fields(account: Account) -> dict[str, Any]:
    return {
        "cgroup": encodable(account.cgroup),
        "charged_bytes": account.charged_bytes,
        "victim_bytes": account.victim_bytes,
        "others_bytes": account.others_bytes,
        "cache_unmapped_bytes": account.cache_unmapped_bytes,
        "kernel_bytes": account.kernel_bytes,
    }
