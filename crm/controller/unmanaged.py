"""What a node must leave alone even when it lets go of everything else.

Responsible for reading from a CIB which resources are not managed on one node; not for stopping
any. The scheduler decides the same for its plans; here is only what a node needs that is alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from crm.model import options, rules
from crm.model.cluster import Cluster
from crm.model.readxml import cluster as reading
from crm.model.resources import (
    AttributeSet,
    Bundle,
    Clone,
    Group,
    Primitive,
    Resource,
    primitives_of,
)
from crm.model.rules import Situation
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError


def unmanaged(document: bytes, node: str, now: datetime) -> frozenset[str]:
    """Name the primitives of a CIB that may not be stopped on a node.

    That is every one under maintenance of the cluster or of the node, and each that is not managed
    or in maintenance by itself, by its group, by its clone or by the defaults. A document that
    cannot be read names none: whoever cannot know lets go, because others will start elsewhere.
    """
    try:
        found, _problems = reading.read(xml.parse(document))
    except ConfigurationError:
        return frozenset()
    situation = Situation(now=now)
    everything = frozenset(p.id for resource in found.resources for p in primitives_of(resource))
    if _is_set(found.options, "maintenance-mode", situation) or _rests(found, node, situation):
        return everything
    return frozenset(
        primitive.id
        for resource in found.resources
        for primitive, sets in _layers(resource, ())
        if _is_left_alone((*sets, *found.resource_defaults), situation)
    )


def _rests(found: Cluster, node: str, situation: Situation) -> bool:
    """Tell whether a node is in maintenance, by its attributes or by its state."""
    return any(
        _is_set(each.attributes, "maintenance", situation)
        for each in found.nodes
        if each.name.lower() == node
    ) or any(
        state.maintenance or _is_set(state.attributes, "maintenance", situation)
        for state in found.status
        if state.name.lower() == node
    )


def _layers(
    resource: Resource, outer: tuple[AttributeSet, ...]
) -> Iterable[tuple[Primitive, tuple[AttributeSet, ...]]]:
    """Walk over the primitives of a resource with the sets that count for each, nearest first."""
    sets = (*resource.meta, *outer)
    match resource:
        case Primitive():
            yield resource, sets
        case Group():
            for member in resource.members:
                yield member, (*member.meta, *sets)
        case Clone():
            yield from _layers(resource.child, sets)
        case Bundle():
            if resource.child is not None:
                yield from _layers(resource.child, sets)


def _is_left_alone(sets: tuple[AttributeSet, ...], situation: Situation) -> bool:
    managed = _value(sets, "is-managed", situation)
    return (managed is not None and not _as_bool(managed, True)) or _is_set(
        sets, "maintenance", situation
    )


def _is_set(sets: Iterable[AttributeSet], name: str, situation: Situation) -> bool:
    return _as_bool(_value(sets, name, situation) or "", False)


def _value(sets: Iterable[AttributeSet], name: str, situation: Situation) -> str | None:
    """Look up a name, in either spelling, in the first set whose rule holds."""
    for each in sets:
        if each.rule is not None and not rules.holds(each.rule, situation):
            continue
        for key, value in each.values:
            if key.replace("_", "-") == name:
                return value
    return None


def _as_bool(text: str, default: bool) -> bool:
    try:
        return options.as_bool(text)
    except ValueError:
        return default
