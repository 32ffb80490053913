"""A zone at two moments: the chain of the later one less that of the earlier one, and what is behind it. Pure.

    change of the sum of process RSS + changes of all steps + change of the residual = change of the charge

The same change is also split by what the bill is for, which the chain has in two places (mapped by the zone, mapped by
others only): private memory, files and shared memory that are mapped, page cache and shared memory that are not, kernel
memory. Of each share the process or the file that changed most the same way is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zonerss.answers.explain.chain import Chain, Step
from zonerss.answers.explain.records import Account, ZoneLook
from zonerss.plain import dataclass
from zonerss.records import ProcessUsage
from zonerss.records.files import FileKind, MappedFile

_OWN = ("counted_again", "billed_to_others", "billed_to_nobody", "mapped_by_others")
"""Steps that lead from what the zone maps to what of it is on its bill."""
_SPLIT = "cache_not_mapped"
_MOST_NAMED = 0.1
"""A share is one of the reasons if it is so much of all that changed the same way."""
_ALONE = 0.8
"""The largest share is the only reason if it is so much of it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two chains of a zone. process_rss_bytes + all steps + residual_bytes = charged_bytes, all of them changes."""

    before: Chain
    after: Chain
    process_rss_bytes: int
    rss_bytes: int
    steps: tuple[Step, ...]
    charged_bytes: int | None
    """None where either of them does not lead to a charge; the steps are then those that both have."""
    residual_bytes: int | None
    residual_bound_bytes: int | None
    """Of both together."""

    @property
    def holds(self) -> bool | None:
        """Whether the residual is within its bound; None where there is none."""
        if self.residual_bytes is None or self.residual_bound_bytes is None:
            return None
        return abs(self.residual_bytes) <= self.residual_bound_bytes


@dataclass(frozen=True, slots=True)
class Mover:
    """A process or a file that changed."""

    name: str
    """The command, or the name of the file."""
    pid: int | None
    """The process; or one that holds the file open. None: no process is known to."""
    before_bytes: int | None
    """None: it was not there, or was not held open."""
    after_bytes: int | None
    command: str | None = None
    """Of the pid."""
    kind: FileKind | None = None
    """None: a process, or a file that is held open."""

    @property
    def bytes(self) -> int:
        """By how much; of a file that was opened or closed meanwhile that is at most so much."""
        return (self.after_bytes or 0) - (self.before_bytes or 0)


@dataclass(frozen=True, slots=True)
class Share:
    """What the change is of: one of its parts, which add up to it."""

    name: str
    """anon, file, shmem: mapped. cache, shmem_not_mapped: not mapped. Otherwise as the step of the chain."""
    bytes: int
    mover: Mover | None = None
    """Who or what of it changed most."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A zone at two moments."""

    before: ZoneLook
    after: ZoneLook
    difference: Difference
    shares: tuple[Share, ...]
    """Largest first. Of the charge, where it is known; else of rss."""
    processes: tuple[Mover, ...]
    """RSS of processes that came, left or changed; largest change first."""
    opened: tuple[Mover, ...] | None
    """Page cache of the files that are held open; likewise. None: not known."""

    @property
    def seconds(self) -> float:
        """From the beginning of one look to that of the other."""
        return (self.after.account.snapshot.began - self.before.account.snapshot.began).total_seconds()

    def reasons(self, total_bytes: int) -> tuple[Share, ...]:
        """
        The shares that a change is mostly of, one or two.

        :param total_bytes: the change; they are those of the same sign
        """
        same = [share for share in self.shares if share.bytes * total_bytes > 0]
        all_bytes = sum(share.bytes for share in same)
        if not same:
            return ()
        most = 1 if same[0].bytes / all_bytes >= _ALONE else 2
        return tuple(share for share in same[:most] if share.bytes / all_bytes >= _MOST_NAMED)


def difference(before: Chain, after: Chain) -> Difference:
    """
    The later chain less the earlier one.

    A step that one of them does not have is 0 there, because the kernel does not tell of what is not there; but where
    one of them does not lead to a charge, only the steps that both have can be compared.
    """
    leads = before.residual_bytes is not None and after.residual_bytes is not None
    names = _common(before, after) if not leads else None
    was, now = _by_key(before.steps, names), _by_key(after.steps, names)
    order = list(dict.fromkeys(step.name for step in (*after.steps, *before.steps)))
    keys = sorted(dict.fromkeys((*now, *was)), key=lambda key: order.index(key[0]))
    steps = tuple(Step(key[0], now.get(key, 0) - was.get(key, 0), key[1], key[2]) for key in keys)
    return Difference(
        before=before,
        after=after,
        process_rss_bytes=after.process_rss_bytes - before.process_rss_bytes,
        rss_bytes=after.rss_bytes - before.rss_bytes,
        steps=steps,
        charged_bytes=(after.charged_bytes or 0) - (before.charged_bytes or 0) if leads else None,
        residual_bytes=(after.residual_bytes or 0) - (before.residual_bytes or 0) if leads else None,
        residual_bound_bytes=(after.residual_bound_bytes or 0) + (before.residual_bound_bytes or 0)
        if leads
        else None,
    )


_Key = tuple[str, str | None, tuple[str, ...]]


def _by_key(steps: Iterable[Step], names: set[str] | None) -> dict[_Key, int]:
    found: dict[_Key, int] = {}
    for step in steps:
        if names is None or step.name in names:
            key = step.name, step.cgroup, step.zones
            found[key] = found.get(key, 0) + step.bytes
    return found


def _common(before: Chain, after: Chain) -> set[str]:
    """billed_to_nobody is there where payers are known; then a cgroup that is not named paid for nothing."""
    was, now = ({step.name for step in one.steps} for one in (before, after))
    both = was & now
    return both | {"billed_to_others"} if "billed_to_nobody" in both else both


def changed(before: ZoneLook, after: ZoneLook) -> Changed:
    """What changed in a zone, and what is behind it."""
    found = difference(before.account.chain, after.account.chain)
    processes = _processes(before.account, after.account, lambda process: process.rss_bytes)
    opened = _opened(before, after)
    shares = _of_the_bill(before.account, after.account, found) or _of_rss(before.account, after.account)
    movers = {
        "anon": _processes(before.account, after.account, lambda process: process.anon_bytes),
        "file": (files := _files(before, after)),
        "shmem": files,
        "cache": opened or (),
        "shmem_not_mapped": opened or (),
    }
    named = [Share(name, size, _first(movers.get(name, ()), name, size)) for name, size in shares if size]
    return Changed(
        before=before,
        after=after,
        difference=found,
        shares=tuple(sorted(named, key=lambda share: (-abs(share.bytes), share.name))),
        processes=processes,
        opened=opened,
    )


def _of_the_bill(before: Account, after: Account, found: Difference) -> list[tuple[str, int]]:
    """The change of the charge by what it is for; none where there is no charge. They and the residual add up to it."""
    if found.charged_bytes is None or before.shares is None or after.shares is None:
        return []
    was, now = before.shares, after.shares
    anon = now.own_anon_bytes - was.own_anon_bytes
    shmem = now.own_shmem_bytes - was.own_shmem_bytes
    files = now.own_file_bytes - was.own_file_bytes - shmem
    rest = [(step.name, step.bytes) for step in found.steps if step.name not in (*_OWN, _SPLIT)]
    return [
        ("anon", anon),
        ("file", files),
        ("shmem", shmem),
        *_not_mapped(before, after, found, shmem),
        *rest,
    ]


def _not_mapped(before: Account, after: Account, found: Difference, mapped: int) -> list[tuple[str, int]]:
    """Page cache that nobody maps, and of it the shared memory, where memory.stat tells both."""
    size = sum(step.bytes for step in found.steps if step.name == _SPLIT)
    bills = before.bill, after.bill
    billed = [bill.stat["shmem"] for bill in bills if bill is not None and "shmem" in bill.stat]
    if len(billed) < 2:
        return [("cache", size)]
    shmem = billed[1] - billed[0] - mapped
    return [("cache", size - shmem), ("shmem_not_mapped", shmem)]


def _of_rss(before: Account, after: Account) -> list[tuple[str, int]]:
    was, now = before.usage, after.usage
    return [
        ("anon", now.anon_bytes - was.anon_bytes),
        ("file", now.file_bytes - was.file_bytes),
        ("shmem", now.shmem_bytes - was.shmem_bytes),
    ]


# ---- who and what ----------------------------------------------------------------------------------------


def _first(movers: Sequence[Mover], name: str, size: int) -> Mover | None:
    """That which changed most the same way, if it is of the sort; more than the share itself counts for no more."""

    def weight(mover: Mover) -> tuple[int, bool]:
        return min(abs(mover.bytes), abs(size)), None not in (mover.before_bytes, mover.after_bytes)

    fits = [mover for mover in movers if mover.bytes * size > 0 and _is_of(mover, name)]
    return max(fits, key=weight, default=None)


def _is_of(mover: Mover, name: str) -> bool:
    if name not in ("file", "shmem") or mover.kind is None:
        return True
    return (mover.kind in (FileKind.FILE, FileKind.DELETED)) == (name == "file")


def _processes(before: Account, after: Account, size: Callable[[ProcessUsage], int]) -> tuple[Mover, ...]:
    was, now = (_own_processes(account) for account in (before, after))
    movers = []
    for key in dict.fromkeys((*now, *was)):
        one = now.get(key) or was[key]
        sizes = [size(found[key]) if key in found else None for found in (was, now)]
        movers.append(Mover(one.command, one.pid, sizes[0], sizes[1], one.command))
    return _largest(movers)


def _own_processes(account: Account) -> dict[tuple[int, int], ProcessUsage]:
    """The zone's, by what tells a process from another one that had its pid before."""
    started = {member.task.pid: member.task.start_ticks for member in account.snapshot.members}
    return {
        (process.pid, started.get(process.pid, 0)): process
        for process in account.snapshot.processes or ()
        if process.zone == account.zone.name
    }


def _files(before: ZoneLook, after: ZoneLook) -> tuple[Mover, ...]:
    if before.files is None or after.files is None:
        return ()
    was, now = ({_identity(file): file for file in files} for files in (before.files, after.files))
    movers = []
    for key in dict.fromkeys((*now, *was)):
        file = now.get(key) or was[key]
        sizes = [
            before.files.get(was[key]) if key in was else None,
            after.files.get(now[key]) if key in now else None,
        ]
        movers.append(Mover(file.name, None, sizes[0], sizes[1], kind=file.kind))
    return _largest(movers)


def _identity(file: MappedFile) -> tuple[object, ...]:
    """Its size, and its other names, may change."""
    return file.name, file.kind, file.device, file.inode, file.ipc_namespace


def _opened(before: ZoneLook, after: ZoneLook) -> tuple[Mover, ...] | None:
    if before.opened is None or after.opened is None:
        return None
    commands = {
        process.pid: process.command
        for look in (before, after)
        for process in look.account.snapshot.processes or ()
    }
    was, now = (
        {(file.device, file.inode): file for file in found.files} for found in (before.opened, after.opened)
    )
    # A recording keeps the largest of a zone only: one that is not among them may be as large as the least of them.
    least = {False: before.opened.least_bytes, True: after.opened.least_bytes}
    movers = []
    for key in dict.fromkeys((*now, *was)):
        if not (key in was and key in now):
            bound = least[key in was]
            if bound is None or (now.get(key) or was[key]).cached_bytes <= bound:
                continue
        file = now.get(key) or was[key]
        sizes = [found[key].cached_bytes if key in found else None for found in (was, now)]
        movers.append(Mover(file.name, file.pid, sizes[0], sizes[1], commands.get(file.pid)))
    found = _largest(movers)
    return found if found or least == {False: 0, True: 0} else None


def _largest(movers: Iterable[Mover]) -> tuple[Mover, ...]:
    """Those that changed, largest change first."""
    found = [mover for mover in movers if mover.bytes]
    return tuple(sorted(found, key=lambda mover: (-abs(mover.bytes), mover.name, mover.pid or 0)))
