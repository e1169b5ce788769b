"""What is asked of any element of a tree: whether it is one, its attributes, and where it stands.

Source: docs/protocol/cib.md, "Patches"; the form of a path is that of crm_diff.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lxml import etree

Key = tuple[str, str, int]
"""What a child is known by among its siblings."""


def is_element(node: etree._Element) -> bool:
    """Tell an element from a comment, which lxml hands out as the same type."""
    return isinstance(node.tag, str)


def attributes_of(element: etree._Element) -> dict[str, str]:
    """Copy the attributes of an element."""
    return {str(name): str(value) for name, value in element.attrib.items()}


def upwards(element: etree._Element) -> Iterator[etree._Element]:
    """Give an element and all above it."""
    step: etree._Element | None = element
    while step is not None:
        yield step
        step = step.getparent()


def path_of(element: etree._Element) -> str:
    """Write where an element stands, as patches do: `/cib/configuration/nodes/node[@id='1']`.

    An element without an id that has siblings of its kind gets its number among them.
    """
    steps = []
    for step in upwards(element):
        steps.append(step_of(step)[0])
    return "/" + "/".join(reversed(steps))


def step_of(element: etree._Element) -> tuple[str, int]:
    """Name an element among its siblings; gives also how many of them had to be looked at."""
    if not is_element(element):
        return "comment", 0
    tag = element.tag
    identity = element.get("id")
    if identity is not None:
        quote = '"' if "'" in identity else "'"
        return f"{tag}[@id={quote}{identity}{quote}]", 0
    before = sum(1 for _ in element.itersiblings(tag, preceding=True))
    if before or next(element.itersiblings(tag), None) is not None:
        return f"{tag}[{before + 1}]", before
    return tag, 0


def keyed(parent: etree._Element) -> dict[Key, etree._Element]:
    """Name each child by kind, id (or text, for a comment) and number among its equals."""
    seen: Counter[tuple[str, str]] = Counter()
    result: dict[Key, etree._Element] = {}
    for child in parent:
        if is_element(child):
            name = (str(child.tag), child.get("id", ""))
        else:
            name = ("#comment", child.text or "")
        result[(*name, seen[name])] = child
        seen[name] += 1
    return result
