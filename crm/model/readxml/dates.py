"""Moments and durations of ISO 8601 as date expressions write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from crm.model.rules import Duration

_ORDINAL = re.compile(r"(\d{4})-?(\d{3})(?=[T ]|$)")
_ZONE_WITH_BLANK = re.compile(r"\s+(?=[+-]\d\d:?\d\d$|Z$)")


def moment(text: str) -> datetime:
    """Read a moment: calendar, week or ordinal date, with or without a time and a zone.

    Without a zone it is UTC.
    Raises: ValueError if the text is no such moment.
    """
    word = _ZONE_WITH_BLANK.sub("", text.strip())
    if match := _ORDINAL.match(word):
        year, day = int(match[1]), int(match[2])
        if not 1 <= day <= 366:
            raise ValueError(f"'{text}' has no day {day}")
        date = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
        word = date.strftime("%Y-%m-%d") + word[match.end() :]
    try:
        found = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError(f"'{text}' is no date: expected such as 2026-11-21 08:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def duration(fields: dict[str, str]) -> Duration:
    """Read the attributes of a `<duration>`.

    Raises: ValueError if a field is no number or the sum is out of range.
    """
    units = ("weeks", "days", "hours", "minutes", "seconds")
    try:
        rest = timedelta(**{unit: int(fields.get(unit, "0")) for unit in units})
    except OverflowError:
        raise ValueError("the duration is too long") from None
    return Duration(int(fields.get("years", "0")), int(fields.get("months", "0")), rest)
