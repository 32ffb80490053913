"""Durations, sizes and times: what is understood, what is refused, and that what is written is read back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.commands.quantities import duration, duration_within, moment_of, size

NOW = datetime(2026, 5, 31, 21, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("0.1s", 0.1),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5400),
        ("1m30s", 90),
        ("1m5ms", 60.005),
        ("250ms", 0.25),
        ("5m", 300),
        ("1.5h", 5400),
        ("10", 10),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_numbers_with_units_or_seconds(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1",
        "-1s",
        "+1s",
        "1 s",
        "10S",
        "1m1h",
        "1s1s",
        "1m1m",
        "nan",
        "inf",
        "1e3",
        "1_0",
        "٣s",
        "1y",
        "10sec",
        "1ss",
        "101000d",
        "9" * 400,
        "9" * 400 + "s",
        "1\n",
        ".",
    ],
)
def test_what_is_no_duration_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no duration: give a number with a unit, as in"):
        duration(text)


@given(
    st.integers(0, 36_000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999)
)
def test_a_duration_of_all_units_is_their_sum(
    days: int, hours: int, minutes: int, seconds: int, ms: int
) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s{ms}ms"
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=ms)
    assert duration(text) == pytest.approx(whole.total_seconds())


@given(st.floats(0, 1e9).map(lambda number: f"{number:.6f}"))
def test_a_plain_number_is_seconds(text: str) -> None:
    assert duration(text) == duration(f"{text}s") == float(text)


def parsed(parse: Callable[[str], float | datetime], text: str) -> float | datetime | str:
    try:
        return parse(text)
    except argparse.ArgumentTypeError as err:
        return str(err)


@given(st.text(max_size=30) | st.from_regex(r"[-+]?[0-9.:]{1,8}[a-zA-Z:-]{0,3}", fullmatch=True))
def test_any_text_is_a_quantity_or_told_to_be_none(text: str) -> None:
    for parse in (duration, size, lambda text: moment_of(text, NOW), lambda text: moment_of(text, NOW, True)):
        found = parsed(parse, text)
        assert not isinstance(found, str) or repr(text) in found


def test_a_duration_within_bounds() -> None:
    parse = duration_within("0.1s", "1d")
    assert [parse(text) for text in ("0.1s", "0.1", "86400", "1d", "24h")] == [
        0.1,
        0.1,
        86_400,
        86_400,
        86_400,
    ]
    for text in ("0", "99ms", "86401", "nan", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"is no duration from 0\.1s to 1d"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("1K", 1024),
        ("140M", 140 << 20),
        ("140m", 140 << 20),
        ("1G", 1 << 30),
        ("1GiB", 1 << 30),
        ("1gb", 1 << 30),
        ("1.5G", 3 << 29),
        ("1T", 1 << 40),
        ("7E", 7 << 60),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)
def test_a_size_is_bytes_or_a_power_of_1024(text: str, found: int) -> None:
    assert size(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "G", "-1G", "1 G", "1.5", "1.5B", "nan", "1e9", "1_0", "1X", "8E", "٣", "9" * 400, "1Gi", "1\n"],
)
def test_what_is_no_size_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no size: give bytes, or a number with K, M, G"):
        size(text)


@given(st.integers(0, 1023), st.sampled_from("KMGTP"))
def test_a_size_with_a_unit_is_that_many_of_it(number: int, unit: str) -> None:
    assert size(f"{number}{unit}") == number * 1024 ** ("KMGTP".index(unit) + 1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20:55", "2026-05-31T20:55Z"),
        ("21:00", "2026-05-31T21:00Z"),
        ("21:01", "2026-05-30T21:01Z"),
        ("9:05", "2026-05-31T09:05Z"),
        ("20:55:30", "2026-05-31T20:55:30Z"),
        ("-10m", "2026-05-31T20:50Z"),
        ("-1d12h", "2026-05-30T09:00Z"),
        ("-90", "2026-05-31T20:58:30Z"),
        ("now", "2026-05-31T21:00Z"),
        ("2026-05-31T20:55:00Z", "2026-05-31T20:55Z"),
        ("2026-05-31t20:55:00.25z", "2026-05-31T20:55:00.250Z"),
        ("2026-05-31T20:55:00+02:00", "2026-05-31T18:55Z"),
        ("2026-05-31 20:55", "2026-05-31T20:55Z"),
        ("2026-05-31", "2026-05-31T00:00Z"),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00Z"),
    ],
)
def test_a_moment(text: str, found: str) -> None:
    assert moment_of(text, NOW, zone=UTC) == utc(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20:55", "2026-06-01T20:55Z"),
        ("21:00", "2026-06-01T21:00Z"),
        ("21:01", "2026-05-31T21:01Z"),
        ("+10m", "2026-05-31T21:10Z"),
        ("10m", "2026-05-31T21:10Z"),
        ("2026-06-01", "2026-06-01T00:00Z"),
    ],
)
def test_a_moment_to_come(text: str, found: str) -> None:
    assert moment_of(text, NOW, coming=True, zone=UTC) == utc(found)


@pytest.mark.parametrize("text", ["now", "-1s", "2026-05-31", "2026-05-31T21:00:00Z", "+0s"])
def test_what_is_to_come_is_not_past(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is past: give a time that is still to come"):
        moment_of(text, NOW, coming=True, zone=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24:00",
        "12:60",
        "12:00:60",
        "1:2",
        "noon",
        "10m",
        "--10m",
        "-",
        "2026-13-01",
        "2026-02-30",
        "20260531",
        "2026-05-31T25:00:00Z",
        "2026-W22-7",
        "2026-05-31T20:55:00+25:00",
        "-1y",
        "٢٠:٥٥",
        "20:55\n",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_what_is_no_time_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"is no time: give one as 20:55 \(local time\), -10m"
    ):
        moment_of(text, NOW, zone=UTC)


def test_local_time_is_the_systems_or_the_one_that_is_given() -> None:
    assert moment_of("20:55", NOW, zone=BERLIN) == utc("2026-05-31T18:55Z")
    assert moment_of("23:30", NOW, zone=BERLIN) == utc("2026-05-30T21:30Z")  # it is 23:00 in Berlin
    assert moment_of("2026-01-05 12:00", NOW, zone=BERLIN) == utc("2026-01-05T11:00Z")
    here = NOW.astimezone().replace(hour=12, minute=0)
    assert moment_of(here.strftime("%Y-%m-%dT12:00"), NOW) == here.astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("2026-10-25T00:45Z", "2026-10-25T00:30Z"),  # 02:45, summer time
        ("2026-10-25T01:15Z", "2026-10-25T00:30Z"),  # 02:15, an hour later
        ("2026-10-25T01:45Z", "2026-10-25T01:30Z"),  # 02:45 for the second time
    ],
)
def test_the_hour_that_clocks_show_twice(now: str, found: str) -> None:
    assert moment_of("02:30", utc(now), zone=BERLIN) == utc(found)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.integers(-14, 14),
    st.booleans(),
)
def test_a_time_of_the_clock_is_within_a_day(now: datetime, time: object, hours: int, coming: bool) -> None:
    zone = timezone(timedelta(hours=hours))
    found = moment_of(f"{time:%H:%M:%S}", now, coming, zone)
    assert f"{found.astimezone(zone):%H:%M:%S}" == f"{time:%H:%M:%S}"
    wait = found - now if coming else now - found
    assert timedelta(0) <= wait <= timedelta(days=1)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_rfc_3339_is_read_as_it_is_written(moment: datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment_of(moment.isoformat(timespec="microseconds"), NOW) == moment
