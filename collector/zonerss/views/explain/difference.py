"""What changed in a zone between two looks: its chain as differences, one sentence, and a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from zonerss.answers.explain.chain import Chain, Step
from zonerss.answers.explain.difference import Changed, Mover, Share
from zonerss.snapshot import Snapshot
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header, time_text
from zonerss.views.explain.chain import came_and_left, say, step_fields
from zonerss.views.footer import remarks
from zonerss.views.past import local_time
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

_MOST_ROWS = 5
"""Of processes, and of files, that are named below the chain."""
_LEAST_BYTES = 256 << 10
"""A change is one where the kernel rounds nothing."""
_WHAT = {
    "anon": "private memory",
    "file": "mapped files",
    "shmem": "mapped shared memory",
    "cache": "page cache",
    "shmem_not_mapped": "shared memory that no process maps (tmpfs, memfd)",
    "sockets": "socket buffers",
}
_STAYS = {
    "anon": "it stays until it is freed or swapped out",
    "file": "it goes when memory is needed",
    "shmem": "it stays until nobody maps it and it is deleted, or it is swapped out",
    "cache": "it goes when memory is needed",
    "shmem_not_mapped": "it stays until it is deleted, or it is swapped out",
}
"""What becomes of more of it."""


# ---- the sentence ----------------------------------------------------------------------------------------


def sentence(changed: Changed, in_bytes: bool = False) -> str:
    """What changed, in one sentence, safe to print."""
    found, size = changed.difference, sizes(in_bytes)
    mapped, billed = found.rss_bytes, found.charged_bytes
    noise = found.residual_bound_bytes or _LEAST_BYTES
    figures = f"{_signed(mapped, size)} mapped"
    if billed is not None:
        figures = f"{_signed(billed, size)} billed, {figures}"
    total = mapped if billed is None else billed
    if abs(total) <= noise and abs(mapped) <= noise:
        return f"{figures}: nothing has changed by more than the kernel's own rounding, {size(noise)}."
    if abs(total) <= noise:
        return f"{figures}: what is mapped now was on the bill before, or is charged to others."
    reasons = changed.reasons(total)
    if not reasons:
        return f"{figures}."
    tells = len(reasons) > 1
    words = [_reason(share, changed, size, tells) for share in reasons]
    less = "less " if total < 0 else ""
    end = f"; {_STAYS[reasons[0].name]}" if total > 0 and not tells and reasons[0].name in _STAYS else ""
    return f"{figures}: {less}{f' and {less}'.join(words)}{end}."


def _signed(change: int, size: Callable[[int | None], str]) -> str:
    return f"{'+' if change > 0 else ''}{size(change)}" if change else "0"


def _reason(share: Share, changed: Changed, size: Callable[[int | None], str], tells_size: bool) -> str:
    words = _WHAT.get(share.name) or say(Step(share.name, share.bytes))
    mover = share.mover
    if share.name == "cache" and mover is None:
        words = f"page cache that no process maps{_why_unknown(changed)}"
    if tells_size:
        words += f" {_signed(share.bytes, size)}"
    if mover is None:
        return words
    if mover.kind is None and share.name == "anon":
        return f"{words} of pid {mover.pid}, {printable(mover.name)} ({_signed(mover.bytes, size)})"
    held = (
        f"open by pid {mover.pid}{f', {printable(mover.command)}' if mover.command else ''}"
        if mover.pid
        else ""
    )
    own = _signed(mover.bytes, size) if abs(mover.bytes - share.bytes) > abs(share.bytes) // 10 else ""
    told = ", ".join(word for word in (own, held) if word)
    return f"{words} of {printable(mover.name)}{f' ({told})' if told else ''}"


def _why_unknown(changed: Changed) -> str:
    looks = changed.before.opened, changed.after.opened
    if changed.opened is None or any(found is None or found.least_bytes != 0 for found in looks):
        return " (the recording does not tell of which file)"
    return ", of no file that its processes hold open"


# ---- lines -----------------------------------------------------------------------------------------------


def render(changed: Changed, in_bytes: bool = False) -> list[str]:
    """The chain as changes, one line a step; the sentence; who and what changed most; remarks."""
    found, size = changed.difference, sizes(in_bytes)
    was, now = found.before, found.after
    rows = [
        _row(found.process_rss_bytes, was.process_rss_bytes, now.process_rss_bytes, _counted(was, now), size)
    ]
    for step in found.steps:
        if step.bytes or step.name == "counted_again":
            rows.append(_row(step.bytes, *_both(step, was, now), say(step), size))
        if step.name == "counted_again":
            rows.append(
                _row(
                    found.rss_bytes,
                    was.rss_bytes,
                    now.rss_bytes,
                    "RSS of the zone: every frame once",
                    size,
                    "=",
                )
            )
    if found.residual_bytes is not None:
        rows.append(
            _row(found.residual_bytes, was.residual_bytes, now.residual_bytes, _residual(changed, size), size)
        )
    if found.charged_bytes is not None:
        what = f"charged to {printable(now.cgroup or '')}"
        rows.append(_row(found.charged_bytes, was.charged_bytes, now.charged_bytes, what, size, "="))
    unit = "BYTES" if in_bytes else "SIZE"
    table = render_rows(
        ["", f"CHANGE {unit}" if in_bytes else "CHANGE", "BEFORE", "AFTER", "WHAT"],
        rows,
        [True, False, False, False, True],
        prose=True,
    )
    return [
        f"zone {printable(now.zone)}: {_span(changed)}",
        "",
        *table,
        "",
        sentence(changed, in_bytes),
        *_movers("processes", changed.processes, size),
        *_movers("open files, page cache of each", changed.opened or (), size),
        *_remarks(changed),
    ]


_Size = Callable[[int | None], str]


def _row(
    change: int, before: int | None, after: int | None, what: str, size: _Size, sign: str = ""
) -> list[str]:
    return [
        sign or ("+" if change >= 0 else "-"),
        size(abs(change)) if not sign else size(change),
        size(before),
        size(after),
        what,
    ]


def _counted(was: Chain, now: Chain) -> str:
    count = counted(now.processes, "process", "processes")
    return (
        f"sum of process RSS ({count}{f', {was.processes} before' if was.processes != now.processes else ''})"
    )


def _both(step: Step, was: Chain, now: Chain) -> tuple[int, int]:
    key = step.name, step.cgroup, step.zones
    before, after = (
        sum(one.bytes for one in chain.steps if (one.name, one.cgroup, one.zones) == key)
        for chain in (was, now)
    )
    return before, after


def _residual(changed: Changed, size: _Size) -> str:
    bound = size(changed.difference.residual_bound_bytes)
    if changed.difference.holds:
        return f"not explained (within the kernel's own rounding, {bound})"
    return f"NOT EXPLAINED (more than the kernel's own rounding, {bound})"


def _span(changed: Changed) -> str:
    before, after = changed.before.account.snapshot, changed.after.account.snapshot
    return f"{local_time(before.began)} to {local_time(after.began)}, {_spelled(changed.seconds)}"


def _spelled(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    text = str(timedelta(seconds=round(seconds)))
    return f"{text} h" if seconds < 86_400 else text


def _movers(title: str, movers: Sequence[Mover], size: _Size) -> Iterable[str]:
    if not movers:
        return
    yield ""
    more = f", the {_MOST_ROWS} that changed most of {len(movers)}" if len(movers) > _MOST_ROWS else ""
    yield f"{title}{more}:"
    rows = [
        [_signed(one.bytes, size), _known(one.before_bytes, size), _known(one.after_bytes, size), _who(one)]
        for one in movers[:_MOST_ROWS]
    ]
    yield from render_rows(
        ["CHANGE", "BEFORE", "AFTER", "WHAT"], rows, [False, False, False, True], prose=True
    )


def _known(size_bytes: int | None, size: _Size) -> str:
    return "–" if size_bytes is None else size(size_bytes)


def _who(mover: Mover) -> str:
    if mover.command == mover.name:
        return f"pid {mover.pid} {printable(mover.name)}"
    who = f" (pid {mover.pid}{f' {printable(mover.command)}' if mover.command else ''})" if mover.pid else ""
    return f"{printable(mover.name)}{who}"


def _remarks(changed: Changed) -> list[str]:
    lines = []
    if changed.difference.charged_bytes is None:
        lines.append(
            "One of the looks has no charge of the zone, or not who pays for its frames: steps are missing."
        )
    for when, look in (("first", changed.before), ("second", changed.after)):
        drift = look.account.drift
        if drift is not None and drift.processes_changed:
            lines.append(f"Changed during the {when} look: {came_and_left(drift)}.")
        lines += [
            f"Not seen by the {when} look: {printable(one)}." for one in _unseen(look.opened)[:_MOST_ROWS]
        ]
    found = remarks(changed.after.account.snapshot)
    before = [
        f"Of the first look: {line}" for line in remarks(changed.before.account.snapshot) if line not in found
    ]
    return ["", *lines, *before, *found] if lines or before or found else []


def _unseen(opened: Any) -> tuple[str, ...]:
    return () if opened is None else tuple(opened.unseen)


# ---- the document ----------------------------------------------------------------------------------------


def document(changed: Changed) -> dict[str, Any]:
    """``zonerss.difference/1``: process_rss_bytes + all steps + residual_bytes = charged_bytes, all of them changes."""
    found = changed.difference
    now, was = changed.after.account, changed.before.account
    return header("zonerss.difference/1", now.snapshot) | {
        "zone": encodable(found.after.zone),
        "cgroup": None if found.after.cgroup is None else encodable(found.after.cgroup),
        "seconds": changed.seconds,
        "before": _look_fields(found.before, was.snapshot),
        "after": _look_fields(found.after, now.snapshot),
        "process_rss_bytes": found.process_rss_bytes,
        "rss_bytes": found.rss_bytes,
        "charged_bytes": found.charged_bytes,
        "steps": [step_fields(step) for step in found.steps],
        "residual_bytes": found.residual_bytes,
        "residual_bound_bytes": found.residual_bound_bytes,
        "holds": found.holds,
        "sentence": sentence(changed),
        "reasons": [_share_fields(share) for share in changed.shares],
        "processes": [_process_fields(mover) for mover in changed.processes],
        "open_files": None if changed.opened is None else [_file_fields(mover) for mover in changed.opened],
        "unseen": [
            encodable(one) for look in (changed.before, changed.after) for one in _unseen(look.opened)
        ],
        "gaps": gap_list((*was.snapshot.gaps, *now.snapshot.gaps)),
    }


def _look_fields(chain: Chain, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "began": time_text(snapshot.began),
        "processes": chain.processes,
        "process_rss_bytes": chain.process_rss_bytes,
        "rss_bytes": chain.rss_bytes,
        "charged_bytes": chain.charged_bytes,
        "residual_bytes": chain.residual_bytes,
    }


def _share_fields(share: Share) -> dict[str, Any]:
    mover = share.mover
    is_process = mover is not None and mover.kind is None and share.name == "anon"
    return {
        "what": share.name,
        "bytes": share.bytes,
        "pid": None if mover is None else mover.pid,
        "command": None if mover is None or mover.command is None else encodable(mover.command),
        "file": None if mover is None or is_process else encodable(mover.name),
        "mover_bytes": None if mover is None else mover.bytes,
    }


def _process_fields(mover: Mover) -> dict[str, Any]:
    return {
        "pid": mover.pid,
        "command": encodable(mover.name),
        "before_bytes": mover.before_bytes,
        "after_bytes": mover.after_bytes,
    }


def _file_fields(mover: Mover) -> dict[str, Any]:
    return {
        "name": encodable(mover.name),
        "pid": mover.pid,
        "command": None if mover.command is None else encodable(mover.command),
        "before_bytes": mover.before_bytes,
        "after_bytes": mover.after_bytes,
    }
