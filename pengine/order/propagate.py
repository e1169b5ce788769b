"""Spreads need and inability along orderings until nothing changes any more.

Each flag only ever changes one way (needed becomes true, runnable becomes false), so the work
ends after at most two changes per action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.order.cycles import break_loops
from pengine.order.declared import declared_orderings, marks_of_alternatives, missing_firsts
from pengine.order.fencing import fencing_orderings
from pengine.order.implied import implied_orderings
from pengine.order.migration import (
    drop_conditional,
    migration_orderings,
    starts_that_end_migrations,
)
from pengine.order.notices import notice_orderings, notices
from pengine.order.plan import Meaning, Ordering, Plan
from pengine.order.remote import remote_orderings


def order(facts: Facts, actions: Actions) -> Plan:
    """Settle all orderings and all flags."""
    marks = {mark.id: mark for mark in marks_of_alternatives(facts)}
    actions = Actions({**marks, **actions.by_id}, actions.by_owner)  # Constraints come first.
    stated = _unique(
        (
            *implied_orderings(facts, actions),
            *declared_orderings(facts, actions),
            *fencing_orderings(facts, actions),
            *remote_orderings(facts, actions),
            *notice_orderings(facts, actions),
        )
    )
    orderings = _unique((*stated, *migration_orderings(facts, actions, stated)))
    spreading = _Spreading(actions, orderings)
    for mark in marks:
        if not spreading.has_alternative(mark):
            spreading.block(mark, "none of the alternatives can start")
    for start, reason in missing_firsts(facts, actions):
        spreading.block(start, reason)
    spreading.run()
    orderings = drop_conditional(orderings, spreading.actions)
    told, more = notices(facts, actions, spreading.actions)
    spreading.actions.update({notice.id: notice for notice in told})
    orderings = (*orderings, *more)
    by_owner: dict[str, list[Action]] = {}
    for action in spreading.actions.values():
        by_owner.setdefault(action.owner, []).append(action)
    spreading.actions.update(starts_that_end_migrations(spreading.actions))
    done = {a.id for a in spreading.actions.values() if a.needed and a.runnable}
    effective = [o for o in orderings if not o.is_hidden and o.first in done and o.then in done]
    dropped, problems = break_loops(effective)
    kept = tuple(o for o in orderings if (o.first, o.then) not in dropped)
    owned = {key: tuple(found) for key, found in by_owner.items()}
    return Plan(spreading.actions, kept, owned, tuple(problems))


def _unique(found: Iterable[Ordering]) -> tuple[Ordering, ...]:
    """Drop repetitions, and orderings of an action with itself."""
    return tuple({o: None for o in found if o.first != o.then})


class _Spreading:
    def __init__(self, actions: Actions, orderings: tuple[Ordering, ...]) -> None:
        self.actions: dict[ActionId, Action] = dict(actions.by_id)
        self._touching: dict[ActionId, list[Ordering]] = {}
        for ordering in orderings:
            if ordering.meanings:
                self._touching.setdefault(ordering.first, []).append(ordering)
                self._touching.setdefault(ordering.then, []).append(ordering)
        self._queue: deque[ActionId] = deque(self.actions)

    def has_alternative(self, mark: ActionId) -> bool:
        """Tell whether anything can satisfy a mark of alternatives."""
        return any(o.then == mark for o in self._touching.get(mark, ()))

    def run(self) -> None:
        """Spread flags until nothing is left to look at."""
        queued = set(self._queue)
        while self._queue:
            current = self._queue.popleft()
            queued.discard(current)
            for ordering in self._touching.get(current, ()):
                for changed in self._apply(ordering):
                    if changed not in queued:
                        queued.add(changed)
                        self._queue.append(changed)

    def _apply(self, ordering: Ordering) -> list[ActionId]:
        first, then = self.actions[ordering.first], self.actions[ordering.then]
        changed = []
        meanings = ordering.meanings
        if Meaning.NEED_SPREADS in meanings and first.needed and first.migration is None:
            # What migrates takes nothing along.
            changed += [then.id] if self._need(then, first) else []
        if Meaning.NEED_PULLS in meanings and then.needed:
            if then.migration is None or first.owner == then.owner or first.is_pseudo:
                changed += [first.id] if self._need(first, then) else []
            if then.migration is None and first.task is Task.STOP and not ordering.is_hidden:
                changed += self._end_migration(first.id, f"unmigrateable {_subject(then)}")
        if Meaning.ENDS_MIGRATION in meanings and first.needed:
            changed += self._end_migration(then.id, f"unmigrateable {ordering.source} stop")
        if Meaning.MIGRATION in meanings:
            changed += self._migrate(first, then)
        if Meaning.BLOCKS in meanings and not first.runnable and then.runnable:
            self.block(then.id, _because(first, then))
            changed.append(then.id)
        if Meaning.BLOCKS_NEEDED in meanings and first.needed and not first.runnable:
            changed += self._refuse(then, _because(first, then))
        if Meaning.TOGETHER in meanings and not first.runnable:
            changed += self._refuse(then, f"colocation with {ordering.source}")
        if Meaning.ONE_OF in meanings and not first.runnable and then.runnable:
            changed += self._settle_alternatives(then)
        if Meaning.CANCELLED in meanings and then.needed and first.needed:
            self.actions[first.id] = replace(first, needed=False, is_fixed=True)
            changed.append(first.id)
        if Meaning.RESTART in meanings:
            changed += self._restart(first, then)
        return changed

    def _restart(self, stop: Action, start: Action) -> list[ActionId]:
        changed = []
        if stop.needed and not stop.is_tidying and self._need(start, stop):
            changed.append(start.id)
        start = self.actions[start.id]
        if stop.node == start.node and not stop.needed:
            cannot_stay = not start.runnable and stop.runnable
            if (start.needed or cannot_stay) and self._need(stop, start):
                changed.append(stop.id)
        stop = self.actions[stop.id]
        if stop.needed and not stop.runnable and start.runnable:
            self.block(start.id, "")
            changed.append(start.id)
        return changed

    def _migrate(self, first: Action, then: Action) -> list[ActionId]:
        """Do the first exactly if the then is needed, possible and still part of a migration."""
        changed = []
        if then.migration is None or not then.runnable:
            changed += self._refuse(first, f"unmigrateable {_subject(then)}")
        if then.needed and self._need(first, then):
            changed.append(first.id)
        if not self.actions[first.id].runnable:
            changed += self._end_migration(then.id, f"unrunnable {_subject(first)}")
        return changed

    def _end_migration(self, action: ActionId, reason: str) -> list[ActionId]:
        """Make an action an ordinary one again: a real start, or a stop that comes first."""
        found = self.actions[action]
        if found.migration is None:
            return []
        reasons = (*found.reasons, reason)
        self.actions[action] = replace(found, migration=None, reasons=reasons)
        return [action]

    def _refuse(self, action: Action, reason: str) -> list[ActionId]:
        if not action.runnable:
            return []
        self.block(action.id, reason)
        return [action.id]

    def _settle_alternatives(self, mark: Action) -> list[ActionId]:
        """Block a mark none of whose firsts can run."""
        firsts = [
            o.first
            for o in self._touching[mark.id]
            if o.then == mark.id and Meaning.ONE_OF in o.meanings
        ]
        if any(self.actions[first].runnable for first in firsts):
            return []
        return self._refuse(mark, "none of the alternatives can start")

    def _need(self, action: Action, because: Action) -> bool:
        if action.needed or action.is_fixed:
            return False
        reason = f"required {_subject(because)}"
        self.actions[action.id] = replace(action, needed=True, reasons=(*action.reasons, reason))
        return True

    def block(self, action: ActionId, reason: str) -> None:
        """Mark an action as impossible."""
        found = self.actions[action]
        reasons = (*found.reasons, reason) if reason else found.reasons
        self.actions[action] = replace(found, runnable=False, reasons=reasons)


def _because(first: Action, then: Action) -> str:
    """Say what cannot run before an action; of its own resource that goes without saying."""
    return "" if first.owner == then.owner else f"unrunnable {_subject(first)}"


def _subject(action: Action) -> str:
    """Name an action as reasons do: `web start`."""
    if action.task is Task.ONE_OR_MORE:
        return action.id[0]
    return f"{action.owner} {action.task.value}"
