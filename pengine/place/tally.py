"""The mutable tally of scores while resources are placed; it does not leave the stage.

An entry that is missing means "not allowed here" (opt-in clusters), which is not a score.
"""

from __future__ import annotations

from crm.model import score
from crm.model.score import MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.place.placement import Contribution, ScoreLine


class Tally:
    """Scores by item id and node name, with a record of how they came about."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.scores: dict[str, dict[str, Score]] = {}
        self.contributions: list[Contribution] = []
        self.lines: list[ScoreLine] = []
        self.hosts: dict[str, str] = {}
        """Where the container of a bundle is placed ("" for nowhere), by the node inside it."""
        for item in facts.everything:
            self._open(item, item.id)
            if isinstance(item, BundleInstance):
                self._open_bundle_nodes(item)

    def _open(self, item: Placeable, top: str) -> None:
        table: dict[str, Score] = {}
        if self.facts.settings.symmetric:
            reserved = self.facts.reserved
            is_removed = isinstance(item, Instance) and item.is_removed
            for node in self.facts.nodes:
                if node.is_unlisted and not is_removed:
                    continue
                if node.name not in reserved:
                    table[node.name] = node.score
                elif top in reserved[node.name]:
                    table[node.name] = MINUS_INFINITY
                elif item.id in reserved[node.name]:
                    # A part of the bundle itself: nothing but its place in it speaks against it.
                    table[node.name] = node.score
        self.scores[item.id] = table
        inner: tuple[Placeable, ...] = ()
        match item:
            case GroupInstance():
                inner = item.members
            case CloneInstance():
                inner = item.copies
            case BundleInstance():
                inner = (*item.parts, *((item.clone,) if item.clone is not None else ()))
            case Instance():
                pass
        for part in inner:
            self._open(part, top)

    def _open_bundle_nodes(self, bundle: BundleInstance) -> None:
        """Open the nodes in the containers of a bundle, each to its own copy only."""
        if bundle.clone is None:
            return
        for replica in bundle.replicas:
            self.scores[bundle.clone.id][replica.node] = MINUS_INFINITY
            if replica.copy is not None:
                self.scores[replica.copy.id] = {replica.node: _OWN_NODE}

    def add(
        self, item: str, node: str, amount: Score, stage: str, source: str, text: str = ""
    ) -> None:
        """Change one score; a node that was not allowed becomes allowed."""
        table = self.scores[item]
        table[node] = score.add(table.get(node, ZERO), amount)
        self.contributions.append(Contribution(item, node, amount, stage, source, text))

    def ban(self, item: str, node: str, stage: str, source: str, text: str = "") -> None:
        """Forbid a node, if it was allowed at all."""
        if node in self.scores[item]:
            self.add(item, node, MINUS_INFINITY, stage, source, text)

    def ban_everywhere(self, item: str, stage: str, source: str, text: str = "") -> None:
        """Forbid all nodes, also those that were not allowed; their scores are shown then."""
        for node in self.facts.nodes:
            if node.name in self.scores[item] or not node.is_unlisted:
                self.add(item, node.name, MINUS_INFINITY, stage, source, text)

    def record(self, placed: str, item: Placeable) -> None:
        """Keep the totals of an item and of everything in it, as they are now.

        Nobody wants to know where something removed would best be.
        """
        if isinstance(item, Instance | GroupInstance) and item.is_removed:
            return
        self._record_one(placed, item.id)
        match item:
            case GroupInstance():
                for member in item.members:
                    self._record_one(placed, member.id)
            case CloneInstance():
                for copy in item.copies:
                    self.record(placed, copy)
            case BundleInstance():
                for part in item.parts:
                    self._record_one(placed, part.id)
                if item.clone is not None:
                    self.record(placed, item.clone)
            case Instance():
                pass

    def _record_one(self, placed: str, item: str) -> None:
        table = self.scores[item]
        for node in self.facts.nodes:
            if node.name in table:
                self.lines.append(ScoreLine(placed, item, node.name, table[node.name]))


def everything_in(item: Placeable) -> list[Placeable]:
    """List an item and all that is in it."""
    found: list[Placeable] = [item]
    match item:
        case GroupInstance():
            found += item.members
        case CloneInstance():
            for copy in item.copies:
                found += everything_in(copy)
        case BundleInstance():
            found += item.parts
            found += everything_in(item.clone) if item.clone is not None else []
        case Instance():
            pass
    return found


_OWN_NODE = Score(500)
"""What the copy in a bundle starts with on its own node (case bundle-order-startup-clone-2)."""


__all__ = ["Tally", "everything_in", "instances_of"]
