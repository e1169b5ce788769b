"""Finds the instance a history is about, and numbers the copies of anonymous clones.

Copies have no identity in a history: the order in which histories are read decides. A history is
about the copy that is active or busy on its node already (other members of a cloned group may
have told), else about the first that is so nowhere. Where no copy is left a *surplus* one is made:
a removed copy of the clone, which no node may run.

Source: docs/scheduler/README.md; published cases clone-anon-dup, anon-instance-pending,
cloned-group, clone-requires-quorum.
"""

from __future__ import annotations

import bisect

from msgspec.structs import replace

from crm.model.agent import Agent
from crm.model.resources import Primitive
from crm.model.status import ResourceHistory
from pengine.facts import bundles
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    Requires,
    instances_of,
)
from pengine.facts.making import Making, make_instance, read_meta, surplus_copy
from pengine.facts.nodes import NodeFacts
from pengine.facts.settings import Settings

Copy = Instance | GroupInstance


class Finder:
    """Finds the instance a history belongs to; makes removed ones; it does not leave `facts`."""

    def __init__(self, items: tuple[Placeable, ...], making: Making, settings: Settings) -> None:
        self.removed: list[Instance] = []
        self._items = items
        self._making = making
        self._settings = settings
        self._clones: dict[str, CloneInstance] = {}
        self._copies: dict[str, list[Copy]] = {}
        self._known: dict[str, Instance] = {}
        self._clone_of: dict[str, str] = {}
        self._active: set[str] = set()
        """The instances that are active somewhere."""
        self._busy: set[str] = set()
        self._copy_of: dict[str, tuple[str, int]] = {}
        """The clone and the index of the copy that each instance is (part of)."""
        self._at: dict[tuple[str, str], list[int]] = {}
        """The copies of a clone that are active or busy on a node, by index."""
        self._taken: dict[str, set[int]] = {}
        self._first_idle: dict[str, int] = {}
        """No copy of a clone before this one is idle any more."""
        self._inside: dict[tuple[str, str], Instance] = {}
        self._copies_inside: set[str] = set()
        for item in items:
            if isinstance(item, CloneInstance) and not item.is_unique:
                self._open(item)
            elif isinstance(item, BundleInstance):
                self._open_bundle(item)
            else:
                self._known.update((i.id, i) for i in instances_of(item))

    def _open_bundle(self, bundle: BundleInstance) -> None:
        """Prepare a bundle: of what runs inside the node says which copy it is."""
        self._known.update((part.id, part) for part in bundle.parts)
        for replica in bundle.replicas:
            if replica.copy is None:
                continue
            if replica.copy.is_unique:
                self._known[replica.copy.id] = replica.copy
            self._inside[replica.copy.history_id, replica.node] = replica.copy
            self._copies_inside.add(replica.copy.id)

    def _open(self, clone: CloneInstance) -> None:
        """Prepare an anonymous clone."""
        self._clones[clone.id] = clone
        self._copies[clone.id] = []
        self._taken[clone.id] = set()
        self._first_idle[clone.id] = 0
        for copy in clone.copies:
            self._add_copy(clone.id, copy)
        for instance in instances_of(self._copies[clone.id][0]):
            self._clone_of[instance.history_id] = clone.id

    def find(self, history: ResourceHistory, node: NodeFacts) -> Instance | None:
        """Find or make the instance that a history of a node is about."""
        exact = self._known.get(history.id)
        if exact is not None:
            return exact
        base = history.id.partition(":")[0]
        inside = self._inside.get((base, node.name))
        if inside is not None or history.id in self._copies_inside:
            return inside
        if base in self._clone_of:
            return self._find_copy(self._clone_of[base], base, node)
        return self._make_removed(history)

    def occupy(self, instance: Instance, node: str, *, is_active: bool, is_busy: bool) -> None:
        """Remember that a copy is active on a node, or that something is being done with it."""
        if instance.is_unique or instance.number is None:
            return
        if is_active:
            self._active.add(instance.id)
            self._take(instance, node)
        if is_busy and instance.id not in self._busy:
            self._busy.add(instance.id)
            self._take(instance, node)

    def _take(self, instance: Instance, node: str) -> None:
        found = self._copy_of.get(instance.id)
        if found is None:
            return  # What runs inside a container is found by its node.
        clone_id, index = found
        self._taken[clone_id].add(index)
        there = self._at.setdefault((clone_id, node), [])
        if index not in there:
            bisect.insort(there, index)

    def grown(self) -> tuple[Placeable, ...]:
        """Give all items, clones with the surplus copies that were found."""
        return tuple(
            replace(item, copies=tuple(self._copies[item.id]))
            if isinstance(item, CloneInstance) and item.id in self._copies
            else item
            for item in self._items
        )

    # --- copies -----------------------------------------------------------------------------

    def _find_copy(self, clone_id: str, base: str, node: NodeFacts) -> Instance:
        found = self._copy_for(clone_id, base, node.name)
        if found is None or self._is_left_behind(clone_id, found, node):
            return self._member(self._add_surplus(clone_id), base)
        return found

    def _copy_for(self, clone_id: str, base: str, node: str) -> Instance | None:
        """Find the copy that is on a node already, else the first that is nowhere."""
        copies, there = self._copies[clone_id], self._at.get((clone_id, node), [])
        for index in there:
            member = self._member(copies[index], base)
            if member.id not in self._active:
                return member
        if there:
            # A second history of one clone on one node is about something beyond its copies,
            # even if there are idle ones.
            return None
        idle = self._first_idle[clone_id]
        while idle in self._taken[clone_id]:
            idle += 1
        self._first_idle[clone_id] = idle
        return self._member(copies[idle], base) if idle < len(copies) else None

    def _is_left_behind(self, clone_id: str, copy: Instance, node: NodeFacts) -> bool:
        """Tell whether a copy on a lost node leaves its number to one that can run.

        It can where nothing has to be fenced first and there are fewer copies than nodes.
        """
        if copy.meta.requires in (Requires.FENCING, Requires.UNFENCING):
            return False
        is_lost = (not node.online or node.unclean) and node.kind != "guest"
        return is_lost and self._clones[clone_id].clone_max != self._making.node_count

    def _member(self, copy: Copy, base: str) -> Instance:
        if isinstance(copy, Instance):
            return copy  # Nothing else can be meant.
        return next(i for i in instances_of(copy) if i.history_id == base)

    def _add_surplus(self, clone_id: str) -> Copy:
        copies = self._copies[clone_id]
        made = surplus_copy(self._making, self._clones[clone_id], len(copies))
        self._add_copy(clone_id, made)
        return made

    def _add_copy(self, clone_id: str, copy: Copy) -> None:
        for instance in instances_of(copy):
            self._copy_of[instance.id] = (clone_id, len(self._copies[clone_id]))
        self._copies[clone_id].append(copy)

    # --- removed resources ------------------------------------------------------------------

    def _is_unscheduled(self, name: str) -> bool:
        """Tell whether something belongs to a resource that is configured, but not scheduled.

        The parts of a bundle are named after it; nobody may take them for leftovers.
        """
        unscheduled = self._making.cluster.unscheduled
        return any(name == key or name.startswith(f"{key}-") for key in unscheduled)

    def _make_removed(self, history: ResourceHistory) -> Instance | None:
        if not history.entries or not history.type or not history.standard:
            return None
        if self._is_unscheduled(history.id):
            return None
        primitive = Primitive(history.id, Agent(history.standard, history.provider, history.type))
        given = {"requires": "quorum"} if primitive.agent == bundles.CONNECTION else {}
        meta = read_meta(given, self._settings.fencing_enabled, primitive.agent.is_fencing)
        made = make_instance(primitive, meta, self._making.operation_rules, top=history.id)
        removed = replace(made, operations=(), is_removed=True)
        self.removed.append(removed)
        self._known[removed.id] = removed
        return removed
