"""The configuration as plain values: what the shell's language is parsed to and rendered from.

An `Item` mirrors one XML element without being one: tag, attributes, children. The language of
the shell covers every object of the CIB, known and future, so a class per object would only
repeat the schema; what an object means is the scheduler's business (`resources.py` and its like).
Conversion from and to XML stands in `readxml/configuration.py` and `writexml/configuration.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

REFERENCE_TAGS = frozenset({"resource_ref", "obj_ref", "role"})
"""Elements whose `id` names another object instead of giving a name of its own."""

MEMBER = "member"
"""The tag of a child that only names a resource (`group g a b`), until it is put in its place."""


@dataclass(slots=True)
class Item:
    """One element: an object, or a part of one. `comments` stood in front of it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Item] = field(default_factory=list)
    text: str = ""
    comments: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id, or "" when there is none (yet)."""
        return self.attributes.get("id", "")

    def get(self, name: str, default: str = "") -> str:
        """Read an attribute."""
        return self.attributes.get(name, default)

    def each(self, *tags: str) -> list[Item]:
        """List the children with one of these tags, in order."""
        return [child for child in self.children if child.tag in tags]

    def first(self, tag: str) -> Item | None:
        """Find the first child with this tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def walk(self) -> Iterator[Item]:
        """Yield this item and everything below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def copy(self) -> Item:
        """Make an independent copy of this item and everything below it."""
        return Item(
            self.tag,
            dict(self.attributes),
            [child.copy() for child in self.children],
            self.text,
            self.comments,
        )


def own_ids(item: Item) -> set[str]:
    """Collect the ids given below (and by) an item; references do not count."""
    return {
        part.id for part in item.walk() if part.id and part.tag not in REFERENCE_TAGS | {MEMBER}
    }


def referred_ids(item: Item) -> set[str]:
    """Collect the ids that `id-ref` attributes point at."""
    return {part.attributes["id-ref"] for part in item.walk() if "id-ref" in part.attributes}
