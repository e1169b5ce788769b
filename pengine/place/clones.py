"""Places the copies of a clone: those that can stay first, so that nothing is shuffled.

A copy that runs is tried where it runs. If it would rather go elsewhere, one place is kept for the
node it wants and it is tried again, until it stays or no place is left to keep: whoever gets a
place on that node in the end need not be this copy. Then the copies without a node get theirs.

Source: docs/scheduler/clones.md; published cases clone-no-shuffle, clone-recover-no-shuffle-*.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import Protocol

from crm.model.roles import Role
from crm.model.score import MINUS_INFINITY
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    instances_of,
)
from pengine.facts.nodes import NodeFacts
from pengine.place.tally import Tally, everything_in

Copy = Instance | GroupInstance
Shared = CloneInstance | BundleInstance
"""What nodes get shares of: the copies of a clone, the containers of a bundle."""


class Placing(Protocol):
    """What a clone needs of the placing of everything else."""

    facts: Facts
    tally: Tally
    nodes: dict[str, NodeFacts]

    def place_copy(self, copy: Copy, prefer: str) -> str | None:
        """Place one copy, where it runs if `prefer` is as good as any."""

    def take_back(self, copy: Copy) -> None:
        """Undo the placing of a copy."""


def place_copies(placing: Placing, clone: Shared, copies: tuple[Copy, ...]) -> None:
    """Give every copy (or container of a bundle) a node, or none."""
    _Sharing(placing, clone).place(copies)


class _Sharing:
    """How many copies each node has so far; it does not leave the module."""

    def __init__(self, placing: Placing, clone: Shared) -> None:
        self._placing = placing
        self._clone = clone
        self._may_run = {node.name for node in placing.nodes.values() if node.may_run}
        self._taken = dict.fromkeys(placing.nodes, 0)
        self._placed = 0

    def place(self, copies: tuple[Copy, ...]) -> None:
        usable = sum(1 for n in self._placing.tally.scores[self._clone.id] if n in self._may_run)
        share = max(1, self._clone.clone_max // usable) if usable else 0
        waiting = []
        for copy in copies:
            home = self._home(copy, share) if self._left() > 0 else None
            if home is None or not self._keep(copy, home):
                waiting.append(copy)
        for copy in waiting:
            if self._left() <= 0:
                for part in everything_in(copy):
                    self._placing.tally.ban_everywhere(part.id, "clone", "clone-max")
            self._count(self._assign(copy, ""))

    def _left(self) -> int:
        return self._clone.clone_max - self._placed

    def _count(self, node: str | None) -> None:
        if node is not None:
            self._taken[node] += 1
            self._placed += 1

    def _home(self, copy: Copy, share: int) -> str | None:
        """Say where a copy runs, if it may go on there."""
        activity = self._placing.facts.activity
        states = [activity[i.id] for i in instances_of(copy)]
        node = next((state.nodes[0] for state in states if state.nodes), None)
        if node is None or node not in self._may_run or any(state.failed for state in states):
            return None
        return node if self._taken[node] < share else None

    def _keep(self, copy: Copy, home: str) -> bool:
        """Try to leave a copy where it runs, keeping places for nodes it would rather have."""
        tally = self._placing.tally
        parts = [part.id for part in everything_in(copy)]
        if tally.scores[copy.id].get(home, MINUS_INFINITY) < 0:
            return False
        before = {part: dict(tally.scores[part]) for part in parts}
        kept: list[str] = []
        chosen: str | None = None
        limit = self._left()
        while len(kept) < limit:
            chosen = self._assign(copy, home)
            if chosen == home or chosen is None:
                break
            self._placing.take_back(copy)
            for part in parts:
                tally.scores[part] = dict(before[part])
            self._taken[chosen] += 1
            kept.append(chosen)
            chosen = None
        for node in kept:
            self._taken[node] -= 1
        if chosen is None:
            self._placing.take_back(copy)
            for part in parts:
                tally.scores[part] = before[part]
            return False
        self._count(chosen)
        return True

    def _assign(self, copy: Copy, prefer: str) -> str | None:
        tally = self._placing.tally
        parents = tally.scores[self._clone.id]
        for part in everything_in(copy):
            for node in list(tally.scores[part.id]):
                if copy.is_removed:
                    tally.ban(part.id, node, "clone", self._clone.id, "it is a copy too many")
                elif node not in self._may_run:
                    tally.ban(part.id, node, "clone", "node", "the node cannot run it")
                elif parents.get(node, MINUS_INFINITY) < 0:
                    tally.ban(part.id, node, "clone", self._clone.id, "its clone may not be there")
                elif self._taken[node] >= self._clone.node_max:
                    tally.ban(part.id, node, "clone", "clone-node-max", "its share is there")
        return self._placing.place_copy(copy, prefer)


def in_placing_order(facts: Facts, tally: Tally, clone: Shared) -> tuple[Copy, ...]:
    """Sort copies: what runs well where it may stay first, then by number."""
    standing = {copy.id: _Standing(facts, tally, clone, copy) for copy in clone.copies}

    def compare(one: Copy, other: Copy) -> int:
        return standing[one.id].compare(standing[other.id])

    return tuple(sorted(clone.copies, key=cmp_to_key(compare)))


class _Standing:
    """What counts when two copies are compared."""

    def __init__(self, facts: Facts, tally: Tally, clone: Shared, copy: Copy) -> None:
        states = [facts.activity[i.id] for i in instances_of(copy)]
        active = list(dict.fromkeys(n for state in states for n in state.nodes))
        node = active[0] if active else None
        scores = tally.scores[copy.id]
        self.count = len(active)
        self.is_allowed = node is None or scores.get(node, MINUS_INFINITY) >= 0
        self.node = node if self.is_allowed else None
        self.number = copy.number or 0
        self.can_run = self.node is not None and facts.node(self.node).may_run
        parents = tally.scores[clone.id]
        self.parent = self.node is not None and parents.get(self.node, MINUS_INFINITY) >= 0
        self.failed = any(state.failed for state in states)
        self.score = scores.get(self.node, MINUS_INFINITY) if self.node else MINUS_INFINITY
        self.role = max((state.role for state in states), default=Role.STOPPED)

    def compare(self, other: _Standing) -> int:
        """Say which of two is placed first: negative for this one."""
        if self.count and other.count and self.count != other.count:
            return self.count - other.count
        for mine, theirs in (
            (self.is_allowed, other.is_allowed),
            (self.node is not None, other.node is not None),
            (self.can_run, other.can_run),
            (self.parent, other.parent),
            (not self.failed, not other.failed),
        ):
            if mine != theirs:
                return -1 if mine else 1
        if self.node is not None and self.score != other.score:
            return -1 if self.score > other.score else 1
        return self.number - other.number
