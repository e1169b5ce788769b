"""Orderings of live migrations: among their own parts, and with what others wait for.

What waits for the start of something that migrates waits for its pseudo start, which comes last;
so nothing has to be stated for that. What a migrating resource itself waits for has to be there
before it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.order.plan import PLAIN, Meaning, Ordering

_MIGRATION = frozenset({Meaning.MIGRATION})
_CONDITIONAL = frozenset({Meaning.UNLESS_MIGRATED})
_ENDING = frozenset({Meaning.ENDS_MIGRATION, Meaning.HIDDEN})
_UP = frozenset({Task.START, Task.RUNNING})
_DOWN = frozenset({Task.STOP, Task.STOPPED})


def migration_orderings(
    facts: Facts, actions: Actions, stated: tuple[Ordering, ...]
) -> Iterator[Ordering]:
    """Yield the orderings of all migrations, some derived from those stated."""
    departures = _parts(actions, Task.MIGRATE_TO)
    arrivals = _parts(actions, Task.MIGRATE_FROM)
    if not arrivals:
        return
    for arrival in arrivals.values():
        departure = departures.get(arrival.owner)
        yield from _within(actions, departure, arrival)
    parents = {i.id: {i.parent, i.top} for i in facts.instances()}
    for ordering in stated:
        first, then = actions.by_id[ordering.first], actions.by_id[ordering.then]
        if first.migration is not None and Meaning.NEED_PULLS in ordering.meanings:
            yield from _with_what_it_stands_on(actions, first, then)
        if ordering.is_hidden:
            continue
        if then.owner not in arrivals or first.owner in ({then.owner} | parents[then.owner]):
            continue
        begin = departures.get(then.owner) or arrivals[then.owner]
        yield from _before_departure(first, then, begin, arrivals, ordering.source)


def _with_what_it_stands_on(actions: Actions, stop: Action, below: Action) -> Iterator[Ordering]:
    """End a migration if what stands below moves the same way: it is never in both places."""
    if stop.task is not Task.STOP or below.task is not Task.STOP or stop.migration is None:
        return
    for start in actions.of(below.owner, Task.START):
        if start.node == stop.migration[1] and start.node != below.node and start.migration is None:
            yield Ordering(start.id, stop.id, _ENDING, below.owner)


def _parts(actions: Actions, task: Task) -> dict[str, Action]:
    return {action.owner: action for action in actions if action.task is task}


def _within(actions: Actions, departure: Action | None, arrival: Action) -> Iterator[Ordering]:
    begin = departure or arrival
    for probe in actions.probes(arrival.owner):
        yield Ordering(probe.id, begin.id, PLAIN, "probe before migration")
    if departure is not None:
        yield Ordering(departure.id, arrival.id, _MIGRATION, "departure before arrival")
    for stop in actions.of(arrival.owner, Task.STOP):
        if stop.migration is not None:
            yield Ordering(arrival.id, stop.id, _MIGRATION, "arrival before stop")
    for start in actions.of(arrival.owner, Task.START):
        yield Ordering(arrival.id, start.id, _MIGRATION, "arrival before start")


def _before_departure(
    first: Action, then: Action, begin: Action, arrivals: Mapping[str, Action], source: str
) -> Iterator[Ordering]:
    meanings = _CONDITIONAL if first.migration is not None else PLAIN
    if then.task is Task.START and first.task in _UP:
        if first.owner in arrivals:
            yield Ordering(arrivals[first.owner].id, begin.id, PLAIN, source)
        yield Ordering(first.id, begin.id, meanings, source)
    elif then.task is Task.STOP and first.task in _DOWN:
        yield Ordering(first.id, begin.id, meanings, source)


def drop_conditional(
    orderings: tuple[Ordering, ...], actions: Mapping[ActionId, Action]
) -> tuple[Ordering, ...]:
    """Leave out the orderings that do not hold because their first is migrated."""
    return tuple(
        o
        for o in orderings
        if Meaning.UNLESS_MIGRATED not in o.meanings or actions[o.first].migration is None
    )


def starts_that_end_migrations(actions: Mapping[ActionId, Action]) -> dict[ActionId, Action]:
    """Make these starts marks: at the end of a migration there is nothing left to start."""
    return {
        action.id: replace(action, is_pseudo=True)
        for action in actions.values()
        if action.task is Task.START and action.migration is not None
    }
