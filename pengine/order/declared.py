"""Orderings that order constraints ask for, and their inverse for stopping."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.constraints import OrderKind
from pengine.act.actions import ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, Placeable, instances_of
from pengine.facts.links import InOrder
from pengine.order.plan import PLAIN, Meaning, Ordering
from pengine.place.tally import everything_in

_TASKS = {"start": Task.START, "stop": Task.STOP}
_END = {Task.START: Task.RUNNING, Task.STOP: Task.STOPPED}


def declared_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield the orderings of all order constraints."""
    items = _items(facts)
    for link in facts.links.in_order:
        first, then = items.get(link.first), items.get(link.then)
        first_task, then_task = _TASKS.get(link.first_action), _TASKS.get(link.then_action)
        if first is None or then is None or first_task is None or then_task is None:
            continue
        meanings = PLAIN
        if link.kind is OrderKind.MANDATORY:
            meanings = frozenset({Meaning.NEED_SPREADS})
            if first_task is Task.START:
                meanings |= {Meaning.BLOCKS}
        yield from between(actions, link, (first, first_task), (then, then_task), meanings)
        if not link.symmetrical:
            continue
        inverse = PLAIN
        if link.kind is OrderKind.MANDATORY:
            inverse = frozenset({Meaning.NEED_PULLS})
        yield from between(
            actions, link, (then, _opposite(then_task)), (first, _opposite(first_task)), inverse
        )


def missing_firsts(facts: Facts, actions: Actions) -> Iterator[tuple[ActionId, str]]:
    """Yield starts that cannot be, because what they wait for will not start, and its name."""
    items = _items(facts)
    for link in facts.links.in_order:
        first, then = items.get(link.first), items.get(link.then)
        if first is None or then is None or link.kind is not OrderKind.MANDATORY:
            continue
        if link.first_action != "start" or link.alternative:
            continue
        lacking = [i for i in instances_of(first) if not actions.of(i.id, Task.START)]
        if isinstance(first, Instance):
            is_missing = bool(lacking)
        else:
            is_missing = len(lacking) == len(list(instances_of(first)))
        if is_missing and link.then_action == "start":
            for instance in instances_of(then):
                for start in actions.of(instance.id, Task.START):
                    yield start.id, f"unrunnable {link.first} start"


def _items(facts: Facts) -> dict[str, Placeable]:
    found: dict[str, Placeable] = {}
    for top in facts.everything:
        for part in everything_in(top):
            found.setdefault(part.id, part)
        for instance in instances_of(top):
            found.setdefault(instance.resource.id, top)
    return found


def _opposite(task: Task) -> Task:
    return Task.STOP if task is Task.START else Task.START


def between(
    actions: Actions,
    link: InOrder,
    first: tuple[Placeable, Task],
    then: tuple[Placeable, Task],
    meanings: frozenset[Meaning],
) -> Iterator[Ordering]:
    """Order a task of one item before a task of another; collectives by their marks."""
    firsts = _ends(actions, *first)
    thens = _begins(actions, *then)
    for one in firsts:
        for other in thens:
            yield Ordering(one, other, meanings, link.constraint)
    if not meanings:
        return
    hidden = meanings | {Meaning.HIDDEN}
    inner_firsts = _inner(actions, *first) if Meaning.NEED_PULLS in meanings else []
    inner_thens = _inner(actions, *then)
    for one in firsts:
        for other in inner_thens:
            yield Ordering(one, other, hidden, link.constraint)
    for one in inner_firsts:
        for other in (*thens, *inner_thens):
            yield Ordering(one, other, hidden, link.constraint)


def _ends(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    if isinstance(item, Instance):
        return [a.id for a in actions.of(item.id, task)]
    return [a.id for a in actions.of(item.id, _END[task])]


def _begins(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    return [a.id for a in actions.of(item.id, task)]


def _inner(actions: Actions, item: Placeable, task: Task) -> list[ActionId]:
    if isinstance(item, Instance):
        return []
    return [a.id for i in instances_of(item) for a in actions.of(i.id, task)]
