"""Rules: conditions on node attributes, dates, resources and operations; and what they yield.

Responsible for the shape of rules and for their evaluation against a `Situation`. Not for where
rules stand (constraints, attribute sets) nor for reading them from XML (`crm.model.readxml`).

A condition is true, false, or cannot be judged here (a resource expression outside of resource
defaults, say); what cannot be judged counts as false.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crm.model.score import Score


class Combination(enum.Enum):
    """How the conditions of a rule are joined."""

    AND = "and"
    OR = "or"


class Comparison(enum.Enum):
    """What an attribute expression asks."""

    DEFINED = "defined"
    NOT_DEFINED = "not_defined"
    EQUAL = "eq"
    NOT_EQUAL = "ne"
    LESS = "lt"
    LESS_OR_EQUAL = "lte"
    GREATER = "gt"
    GREATER_OR_EQUAL = "gte"


class ValueKind(enum.Enum):
    """As what two values are compared; DEFAULT means integer, or number, or text."""

    DEFAULT = ""
    TEXT = "string"
    INTEGER = "integer"
    NUMBER = "number"
    VERSION = "version"


class ValueSource(enum.Enum):
    """Where the value to compare with comes from."""

    LITERAL = "literal"
    PARAMETER = "param"
    META = "meta"


@dataclass(frozen=True, slots=True)
class AttributeExpression:
    """A condition on a node attribute, `#uname` and the like included."""

    id: str
    attribute: str
    comparison: Comparison
    value: str = ""
    kind: ValueKind = ValueKind.DEFAULT
    source: ValueSource = ValueSource.LITERAL


@dataclass(frozen=True, slots=True)
class DateSpecification:
    """Ranges of calendar fields that must all hold: `hours` 9-16, `weekdays` 1-5."""

    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DateExpression:
    """A condition on the time: in a range, before, after, or by calendar fields."""

    id: str
    operation: str
    start: datetime | None = None
    end: datetime | None = None
    duration: timedelta | None = None
    specification: DateSpecification | None = None


@dataclass(frozen=True, slots=True)
class ResourceExpression:
    """A condition on the agent of the resource whose defaults are sought."""

    id: str
    standard: str | None
    provider: str | None
    type: str | None


@dataclass(frozen=True, slots=True)
class OperationExpression:
    """A condition on the operation whose defaults are sought."""

    id: str
    name: str
    interval_ms: int | None


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions joined by and/or, with the score (or the attribute holding it) they yield."""

    id: str
    combination: Combination = Combination.AND
    conditions: tuple[Condition, ...] = ()
    score: Score | None = None
    score_attribute: str = ""
    role: str = ""


Condition = Rule | AttributeExpression | DateExpression | ResourceExpression | OperationExpression


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule is judged against. `attributes` is None where no node is in question."""

    now: datetime
    attributes: Mapping[str, str] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    agent: tuple[str, str, str] | None = None
    operation: tuple[str, int] | None = None


def holds(rule: Rule, situation: Situation) -> bool:
    """Tell whether a rule applies. A rule without conditions always does."""
    results = [_condition_holds(condition, situation) for condition in rule.conditions]
    if not results:
        return True
    return all(results) if rule.combination is Combination.AND else any(results)


def _condition_holds(condition: Condition, situation: Situation) -> bool:
    match condition:
        case Rule():
            return holds(condition, situation)
        case AttributeExpression():
            return _attribute_holds(condition, situation)
        case DateExpression():
            return _date_holds(condition, situation.now)
        case ResourceExpression():
            return _resource_holds(condition, situation.agent)
        case OperationExpression():
            return _operation_holds(condition, situation.operation)


def _resource_holds(wanted: ResourceExpression, agent: tuple[str, str, str] | None) -> bool:
    if agent is None:
        return False
    pairs = zip((wanted.standard, wanted.provider, wanted.type), agent, strict=True)
    return all(want is None or want == have for want, have in pairs)


def _operation_holds(wanted: OperationExpression, operation: tuple[str, int] | None) -> bool:
    if operation is None or wanted.name != operation[0]:
        return False
    return wanted.interval_ms is None or wanted.interval_ms == operation[1]


# --- attributes -----------------------------------------------------------------------------


def _attribute_holds(condition: AttributeExpression, situation: Situation) -> bool:
    if situation.attributes is None:
        return False
    actual = situation.attributes.get(condition.attribute)
    match condition.comparison:
        case Comparison.DEFINED:
            return actual is not None
        case Comparison.NOT_DEFINED:
            return actual is None
        case _:
            pass
    wanted: str | None = condition.value
    if condition.source is ValueSource.PARAMETER:
        wanted = situation.parameters.get(condition.value)
    elif condition.source is ValueSource.META:
        wanted = situation.meta.get(condition.value)
    if actual is None or wanted is None:
        # Only "is not equal" is true of an attribute that is not there.
        return condition.comparison is Comparison.NOT_EQUAL and (actual is None) != (wanted is None)
    difference = _difference(actual, wanted, _kind_to_compare(condition, actual, wanted))
    return _VERDICTS[condition.comparison](difference)


_VERDICTS: dict[Comparison, Callable[[int], bool]] = {
    Comparison.EQUAL: lambda difference: difference == 0,
    Comparison.NOT_EQUAL: lambda difference: difference != 0,
    Comparison.LESS: lambda difference: difference < 0,
    Comparison.LESS_OR_EQUAL: lambda difference: difference <= 0,
    Comparison.GREATER: lambda difference: difference > 0,
    Comparison.GREATER_OR_EQUAL: lambda difference: difference >= 0,
}

_ORDERED = frozenset(
    {
        Comparison.LESS,
        Comparison.LESS_OR_EQUAL,
        Comparison.GREATER,
        Comparison.GREATER_OR_EQUAL,
    }
)


def _kind_to_compare(condition: AttributeExpression, actual: str, wanted: str) -> ValueKind:
    """Resolve the default: numbers for an order, text for equality."""
    if condition.kind is not ValueKind.DEFAULT:
        return condition.kind
    if condition.comparison not in _ORDERED:
        return ValueKind.TEXT
    if "." in actual or "." in wanted:
        return ValueKind.NUMBER
    return ValueKind.INTEGER


_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def _difference(left: str, right: str, kind: ValueKind) -> int:
    """Compare two values; those that are not of the kind are compared as text."""
    match kind:
        case ValueKind.INTEGER:
            return _compare_numbers(left, right, lambda number: float(int(float(number))))
        case ValueKind.NUMBER:
            return _compare_numbers(left, right, float)
        case ValueKind.VERSION:
            return _sign_versions(left, right)
        case _:
            return _compare_texts(left, right)


def _compare_numbers(left: str, right: str, convert: Callable[[str], float]) -> int:
    first, second = _NUMBER.match(left), _NUMBER.match(right)
    if first is None or second is None:
        return _compare_texts(left, right)
    a, b = convert(first.group()), convert(second.group())
    return (a > b) - (a < b)


def _compare_texts(left: str, right: str) -> int:
    a, b = left.lower(), right.lower()
    return (a > b) - (a < b)


def _sign_versions(left: str, right: str) -> int:
    first = [int(part) for part in re.findall(r"\d+", left)]
    second = [int(part) for part in re.findall(r"\d+", right)]
    length = max(len(first), len(second))
    first += [0] * (length - len(first))
    second += [0] * (length - len(second))
    return (first > second) - (first < second)


# --- dates ----------------------------------------------------------------------------------


def _date_holds(condition: DateExpression, now: datetime) -> bool:
    match condition.operation:
        case "gt":
            return condition.start is not None and now > condition.start
        case "lt":
            return condition.end is not None and now < condition.end
        case "date_spec":
            return condition.specification is None or _matches(condition.specification, now)
        case _:
            return _is_in_range(condition, now)


def _is_in_range(condition: DateExpression, now: datetime) -> bool:
    end = condition.end
    if end is None and condition.start is not None and condition.duration is not None:
        end = condition.start + condition.duration
    if condition.start is not None and now < condition.start:
        return False
    return end is None or now <= end


def _matches(specification: DateSpecification, now: datetime) -> bool:
    iso = now.isocalendar()
    fields = {
        "seconds": now.second,
        "minutes": now.minute,
        "hours": now.hour,
        "monthdays": now.day,
        "weekdays": iso.weekday,
        "yeardays": now.timetuple().tm_yday,
        "months": now.month,
        "weeks": iso.week,
        "years": now.year,
        "weekyears": iso.year,
    }
    return all(
        _in_interval(fields[name], text) for name, text in specification.ranges if name in fields
    )


def _in_interval(value: int, text: str) -> bool:
    low, dash, high = text.partition("-")
    try:
        if not dash:
            return value == int(low)
        return (not low or value >= int(low)) and (not high or value <= int(high))
    except ValueError:
        return False


def next_change(rule: Rule, now: datetime) -> datetime | None:
    """Find the earliest known moment after `now` at which time alone may change the rule."""
    moments: list[datetime] = []
    for condition in rule.conditions:
        if isinstance(condition, Rule):
            inner = next_change(condition, now)
            moments += [inner] if inner is not None else []
        elif isinstance(condition, DateExpression):
            ends = [condition.start, condition.end]
            if condition.start is not None and condition.duration is not None:
                ends.append(condition.start + condition.duration)
            moments += [moment + timedelta(seconds=1) for moment in ends if moment is not None]
    later = [moment for moment in moments if moment > now]
    return min(later) if later else None
