"""The text of a document, kept part by part, so that asking for it costs what has changed.

A part is a section of the configuration or the state of one node. Responsible for giving the same
bytes as writing the whole tree would; not for noticing changes: `Document` says what is forgotten.
"""

from __future__ import annotations

from lxml import etree

from crm.plumbing import xml


class Texts:
    """The texts of the parts below some elements (`holders`) of one tree."""

    def __init__(self, root: etree._Element, holders: tuple[etree._Element, ...]) -> None:
        self._root = root
        self._holders = holders
        self._parts: dict[etree._Element, bytes] = {}

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
            if self._parts.pop(step, None) is not None:
                return
            step = step.getparent()

    def _composed(self, element: etree._Element) -> bytes:
        children = list(element)
        is_plain = not element.nsmap and not element.text and not any(c.tail for c in children)
        if not children or not is_plain:
            return xml.serialise(element)
        attributes = {str(name): str(value) for name, value in element.attrib.items()}
        tag = str(element.tag)
        opening = xml.serialise(etree.Element(tag, attributes))[:-2] + b">"
        return b"".join((opening, *map(self.of, children), b"</", tag.encode(), b">"))
