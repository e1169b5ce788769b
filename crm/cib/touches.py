"""What an edit touched, in the words subscribers are told: which resource, attribute, node.

Responsible for naming each thing once, in the order it was touched first. Not responsible for who
is told (`outbox`).

Source: docs/protocol/cib.md, "Operations".
"""

from __future__ import annotations

from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import edits, slices

STAMPS = ("cib-last-written", "update-origin", "update-client", "update-user")
"""Attributes of the root that say who changed the configuration last, and when."""

_STEP = 500
"""What naming a thing costs, in bytes that are parsed."""

MAX_TOUCHED = 2_000
"""More things than this are told one by one to nobody; the change counts as a replacement."""


def naming(edit: edits.Edit) -> slices.Work[tuple[api.Touched, ...]]:
    """Say what the changes touched, each thing once, in the order it was touched first."""
    seen: dict[api.Touched, None] = {}
    for change in edit.changes:
        if isinstance(change, edits.Modified) and _counts_only(edit, change):
            continue
        if len(seen) >= MAX_TOUCHED:
            break
        match change:
            case edits.Created(_, _, element):
                parent = element.getparent()
                items = [element, *element.iterdescendants("lrm_rsc_op", "nvpair")]
            case edits.Deleted(_, parent, element, _):
                items = [element, *element.iterdescendants("lrm_rsc_op", "nvpair")]
            case edits.Modified(_, element, _) | edits.Moved(_, element, _):
                parent = element.getparent()
                items = [element]
        gone = isinstance(change, edits.Deleted)
        for item in items:
            above = parent if item is element else item.getparent()
            if len(seen) < MAX_TOUCHED and (item is element or not _is_settled(edit, parent)):
                seen.setdefault(_touch(edit, item, above, parent, gone=gone))
        yield _STEP * len(items)
    return tuple(seen)


def _counts_only(edit: edits.Edit, change: edits.Modified) -> bool:
    """Tell whether a change is only the counting and stamping that goes with every change."""
    return change.element is edit.document.root and all(
        name in documents.VERSION_ATTRIBUTES or name in STAMPS for name in change.attributes
    )


def _is_settled(edit: edits.Edit, parent: etree._Element | None) -> bool:
    """Tell whether what stands inside needs no mention: objects of the configuration."""
    return parent is not None and edit.document.in_configuration(parent)


def _touch(
    edit: edits.Edit,
    item: etree._Element,
    above: etree._Element | None,
    anchor: etree._Element | None,
    *,
    gone: bool,
) -> api.Touched:
    """Name one touched element by what it stands for.

    `above` is its parent; `anchor` leads to the tree, also for what was taken out of it.
    """
    chain = _chain(item, above, anchor)
    tags = [str(step.tag) for step in chain]
    if "configuration" in tags:
        place = tags.index("configuration")
        named = chain[max(0, place - 2)]
        return api.Touched("configuration", named.get("id") or str(named.tag))
    state = next((step for step in chain if step.tag == "node_state"), None)
    if state is None:
        return api.Touched("root" if item is edit.document.root else "status", str(item.tag))
    node = state.get("uname", "")
    if item.tag == "nvpair" and "transient_attributes" in tags:
        value = "" if gone else item.get("value", "")
        return api.Touched("attribute", item.get("name", ""), node, value)
    history = next((step for step in chain if step.tag == "lrm_resource"), None)
    if item.tag == "lrm_rsc_op" and history is not None:
        kind = "history" if gone else "operation"
        return api.Touched(kind, history.get("id", ""), node, item.get("id", ""))
    if history is not None:
        return api.Touched("history", history.get("id", ""), node)
    return api.Touched("node_state", state.get("id", ""), node)


def _chain(
    item: etree._Element, above: etree._Element | None, anchor: etree._Element | None
) -> list[etree._Element]:
    """List an element and all above it, going on at `anchor` where its own way ends."""
    chain = [item]
    step = item.getparent() if item.getparent() is not None else above
    while step is not None:
        chain.append(step)
        following = step.getparent()
        if following is None and anchor is not None and all(s is not anchor for s in chain):
            following = anchor
        step = following
    return chain
