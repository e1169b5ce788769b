"""Orders the notices around the steps of a clone, and says which copies are told.

Before a stop or demotion everything that runs is told, afterwards what still runs. Before a start
or promotion what will run and does not start just now is told, afterwards all that runs. A copy
on a node that is being fenced is told nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.act.notices import framed, post, pre, told_after, told_before
from pengine.facts.facts import Facts
from pengine.facts.instances import CloneInstance, Instance, instances_of
from pengine.order.plan import PLAIN, Meaning, Ordering

_FOLLOWS = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
_PRECEDES = frozenset({Meaning.NEED_PULLS})
_SEQUENCE = (Task.DEMOTE, Task.STOP, Task.START, Task.PROMOTE)
"""The steps of a clone in the order in which they happen."""


def notice_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield the orderings among the marks of all clones that want to be told."""
    for item in facts.items:
        if isinstance(item, CloneInstance) and item.notifies:
            yield from _of_clone(actions, item.id)


def _of_clone(actions: Actions, clone: str) -> Iterator[Ordering]:
    steps = dict(framed(actions, clone))
    for begin, end in steps.items():
        before, after = told_before(clone, begin), post(clone, end)
        yield Ordering(pre(clone, begin), before, _PRECEDES, clone)
        yield Ordering(before, (f"{clone}_{begin.value}_0", ""), _PRECEDES, clone)
        yield Ordering((f"{clone}_{end.value}_0", ""), after, _FOLLOWS, clone)
        yield Ordering(before, after, PLAIN, clone)
        yield Ordering(after, told_after(clone, end), _FOLLOWS, clone)
    present = [task for task in _SEQUENCE if task in steps]
    for index, earlier in enumerate(present):
        for later in present[index + 1 :]:
            yield Ordering(told_after(clone, steps[earlier]), pre(clone, later), PLAIN, clone)


def notices(
    facts: Facts, actions: Actions, settled: Mapping[ActionId, Action]
) -> tuple[list[Action], list[Ordering]]:
    """Find the notices that follow from what is needed, with their orderings."""
    telling = _Telling(facts, settled)
    for item in facts.items:
        if not isinstance(item, CloneInstance) or not item.notifies:
            continue
        for step in framed(actions, item.id):
            if not _happens(settled, (f"{item.id}_{step[0].value}_0", "")):
                continue
            for instance in instances_of(item):
                telling.tell(item.id, instance, step)
    return telling.found, telling.orderings


def _happens(settled: Mapping[ActionId, Action], key: ActionId) -> bool:
    action = settled.get(key)
    return action is not None and action.needed and action.runnable


class _Telling:
    """The notices found so far; it does not leave the module."""

    def __init__(self, facts: Facts, settled: Mapping[ActionId, Action]) -> None:
        self.found: list[Action] = []
        self.orderings: list[Ordering] = []
        self._facts = facts
        self._settled = settled
        self._by_owner: dict[str, list[Action]] = {}
        for action in settled.values():
            self._by_owner.setdefault(action.owner, []).append(action)

    def tell(self, clone: str, instance: Instance, step: tuple[Task, Task]) -> None:
        """Find where an instance is told of one step of its clone."""
        begin, end = step
        before, after = self._nodes(instance, begin)
        for node in before:
            notice = _notice(self._facts, instance, "pre", begin, node)
            self._add(notice, clone, pre(clone, begin), told_before(clone, begin))
        for node in after:
            notice = _notice(self._facts, instance, "post", begin, node)
            self._add(notice, clone, post(clone, end), told_after(clone, end))
            for action in self._by_owner.get(instance.id, ()):
                if action.task is Task.MONITOR and action.interval_ms > 0:
                    told = told_after(clone, end)
                    self.orderings.append(Ordering(told, action.id, PLAIN, clone))

    def _add(self, notice: Action, clone: str, mark: ActionId, told: ActionId) -> None:
        self.found.append(notice)
        self.orderings.append(Ordering(mark, notice.id, PLAIN, clone))
        self.orderings.append(Ordering(notice.id, told, PLAIN, clone))

    def _nodes(self, instance: Instance, begin: Task) -> tuple[list[str], list[str]]:
        """Say where an instance is told before a step, and where after it."""
        if begin in (Task.STOP, Task.DEMOTE):
            before, after = [], []
            for node in self._facts.activity[instance.id].nodes:
                stop = self._settled.get((f"{instance.id}_stop_0", node))
                if stop is not None and stop.is_pseudo:
                    continue  # The node is being fenced.
                before.append(node)
                if begin is Task.DEMOTE or stop is None or not stop.needed:
                    after.append(node)
            return before, after
        start = next(
            (
                a
                for a in self._by_owner.get(instance.id, ())
                if a.task is Task.START and (a.runnable or not a.needed)
            ),
            None,
        )
        if start is None:
            return [], []
        told = [] if begin is Task.START and start.needed else [start.node]
        return told, [start.node]


def _notice(facts: Facts, instance: Instance, when: str, begin: Task, node: str) -> Action:
    return Action(
        id=(f"{instance.id}_{when}_notify_{begin.value}_0", node),
        task=Task.NOTIFY,
        owner=instance.id,
        node=node,
        instance=instance,
        operation=facts.operation(instance, "notify"),
        history_name=facts.history_name(instance),
        needed=True,
        reasons=(f"{begin.value} of its clone",),
    )
