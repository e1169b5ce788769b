"""Turning one tree into another by the fewest edits: whole replacements and crm_diff.

Responsible for matching elements by kind and id and for the edits that lead from the old to the
new. Not used for ordinary changes, which know what they change.

Source: docs/protocol/cib.md, "Patches".
"""

from __future__ import annotations

import copy

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements, slices
from crm.plumbing import xml

_STEP = 2_000
"""What looking at an element costs, and editing it."""

_ELEMENT = 250
"""What an element costs that comes or goes with what it stands in."""

_ALIKE_TO_PARSING = 4
"""Writing an element to compare it costs so much less than parsing it."""


def become(
    edit: edits.Edit, old: etree._Element, new: etree._Element, *, keep: tuple[str, ...] = ()
) -> None:
    """Make `old` (in the edited document) equal to `new` (a tree of its own, left as it is).

    Deletions come first, then attributes, creations and moves in document order. Children of the
    kinds to `keep` stay as they are inside.
    """
    slices.finish(becoming(edit, old, new, keep=keep))


def becoming(
    edit: edits.Edit, old: etree._Element, new: etree._Element, *, keep: tuple[str, ...] = ()
) -> slices.Work[None]:
    """Do what `become` does, step by step."""
    _set_attributes(edit, old, new)
    wanted = elements.keyed(new)
    present = elements.keyed(old)
    yield _STEP
    for key, own in list(present.items()):
        if key not in wanted or (own.text or "") != (wanted[key].text or ""):
            edit.remove(own)
            del present[key]
            yield cost_of(own)
    order: list[etree._Element] = list(old)
    stands_alone = old.tag == "status" or old.tag in documents.SECTIONS
    for place, (key, target) in enumerate(wanted.items()):
        child = present.get(key)
        if child is None:
            made = copy.deepcopy(target)
            edit.insert(old, made, place)
            order.insert(place, made)
            yield cost_of(made)
            continue
        if order[place] is not child:
            order.remove(child)
            order.insert(place, child)
            edit.move(child, place)
        if not elements.is_element(child) or child.tag in keep:
            continue
        if stands_alone:
            # Objects and node states: that there is nothing to do is told at once. Asking at
            # every level would write each element as often as it has parents.
            text = xml.serialise(target)
            yield len(text) // _ALIKE_TO_PARSING
            if edit.document.text_of(child) == text:
                continue
        yield from becoming(edit, child, target)


def cost_of(element: etree._Element) -> int:
    """Estimate what putting an element into a tree costs, or taking it out."""
    return _STEP + _ELEMENT * sum(1 for _ in element.iter())


def _set_attributes(edit: edits.Edit, old: etree._Element, new: etree._Element) -> None:
    for name in [name for name in old.attrib if name not in new.attrib]:
        edit.set(old, str(name), None)
    for name, value in new.attrib.items():
        edit.set(old, str(name), str(value))
