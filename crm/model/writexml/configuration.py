"""Writes an `Item` as an element, and a configuration into a whole CIB document."""

from __future__ import annotations

from lxml import etree

from crm.model.configuration import Item


def element(item: Item) -> etree._Element:
    """Make the element an item stands for."""
    made = etree.Element(item.tag)
    _fill(made, item)
    return made


def _fill(made: etree._Element, item: Item) -> None:
    for name, value in item.attributes.items():
        made.set(name, value)
    if item.text:
        made.text = item.text
    for child in item.children:
        for comment in child.comments:
            made.append(etree.Comment(f" {comment} "))
        _fill(etree.SubElement(made, child.tag), child)


def serialise(item: Item) -> bytes:
    """Write an item as XML bytes, without indentation (for a wire)."""
    return etree.tostring(element(item), encoding="utf-8")


def document(item: Item) -> bytes:
    """Write an item as an indented XML document (for a file)."""
    made = element(item)
    etree.indent(made, space="  ")
    return etree.tostring(made, encoding="utf-8", pretty_print=True)
