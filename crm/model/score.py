"""Scores: integers that stop at plus and minus INFINITY.

-INFINITY wins over +INFINITY, and a finite sum that reaches an end stays there.
Source: docs/scheduler/scores.md.
"""

from __future__ import annotations

from typing import NewType

Score = NewType("Score", int)

INFINITY = Score(1_000_000)
MINUS_INFINITY = Score(-1_000_000)
ZERO = Score(0)

_WORDS = {
    "infinity": INFINITY,
    "+infinity": INFINITY,
    "inf": INFINITY,
    "+inf": INFINITY,
    "-infinity": MINUS_INFINITY,
    "-inf": MINUS_INFINITY,
    "red": MINUS_INFINITY,
    "yellow": ZERO,
    "green": ZERO,
}


def limit(value: int) -> Score:
    """Clamp a number to the range of scores."""
    return Score(max(MINUS_INFINITY, min(INFINITY, value)))


def add(left: Score, right: Score) -> Score:
    """Add two scores; an infinite one wins, the negative infinite one always."""
    if MINUS_INFINITY in (left, right):
        return MINUS_INFINITY
    if INFINITY in (left, right):
        return INFINITY
    return limit(left + right)


def parse(text: str) -> Score:
    """Read a score as the CIB writes it: an integer, INFINITY in any case, or a colour.

    Raises: ValueError if the text is none of these.
    """
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    return limit(int(word))


def text(score: Score) -> str:
    """Write a score as the CIB does."""
    if score >= INFINITY:
        return "INFINITY"
    if score <= MINUS_INFINITY:
        return "-INFINITY"
    return str(score)
