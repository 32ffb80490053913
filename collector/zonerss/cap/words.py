"""Why something is done about a zone, or is not: sentences without their ends, for logs and status. Pure.

Names of zones are as the kernel gave them: who prints a sentence makes it printable.
"""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.cap.forecast import swap_room, why_not_reclaim
from zonerss.cap.records import KINDS, Bound, ByKind, Cap, Look, Machine
from zonerss.units import format_size

SECOND_NS = 1_000_000_000
NO_SWAP = "there is no swap: anon and shmem are left alone"


def duration(ns: int) -> str:
    """As people say it: 1.2 s, 40 s, 5 min."""
    seconds = max(ns, 0) / SECOND_NS
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return f"{seconds:.0f} s" if seconds < 119.5 else f"{seconds / 60:.0f} min"


def kinds(pages: ByKind) -> str:
    """What of which kind, most first: 162M anon and 50M file."""
    there = sorted((kind for kind in KINDS if pages.of(kind)), key=lambda kind: -pages.of(kind))
    return listed([f"{format_size(pages.of(kind))} {kind}" for kind in there]) or "nothing"


def listed(words: Sequence[str]) -> str:
    """One, two and three."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def names(shared_with: Sequence[tuple[str, int]], most: int = 3) -> str:
    """Zones that share: db, web and 3 more."""
    known = [name for name, _ in shared_with]
    if len(known) > most:
        known = [*known[:most], f"{len(known) - most} more"]
    return listed(known) or "others"


def over(cap: Cap, rss_bytes: int) -> str:
    """How much above its cap a zone is."""
    by, rss, most = map(format_size, (rss_bytes - cap.cap_bytes, rss_bytes, cap.cap_bytes))
    return f"over by {by} (RSS {rss} of {most})"


# ---- waiting ---------------------------------------------------------------------------------------------


def bound_under(cap: Cap, bound_bytes: int) -> str:
    """No walk is needed."""
    total, most = format_size(bound_bytes), format_size(cap.cap_bytes)
    return f"not over: the RSS of its processes adds up to at most {total} of {most}"


def exact_under(cap: Cap, rss_bytes: int, next_ns: int) -> str:
    """A walk has told; the bound does not."""
    rss, most = format_size(rss_bytes), format_size(cap.cap_bytes)
    return f"not over: RSS was {rss} of {most} at the last walk; the next is due in {duration(next_ns)}"


def too_soon(took_ns: int, left_ns: int) -> str:
    """Walks are spaced by what they cost."""
    return f"the last walk took {duration(took_ns)}: the next is due in {duration(left_ns)}"


def reclaiming() -> str:
    """Caps wait."""
    return "the whole machine is reclaiming memory: caps wait until it has stopped"


def below_threshold(machine: Machine, threshold: float) -> str:
    """rcapd's threshold."""
    used, most = 100 * machine.used_share, 100 * threshold
    return f"over, but {used:.0f} % of the machine's memory is in use: nothing is done up to {most:.0f} %"


def dry_run(cap: Cap, rss_bytes: int) -> str:
    """Not without being told to."""
    return f"{over(cap, rss_bytes)}; nothing is done without --enforce"


def at_floor(cap: Cap, rss_bytes: int) -> str:
    """Nothing may be asked for."""
    return f"{over(cap, rss_bytes)}, but nothing is taken below its floor of {format_size(cap.floor_bytes)}"


def until_cold(cold_ns: int, left_ns: int) -> str:
    """Between arming and the look."""
    return (
        f"accessed bits are cleared: what is not touched for {duration(cold_ns)} is cold; "
        f"{duration(left_ns)} to go"
    )


def settling(left_bytes: int, left_ns: int) -> str:
    """Between the last step and the check."""
    return f"{format_size(left_bytes)} left; in {duration(left_ns)} it is seen what has come back"


def paused(last_action: str, left_ns: int) -> str:
    """Left alone for a while."""
    return f"{last_action}; looked at again in {duration(left_ns)}"


def not_known(cap: Cap, look: Look, bound: Bound | None) -> str:
    """What could not be read may be what is above the cap."""
    most = "" if bound is None else f" and at most {format_size(bound.bytes)}"
    return (
        f"whether it is over is not known: {look.problem}; RSS is at least {format_size(look.rss_bytes)}{most}, "
        f"of {format_size(cap.cap_bytes)}"
    )


# ---- acting ----------------------------------------------------------------------------------------------


def measure(cap: Cap, bound_bytes: int | None) -> str:
    """The bound does not tell."""
    if bound_bytes is None:
        return "walked: nothing is known of it yet"
    total, most = format_size(bound_bytes), format_size(cap.cap_bytes)
    return f"walked: the RSS of its processes may add up to {total} of {most}, and may count pages twice"


def arm(cap: Cap, rss_bytes: int, cold_ns: int) -> str:
    """Before anything is taken."""
    return (
        f"{over(cap, rss_bytes)}: clearing accessed bits, to see what is not touched for {duration(cold_ns)}"
    )


def look_cold(cold_ns: int) -> str:
    """The walk that tells cold pages."""
    return f"walked: which of its pages were not touched for {duration(cold_ns)}?"


def look_again() -> str:
    """The last look is too old to act on."""
    return "walked again: what was found cold was too long ago"


def page_out(cap: Cap, rss_bytes: int, pages: ByKind, goal_bytes: int) -> str:
    """A step."""
    goes, goal = kinds(pages), format_size(goal_bytes)
    if rss_bytes > cap.cap_bytes:
        return f"{over(cap, rss_bytes)}: paging out {goes}, cold and its own; {goal} to go"
    return f"under its cap, which has to have some room: paging out {goes}, cold and its own; {goal} to go"


def reclaim(cap: Cap, rss_bytes: int, nbytes: int) -> str:
    """A step."""
    return (
        f"{over(cap, rss_bytes)}: asking memory.reclaim for {format_size(nbytes)} "
        "of what several of its processes and nobody else map, and is cold"
    )


def check_back() -> str:
    """Verify."""
    return "seeing what of the pages that left has come back"


def check_again() -> str:
    """Once more before the next round."""
    return "seeing what of the pages that left in the round before is still out"


def run_command(cap: Cap, rss_bytes: int) -> str:
    """The rule's own command."""
    return f"{over(cap, rss_bytes)}: running {cap.command[0] if cap.command else 'nothing'}"


# ---- what was found --------------------------------------------------------------------------------------


def armed(cap: Cap, rss_bytes: int) -> str:
    """Bits were cleared."""
    return f"{over(cap, rss_bytes)}: accessed bits were cleared"


def found_cold(cap: Cap, look: Look, can: ByKind, wanted_bytes: int) -> str:
    """Before acting: whether what is cold is enough."""
    start, excess = over(cap, look.rss_bytes), look.rss_bytes - cap.cap_bytes
    if can.total_bytes >= wanted_bytes:
        return f"{start}: {kinds(can)} can go without pain, {format_size(wanted_bytes)} of it goes"
    if can.total_bytes >= excess:
        return f"{start}: {kinds(can)} can go without pain, and goes"
    return f"{start}: only {kinds(can)} can go without pain, and goes; {short(cap, look, excess - can.total_bytes)}"


def short(cap: Cap, look: Look, short_bytes: int) -> str:
    """What remains, and why."""
    working_set, rest = look.classes.working_set_bytes, f"{format_size(short_bytes)} above the cap remains"
    if working_set is not None and working_set > cap.cap_bytes:
        return f"{rest}, for the working set is {format_size(working_set)}"
    return rest


def nothing(cap: Cap, look: Look, machine: Machine) -> str:
    """Why nothing can be had of a zone that is over."""
    why = ", ".join(obstacles(cap, look, machine)) or "nothing of it is cold"
    return f"{over(cap, look.rss_bytes)}, and nothing can be had: {why}"


def obstacles(cap: Cap, look: Look, machine: Machine) -> list[str]:
    """What of a zone cannot be had, and why: clauses, greatest class first."""
    classes = look.classes
    why_not = why_not_reclaim(cap, look, machine)
    several = classes.several.total_bytes
    if why_not is None:
        several -= (classes.cold_several or ByKind()).total_bytes
    own = ByKind(*(classes.own.of(kind) if kind in cap.may else 0 for kind in KINDS))
    room = "swap is full" if machine.swap_bytes else "there is no swap"
    if machine.swap_bytes and look.swap_room_bytes is not None and look.swap_room_bytes <= 0:
        room = "its cgroup may not use more swap"
    found = {
        f"is shared with {names(classes.shared_with)}": classes.shared_bytes,
        "is locked": classes.locked_bytes,
        f"is mapped by several of its processes ({why_not or 'in use'})": several,
        "may not be paged out by its rule": classes.own.total_bytes - own.total_bytes,
    }
    if not swap_room(look.swap_room_bytes, machine):
        found[f"is anon or shmem ({room})"] = own.swap_backed_bytes
        own = ByKind(0, own.file_bytes, 0)
    if classes.cold is not None:
        found["is in use"] = own.less(classes.cold).total_bytes
    rows = sorted(((size, text) for text, size in found.items() if size > 0), key=lambda row: -row[0])
    return [f"{format_size(size)} {text}" for size, text in rows]


def interrupted() -> str:
    """Reclaim while bits are watched."""
    return "the whole machine has reclaimed memory meanwhile, which clears accessed bits: what is cold is not known"


def not_armed(problem: str) -> str:
    """Bits could not be cleared."""
    return f"accessed bits could not be cleared, so nothing is known to be cold: {problem}"


def paged_out(left: ByKind) -> str:
    """So far in this round."""
    return f"paged out {kinds(left)}"


def ended_early(what: str, problem: str) -> str:
    """A step ended before its time."""
    return f"{what} ended early: {problem}"


def left_out(what: Sequence[str], large_bytes: int, most: int = 3) -> str:
    """What was passed over; empty: nothing."""
    found = list(what) if len(what) <= most else [*what[:most], f"{len(what) - most} more"]
    if large_bytes:
        found.append(f"{format_size(large_bytes)} in large folios of which other pages are in use")
    return f"left out: {', '.join(found)}" if found else ""


def in_huge_pages(huge_bytes: int) -> str:
    """What is cold and could not be asked for."""
    return (
        f"what else is cold is in huge pages of {format_size(huge_bytes)}, each of which is more than may go"
    )


def none_left(size_bytes: int) -> str:
    """Advice without effect."""
    return (
        f"{format_size(size_bytes)} of cold pages did not leave: they were touched meanwhile, or are pinned"
    )


def failed(what: str, problem: str) -> str:
    """An error."""
    return f"{what} failed: {problem}"


def came_back(of_bytes: int, back_bytes: int, pause_ns: int) -> str:
    """Refaults."""
    return (
        f"paged out {format_size(of_bytes)}, and {format_size(back_bytes)} of it came back within seconds: "
        f"it is in use, and nothing is taken for {duration(pause_ns)}"
    )


def came_back_late(of_bytes: int, back_bytes: int, ago_ns: int, pause_ns: int) -> str:
    """Refaults after the round."""
    return (
        f"{format_size(back_bytes)} of the {format_size(of_bytes)} that were paged out {duration(ago_ns)} ago are "
        f"back: they are in use, and nothing is taken for {duration(pause_ns)}"
    )


def stayed_out(of_bytes: int, back_bytes: int) -> str:
    """All is well."""
    if not of_bytes:
        return "paged out pages of processes that have ended"
    again = f"{format_size(back_bytes)} of it" if back_bytes else "nothing of it"
    return f"paged out {format_size(of_bytes)}, and {again} came back within seconds"


def back_under(cap: Cap, rss_bytes: int) -> str:
    """The end of an episode."""
    return f"back under its cap: RSS {format_size(rss_bytes)} of {format_size(cap.cap_bytes)}"


def gone() -> str:
    """No process left."""
    return "it has no process any more"


def ran(command: Sequence[str], problem: str | None) -> str:
    """The command was started, or not."""
    name = command[0] if command else "no command"
    return f"could not run {name}: {problem}" if problem else f"ran {name}"
