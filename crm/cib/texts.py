"""The text of a document, kept part by part, so that asking for it costs what has changed.

A part is a section of the configuration or the state of one node. For its way to another cib a
document goes in pieces: first all but the node states, then each of these. Responsible for giving
the same bytes as writing the whole tree would; not for noticing changes: `Document` says what is
forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from crm.cib import slices, wire
from crm.plumbing import xml

_MEASURING_TO_PARSING = 4
"""Measuring a text costs so much less than parsing it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How large a text is, in what is limited: bytes, start tags, declarations of namespaces."""

    size_bytes: int
    elements: int
    namespaces: int

    @classmethod
    def of(cls, text: bytes) -> Measure:
        """Measure a text."""
        elements = text.count(b"<") - text.count(b"</")
        return cls(len(text), elements, text.count(b"xmlns"))

    def __add__(self, other: Measure) -> Measure:
        """Give what two texts measure together."""
        return Measure(
            self.size_bytes + other.size_bytes,
            self.elements + other.elements,
            self.namespaces + other.namespaces,
        )


def measuring(text: bytes) -> slices.Work[Measure]:
    """Measure a text step by step."""
    if len(text) <= xml.BITE_BYTES:
        return Measure.of(text)
    measure = Measure(0, 0, 0)
    for part in xml.bites(text):
        measure += Measure.of(part)
        yield len(part) // _MEASURING_TO_PARSING
    return measure


class Texts:
    """The texts of the parts below some elements (`holders`) of one tree."""

    def __init__(self, root: etree._Element, holders: tuple[etree._Element, ...]) -> None:
        self._root = root
        self._holders = holders
        self._parts: dict[etree._Element, bytes] = {}
        self._packed: dict[etree._Element, bytes] = {}

    def of(self, element: etree._Element) -> bytes:
        """Write an element of the tree (or of another one), without what follows it."""
        if element is self._root or any(element is holder for holder in self._holders):
            return self._composed(element)
        parent = element.getparent()
        if parent is None or all(parent is not holder for holder in self._holders):
            return xml.serialise(element)
        known = self._parts.get(element)
        if known is None:
            known = self._parts[element] = xml.serialise(element)
        return known

    def forget(self, element: etree._Element) -> None:
        """Note that an element, with all above it, is not what it was."""
        step: etree._Element | None = element
        while step is not None:
            was_packed = self._packed.pop(step, None) is not None
            if self._parts.pop(step, None) is not None or was_packed:
                return
            step = step.getparent()

    def take_known(self, element: etree._Element, other: Texts, its: etree._Element) -> None:
        """Note that an element is written as `its` of another tree, as far as that is known."""
        for own, known in ((self._parts, other._parts), (self._packed, other._packed)):
            text = known.get(its)
            if text is not None:
                own[element] = text

    # --- in pieces ------------------------------------------------------------------------------

    def piece(self, number: int) -> bytes | None:
        """Write the document without its status (0), or the state of one node; None beyond."""
        states = self._states()
        if number == 0:
            return self._frame() if states else self.of(self._root)
        return self.of(states[number - 1]) if number <= len(states) else None

    def packed_pieces(self, most_bytes: int) -> tuple[bytes, ...] | None:
        """Pack every piece; None if that is too much at once: then ask again, later.

        What was packed is kept, so each call comes nearer; `most_bytes` are packed in one.
        """
        packed: list[bytes] = []
        handled = 0
        for state in self._states():
            known = self._packed.get(state)
            if known is None:
                if handled >= most_bytes:
                    return None
                text = self.of(state)
                handled += len(text)
                known = self._packed[state] = wire.pack(text)
            packed.append(known)
        first = self.piece(0)
        assert first is not None, "there always is a first piece"
        return (wire.pack(first), *packed)

    @property
    def has_states(self) -> bool:
        """Tell whether there are states that can be told apart from the rest."""
        return bool(self._states())

    def _states(self) -> list[etree._Element]:
        """List what can be told apart from the rest; nothing if the status is not as it should."""
        status = self._root.find("status")
        states = [] if status is None else list(status)
        is_plain = status is not None and not status.text and not self._root.nsmap
        are_plain = all(isinstance(each.tag, str) and not each.tail for each in states)
        return states if is_plain and are_plain else []

    def _frame(self) -> bytes:
        """Write the document without what stands in its status."""
        inner = [
            _opening(child)[:-1] + b"/>" if child.tag == "status" else self.of(child)
            for child in self._root
        ]
        tag = str(self._root.tag).encode()
        return b"".join((_opening(self._root), *inner, b"</", tag, b">"))

    def _composed(self, element: etree._Element) -> bytes:
        children = list(element)
        is_plain = not element.nsmap and not element.text and not any(c.tail for c in children)
        if not children or not is_plain:
            return xml.serialise(element)
        tag = str(element.tag).encode()
        return b"".join((_opening(element), *map(self.of, children), b"</", tag, b">"))


def _opening(element: etree._Element) -> bytes:
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    return xml.serialise(etree.Element(str(element.tag), attributes))[:-2] + b">"
