"""Rules: what they compare, and when they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.model.rules import (
    AttributeExpression,
    Combination,
    Comparison,
    DateExpression,
    DateSpecification,
    Duration,
    Rule,
    Situation,
    ValueKind,
    ValueSource,
    holds,
    next_change,
)

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def judge(*conditions, how: Combination = Combination.AND, **attributes: str) -> bool:  # type: ignore[no-untyped-def]
    return holds(Rule("r", how, conditions), Situation(NOW, attributes))


def attribute(comparison: str, value: str = "", kind: str = "") -> AttributeExpression:
    return AttributeExpression("e", "x", Comparison(comparison), value, ValueKind(kind))


def test_a_rule_without_conditions_holds() -> None:
    assert judge()


@pytest.mark.parametrize(
    ("comparison", "value", "kind", "actual", "expected"),
    [
        ("eq", "a", "", "A", True),
        ("ne", "a", "", "b", True),
        ("lt", "10", "", "9", True),
        ("lt", "10", "string", "9", False),
        ("gte", "1.5", "number", "1.50", True),
        ("lt", "1.10", "version", "1.9", True),
        ("lte", "0", "", "0", True),
        ("eq", "2.9", "integer", "2.1", True),
        ("gt", "word", "integer", "apple", False),
    ],
)
def test_values_are_compared_by_their_kind(
    comparison: str, value: str, kind: str, actual: str, expected: bool
) -> None:
    assert judge(attribute(comparison, value, kind), x=actual) is expected


def test_an_attribute_that_is_missing_is_only_unequal_and_not_defined() -> None:
    assert judge(attribute("not_defined"))
    assert judge(attribute("ne", "1"))
    assert not judge(attribute("defined"))
    assert not judge(attribute("lt", "1"))
    assert not judge(attribute("eq", ""))


def test_or_needs_one_and_rules_nest() -> None:
    inner = Rule("i", Combination.OR, (attribute("eq", "1"), attribute("eq", "2")))
    assert judge(inner, attribute("defined"), x="2")
    assert not judge(inner, attribute("defined"), x="3")


def test_conditions_on_nodes_are_false_where_no_node_is_in_question() -> None:
    assert not holds(Rule("r", conditions=(attribute("not_defined"),)), Situation(NOW))


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("hours", "8-17", True),
        ("weekdays", "6", True),
        ("weekdays", "1-5", False),
        ("years", "2025-", True),
        ("months", "-10", False),
        ("yeardays", "325", True),
        ("hours", "late", False),
    ],
)
def test_a_date_specification_reads_calendar_fields(field: str, text: str, expected: bool) -> None:
    spec = DateExpression("d", "date_spec", specification=DateSpecification(((field, text),)))
    assert judge(spec) is expected


def test_a_range_may_be_open_or_a_duration() -> None:
    hour = timedelta(hours=1)
    assert judge(DateExpression("d", "in_range", start=NOW - hour))
    assert judge(DateExpression("d", "in_range", end=NOW + hour))
    assert judge(
        DateExpression("d", "in_range", start=NOW - hour, duration=Duration(rest=2 * hour))
    )
    assert not judge(
        DateExpression("d", "in_range", start=NOW - 2 * hour, duration=Duration(rest=hour))
    )
    assert judge(DateExpression("d", "gt", start=NOW - hour))
    assert not judge(DateExpression("d", "lt", end=NOW - hour))
    assert not judge(DateExpression("d", "in_range"))


def test_a_month_is_as_long_as_the_month_it_begins_in() -> None:
    january = datetime(2028, 1, 31, 12, tzinfo=UTC)
    assert Duration(months=1).after(january) == datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert Duration(years=1, months=13, rest=timedelta(days=1)).after(january) == datetime(
        2030, 3, 1, 12, tzinfo=UTC
    )


def test_what_is_missing_equals_what_is_missing() -> None:
    wanted = AttributeExpression("e", "x", Comparison.EQUAL, "y", source=ValueSource.PARAMETER)
    rule = Rule("r", conditions=(wanted,))
    assert holds(rule, Situation(NOW, {}))
    assert not holds(rule, Situation(NOW, {"x": "1"}))
    assert holds(rule, Situation(NOW, {"x": "1"}, {"y": "1"}))


def test_names_of_attributes_may_hold_what_a_pattern_matched() -> None:
    rule = Rule("r", conditions=(AttributeExpression("e", "at-%1", Comparison.DEFINED),))
    assert holds(rule, Situation(NOW, {"at-3": ""}, matches=("web3", "3")))
    assert not holds(rule, Situation(NOW, {"at-3": ""}, matches=("web4", "4")))


def test_a_rule_without_conditions_fails_where_one_would_be_enough() -> None:
    assert not judge(how=Combination.OR)


def test_the_next_change_is_the_earliest_bound_ahead() -> None:
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    rule = Rule(
        "r",
        conditions=(
            DateExpression("a", "in_range", start=NOW - hour, end=NOW + 2 * hour),
            Rule("i", conditions=(DateExpression("b", "gt", start=NOW + hour),)),
        ),
    )
    assert next_change(rule, Situation(NOW)) == NOW + hour + second
    assert next_change(rule, Situation(NOW + 3 * hour)) is None
    before = Rule("r", conditions=(DateExpression("c", "lt", end=NOW + hour),))
    assert next_change(before, Situation(NOW)) == NOW + hour


def test_what_is_not_read_any_more_changes_nothing() -> None:
    hour = timedelta(hours=1)
    later = DateExpression("a", "gt", start=NOW + hour)
    never = AttributeExpression("e", "x", Comparison.DEFINED)
    assert next_change(Rule("r", conditions=(never, later)), Situation(NOW, {})) is None
    assert next_change(Rule("r", Combination.OR, (never, later)), Situation(NOW, {})) is not None


@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_integers_compare_as_integers(left: int, right: int) -> None:
    found = {
        name: judge(attribute(name, str(right), "integer"), x=str(left))
        for name in ("eq", "ne", "lt", "lte", "gt", "gte")
    }
    assert found == {
        "eq": left == right,
        "ne": left != right,
        "lt": left < right,
        "lte": left <= right,
        "gt": left > right,
        "gte": left >= right,
    }
