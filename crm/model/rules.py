"""Rules: conditions on node attributes, dates, resources and operations; and what they yield.

Responsible for the shape of rules and for their evaluation against a `Situation`. Not for where
rules stand (constraints, attribute sets) nor for reading them from XML (`crm.model.readxml`).

A condition is true, false, or cannot be judged here (a resource expression outside of resource
defaults, say); what cannot be judged counts as false.
"""

from __future__ import annotations

import calendar
import enum
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

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


class AttributeExpression(msgspec.Struct, frozen=True):
    """A condition on a node attribute, `#uname` and the like included."""

    id: str
    attribute: str
    comparison: Comparison
    value: str = ""
    kind: ValueKind = ValueKind.DEFAULT
    source: ValueSource = ValueSource.LITERAL


class DateSpecification(msgspec.Struct, frozen=True):
    """Ranges of calendar fields that must all hold: `hours` 9-16, `weekdays` 1-5."""

    ranges: tuple[tuple[str, str], ...]


class Duration(msgspec.Struct, frozen=True):
    """A length of time in calendar units: a month is as long as the month it begins in."""

    years: int = 0
    months: int = 0
    rest: timedelta = timedelta()

    def after(self, start: datetime) -> datetime:
        """Give the moment this long after another; a day the month does not have is its last.

        Raises: OverflowError or ValueError if there is no such moment.
        """
        months = start.month - 1 + self.months
        year, month = start.year + self.years + months // 12, months % 12 + 1
        day = min(start.day, calendar.monthrange(year, month)[1])
        return start.replace(year=year, month=month, day=day) + self.rest


class DateExpression(msgspec.Struct, frozen=True):
    """A condition on the time: in a range, before, after, or by calendar fields."""

    id: str
    operation: str
    start: datetime | None = None
    end: datetime | None = None
    duration: Duration | None = None
    specification: DateSpecification | None = None

    @property
    def last(self) -> datetime | None:
        """Give the last moment of a range, if it has one."""
        if self.end is not None or self.start is None or self.duration is None:
            return self.end
        try:
            return self.duration.after(self.start)
        except (OverflowError, ValueError):
            return None  # Longer than the calendar: it never ends.


class ResourceExpression(msgspec.Struct, frozen=True):
    """A condition on the agent of the resource whose defaults are sought."""

    id: str
    standard: str | None
    provider: str | None
    type: str | None


class OperationExpression(msgspec.Struct, frozen=True):
    """A condition on the operation whose defaults are sought."""

    id: str
    name: str
    interval_ms: int | None


class Rule(msgspec.Struct, frozen=True):
    """Conditions joined by and/or, with the score (or the attribute holding it) they yield."""

    id: str
    combination: Combination = Combination.AND
    conditions: tuple[Condition, ...] = ()
    score: Score | None = None
    score_attribute: str = ""
    role: str = ""


Condition = Rule | AttributeExpression | DateExpression | ResourceExpression | OperationExpression


class Situation(msgspec.Struct, frozen=True):
    """What a rule is judged against. `attributes` is None where no node is in question."""

    now: datetime
    attributes: Mapping[str, str] | None = None
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)
    agent: tuple[str, str, str] | None = None
    operation: tuple[str, int] | None = None
    matches: tuple[str, ...] = ()
    """What a pattern matched, whole and in groups: `%1` in the name of an attribute is the first
    group."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether something holds, and when time alone may change that, as far as that was looked at.

    Only what was needed for the verdict counts: behind a condition that fails, a rule of "and" is
    not read on.
    """

    holds: bool
    changes: tuple[datetime, ...] = ()


def holds(rule: Rule, situation: Situation) -> bool:
    """Tell whether a rule applies."""
    return judge(rule, situation).holds


def next_change(rule: Rule, situation: Situation) -> datetime | None:
    """Find the earliest known moment at which time alone may change the verdict on a rule."""
    later = [moment for moment in judge(rule, situation).changes if moment > situation.now]
    return min(later, default=None)


def judge(rule: Rule, situation: Situation) -> Verdict:
    """Judge a rule. Without conditions, one of "and" applies and one of "or" does not."""
    is_and = rule.combination is Combination.AND
    changes: list[datetime] = []
    for condition in rule.conditions:
        found = _judge_condition(condition, situation)
        changes += found.changes
        if found.holds is not is_and:
            return Verdict(found.holds, tuple(changes))
    return Verdict(is_and, tuple(changes))


def _judge_condition(condition: Condition, situation: Situation) -> Verdict:
    match condition:
        case Rule():
            return judge(condition, situation)
        case AttributeExpression():
            return Verdict(_attribute_holds(condition, situation))
        case DateExpression():
            return _judge_date(condition, situation.now)
        case ResourceExpression():
            return Verdict(_resource_holds(condition, situation.agent))
        case OperationExpression():
            return Verdict(_operation_holds(condition, situation.operation))


def with_matches(text: str, matches: tuple[str, ...]) -> str:
    """Put what a pattern matched in the place of `%0` (all of it), `%1` (the first group) …"""

    def matched(found: re.Match[str]) -> str:
        number = int(found[1])
        return matches[number] if number < len(matches) else ""

    return re.sub(r"%(\d)", matched, text) if matches and "%" in text else text


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
    name = with_matches(condition.attribute, situation.matches)
    actual = situation.attributes.get(name)
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
        # What is not there is equal to nothing but what is not there either, and has no order.
        is_equal = actual is wanted
        return condition.comparison is (Comparison.EQUAL if is_equal else Comparison.NOT_EQUAL)
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


_SECOND = timedelta(seconds=1)


def _judge_date(condition: DateExpression, now: datetime) -> Verdict:
    """Judge a condition on the time.

    A moment belongs to the range it ends and not to what comes after it, so those verdicts change
    a second later. When calendar fields match next is not looked for.
    """
    start, end = condition.start, condition.end
    match condition.operation:
        case "gt" if start is not None:
            return Verdict(True) if now > start else Verdict(False, (start + _SECOND,))
        case "lt" if end is not None:
            return Verdict(True, (end,)) if now < end else Verdict(False)
        case "date_spec" if condition.specification is not None:
            return Verdict(_matches(condition.specification, now))
        case "in_range":
            return _judge_range(start, condition.last, now)
        case _:
            return Verdict(False)


def _judge_range(start: datetime | None, last: datetime | None, now: datetime) -> Verdict:
    if start is not None and now < start:
        return Verdict(False, (start,))
    if last is None:
        return Verdict(start is not None)
    return Verdict(True, (last + _SECOND,)) if now <= last else Verdict(False)


def calendar_fields(now: datetime) -> dict[str, int]:
    """Give the fields of a moment that a date specification can name."""
    iso = now.isocalendar()
    return {
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


def _matches(specification: DateSpecification, now: datetime) -> bool:
    fields = calendar_fields(now)
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
