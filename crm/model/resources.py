"""Configured resources: primitives, groups, clones and bundles, as the CIB states them.

Templates and references are already resolved (`crm.model.readxml`); attribute sets still carry
their rules, because their values depend on the node and on the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from crm.model.agent import Agent
from crm.model.rules import Rule
from crm.model.score import ZERO, Score

_NO_VALUE = "#default"
"""Stands for whatever the agent or the cluster uses by itself."""


class AttributeSet(msgspec.Struct, frozen=True):
    """A set of name-value pairs, with the rule that must hold for it and its rank."""

    id: str
    values: tuple[tuple[str, str], ...]
    score: Score = ZERO
    rule: Rule | None = None


def joined(sets: Iterable[AttributeSet]) -> dict[str, str]:
    """Join sets into one mapping; an earlier set hides equal names of a later one.

    The value `#default` is none: it takes back what an earlier set gave (case novell-239087).
    """
    found: dict[str, str] = {}
    for item in sets:
        for name, value in item.values:
            if value.lower() == _NO_VALUE:
                found.pop(name, None)
            else:
                found.setdefault(name, value)
    return found


class Operation(msgspec.Struct, frozen=True):
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


class Primitive(msgspec.Struct, frozen=True):
    """One service, managed by an agent."""

    id: str
    agent: Agent
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()
    operations: tuple[Operation, ...] = ()
    utilization: tuple[AttributeSet, ...] = ()
    template: str = ""


class Group(msgspec.Struct, frozen=True):
    """Primitives that run on one node, started in order and stopped in reverse."""

    id: str
    members: tuple[Primitive, ...]
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()


class Clone(msgspec.Struct, frozen=True):
    """A primitive or group that runs on several nodes at once."""

    id: str
    child: Primitive | Group
    meta: tuple[AttributeSet, ...] = ()
    parameters: tuple[AttributeSet, ...] = ()
    promotable: bool = False


class PortMapping(msgspec.Struct, frozen=True):
    """A port of the host (or a range, "2000-2010") that leads to one inside a container."""

    id: str
    host: str
    inside: str


class StorageMapping(msgspec.Struct, frozen=True):
    """A folder of the host that containers see as `target`.

    With `is_root` it is the parent of folders, one for each replica.
    """

    id: str
    source: str
    target: str
    options: str = ""
    is_root: bool = False


class Network(msgspec.Struct, frozen=True):
    """Addresses and ports of the containers of a bundle; "" where nothing is said."""

    first_address: str = ""
    control_port: str = ""
    interface: str = ""
    netmask: str = ""
    adds_hosts: bool = True
    ports: tuple[PortMapping, ...] = ()


class Bundle(msgspec.Struct, frozen=True):
    """Containers of one image on several nodes, perhaps with a primitive in each.

    `engine` is what runs the containers: docker or podman. `host_network` is the network a
    container is put in ("host", say), `options` are further words for the engine.
    """

    id: str
    engine: str
    image: str
    replicas: int = 1
    replicas_per_host: int = 1
    promoted_max: int = 0
    host_network: str = ""
    options: str = ""
    run_command: str = ""
    network: Network = Network()
    storage: tuple[StorageMapping, ...] = ()
    child: Primitive | None = None
    meta: tuple[AttributeSet, ...] = ()

    @property
    def parameters(self) -> tuple[AttributeSet, ...]:
        """A bundle has no parameters of its own."""
        return ()


Resource = Primitive | Group | Clone | Bundle


def primitives_of(resource: Resource) -> Iterator[Primitive]:
    """Walk over the primitives a resource consists of, in configuration order."""
    match resource:
        case Primitive():
            yield resource
        case Group():
            yield from resource.members
        case Clone():
            yield from primitives_of(resource.child)
        case Bundle():
            if resource.child is not None:
                yield resource.child


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
        case Bundle():
            if resource.child is not None:
                yield resource.child.id
