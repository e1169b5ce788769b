"""The working copy of all actions while orderings are applied; it does not leave the stage.

Each action has a *standing*: flags that may still change, and the edges to what comes before and
after it. Edges are kept in the sequence in which they were made, because whoever changes an
action first gives the reason that is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from crm.model.roles import Role
from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.act.builder import key_of
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    bundles_in,
    clones_in,
    instances_of,
)
from pengine.order.plan import VOID, Every, Meaning, Ordering, Side, Statement
from pengine.place.listing import Listing
from pengine.place.placement import Placement
from pengine.place.tally import everything_in

_STOPPED = Role.STOPPED


class Standing:
    """An action with the flags it has for now."""

    __slots__ = (
        "action",
        "after",
        "before",
        "counted",
        "is_pseudo",
        "item",
        "may_migrate",
        "needed",
        "node",
        "owner",
        "reasons",
        "runnable",
        "shown",
        "task",
    )

    def __init__(self, action: Action, item: Placeable | None) -> None:
        self.action = action
        self.item = item
        self.owner = action.owner if item is not None else ""
        self.task = action.task
        self.node = action.node
        self.needed = action.needed
        self.runnable = action.runnable
        self.may_migrate = action.migration is not None or action.is_movable
        self.is_pseudo = action.is_pseudo or (
            action.migration is not None and action.task is Task.START
        )
        self.shown = action.is_shown
        self.counted = 0
        self.reasons: tuple[str, ...] = action.reasons
        self.before: list[Edge] = []
        self.after: list[Edge] = []

    @property
    def flags(self) -> tuple[bool, bool, bool, bool]:
        """Give what a rule may have changed."""
        return self.needed, self.runnable, self.may_migrate, self.is_pseudo

    def give_reason(self, reason: str) -> None:
        """Add a reason; the first one is shown."""
        if reason not in self.reasons:
            self.reasons = (*self.reasons, reason)

    def settled(self) -> Action:
        """Give the action as it stands."""
        action = self.action
        keeps_way = self.may_migrate or action.task in (Task.MIGRATE_TO, Task.MIGRATE_FROM)
        migration = action.migration if keeps_way else None
        was = (action.needed, action.runnable, action.is_pseudo, action.is_shown)
        flags = (self.needed, self.runnable, self.is_pseudo, self.shown)
        rest = (migration, self.reasons)
        if was == flags and rest == (action.migration, action.reasons):
            return action
        return replace(
            action,
            needed=self.needed,
            runnable=self.runnable,
            is_pseudo=self.is_pseudo,
            is_shown=self.shown,
            migration=migration,
            reasons=self.reasons,
        )


class Edge:
    """An ordering of two standings; void once it turns out not to hold."""

    __slots__ = ("first", "meanings", "rank", "source", "then")

    def __init__(
        self,
        first: Standing,
        then: Standing,
        meanings: frozenset[Meaning],
        source: str,
        rank: int = 0,
    ) -> None:
        self.first = first
        self.then = then
        self.meanings = meanings
        self.source = source
        self.rank = rank
        """How many orderings were made before."""

    def drop(self) -> None:
        """Let the ordering hold no longer."""
        self.meanings = VOID


class Board:
    """All standings, and what is asked about the resources behind them."""

    def __init__(self, facts: Facts, placement: Placement, actions: Actions) -> None:
        self.facts = facts
        self.placement = placement
        self.listing = Listing(facts, placement)
        self.standings: dict[ActionId, Standing] = {}
        self.statements: list[Statement] = []
        self.items: dict[str, Placeable] = {}
        self.parents: dict[str, str] = {}
        self.tops: dict[str, Placeable] = {}
        """The outermost item around each; in a bundle it is a part, or the clone inside."""
        self.refused: dict[str, None] = {}
        self._by_owner: dict[str, list[Standing]] = {}
        self.inside: dict[str, Instance] = {
            replica.container.id: replica.copy
            for bundle in bundles_in(facts.items)
            for replica in bundle.replicas
            if replica.copy is not None
        }
        """What runs in a container, by the id of the container."""
        self._by_task: dict[tuple[str, Task], list[Standing]] = {}
        self._parts: dict[tuple[str, Task, str], dict[str, Standing]] = {}
        self._made = 0
        self._copies: dict[str, tuple[Instance | GroupInstance, ...]] = {}
        self._edges: dict[tuple[int, int], list[Edge]] = {}
        self._managed = {i.id: facts.is_managed(i) for i in facts.instances()}
        for top in facts.everything:
            for part in everything_in(top):
                if part.id not in self.items:
                    self.items[part.id] = part
                    self.tops[part.id] = top
                    self.parents[part.id] = _parent(part)
        for bundle in bundles_in(facts.items):
            for part in bundle.parts:
                self.tops[part.id] = part
            if bundle.clone is not None:
                self.parents[bundle.clone.id] = bundle.id
                for inside in everything_in(bundle.clone):
                    self.tops[inside.id] = bundle.clone
        for inner in clones_in(facts.items):
            self._copies[inner.id] = self.listing.copies(inner)
        for clone, copies in self._copies.items():
            for copy in copies:
                # A copy too many stands with the clone it was part of.
                self.parents[copy.id] = clone
                self.tops[copy.id] = self.tops[clone]
        for action in actions:
            self.add(action)

    def add(self, action: Action) -> Standing:
        """Take an action in; the newest comes last."""
        item = (action.instance or self.items.get(action.owner)) if action.owner else None
        found = Standing(action, item)
        self.standings[action.id] = found
        self._by_owner.setdefault(found.owner, []).append(found)
        if action.interval_ms == 0:
            self._by_task.setdefault((action.owner, action.task), []).append(found)
            parent = self.parents.get(action.owner, "")
            for node in {found.node: None, "": None}:
                key = (parent, action.task, node)
                self._parts.setdefault(key, {})[action.owner] = found
        return found

    def all_of(self, owner: str) -> list[Standing]:
        """List all actions of an owner, the oldest first."""
        return self._by_owner.get(owner, [])

    def of(self, owner: str, task: Task) -> list[Standing]:
        """List an owner's actions with a task, the oldest first; of monitors only probes."""
        return self._by_task.get((owner, task), [])

    def latest(self, owner: str, task: Task, node: str = "") -> Standing | None:
        """Give an owner's newest action with a task, on one node or on any."""
        for found in reversed(self._by_task.get((owner, task), ())):
            if not node or found.node == node:
                return found
        return None

    def parts_on(self, parent: str, task: Task, node: str) -> Iterable[Standing]:
        """List the newest action of each part of something, with a task on a node or on any."""
        return self._parts.get((parent, task, node), {}).values()

    # --- orderings ----------------------------------------------------------------------------

    def join(
        self, first: Standing, then: Standing, meanings: frozenset[Meaning], source: str
    ) -> bool:
        """Order two actions; False where they are ordered already in any of these ways."""
        if not meanings or first is then:
            return False
        known = self._edges.setdefault((id(first), id(then)), [])
        if any(edge.meanings & meanings for edge in known):
            return False
        self._made += 1
        edge = Edge(first, then, meanings, source, self._made)
        known.append(edge)
        first.after.append(edge)
        then.before.append(edge)
        return True

    def connect(self, ordering: Ordering) -> None:
        """Order two actions that exist."""
        first, then = self.standings.get(ordering.first), self.standings.get(ordering.then)
        if first is not None and then is not None:
            self.join(first, then, ordering.meanings, ordering.source)

    def apply(self, statement: Statement) -> None:
        """Turn a statement into edges; a first that should be there and is not gets made."""
        self.statements.append(statement)
        thens = self.side(statement.then)
        for first in self._firsts(statement):
            meanings = statement.meanings
            if first.action.is_tidying:
                meanings -= {Meaning.NEED_SPREADS}
            for then in thens:
                self.join(first, then, meanings, statement.source)

    def side(self, side: Side) -> list[Standing]:
        """List the actions of one side of a statement."""
        if isinstance(side, Every):
            return list(self.of(side.owner, side.task))
        found = self.standings.get(side)
        return [] if found is None else [found]

    def _firsts(self, statement: Statement) -> list[Standing]:
        found = self.side(statement.first)
        first = statement.first
        if found or not isinstance(first, Every) or first.owner not in self.items:
            return found
        if first.owner == self._owner_of(statement.then):
            return []
        role = self.role_now(self.items[first.owner])
        if first.task is Task.STOP and not role.is_active:
            return []
        if first.task is Task.DEMOTE and role is Role.UNPROMOTED:
            return []
        return [self._make(first)]

    def _owner_of(self, side: Side) -> str:
        if isinstance(side, Every):
            return side.owner
        found = self.standings.get(side)
        return "" if found is None else found.owner

    def _make(self, wanted: Every) -> Standing:
        """Make an action on no node, which cannot run: something waits for it all the same."""
        item = self.items[wanted.owner]
        instance = item if isinstance(item, Instance) else None
        key = f"{wanted.owner}_{wanted.task.value}_0"
        if instance is not None:
            key = key_of(instance, wanted.task, 0)
        return self.add(
            Action((key, ""), wanted.task, wanted.owner, instance=instance, runnable=False)
        )

    # --- resources ----------------------------------------------------------------------------

    def is_managed(self, owner: str) -> bool:
        """Tell whether the cluster may touch what an action is about."""
        known = self._managed.get(owner)
        if known is not None:
            return known
        item = self.items.get(owner)
        return item is None or (item.meta.is_managed and not item.meta.maintenance)

    def is_blocked(self, item: Placeable) -> bool:
        """Tell whether nothing may happen to an item or anything in it."""
        return any(self.facts.is_blocked(i) for i in instances_of(item))

    def role_now(self, item: Placeable) -> Role:
        """Give the highest role an item has anywhere."""
        return max((self.facts.activity[i.id].role for i in instances_of(item)), default=_STOPPED)

    def node_now(self, item: Placeable) -> str:
        """Name the one node an item is on, or ""."""
        nodes = {n: None for i in instances_of(item) for n in self.facts.activity[i.id].nodes}
        return next(iter(nodes)) if len(nodes) == 1 else ""

    def node_then(self, item: Placeable) -> str:
        """Name the one node an item will be on, or ""."""
        nodes = {node: None for i in instances_of(item) if (node := self.goes_to(i.id))}
        return next(iter(nodes)) if len(nodes) == 1 else ""

    def goes_to(self, instance: str) -> str:
        """Name the node an instance goes to, or ""."""
        if instance in self.refused:
            return ""
        return self.placement.node_of(instance) or ""

    def copies(self, clone: CloneInstance) -> tuple[Instance | GroupInstance, ...]:
        """List the copies of a clone, with those it has too many, as they are listed."""
        return self._copies[clone.id]

    def ancestors(self, owner: str) -> Iterator[str]:
        """Walk from what is around an item outwards."""
        while owner := self.parents.get(owner, ""):
            yield owner


def _parent(part: Placeable) -> str:
    match part:
        case Instance() | GroupInstance():
            return part.parent if part.parent != part.id else ""
        case CloneInstance() | BundleInstance():
            return ""
