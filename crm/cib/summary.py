"""What a change was about, in one line for people: names of objects and options, never values.

Responsible for finding the object of each step of an edit and for wording. An object is what
stands directly in a section of the configuration; a node is called by its name, not by its id.

Source: decision 0024; docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements

MAX_SUMMARY = 160

_OBJECT = re.compile(
    r"/cib/configuration/(?P<section>[\w.-]+)"
    r"(?:/(?P<tag>[\w.-]+)(?:\[@id=(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\])?)?"
)
_RESOURCES = ("primitive", "group", "clone", "master", "bundle", "template")
_MEMBER = re.compile(rf"(?:{'|'.join(_RESOURCES)})\[@id=['\"]([^'\"]*)['\"]\]")


@dataclass
class _Told:
    """An object: how it is called, what was done to it, and details in the order they came."""

    kind: str
    name: str
    details: dict[str, None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"{self.name} ({', '.join(self.details)})" if self.details else self.name


def objects_of(changes: Iterable[edits.Change]) -> tuple[str, ...]:
    """Name the objects that changes are about by their ids, each once."""
    named = dict.fromkeys(_object_of(change)[0] for change in changes)
    return tuple(name for name in named if name)


def object_at(path: str, child: etree._Element | None) -> str:
    """Name the object that a path leads to ("" = none); `child` is what stands below a section."""
    found = _OBJECT.match(path)
    if found is None:
        return ""
    if found["tag"] is None and child is not None:
        return child.get("id") or found["section"]
    return _named(found)


def summary_of(changes: Iterable[edits.Change], document: documents.Document) -> str:
    """Say in one line what was created, changed and deleted.

    `document` is the one that was changed, as it is afterwards.
    """
    told: dict[str, _Told] = {}
    for change in changes:
        identity, kind = _object_of(change)
        if not identity:
            continue
        name = _called(identity, change, document)
        entry = told.setdefault(identity, _Told(kind, name))
        if kind != entry.kind:
            # Deleted and created anew is a change; any other mix is what was done to the whole.
            is_new_form = {kind, entry.kind} == {"created", "deleted"}
            whole = kind if entry.kind == "changed" else entry.kind
            entry.kind = "changed" if is_new_form else whole
        entry.details.update(dict.fromkeys(_details_of(change, kind)))
    text = "; ".join(_parts(told.values())) or "nothing but the version"
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 3] + "..."


def _parts(told: Iterable[_Told]) -> Iterator[str]:
    entries = list(told)
    for kind in ("created", "changed", "deleted"):
        texts = [entry.text for entry in entries if entry.kind == kind]
        if texts:
            yield f"{kind} {', '.join(texts)}"


def _called(identity: str, change: edits.Change, document: documents.Document) -> str:
    """Call a node by its name; everything else has the name it was given."""
    if not change.path.startswith("/cib/configuration/nodes"):
        return identity
    node = document.by_id(identity)
    if node is None and not isinstance(change, edits.Moved):
        node = change.element
    name = node.get("uname") if node is not None and node.tag == "node" else None
    return f"node {name}" if name else identity


def _object_of(change: edits.Change) -> tuple[str, str]:
    """Name the object a change is about ("" = none), and what was done to it as a whole."""
    found = _OBJECT.match(change.path)
    if found is None:
        if isinstance(change, edits.Created) and change.path == "/cib/configuration":
            return str(change.element.tag), "created"
        if isinstance(change, edits.Modified) and "validate-with" in change.attributes:
            return "validate-with", "changed"
        return "", "changed"
    name = _named(found)
    whole = change.path.count("/") - _quoted_slashes(found)
    match change:
        case edits.Created(element=element) if found["tag"] is None:
            if not elements.is_element(element):
                return found["section"], "changed"
            return element.get("id") or str(element.tag), "created"
        case edits.Deleted() if whole <= 4 and found.end() == len(change.path):
            return name, "deleted"
        case _:
            return name, "changed"


def _quoted_slashes(found: re.Match[str]) -> int:
    return (found["single"] or found["double"] or "").count("/")


def _named(found: re.Match[str]) -> str:
    identity = found["single"] if found["single"] is not None else found["double"]
    return identity or found["tag"] or found["section"]


def _details_of(change: edits.Change, kind: str) -> Iterator[str]:
    """Name what of an object was changed: options where there are some, else attributes."""
    if isinstance(change, edits.Moved):
        yield "order"
        return
    element = change.element
    if not elements.is_element(element):
        return
    if kind != "changed":
        # Of a set of options it matters which; any other object is created and goes as a whole.
        if element.tag == "cluster_property_set" and kind == "created":
            yield from _options_in(element)
        return
    inner = _MEMBER.findall(change.path.partition("/cib/configuration/resources/")[2])[1:]
    member = inner[-1] + " " if inner else ""
    match change:
        case edits.Created() if element.tag in _RESOURCES:
            yield f"with {element.get('id', '')}"
        case edits.Deleted() if element.tag in _RESOURCES:
            yield f"without {element.get('id', '')}"
        case edits.Modified(attributes=attributes) if element.tag not in ("nvpair", "cib"):
            yield member + ", ".join(attributes)
        case _:
            options = [member + name for name in _options_in(element)]
            yield from options or ([member[:-1]] if member else [])


def _options_in(element: etree._Element) -> Iterator[str]:
    """Name the options of an element, itself one or a set of them."""
    for pair in element.iter("nvpair"):
        name = pair.get("name")
        if name:
            yield name
