"""What a constraint may name, and the item it means."""

from __future__ import annotations

from pengine.facts.facts import Facts
from pengine.facts.instances import Placeable, instances_of
from pengine.place.tally import everything_in


def items_by_name(facts: Facts) -> dict[str, Placeable]:
    """Map what a constraint may name to the item it means."""
    found: dict[str, Placeable] = {}
    for top in facts.everything:
        for part in everything_in(top):
            found.setdefault(part.id, part)
    for top in facts.everything:
        for instance in instances_of(top):
            found.setdefault(instance.resource.id, top)
    return found
