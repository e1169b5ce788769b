"""Inputs made from others by small damage: thousands a second, where a strategy gives hundreds.

Responsible for damaging what hypothesis has made (bytes, texts, lists and tuples of them; messages
are left whole) and for making a damaged input small again. Not for keeping those that reach new
code: the decoders are small, and what hypothesis makes is in their form already.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

MOST_SAMPLES = 500
_ODD_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xC0, 0xC1, 0xDC, 0xDF, 0xFF)
_ODD_CHARACTERS = "\0\n\t #:*-/\u00e9\u0661\ufeff\udc80"


class Samples:
    """Inputs that were tried, a fair choice of all of them, to make others from."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._kept: list[Any] = []  # Any: each target has inputs of its own kind
        self._seen = 0

    def keep(self, value: Any) -> None:
        """Take in an input; each one seen so far has the same chance to be kept."""
        self._seen += 1
        if len(self._kept) < MOST_SAMPLES:
            self._kept.append(value)
        elif (place := self._rng.randrange(self._seen)) < MOST_SAMPLES:
            self._kept[place] = value

    def mutant(self) -> Any:
        """One of them, damaged in one to four places."""
        value = self._rng.choice(self._kept)
        for _ in range(self._rng.randint(1, 4)):
            value = _damaged(value, self._rng.choice(self._kept), self._rng)
        return value


# Any: what is damaged is of any kind, and stays of that kind.
def _damaged(value: Any, other: Any, rng: random.Random) -> Any:
    match value:
        case bytes():
            odd = bytes([rng.choice(_ODD_BYTES) if rng.random() < 0.5 else rng.randrange(256)])
            if value and rng.random() < 0.3:
                at = rng.randrange(len(value))
                flipped = bytes([value[at] ^ 1 << rng.randrange(8)])
                return value[:at] + flipped + value[at + 1 :]
            return _spliced(value, other if isinstance(other, bytes) else b"", odd, rng)
        case str():
            odd = rng.choice(_ODD_CHARACTERS)
            return _spliced(value, other if isinstance(other, str) else "", odd, rng)
        case tuple() if value:
            at = rng.randrange(len(value))
            partner = other[at] if isinstance(other, tuple) and len(other) > at else None
            return (*value[:at], _damaged(value[at], partner, rng), *value[at + 1 :])
        case list() if value and rng.random() < 0.8:
            at = rng.randrange(len(value))
            partner = rng.choice(other) if isinstance(other, list) and other else None
            return [*value[:at], _damaged(value[at], partner, rng), *value[at + 1 :]]
        case list():
            return _spliced(value, other if isinstance(other, list) else [], value[:1], rng)
    return value


def _spliced(value: Any, other: Any, odd: Any, rng: random.Random) -> Any:
    """A part cut out, doubled, replaced by an odd one, or by a part of another input."""
    begin = rng.randint(0, len(value))
    end = min(len(value), begin + rng.choice((0, 1, 1, 2, 4, 8, 32)))
    first = rng.randint(0, len(other))
    foreign = other[first : first + rng.choice((1, 2, 4, 8, 32))]
    part = rng.choice((value[:0], value[begin:end] * 2, odd, odd * rng.choice((2, 8)), foreign))
    return value[:begin] + part + value[end:]


def smallest(value: Any, fails: Callable[[Any], bool]) -> Any:
    """Leave out of an input what need not be there for it to fail."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(value):
            if fails(candidate):
                value, is_smaller = candidate, True
                break
    return value


def _smaller(value: Any) -> Iterator[Any]:
    if isinstance(value, bytes | str | list):
        yield from _without_a_part(value)
    if isinstance(value, tuple | list):
        for at, inner in enumerate(value):
            for less in _smaller(inner):
                yield type(value)([*value[:at], less, *value[at + 1 :]])


def _without_a_part(value: Sequence[Any]) -> Iterator[Any]:
    size = len(value)
    while size:
        for at in range(0, len(value), size):
            yield value[:at] + value[at + size :]  # type: ignore[operator]  # of one kind
        size //= 2
