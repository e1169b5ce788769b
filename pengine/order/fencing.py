"""Orderings around fencing: what ends by it, what waits for it, who goes last.

A stop on a node that is fenced is no action any more, it is *implied* by the fencing and comes
after it. A start that requires fencing waits for every fencing. One that requires quorum only
waits for the fencing of nodes where nobody knows whether the resource runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from pengine.act.actions import Action, Actions, Task
from pengine.act.unfencing import waits_for_unfencing
from pengine.facts.facts import Facts
from pengine.facts.instances import CloneInstance, GroupInstance, Instance, Requires, instances_of
from pengine.order.plan import PLAIN, Meaning, Ordering

_SECURE = frozenset({Requires.FENCING, Requires.UNFENCING})
_WAITING = (Task.START, Task.PROMOTE)
_IMPLIED = (Task.STOP, Task.DEMOTE)
_OWN = frozenset({Meaning.OWN})


def fencing_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield all orderings that fencing brings."""
    fencings = [a for a in actions if a.task is Task.FENCE and a.fencing_action != "on"]
    collectives = _collectives(facts)
    for fencing in fencings:
        for instance in facts.instances():
            if facts.is_managed(instance):
                yield from _starts_wait(facts, actions, instance, fencing)
                yield from _stops_follow(actions, instance, fencing, collectives)
    yield from _after_unfencing(facts, actions)
    yield from _one_by_one(facts, fencings)
    yield from _director_last(facts, actions, fencings)


def _collectives(facts: Facts) -> dict[str, str]:
    """Map instances to the outermost group or clone around them."""
    return {
        instance.id: item.id
        for item in facts.items
        if isinstance(item, GroupInstance | CloneInstance)
        for instance in instances_of(item)
    }


def _starts_wait(
    facts: Facts, actions: Actions, instance: Instance, fencing: Action
) -> Iterator[Ordering]:
    requires = instance.meta.requires
    if requires in _SECURE:
        for task in _WAITING:
            for action in actions.of(instance.id, task):
                yield Ordering(fencing.id, action.id, PLAIN, "fencing before start")
    elif requires is Requires.QUORUM and not facts.activity[instance.id].is_known_on(fencing.node):
        for action in actions.of(instance.id, Task.START):
            blocking = PLAIN | {Meaning.BLOCKS}
            yield Ordering(fencing.id, action.id, blocking, "fencing before start")


def _stops_follow(
    actions: Actions, instance: Instance, fencing: Action, collectives: dict[str, str]
) -> Iterator[Ordering]:
    if instance.meta.requires not in _SECURE and not fencing.is_pseudo:
        return
    around = collectives.get(instance.id, "")
    for task in _IMPLIED:
        for action in actions.of(instance.id, task):
            if action.node != fencing.node or not action.is_pseudo:
                continue
            yield Ordering(fencing.id, action.id, _OWN, "implied by fencing")
            if around and task is Task.STOP:
                for mark in actions.of(around, Task.STOP):
                    yield Ordering(fencing.id, mark.id, _OWN, "implied by fencing")


_NEEDED_AFTER = frozenset({Meaning.NEED_SPREADS})
_NEEDED_BEFORE = frozenset({Meaning.NEED_PULLS})


def _after_unfencing(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Let nothing be looked for or started on a node before it is turned on.

    What needs the node turned on is stopped before that, and starts anew.
    """
    turned_on = [a for a in actions if a.task is Task.FENCE and a.fencing_action == "on"]
    for unfencing in turned_on:
        for instance in facts.instances():
            if not waits_for_unfencing(instance):
                continue
            for probe in actions.probes(instance.id):
                if probe.node == unfencing.node:
                    yield Ordering(unfencing.id, probe.id, PLAIN, "unfencing first")
            for start in actions.of(instance.id, Task.START):
                if start.node == unfencing.node:
                    yield Ordering(unfencing.id, start.id, _NEEDED_AFTER, "unfencing first")
            if instance.meta.requires is not Requires.UNFENCING:
                continue
            for stop in actions.of(instance.id, Task.STOP):
                if stop.node == unfencing.node:
                    yield Ordering(stop.id, unfencing.id, _NEEDED_BEFORE, "stop before unfencing")


def _one_by_one(facts: Facts, fencings: list[Action]) -> Iterator[Ordering]:
    """Fence one node after another unless concurrent-fencing is on."""
    if facts.settings.concurrent_fencing:
        return
    others = [f for f in fencings if not facts.node(f.node).is_dc]
    for first, then in itertools.pairwise(others):
        yield Ordering(first.id, then.id, PLAIN, "concurrent-fencing")


def _director_last(facts: Facts, actions: Actions, fencings: list[Action]) -> Iterator[Ordering]:
    """Let the DC go last, so that nobody else has to take over for nothing."""
    shutdowns = [a for a in actions if a.task is Task.SHUTDOWN]
    down = next((a for a in (*fencings, *shutdowns) if facts.node(a.node).is_dc), None)
    if down is None:
        return
    others = [f for f in fencings if f.id != down.id]
    if not facts.settings.concurrent_fencing:
        others = others[-1:]
    if down.task is Task.SHUTDOWN:
        # Not before a *fencing* of the DC: that may have to come before what they wait for.
        others += [s for s in shutdowns if s.id != down.id]
    for other in others:
        yield Ordering(other.id, down.id, PLAIN, "the DC goes last")
