"""The part of a CIB that a small change can have made wrong.

Responsible for copying what an edit touched, and what that refers to, into a CIB of its own, so
that judging a change does not cost more in a large configuration than in a small one.

Why a part is enough: an object that was not touched, and that was right, is still right as long
as nothing it refers to is gone. So an edit that took something away, gave something another id,
or used an id twice has no excerpt, and the whole has to be judged.

Source: docs/protocol/cib.md, "Validity"; faults-and-security section 9.5.
"""

from __future__ import annotations

import copy

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements

MAX_OBJECTS = 50
"""Beyond this the whole is judged at once."""

MAX_CHANGES = 1_000
"""Beyond this it takes too long to find out which objects these are."""

_ALWAYS_WHOLE = ("crm_config", "nodes")
_DEPTH_OF_OBJECTS = 4
"""An object stands below its section, the configuration and the root."""


def of_edit(edit: edits.Edit) -> etree._Element | None:
    """Copy what must be judged; None if that is everything."""
    objects: dict[etree._Element, None] = {}
    if len(edit.changes) > MAX_CHANGES:
        return None
    for change in edit.changes:
        match change:
            case edits.Deleted(_, parent, _, _):
                if edit.document.in_configuration(parent):
                    return None
                continue
            case edits.Moved():
                continue
            case edits.Modified(_, element, attributes):
                if "id" in attributes and edit.document.in_configuration(element):
                    return None
            case edits.Created(_, _, element):
                pass
        objects.update(dict.fromkeys(_objects_of(edit.document, element)))
    if len(objects) > MAX_OBJECTS:
        return None
    referred: dict[etree._Element, None] = {}
    for item in objects:
        if not _note_references(edit.document, item, referred):
            return None
    return _assemble(edit.document, [*objects, *(item for item in referred if item not in objects)])


def _objects_of(document: documents.Document, element: etree._Element) -> list[etree._Element]:
    """Name the objects an element belongs to, or holds if it is a section."""
    chain = [element, *element.iterancestors()]
    if len(chain) < 2 or chain[-1] is not document.root or chain[-2] is not document.configuration:
        return []
    if len(chain) >= _DEPTH_OF_OBJECTS:
        return [chain[-_DEPTH_OF_OBJECTS]]
    if element is document.configuration:
        return [item for section in element for item in section]
    return list(element)


def _note_references(
    document: documents.Document, item: etree._Element, referred: dict[etree._Element, None]
) -> bool:
    """Note the objects whose ids appear in attributes; False if an id is used twice."""
    for element in item.iter(etree.Element):
        for name, value in element.attrib.items():
            known = document.by_id(str(value))
            if known is None:
                continue
            if name == "id" and element.tag not in documents.REFERENCES:
                if known is not element:
                    return False
                continue
            referred.update(dict.fromkeys(_objects_of(document, known)))
    return True


def _assemble(document: documents.Document, objects: list[etree._Element]) -> etree._Element:
    root = etree.Element("cib", elements.attributes_of(document.root))
    configuration = etree.SubElement(root, "configuration")
    sections: dict[etree._Element, etree._Element] = {}
    for section in document.configuration:
        if not elements.is_element(section):
            continue
        if section.tag in _ALWAYS_WHOLE:
            configuration.append(copy.deepcopy(section))
        else:
            attributes = elements.attributes_of(section)
            sections[section] = etree.SubElement(configuration, section.tag, attributes)
    for item in objects:
        holder = item.getparent()
        if holder is not None and holder in sections:
            sections[holder].append(copy.deepcopy(item))
    etree.SubElement(root, "status")
    return root
