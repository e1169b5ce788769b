"""What is placed: instances, alone or in groups, clones and bundles, with their meta attributes.

How they are made from configured resources is told in `pengine.facts.making`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from crm.model.resources import (
    Primitive,
)
from crm.model.roles import Role
from crm.model.score import Score
from pengine.facts.operations import OperationFacts
from pengine.facts.values import truth


class MultipleActive(enum.Enum):
    """What is done with a resource that runs in more than one place."""

    STOP_START = "stop_start"
    STOP_ONLY = "stop_only"
    BLOCK = "block"
    STOP_UNEXPECTED = "stop_unexpected"


class Requires(enum.Enum):
    """What must be there before a resource may start."""

    NOTHING = "nothing"
    QUORUM = "quorum"
    FENCING = "fencing"
    UNFENCING = "unfencing"


class Meta(msgspec.Struct, frozen=True):
    """Meta attributes, read and defaulted. `pairs` are those configured, for tools."""

    priority: int
    target_role: Role | None
    is_managed: bool
    maintenance: bool
    stickiness: Score
    threshold: Score
    failure_timeout_ms: int
    multiple_active: MultipleActive
    requires: Requires
    critical: bool
    allow_migrate: bool
    pairs: Mapping[str, str]

    @property
    def must_stop(self) -> bool:
        """Tell whether the administrator wants it stopped."""
        return self.target_role is Role.STOPPED


class Instance(msgspec.Struct, frozen=True, eq=False):
    """One thing to place on one node. `parent` is the id of its group or clone, or ""."""

    id: str
    history_id: str
    resource: Primitive
    meta: Meta
    operations: tuple[OperationFacts, ...]
    parent: str = ""
    top: str = ""
    is_removed: bool = False
    is_unique: bool = True
    number: int | None = None
    is_promotable: bool = False


class GroupInstance(msgspec.Struct, frozen=True, eq=False):
    """Members that stay together and act in order."""

    id: str
    meta: Meta
    members: tuple[Instance, ...]
    parent: str = ""
    number: int | None = None
    is_removed: bool = False

    @property
    def is_colocated(self) -> bool:
        """Tell whether the members stay together; an old attribute can say that they do not."""
        return truth(self.meta.pairs.get("collocated"), default=True)


class CloneInstance(msgspec.Struct, frozen=True, eq=False):
    """Copies of one child, of which several nodes may have some."""

    id: str
    child_id: str
    meta: Meta
    copies: tuple[Instance | GroupInstance, ...]
    clone_max: int
    node_max: int
    is_unique: bool
    is_ordered: bool
    is_interleaved: bool
    notifies: bool
    promotable: bool
    promoted_max: int = 1
    promoted_node_max: int = 1
    minimum: int = 0
    """How many copies must run before what waits for the clone may start (clone-min)."""


class Replica(msgspec.Struct, frozen=True, eq=False):
    """One container of a bundle, with all that goes with it.

    `node` is the node in the container, "" if nothing runs there; `copy` is the only instance
    that may run on that node.
    """

    number: int
    container: Instance
    address: Instance | None = None
    connection: Instance | None = None
    copy: Instance | None = None
    node: str = ""
    external_address: str = ""

    @property
    def parts(self) -> tuple[Instance, ...]:
        """List address, container and connection, as far as there are any."""
        found = (self.address, self.container, self.connection)
        return tuple(instance for instance in found if instance is not None)


class BundleInstance(msgspec.Struct, frozen=True, eq=False):
    """Replicas of a container, of which nodes may have some, and the clone of what runs inside."""

    id: str
    meta: Meta
    image: str
    replicas: tuple[Replica, ...]
    node_max: int
    clone: CloneInstance | None
    is_interleaved: bool
    notifies: bool

    @property
    def copies(self) -> tuple[Instance, ...]:
        """List what nodes are shared out among: the containers."""
        return tuple(replica.container for replica in self.replicas)

    @property
    def clone_max(self) -> int:
        """Say how many containers there are to be."""
        return len(self.replicas)

    @property
    def parts(self) -> tuple[Instance, ...]:
        """List the addresses, containers and connections of all replicas."""
        return tuple(part for replica in self.replicas for part in replica.parts)


Placeable = Instance | GroupInstance | CloneInstance | BundleInstance


def instances_of(item: Placeable) -> Iterator[Instance]:
    """Walk over the single instances in something placeable, in order."""
    match item:
        case Instance():
            yield item
        case GroupInstance():
            yield from item.members
        case CloneInstance():
            for copy in item.copies:
                yield from instances_of(copy)
        case BundleInstance():
            for replica in item.replicas:
                yield from replica.parts
                if replica.copy is not None:
                    yield replica.copy


def clones_in(items: Iterable[Placeable]) -> Iterator[CloneInstance]:
    """Walk over all clones, those in bundles included."""
    for item in items:
        if isinstance(item, CloneInstance):
            yield item
        elif isinstance(item, BundleInstance) and item.clone is not None:
            yield item.clone


def discovered_with(item: Placeable) -> Iterator[Instance]:
    """Walk over the instances that a location of an item, and its discovery, is about.

    Of a bundle these are the containers and their addresses: the rest follows them.
    """
    if not isinstance(item, BundleInstance):
        yield from instances_of(item)
        return
    for replica in item.replicas:
        yield replica.container
        if replica.address is not None:
            yield replica.address


def bundles_in(items: Iterable[Placeable]) -> Iterator[BundleInstance]:
    """Walk over all bundles."""
    return (item for item in items if isinstance(item, BundleInstance))


def is_promotable(item: Placeable) -> bool:
    """Tell whether what is in an item can be promoted."""
    return any(instance.is_promotable for instance in instances_of(item))
