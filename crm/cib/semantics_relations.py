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
_MOST_SHOWN = 20
_MOST_LOOKED_AT = 200
"""How many unknown names are compared with known ones, which is slow."""

_JOIN = "join"
"""What a moment between two sets has in place of an action."""

_DONE_BEFORE = {"promote": "start", "stop": "demote"}
"""What is done with a resource before it is promoted, and before it is stopped."""


def check(configuration: etree._Element) -> Iterator[Problem]:
    """Find relations between objects that cannot be kept."""
    yield from _order_cycles(configuration)
    yield from itertools.islice(_colocation_contradictions(configuration), _MOST_CYCLES)
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
            actions |= {first.action, then.action}
            steps.setdefault(first, []).append(_Step(then, order.get("id", "")))
    for action in sorted(actions - {_JOIN}):
        _note_structure(configuration, action, steps)
    strict = {order.get("id", "") for order in orders}
    for knot in itertools.islice(_knots(steps), _MOST_CYCLES):
        start = next(moment for moment in steps if moment in knot and moment.is_end)
        inside = {moment: [s for s in steps[moment] if s.then in knot] for moment in knot}
        yield _cycle(start, _way_back(start, inside), strict)


def _is_strict(order: etree._Element) -> bool:
    kind = order.get("kind")
    if kind is not None:
        return kind.lower() == "mandatory"
    return order.get("score", "INFINITY").lstrip("+") not in {"0"} and not order.get(
        "score", ""
    ).startswith("-")


def _ordered_actions(
    order: etree._Element, sets: Mapping[str, etree._Element]
) -> Iterator[tuple[_Moment, _Moment]]:
    """List pairs of moments of which the first must come before the other.

    Between two sets stands a moment of nobody's, or the pairs would be their product.
    """
    first, then = order.get("first"), order.get("then")
    if first is not None and then is not None:
        action = order.get("first-action", "start")
        yield (
            _Moment(first, action, is_end=True),
            _Moment(then, order.get("then-action", action), is_end=False),
        )
        return
    join: _Moment | None = None
    for number, given in enumerate(order.iterfind("resource_set")):
        members = sets.get(given.get("id-ref", ""), given)
        action = members.get("action", "start")
        now = [ref.get("id", "") for ref in members.iterfind("resource_ref")]
        begins = [_Moment(each, action, is_end=False) for each in now]
        ends = [_Moment(each, action, is_end=True) for each in now]
        strict = members.get("kind", "Mandatory") == "Mandatory"
        if strict and members.get("sequential", "true") in {"true", "1"}:
            yield from zip(ends, begins[1:], strict=False)
        if join is not None:
            yield from ((join, begin) for begin in begins)
        join = _Moment(f"{order.get('id')} {number}", _JOIN, is_end=False)
        yield from ((end, join) for end in ends)


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


def _knots(steps: _Steps) -> Iterator[set[_Moment]]:
    """Find the sets of moments that can all be reached from each other (Tarjan's algorithm)."""
    number: dict[_Moment, int] = {}
    lowest: dict[_Moment, int] = {}
    stack: dict[_Moment, None] = {}
    for root in list(steps):
        if root in number:
            continue
        number[root] = lowest[root] = len(number)
        stack[root] = None
        work = [(root, iter(steps[root]))]
        while work:
            moment, rest = work[-1]
            step = next(rest, None)
            if step is not None:
                if step.then not in number:
                    number[step.then] = lowest[step.then] = len(number)
                    stack[step.then] = None
                    work.append((step.then, iter(steps.get(step.then, ()))))
                elif step.then in stack:
                    lowest[moment] = min(lowest[moment], number[step.then])
                continue
            work.pop()
            if work:
                lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[moment])
            if lowest[moment] == number[moment]:
                knot = set()
                while moment not in knot:
                    knot.add(stack.popitem()[0])
                if len(knot) > 1:
                    yield knot


def _way_back(start: _Moment, steps: Mapping[_Moment, list[_Step]]) -> list[_Step]:
    """Find the shortest way from a moment of a knot back to itself."""
    reached: dict[_Moment, tuple[_Moment, _Step]] = {}
    pending = deque([start])
    while start not in reached:
        moment = pending.popleft()
        for step in steps[moment]:
            if step.then not in reached:
                reached[step.then] = (moment, step)
                pending.append(step.then)
    return _retrace(start, reached)


def _retrace(start: _Moment, reached: Mapping[_Moment, tuple[_Moment, _Step]]) -> list[_Step]:
    way: list[_Step] = []
    moment = start
    while not way or moment != start:
        moment, step = reached[moment]
        way.append(step)
    return way[::-1]


def _cycle(start: _Moment, way: list[_Step], orders: set[str]) -> Problem:
    parts = [f"{start.action} '{start.resource}'"]
    causes: dict[str, None] = {}
    for step in way:
        if step.because in orders:
            causes[step.because] = None
        if step.then.is_end or step.then.action == _JOIN:
            continue
        inside = "" if step.because in orders else "in "
        parts.append(f"{step.then.action} '{step.then.resource}' ({inside}{step.because})")
    if len(parts) > _MOST_SHOWN:
        parts[_MOST_SHOWN // 2 : -_MOST_SHOWN // 2] = [f"{len(parts) - _MOST_SHOWN} more"]
    named = [f"'{cause}'" for cause in causes]
    return errors.warning(
        "order-cycle",
        next(iter(causes)),
        f"orders go round in a cycle, so none of these is ever done: {', then '.join(parts)}",
        f"remove {' or '.join(named[:_MOST_SHOWN])}, or set kind=Optional there",
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
    place = _components(together)
    for left, right, identity in apart:
        if left not in place or place[left] != place.get(right):
            continue
        causes = _connection(left, right, together)
        shown = list(dict.fromkeys(causes))
        named = " and ".join(f"'{cause}'" for cause in shown[:_MOST_SHOWN])
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


def _components(together: Mapping[str, list[tuple[str, str]]]) -> dict[str, int]:
    """Number the sets of resources that stand on one node."""
    place: dict[str, int] = {}
    for number, first in enumerate(together):
        pending = [] if first in place else [first]
        place.setdefault(first, number)
        while pending:
            for other, _cause in together[pending.pop()]:
                if other not in place:
                    place[other] = number
                    pending.append(other)
    return place


def _connection(start: str, goal: str, together: Mapping[str, list[tuple[str, str]]]) -> list[str]:
    """Name the objects that put two resources on one node, by the shortest way."""
    reached: dict[str, tuple[str, str]] = {start: ("", "")}
    pending = deque([start])
    while pending and goal not in reached:
        resource = pending.popleft()
        for other, cause in together.get(resource, ()):
            if other not in reached:
                reached[other] = (resource, cause)
                pending.append(other)
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
    unknown = (
        (element, node, kind)
        for element, attribute, kind in named
        if (node := element.get(attribute)) is not None and node not in nodes
    )
    for element, node, kind in itertools.islice(unknown, _MOST_LOOKED_AT):
        near = options.nearest(node, nodes)
        if near is not None and _looks_misspelt(node, near):
            identity = element.get("id", "")
            yield errors.warning(
                "unknown-node",
                identity,
                f"{kind} '{identity}' names the node '{node}', which does not exist",
                f"there is a node '{near}'",
            )


def _node_names(configuration: etree._Element) -> Mapping[str, None]:
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
    return dict.fromkeys(names)


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
