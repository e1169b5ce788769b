"""Changes of a document that can be taken back, and from which a patch is written.

Responsible for `Edit`, through which alone the tree of a document is changed: it keeps the indexes
of the document in step, remembers how to take itself back, and which changes a patch must carry.
Not responsible for what an operation means (`operations`).

Cost: every edit is addressed through an index, so it does not grow with the document.

Source: docs/protocol/cib.md, "Document" and "Patches".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from crm.cib import elements
from crm.cib.document import Document, unfit


@dataclass(frozen=True, slots=True)
class Created:
    """An element that was inserted below `path` (its parent's) at `position`."""

    path: str
    position: int
    element: etree._Element


@dataclass(frozen=True, slots=True)
class Modified:
    """An element at `path` whose attributes were set, or taken away (None)."""

    path: str
    element: etree._Element
    attributes: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deleted:
    """An element that stood at `path`; `position` tells comments apart, else it is None."""

    path: str
    parent: etree._Element
    element: etree._Element
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """An element at `path` that was moved to `position` among its siblings."""

    path: str
    element: etree._Element
    position: int


Change = Created | Modified | Deleted | Moved


@dataclass(frozen=True, slots=True)
class Reversal:
    """How one step of an edit is taken back later, and what must be there for that.

    `operation` is that of a patch. `path` and `position` hold right after the step; `element` is
    what is to be restored or removed. For "modify" the attribute `name` goes back to `value` and
    must be `expected`. `neighbours` are the ids before and after what is restored.
    """

    operation: str
    path: str
    element: etree._Element
    position: int | None = None
    name: str = ""
    value: str | None = None
    expected: str | None = None
    neighbours: tuple[str, str] = ("", "")


class Edit:
    """Changes of one document that stand or fall together.

    `changes` is what a patch must say to repeat them, in order; what happens inside an element
    that the edit itself created is part of that creation. `undo` takes everything back.
    `reversals` say how the changes of the configuration are taken back by somebody who has only
    the result: repeat them, the last first.

    What stands among siblings without ids is named by its number, which is counted anew each time.
    When that takes more than `most_steps` in all, the edit raises ConfigurationError.
    """

    def __init__(self, document: Document, most_steps: int | None = None) -> None:
        self.document = document
        self._steps_left = most_steps
        self.changes: list[Change] = []
        self.reversals: list[Reversal] = []
        self.touches_configuration = False
        self.touches_status = False
        self.touches_root = False
        self.touches_schema = False
        self._undo: list[tuple[str, etree._Element, Any, Any]] = []
        self._fresh: set[etree._Element] = set()  # membership only: its order is never seen
        self._lengths: dict[etree._Element, int] = {}

    def set(self, element: etree._Element, name: str, value: str | None) -> None:
        """Set an attribute, or take it away with None; nothing happens if it is so already."""
        old = element.get(name)
        if old == value:
            return
        self._undo.append(("set", element, name, old))
        fresh = self._is_fresh(element)
        if not fresh:
            self._note_modified(element, name, value)
        _assign(element, name, value)
        if name == "id":
            self.document.reindex_id(element, old, value)
        is_schema = element is self.document.root and name == "validate-with"
        self.touches_schema = self.touches_schema or is_schema
        kept = self._mark(element) or is_schema
        if kept and not fresh:
            self.reversals.append(
                Reversal("modify", self._path_of(element), element, None, name, old, value)
            )

    def insert(
        self, parent: etree._Element, element: etree._Element, position: int | None = None
    ) -> None:
        """Put a new element (which becomes the document's own) below `parent`."""
        length = self._length_of(parent)
        place = length if position is None else max(0, min(position, length))
        fresh = self._is_fresh(parent)
        if not fresh:
            self.changes.append(Created(self._path_of(parent), place, element))
            self._fresh.add(element)
        if place == length:
            parent.append(element)  # libxml2 counts to every other place
        else:
            parent.insert(place, element)
        self._lengths[parent] = length + 1
        self.document.enter(element)
        self._undo.append(("insert", element, parent, None))
        if self._mark(element) and not fresh:
            number = None if elements.is_element(element) else place
            self.reversals.append(Reversal("delete", self._path_of(element), element, number))

    def remove(self, element: etree._Element) -> None:
        """Take an element out of the tree."""
        parent = element.getparent()
        assert parent is not None, "the root is never removed"
        place = parent.index(element)
        fresh = self._is_fresh(parent)
        if not fresh:
            position = None if elements.is_element(element) else place
            self.changes.append(Deleted(self._path_of(element), parent, element, position))
        if self._mark(element) and not fresh:
            around = (_id_of(element.getprevious()), _id_of(element.getnext()))
            above = self._path_of(parent)
            self.reversals.append(Reversal("create", above, element, place, neighbours=around))
        self.document.leave(element)
        parent.remove(element)
        if parent in self._lengths:
            self._lengths[parent] -= 1
        self._undo.append(("remove", element, parent, place))

    def move(self, element: etree._Element, position: int) -> None:
        """Give an element another place among its siblings."""
        parent = element.getparent()
        assert parent is not None, "the root is never moved"
        place = parent.index(element)
        if place == position:
            return
        fresh = self._is_fresh(parent)
        if not fresh:
            self.changes.append(Moved(self._path_of(element), element, position))
        parent.remove(element)
        parent.insert(position, element)
        self._undo.append(("move", element, parent, place))
        if self._mark(element) and not fresh:
            self.reversals.append(Reversal("move", self._path_of(element), element, place))

    def outlives(self, given: Document) -> None:
        """Note a document that was read for this edit; what becomes of it is the interpreter's."""

    def undo(self) -> None:
        """Take back everything, the last first."""
        for kind, element, first, second in reversed(self._undo):
            if kind == "set":
                new = element.get(first)
                _assign(element, first, second)
                if first == "id":
                    self.document.reindex_id(element, new, second)
            elif kind == "insert":
                self.document.leave(element)
                first.remove(element)
            elif kind == "remove":
                first.insert(second, element)
                self.document.enter(element)
            else:
                first.remove(element)
                first.insert(second, element)
            self.document.forget(first if kind == "insert" else element)
        self._undo.clear()
        self._lengths.clear()
        self.changes.clear()
        self.reversals.clear()

    def _length_of(self, parent: etree._Element) -> int:
        """Say how many children there are; libxml2 counts them each time it is asked."""
        known = self._lengths.get(parent)
        if known is None:
            known = self._lengths[parent] = len(parent)
        return known

    def _path_of(self, element: etree._Element) -> str:
        """Write where an element stands, and count what that costs."""
        if self._steps_left is None:
            return elements.path_of(element)
        steps = []
        for step in elements.upwards(element):
            name, passed = elements.step_of(step)
            steps.append(name)
            self._steps_left -= passed
            if self._steps_left < 0:
                path = elements.path_of(element)
                message = f"'{path}' is one of too many objects without ids to be changed"
                hint = "give them ids, or replace what they stand in, as a whole"
                raise unfit("too-many-without-id", message, hint)
        return "/" + "/".join(reversed(steps))

    def _is_fresh(self, element: etree._Element) -> bool:
        return bool(self._fresh) and any(step in self._fresh for step in elements.upwards(element))

    def _note_modified(self, element: etree._Element, name: str, value: str | None) -> None:
        last = self.changes[-1] if self.changes else None
        if (
            name != "id"
            and isinstance(last, Modified)
            and last.element is element
            and (value is None or last.attributes.get(name, "") is not None)
        ):
            last.attributes[name] = value
            return
        # What was taken away and is set again stands last in the tree: that takes two steps.
        self.changes.append(Modified(self._path_of(element), element, {name: value}))

    def _mark(self, element: etree._Element) -> bool:
        """Note which part was touched; tells whether it was the configuration."""
        document = self.document
        document.forget(element)
        if element is document.root:
            self.touches_root = True
        elif document.in_configuration(element):
            self.touches_configuration = True
            return True
        else:
            self.touches_status = True
        return False


def _id_of(element: etree._Element | None) -> str:
    return "" if element is None or not elements.is_element(element) else element.get("id", "")


def _assign(element: etree._Element, name: str, value: str | None) -> None:
    if value is None:
        if name in element.attrib:
            del element.attrib[name]
    else:
        element.set(name, value)
