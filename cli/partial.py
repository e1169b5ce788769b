"""The difference between two states of a configuration that is seen in part.

Whoever may not see all of an object may still change what of it may be seen. So nothing is
replaced that can be changed in place: an object's replacement would lose what is hidden in it, and
the cib refuses that. Where order or a lost attribute leaves no other way, it is the smallest
element that is replaced.

Source: decision 0072; docs/protocol/cib.md, "Operations".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crm.api import cib
from crm.model.configuration import Item
from crm.model.writexml import configuration as writing


class _OnlyWhole(Exception):
    """An element cannot be changed in place: it has to be replaced."""


def difference(base: Item, candidate: Item) -> list[cib.XmlOperation]:
    """Say how to get from one configuration to another, touching what differs and no more."""
    found = _Steps()
    for new in candidate.children:
        old = base.first(new.tag)
        if old is None:
            if new.children or new.attributes:
                found.add(cib.XmlTask.CREATE, new, "configuration")
            continue
        _compare_sections(old, new, found)
    for old in base.children:
        if candidate.first(old.tag) is None:
            found.add(cib.XmlTask.DELETE, Item(old.tag), "configuration")
    return [*found.deletions, *found.others]


@dataclass
class _Steps:
    """Operations so far; what is gone is deleted first, so that an id can move."""

    deletions: list[cib.XmlOperation] = field(default_factory=list)
    others: list[cib.XmlOperation] = field(default_factory=list)

    def add(self, task: cib.XmlTask, item: Item, section: str) -> None:
        """Note an operation."""
        made = cib.XmlOperation(task=task, xml=writing.serialise(item), section=section)
        (self.deletions if task is cib.XmlTask.DELETE else self.others).append(made)


def _compare_sections(old: Item, new: Item, found: _Steps) -> None:
    known = {_key(each): each for each in old.children}
    wanted = {_key(each): each for each in new.children}
    for key, each in known.items():
        if key not in wanted:
            found.add(cib.XmlTask.DELETE, Item(each.tag, _identity(each)), new.tag)
    for key, each in wanted.items():
        if key not in known:
            found.add(cib.XmlTask.CREATE, each, new.tag)
            continue
        try:
            changed = _change(known[key], each, found, new.tag)
        except _OnlyWhole:
            found.add(cib.XmlTask.REPLACE, each, new.tag)
            continue
        if changed is not None:
            found.add(cib.XmlTask.MODIFY, changed, new.tag)


def _change(old: Item, new: Item, found: _Steps, section: str) -> Item | None:
    """Write what merged into the old element makes it the new one; None if that is nothing.

    What has to go, and what has to be replaced inside, is noted as operations of its own.

    Raises: _OnlyWhole if it cannot be said like this.
    """
    if old == new:
        return None
    lost = [name for name in old.attributes if name not in new.attributes]
    if lost or old.text != new.text or not _keeps_order(old, new):
        raise _OnlyWhole
    made = Item(new.tag, _identity(new))
    for name, value in new.attributes.items():
        if old.attributes.get(name) != value:
            made.attributes[name] = value
    known = {_key(each): each for each in old.children}
    steps = _Steps()
    for each in new.children:
        before = known.pop(_key(each), None)
        merged = each if before is None else _inner_change(before, each, steps, section)
        if merged is not None:
            made.children.append(merged)
    for gone in known.values():
        if not gone.id:
            raise _OnlyWhole
        steps.add(cib.XmlTask.DELETE, Item(gone.tag, _identity(gone)), section)
    found.deletions += steps.deletions
    found.others += steps.others
    return made if made.children or made.attributes != _identity(made) else None


def _inner_change(old: Item, new: Item, found: _Steps, section: str) -> Item | None:
    try:
        return _change(old, new, found, section)
    except _OnlyWhole:
        if not new.id:
            raise
        found.add(cib.XmlTask.REPLACE, new, section)
        return None


def _identity(item: Item) -> dict[str, str]:
    return {"id": item.id} if item.id else {}


def _key(item: Item) -> tuple[str, str]:
    return item.tag, item.id


def _keeps_order(old: Item, new: Item) -> bool:
    """Tell whether what stays keeps its order, and what is new comes after it."""
    known = [_key(each) for each in old.children]
    wanted = [_key(each) for each in new.children]
    if len(set(known)) != len(known) or len(set(wanted)) != len(wanted):
        return False
    staying = [key for key in known if key in wanted]
    return wanted[: len(staying)] == staying
