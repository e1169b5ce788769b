"""The mutable tally of scores while resources are placed; it does not leave the stage.

An entry that is missing means "not allowed here" (opt-in clusters), which is not a score.
"""

from __future__ import annotations

from crm.model import score
from crm.model.score import MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
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
        for item in facts.everything:
            self._open(item)

    def _open(self, item: Placeable) -> None:
        table = {}
        if self.facts.settings.symmetric:
            is_removed = isinstance(item, Instance) and item.is_removed
            nodes = (n for n in self.facts.nodes if is_removed or not n.is_unlisted)
            table = {node.name: node.score for node in nodes}
        self.scores[item.id] = table
        inner: tuple[Placeable, ...] = ()
        match item:
            case GroupInstance():
                inner = item.members
            case CloneInstance():
                inner = item.copies
            case Instance():
                pass
        for part in inner:
            self._open(part)

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
        """Forbid all nodes."""
        for node in self.scores[item]:
            self.add(item, node, MINUS_INFINITY, stage, source, text)

    def record(self, placed: str, item: Placeable) -> None:
        """Keep the totals of an item and of everything in it, as they are now."""
        self._record_one(placed, item.id)
        match item:
            case GroupInstance():
                for member in item.members:
                    self._record_one(placed, member.id)
            case CloneInstance():
                for copy in item.copies:
                    self.record(placed, copy)
            case Instance():
                pass

    def _record_one(self, placed: str, item: str) -> None:
        for node in self.facts.nodes:
            if node.name in self.scores[item]:
                self.lines.append(ScoreLine(placed, item, node.name, self.scores[item][node.name]))


def everything_in(item: Placeable) -> list[Placeable]:
    """List an item and all that is in it."""
    found: list[Placeable] = [item]
    match item:
        case GroupInstance():
            found += item.members
        case CloneInstance():
            for copy in item.copies:
                found += everything_in(copy)
        case Instance():
            pass
    return found


__all__ = ["Tally", "everything_in", "instances_of"]
