"""Reads an element and all below it as an `Item`; meaning and validity are checked elsewhere."""

from __future__ import annotations

from lxml import etree

from crm.model.configuration import Item


def read(element: etree._Element) -> Item:
    """Turn an element into a value; comments are kept with the element that follows them."""
    children: list[Item] = []
    comments: list[str] = []
    for node in element:
        if isinstance(node, etree._Comment):
            comments.append((node.text or "").strip())
        elif isinstance(node.tag, str):
            child = read(node)
            child.comments = tuple(comments)
            comments.clear()
            children.append(child)
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    return Item(str(element.tag), attributes, children, (element.text or "").strip())
