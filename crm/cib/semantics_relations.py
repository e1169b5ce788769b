"""How objects stand to each other: orders that go round, colocations that contradict each other.

Responsible for findings that need the whole configuration; a change is judged by what it touches,
so it is never refused for these. `crm_verify` and the shell show them as warnings.

How orders are read: an action of a resource has a beginning and an end. A mandatory order puts the
end of the first action before the beginning of the other; a container's action begins before its
members' and ends after them; members of a group follow each other. A way that leads back to where
it began is a cycle: none of its actions can ever be done.

Source: docs/decisions/0033-semantics.md; faults-and-security, fault 44.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from lxml import etree

from crm.cib import semantics_values
from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_SAME_NAME = 0.85
"""Nodes whose names agree this much are one, misspelt."""

_CONTAINERS = ("group", "clone", "master", "bundle")
_RESOURCES = ("primitive", *_CONTAINERS)
_INFINITE = frozenset({"INFINITY", "+INFINITY"})
_MOST_CYCLES = 10
_DONE_BEFORE = {"promote": "start", "stop": "demote"}
"""What is done with a resource before it is promoted, and before it is stopped."""


def check(configuration: etree._Element) -> Iterator[Problem]:
    """Find relations between objects that cannot be kept."""
    yield from _order_cycles(configuration)
    yield from _colocation_contradictions(configuration)
    yield from _location_contradictions(configuration)
    yield from _idle_constraints(configuration)
    yield from _unlikely_nodes(configuration)
    yield from _repeated_nodes(configuration)
    yield from _unknown_devices(configuration)
    yield from _unknown_tag_members(configuration)


# --- orders ---------------------------------------------------------------------------------


class _Moment(msgspec.Struct, frozen=True):
    """The beginning or the end of an action of a resource."""

    resource: str
    action: str
    is_end: bool


class _Step(msgspec.Struct, frozen=True):
    """What must come after a moment, and which object says so."""

    then: _Moment
    because: str


_Steps = dict[_Moment, list[_Step]]


def _order_cycles(configuration: etree._Element) -> Iterator[Problem]:
    orders = [each for each in configuration.iterfind("constraints/rsc_order") if _is_strict(each)]
    if not orders:
        return
    steps: _Steps = {}
    actions = set()
    sets = _sets(configuration)
    for order in orders:
        for first, then in _ordered_actions(order, sets):
            actions |= {first[1], then[1]}
            step = _Step(_Moment(*then, is_end=False), order.get("id", ""))
            steps.setdefault(_Moment(*first, is_end=True), []).append(step)
    for action in sorted(actions):
        _note_structure(configuration, action, steps)
    strict = {order.get("id", "") for order in orders}
    told: set[frozenset[str]] = set()
    for start in list(steps):
        way = _way_back(start, steps) if start.is_end else None
        if way is None:
            continue
        causes = frozenset(step.because for step in way) & strict
        if causes in told:
            continue
        told.add(causes)
        yield _cycle(start, way, strict)
        if len(told) == _MOST_CYCLES:
            return


def _is_strict(order: etree._Element) -> bool:
    kind = order.get("kind")
    if kind is not None:
        return kind.lower() == "mandatory"
    return order.get("score", "INFINITY").lstrip("+") not in {"0"} and not order.get(
        "score", ""
    ).startswith("-")


def _ordered_actions(
    order: etree._Element, sets: Mapping[str, etree._Element]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """List pairs of (resource, action) of which the first must be done before the other."""
    first, then = order.get("first"), order.get("then")
    if first is not None and then is not None:
        first_action = order.get("first-action", "start")
        yield (first, first_action), (then, order.get("then-action", first_action))
        return
    before: list[tuple[str, str]] = []
    for given in order.iterfind("resource_set"):
        members = sets.get(given.get("id-ref", ""), given)
        action = members.get("action", "start")
        now = [(ref.get("id", ""), action) for ref in members.iterfind("resource_ref")]
        strict = members.get("kind", "Mandatory") == "Mandatory"
        if strict and members.get("sequential", "true") in {"true", "1"}:
            yield from itertools.pairwise(now)
        yield from ((earlier, later) for earlier in before for later in now)
        before = now


def _sets(configuration: etree._Element) -> Mapping[str, etree._Element]:
    return {str(each.get("id")): each for each in configuration.iter("resource_set")}


def _note_structure(configuration: etree._Element, action: str, steps: _Steps) -> None:
    """Note what follows from resources standing in each other."""
    for resource in configuration.iter(*_RESOURCES):
        identity = resource.get("id", "")
        begin, end = _Moment(identity, action, False), _Moment(identity, action, True)
        members = [child.get("id", "") for child in resource.iterchildren(*_RESOURCES)]
        previous = begin
        for member in members:
            first, last = _Moment(member, action, False), _Moment(member, action, True)
            steps.setdefault(previous, []).append(_Step(first, identity))
            steps.setdefault(last, []).append(_Step(end, identity))
            if resource.tag == "group" and action in {"start", "promote"}:
                previous = last
        if not members:
            steps.setdefault(begin, []).append(_Step(end, identity))
        if (earlier := _DONE_BEFORE.get(action)) is not None:
            before = _Moment(identity, earlier, is_end=True)
            steps.setdefault(before, []).append(_Step(begin, identity))


def _way_back(start: _Moment, steps: Mapping[_Moment, list[_Step]]) -> list[_Step] | None:
    """Find the shortest way from a moment back to itself."""
    reached: dict[_Moment, tuple[_Moment, _Step]] = {}
    pending = deque([start])
    while pending:
        moment = pending.popleft()
        for step in steps.get(moment, ()):
            if step.then in reached:
                continue
            reached[step.then] = (moment, step)
            if step.then == start:
                return _retrace(start, reached)
            pending.append(step.then)
    return None


def _retrace(start: _Moment, reached: Mapping[_Moment, tuple[_Moment, _Step]]) -> list[_Step]:
    way: list[_Step] = []
    moment = start
    while not way or moment != start:
        moment, step = reached[moment]
        way.append(step)
    return way[::-1]


def _cycle(start: _Moment, way: list[_Step], orders: set[str]) -> Problem:
    shown = f"{start.action} '{start.resource}'"
    causes: list[str] = []
    for step in way:
        if step.because in orders:
            shown += f", then {step.then.action} '{step.then.resource}' ({step.because})"
            causes.append(step.because)
        elif not step.then.is_end:
            shown += f", then {step.then.action} '{step.then.resource}' (in {step.because})"
    named = " or ".join(f"'{cause}'" for cause in dict.fromkeys(causes))
    return errors.warning(
        "order-cycle",
        causes[0],
        f"orders go round in a cycle, so none of these is ever done: {shown}",
        f"remove {named}, or set kind=Optional there",
    )


# --- colocations and locations ------------------------------------------------------------------


def _colocation_contradictions(configuration: etree._Element) -> Iterator[Problem]:
    """Find resources that must share a node by some colocations and must not by another.

    Only resources that have one node are looked at, and only colocations for every role.
    """
    single = _single_resources(configuration)
    together: dict[str, list[tuple[str, str]]] = {}
    apart: list[tuple[str, str, str]] = []
    for constraint in configuration.iterfind("constraints/rsc_colocation"):
        left, right = constraint.get("rsc", ""), constraint.get("with-rsc", "")
        limits = ("rsc-role", "with-rsc-role", "node-attribute")
        if not {left, right} <= single.keys() or any(map(constraint.get, limits)):
            continue
        identity, score = constraint.get("id", ""), constraint.get("score", "")
        if score in _INFINITE:
            together.setdefault(left, []).append((right, identity))
            together.setdefault(right, []).append((left, identity))
        elif score == "-INFINITY":
            apart.append((left, right, identity))
    for member, group in single.items():
        if group:
            together.setdefault(member, []).append((group, group))
            together.setdefault(group, []).append((member, group))
    for left, right, identity in apart:
        causes = _connection(left, right, together)
        if causes is None:
            continue
        named = " and ".join(f"'{cause}'" for cause in dict.fromkeys(causes))
        yield errors.warning(
            "colocation-contradiction",
            identity,
            f"colocation '{identity}' keeps '{left}' and '{right}' apart, but by {named} they are "
            "on one node: they cannot both run",
            f"remove '{identity}' or one of the others",
        )


def _single_resources(configuration: etree._Element) -> dict[str, str]:
    """List resources that are active on one node, with the group they are in, or ""."""
    found: dict[str, str] = {}
    for resource in configuration.iterfind("resources/*"):
        if resource.tag in {"primitive", "group"}:
            identity = resource.get("id", "")
            found[identity] = ""
            for member in resource.iterchildren("primitive"):
                found[member.get("id", "")] = identity
    return found


def _connection(
    start: str, goal: str, together: Mapping[str, list[tuple[str, str]]]
) -> list[str] | None:
    """Name the objects that put two resources on one node, by the shortest way."""
    reached: dict[str, tuple[str, str]] = {start: ("", "")}
    pending = deque([start])
    while pending and goal not in reached:
        resource = pending.popleft()
        for other, cause in together.get(resource, ()):
            if other not in reached:
                reached[other] = (resource, cause)
                pending.append(other)
    if goal not in reached:
        return None
    causes: list[str] = []
    while goal != start:
        goal, cause = reached[goal]
        causes.append(cause)
    return causes[::-1]


def _location_contradictions(configuration: etree._Element) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], tuple[str, str]] = {}
    for location in configuration.iterfind("constraints/rsc_location"):
        resource, node, score = (location.get(name, "") for name in ("rsc", "node", "score"))
        if not (resource and node) or location.find("lifetime") is not None:
            continue
        if score.lstrip("+-") != "INFINITY":
            continue
        identity, score = location.get("id", ""), score.lstrip("+")
        key = (resource, node, location.get("role", ""))
        first, earlier = seen.setdefault(key, (identity, score))
        if earlier != score:
            yield errors.warning(
                "location-contradiction",
                identity,
                f"locations '{first}' and '{identity}' give '{resource}' {earlier} and {score} "
                f"on node '{node}': it is forbidden there",
                f"remove '{first}' or '{identity}'",
            )


def _idle_constraints(configuration: etree._Element) -> Iterator[Problem]:
    sets = _sets(configuration)
    for constraint in configuration.iterfind("constraints/*"):
        identity = constraint.get("id", "")
        kind = str(constraint.tag).removeprefix("rsc_")
        if kind not in {"order", "colocation"}:
            continue
        members = [
            ref.get("id", "")
            for each in constraint.iterfind("resource_set")
            for ref in sets.get(each.get("id-ref", ""), each).iterfind("resource_ref")
        ]
        if len(members) == 1:
            yield errors.warning(
                "idle-constraint",
                identity,
                f"{kind} '{identity}' names '{members[0]}' alone, so it does nothing",
                "add a second resource to its set, or remove it",
            )
        left, right = (
            (constraint.get("first"), constraint.get("then"))
            if kind == "order"
            else (constraint.get("rsc"), constraint.get("with-rsc"))
        )
        if (
            left is not None
            and left == right
            and constraint.get("first-action") == constraint.get("then-action")
        ):
            yield errors.warning(
                "idle-constraint",
                identity,
                f"{kind} '{identity}' is between '{left}' and itself",
                "name two resources, or remove it",
            )


# --- nodes, devices, tags -------------------------------------------------------------------


def _unlikely_nodes(configuration: etree._Element) -> Iterator[Problem]:
    """Look for misspelt nodes; nodes that are to come yet have no similar name."""
    nodes = _node_names(configuration)
    named = [
        *(
            (each, "node", "location")
            for each in configuration.iterfind("constraints/rsc_location")
        ),
        *((each, "target", "fencing level") for each in configuration.iter("fencing-level")),
    ]
    for element, attribute, kind in named:
        node = element.get(attribute)
        if node is None or node in nodes:
            continue
        near = options.nearest(node, nodes)
        if near is not None and _looks_misspelt(node, near):
            identity = element.get("id", "")
            yield errors.warning(
                "unknown-node",
                identity,
                f"{kind} '{identity}' names the node '{node}', which does not exist",
                f"there is a node '{near}'",
            )


def _node_names(configuration: etree._Element) -> list[str]:
    """List all names a location may give a node: remote and guest nodes are resources."""
    names = [node.get("uname", "") for node in configuration.iterfind("nodes/node")]
    names += [
        primitive.get("id", "")
        for primitive in configuration.iter("primitive")
        if (primitive.get("provider"), primitive.get("type")) == ("pacemaker", "remote")
    ]
    names += [
        pair.get("value", "")
        for pair in configuration.iterfind("resources//nvpair")
        if pair.get("name") == "remote-node"
    ]
    return names


def _looks_misspelt(name: str, near: str) -> bool:
    """Tell a slip of the keyboard from the next number: node3 is not node2 misspelt."""
    stem, near_stem = name.rstrip("0123456789"), near.rstrip("0123456789")
    return stem != near_stem and semantics_values.likeness(name, near) >= _SAME_NAME


def _repeated_nodes(configuration: etree._Element) -> Iterator[Problem]:
    for attribute, what in (("uname", "name"), ("id", "id")):
        seen: dict[str, etree._Element] = {}
        for node in configuration.iterfind("nodes/node"):
            value = node.get(attribute, "")
            first = seen.setdefault(value, node)
            if first is not node:
                yield errors.warning(
                    "repeated-node",
                    node.get("id", ""),
                    f"the nodes '{first.get('uname')}' ({first.get('id')}) and "
                    f"'{node.get('uname')}' ({node.get('id')}) have the same {what}",
                    "delete the entry of the one that is no more, by its id",
                )


def _unknown_devices(configuration: etree._Element) -> Iterator[Problem]:
    resources = {str(each.get("id")): each for each in configuration.iter(*_RESOURCES)}
    devices = [name for name, each in resources.items() if each.get("class") == "stonith"]
    for level in configuration.iter("fencing-level"):
        identity = level.get("id", "")
        for name in level.get("devices", "").split(","):
            found = resources.get(name)
            if found is None:
                near = options.nearest(name, devices)
                yield errors.warning(
                    "unknown-device",
                    identity,
                    f"fencing level '{identity}' names the device '{name}', which does not exist",
                    f"there is a device '{near}'" if near else _list("devices", devices),
                )
            elif found.tag == "primitive" and found.get("class") not in {"stonith", None}:
                yield errors.warning(
                    "unknown-device",
                    identity,
                    f"fencing level '{identity}' names '{name}', which is a resource of class "
                    f"{found.get('class')} and no device",
                    _list("devices", devices),
                )


def _list(what: str, names: Iterable[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:5])
    return f"there are the {what} {shown}" if shown else "add a resource of class stonith first"


def _unknown_tag_members(configuration: etree._Element) -> Iterator[Problem]:
    references = configuration.findall("tags/tag/obj_ref")
    if not references:
        return
    known = {str(each.get("id")) for each in configuration.iter("*") if each.tag != "obj_ref"}
    known |= set(_node_names(configuration))
    for reference in references:
        target = reference.get("id", "")
        if target in known:
            continue
        tag = reference.getparent()
        identity = tag.get("id", "") if tag is not None else ""
        near = options.nearest(target, known)
        yield errors.warning(
            "unknown-object",
            identity,
            f"tag '{identity}' names '{target}', which does not exist",
            f"did you mean '{near}'?" if near else f"remove '{target}' from the tag",
        )
