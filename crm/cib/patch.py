"""Patches: what an edit changed, as a v2 `<diff>`, and how to repeat it elsewhere.

Responsible for writing the changes of an `Edit`, for reading a `<diff format="2">` of our own
or of another tool, and for carrying it out through another `Edit`. Not responsible for versions
that do not fit (`operations` and `replica` compare them first), nor for validity.

Changes are repeated in their order: a path names an element as it stands at that moment, a
position is the one it gets at that moment.

Source: docs/protocol/cib.md, "Patches"; the format is that of crm_diff.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements, slices
from crm.model.version import Version
from crm.plumbing import errors, xml

_STEP = re.compile(
    r"/(?P<tag>[\w.-]+)"
    r"(?:\[@id=(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\])?"
    r"(?:\[(?P<number>\d{1,9})\])?"
)
_ENTRY = 2_000
"""What an entry costs, in bytes that are parsed."""

_VERSION_NAMES = documents.VERSION_ATTRIBUTES


class PatchDoesNotFit(errors.CrmError):
    """A patch names something this document does not have; nothing of it may be kept."""


def write(changes: Iterable[edits.Change], before: Version, after: Version) -> bytes:
    """Write changes as a v2 diff from one version to another."""
    return slices.finish(writing(changes, before, after))


def writing(changes: Iterable[edits.Change], before: Version, after: Version) -> slices.Work[bytes]:
    """Write changes as a v2 diff, step by step."""
    versions = etree.Element("version")
    etree.SubElement(versions, "source", _numbers(before))
    etree.SubElement(versions, "target", _numbers(after))
    parts = [b'<diff format="2">', xml.serialise(versions)]
    for change in changes:
        text = xml.serialise(_write_change(change))
        parts.append(text)
        yield len(text) + _ENTRY
    return b"".join((*parts, b"</diff>"))


def _write_change(change: edits.Change) -> etree._Element:
    match change:
        case edits.Created(path, position, element):
            entry = _entry("create", path, position)
            entry.append(copy.deepcopy(element))
        case edits.Deleted(path, _, _, position):
            entry = _entry("delete", path, position)
        case edits.Moved(path, _, position):
            entry = _entry("move", path, position)
        case edits.Modified(path, element, attributes):
            entry = _entry("modify", path, None)
            _write_attributes(entry, element, attributes)
    return entry


def _write_attributes(
    entry: etree._Element, element: etree._Element, attributes: Mapping[str, str | None]
) -> None:
    listing = etree.SubElement(entry, "change-list")
    for name, value in attributes.items():
        if value is None:
            etree.SubElement(listing, "change-attr", name=name, operation="unset")
        else:
            etree.SubElement(listing, "change-attr", name=name, operation="set", value=value)
    result = etree.SubElement(entry, "change-result")
    etree.SubElement(result, element.tag, elements.attributes_of(element))


def _entry(operation: str, path: str, position: int | None) -> etree._Element:
    entry = etree.Element("change", operation=operation, path=path)
    if position is not None:
        entry.set("position", str(position))
    return entry


def _numbers(version: Version) -> dict[str, str]:
    values = (version.admin_epoch, version.epoch, version.updates)
    return dict(zip(_VERSION_NAMES, map(str, values), strict=True))


def read(data: bytes | etree._Element) -> etree._Element:
    """Read a patch and check its form.

    Raises: ConfigurationError if it is not a v2 diff.
    """
    root = xml.parse(data, keep_comments=True) if isinstance(data, bytes) else data
    if root.tag != "diff" or root.get("format") != "2":
        message = f'the patch is a <{root.tag}>, not a <diff format="2">'
        hint = "make patches with crm_diff"
        problem = errors.error("not-a-patch", "patch", message, hint)
        raise errors.ConfigurationError(message, [problem])
    return root


def versions_of(patch: etree._Element) -> tuple[Version | None, Version | None]:
    """Tell from which version to which a patch leads, as far as it says so."""
    return _version(patch.find("version/source")), _version(patch.find("version/target"))


def _version(element: etree._Element | None) -> Version | None:
    if element is None:
        return None
    numbers = []
    for name in _VERSION_NAMES:
        text = element.get(name, "0")
        try:
            numbers.append(int(text))
        except ValueError as problem:
            message = f"the patch is for a version whose {name} is '{text}', which is no number"
            finding = errors.error("bad-version", "patch", message, "make it again with crm_diff")
            raise errors.ConfigurationError(message, [finding]) from problem
    return Version(*numbers)


def perform(edit: edits.Edit, patch: etree._Element) -> None:
    """Repeat the changes of a patch.

    Raises: PatchDoesNotFit at the first change that cannot be repeated; the caller undoes.
    """
    slices.finish(performing(edit, patch))


def performing(edit: edits.Edit, patch: etree._Element) -> slices.Work[None]:
    """Repeat the changes of a patch step by step. Raises: PatchDoesNotFit, as `perform` does."""
    for change in patch.iterchildren("change"):
        repeat(edit, change)
        yield _ENTRY * sum(1 for _ in change.iter())


def repeat(edit: edits.Edit, change: etree._Element) -> None:
    """Repeat one change of a patch.

    Raises: PatchDoesNotFit if it cannot be repeated.
    """
    path = change.get("path", "")
    match change.get("operation"):
        case "create":
            _create(edit, change, find(edit.document, path))
        case "delete":
            _delete(edit, change, path)
        case "modify":
            _modify(edit, change, find(edit.document, path))
        case "move":
            edit.move(find(edit.document, path), _position(change, default=0))
        case other:
            raise PatchDoesNotFit(f"unknown change '{other}' in a patch")


def find(document: documents.Document, path: str) -> etree._Element:
    """Follow a path from the root.

    Raises: PatchDoesNotFit if it leads nowhere or is no path of a patch.
    """
    here: etree._Element | None = None
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise PatchDoesNotFit(f"'{path}' is not the path of a patch")
        identity = step["single"] if step["single"] is not None else step["double"]
        number = int(step["number"]) if step["number"] else 1
        here = _descend(document, here, step["tag"], identity, number)
        if here is None:
            raise PatchDoesNotFit(f"there is no '{path[: step.end()]}'")
        place = step.end()
    if here is None:
        raise PatchDoesNotFit("a change without a path")
    return here


def _descend(
    document: documents.Document,
    here: etree._Element | None,
    tag: str,
    identity: str | None,
    number: int,
) -> etree._Element | None:
    if here is None:
        return document.root if tag == "cib" else None
    if identity is not None:
        known = _indexed(document, here, tag, identity)
        if known is not None:
            return known
    for child in here.iterchildren(tag):
        if identity is None or child.get("id") == identity:
            number -= 1
            if number <= 0:
                return child
    return None


def _indexed(
    document: documents.Document, here: etree._Element, tag: str, identity: str
) -> etree._Element | None:
    known = document.by_id(identity)
    if known is None and tag == "lrm_resource":
        state = here.getparent()
        state = state.getparent() if state is not None else None
        known = document.history(state.get("id", ""), identity) if state is not None else None
    if known is not None and known.tag == tag and known.getparent() is here:
        return known
    return None


def _create(edit: edits.Edit, change: etree._Element, parent: etree._Element) -> None:
    if len(change) != 1:
        raise PatchDoesNotFit("a change that creates must hold exactly one element")
    edit.insert(parent, copy.deepcopy(change[0]), _position(change, default=len(parent)))


def _delete(edit: edits.Edit, change: etree._Element, path: str) -> None:
    if path.endswith("/comment"):
        parent = find(edit.document, path.removesuffix("/comment"))
        position = _position(change, default=0)
        if position >= len(parent) or elements.is_element(parent[position]):
            raise PatchDoesNotFit(f"there is no comment at place {position} of '{path}'")
        edit.remove(parent[position])
        return
    element = find(edit.document, path)
    if element.getparent() is None:
        raise PatchDoesNotFit("a patch may not delete the root")
    edit.remove(element)


def _modify(edit: edits.Edit, change: etree._Element, element: etree._Element) -> None:
    for attribute in change.iterfind("change-list/change-attr"):
        name = attribute.get("name")
        if not name:
            raise PatchDoesNotFit("a change of an attribute without a name")
        if attribute.get("operation") == "unset":
            edit.set(element, name, None)
        else:
            edit.set(element, name, attribute.get("value", ""))


def _position(change: etree._Element, default: int) -> int:
    text = change.get("position", "")
    return int(text) if text.isascii() and text.isdigit() else default
