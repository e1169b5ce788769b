"""Keeps count of what nodes have left while instances are placed.

Room is looked for all that must be together and has no node yet (`pengine.place.company`). If no
node has room for all of it, one with room for the instance alone will do, the one with most left
for choice.

Source: docs/scheduler/utilization.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crm.model.score import MINUS_INFINITY, Score
from pengine.facts.instances import Placeable
from pengine.facts.utilization import Strategy, Utilization


class Room:
    """What is left on each node; it does not leave the stage."""

    def __init__(self, utilization: Utilization, nodes: Iterable[str]) -> None:
        self.strategy = utilization.strategy
        self._needs = utilization.needs
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
        self, instance: str, company: Iterable[str], nodes: Iterable[str]
    ) -> tuple[list[str], str]:
        """Say which nodes lack room, and which one to prefer all the same ("" for none).

        `company` is all that has to be found room for together, the instance included.
        """
        candidates = list(nodes)
        total = self._sum(company)
        fitting = [node for node in candidates if self._fits(node, total)]
        if fitting:
            return [node for node in candidates if node not in fitting], ""
        most = ""
        for node in candidates:
            if not most or self.compare(node, most) > 0:
                most = node
        own = self._needs.get(instance, {})
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


def importance(
    item: Placeable, scores: Mapping[str, Score], here: str | None, nodes: Iterable[str]
) -> tuple[int, ...]:
    """Give a key that sorts what is placed first to the front.

    Priority comes first, then the score where it is now, then the scores node by node.
    """
    now = scores.get(here, MINUS_INFINITY) if here is not None else MINUS_INFINITY
    each = (-scores.get(name, MINUS_INFINITY) for name in nodes)
    return (-item.meta.priority, -now, *each)
