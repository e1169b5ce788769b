"""Flattening attribute sets."""

from __future__ import annotations

from crm.model.resources import AttributeSet
from pengine.facts.values import flatten, situation
from tests.kit.pengine import NOW


def flat(*sets: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return flatten([AttributeSet(f"s{n}", pairs) for n, pairs in enumerate(sets)], situation(NOW))


def test_an_earlier_set_hides_a_later_one() -> None:
    assert flat((("a", "1"),), (("a", "2"), ("b", "3"))) == {"a": "1", "b": "3"}


def test_the_default_is_no_value_and_takes_an_earlier_one_back() -> None:
    assert flat((("a", "#default"), ("b", "1")), (("b", "#default"),)) == {}
