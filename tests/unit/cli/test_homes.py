"""What a node holds, in the words of haresources, by the configuration made from it."""

from __future__ import annotations

import pytest

from cli.homes import HEAPS, Line, exchanged, given_by, held_by

OURS = Line("ours", "a", ("a",))
THEIRS = Line("theirs", "b", ("b",))
LENT = Line("lent", "a", ("b",))
GUEST = Line("guest", "b", ("a",))
IDLE = Line("idle", "a")


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ([], "none"),
        ([THEIRS, LENT, IDLE], "none"),
        ([OURS], "local"),
        ([OURS, LENT], "local"),
        ([GUEST], "foreign"),
        ([Line("homeless", "", ("a",))], "foreign"),
        ([OURS, GUEST], "all"),
        ([Line("twice", "a", ("a", "b"))], "local"),
    ],
)
def test_what_runs_here_is_named_by_its_home(lines: list[Line], held: str) -> None:
    assert held_by("a", lines) == held


@pytest.mark.parametrize(
    ("heap", "given"), [("all", ["ours", "guest"]), ("local", ["ours"]), ("foreign", ["guest"])]
)
def test_only_what_runs_here_is_given(heap: str, given: list[str]) -> None:
    lines = [OURS, THEIRS, LENT, GUEST, IDLE]

    assert [line.id for line in given_by("a", heap, lines)] == given


def test_what_is_ours_is_foreign_to_the_other() -> None:
    assert [exchanged(heap) for heap in HEAPS] == ["all", "foreign", "local", "local"]
