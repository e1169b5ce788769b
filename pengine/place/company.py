"""All that has to be on one node with an instance, for which room has to be found together.

Mandatory ties are followed in both directions, through whole groups. A clone brings one copy, and
what must be with a clone may be with any copy of it, so it is not counted.

Source: docs/scheduler/utilization.md; published cases colocated-utilization-*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crm.model.score import INFINITY
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
)
from pengine.place.following import Effect, Following
from pengine.place.ledger import Ledger, inside
from pengine.place.ties import Tie, Ties


class Company:
    """Finds who has to be placed together."""

    def __init__(self, ledger: Ledger, ties: Ties, following: Following) -> None:
        self._ledger = ledger
        self._ties = ties
        self._following = following

    def of(self, instance: Instance) -> list[str]:
        """List what has no node yet and must be with an instance, itself included."""
        found: dict[str, Placeable] = {}
        self._gather(instance, instance, found)
        keys: list[str] = []
        for item in found.values():
            keys += self._counted(item, found)
        return keys

    def _gather(self, item: Placeable, start: Placeable, found: dict[str, Placeable]) -> None:
        if item.id in found:
            return
        found[item.id] = item
        if isinstance(item, GroupInstance) and _is_together(item):
            for member in item.members:
                self._gather(member, start, found)
            return
        for tie in self._ties.with_others(item):
            if tie.primary is not start and self._binds(tie, item, tie.primary):
                self._gather(tie.primary, start, found)
        for tie in self._ties.others_with(item):
            other = tie.dependent
            if isinstance(item, CloneInstance) and not isinstance(other, CloneInstance):
                continue
            if other is not start and self._binds(tie, other, item):
                self._gather(other, start, found)

    def _binds(self, tie: Tie, dependent: Placeable, primary: Placeable) -> bool:
        if tie.score < INFINITY:
            return False
        return self._following.effect(dependent, primary, tie, ahead=True) is Effect.PLACE

    def _counted(self, item: Placeable, found: Mapping[str, Placeable]) -> Iterator[str]:
        """Walk over the instances an item stands for that have no node yet."""
        if self._ledger.is_settled(item):
            return
        match item:
            case Instance():
                yield item.id
            case GroupInstance():
                for member in item.members if _is_together(item) else item.members[:1]:
                    if member.id not in found:
                        yield from self._counted(member, found)
            case BundleInstance():
                if not any(container.id in found for container in item.copies):
                    yield from (container.id for container in item.copies[:1])
            case CloneInstance():
                inner = (part for copy in item.copies for part in (copy, *inside(copy)))
                if item.copies and not any(part.id in found for part in inner):
                    yield from self._counted(item.copies[0], found)


def _is_together(group: GroupInstance) -> bool:
    """Tell whether room is needed for all members at once."""
    return group.is_colocated or group.number is not None
