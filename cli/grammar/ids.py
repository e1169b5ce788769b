"""Ids for the parts of an object that were written without one.

`PARENT-TAG`, `SET-NAME` for pairs, `RESOURCE-NAME-INTERVAL` for operations; a taken id gets `-0`,
`-1` and so on. Parsing leaves ids out; they are filled in when the object meets the configuration
it joins, which alone knows what is taken.

Source: crm-shell, "Text to XML".
"""

from __future__ import annotations

from itertools import count

from crm.model.configuration import REFERENCE_TAGS, Item

_WITHOUT_ID = frozenset({"operations", "member", "configuration", "select"} | REFERENCE_TAGS)
_NUMBERED_FROM_ZERO = frozenset({"resource_set", "acl_permission", "attribute"})


def fill(item: Item, taken: set[str]) -> None:
    """Give an id to every part of `item` that needs one; `taken` grows by them."""
    for part in item.walk():
        if part.id and part.tag not in REFERENCE_TAGS and part.tag != "member":
            taken.add(part.id)
    # The sets of a node are called by its name, which people know, not by its id.
    _fill_below(item, item.get("uname") if item.tag == "node" else item.id, taken)


def _fill_below(item: Item, owner: str, taken: set[str]) -> None:
    for child in item.children:
        if child.id or "id-ref" in child.attributes or _needs_none(child):
            _fill_below(child, child.id or owner, taken)
            continue
        child.attributes["id"] = _free(_wish(child, owner), child, taken)
        taken.add(child.id)
        _fill_below(child, child.id, taken)


def _needs_none(item: Item) -> bool:
    return item.tag in _WITHOUT_ID or item.tag.startswith("select")


def _wish(item: Item, owner: str) -> str:
    if item.tag == "nvpair":
        return f"{owner}-{item.get('name')}"
    if item.tag == "op":
        return f"{owner}-{item.get('name')}-{item.get('interval', '0')}"
    if item.tag in _NUMBERED_FROM_ZERO:
        return owner
    if item.tag == "fencing-level":
        return "fencing"
    return f"{owner}-{'expression' if item.tag == 'date_expression' else item.tag}"


def _free(wish: str, item: Item, taken: set[str]) -> str:
    wish = "".join(sign if sign.isalnum() or sign in "_.-" else "_" for sign in wish)
    if item.tag not in _NUMBERED_FROM_ZERO and wish not in taken:
        return wish
    return next(candidate for number in count() if (candidate := f"{wish}-{number}") not in taken)
