"""Cluster options that are spelled, called or kept elsewhere today.

Used by the upgrade from Heartbeat 2 and by the step over version 2 of the numbered schemas: both
languages kept the defaults of resources and operations among the options of the cluster.

Source: docs/decisions/0031-dialects.md.
"""

from __future__ import annotations

import msgspec
from lxml import etree

from crm.cib.upgrade_pairs import add_pair, is_guarded, pairs
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

FAILURE_STICKINESS = "resource-failure-stickiness"
_DEFAULT_FAILURE_STICKINESS = f"default-{FAILURE_STICKINESS}"
_TO_RESOURCE_DEFAULTS = {
    "default-resource-stickiness": "resource-stickiness",
    "is-managed-default": "is-managed",
    "default-migration-threshold": "migration-threshold",
    _DEFAULT_FAILURE_STICKINESS: "migration-threshold",
}
_TO_OPERATION_DEFAULTS = {"default-action-timeout": "timeout"}
_OLD_DELAY, _DELAY = "transition-idle-timeout", "cluster-delay"
_MEANINGLESS = frozenset({"short-resource-names"})
_OLD_OPTIONS = frozenset(
    {*_TO_RESOURCE_DEFAULTS, *_TO_OPERATION_DEFAULTS, *_MEANINGLESS, _OLD_DELAY}
)
_NEVER_AGAIN = frozenset({"-infinity", "-inf"})


class Moved(msgspec.Struct):
    """Pairs on their way from the property sets to the defaults, by their names of today."""

    resource: dict[str, etree._Element] = msgspec.field(default_factory=dict)
    operation: dict[str, etree._Element] = msgspec.field(default_factory=dict)
    problems: list[Problem] = msgspec.field(default_factory=list)


def threshold_for(failure_stickiness: str) -> str | None:
    """Give the migration-threshold that means the same as a failure stickiness, if one does.

    Only "never again after one failure" can be said today.
    """
    return "1" if failure_stickiness.strip().lower() in _NEVER_AGAIN else None


def lost_failure_stickiness(subject: str, name: str, value: str) -> list[Problem]:
    """Report a failure stickiness that cannot be said today; none at all is no loss."""
    if value.strip() == "0":
        return []
    return [
        errors.warning(
            "option-dropped",
            subject,
            f"'{name}={value}' has no equivalent: failures do not lower scores any more",
            "set migration-threshold to the number of failures after which a resource must leave",
        )
    ]


def convert_property_sets(crm_config: etree._Element) -> Moved:
    """Spell all options as today, in place, and take out those that stand elsewhere today.

    When several sets state an option that moves, the first in the document wins.
    """
    moved = Moved()
    sets = crm_config.findall("cluster_property_set")
    for pair_set in sets:
        moved.problems += _spell_names(pair_set)
    has_delay = any(pair.get("name") == _DELAY for pair_set in sets for pair in pairs(pair_set))
    for pair_set in sets:
        for pair in pairs(pair_set):
            _convert_pair(pair_set, pair, moved, has_delay=has_delay)
    return moved


def _spell_names(pair_set: etree._Element) -> list[Problem]:
    """Spell known options with hyphens; of an option given twice the first stays."""
    problems: list[Problem] = []
    seen: dict[str, str | None] = {}
    for pair in pairs(pair_set):
        if pair.get("name") is None:
            continue  # a pair that is borrowed by its id
        written = name = pair.get("name", "")
        spelled = name.replace("_", "-")
        if spelled in _OLD_OPTIONS or options.cluster_option(spelled) is not None:
            pair.set("name", spelled)
            name = spelled
        if name not in seen:
            seen[name] = pair.get("value")
            continue
        pair_set.remove(pair)
        if pair.get("value") != seen[name]:
            problems.append(
                errors.warning(
                    "option-overruled",
                    pair_set.get("id", ""),
                    f"'{written}={pair.get('value')}' is left out: "
                    f"'{name}={seen[name]}' stands before it",
                    "change the option that is left if this value was meant",
                )
            )
    return problems


def _convert_pair(
    pair_set: etree._Element, pair: etree._Element, moved: Moved, *, has_delay: bool
) -> None:
    name, value = pair.get("name", ""), pair.get("value", "")
    if name in _TO_RESOURCE_DEFAULTS or name in _TO_OPERATION_DEFAULTS:
        pair_set.remove(pair)
        _move(pair_set, pair, moved)
    elif name in _MEANINGLESS or (name == _OLD_DELAY and has_delay):
        pair_set.remove(pair)
    elif name == _OLD_DELAY:
        pair.set("name", _DELAY)
    elif name == "stonith-action" and value.strip().lower() == "poweroff":
        pair.set("value", "off")


def _move(pair_set: etree._Element, pair: etree._Element, moved: Moved) -> None:
    name, value = pair.get("name", ""), pair.get("value", "")
    subject = pair_set.get("id", "")
    if name == _DEFAULT_FAILURE_STICKINESS:
        threshold = threshold_for(value)
        if threshold is None:
            moved.problems += lost_failure_stickiness(subject, name, value)
            return
        pair.set("value", threshold)
    if name in _TO_OPERATION_DEFAULTS:
        target, today = moved.operation, _TO_OPERATION_DEFAULTS[name]
    else:
        target, today = moved.resource, _TO_RESOURCE_DEFAULTS[name]
    pair.set("name", today)
    if today in target:
        if target[today].get("value") != pair.get("value"):
            moved.problems.append(_overruled(subject, name, value))
        return
    target[today] = pair
    if is_guarded(pair_set):
        moved.problems.append(
            errors.warning(
                "guard-lost",
                subject,
                f"'{name}' now holds always: the rule or score of its set does not move with it",
                "put a rule on the set of the defaults if it shall hold only sometimes",
            )
        )


def _overruled(subject: str, name: str, value: str) -> Problem:
    return errors.warning(
        "option-overruled",
        subject,
        f"'{name}={value}' is left out: the option is stated elsewhere already",
        "change it in rsc_defaults or op_defaults if this value was meant",
    )


def write_defaults(configuration: etree._Element, moved: Moved) -> list[Problem]:
    """Put the moved pairs where defaults stand; what stands there already wins."""
    return [
        *_write(configuration, "rsc_defaults", "rsc-options", moved.resource),
        *_write(configuration, "op_defaults", "op-options", moved.operation),
    ]


def _write(
    configuration: etree._Element, tag: str, identity: str, moved: dict[str, etree._Element]
) -> list[Problem]:
    if not moved:
        return []
    section = configuration.find(tag)
    if section is None:
        section = etree.SubElement(configuration, tag)
    free = [
        pair_set
        for pair_set in section.findall("meta_attributes")
        if pair_set.get("id-ref") is None and not is_guarded(pair_set)
    ]
    target = free[0] if free else etree.SubElement(section, "meta_attributes", id=identity)
    stated = {pair.get("name") for pair_set in free for pair in pairs(pair_set)}
    problems: list[Problem] = []
    for name, pair in moved.items():
        if name in stated:
            problems.append(_overruled(str(target.get("id")), name, pair.get("value", "")))
        elif pair.get("id") is None:
            add_pair(target, name, pair.get("value", ""))
        else:
            target.append(pair)
    return problems
