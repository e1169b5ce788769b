"""The fourth of the five values: what must wait for what, and what is needed after all."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from crm.plumbing.errors import Problem
from pengine.act.actions import Action, ActionId, Task


class Meaning(enum.Enum):
    """What an ordering does besides putting one action before another.

    docs/scheduler/ordering.md tells each with a case that shows it.
    """

    ORDERED = "ordered"
    """Only the sequence: whoever acts, the first before the then."""

    NEED_SPREADS = "need spreads"
    """When the first is needed, so is the then: what restarts takes along what stands on it."""

    NEED_SPREADS_ON_NODE = "need spreads on its node"
    """The same, but of a clone only to the copy on the node of the first."""

    NEED_PULLS = "need pulls"
    """When the then is needed, so is a first whose parts are; what stays put ends a migration."""

    NEED_PULLS_PROMOTED = "need pulls where promoted"
    """When the then is needed and its resource is promoted now, so is the first."""

    BLOCKS = "blocks"
    """When the first cannot run, neither can the then."""

    BLOCKS_UNLESS_UP = "blocks unless up"
    """The same, but void while the resource of the first is active: it will have stopped."""

    ONE_WAY = "one way"
    """When the first cannot run, neither can the then, unless it is as it shall be already."""

    ONE_OF = "one of"
    """The then, a mark, can run as soon as enough of its firsts can."""

    RESTART = "restart"
    """The first is the way down of a restart: needing, or being unable, to come up takes it."""

    MIGRATION = "migration"
    """The first is done only if the then is needed, possible and part of a migration."""

    ENDS_MIGRATION = "ends migration"
    """When the first cannot run, the then is no pseudo start of a migration but a real one."""

    UNLESS_MIGRATED = "unless migrated"
    """Holds in the graph only while the first is not part of a live migration."""

    SHOWS_FIRST = "shows first"
    """When the then is needed, the first is in the graph, needed or not."""

    SHOWS_THEN = "shows then"
    """When the first is needed and possible, the then is in the graph, needed or not."""

    SAME_NODE = "same node"
    """Void unless both are on the same node."""

    ROOM = "room"
    """Alone: holds in the graph only for the node that the then needs room on."""

    APART = "apart"
    """Alone: holds in the graph only if the first is needed and both are on the same node."""

    REPLACES = "replaces"
    """When the then is needed, the first is not: a stop makes a reload pointless."""

    SERIALIZED = "serialized"
    """Only the sequence, as ORDERED, but it survives where the first cannot run."""

    OWN = "own"
    """Stated by the scheduler itself, so it may order a guest and what is in it."""

    __hash__ = object.__hash__
    """Meanings are looked up by the hundred thousand, and never listed in the order of a set."""


PLAIN: frozenset[Meaning] = frozenset({Meaning.ORDERED})
"""Only an order: whoever acts, in this sequence."""

VOID: frozenset[Meaning] = frozenset()
"""An ordering that holds no longer."""


class Every(msgspec.Struct, frozen=True):
    """Whatever actions of one owner have a task, found when the ordering is applied."""

    owner: str
    task: Task


Side = Every | ActionId


class Statement(msgspec.Struct, frozen=True):
    """One ordering as it is stated. `source` is the CIB id or the named cause."""

    first: Side
    then: Side
    meanings: frozenset[Meaning] = PLAIN
    source: str = ""


class Ordering(msgspec.Struct, frozen=True):
    """One edge between two actions. `source` is the CIB id or the named cause."""

    first: ActionId
    then: ActionId
    meanings: frozenset[Meaning] = PLAIN
    source: str = ""


class Plan(msgspec.Struct, frozen=True):
    """All actions with their final flags, and all orderings that hold.

    `inputs` are what each action of the graph waits for there. `refused` are instances that may
    not be active after all, because the copy they go with is nowhere.
    """

    actions: Mapping[ActionId, Action]
    orderings: tuple[Ordering, ...]
    by_owner: Mapping[str, tuple[Action, ...]]
    problems: tuple[Problem, ...] = ()
    included: frozenset[ActionId] = frozenset()
    inputs: Mapping[ActionId, tuple[ActionId, ...]] = msgspec.field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    idle: tuple[tuple[ActionId, ActionId], ...] = ()
    """Pairs of actions that are needed or done, and ordered, although the later does not wait."""

    def actions_of(self, owner: str) -> tuple[Action, ...]:
        """List the actions of one item, in the order they came up."""
        return self.by_owner.get(owner, ())

    def is_in_graph(self, action: ActionId) -> bool:
        """Tell whether an action will be carried out."""
        return action in self.included
