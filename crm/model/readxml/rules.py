"""Reads `<rule>` elements with all their expressions."""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from crm.model import options
from crm.model.readxml import dates
from crm.model.readxml.reader import Reader, children
from crm.model.rules import (
    AttributeExpression,
    Combination,
    Comparison,
    Condition,
    DateExpression,
    DateSpecification,
    OperationExpression,
    ResourceExpression,
    Rule,
    ValueKind,
    ValueSource,
)


def read_rule(reader: Reader, element: etree._Element) -> Rule | None:
    """Read a rule; None if it refers to one that does not exist."""
    found = reader.resolve(element)
    if found is None:
        return None
    conditions = []
    for child in children(found):
        condition = _read_condition(reader, child)
        if condition is not None:
            conditions.append(condition)
    has_score = found.get("score") is not None
    return Rule(
        id=found.get("id", ""),
        combination=(
            Combination.OR
            if found.get("boolean-op", found.get("boolean_op")) == "or"
            else Combination.AND
        ),
        conditions=tuple(conditions),
        score=reader.score(found, options.as_score("0")) if has_score else None,
        score_attribute=found.get("score-attribute", found.get("score_attribute", "")),
        role=found.get("role", ""),
    )


def _read_condition(reader: Reader, element: etree._Element) -> Condition | None:
    match element.tag:
        case "rule":
            return read_rule(reader, element)
        case "expression":
            return _read_attribute_expression(reader, element)
        case "date_expression":
            return _read_date_expression(reader, element)
        case "rsc_expression":
            return ResourceExpression(
                element.get("id", ""),
                element.get("class"),
                element.get("provider"),
                element.get("type"),
            )
        case "op_expression":
            interval = element.get("interval")
            interval_ms = None
            if interval is not None:
                interval_ms = reader.value(
                    interval, element.get("id", "op_expression"), options.as_duration_ms, 0
                )
            return OperationExpression(element.get("id", ""), element.get("name", ""), interval_ms)
        case _:
            return None


def _read_attribute_expression(
    reader: Reader, element: etree._Element
) -> AttributeExpression | None:
    key = element.get("id", "")
    try:
        comparison = Comparison(element.get("operation", ""))
    except ValueError:
        reader.complain("bad-expression", key, f"expression '{key}' has no known operation")
        return None
    try:
        kind = ValueKind(element.get("type", ""))
    except ValueError:
        kind = ValueKind.DEFAULT
    try:
        source = ValueSource(element.get("value-source", "literal"))
    except ValueError:
        source = ValueSource.LITERAL
    return AttributeExpression(
        key, element.get("attribute", ""), comparison, element.get("value", ""), kind, source
    )


def _read_date_expression(reader: Reader, element: etree._Element) -> DateExpression:
    key = element.get("id", "")

    def read_moment(name: str) -> datetime | None:
        text = element.get(name)
        if not text:
            return None
        return reader.value(text, key, lambda word: dates.moment(word), None)

    duration = next(children(element, "duration"), None)
    specification = next(children(element, "date_spec"), None)
    return DateExpression(
        id=key,
        operation=element.get("operation", "in_range"),
        start=read_moment("start"),
        end=read_moment("end"),
        duration=(
            None
            if duration is None
            else reader.value(
                key,
                key,
                lambda _: dates.duration({str(k): str(v) for k, v in duration.attrib.items()}),
                None,
            )
        ),
        specification=(
            None
            if specification is None
            else DateSpecification(
                tuple((str(k), str(v)) for k, v in specification.attrib.items() if k != "id")
            )
        ),
    )
