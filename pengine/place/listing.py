"""The order in which resources are listed: in the graph, in what is executed, in the summary.

Top-level items stand in the order of placement. The copies of a clone stand in the order in which
they were placed only if nothing was looked for anywhere: looking for resources goes by number, and
leaves the copies in that order. What runs in bundles is looked for replica by replica, so there
copies stay as they were placed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.place.placement import Placement

Copy = Instance | GroupInstance


class Listing:
    """Lists items, copies and instances of one decision."""

    def __init__(self, facts: Facts, placement: Placement) -> None:
        self._facts = facts
        self._placement = placement
        self._in_bundles = {
            item.clone.id
            for item in facts.items
            if isinstance(item, BundleInstance) and item.clone is not None
        }
        self._by_number = facts.settings.enable_startup_probes and any(
            node.online and not node.unclean and node.is_searched for node in placement.nodes
        )

    def items(self) -> Iterator[Placeable]:
        """Walk over top-level items; removed ones come last."""
        rank = {key: index for index, key in enumerate(self._placement.order)}
        yield from sorted(self._facts.items, key=lambda item: rank.get(item.id, len(rank)))
        yield from self._facts.removed

    def copies(self, clone: CloneInstance) -> tuple[Copy, ...]:
        """List the copies of a clone."""
        copies: dict[str, Copy] = {copy.id: copy for copy in clone.copies}
        if self._by_number and clone.id not in self._in_bundles:
            return tuple(copies.values())
        placed = self._placement.copies.get(clone.id, ())
        return tuple(copies[key] for key in dict.fromkeys((*placed, *copies)))

    def instances(self) -> Iterator[Instance]:
        """Walk over all single instances."""
        for item in self.items():
            if isinstance(item, CloneInstance):
                for copy in self.copies(item):
                    yield from instances_of(copy)
            else:
                yield from instances_of(item)

    def owners(self) -> Iterator[str]:
        """Walk over the ids of all that owns actions; a group stands before what is in it.

        A clone stands behind its copies: what it does is known when they are through.
        """
        for item in self.items():
            yield from self._owners(item)

    def _owners(self, item: Placeable) -> Iterator[str]:
        match item:
            case Instance():
                yield item.id
            case GroupInstance():
                yield item.id
                yield from (member.id for member in item.members)
            case CloneInstance():
                for copy in self.copies(item):
                    yield from self._owners(copy)
                yield item.id
            case BundleInstance():
                # Its own marks come last of all, as what belongs to no resource does.
                if item.clone is not None:
                    yield from self._owners(item.clone)
                yield from (part.id for part in item.parts)
