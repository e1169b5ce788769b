"""Containers that are ordinary resources: what names one (meta `container`) lives inside it.

It starts after its container and where that is, and is not looked for by itself. A failure inside
is cured by restarting the container, which also counts the failures of what it holds. Guests and
bundles have ways of their own (`pengine.facts.remote`); only what they share stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from crm.model.cluster import Cluster
from crm.model.constraints import OrderKind
from crm.model.resources import AttributeSet, Group, Primitive
from crm.model.score import INFINITY
from pengine.facts.links import InOrder, Together
from pengine.facts.values import flatten, situation

Contents = Mapping[str, str]
"""What lives inside another resource, and in which one."""


def conclude_contents(cluster: Cluster, now: datetime) -> dict[str, str]:
    """Map resources to the container they name, if there is such a resource."""
    primitives = dict(_primitives(cluster))
    found = {}
    for primitive, outer in primitives.values():
        name = flatten((*primitive.meta, *outer), situation(now)).get("container", "")
        is_connection = primitive.agent.type == "remote" and primitive.agent.provider == "pacemaker"
        if name in primitives and name != primitive.id and not is_connection:
            found[primitive.id] = name
    return found


def _primitives(
    cluster: Cluster,
) -> Iterator[tuple[str, tuple[Primitive, tuple[AttributeSet, ...]]]]:
    for resource in cluster.resources:
        match resource:
            case Primitive():
                yield resource.id, (resource, ())
            case Group():
                for member in resource.members:
                    yield member.id, (member, resource.meta)
            case _:
                pass  # Copies of clones are in no container, and bundles have their own.


def together_with_containers(contents: Contents, guests: Mapping[str, str]) -> Iterator[Together]:
    """Keep what is inside a container where that is; inside a guest it is on the guest's node."""
    for inner, container in contents.items():
        if container not in guests:
            yield Together("resource-with-container", inner, container, INFINITY, is_implied=True)


def after_containers(contents: Contents, guests: Mapping[str, str]) -> Iterator[InOrder]:
    """Start what is inside a container after it, and stop it before."""
    for inner, container in contents.items():
        if container not in guests:
            yield InOrder(
                "container", container, inner, "start", "start", OrderKind.MANDATORY, True
            )
