"""Orderings that order constraints ask for, and their inverse for stopping."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.constraints import OrderKind
from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.facts.links import InOrder
from pengine.order.ends import beginning, ending, inside, items_by_name
from pengine.order.plan import PLAIN, Meaning, Ordering

_TASKS = {
    "start": Task.START,
    "stop": Task.STOP,
    "promote": Task.PROMOTE,
    "demote": Task.DEMOTE,
}
_OPPOSITES = {
    Task.START: Task.STOP,
    Task.STOP: Task.START,
    Task.PROMOTE: Task.DEMOTE,
    Task.DEMOTE: Task.PROMOTE,
}
_RISING = frozenset({Task.START, Task.PROMOTE})
_INVERSE = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS_NEEDED})

End = tuple[Placeable, Task]


def marks_of_alternatives(facts: Facts) -> Iterator[Action]:
    """Yield the mark at which one of several alternatives is there (require-all=false)."""
    names = {link.alternative: None for link in facts.links.in_order if link.alternative}
    for name in names:
        yield Action((name, ""), Task.ONE_OR_MORE, name, is_pseudo=True)


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
        if first[1] in _RISING:
            meanings |= {Meaning.BLOCKS}
        if not link.symmetrical and then[1] in _RISING and _is_up(facts, then[0]):
            # One-way orders leave alone what runs already.
            meanings = PLAIN
    yield from _between(actions, link, first, then, meanings)


def _is_up(facts: Facts, item: Placeable) -> bool:
    return all(facts.activity[i.id].nodes for i in instances_of(item))


def _alternatives(actions: Actions, link: InOrder, first: End, then: End) -> Iterator[Ordering]:
    mark = (link.alternative, "")
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
        if (
            isinstance(first, CloneInstance)
            and isinstance(then, CloneInstance)
            and _is_interleaved(first, then, Task.START)
        ):
            yield from _without_partner(actions, first, then)
            continue
        if not _is_missing(actions, first):
            continue
        leaves = isinstance(first, Instance) and bool(facts.activity[first.id].nodes)
        cause = "required" if leaves else "unrunnable"
        word = "start" if isinstance(first, Instance) else "running"
        for owner in dict.fromkeys((then.id, *(i.id for i in instances_of(then)))):
            for start in actions.of(owner, Task.START):
                yield start.id, f"{cause} {first.id} {word}"


_SPREADING = frozenset({Meaning.NEED_SPREADS, Meaning.NEED_PULLS, Meaning.BLOCKS_NEEDED})


def _goes_by_node(first: End, then: End, meanings: frozenset[Meaning]) -> bool:
    """Tell whether need spreads only between actions on one node.

    What stands on a clone is concerned by the copy on its own node alone.
    """
    if isinstance(first[0], CloneInstance) and Meaning.NEED_SPREADS in meanings:
        return True
    return isinstance(then[0], CloneInstance) and Meaning.NEED_PULLS in meanings


def _by_node(
    actions: Actions, link: InOrder, first: End, then: End, meanings: frozenset[Meaning]
) -> Iterator[Ordering]:
    visible = meanings - _SPREADING
    spreading = (meanings & _SPREADING) | {Meaning.HIDDEN}
    inner_thens = inside(actions, *then)
    if visible:
        for one in ending(actions, *first):
            for other in inner_thens:
                yield Ordering(one, other, visible | {Meaning.HIDDEN}, link.constraint)
    for one in inside(actions, *first) or ending(actions, *first):
        for other in inner_thens or beginning(actions, *then):
            if one[1] == other[1]:
                yield Ordering(one, other, spreading, link.constraint)


def _is_interleaved(first: CloneInstance, then: CloneInstance, task: Task) -> bool:
    """Tell whether two clones wait copy for copy; the dependent one decides."""
    dependent = then if task in _RISING else first
    return dependent.is_interleaved and first.node_max == then.node_max


def _neighbours(
    actions: Actions, first: tuple[CloneInstance, Task], then: tuple[CloneInstance, Task]
) -> Iterator[tuple[Instance | GroupInstance, Instance | GroupInstance]]:
    """Pair the copies of two clones that act on the same node."""
    by_node: dict[str, list[Instance | GroupInstance]] = {}
    for copy in first[0].copies:
        for node in _nodes_of(actions, copy, first[1]):
            by_node.setdefault(node, []).append(copy)
    for copy in then[0].copies:
        for node in _nodes_of(actions, copy, then[1]):
            for partner in by_node.get(node, ()):
                yield partner, copy


def _nodes_of(actions: Actions, copy: Instance | GroupInstance, task: Task) -> list[str]:
    nodes = [a.node for i in instances_of(copy) for a in actions.of(i.id, task)]
    return list(dict.fromkeys(nodes))


def _without_partner(
    actions: Actions, first: CloneInstance, then: CloneInstance
) -> Iterator[tuple[ActionId, str]]:
    """Yield the starts of interleaved copies on nodes where the other clone has none."""
    nodes = {n for copy in first.copies for n in _nodes_of(actions, copy, Task.START)}
    for instance in instances_of(then):
        for start in actions.of(instance.id, Task.START):
            if start.node not in nodes:
                yield start.id, f"unrunnable {first.id} running"


def _is_missing(actions: Actions, first: Placeable) -> bool:
    starts = [bool(actions.of(i.id, Task.START)) for i in instances_of(first)]
    return not any(starts)


def _opposite(task: Task) -> Task:
    return _OPPOSITES[task]


def _between(
    actions: Actions, link: InOrder, first: End, then: End, meanings: frozenset[Meaning]
) -> Iterator[Ordering]:
    """Order a task of one item before a task of another; collectives by their marks."""
    if isinstance(first[0], CloneInstance) and isinstance(then[0], CloneInstance):
        earlier, later = first[0], then[0]
        if _is_interleaved(earlier, later, first[1]):
            for a, b in _neighbours(actions, (earlier, first[1]), (later, then[1])):
                yield from _between(actions, link, (a, first[1]), (b, then[1]), meanings)
            return
    firsts, thens = ending(actions, *first), beginning(actions, *then)
    visible = meanings - _SPREADING if _goes_by_node(first, then, meanings) else meanings
    for one in firsts:
        for other in thens:
            yield Ordering(one, other, visible, link.constraint)
    if first[1] is Task.STOP and isinstance(first[0], Instance):
        # What a probe finds running has to stop first as well.
        for probe in actions.probes(first[0].id):
            for other in thens:
                yield Ordering(probe.id, other, PLAIN, link.constraint)
    if not meanings:
        return
    if _goes_by_node(first, then, meanings):
        yield from _by_node(actions, link, first, then, meanings)
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
