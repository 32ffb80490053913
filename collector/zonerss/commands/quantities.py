"""Durations, sizes and times, as they are spelled on the command line and in a configuration.

All are for argparse's ``type``: what is wrong is an ArgumentTypeError whose text is a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
"""By unit, from the longest on."""
LONGEST_SECONDS = 100 * 365.25 * 86_400
"""A hundred years: what is longer is a slip of the pen, and datetime ends soon after."""
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
# Strings: most commands need none of these, and compiling them costs 1 % of a cold start.
_DURATION = "(?a)" + "".join(
    rf"(?:(?P<{unit}>{_NUMBER}){unit}{'(?!s)' if unit == 'm' else ''})?" for unit in _SECONDS
)
_SIZE = rf"(?ai)(?P<number>{_NUMBER})(?:(?P<unit>[KMGTPE])(?:i?B)?|B)?"
_CLOCK = r"(?a)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_DATE_TIME = r"(?a)\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d\d:\d\d)?)?"
LARGEST_BYTES = (1 << 63) - 1
"""What an offset in a file may be: off_t."""
_DIGITS = 20
"""A number of more is no quantity, and slow to read."""
_DAY = timedelta(days=1)


def refused(sentence: str) -> Exception:
    """The error by which a ``type`` of argparse says what is wrong: an argparse.ArgumentTypeError."""
    from argparse import ArgumentTypeError

    return ArgumentTypeError(sentence)


def duration(text: str) -> float:
    """
    Seconds: 10s, 0.1s, 7d, 1h30m, 250ms; w, d, h, m, s and ms, from the longest on, each once. A number is seconds.

    :raises argparse.ArgumentTypeError: it is none, or longer than a hundred years
    """
    seconds = _seconds(text)
    if seconds is None:
        raise refused(f"{text!r} is no duration: give a number with a unit, as in 0.5s, 10s, 5m, 1h30m or 7d")
    return seconds


def percent(text: str) -> float:
    """
    A share of one processor's time: 1% is 0.01.

    :raises argparse.ArgumentTypeError: it is none
    """
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise refused(f"{text!r} is no share of a processor: say 1%, 0.5% or 100%")
    return value / 100


def duration_within(least: str, most: str) -> Callable[[str], float]:
    """
    A parser of durations that are neither shorter than ``least`` nor longer than ``most``.

    :param least: a duration, as the message is to spell it
    """

    def parse(text: str) -> float:
        seconds = _seconds(text)
        if seconds is None or not duration(least) <= seconds <= duration(most):
            raise refused(f"{text!r} is no duration from {least} to {most}; 10s, 5m and 1h30m are spelled so")
        return seconds

    return parse


def _seconds(text: str) -> float | None:
    """None: it is no duration."""
    if not text or len(text) > _DIGITS * len(_SECONDS):
        return None
    if _is_plain(text):
        seconds = float(text)
    elif match := re.fullmatch(_DURATION, text):
        seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict("0").items())
    else:
        return None
    return seconds if seconds <= LONGEST_SECONDS else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()


def size(text: str) -> int:
    """
    Bytes: 512M, 1G, 1.5G; K, M, G, T, P and E are powers of 1024, and GiB is G. A bare number is bytes.

    :raises argparse.ArgumentTypeError: it is none, no whole number of bytes where it has no unit, or past 8 EiB
    """
    match = re.fullmatch(_SIZE, text) if len(text) <= 2 * _DIGITS else None
    if match and (match["unit"] or match["number"].isdigit()):
        power = "KMGTPE".index(match["unit"].upper()) + 1 if match["unit"] else 0
        number = match["number"]
        found = int(number) << 10 * power if number.isdigit() else int(float(number) * (1 << 10 * power))
        if found <= LARGEST_BYTES:
            return found
    raise refused(
        f"{text!r} is no size: give bytes, or a number with K, M, G or T (powers of 1024), as in 512M or 1G"
    )


def moment_of(
    text: str, now: datetime | None = None, coming: bool = False, zone: tzinfo | None = None
) -> datetime:
    """
    A moment, in UTC. 20:55 and 20:55:30 are local time, of today or, where that is still to come, of yesterday; -10m
    is so long before now; anything else is RFC 3339, local time where it has no offset, a whole day's beginning where
    it has no time.

    :param now: None: by the clock
    :param coming: it is one to come: 20:55 may be tomorrow's, and 10m or +10m is so long after now
    :param zone: of local time; None: the system's
    :raises argparse.ArgumentTypeError: it is none, or is not to come where ``coming``
    """
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    found = _clock(text, now, coming, zone) or _from_now(text, now, coming) or _date_time(text, zone)
    if found is None:
        ways = "+10m (from now)" if coming else "-10m (before now)"
        raise refused(f"{text!r} is no time: give one as 20:55 (local time), {ways} or 2026-05-31T20:55:00Z")
    if coming and found <= now:
        raise refused(f"{text!r} is past: give a time that is still to come")
    return found


def since(text: str) -> float | datetime:
    """
    When something began that is compared with something later: -30s is so many seconds before that; anything else a
    moment, as :func:`moment_of` takes it.

    :return: seconds, or a moment in UTC
    :raises argparse.ArgumentTypeError: it is none
    """
    seconds = _seconds(text[1:]) if text.startswith("-") else None
    return moment_of(text) if seconds is None else seconds


def black_box(text: str) -> tuple[float, float]:
    """
    How long a black box remembers, and how often it looks, in seconds: 5m/2s; 5m is every 2 s.

    :raises argparse.ArgumentTypeError: it is none, or too long or too short
    """
    span_text, slash, interval_text = text.partition("/")
    span, interval = _seconds(span_text), _seconds(interval_text) if slash else 2.0
    if (
        span is None
        or interval is None
        or not (10 <= span <= 3600 and 0.1 <= interval <= 60 and interval <= span)
    ):
        raise refused(
            f"{text!r} is no black box: say how long it remembers (10s to 1h) and how often it looks (0.1s to 1m), "
            "as in 5m/2s"
        )
    return span, interval


def _clock(text: str, now: datetime, coming: bool, zone: tzinfo | None) -> datetime | None:
    """The nearest moment at which local clocks show it, before now or after it."""
    match = re.fullmatch(_CLOCK, text)
    if not match:
        return None
    hour, minute, second = (int(number) for number in match.groups("0"))
    if hour > 23 or minute > 59 or second > 59:
        return None
    today = now.astimezone(zone).replace(hour=hour, minute=minute, second=second, microsecond=0, tzinfo=None)
    found = []
    for days in (-1, 0, 1):
        for fold in (0, 1):  # the hour that clocks show twice in autumn
            moment = _in_utc((today + days * _DAY).replace(fold=fold), zone)
            if moment is not None:
                found.append(moment)
    if coming:
        return min((moment for moment in found if moment > now), default=None)
    return max((moment for moment in found if moment <= now), default=None)


def _from_now(text: str, now: datetime, coming: bool) -> datetime | None:
    if text == "now":
        return now
    sign = text[:1] if text[:1] in ("-", "+") else ""
    if not sign and (not coming or _is_plain(text)):
        return None
    seconds = _seconds(text.removeprefix(sign))
    if seconds is None:
        return None
    try:
        return now - timedelta(seconds=seconds) if sign == "-" else now + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _date_time(text: str, zone: tzinfo | None) -> datetime | None:
    if not re.fullmatch(_DATE_TIME, text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return _in_utc(moment, zone)


def _in_utc(moment: datetime, zone: tzinfo | None) -> datetime | None:
    """None: it is outside of what the calendar knows."""
    try:
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        return None
