"""Reads the text of a haresources file: logical lines and the two special comments.

What a field of a line says is not looked at here (`haresources_fields`).

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

ORDER, COLOCATION = "#rsc_order", "#rsc_colocation"
_ACTIONS = frozenset({"start", "stop", "promote", "demote"})
_TYPES = frozenset({"before", "after"})
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML document can hold; undecodable bytes are among it, as lone surrogates."""

_WRITABLE = "write it in UTF-8, without control characters"


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: its number in the file, its fields, its last field `#NAME` if any."""

    number: int
    fields: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """`#rsc_order FIRST ACTION TYPE SECOND`."""

    number: int
    first: str
    action: str
    when: str
    second: str


@dataclass(frozen=True, slots=True)
class Colocation:
    """`#rsc_colocation FIRST SECOND SCORE`."""

    number: int
    first: str
    second: str
    score: str


Item = Line | Order | Colocation | Problem


def place(number: int) -> str:
    """Name a line for a reader of problems."""
    return f"haresources:{number}"


def is_writable(*words: str) -> bool:
    """Tell whether an XML document can hold these words."""
    return not any(_UNWRITABLE.search(word) for word in words)


def unreadable(number: int, text: str, hint: str) -> Problem:
    """Report a line that is left out, in the words the converter always had."""
    return errors.error("unreadable-line", place(number), f"can not parse this line:{text}", hint)


def read(text: str) -> Iterator[Item]:
    """Read a haresources file; what cannot be read comes as a problem in its place."""
    pending, first_number = "", 0
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        physical = raw.removesuffix("\r")
        if not pending:
            first_number = number
            if physical.lstrip().startswith("#"):
                yield from _read_comment(number, physical.split())
                continue
        stripped = physical.rstrip()
        if stripped.endswith("\\") and "#" not in physical:
            if stripped != physical:
                yield _blank_after_backslash(number)
            pending += stripped[:-1] + " "
            continue
        yield from _read_line(first_number, pending + physical)
        pending = ""
    yield from _read_line(first_number, pending)


def read_as_of_old(text: str) -> Iterator[Item]:
    """Read as the converter of Heartbeat 2.1.3 did: remarks and odd comments are lines too."""
    pending, first_number = "", 0
    for number, physical in enumerate(text.splitlines(), start=1):
        if not pending:
            first_number = number
            if physical.lstrip().startswith("#"):
                for item in _read_comment(number, physical.split()):
                    if isinstance(item, Problem):
                        yield from _read_line(number, physical, keep_remarks=True)
                    else:
                        yield item
                continue
        pending += physical
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        yield from _read_line(first_number, pending, keep_remarks=True)
        pending = ""
    yield from _read_line(first_number, pending, keep_remarks=True)


def _read_line(number: int, text: str, *, keep_remarks: bool = False) -> Iterator[Line | Problem]:
    fields = text.split()
    name = ""
    if fields and fields[-1].startswith("#") and "#" not in "".join(fields[:-1]):
        name = fields.pop()[1:]
    elif not keep_remarks:
        fields = text.partition("#")[0].split()
    if not is_writable(*fields, name):
        yield unreadable(number, _printable(text), _WRITABLE)
    elif len(fields) == 1:
        yield unreadable(number, " ".join(fields), "a line names a node and then its resources")
    elif fields:
        yield Line(number, tuple(fields), name)


def _read_comment(number: int, words: list[str]) -> Iterator[Item]:
    """Read a comment line: two of them say something."""
    if not words[0].startswith((ORDER, COLOCATION)):
        return
    if not is_writable(*words):
        yield unreadable(number, _printable(" ".join(words)), _WRITABLE)
        return
    remark = next((k for k, word in enumerate(words) if k and word.startswith("#")), None)
    match words[:remark]:
        case (word, first, action, when, second) if (
            word == ORDER and action in _ACTIONS and when in _TYPES
        ):
            yield Order(number, first, action, when, second)
        case (word, first, second, score) if word == COLOCATION and _is_score(score):
            yield Colocation(number, first, second, score)
        case _:
            yield errors.warning(
                "unreadable-comment",
                place(number),
                f"can not read '{' '.join(words)}'",
                f"expected: {ORDER} A ACTION before|after B with an action of "
                f"{', '.join(sorted(_ACTIONS))}, or {COLOCATION} A B SCORE",
            )


def _printable(text: str) -> str:
    return _UNWRITABLE.sub("?", text)


def _blank_after_backslash(number: int) -> Problem:
    return errors.warning(
        "blank-after-backslash",
        place(number),
        "a blank follows the backslash; the next line is joined all the same",
        "remove the blank: heartbeat itself would not join the lines",
    )


def _is_score(text: str) -> bool:
    try:
        options.as_score(text)
    except ValueError:
        return False
    return True
