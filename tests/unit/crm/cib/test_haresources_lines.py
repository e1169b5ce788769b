"""How the text of a haresources file falls into lines, names and special comments."""

from __future__ import annotations

import pytest

from crm.cib.haresources_lines import Colocation, Line, Order, read, read_as_of_old
from crm.plumbing.errors import Problem


def items(text: str) -> list[Line | Order | Colocation]:
    return [item for item in read(text) if not isinstance(item, Problem)]


def complaints(text: str) -> list[tuple[str, str]]:
    return [(item.code, item.subject) for item in read(text) if isinstance(item, Problem)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n\n  \n\t\n", []),
        ("# a remark\n   # another\n", []),
        ("a b\n", [Line(1, ("a", "b"))]),
        ("a b", [Line(1, ("a", "b"))]),
        ("a\tb   c\n", [Line(1, ("a", "b", "c"))]),
        ("  a b\n", [Line(1, ("a", "b"))]),
        ("a b\r\nc d\r\n", [Line(1, ("a", "b")), Line(2, ("c", "d"))]),
        ("\ufeffa b\n", [Line(1, ("a", "b"))]),
        ("a b # a remark\n", [Line(1, ("a", "b"))]),
        ("a b #glued to its word\n", [Line(1, ("a", "b"))]),
        ("a b#c\n", [Line(1, ("a", "b"))]),
        ("a b #\n", [Line(1, ("a", "b"))]),
        ("a b #web\n", [Line(1, ("a", "b"), "web")]),
        ("a b c #web\n", [Line(1, ("a", "b", "c"), "web")]),
        ("a b #clone:c\n", [Line(1, ("a", "b"), "clone:c")]),
        ("a b #clone:\n", [Line(1, ("a", "b"), "clone:")]),
        ("a \\\nb \\\nc\n", [Line(1, ("a", "b", "c"))]),
        ("a\\\nb\n", [Line(1, ("a", "b"))]),
        ("a \\\r\nb\r\n", [Line(1, ("a", "b"))]),
        ("a b \\\n#web\n", [Line(1, ("a", "b"), "web")]),
        ("a b \\", [Line(1, ("a", "b"))]),
        ("a \\\n\nb c\n", [Line(3, ("b", "c"))]),
        ("a b # x \\\nc d\n", [Line(1, ("a", "b")), Line(2, ("c", "d"))]),
        ("# x \\\nc d\n", [Line(2, ("c", "d"))]),
        ("\n\na b\n", [Line(3, ("a", "b"))]),
        ("a b\x0bc\n", [Line(1, ("a", "b", "c"))]),
        ("caf\u00e9 b\n", [Line(1, ("caf\u00e9", "b"))]),
        ("a b # caf\udce9\n", [Line(1, ("a", "b"))]),
    ],
)
def test_a_text_falls_into_logical_lines(text: str, expected: list[Line]) -> None:
    assert items(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n", ("unreadable-line", "haresources:1")),
        ("b c\na # x\n", ("unreadable-line", "haresources:2")),
        ("a \\\n\n", ("unreadable-line", "haresources:1")),
        ("a \\  \nb\n", ("blank-after-backslash", "haresources:1")),
        ("a caf\udce9\n", ("unreadable-line", "haresources:1")),
        ("a b\x00\n", ("unreadable-line", "haresources:1")),
        ("a b #caf\udce9\n", ("unreadable-line", "haresources:1")),
        ("#rsc_order a\udce9 start before b\n", ("unreadable-line", "haresources:1")),
        ("#rsc_order\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_order a start b\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_order a start sideways b\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_order a dance before b\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_order a start before b c\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_orders a start before b\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_colocation a b\n", ("unreadable-comment", "haresources:1")),
        ("#rsc_colocation a b much\n", ("unreadable-comment", "haresources:1")),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(
    text: str, expected: tuple[str, str]
) -> None:
    assert expected in complaints(text)
    assert all(item.hint for item in read(text) if isinstance(item, Problem))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#rsc_order a start before b\n", Order(1, "a", "start", "before", "b")),
        ("  #rsc_order a promote after b\n", Order(1, "a", "promote", "after", "b")),
        ("#rsc_order a stop before b # why\n", Order(1, "a", "stop", "before", "b")),
        ("#rsc_colocation a b 100\n", Colocation(1, "a", "b", "100")),
        ("#rsc_colocation a b -INFINITY\n", Colocation(1, "a", "b", "-INFINITY")),
        ("#rsc_colocation a b infinity #x\n", Colocation(1, "a", "b", "infinity")),
    ],
)
def test_two_comments_say_something(text: str, expected: Order | Colocation) -> None:
    assert items(text) == [expected]


def test_a_comment_with_a_blank_before_its_word_is_a_remark() -> None:
    assert list(read("# rsc_order a start before b\n")) == []


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a b # the web\n", ("a", "b", "#", "the", "web")),
        ("#rsc_order a sideways\n", ("#rsc_order", "a", "sideways")),
        ("a \\\nb\n", ("a", "b")),
    ],
)
def test_the_historic_reader_takes_remarks_for_fields(text: str, fields: tuple[str, ...]) -> None:
    assert [item.fields for item in read_as_of_old(text) if isinstance(item, Line)] == [fields]
