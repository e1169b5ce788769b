"""Lengths of time as people write them, as milliseconds, and back.

The only place where units are converted. Two grammars exist, because two eras wrote files: the
CRM's (`10` = seconds, `5s`, `1min`, `500ms`, ISO 8601 `PT5M`) and Heartbeat's (`1500ms`, `1.5`,
`2`; section 2 of the ha.cf rules).
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*\Z", re.ASCII | re.IGNORECASE)
_ISO = re.compile(
    r"\s*P(?:(?P<W>\d+)W)?(?:(?P<D>\d+)D)?"
    r"(?:T(?:(?P<H>\d+)H)?(?:(?P<M>\d+)M)?(?:(?P<S>\d+(?:[.,]\d+)?)S)?"
    r"|(?P<h>\d+)H|(?P<s>\d+)S)?\s*\Z",  # published inputs have P10S, which can mean but one thing
    re.ASCII,
)
_ISO_MS = {
    "W": 604_800_000,
    "D": 86_400_000,
    "H": 3_600_000,
    "M": 60_000,
    "S": 1000,
    "h": 3_600_000,
    "s": 1000,
}

_CRM_UNITS = {
    "": Fraction(1000),
    "s": Fraction(1000),
    "sec": Fraction(1000),
    "ms": Fraction(1),
    "msec": Fraction(1),
    "us": Fraction(1, 1000),
    "usec": Fraction(1, 1000),
    "m": Fraction(60_000),
    "min": Fraction(60_000),
    "h": Fraction(3_600_000),
    "hr": Fraction(3_600_000),
}
_HEARTBEAT_UNITS = {unit: _CRM_UNITS[unit] for unit in ("", "s", "ms", "us")}

MAX_MS = 2**53
"""No duration is longer; a larger number is a slip of the keyboard."""


def parse_ms(text: str) -> int:
    """Read a duration of the CIB: `10`, `5s`, `20s`, `1min`, `2h`, `500ms`, `PT5M`.

    Units: the result is whole milliseconds (fractions are cut off).
    Raises: ValueError that quotes the text and says what was expected.
    """
    if text.lstrip()[:1] == "P":
        return _parse_iso_ms(text)
    return _parse(text, _CRM_UNITS, "a number with s, ms, us, min or h, or ISO 8601 as in PT5M")


def parse_heartbeat_ms(text: str) -> int:
    """Read a duration of ha.cf: a number, then nothing (seconds), `s`, `ms` or `us`.

    Units: the result is whole milliseconds (fractions are cut off).
    Raises: ValueError that quotes the text and says what was expected.
    """
    return _parse(text, _HEARTBEAT_UNITS, "a number of seconds, or one with ms or us")


def text(duration_ms: int) -> str:
    """Write a duration as briefly as it is exact: `2h`, `5min`, `20s`, `1500ms`, `0s`."""
    if duration_ms and duration_ms % 3_600_000 == 0:
        return f"{duration_ms // 3_600_000}h"
    if duration_ms and duration_ms % 60_000 == 0:
        return f"{duration_ms // 60_000}min"
    if duration_ms % 1000 == 0:
        return f"{duration_ms // 1000}s"
    return f"{duration_ms}ms"


def seconds(duration_ms: int) -> float:
    """Turn milliseconds into clock arithmetic."""
    return duration_ms / 1000


def milliseconds(duration_s: float) -> int:
    """Turn clock arithmetic into whole milliseconds, to the nearest."""
    return round(duration_s * 1000)


def _parse(written: str, units: dict[str, Fraction], expected: str) -> int:
    match = _NUMBER.match(written)
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"'{written}' is not a duration (expected {expected})")
    return _bounded(Fraction(match[1]) * factor, written)


def _parse_iso_ms(written: str) -> int:
    match = _ISO.match(written)
    parts = {unit: value for unit, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise ValueError(f"'{written}' is not a duration (expected ISO 8601 as in P1DT12H or PT5M)")
    total = sum(
        (Fraction(value.replace(",", ".")) * _ISO_MS[unit] for unit, value in parts.items()),
        Fraction(0),
    )
    return _bounded(total, written)


def _bounded(total: Fraction, written: str) -> int:
    if total > MAX_MS:
        raise ValueError(f"'{written}' is longer than any duration can be")
    return int(total)
