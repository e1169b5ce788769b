"""From the Heartbeat-2 dialect to today's: resources, their options, their operations.

Heartbeat 2 let a resource option stand in three places: as an XML attribute of the resource, in a
meta_attributes set, or among the agent's parameters. Their precedence was in that order, and the
order of sets in the result keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from crm.cib import upgrade_options
from crm.cib.upgrade_constraints import convert_rules
from crm.cib.upgrade_pairs import (
    add_pair,
    guarded_twin,
    hyphenated,
    is_default,
    is_guarded,
    pairs,
    replaced,
    role,
)
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_COMMON = frozenset(
    {
        "is-managed",
        "resource-stickiness",
        "resource-failure-stickiness",
        "priority",
        "restart-type",
        "multiple-active",
        "target-role",
        "migration-threshold",
        "failure-timeout",
        "allow-migrate",
    }
)
_GROUP = frozenset({"ordered", "collocated"})
_CLONE = frozenset(
    {
        "globally-unique",
        "notify",
        "ordered",
        "interleave",
        "clone-max",
        "clone-node-max",
        "promoted-max",
        "promoted-node-max",
    }
)
_KNOWN_META = _COMMON | _GROUP | _CLONE | frozenset({"requires"})
_OPTIONS_OF = {
    "primitive": _COMMON,
    "group": _COMMON | _GROUP,
    "clone": _COMMON | _CLONE,
    "master_slave": _COMMON | _CLONE,
}
_IDENTITY = {
    "primitive": ("id", "class", "provider", "type", "description"),
    "group": ("id", "description"),
    "clone": ("id", "description"),
    "master_slave": ("id", "description"),
}
_ATTRIBUTES = {
    "start_prereq": "requires",
    "max_masters": "promoted-max",
    "max_node_masters": "promoted-node-max",
}
"""XML attributes of early releases that are called otherwise today."""

_OPERATION_NAMES = {
    "start_delay": "start-delay",
    "on_fail": "on-fail",
    "interval_origin": "interval-origin",
}
_CHILD_ORDER = (
    "meta_attributes",
    "instance_attributes",
    "operations",
    "group",
    "primitive",
)


def convert(configuration: etree._Element) -> list[Problem]:
    """Convert all resources below `configuration` in place; returns the warnings."""
    problems: list[Problem] = []
    section = configuration.find("resources")
    assert section is not None, "the sections were made before"
    for resource in list(section.iter(*_OPTIONS_OF)):
        problems += _Resource(resource).convert()
    return problems


class _Resource:
    """One resource on its way; `made` is the set that holds what was not in a set before."""

    def __init__(self, element: etree._Element) -> None:
        self.element = element
        self.tag = str(element.tag)
        self.id = element.get("id", "")
        self.options = _OPTIONS_OF[self.tag]
        self.made = etree.Element("meta_attributes")
        self.problems: list[Problem] = []

    def convert(self) -> list[Problem]:
        """Convert the resource without the resources in it."""
        if self.tag == "master_slave":
            self.element.tag = "clone"
            add_pair(self.made, "promotable", "true")
        stated = self._take_attributes()
        meta_sets = self.element.findall("meta_attributes")
        attributes = dict(stated)
        for pair_set in meta_sets:
            stated |= self._convert_meta_set(pair_set)
            self._warn_of_other_winner(pair_set, attributes)
        moved_sets = [
            moved
            for pair_set in self.element.findall("instance_attributes")
            if (moved := self._move_options(pair_set, stated)) is not None
        ]
        self._convert_operations(stated)
        self._warn_of_changed_default()
        self._put_in_order([*meta_sets, *moved_sets])
        return self.problems

    # --- options ----------------------------------------------------------------------------

    def _take_attributes(self) -> dict[str, str]:
        """Turn the resource's XML attributes into pairs; returns what they state."""
        stated: dict[str, str] = {}
        kept: list[tuple[str, str]] = []
        for raw_name, raw_value in self.element.attrib.items():
            name, value = str(raw_name), str(raw_value)
            if name in _IDENTITY[self.tag]:
                if name != "provider" or self.element.get("class") == "ocf":
                    kept.append((name, value))
                continue
            stated |= self._state(self.made, _ATTRIBUTES.get(name, hyphenated(name)), value)
        replaced(self.element, iter(kept))
        return stated

    def _state(self, pair_set: etree._Element, name: str, value: str) -> dict[str, str]:
        """Write an option into a set as it is called and spelled today, if it still is one."""
        converted = self._converted(name, value)
        if converted is None:
            return {}
        add_pair(pair_set, *converted)
        return {name: converted[1], converted[0]: converted[1]}

    def _converted(self, name: str, value: str) -> tuple[str, str] | None:
        if is_default(value):
            return None
        match name:
            case "target-role":
                return name, role(value)
            case upgrade_options.FAILURE_STICKINESS:
                threshold = upgrade_options.threshold_for(value)
                if threshold is None:
                    self.problems += upgrade_options.lost_failure_stickiness(self.id, name, value)
                    return None
                return "migration-threshold", threshold
            case "restart-type":
                self._warn(
                    "option-dropped",
                    f"'restart_type={value}' has no equivalent",
                    "say it in the order: symmetrical, or kind",
                )
                return None
            case "ordered" | "collocated" if self.tag == "group" and options.is_true(value):
                return None
        return name, value

    def _convert_meta_set(self, pair_set: etree._Element) -> dict[str, str]:
        self.problems += convert_rules(pair_set)
        stated: dict[str, str] = {}
        for pair in pairs(pair_set):
            name = pair.get("name", "")
            if hyphenated(name) in _KNOWN_META | {"resource-failure-stickiness", "restart-type"}:
                name = hyphenated(name)
            converted = self._converted(name, pair.get("value", ""))
            if converted is not None and converted[0] in stated:
                self._overrule(pair, stated[converted[0]], converted[1])
                converted = None
            if converted is None:
                pair_set.remove(pair)
                continue
            stated |= {name: converted[1], converted[0]: converted[1]}
            pair.set("name", converted[0])
            pair.set("value", converted[1])
        return stated

    def _move_options(
        self, pair_set: etree._Element, stated: dict[str, str]
    ) -> etree._Element | None:
        """Move options from among the agent's parameters to where options stand.

        Returns a set of their own when they cannot join the resource's because of a guard.
        """
        self.problems += convert_rules(pair_set)
        guarded = is_guarded(pair_set)
        target = guarded_twin(pair_set) if guarded else self.made
        newly_stated: dict[str, str] = {}
        for pair in pairs(pair_set):
            name, value = hyphenated(pair.get("name", "")), pair.get("value", "")
            if name in self.options:
                if name in stated or name in newly_stated:
                    converted = self._converted(name, value)
                    if converted is not None:
                        self._overrule(pair, {**newly_stated, **stated}[name], converted[1])
                else:
                    newly_stated |= self._state(target, name, value)
                pair_set.remove(pair)
            elif self.tag in {"clone", "master_slave"}:
                self._warn(
                    "parameter-dropped",
                    f"'{pair.get('name')}={value}' of a clone reaches no agent",
                    "give it to the resource in the clone",
                )
                pair_set.remove(pair)
        if not guarded:
            stated |= newly_stated
        return target if guarded and pairs(target) else None

    # --- operations -------------------------------------------------------------------------

    def _convert_operations(self, stated: dict[str, str]) -> None:
        requires: list[str] = []
        for operation in self.element.iterfind("operations/op"):
            prereq = operation.get("prereq")
            if prereq is not None and operation.get("name") in {"start", "promote"}:
                requires.append(prereq)
            replaced(operation, _operation_attributes(operation))
            for pair_set in operation.findall("*"):
                self.problems += convert_rules(pair_set)
        requires = [value for value in dict.fromkeys(requires) if not is_default(value)]
        if not requires:
            return
        holds = stated.get("requires", requires[0])
        if "requires" not in stated:
            add_pair(self.made, "requires", holds)
        for other in requires:
            if other != holds:
                self._warn(
                    "option-overruled",
                    f"an operation's 'prereq={other}' is left out: 'requires={holds}' holds for "
                    "the whole resource",
                    "choose one of them for the resource",
                )

    # --- the whole --------------------------------------------------------------------------

    def _put_in_order(self, meta_sets: list[etree._Element]) -> None:
        """Put the children in today's order, empty sets left out."""
        for pair_set in self.element.findall("meta_attributes"):
            self.element.remove(pair_set)
        for position, pair_set in enumerate([self.made, *meta_sets]):
            self.element.insert(position, pair_set)
        for tag in ("meta_attributes", "instance_attributes"):
            for pair_set in self.element.findall(tag):
                if not pairs(pair_set):
                    self.element.remove(pair_set)
        known = [child for tag in _CHILD_ORDER for child in self.element.findall(tag)]
        nested = [child for child in self.element if child.tag in _OPTIONS_OF]
        ordered = [child for child in known if child not in nested] + nested
        for child in ordered:
            self.element.append(child)

    def _warn_of_changed_default(self) -> None:
        if self.element.tag != "clone":
            return
        sets = [self.made, *self.element.findall("meta_attributes")]
        names = {pair.get("name") for pair_set in sets for pair in pairs(pair_set)}
        if "globally-unique" not in names:
            self._warn(
                "default-changed",
                f"the instances of clone '{self.id}' were told apart (globally_unique), as nothing "
                "else was said; today they are not",
                "set globally-unique=true if the agent relies on it",
            )

    def _warn_of_other_winner(self, pair_set: etree._Element, attributes: dict[str, str]) -> None:
        """Name what an XML attribute of the resource overruled, and would not overrule today.

        Both stay, the attribute's set first; of sets that rank alike the last one wins today.
        """
        for pair in pairs(pair_set):
            name, value = pair.get("name", ""), pair.get("value", "")
            if attributes.get(name, value) != value:
                self._warn(
                    "stated-twice",
                    f"'{name}' was {attributes[name]} by an attribute of '{self.id}'; today its "
                    f"set '{pair_set.get('id', '')}' wins and makes it {value}",
                    f"remove '{name}' from one of the two sets",
                )

    def _overrule(self, pair: etree._Element, holds: str, wanted: str) -> None:
        if holds != wanted:
            self._warn(
                "option-overruled",
                f"'{pair.get('name')}={pair.get('value')}' is left out: "
                f"the option is stated elsewhere as '{holds}'",
                "change it there if this value was meant",
            )

    def _warn(self, code: str, message: str, hint: str = "") -> None:
        self.problems.append(errors.warning(code, self.id, message, hint))


def _operation_attributes(operation: etree._Element) -> Iterator[tuple[str, str]]:
    if operation.get("interval") is None:
        operation.set("interval", "0")
    for raw_name, raw_value in operation.attrib.items():
        name, value = str(raw_name), str(raw_value)
        match name:
            case "prereq":
                continue
            case "disabled":
                yield "enabled", "false" if options.is_true(value) else "true"
            case "on_fail" | "on-fail":
                yield "on-fail", "ignore" if value.strip().lower() == "nothing" else value
            case "role":
                yield name, role(value)
            case _:
                yield _OPERATION_NAMES.get(name, name), value
