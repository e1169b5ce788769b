"""Compares nodes, and chooses the one an instance goes to.

Highest score first, then (balanced) the one with more room, then fewer instances placed there in
this run, then where it is, then the name as plain text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cmp_to_key

from crm.model.score import MINUS_INFINITY, Score
from pengine.facts.instances import CloneInstance, Instance
from pengine.facts.utilization import Strategy
from pengine.place.ledger import Ledger
from pengine.place.utilization import Room


class Chooser:
    """Compares nodes by what is settled so far."""

    def __init__(self, ledger: Ledger, room: Room) -> None:
        self._ledger = ledger
        self._room = room

    def sorted(
        self, nodes: Iterable[str], scores: Mapping[str, Score], active: str | None = None
    ) -> list[str]:
        """Sort nodes, the best first. `active` is where the instance is."""
        able, load = self._ledger.may_run, self._ledger.load

        def worth(node: str) -> int:
            return scores[node] if node in able else MINUS_INFINITY

        def rank(node: str) -> tuple[int, int, bool, str]:
            return -worth(node), load[node], node != active, node

        def compare(one: str, other: str) -> int:
            if worth(one) != worth(other):
                return worth(other) - worth(one)
            more = self._room.compare(other, one)
            return more or (-1 if rank(one) < rank(other) else 1)

        match self._room.strategy:
            case Strategy.MINIMAL:
                return sorted(nodes, key=lambda node: (-worth(node), node))
            case Strategy.BALANCED:
                return sorted(nodes, key=cmp_to_key(compare))
            case _:
                return sorted(nodes, key=rank)

    def best(self, instance: Instance, scores: Mapping[str, Score], prefer: str) -> str | None:
        """Choose a node; `prefer` wins if it is as good as any. None if no node will do."""
        here = self._ledger.here(instance)
        nodes = self.sorted(scores, scores, here)
        if not nodes:
            return None
        best = nodes[0]
        if prefer in scores and scores[prefer] >= scores[best] and self._is_usable(prefer, scores):
            return prefer
        if scores[best] > 0 and best in self._ledger.may_run and self._may_linger(instance, here):
            for node in nodes:
                if scores[node] != scores[best]:
                    break
                if node == here:
                    best = node
        return best if self._is_usable(best, scores) or self._may_come_up(best, scores) else None

    def _may_come_up(self, node: str, scores: Mapping[str, Score]) -> bool:
        """Tell whether a node is a guest, of which it is taken for granted that it comes up.

        Where it does not after all, what was to run there is blocked by that
        (case notify-behind-stopping-remote).
        """
        return scores[node] >= 0 and self._ledger.facts.node(node).kind == "guest"

    def _is_usable(self, node: str, scores: Mapping[str, Score]) -> bool:
        return node in self._ledger.may_run and scores[node] >= 0

    def _may_linger(self, instance: Instance, here: str | None) -> bool:
        """Tell whether an instance keeps its node where no other is better.

        Copies that differ do not: those that could keep theirs have been placed by then, and the
        rest would only crowd a node (case rebalance-unique-clones).
        """
        if here is None or here not in self._ledger.may_run:
            return False
        parent = self._ledger.parents.get(instance.id)
        return not (isinstance(parent, CloneInstance) and parent.is_unique)
