"""What the name of a resource means to a person: the placeable things behind it.

Responsible for finding them among the scheduler's facts, for the containers around them, and for
the names under which nodes keep the history of what is in them. Not responsible for the words when
a name means nothing.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.view.resource_lines import configured_id
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)


@dataclass(frozen=True)
class Subject:
    """What a name means. `parents` are the containers around it, outermost first.

    A plain name inside a clone (`web` for `web:0`, `web:1`) means its first copy where one has to
    be chosen, and `copies` where all can be.
    """

    name: str
    item: Placeable
    parents: tuple[Placeable, ...] = ()
    copies: tuple[Placeable, ...] = ()

    @property
    def id(self) -> str:
        """The id of its element in the configuration."""
        return configured_id(self.item)

    @property
    def is_numbered(self) -> bool:
        """Whether the name is that of one copy."""
        return self.name != self.id

    @property
    def top(self) -> Placeable:
        """The outermost container, or the resource itself."""
        return self.parents[0] if self.parents else self.item

    @property
    def parent(self) -> Placeable | None:
        """The container right around it."""
        return self.parents[-1] if self.parents else None


def walk(
    items: Iterable[Placeable], parents: tuple[Placeable, ...] = ()
) -> Iterator[tuple[Placeable, tuple[Placeable, ...]]]:
    """Yield everything placeable with the containers around it, containers first."""
    for item in items:
        yield item, parents
        inside: Iterable[Placeable]
        match item:
            case Instance():
                continue
            case GroupInstance():
                inside = item.members
            case CloneInstance():
                inside = item.copies
            case BundleInstance():
                parts = (p for r in item.replicas for p in (r.container, r.address, r.connection))
                copies = (replica.copy for replica in item.replicas)
                inside = [each for each in (*parts, *copies) if each is not None]
        yield from walk(inside, (*parents, item))


def find(facts: Facts, name: str) -> Subject | None:
    """Find a resource: by its id, by that of a copy, or by the plain name of copies."""
    plain: list[tuple[Placeable, tuple[Placeable, ...]]] = []
    for item, parents in walk(facts.everything):
        if item.id == name and configured_id(item) == name:
            return Subject(name, item, parents, (item,))
        if name in (item.id, configured_id(item)):
            plain.append((item, parents))
    for item, parents in plain:
        if item.id == name:
            return Subject(name, item, parents, (item,))
    if not plain:
        return None
    item, parents = plain[0]
    return Subject(name, item, parents, tuple(each for each, _parents in plain))


def histories(facts: Facts, item: Placeable) -> list[str]:
    """List the names nodes keep histories under, of all that is in a resource."""
    names = (facts.history_name(each) for each in instances_of(item))
    plain = (each.history_id for each in instances_of(item))
    return list(dict.fromkeys((*plain, *(n for n in names if ":" not in n))))
