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
from pengine.facts.instances import (
    BundleInstance,
    Instance,
    Placeable,
    Requires,
    instances_of,
)
from pengine.facts.nodes import display_key
from pengine.order.plan import PLAIN, Meaning, Ordering

_SECURE = frozenset({Requires.FENCING, Requires.UNFENCING})
_COMING_UP = (Task.START, Task.PROMOTE)
_OWN = frozenset({Meaning.OWN})


def fencing_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield all orderings that fencing brings."""
    fencings = [a for a in actions if a.task is Task.FENCE and a.fencing_action != "on"]
    for fencing in fencings:
        for top in facts.everything:
            for instance, around in _with_collective(top):
                if facts.is_managed(instance):
                    yield from _starts_wait(facts, actions, instance, around, fencing)
                    yield from _stops_follow(
                        actions, instance, around, fencing, is_bundled=around is not top
                    )
    real = sorted((f for f in fencings if not f.is_pseudo), key=lambda f: display_key(f.node))
    yield from _after_unfencing(facts, actions)
    yield from _one_by_one(facts, real)
    yield from _director_last(facts, actions, real)


def _with_collective(top: Placeable) -> Iterator[tuple[Instance, Placeable]]:
    """Walk over instances with the group or clone around them; parts of bundles stand alone."""
    if not isinstance(top, BundleInstance):
        yield from ((instance, top) for instance in instances_of(top))
        return
    yield from ((part, part) for part in top.parts)
    if top.clone is not None:
        yield from ((copy, top.clone) for copy in instances_of(top.clone))


def _starts_wait(
    facts: Facts, actions: Actions, instance: Instance, top: Placeable, fencing: Action
) -> Iterator[Ordering]:
    requires = instance.meta.requires
    if requires in _SECURE:
        for task in (*_COMING_UP, _departure(actions, instance)):
            for action in actions.of(instance.id, task):
                yield Ordering(fencing.id, action.id, PLAIN, "fencing before start")
    elif requires is Requires.QUORUM and not _is_known(facts, instance, top, fencing.node):
        for action in actions.of(instance.id, Task.START):
            blocking = PLAIN | {Meaning.BLOCKS}
            yield Ordering(fencing.id, action.id, blocking, "fencing before start")


def _departure(actions: Actions, instance: Instance) -> Task:
    """Name with what a migration begins: that is what waits, as a start would."""
    return Task.MIGRATE_TO if actions.of(instance.id, Task.MIGRATE_TO) else Task.MIGRATE_FROM


def _is_known(facts: Facts, instance: Instance, top: Placeable, node: str) -> bool:
    """Tell whether it is known whether an instance, or any copy like it, runs on a node.

    A copy of a group says nothing about the others (case clone-requires-quorum-recovery).
    """
    if instance.id not in facts.reserved.get(node, (instance.id,)):
        return True  # It does not know that node, so it cannot be there.
    if facts.node(node).is_unlisted or facts.activity[instance.id].is_known_on(node):
        return True
    if instance.is_unique or instance.parent != top.id:
        return False
    return any(facts.activity[i.id].is_known_on(node) for i in instances_of(top))


def _stops_follow(
    actions: Actions, instance: Instance, top: Placeable, fencing: Action, *, is_bundled: bool
) -> Iterator[Ordering]:
    if instance.meta.requires not in _SECURE and not fencing.is_pseudo:
        return
    source = "implied by fencing"
    # In a bundle the stop of the clone comes after it; the rest would close a loop.
    for action in actions.of(instance.id, Task.STOP):
        if action.node != fencing.node or not action.is_pseudo:
            continue
        if not is_bundled:
            yield Ordering(fencing.id, action.id, _OWN, source)
        for mark in actions.of(top.id, Task.STOP)[-1:]:
            yield Ordering(fencing.id, mark.id, _OWN, source)
    for action in actions.of(instance.id, Task.DEMOTE):
        if action.node == fencing.node and action.is_pseudo and not is_bundled:
            yield Ordering(fencing.id, action.id, _OWN | PLAIN, source)


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
