"""Orderings that follow from what things are: stop before start, probes first, groups in line."""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.order.plan import PLAIN, Meaning, Ordering

_MANDATORY = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
_INVERSE = frozenset({Meaning.NEED_PULLS})


def implied_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield all orderings no constraint has to state."""
    for instance in facts.instances():
        yield from _within(actions, instance)
    for item in facts.items:
        yield from _of_collective(actions, item)
    yield from _shutdowns(actions)


def _within(actions: Actions, instance: Instance) -> Iterator[Ordering]:
    starts = actions.of(instance.id, Task.START)
    stops = actions.of(instance.id, Task.STOP)
    for start in starts:
        for stop in stops:
            yield Ordering(stop.id, start.id, frozenset({Meaning.RESTART}), "stop before start")
        for probe in actions.probes(instance.id):
            yield Ordering(probe.id, start.id, frozenset({Meaning.BLOCKS}), "probe before start")
    for monitor in actions.of(instance.id, Task.MONITOR):
        for start in starts:
            if start.node == monitor.node:
                yield Ordering(start.id, monitor.id, _MANDATORY, "start before monitor")
        for probe in actions.probes(instance.id):
            if not starts:
                yield Ordering(probe.id, monitor.id, PLAIN, "probe before monitor")
    for stop in stops:
        for cancel in actions.of(instance.id, Task.CANCEL):
            if cancel.node == stop.node:
                yield Ordering(stop.id, cancel.id, PLAIN, "stop before cancel")
        for delete in actions.of(instance.id, Task.DELETE):
            if delete.node == stop.node:
                yield Ordering(stop.id, delete.id, frozenset({Meaning.BLOCKS}), "stop first")
    for clearing in actions.of(instance.id, Task.CLEAR_FAIL_COUNT):
        for start in starts:
            yield Ordering(clearing.id, start.id, PLAIN, "clear before start")


def _of_collective(actions: Actions, item: Placeable) -> Iterator[Ordering]:
    match item:
        case Instance():
            return
        case GroupInstance():
            yield from _marks(actions, item, item.members)
            yield from _chain(actions, item)
        case CloneInstance():
            for copy in item.copies:
                yield from _of_collective(actions, copy)
            yield from _marks(actions, item, item.copies)


def _marks(
    actions: Actions,
    item: GroupInstance | CloneInstance,
    parts: tuple[Instance | GroupInstance, ...],
) -> Iterator[Ordering]:
    for begin, end in ((Task.START, Task.RUNNING), (Task.STOP, Task.STOPPED)):
        begin_id, end_id = _mark(item.id, begin), _mark(item.id, end)
        if begin_id not in actions.by_id:
            continue
        yield Ordering(begin_id, end_id, frozenset({Meaning.NEED_PULLS}), item.id)
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
                if begin is Task.START and isinstance(item, GroupInstance):
                    meanings.add(Meaning.BLOCKS)
                yield Ordering(action, end_id, frozenset(meanings), item.id)
    stopped, start = _mark(item.id, Task.STOPPED), _mark(item.id, Task.START)
    yield Ordering(stopped, start, PLAIN, item.id)


def _mark(item: str, task: Task) -> tuple[str, str]:
    return (f"{item}_{task.value}_0", "")


def _chain(actions: Actions, group: GroupInstance) -> Iterator[Ordering]:
    """Start members in order, stop them in reverse."""
    for before, after in zip(group.members[:-1], group.members[1:], strict=True):
        for first in actions.of(before.id, Task.START):
            for then in actions.of(after.id, Task.START):
                yield Ordering(first.id, then.id, _MANDATORY, group.id)
        for first in actions.of(after.id, Task.STOP):
            for then in actions.of(before.id, Task.STOP):
                yield Ordering(first.id, then.id, _INVERSE, group.id)


def _shutdowns(actions: Actions) -> Iterator[Ordering]:
    """Let a node go only after everything on it has stopped."""
    shutdowns = [a for a in actions if a.task is Task.SHUTDOWN]
    for shutdown in shutdowns:
        for action in actions:
            if action.node == shutdown.node and action.task is Task.STOP and not action.is_pseudo:
                yield Ordering(action.id, shutdown.id, PLAIN, "stop before shutdown")


__all__ = ["implied_orderings", "instances_of"]
