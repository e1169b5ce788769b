"""Values that mean nothing: durations, intervals, options, roles and patterns.

Responsible for what can be said about an object by looking at it alone; `crm.cib.semantics` asks
for it. What depends on other objects is `crm.cib.semantics_relations`' part.

Source: docs/decisions/0033-semantics.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from lxml import etree

from crm.cib import upgrade_steps
from crm.model import options, roles
from crm.model.options import Kind, Option
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_DURATIONS = ("interval", "timeout", "start-delay")
_SAME_OPTION = 0.8
"""Options and operations whose names agree this much are one, misspelt."""

_MOST_LOOKED_AT = 200
"""How many unknown names are compared with known ones, which is slow."""

_OPERATIONS = (
    "start",
    "stop",
    "monitor",
    "promote",
    "demote",
    "notify",
    "migrate_to",
    "migrate_from",
    "reload",
    "reload-agent",
)
_ONLY_WHEN_NEEDED = frozenset(_OPERATIONS) - {"monitor"}

_WITHDRAWN_CLUSTER_OPTIONS: Mapping[str, str] = {
    "crmd-finalization-timeout": "write join-finalization-timeout",
    "crmd-integration-timeout": "write join-integration-timeout",
    "crmd-transition-delay": "write transition-delay",
    "remove-after-stop": "leave it out: what is no longer configured is forgotten when it stopped",
}
_WITHDRAWN_META: Mapping[str, str] = {
    "restart-type": "order the resources instead, so that what must restart does",
    "can_fail": "write on-fail=ignore",
    "role_after_failure": "write on-fail=demote or on-fail=stop",
}
"""Options that pacemaker-4.0 refuses, with what to do instead."""

_WITHDRAWING_SCHEMA = (4, 0)


def check(configuration: etree._Element, validate_with: str) -> Iterator[Problem]:
    """Find values that mean nothing, in a configuration that follows the schema."""
    yield from _impossible_operations(configuration)
    yield from _unreadable_options(configuration)
    yield from _repeated_options(configuration)
    yield from _unreadable_rules_and_patterns(configuration)
    number = upgrade_steps.schema_number(validate_with)
    if number is not None and number >= _WITHDRAWING_SCHEMA:
        yield from _withdrawn_options(configuration)


def likeness(left: str, right: str) -> float:
    """Measure how much two names agree, from 0 to 1."""
    return difflib.SequenceMatcher(None, left, right).ratio()


# --- operations -----------------------------------------------------------------------------


def _impossible_operations(configuration: etree._Element) -> Iterator[Problem]:
    for operations in configuration.iter("operations"):
        owner = operations.getparent()
        resource = owner.get("id", "") if owner is not None else ""
        seen: dict[tuple[str, int], str] = {}
        for operation in operations.iterfind("op"):
            yield from _judge_operation(operation, resource)
            interval_ms = _duration_ms(operation, "interval")
            if interval_ms is None:
                continue
            key = (operation.get("name", ""), interval_ms)
            identity = operation.get("id", "")
            if key in seen:
                yield _repeated(resource, key, seen[key], identity)
            seen.setdefault(key, identity)


def _repeated(resource: str, key: tuple[str, int], first: str, second: str) -> Problem:
    name, interval_ms = key
    if interval_ms == 0:
        return errors.warning(
            "ignored-operation",
            second,
            f"resource '{resource}': '{first}' and '{second}' both say how '{name}' is done; the "
            "first that is enabled counts",
            f"remove '{second}' or '{first}'",
        )
    return errors.warning(
        "repeated-operation",
        second,
        f"resource '{resource}': operation '{second}' repeats '{first}': {name} with an interval "
        f"of {interval_ms} ms; neither of them is repeated",
        "give them intervals that differ, by a second if need be",
    )


def _judge_operation(operation: etree._Element, resource: str) -> Iterator[Problem]:
    if any(_duration_ms(operation, name) is None for name in _DURATIONS):
        yield from _unreadable_durations(operation, resource)
    name, identity = operation.get("name", ""), operation.get("id", "")
    if name in _ONLY_WHEN_NEEDED and _duration_ms(operation, "interval"):
        yield errors.warning(
            "bad-interval",
            identity,
            f"resource '{resource}', operation '{name}': it is done when needed and cannot be "
            f"repeated every '{operation.get('interval')}'",
            "write interval=0; only monitor operations are repeated",
        )
    if name not in _OPERATIONS:
        near = options.nearest(name, _OPERATIONS)
        if near is not None and likeness(name.lower(), near) >= _SAME_OPTION:
            yield errors.warning(
                "unknown-operation",
                identity,
                f"resource '{resource}': no operation is called '{name}'",
                f"did you mean '{near}'? possible are: {', '.join(_OPERATIONS)}",
            )


def _duration_ms(operation: etree._Element, name: str) -> int | None:
    """Read one of an operation's durations: 0 when it is not given, None when it is none."""
    try:
        return options.as_duration_ms(operation.get(name, "0"))
    except ValueError:
        return None


def _unreadable_durations(operation: etree._Element, resource: str) -> Iterator[Problem]:
    for name in _DURATIONS:
        value = operation.get(name)
        if value is None:
            continue
        try:
            options.as_duration_ms(value)
        except ValueError as problem:
            # Old files hold P10S for PT10S; what was taken once is not refused now.
            slip = value.lstrip().startswith("P")
            report = errors.warning if slip else errors.error
            yield report(
                "bad-duration",
                operation.get("id", ""),
                f"resource '{resource}', operation '{operation.get('name')}', {name}: {problem}",
                "a time follows a T, as in PT5M; or write 5min"
                if slip
                else "write for example 10s, 2min or 500ms",
            )


# --- options --------------------------------------------------------------------------------

_META_OPTIONS: Mapping[str, Option] = {
    **options.RESOURCE_OPTIONS,
    **options.CLONE_OPTIONS,
    **options.GROUP_OPTIONS,
}


def _unreadable_options(configuration: etree._Element) -> Iterator[Problem]:
    """Look at all options: misspelt names, names that belong elsewhere, impossible values.

    A name nothing known comes near to is somebody's own option, and none of our business.
    """
    unknown: list[tuple[etree._Element, str, Mapping[str, Option]]] = []
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        name = pair.get("name", "")
        option = options.cluster_option(name)
        if option is None and options.meta_option(name) is not None:
            yield _misplaced(pair, "the cluster", "of resources", "rsc_defaults")
        elif option is None:
            unknown.append((pair, "cluster option", options.CLUSTER_OPTIONS))
        else:
            yield from _judge(pair, option, "cluster option")
    for pair_set in configuration.iter("meta_attributes"):
        parent = pair_set.getparent()
        if parent is None or parent.tag in {"alert", "recipient"}:
            continue
        owner = f"{parent.tag} '{parent.get('id', '')}'".replace(" ''", "")
        of_operation = parent.tag in {"op", "op_defaults"}
        for pair in pair_set.iterfind("nvpair"):
            name = pair.get("name", "")
            if of_operation:
                option, known = options.operation_option(name), options.OPERATION_OPTIONS
            else:
                option, known = options.meta_option(name), _META_OPTIONS
            if option is None and options.cluster_option(name) is not None:
                yield _misplaced(pair, owner, "of the cluster", "crm_config")
            elif option is None:
                unknown.append((pair, f"{owner}, option", known))
            else:
                yield from _judge(pair, option, f"{owner}, option")
    for pair, who, known in unknown[:_MOST_LOOKED_AT]:
        yield from _suggest(pair, who, known)


def _misplaced(pair: etree._Element, owner: str, what: str, where: str) -> Problem:
    name = pair.get("name", "")
    return errors.warning(
        "misplaced-option",
        pair.get("id", name),
        f"{owner}: '{name}' is an option {what} and does nothing here",
        f"move it to <{where}>",
    )


def _suggest(pair: etree._Element, who: str, known: Mapping[str, Option]) -> Iterator[Problem]:
    name = pair.get("name", "")
    near = options.nearest(name.replace("_", "-"), known)
    if near is not None and likeness(name.replace("_", "-"), near) >= _SAME_OPTION:
        yield errors.warning(
            "unknown-option",
            pair.get("id", name),
            f"{who} '{name}' is not known",
            f"there is an option '{near}': {known[near].text}",
        )


def _judge(pair: etree._Element, option: Option, who: str) -> Iterator[Problem]:
    name, value = pair.get("name"), pair.get("value")
    if name is None or value is None or value == "#default" or option.kind is Kind.TEXT:
        return
    if complaint := options.complaint(option, value):
        near = options.nearest(value, option.values)
        yield errors.warning(
            "bad-option-value",
            pair.get("id", name),
            f"{who} '{name}': {complaint}",
            f"did you mean '{near}'?" if near else _example(option),
        )


def _example(option: Option) -> str:
    default = f"; unless given it is {option.default}" if option.default else ""
    match option.kind:
        case Kind.BOOLEAN:
            return f"write true or false{default}"
        case Kind.INTEGER:
            return f"write an integer{default}"
        case Kind.NONNEGATIVE:
            return f"write a number from 0 up{default}"
        case Kind.SCORE:
            return f"write an integer, INFINITY or -INFINITY{default}"
        case Kind.DURATION:
            return f"write for example 10s, 2min or 500ms{default}"
        case Kind.PERCENTAGE:
            return f"write for example 80%{default}"
        case _:
            return f"write one of these{default}"


def _repeated_options(configuration: etree._Element) -> Iterator[Problem]:
    sets = ("cluster_property_set", "meta_attributes", "instance_attributes", "utilization")
    for pair_set in configuration.iter(*sets):
        seen: dict[str, etree._Element] = {}
        for pair in pair_set.iterfind("nvpair"):
            name = pair.get("name")
            if name is None:
                continue
            first = seen.setdefault(name, pair)
            if first is not pair and first.get("value") != pair.get("value"):
                yield errors.warning(
                    "repeated-option",
                    pair.get("id", name),
                    f"the set '{pair_set.get('id')}' gives '{name}' twice, as "
                    f"'{first.get('value')}' and as '{pair.get('value')}'",
                    f"remove '{pair.get('id')}', which is ignored, or '{first.get('id')}'",
                )


def _withdrawn_options(configuration: etree._Element) -> Iterator[Problem]:
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        name = pair.get("name", "")
        if name in _WITHDRAWN_CLUSTER_OPTIONS:
            yield _withdrawn(pair, f"'{name}'", _WITHDRAWN_CLUSTER_OPTIONS[name])
        if name in {"stonith-action", "fencing-action"} and pair.get("value") == "poweroff":
            yield _withdrawn(pair, f"'{name}' with the value 'poweroff'", "write off")
    for pair in configuration.iterfind(".//meta_attributes/nvpair"):
        name = pair.get("name", "")
        if name in _WITHDRAWN_META:
            yield _withdrawn(pair, f"'{name}'", _WITHDRAWN_META[name])


def _withdrawn(pair: etree._Element, what: str, instead: str) -> Problem:
    return errors.error(
        "withdrawn-option",
        pair.get("id", ""),
        f"option '{pair.get('id')}': pacemaker-4.0 has no {what} any more",
        f"{instead}; or set validate-with to pacemaker-3.9",
    )


# --- rules and patterns ---------------------------------------------------------------------


def _unreadable_rules_and_patterns(configuration: etree._Element) -> Iterator[Problem]:
    for rule in configuration.iter("rule"):
        role = rule.get("role")
        if role and roles.parse_or_none(role) is None:
            yield errors.warning(
                "bad-role",
                rule.get("id", ""),
                f"rule '{rule.get('id')}': '{role}' is no role; the rule counts in every role",
                "possible are: Started, Stopped, Promoted, Unpromoted",
            )
    for tag, attribute in (("rsc_location", "rsc-pattern"), ("fencing-level", "target-pattern")):
        for element in configuration.iter(tag):
            pattern = element.get(attribute)
            if pattern is not None and (complaint := _pattern_complaint(pattern)):
                identity = element.get("id", "")
                yield errors.error(
                    "invalid-pattern",
                    identity,
                    f"{tag} '{identity}': '{pattern}' is no regular expression: {complaint}",
                    r"write for example web.* for all ids that begin with web; \. is a dot",
                )


def _pattern_complaint(pattern: str) -> str:
    try:
        re.compile(pattern.removeprefix("!"))
    except re.error as problem:
        return problem.msg
    return ""
