"""Configured resources: primitives, groups and clones, as the CIB states them.

Templates and references are already resolved (`crm.model.readxml`); attribute sets still carry
their rules, because their values depend on the node and on the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crm.model.agent import Agent
from crm.model.rules import Rule
from crm.model.score import ZERO, Score


@dataclass(frozen=True, slots=True)
class AttributeSet:
    """A set of name-value pairs, with the rule that must hold for it and its rank."""

    id: str
    values: tuple[tuple[str, str], ...]
    score: Score = ZERO
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A configured operation. `attributes` are those of `<op>` itself, `sets` its inner sets."""

    id: str
    name: str
    interval_ms: int
    attributes: tuple[tuple[str, str], ...] = ()
    sets: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Look up an attribute of the element itself."""
        return next((value for key, value in self.attributes if key == name), None)


@dataclass(frozen=True, slots=True)
class Primitive:
    """One service, managed by an agent."""

    id: str
    agent: Agent
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()
    operations: tuple[Operation, ...] = ()
    utilization: tuple[AttributeSet, ...] = ()
    template: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Primitives that run on one node, started in order and stopped in reverse."""

    id: str
    members: tuple[Primitive, ...]
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()


@dataclass(frozen=True, slots=True)
class Clone:
    """A primitive or group that runs on several nodes at once."""

    id: str
    child: Primitive | Group
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()
    promotable: bool = False


Resource = Primitive | Group | Clone


def primitives_of(resource: Resource) -> Iterator[Primitive]:
    """Walk over the primitives a resource consists of, in configuration order."""
    match resource:
        case Primitive():
            yield resource
        case Group():
            yield from resource.members
        case Clone():
            yield from primitives_of(resource.child)


def ids_of(resource: Resource) -> Iterator[str]:
    """Walk over the ids of a resource and of everything in it."""
    yield resource.id
    match resource:
        case Primitive():
            return
        case Group():
            for member in resource.members:
                yield member.id
        case Clone():
            yield from ids_of(resource.child)
