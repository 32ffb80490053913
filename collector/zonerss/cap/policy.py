"""What to do about a zone that has a cap: looks and history in, decisions out. Pure.

:func:`decide` tells the next action. What came of it is told to :func:`after`, which gives what is remembered from then
on. docs/cap-policy.md draws the phases and says why each rule is as it is.

What always holds, whatever is observed:

- nothing is asked for but cold pages that this zone alone maps (page-out), or that several of its processes map and are
  known to be cold (memory.reclaim)
- in a round not more than the excess and 5 % of the cap, or one huge page more where less is to go, and nothing that
  would leave the zone below its floor
- nothing while the whole machine reclaims, nor below the threshold of its use, nor without Settings.enforce
- where half of what left is back at once, or by the next round, nothing for 10 s, twice as long each time, to 5 min
- a walk begins when 20 times as long as the last took has passed, but for the one that tells cold pages apart
"""

from __future__ import annotations

from collections.abc import Mapping

from zonerss.cap import words
from zonerss.cap.forecast import can_be_had, goal, obtainable, reclaimable, swap_room
from zonerss.cap.records import (
    Action,
    Arm,
    Armed,
    Back,
    Bound,
    ByKind,
    Cap,
    CheckBack,
    Failed,
    Given,
    Gone,
    Look,
    LookCold,
    Machine,
    Measure,
    Observation,
    PageOut,
    Pause,
    Phase,
    Ran,
    Reclaim,
    RunCommand,
    Step,
    Wait,
    ZoneState,
)
from zonerss.plain import replace
from zonerss.units import PAGE_BYTES

SECOND_NS = 1_000_000_000
HYSTERESIS = 128
"""An episode ends below cap - cap/128, as in the kernel of illumos (os/zone.c)."""
STEP_BYTES = 64 << 20
"""Of a page-out: between steps all is seen anew. 0.4 s into zram."""
RECLAIM_BYTES = 8 << 20
"""Of a write to memory.reclaim: a larger one was measured to block for half a minute."""
SETTLE_NS = 5 * SECOND_NS
"""From the last step to the check of what came back."""
PAUSE_NS, LONGEST_PAUSE_NS = 10 * SECOND_NS, 300 * SECOND_NS
STALE_NS = 30 * SECOND_NS
"""A look that is older is not acted on."""
COMMAND_NS = 300 * SECOND_NS
"""Between two runs of a rule's command."""
TURN_NS = 10 * SECOND_NS
"""Until a command that had to wait for others is tried again, in a later round."""
IDLE_NS = 5 * SECOND_NS
"""Until asked again whether the machine still reclaims, or is still below the threshold."""
WALK_SHARE = 20
"""A walk may take 1/20 of the time."""
WALK_NS = SECOND_NS
"""And is at least so far from the last."""

GROWTH = 20
"""A pause for want of cold pages ends early where the zone grows by cap/20."""
SHOW_NS = 10 * SECOND_NS
"""Between walks of a zone that is over, in a dry run."""
MOMENT_NS = SECOND_NS // 20
"""The least that is waited."""

_POLLS = ((2, 10), (4, 5), (10, 2))
"""Where the bound is cap/N or more below the cap: seconds until it is read again. Nearer than all of them: one."""
_WALKS = ((4, 60), (8, 30), (16, 10))
"""Where the bound is above the cap, but rss was cap/N or more below: seconds until the next walk. Nearer: five."""


# ---- the next action -------------------------------------------------------------------------------------


def decide(given: Given, state: ZoneState) -> Action:
    """
    What to do next for a zone; nothing, until when and why, is an action, too.

    Before each decision the zone's bound is read and told to :func:`after`, and the machine is asked anew.
    """
    state = current(given.cap, state)
    if given.machine.reclaiming:
        return _wait(given, state, IDLE_NS, words.reclaiming())
    if state.phase in (Phase.ARMED, Phase.TAKING) and not given.settings.enforce:
        return _over(given, state)
    return _NEXT[state.phase](given, state)


def _under(given: Given, state: ZoneState) -> Action:
    if state.bound is not None and state.bound.bytes <= given.cap.cap_bytes:
        why = words.bound_under(given.cap, state.bound.bytes)
        return _wait(given, state, _poll_ns(given.cap, state.bound), why)
    if due(given, state.until_ns) or _may_be_over(given, state):
        return _measure(given, state)
    left_ns = state.until_ns - given.now_ns
    return _wait(given, state, SECOND_NS, words.exact_under(given.cap, state.rss_bytes or 0, left_ns))


def _paused(given: Given, state: ZoneState) -> Action:
    if _is_surely_under(given, state) or due(given, state.until_ns) or _breaks(given, state):
        return _under(given, replace(state, until_ns=given.now_ns))
    left_ns = state.until_ns - given.now_ns
    return _wait(given, state, min(left_ns, IDLE_NS), words.paused(state.last_action, left_ns))


def _over(given: Given, state: ZoneState) -> Action:
    look = _look_of(state)
    if due(given, state.until_ns):
        return _measure(given, state)
    if not given.settings.enforce:
        return _wait(given, state, IDLE_NS, words.dry_run(given.cap, look.rss_bytes))
    if goal(given.cap, look.rss_bytes) == 0:
        return _wait(given, state, IDLE_NS, words.at_floor(given.cap, look.rss_bytes))
    if _goal(given, look) == 0:
        why = words.below_threshold(given.machine, given.settings.threshold)
        return _wait(given, state, IDLE_NS, why)
    if state.out_bytes:
        return CheckBack(state.zone, words.check_again())
    if _command_is_due(given, state):
        return RunCommand(state.zone, words.run_command(given.cap, look.rss_bytes), given.cap.command)
    return Arm(state.zone, words.arm(given.cap, look.rss_bytes, given.settings.cold_ns))


def _command_is_due(given: Given, state: ZoneState) -> bool:
    return bool(given.cap.command) and (state.ran_ns is None or due(given, state.ran_ns + COMMAND_NS))


def _armed(given: Given, state: ZoneState) -> Action:
    if due(given, state.until_ns):
        return LookCold(state.zone, words.look_cold(given.settings.cold_ns))
    left_ns = state.until_ns - given.now_ns
    return _wait(given, state, left_ns, words.until_cold(given.settings.cold_ns, left_ns))


def _taking(given: Given, state: ZoneState) -> Action:
    look = _look_of(state)
    stale = due(given, look.at_ns + STALE_NS)
    if not stale and (step := next_step(given, state)) is not None:
        return step
    if state.left.total_bytes:
        return _settling(given, state)
    if stale:
        return _walk(given, state, LookCold(state.zone, words.look_again()))
    return _wait(given, state, IDLE_NS, words.nothing(given.cap, look, given.machine))


def _settling(given: Given, state: ZoneState) -> Action:
    if due(given, state.until_ns):
        return CheckBack(state.zone, words.check_back())
    left_ns = state.until_ns - given.now_ns
    return _wait(given, state, left_ns, words.settling(state.left.total_bytes, left_ns))


_NEXT = {
    Phase.UNDER: _under,
    Phase.OVER: _over,
    Phase.ARMED: _armed,
    Phase.TAKING: _taking,
    Phase.SETTLING: _settling,
    Phase.PAUSED: _paused,
}


def next_step(given: Given, state: ZoneState) -> PageOut | Reclaim | None:
    """What to take next of what the last look found cold; None: the goal is reached, or nothing may be had any more."""
    look, cap = state.look, given.cap
    if look is None or look.classes.cold is None:
        return None
    done = state.tried.total_bytes + state.reclaim_bytes + _shrunk(state)
    wanted = _goal(given, look, done)
    rss = max(look.rss_bytes - state.left.total_bytes - _shrunk(state), 0)
    rest = look.classes.cold.less(state.tried)
    if not state.used_up:
        can = obtainable(cap, rest, _room(given, state, look))
        may_overshoot = rss > cap.cap_bytes and look.rss_bytes - done - state.huge_bytes >= cap.floor_bytes
        most = max(wanted, state.huge_bytes) if wanted >= PAGE_BYTES and may_overshoot else wanted
        pages = _first(can, min(most, STEP_BYTES))
        if pages.total_bytes:
            return PageOut(state.zone, words.page_out(cap, rss, pages, wanted), pages)
    if state.reclaim_in_vain or rss <= cap.cap_bytes:
        return None
    cold = reclaimable(cap, look, given.machine, rest) - state.reclaim_bytes
    nbytes = _whole_pages(min(wanted, rss - cap.cap_bytes, cold, RECLAIM_BYTES))
    return Reclaim(state.zone, words.reclaim(cap, rss, nbytes), nbytes) if nbytes else None


def _room(given: Given, state: ZoneState, look: Look) -> int:
    """In swap. The machine is asked before each step; what the cgroup's limit leaves was seen at the look."""
    room = swap_room(look.swap_room_bytes, given.machine)
    if look.swap_room_bytes is None:
        return room
    return max(min(room, look.swap_room_bytes - state.left.swap_backed_bytes), 0)


def _goal(given: Given, look: Look, done_bytes: int = 0) -> int:
    """What may still be asked for, within what the machine's threshold leaves of it."""
    left = max(goal(given.cap, look.rss_bytes) - done_bytes, 0)
    return left if given.allowance_bytes is None else min(left, max(given.allowance_bytes, 0))


def _shrunk(state: ZoneState) -> int:
    """
    By how much the zone may have become smaller since the look without us, in bytes.

    Pages of its own are mapped once: each that left because of us took as much from the bound as from rss.
    """
    if state.bound is None:
        return 0
    return max(state.highest_bytes - state.bound.bytes - state.left.total_bytes, 0)


def _first(pages: ByKind, most_bytes: int) -> ByKind:
    """Of these pages, so many: file first, which needs no swap, then anon, then shmem."""
    file = _whole_pages(min(pages.file_bytes, most_bytes))
    anon = _whole_pages(min(pages.anon_bytes, most_bytes - file))
    return ByKind(anon, file, _whole_pages(min(pages.shmem_bytes, most_bytes - file - anon)))


def _whole_pages(size_bytes: int) -> int:
    return max(size_bytes, 0) // PAGE_BYTES * PAGE_BYTES


# ---- when ------------------------------------------------------------------------------------------------


def due(given: Given, at_ns: int) -> bool:
    """Whether a time has come. CLOCK_MONOTONIC is never set back: however far off it is, it is waited for."""
    return given.now_ns >= at_ns


def _wait(given: Given, state: ZoneState, for_ns: int, why: str) -> Wait:
    return Wait(state.zone, why, given.now_ns + max(for_ns, MOMENT_NS))


def _measure(given: Given, state: ZoneState) -> Action:
    why = words.measure(given.cap, None if state.bound is None else state.bound.bytes)
    return _walk(given, state, Measure(state.zone, why))


def _walk(given: Given, state: ZoneState, action: Action) -> Action:
    """A walk, unless the last was too short a while ago for what it cost."""
    if state.look is None:
        return action
    at_ns = state.look.at_ns + max(WALK_NS, state.look.took_ns * WALK_SHARE)
    if due(given, at_ns):
        return action
    left_ns = at_ns - given.now_ns
    return _wait(given, state, left_ns, words.too_soon(state.look.took_ns, left_ns))


def _poll_ns(cap: Cap, bound: Bound) -> int:
    """How soon to read a bound that is at most the cap again."""
    room = cap.cap_bytes - bound.bytes
    return next((s for part, s in _POLLS if room * part >= cap.cap_bytes), 1) * SECOND_NS


def _walk_ns(cap: Cap, look: Look) -> int:
    """How soon to walk again a zone whose rss is at most its cap, though the bound is not."""
    room = cap.cap_bytes - look.rss_bytes
    return next((s for part, s in _WALKS if room * part >= cap.cap_bytes), 5) * SECOND_NS


def _may_be_over(given: Given, state: ZoneState) -> bool:
    """The bound has grown since the last walk by what was missing to the cap then."""
    if state.bound is None or state.look is None:
        return True
    room = given.cap.cap_bytes - state.look.rss_bytes
    return state.bound.bytes - state.highest_bytes > max(room, given.cap.cap_bytes // HYSTERESIS)


def _breaks(given: Given, state: ZoneState) -> bool:
    """A pause ends early where nothing came back, and the zone has grown by 5 % of its cap."""
    if state.pause not in (Pause.SHORT, Pause.NOTHING) or state.bound is None:
        return False
    grown = state.bound.bytes + state.left.total_bytes - state.highest_bytes
    return grown > given.cap.cap_bytes // GROWTH


def _is_surely_under(given: Given, state: ZoneState) -> bool:
    return state.bound is not None and state.bound.bytes <= given.cap.cap_bytes


def is_unknown(cap: Cap, state: ZoneState) -> bool:
    """Whether a zone may be above its cap by what the last walk could not read: neither it nor the bound tells."""
    look, bound = state.look, state.bound
    if look is None or look.problem is None or look.rss_bytes > cap.cap_bytes:
        return False
    return bound is None or bound.bytes > cap.cap_bytes


def _look_of(state: ZoneState) -> Look:
    if state.look is None:
        raise ValueError(f"{state.zone} is {state.phase.value} and was never walked")
    return state.look


# ---- what is remembered ----------------------------------------------------------------------------------


def current(cap: Cap, state: ZoneState) -> ZoneState:
    """The state under a rule: where it is another than before, what was put off is looked at at once."""
    if state.cap is None or replace(state.cap, origin="") == replace(cap, origin=""):
        return state if state.cap == cap else replace(state, cap=cap)
    waits = state.phase in (Phase.UNDER, Phase.OVER, Phase.PAUSED)
    return replace(
        state,
        cap=cap,
        phase=Phase.UNDER if waits else state.phase,
        until_ns=0 if waits else state.until_ns,
        pause=None,
        pause_ns=0,
    )


def after(given: Given, state: ZoneState, seen: Observation) -> ZoneState:
    """What is remembered of a zone once something was observed of it, or done."""
    state = current(given.cap, state)
    match seen:
        case Bound():
            return _after_bound(given, state, seen)
        case Look():
            return _after_look(given, state, seen)
        case Armed():
            return _after_arming(given, state, seen)
        case Step():
            return _after_step(given, state, seen)
        case Back():
            return _after_back(given, state, seen)
        case Ran():
            ran_ns = seen.at_ns - (COMMAND_NS - TURN_NS if seen.waits else 0)
            return _after_command(given, replace(state, ran_ns=ran_ns), seen)
        case Failed():
            return _pause(given, state, Pause.PROBLEM, words.failed(seen.what, seen.problem))
        case Gone():
            return _after_end(state, seen)


def _after_bound(given: Given, state: ZoneState, bound: Bound) -> ZoneState:
    look, before = state.look, state.bound
    first = look is not None and before is not None and before.at_ns <= look.at_ns + look.took_ns
    state = replace(state, bound=bound)
    if first:
        state = replace(state, highest_bytes=max(state.highest_bytes, bound.bytes))
    if given.machine.reclaiming and state.phase in (Phase.ARMED, Phase.TAKING):
        return _interrupted(given, state)
    if bound.bytes > given.cap.cap_bytes:
        return state
    state = replace(state, over=state.over and bound.bytes > _line(given.cap))
    makes_room = (
        state.phase is Phase.TAKING and state.left.total_bytes and next_step(given, state) is not None
    )
    if state.phase in (Phase.OVER, Phase.ARMED, Phase.TAKING) and not makes_room:
        return _leave(state, Phase.UNDER)
    if state.phase is Phase.PAUSED and due(given, state.until_ns):
        return replace(state, phase=Phase.UNDER, until_ns=0, pause=None)
    return state


def _interrupted(given: Given, state: ZoneState) -> ZoneState:
    """
    The machine reclaims, which clears accessed bits, too: what looks cold may be in use.

    Clearing them again and again would take from reclaim what it goes by: so that comes later each time.
    """
    if state.left.total_bytes:
        return replace(state, phase=Phase.SETTLING)
    return _pause(given, state, Pause.PROBLEM, words.interrupted())


def _leave(state: ZoneState, phase: Phase) -> ZoneState:
    """The round ends here; what has left is seen to all the same."""
    if state.phase is Phase.TAKING and state.left.total_bytes:
        return replace(state, phase=Phase.SETTLING)
    return replace(state, phase=phase, until_ns=0)


def _line(cap: Cap) -> int:
    """Where an episode ends."""
    return cap.cap_bytes - cap.cap_bytes // HYSTERESIS


def _after_look(given: Given, state: ZoneState, look: Look) -> ZoneState:
    bound = 0 if state.bound is None else state.bound.bytes
    state = replace(
        state,
        look=look,
        highest_bytes=max(bound, look.rss_bytes),
        tried=ByKind(),
        left=ByKind(),
        used_up=False,
        reclaim_bytes=0,
        reclaim_in_vain=False,
        trouble="",
        left_out=(),
        large_bytes=0,
        huge_bytes=0,
    )
    if look.rss_bytes <= given.cap.cap_bytes:
        if is_unknown(given.cap, state):
            return _pause(given, state, Pause.PROBLEM, words.not_known(given.cap, look, state.bound))
        return _is_under(given, state, look)
    if not state.over:
        long_ago = given.now_ns - state.rested_ns > LONGEST_PAUSE_NS
        state = replace(state, pause_ns=0 if long_ago else state.pause_ns, over=True, nover=state.nover + 1)
    if state.phase in (Phase.ARMED, Phase.TAKING):
        return _looked_cold(given, state, look)
    can = can_be_had(given.cap, look, given.machine)
    if given.settings.enforce and not can and not _command_is_due(given, state):
        return _pause(given, state, Pause.NOTHING, words.nothing(given.cap, look, given.machine))
    wait_ns = STALE_NS if given.settings.enforce else SHOW_NS
    state = replace(state, phase=Phase.OVER, until_ns=given.now_ns + wait_ns, pause=None)
    return _says(state, given.now_ns, words.over(given.cap, look.rss_bytes))


def _after_command(given: Given, state: ZoneState, ran: Ran) -> ZoneState:
    """Where nothing can be had, the command was all that could be done."""
    text, look = words.ran(given.cap.command, ran.problem), state.look
    if state.phase is not Phase.OVER or look is None or can_be_had(given.cap, look, given.machine):
        return _says(state, ran.at_ns, text)
    text = f"{text}; {words.nothing(given.cap, look, given.machine)}"
    return _pause(given, state, Pause.NOTHING, text)


def _is_under(given: Given, state: ZoneState, look: Look) -> ZoneState:
    ended = state.over and look.rss_bytes <= _line(given.cap)
    until_ns = given.now_ns + _walk_ns(given.cap, look)
    state = replace(state, phase=Phase.UNDER, until_ns=until_ns, pause=None, over=state.over and not ended)
    return _says(state, given.now_ns, words.back_under(given.cap, look.rss_bytes)) if ended else state


def _looked_cold(given: Given, state: ZoneState, look: Look) -> ZoneState:
    cold, seconds = look.classes.cold, look.classes.cold_seconds
    if cold is None or seconds is None:
        return _pause(
            given, state, Pause.PROBLEM, words.not_armed(look.problem or "the walk told none apart")
        )
    missing_ns = given.settings.cold_ns - int(seconds * SECOND_NS)
    if missing_ns > 0:
        return replace(state, phase=Phase.ARMED, until_ns=given.now_ns + missing_ns)
    if not given.machine.swap_bytes and cold.swap_backed_bytes and words.NO_SWAP not in state.said:
        state = replace(state, said=(*state.said, words.NO_SWAP))
    if _goal(given, look) == 0:
        return replace(state, phase=Phase.OVER, until_ns=given.now_ns + STALE_NS)
    if next_step(given, state) is None:
        return _pause(given, state, Pause.NOTHING, words.nothing(given.cap, look, given.machine))
    can = obtainable(given.cap, cold, swap_room(look.swap_room_bytes, given.machine))
    state = replace(state, phase=Phase.TAKING, until_ns=given.now_ns)
    return _says(state, given.now_ns, words.found_cold(given.cap, look, can, _goal(given, look)))


def _after_arming(given: Given, state: ZoneState, armed: Armed) -> ZoneState:
    if state.phase is not Phase.OVER:
        return state
    if armed.problem is not None:
        return _pause(given, state, Pause.PROBLEM, words.not_armed(armed.problem))
    state = replace(state, phase=Phase.ARMED, until_ns=armed.at_ns + given.settings.cold_ns, out_bytes=0)
    return _says(state, armed.at_ns, words.armed(given.cap, _look_of(state).rss_bytes))


def _after_step(given: Given, state: ZoneState, step: Step) -> ZoneState:
    paging = step.what == "page-out"
    left = min(step.left_bytes, step.tried.total_bytes) if paging else step.left_bytes
    state = replace(
        state,
        tried=state.tried.plus(step.tried) if paging else state.tried,
        used_up=state.used_up or (paging and _is_used_up(state, step, left)),
        huge_bytes=step.huge_bytes if paging else state.huge_bytes,
        reclaim_bytes=state.reclaim_bytes + (0 if paging else step.asked_bytes),
        reclaim_in_vain=state.reclaim_in_vain or (not paging and 2 * left < step.asked_bytes),
        left=state.left.plus(_first(step.left, left)),
        out_bytes=state.out_bytes + left,
        left_ns=step.at_ns,
        pout_bytes=state.pout_bytes + left,
        until_ns=step.at_ns + SETTLE_NS,
        trouble="" if step.problem is None else words.ended_early(step.what, step.problem),
        left_out=tuple(dict.fromkeys((*state.left_out, *step.left_out))),
        large_bytes=state.large_bytes + step.large_bytes,
    )
    if state.phase is Phase.TAKING and step.problem is None and next_step(given, state) is not None:
        return _says(state, step.at_ns, words.paged_out(state.left)) if state.left.total_bytes else state
    if state.left.total_bytes:
        text = _with_left_out(state, words.paged_out(state.left), state.trouble)
        return _says(replace(state, phase=Phase.SETTLING), step.at_ns, text)
    if state.phase is not Phase.TAKING:
        return state
    if state.trouble:
        return _pause(given, state, Pause.PROBLEM, _with_left_out(state, state.trouble))
    return _pause(given, state, Pause.NOTHING, _with_left_out(state, _none_left(state)))


def _is_used_up(state: ZoneState, step: Step, left_bytes: int) -> bool:
    """
    Whether page-out need not be asked for more of what the last look found.

    One that ended before a huge page is followed by one that asks for as much as that, where that may be.
    """
    if step.huge_bytes:
        return not left_bytes and bool(state.huge_bytes)
    return not left_bytes or step.tried.total_bytes < step.asked_bytes


def _none_left(state: ZoneState) -> str:
    """What was advised and did not leave; empty: all that was has left."""
    stayed = state.tried.total_bytes + state.reclaim_bytes - state.left.total_bytes
    return words.none_left(stayed) if stayed > 0 else ""


def _with_left_out(state: ZoneState, *texts: str) -> str:
    left_out = words.left_out(state.left_out, state.large_bytes)
    huge = words.in_huge_pages(state.huge_bytes) if state.used_up and state.huge_bytes else ""
    return "; ".join(filter(None, (*texts, left_out, huge))) or words.none_left(0)


def _after_back(given: Given, state: ZoneState, back: Back) -> ZoneState:
    of = max(back.of_bytes, 0)
    again = min(max(back.back_bytes, 0), of)
    if state.phase is Phase.OVER:
        return _after_late_back(given, state, of, again)
    state = replace(state, refault_bytes=state.refault_bytes + again)
    if of and 2 * again >= of:
        return _pause(given, state, Pause.REFAULTS, words.came_back(of, again, _next_pause_ns(state)))
    if (fault := _why_still_over(given, state, of, again)) is not None:
        return _pause(given, state, *fault)
    state = replace(state, phase=Phase.UNDER, until_ns=given.now_ns, pause=None)
    return _says(state, back.at_ns, words.stayed_out(of, again))


def _after_late_back(given: Given, state: ZoneState, of: int, again: int) -> ZoneState:
    """
    Before the next round: whether the one before has lasted.

    What comes back only after the first check would else go to and fro unseen.
    """
    state, ago_ns = replace(state, out_bytes=0), given.now_ns - state.left_ns
    if of and 2 * again >= of and 0 <= ago_ns <= LONGEST_PAUSE_NS:
        text = words.came_back_late(of, again, ago_ns, _next_pause_ns(state))
        return _pause(given, state, Pause.REFAULTS, text)
    lasted = ago_ns >= 2 * SETTLE_NS
    return replace(state, pause_ns=_shorter_ns(state) if lasted else state.pause_ns)


def _why_still_over(given: Given, state: ZoneState, of: int, again: int) -> tuple[Pause, str] | None:
    """Why a round has left a zone above its cap, where the next would do no better; None: it has not, or may."""
    look, asked = state.look, state.tried.total_bytes + state.reclaim_bytes
    if look is None:
        return None
    remains = look.rss_bytes - state.left.total_bytes + again - _shrunk(state) - given.cap.cap_bytes
    if remains <= 0:
        return None
    if state.trouble:
        return Pause.PROBLEM, state.trouble
    if 2 * state.left.total_bytes < asked:
        return Pause.NOTHING, _with_left_out(state, _none_left(state))
    if _goal(given, look, asked + _shrunk(state)) >= PAGE_BYTES and next_step(given, state) is None:
        said = (words.stayed_out(of, again), words.short(given.cap, look, remains))
        return Pause.SHORT, _with_left_out(state, *said)
    return None


def _after_end(state: ZoneState, gone: Gone) -> ZoneState:
    """What is counted stays; what was known of its memory does not."""
    if state.bound is None and state.look is None:
        return state
    fresh = ZoneState(
        state.zone,
        cap=state.cap,
        nover=state.nover,
        pout_bytes=state.pout_bytes,
        refault_bytes=state.refault_bytes,
        said=state.said,
        ran_ns=state.ran_ns,
    )
    return _says(fresh, gone.at_ns, words.gone())


def _pause(given: Given, state: ZoneState, why: Pause, text: str) -> ZoneState:
    pause_ns = _next_pause_ns(state)
    until_ns = given.now_ns + pause_ns
    state = replace(
        state, phase=Phase.PAUSED, pause=why, pause_ns=pause_ns, until_ns=until_ns, rested_ns=until_ns
    )
    return _says(state, given.now_ns, text)


def _next_pause_ns(state: ZoneState) -> int:
    return min(max(2 * state.pause_ns, PAUSE_NS), LONGEST_PAUSE_NS)


def _shorter_ns(state: ZoneState) -> int:
    return state.pause_ns // 2 if state.pause_ns > PAUSE_NS else 0


def _says(state: ZoneState, at_ns: int, text: str) -> ZoneState:
    return replace(state, last_action=text, last_action_ns=at_ns)


# ---- several zones ---------------------------------------------------------------------------------------


def excess(cap: Cap, state: ZoneState) -> int:
    """By how much a zone is above its cap as far as is known, in bytes."""
    return max((state.rss_bytes or 0) - cap.cap_bytes, 0)


def allowances(threshold: float, machine: Machine, excesses: Mapping[str, int]) -> dict[str, int | None]:
    """
    What may be taken of each zone, in bytes; None: no threshold is set, so a zone's own excess is all that counts.

    What the machine uses above the threshold, but not more than all excesses together, is split in proportion to them.

    :param excesses: of each zone; see :func:`excess`
    """
    if threshold <= 0:
        return dict.fromkeys(excesses)
    total = sum(excesses.values())
    pool = min(max(machine.used_bytes - int(threshold * machine.memory_bytes), 0), total)
    return {zone: pool * size // total if total else 0 for zone, size in excesses.items()}
