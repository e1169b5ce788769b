"""Orderings that order constraints ask for, and their inverse for stopping."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.constraints import OrderKind
from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, Placeable, instances_of
from pengine.facts.links import InOrder
from pengine.order.ends import beginning, ending, inside, items_by_name
from pengine.order.plan import PLAIN, Meaning, Ordering

_TASKS = {"start": Task.START, "stop": Task.STOP}
_INVERSE = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS_NEEDED})

End = tuple[Placeable, Task]


def marks_of_alternatives(facts: Facts) -> Iterator[Action]:
    """Yield the mark at which one of several alternatives is there (require-all=false)."""
    names = {link.alternative: None for link in facts.links.in_order if link.alternative}
    for name in names:
        key = f"one-or-more:{name}"
        yield Action((key, ""), Task.ONE_OR_MORE, key, is_pseudo=True)


def declared_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield the orderings of all order constraints."""
    items = items_by_name(facts)
    for link in facts.links.in_order:
        first, then = items.get(link.first), items.get(link.then)
        first_task, then_task = _TASKS.get(link.first_action), _TASKS.get(link.then_action)
        if first is None or then is None or first_task is None or then_task is None:
            continue
        if link.alternative:
            yield from _alternatives(actions, link, (first, first_task), (then, then_task))
            continue
        yield from _forwards(facts, actions, link, (first, first_task), (then, then_task))
        if link.symmetrical:
            meanings = _INVERSE if link.kind is OrderKind.MANDATORY else PLAIN
            inverse = (then, _opposite(then_task)), (first, _opposite(first_task))
            yield from _between(actions, link, *inverse, meanings)


def _forwards(
    facts: Facts, actions: Actions, link: InOrder, first: End, then: End
) -> Iterator[Ordering]:
    meanings = PLAIN
    if link.kind is OrderKind.MANDATORY:
        meanings = frozenset({Meaning.NEED_SPREADS})
        if first[1] is Task.START:
            meanings |= {Meaning.BLOCKS}
        if not link.symmetrical and then[1] is Task.START and _is_up(facts, then[0]):
            # One-way orders leave alone what runs already.
            meanings = PLAIN
    yield from _between(actions, link, first, then, meanings)


def _is_up(facts: Facts, item: Placeable) -> bool:
    return all(facts.activity[i.id].nodes for i in instances_of(item))


def _alternatives(actions: Actions, link: InOrder, first: End, then: End) -> Iterator[Ordering]:
    mark = (f"one-or-more:{link.alternative}", "")
    for one in ending(actions, *first):
        yield Ordering(one, mark, frozenset({Meaning.ONE_OF}), link.constraint)
    meanings = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS})
    for other in beginning(actions, *then):
        yield Ordering(mark, other, meanings, link.constraint)
    for other in inside(actions, *then):
        yield Ordering(mark, other, meanings | {Meaning.HIDDEN}, link.constraint)


def missing_firsts(facts: Facts, actions: Actions) -> Iterator[tuple[ActionId, str]]:
    """Yield starts that cannot be, because what they wait for will not start, and the reason."""
    items = items_by_name(facts)
    for link in facts.links.in_order:
        first, then = items.get(link.first), items.get(link.then)
        if first is None or then is None or link.kind is not OrderKind.MANDATORY:
            continue
        if (link.first_action, link.then_action) != ("start", "start") or link.alternative:
            continue
        if not link.symmetrical and _is_up(facts, then):
            continue
        if not _is_missing(actions, first):
            continue
        leaves = any(facts.activity[i.id].nodes for i in instances_of(first))
        cause = "required" if leaves else "unrunnable"
        word = "start" if isinstance(first, Instance) else "running"
        for instance in instances_of(then):
            for start in actions.of(instance.id, Task.START):
                yield start.id, f"{cause} {first.id} {word}"


def _is_missing(actions: Actions, first: Placeable) -> bool:
    starts = [bool(actions.of(i.id, Task.START)) for i in instances_of(first)]
    return not any(starts)


def _opposite(task: Task) -> Task:
    return Task.STOP if task is Task.START else Task.START


def _between(
    actions: Actions, link: InOrder, first: End, then: End, meanings: frozenset[Meaning]
) -> Iterator[Ordering]:
    """Order a task of one item before a task of another; collectives by their marks."""
    firsts, thens = ending(actions, *first), beginning(actions, *then)
    for one in firsts:
        for other in thens:
            yield Ordering(one, other, meanings, link.constraint)
    if first[1] is Task.STOP and isinstance(first[0], Instance):
        # What a probe finds running has to stop first as well.
        for probe in actions.probes(first[0].id):
            for other in thens:
                yield Ordering(probe.id, other, PLAIN, link.constraint)
    if not meanings:
        return
    hidden = meanings | {Meaning.HIDDEN}
    inner_firsts = inside(actions, *first) if Meaning.NEED_PULLS in meanings else []
    inner_thens = inside(actions, *then)
    for one in firsts:
        for other in inner_thens:
            yield Ordering(one, other, hidden, link.constraint)
    for one in inner_firsts:
        for other in (*thens, *inner_thens):
            yield Ordering(one, other, hidden, link.constraint)
