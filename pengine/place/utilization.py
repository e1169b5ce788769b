"""Keeps count of what nodes have left while instances are placed.

Room is looked for all that must be together and has no node yet. If no node has room for all of
it, one with room for the instance alone will do, the one with most left for choice.

Source: docs/scheduler/utilization.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crm.model.score import INFINITY, MINUS_INFINITY, Score
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
)
from pengine.facts.utilization import Strategy, Utilization
from pengine.place.colocation import Ties


class Room:
    """What is left on each node; it does not leave the stage."""

    def __init__(self, utilization: Utilization, ties: Ties, nodes: Iterable[str]) -> None:
        self.strategy = utilization.strategy
        self._needs = utilization.needs
        self._ties = ties
        self._left = {name: dict(utilization.offers.get(name, {})) for name in nodes}

    @property
    def matters(self) -> bool:
        """Tell whether room counts at all."""
        return self.strategy is not Strategy.DEFAULT

    def take(self, instance: str, node: str) -> None:
        """Count an instance that was placed."""
        self._change(instance, node, -1)

    def give_back(self, instance: str, node: str) -> None:
        """Undo `take`."""
        self._change(instance, node, 1)

    def _change(self, instance: str, node: str, sign: int) -> None:
        left = self._left.setdefault(node, {})
        for name, amount in self._needs.get(instance, {}).items():
            if name in left:
                left[name] += sign * amount

    def compare(self, one: str, other: str) -> int:
        """Compare what two nodes have left, by the number of things one has more of."""
        mine, theirs = self._left.get(one, {}), self._left.get(other, {})
        result = 0
        for name in {**mine, **theirs}:
            difference = mine.get(name, 0) - theirs.get(name, 0)
            result += (difference > 0) - (difference < 0)
        return result

    def judge(
        self, instance: Instance, nodes: Iterable[str], placed: Mapping[str, str | None]
    ) -> tuple[list[str], str]:
        """Say which nodes lack room, and which one to prefer all the same ("" for none)."""
        candidates = list(nodes)
        own = self._needs.get(instance.id, {})
        total = self._sum(self._together(instance.id, placed))
        fitting = [node for node in candidates if self._fits(node, total)]
        if fitting:
            return [node for node in candidates if node not in fitting], ""
        most = ""
        for node in candidates:
            if not most or self.compare(node, most) > 0:
                most = node
        return [node for node in candidates if not self._fits(node, own)], most

    def _fits(self, node: str, needs: Mapping[str, int]) -> bool:
        left = self._left.get(node, {})
        return all(amount <= left.get(name, 0) for name, amount in needs.items())

    def _sum(self, instances: Iterable[str]) -> dict[str, int]:
        total: dict[str, int] = {}
        for key in instances:
            for name, amount in self._needs.get(key, {}).items():
                total[name] = total.get(name, 0) + amount
        return total

    def _together(self, start: str, placed: Mapping[str, str | None]) -> list[str]:
        """List what must be with an instance and has no node yet, itself included."""
        found: dict[str, None] = {}
        waiting = [start]
        while waiting:
            key = waiting.pop()
            if key in found:
                continue
            found[key] = None
            for link in self._ties.with_others.get(key, ()):
                if link.score >= INFINITY:
                    waiting += _ends(self._ties.items[link.primary])
            for link in self._ties.others_with.get(key, ()):
                if link.score >= INFINITY:
                    waiting += _ends(self._ties.items[link.dependent])
        return [key for key in found if key not in placed]


def _ends(item: Placeable) -> list[str]:
    match item:
        case Instance():
            return [item.id]
        case GroupInstance():
            return [member.id for member in item.members]
        case CloneInstance() | BundleInstance():
            return []


def importance(
    item: Placeable, scores: Mapping[str, Score], active: tuple[str, ...], nodes: Iterable[str]
) -> tuple[int, ...]:
    """Give a key that sorts what is placed first to the front.

    Priority comes first, then the score where it is now, then the scores node by node.
    """
    here = scores.get(active[0], MINUS_INFINITY) if active else MINUS_INFINITY
    each = (-scores.get(name, MINUS_INFINITY) for name in nodes)
    return (-item.meta.priority, -here, *each)
