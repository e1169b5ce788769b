"""Orderings that follow from what things are: stop before start, probes first, groups in line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from crm.model.score import INFINITY, MINUS_INFINITY
from pengine.act.actions import Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
    is_promotable,
)
from pengine.order.ends import beginning, ending, items_by_name
from pengine.order.plan import PLAIN, Meaning, Ordering

_MARKS = (
    (Task.START, Task.RUNNING),
    (Task.STOP, Task.STOPPED),
    (Task.PROMOTE, Task.PROMOTED),
    (Task.DEMOTE, Task.DEMOTED),
)
_MANDATORY = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
_INVERSE = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS_NEEDED})


def implied_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield all orderings no constraint has to state."""
    for instance in facts.instances():
        yield from _within(actions, instance)
    for item in facts.items:
        yield from _of_collective(actions, item, facts)
    yield from _apart(facts, actions)
    yield from _together(facts, actions)
    yield from _shutdowns(actions)
    yield from _loads(facts, actions)


def _within(actions: Actions, instance: Instance) -> Iterator[Ordering]:
    starts = actions.of(instance.id, Task.START)
    stops = actions.of(instance.id, Task.STOP)
    for start in starts:
        for stop in stops:
            yield Ordering(stop.id, start.id, frozenset({Meaning.RESTART}), "stop before start")
        is_copy = instance.number is not None and instance.parent == instance.top
        then = _mark(instance.top, Task.START) if is_copy else start.id
        for probe in actions.probes(instance.id):
            # Where it runs nowhere, nobody starts it before every node could be asked.
            meanings = PLAIN if stops else frozenset({Meaning.BLOCKS})
            yield Ordering(probe.id, then, meanings, "probe before start")
    yield from _roles(actions, instance)
    for monitor in actions.of(instance.id, Task.MONITOR):
        changes = (
            *actions.of(instance.id, Task.PROMOTE),
            *actions.of(instance.id, Task.DEMOTE),
        )
        for change in changes:
            if change.node == monitor.node:
                yield Ordering(change.id, monitor.id, _MANDATORY, "role before monitor")
        for start in starts:
            if start.node == monitor.node:
                yield Ordering(start.id, monitor.id, _MANDATORY, "start before monitor")
        if any(start.node == monitor.node for start in starts):
            continue
        # A monitor where nothing is started: it looks after probes and stops have been there.
        for before in (*actions.probes(instance.id), *stops):
            if before.node == monitor.node:
                yield Ordering(before.id, monitor.id, PLAIN, "probe or stop before monitor")
    for stop in stops:
        for cancel in actions.of(instance.id, Task.CANCEL):
            if cancel.node == stop.node:
                yield Ordering(stop.id, cancel.id, PLAIN, "stop before cancel")
        for delete in actions.of(instance.id, Task.DELETE):
            if delete.node == stop.node:
                yield Ordering(stop.id, delete.id, frozenset({Meaning.BLOCKS_NEEDED}), "stop first")
    for delete in actions.of(instance.id, Task.DELETE):
        for start in starts:
            yield Ordering(delete.id, start.id, PLAIN, "delete before start")
    for cancel in actions.of(instance.id, Task.CANCEL):
        for start in starts:
            if cancel.node == start.node and not any(s.node == start.node for s in stops):
                yield Ordering(cancel.id, start.id, PLAIN, "cancel before start")
    if instance.is_removed:
        for clearing in actions.of(instance.id, Task.CLEAR_FAIL_COUNT):
            for stop in stops:
                yield Ordering(clearing.id, stop.id, PLAIN, "clear before stop")
    yield from _reloads(actions, instance)


def _reloads(actions: Actions, instance: Instance) -> Iterator[Ordering]:
    """Reload after the last look around and before the next; a stop or demotion cancels it."""
    for reload in actions.of(instance.id, Task.RELOAD):
        if instance.number is None:
            for probe in actions.probes(instance.id):
                yield Ordering(probe.id, reload.id, PLAIN, "probe before reload")
        for monitor in actions.of(instance.id, Task.MONITOR):
            if monitor.node == reload.node:
                yield Ordering(reload.id, monitor.id, _MANDATORY, "reload before monitor")
        for task in (Task.STOP, Task.DEMOTE):
            for down in actions.of(instance.id, task):
                meanings = frozenset({Meaning.CANCELLED})
                yield Ordering(reload.id, down.id, meanings, "reload unless it restarts")


def _of_collective(actions: Actions, item: Placeable, facts: Facts) -> Iterator[Ordering]:
    match item:
        case Instance():
            return
        case GroupInstance():
            yield from _marks(actions, item, item.members)
            yield from _chain(actions, item, facts)
        case CloneInstance():
            for copy in item.copies:
                yield from _of_collective(actions, copy, facts)
            yield from _marks(actions, item, item.copies)
            if item.is_ordered:
                yield from _one_by_one(actions, item)


def _marks(
    actions: Actions,
    item: GroupInstance | CloneInstance,
    parts: tuple[Instance | GroupInstance, ...],
) -> Iterator[Ordering]:
    for begin, end in _MARKS:
        begin_id, end_id = _mark(item.id, begin), _mark(item.id, end)
        if begin_id not in actions.by_id:
            continue
        bare = frozenset({Meaning.NEED_PULLS})
        if begin is Task.PROMOTE:
            bare |= {Meaning.HIDDEN}
        yield Ordering(begin_id, end_id, bare, item.id)
        for part in parts:
            if isinstance(part, GroupInstance):
                begins = [_mark(part.id, begin)]
                ends = [_mark(part.id, end)]
            else:
                begins = ends = [a.id for a in actions.of(part.id, begin)]
            for action in begins:
                yield Ordering(begin_id, action, frozenset({Meaning.NEED_PULLS}), item.id)
            for action in ends:
                meanings = {Meaning.NEED_SPREADS}
                if begin in (Task.STOP, Task.DEMOTE):
                    meanings.add(Meaning.BLOCKS_NEEDED)
                if begin in (Task.START, Task.PROMOTE):
                    is_group = isinstance(item, GroupInstance)
                    meanings.add(Meaning.BLOCKS if is_group else Meaning.ONE_OF)
                yield Ordering(action, end_id, frozenset(meanings), item.id)
            if begin is Task.STOP and isinstance(part, Instance):
                for probe in actions.probes(part.id):
                    yield Ordering(probe.id, end_id, PLAIN, item.id)
    stopped, start = _mark(item.id, Task.STOPPED), _mark(item.id, Task.START)
    yield Ordering(stopped, start, PLAIN, item.id)
    if is_promotable(item):
        yield from _between_roles(item.id)


def _one_by_one(actions: Actions, clone: CloneInstance) -> Iterator[Ordering]:
    """Start the copies of an ordered clone by number, and stop them the other way round."""
    for before, after in itertools.combinations(clone.copies, 2):
        for first in ending(actions, before, Task.START):
            for then in beginning(actions, after, Task.START):
                yield Ordering(first, then, PLAIN, clone.id)
        for first in ending(actions, after, Task.STOP):
            for then in beginning(actions, before, Task.STOP):
                yield Ordering(first, then, PLAIN, clone.id)


def _between_roles(item: str) -> Iterator[Ordering]:
    """Let a clone demote before it stops, and promote when all else is done."""
    demoted, promote = _mark(item, Task.DEMOTED), _mark(item, Task.PROMOTE)
    for then in (Task.STOP, Task.START, Task.PROMOTE):
        yield Ordering(demoted, _mark(item, then), PLAIN, item)
    yield Ordering(_mark(item, Task.STOPPED), promote, PLAIN, item)
    yield Ordering(_mark(item, Task.RUNNING), promote, PLAIN, item)


def _roles(actions: Actions, instance: Instance) -> Iterator[Ordering]:
    """Demote before a stop, promote after a start; a restart takes the role along."""
    promotes = actions.of(instance.id, Task.PROMOTE)
    for cancel in actions.of(instance.id, Task.CANCEL):
        for change in (*promotes, *actions.of(instance.id, Task.DEMOTE)):
            if change.node == cancel.node:
                yield Ordering(cancel.id, change.id, PLAIN, "cancel before a change of role")
    for demote in actions.of(instance.id, Task.DEMOTE):
        for stop in actions.of(instance.id, Task.STOP):
            if stop.node == demote.node:
                meanings = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS_NEEDED})
                yield Ordering(demote.id, stop.id, meanings, "demote before stop")
        for promote in promotes:
            meanings = frozenset({Meaning.RESTART, Meaning.HIDDEN})
            yield Ordering(demote.id, promote.id, meanings, "demote before promote")
    for promote in promotes:
        for start in actions.of(instance.id, Task.START):
            yield Ordering(start.id, promote.id, _MANDATORY, "start before promote")


def _mark(item: str, task: Task) -> tuple[str, str]:
    return (f"{item}_{task.value}_0", "")


def _chain(actions: Actions, group: GroupInstance, facts: Facts) -> Iterator[Ordering]:
    """Start members in order, stop them in reverse."""
    for before, after in itertools.pairwise(group.members):
        for first in actions.of(before.id, Task.START):
            for then in actions.of(after.id, Task.START):
                yield Ordering(first.id, then.id, _MANDATORY, group.id)
        for then in actions.of(before.id, Task.STOP):
            for first in actions.of(after.id, Task.STOP):
                yield Ordering(first.id, then.id, _INVERSE, group.id)
            for probe in actions.probes(after.id):
                yield Ordering(probe.id, then.id, PLAIN, group.id)
        if not facts.activity[before.id].nodes:
            # A later member runs although an earlier one does not: down first, then up in order.
            for first in actions.of(after.id, Task.STOP):
                for then in actions.of(before.id, Task.START):
                    yield Ordering(first.id, then.id, _INVERSE | {Meaning.BLOCKS}, group.id)


def _apart(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Let one of two that must not meet stop before the other starts in its place."""
    items = items_by_name(facts)
    for link in facts.links.together:
        one, other = items.get(link.dependent), items.get(link.primary)
        if one is None or other is None or link.score > MINUS_INFINITY:
            continue
        if link.dependent_role is not None or link.primary_role is not None:
            continue
        for first, then in ((one, other), (other, one)):
            ends = ending(actions, first, Task.STOP)
            if isinstance(first, Instance):
                ends = [*ends, *(p.id for p in actions.probes(first.id))]
            for end in ends:
                for start in beginning(actions, then, Task.START):
                    if end[1] == start[1]:
                        yield Ordering(end, start, PLAIN, link.constraint)


def _together(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Keep from starting what must be with something that cannot start."""
    items = items_by_name(facts)
    for link in facts.links.together:
        one, other = items.get(link.dependent), items.get(link.primary)
        if one is None or other is None or link.score < INFINITY:
            continue
        if isinstance(other, CloneInstance) or link.dependent_role or link.primary_role:
            continue
        for first in (a for i in instances_of(other) for a in actions.of(i.id, Task.START)):
            for then in (a for i in instances_of(one) for a in actions.of(i.id, Task.START)):
                meanings = frozenset({Meaning.TOGETHER, Meaning.HIDDEN})
                yield Ordering(first.id, then.id, meanings, link.primary)


def _shutdowns(actions: Actions) -> Iterator[Ordering]:
    """Let a node go only after everything on it has stopped."""
    shutdowns = [a for a in actions if a.task is Task.SHUTDOWN]
    for shutdown in shutdowns:
        for action in actions:
            if action.node == shutdown.node and action.task is Task.STOP and not action.is_pseudo:
                meanings = frozenset({Meaning.BLOCKS_NEEDED})
                yield Ordering(action.id, shutdown.id, meanings, "stop before shutdown")


def _loads(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Let what leaves a node make room before anything that needs room starts there."""
    for instance in facts.instances():
        if not facts.utilization.needs.get(instance.id) or not facts.is_managed(instance):
            continue
        for stop in actions.of(instance.id, Task.STOP):
            mark = (f"load_stopped_{stop.node}", "")
            if mark in actions.by_id:
                yield Ordering(stop.id, mark, PLAIN, "room on the node")
        for start in actions.of(instance.id, Task.START):
            mark = (f"load_stopped_{start.node}", "")
            if mark in actions.by_id:
                yield Ordering(mark, start.id, PLAIN, "room on the node")
        for arrival in actions.of(instance.id, Task.MIGRATE_FROM):
            mark = (f"load_stopped_{arrival.node}", "")
            for leaving in actions.of(instance.id, Task.MIGRATE_TO):
                if mark in actions.by_id:
                    yield Ordering(mark, leaving.id, PLAIN, "room on the node")
