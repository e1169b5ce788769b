"""Which actions stand for a whole item in an ordering: its own, or the marks of a collective."""

from __future__ import annotations

from pengine.act.actions import ActionId, Actions, Task
from pengine.act.notices import told_after
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, Placeable, instances_of
from pengine.place.tally import everything_in

_END = {
    Task.START: Task.RUNNING,
    Task.STOP: Task.STOPPED,
    Task.PROMOTE: Task.PROMOTED,
    Task.DEMOTE: Task.DEMOTED,
}


def items_by_name(facts: Facts) -> dict[str, Placeable]:
    """Map what a constraint may name to the item it means."""
    found: dict[str, Placeable] = {}
    for top in facts.everything:
        for part in everything_in(top):
            found.setdefault(part.id, part)
    for top in facts.everything:
        for instance in instances_of(top):
            found.setdefault(instance.resource.id, top)
    return found


def ending(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    """List the actions after which a task of an item is done."""
    if isinstance(item, Instance):
        return [a.id for a in actions.of(item.id, task)]
    confirmed = told_after(item.id, _END[task])
    if confirmed in actions.by_id:
        return [confirmed]  # A clone that tells its copies is done when they have been told.
    return [a.id for a in actions.of(item.id, _END[task])]


def beginning(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    """List the actions with which a task of an item begins."""
    return [a.id for a in actions.of(item.id, task)]


def inside(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    """List the actions of the instances in a collective; none for an instance."""
    if isinstance(item, Instance):
        return []
    return [a.id for i in instances_of(item) for a in actions.of(i.id, task)]
