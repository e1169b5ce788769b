"""Ids for the parts of an object that were written without one.

`PARENT-TAG`, `SET-NAME` for pairs, `RESOURCE-NAME-INTERVAL` for operations; a taken id gets `-0`,
`-1` and so on. Parsing leaves ids out; they are filled in when the object meets the configuration
it joins, which alone knows what is taken.

Source: crm-shell, "Text to XML".
"""

from __future__ import annotations

from itertools import count

from crm.model.configuration import REFERENCE_TAGS, Item

_WITHOUT_ID = frozenset(
    {"operations", "member", "configuration", "select", "docker", "podman", "rkt", "network",
     "storage"} | REFERENCE_TAGS
)  # fmt: skip
_NUMBERED_FROM_ZERO = frozenset(
    {"resource_set", "acl_permission", "attribute", "port-mapping", "storage-mapping"}
)


def fill(item: Item, taken: set[str]) -> None:
    """Give an id to every part of `item` that needs one; `taken` grows by them."""
    for part in item.walk():
        if part.id and part.tag not in REFERENCE_TAGS and part.tag != "member":
            taken.add(part.id)
    # The sets of a node are called by its name, which people know, not by its id.
    _fill_below(item, item.get("uname") if item.tag == "node" else item.id, taken)


def keep(old: Item, new: Item) -> None:
    """Give the parts of a new form of an object the ids that the like parts of the old one have.

    Alike are first parts that say the same, then those that are about the same: a pair of that
    name, an operation of that name and interval, a rule of that score.
    """
    left = [child for child in old.children if child.tag not in REFERENCE_TAGS]
    named = {child.id for child in new.children if child.id}
    left = [child for child in left if child.id not in named]
    wanting = [
        child
        for child in new.children
        if not child.id and "id-ref" not in child.attributes and child.tag not in REFERENCE_TAGS
    ]
    for likeness in (_content, _subject):
        for child in list(wanting):
            same = (each for each in left if likeness(each) == likeness(child))
            match = next(same, None)
            if match is None:
                continue
            wanting.remove(child)
            left.remove(match)
            if match.id and not _needs_none(child):
                child.attributes["id"] = match.id
            keep(match, child)


def _content(item: Item) -> tuple[object, ...]:
    """Say all that is in a part, but for ids."""
    attributes = sorted(pair for pair in item.attributes.items() if pair[0] != "id")
    return (item.tag, tuple(attributes), tuple(_content(child) for child in item.children))


_ABOUT = {
    "nvpair": ("name",),
    "op": ("name", "interval", "role"),
    "rule": ("score", "score-attribute", "role"),
    "expression": ("attribute", "operation"),
    "fencing-level": ("target", "target-pattern", "target-attribute", "target-value", "index"),
    "recipient": ("value",),
}
"""What a part is about, by its tag; of other parts the place among their like tells."""


def _subject(item: Item) -> tuple[str, ...]:
    return (item.tag, *(item.get(name) for name in _ABOUT.get(item.tag, ())))


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
