"""The judge of a worn cluster finds what it is there to find."""

from __future__ import annotations

from tests.durability import verdict
from tests.durability.copies import differing
from tests.durability.writers import Fate, Write, slot_of


def acknowledged(number: int, epoch: int, writer: str = "a") -> Write:
    return Write(writer, number, Fate.ACKNOWLEDGED, "OK: ", 0.1, (0, epoch))


def test_a_later_write_to_the_same_slot_stands_for_the_earlier_ones() -> None:
    writes = [acknowledged(1, 10), acknowledged(6, 11)]
    assert slot_of("a", 1) == slot_of("a", 6)
    assert verdict.lost(writes, {"durable-a-1": 6}, "n1") == []
    assert verdict.lost(writes, {"durable-a-1": 11}, "n1") == [], "one of unknown fate came after"


def test_an_acknowledged_write_that_is_not_there_is_lost() -> None:
    writes = [acknowledged(1, 10), acknowledged(6, 11)]
    (older,) = verdict.lost(writes, {"durable-a-1": 1}, "n1")
    assert "durable-a-1 is 1, a-6 was acknowledged as 0.11" in older
    (absent,) = verdict.lost(writes, {}, "n1")
    assert "not there" in absent


def test_a_refused_write_must_be_neither_in_the_configuration_nor_in_a_history() -> None:
    writes = [Write("a", 7, Fate.REFUSED, "NOT_READY: no DC", 0.1)]
    assert verdict.made_although_refused(writes, {"durable-a-2": 6}, ["a-6"], "n1") == []
    for slots, reasons in (({"durable-a-2": 7}, []), ({}, ["a-7"])):
        (finding,) = verdict.made_although_refused(writes, slots, reasons, "n1")
        assert "a-7 is there, but was refused: NOT_READY" in finding


def test_a_version_that_two_writes_have_is_a_fork() -> None:
    writes = [acknowledged(1, 10), acknowledged(1, 10, writer="b")]
    assert verdict.forked(writes, {}) == ["0.10 was acknowledged to a-1 and b-1"]


def test_a_version_that_a_history_has_from_another_write_is_a_fork() -> None:
    writes = [acknowledged(1, 10)]
    assert verdict.forked(writes, {"n1": {(0, 10): "a-1", (0, 11): "b-1"}}) == []
    assert verdict.forked(writes, {"n1": {(0, 10): "took over the copy of n2, which"}}) == []
    (finding,) = verdict.forked(writes, {"n1": {(0, 10): "b-1"}})
    assert "n1 has 0.10 made by 'b-1', acknowledged to a-1" in finding


def test_nodes_with_another_digest_are_named() -> None:
    same = [("n1", "0.10", "x"), ("n2", "0.10", "x")]
    assert differing(same) == []
    assert differing([*same, ("n3", "0.10", "y")]) == ["n3 has 0.10 y, n1 has 0.10 x"]
