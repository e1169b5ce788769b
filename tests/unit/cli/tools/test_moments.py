"""Dates, durations and periods, read strictly and added by the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.tools import iso8601, moments
from cli.tools.moments import Duration

TODAY = date(2026, 11, 21)


def read(text: str) -> datetime:
    return moments.moment(text, today=TODAY, local=UTC)


@given(st.datetimes(timezones=st.just(UTC)).map(lambda when: when.replace(microsecond=0)))
def test_every_form_of_a_moment_is_read_as_it_was_written(when: datetime) -> None:
    for write in (moments.calendar_text, moments.ordinal_text, moments.week_text):
        # The two other forms leave zeros before a year out, as the classic tool does.
        if write is moments.calendar_text or 1001 <= when.year < 9999:
            assert read(write(when)) == when


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260115T102030Z", datetime(2026, 1, 15, 10, 20, 30, tzinfo=UTC)),
        ("2026-015", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026-W03-4 10Z", datetime(2026, 1, 15, 10, tzinfo=UTC)),
        ("2019-12-31 24:00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),
        ("10:20", datetime(2026, 11, 21, 10, 20, tzinfo=UTC)),
        ("2026-01-15T10:20:30+0200", datetime(2026, 1, 15, 8, 20, 30, tzinfo=UTC)),
        ("2026-01-15 10:20:30 -05:00", datetime(2026, 1, 15, 15, 20, 30, tzinfo=UTC)),
        ("epoch", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_may_be_written_in_many_ways(text: str, expected: datetime) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "bogus", "2026-02-30", "2025-W53-1", "2026-366", "24:00:01", "10:61",
        "2026-01-15 10:20+25:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_a_month_later_is_the_last_day_where_the_day_is_missing() -> None:
    assert moments.add(read("2009-01-31"), Duration(months=1)) == read("2009-02-28")
    assert moments.add(read("2008-01-31"), Duration(months=1)) == read("2008-02-29")
    assert moments.add(read("2009-03-31"), Duration(months=-1)) == read("2009-02-28")
    assert moments.add(read("2009-01-31"), Duration(months=-1)) == read("2008-12-31")


@given(st.datetimes(max_value=datetime(9000, 1, 1)), st.integers(0, 999), st.integers(0, 10**7))
def test_days_and_seconds_are_added_as_they_are(when: datetime, days: int, seconds: int) -> None:
    start = when.replace(tzinfo=UTC)
    later = moments.add(start, Duration(days=days, seconds=seconds))
    assert later - start == timedelta(days=days, seconds=seconds)


def test_a_duration_that_leads_out_of_the_calendar_is_refused() -> None:
    for length in (Duration(years=9000), Duration(years=-3000), Duration(days=10**9)):
        with pytest.raises(ValueError, match="calendar"):
            moments.add(read("2026-01-01"), length)


@pytest.mark.parametrize(
    "text", ["P", "-P1D", "P1Z", "P1YM", "PT1D", "P1S2", "P99999999999D", "1D"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        moments.duration(text)


def test_the_parts_of_a_duration_stand_in_any_order() -> None:
    assert moments.duration("P1D2Y") == moments.duration("P2Y1D") == Duration(years=2, days=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-1-5", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-15T", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026015", datetime(2026, 1, 15, tzinfo=UTC)),
        ("T2026", datetime(2026, 11, 21, 20, 26, tzinfo=UTC)),
    ],
)
def test_short_forms_of_a_moment(text: str, expected: datetime) -> None:
    assert read(text) == expected


def test_four_digits_alone_are_no_moment() -> None:
    with pytest.raises(ValueError, match="a year alone"):
        read("2026")


def test_of_several_forms_seconds_win(capsys: pytest.CaptureFixture[str]) -> None:
    assert iso8601.main(["-W", "-S", "-s", "-d", "0001-01-02"]) == 0
    assert capsys.readouterr().out == "Date: 86400\n"


def test_a_moment_is_shown_in_its_own_zone_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert iso8601.main(["-L", "-d", "2026-01-15 10:20:30 +02:00"]) == 0
    assert capsys.readouterr().out == "Date: 2026-01-15 10:20:30 +02:00\n"


def test_a_duration_is_written_in_words() -> None:
    assert moments.duration_text(moments.duration("P2Y5MT6M")) == (
        "2 years 5 months 360 seconds (6 minutes)"
    )
    assert moments.duration_text(moments.duration("PT")) == "0 seconds"


def test_a_zone_is_written_with_its_sign() -> None:
    zone = timezone(-timedelta(hours=3, minutes=30))
    assert moments.clock_text(datetime(2026, 1, 1, tzinfo=zone)) == "00:00:00 -03:30"


def test_another_result_than_the_expected_is_exit_code_1() -> None:
    call = ["-d", "2026-01-15T10:20Z", "-E"]
    assert iso8601.main([*call, "2026-01-15 10:20:00Z"]) == 0
    assert iso8601.main([*call, "2026-01-15 10:21:00Z"]) == 1
