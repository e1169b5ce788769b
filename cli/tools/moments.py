"""Moments, durations and periods as people write them in ISO 8601, by the calendar.

Responsible for reading them strictly, for adding a duration to a moment month by month, and for
writing both. Not for the durations of the CIB in milliseconds (`crm.plumbing.durations`).

Source: ISO 8601; tools.md section 2, iso8601.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import NamedTuple

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-?W(?P<week>\d\d)-?0?(?P<weekday>\d)|-(?P<ordinal>\d{3})"
    r"|-(?P<month>\d\d?)(?:-(?P<day>\d\d?))?|(?P<m>\d\d)(?P<d>\d\d)|(?P<days>\d{3}))"
)
_TIME = re.compile(
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,]\d+)?)?)?"
    r"\s*(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?"
)
_DURATION = re.compile(r"P(?P<date>(?:-?\d+[YMWDH])*)(?:T(?P<time>(?:-?\d+[HMS])*))?", re.ASCII)
_PART = re.compile(r"(?P<number>-?\d+)(?P<unit>[A-Z])", re.ASCII)
_BARE_YEAR = re.compile(r"\d{4}")
_MONTHS_A_YEAR = 12
_MAX_DIGITS = 10


class Duration(NamedTuple):
    """A length of time; how long a month is depends on when it begins."""

    years: int = 0
    months: int = 0
    days: int = 0
    seconds: int = 0

    def negated(self) -> Duration:
        """Turn it around."""
        return Duration(-self.years, -self.months, -self.days, -self.seconds)


def moment(text: str, *, today: date, local: tzinfo) -> datetime:
    """Read a moment. A date without a time is midnight, a time without a date is of today.

    Without a zone it is one of the `local` zone.
    Raises: ValueError if the text is no such moment.
    """
    word = text.strip()
    if word == "epoch":
        return datetime(1970, 1, 1, tzinfo=UTC)
    found = _DATE.match(word)
    rest = word[found.end() :] if found else word
    if found and (not rest or rest[0] in "T "):
        clock = rest[1:].strip()
        return _at(_date(found), clock, text, local) if clock else _midnight(found, local)
    if _BARE_YEAR.fullmatch(word):
        raise ValueError(f"'{text}' is no date: a year alone, or a time that needs a T before it")
    return _at(today, word.removeprefix("T"), text, local)


def _midnight(found: re.Match[str], local: tzinfo) -> datetime:
    return datetime.combine(_date(found), time(), local)


def _date(found: re.Match[str]) -> date:
    year = int(found["year"])
    if found["week"]:
        return date.fromisocalendar(year, int(found["week"]), int(found["weekday"]))
    if ordinal := found["ordinal"] or found["days"]:
        day = int(ordinal)
        if not 1 <= day <= 365 + calendar.isleap(year):
            raise ValueError(f"{year} has no day {day}")
        return date(year, 1, 1) + timedelta(days=day - 1)
    return date(year, int(found["month"] or found["m"]), int(found["day"] or found["d"] or 1))


def _at(day: date, word: str, text: str, local: tzinfo) -> datetime:
    found = _TIME.fullmatch(word)
    if found is None:
        raise ValueError(f"'{text}' is no date: expected such as 2026-11-21 08:00:00Z")
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    zone = _zone(found["zone"]) if found["zone"] else local
    if (hour, minute, second) == (24, 0, 0):
        return datetime.combine(day + timedelta(days=1), time(), zone)
    return datetime.combine(day, time(hour, minute, second), zone)


def _zone(word: str) -> tzinfo:
    if word == "Z":
        return UTC
    hours, minutes = int(word[1:3]), int(word[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"'{word}' is no zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if word[0] == "-" else offset)


def duration(text: str) -> Duration:
    """Read a duration such as P1Y2M3DT4H5M6S; each number may be negative, in any order.

    Of a unit that is given twice the last number counts. Hours may stand before the T too.

    Raises: ValueError if the text is no such duration.
    """
    found = _DURATION.fullmatch(text.strip())
    words: dict[str, str] = {}
    if found is not None:
        for part in ("date", "time"):
            for word in _PART.finditer(found[part] or ""):
                words[f"{part} {word['unit']}"] = word["number"]
    if found is None or text.strip() == "P" or any(len(w) > _MAX_DIGITS for w in words.values()):
        raise ValueError(f"'{text}' is no duration: expected such as P1M or PT90S")
    number = {unit: int(word) for unit, word in words.items()}
    hours = number.get("date H", 0) + number.get("time H", 0)
    return Duration(
        number.get("date Y", 0),
        number.get("date M", 0),
        number.get("date W", 0) * 7 + number.get("date D", 0),
        hours * 3600 + number.get("time M", 0) * 60 + number.get("time S", 0),
    )


def period(text: str, *, now: datetime, local: tzinfo) -> tuple[datetime, datetime]:
    """Read a period: two moments, or one and a duration, with a slash between them.

    A duration alone begins `now`.

    Raises: ValueError if the text is no such period.
    """
    today = now.date()
    first, slash, second = text.partition("/")
    if first.startswith("P") and not slash:
        return now, add(now, duration(first))
    if not slash or not first or not second:
        raise ValueError(f"'{text}' is no period: expected a slash between two of its parts")
    if first.startswith("P"):
        end = moment(second, today=today, local=local)
        return add(end, duration(first).negated()), end
    start = moment(first, today=today, local=local)
    if second.startswith("P"):
        return start, add(start, duration(second))
    return start, moment(second, today=today, local=local)


def add(start: datetime, length: Duration) -> datetime:
    """Go on by a duration: years and months by the calendar, then days and seconds.

    A day the month does not have becomes its last one.
    Raises: ValueError if that is out of the calendar.
    """
    months = start.month - 1 + length.months + (start.year + length.years) * _MONTHS_A_YEAR
    year, month = divmod(months, _MONTHS_A_YEAR)
    if not 1 <= year <= 9999:
        raise ValueError(f"the year {year} is out of the calendar")
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    try:
        return start.replace(year=year, month=month + 1, day=day) + timedelta(
            days=length.days, seconds=length.seconds
        )
    except OverflowError:
        raise ValueError("the duration leads out of the calendar") from None


# --- writing ------------------------------------------------------------------------------------


def clock_text(when: datetime) -> str:
    """Write the time of day with its zone."""
    offset = when.utcoffset() or timedelta()
    if not offset:
        return f"{when:%H:%M:%S}Z"
    sign, size = ("-", -offset) if offset < timedelta() else ("+", offset)
    hours, minutes = divmod(int(size.total_seconds()) // 60, 60)
    return f"{when:%H:%M:%S} {sign}{hours:02d}:{minutes:02d}"


def calendar_text(when: datetime) -> str:
    """Write a moment with its month and day."""
    return f"{when.date().isoformat()} {clock_text(when)}"


def ordinal_text(when: datetime) -> str:
    """Write a moment with the day of its year."""
    return f"{when.year}-{when.timetuple().tm_yday:03d} {clock_text(when)}"


def week_text(when: datetime) -> str:
    """Write a moment with its week and day of the week."""
    iso = when.isocalendar()
    return f"{iso.year}-W{iso.week:02d}-{iso.weekday} {clock_text(when)}"


def duration_text(length: Duration) -> str:
    """Write a duration in words; more than a minute is also taken apart."""
    parts = [
        _count(number, unit)
        for number, unit in ((length.years, "year"), (length.months, "month"), (length.days, "day"))
        if number
    ]
    if length.seconds or not parts:
        parts.append(_count(length.seconds, "second"))
    inner = _apart(abs(length.seconds))
    return " ".join(parts) + (f" ({inner})" if inner else "")


def _apart(seconds: int) -> str:
    if seconds < 60:
        return ""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    units = ((hours, "hour"), (minute, "minute"), (second, "second"))
    return " ".join(_count(number, unit) for number, unit in units if number)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
