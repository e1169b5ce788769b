"""What live migrations state: among their own parts, and instead of starts and stops.

What waits for the start of something that migrates waits for its pseudo start, which comes last;
so nothing has to be stated for that. What a migrating resource itself waits for has to be there
before it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pengine.act.actions import Action, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Placeable
from pengine.order.plan import PLAIN, Every, Meaning, Side, Statement

_PART = PLAIN | {Meaning.MIGRATION}
_UNLESS_MIGRATED = PLAIN | {Meaning.UNLESS_MIGRATED}


def migration_statements(facts: Facts, actions: Actions) -> Iterator[Statement]:
    """Yield what holds among the parts of each migration."""
    for instance in facts.instances():
        me = instance.id
        if not actions.of(me, Task.MIGRATE_FROM):
            continue
        probe, arrival = Every(me, Task.MONITOR), Every(me, Task.MIGRATE_FROM)
        if actions.of(me, Task.MIGRATE_TO):
            departure = Every(me, Task.MIGRATE_TO)
            yield Statement(probe, departure, PLAIN, "probe before migration")
            yield Statement(departure, arrival, _PART, "departure before arrival")
        else:
            yield Statement(probe, arrival, PLAIN, "probe before migration")
        yield Statement(arrival, Every(me, Task.STOP), _PART, "arrival before stop")
        yield Statement(
            arrival, Every(me, Task.START), _PART | {Meaning.ENDS_MIGRATION}, "arrival before start"
        )


class Equivalents:
    """Finds what a statement about starts and stops means for migrations."""

    def __init__(
        self, facts: Facts, items: Mapping[str, Placeable], parents: Mapping[str, str]
    ) -> None:
        self._items = items
        self._is_any = any(item.meta.allow_migrate for item in items.values())
        self._parents = parents
        self._is_half_done = {
            i.id for i in facts.instances() if facts.activity[i.id].migrating is not None
        }

    def of(
        self, statement: Statement, actions: Mapping[tuple[str, str], Action]
    ) -> Iterator[Statement]:
        """Yield what has to be stated beside one ordering, for what may migrate."""
        if not self._is_any:
            return
        first, then = _subject(statement.first, actions), _subject(statement.then, actions)
        if first is None or then is None or not self._are_strangers(first[0], then[0]):
            return
        before, after = self._may_migrate(first[0]), self._may_migrate(then[0])
        if not after:
            return
        unless = _UNLESS_MIGRATED if before else PLAIN
        leaving = Every(then[0], Task.MIGRATE_TO)
        source = statement.source
        match first[1], then[1]:
            case Task.START, Task.START:
                if before:
                    arrival = Every(first[0], Task.MIGRATE_FROM)
                    yield Statement(arrival, leaving, PLAIN, source)
                yield Statement(Every(*first), leaving, unless, source)
            case Task.STOP, Task.STOP:
                yield Statement(Every(*first), leaving, unless, source)
                if then[0] in self._is_half_done:
                    yield Statement(
                        Every(*first), Every(then[0], Task.MIGRATE_FROM), unless, source
                    )
            case Task.PROMOTE, Task.START:
                yield Statement(Every(*first), leaving, PLAIN, source)
            case Task.DEMOTE, Task.STOP:
                yield Statement(Every(*first), leaving, PLAIN, source)
                if then[0] in self._is_half_done:
                    yield Statement(Every(*first), Every(then[0], Task.MIGRATE_FROM), PLAIN, source)
            case _:
                return

    def _may_migrate(self, owner: str) -> bool:
        return self._items[owner].meta.allow_migrate

    def _are_strangers(self, one: str, other: str) -> bool:
        if one == other or one not in self._items or other not in self._items:
            return False
        return other not in self._around(one) and one not in self._around(other)

    def _around(self, owner: str) -> Iterator[str]:
        while owner := self._parents.get(owner, ""):
            yield owner


def _subject(side: Side, actions: Mapping[tuple[str, str], Action]) -> tuple[str, Task] | None:
    if isinstance(side, Every):
        return side.owner, side.task
    found = actions.get(side)
    return None if found is None or not found.owner else (found.owner, found.task)
