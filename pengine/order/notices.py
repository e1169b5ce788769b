"""Orders the notices around the steps of a clone, and says which copies are told.

Before a stop or demotion everything that runs is told, afterwards what still runs. Before a start
or promotion what will run and does not start just now is told, afterwards all that runs. A copy
on a node that is being fenced is told nothing; but the others are told of its end once more, right
after the fencing, because the marks of the clone may have other stops to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.act.notices import framed, post, pre, told_after, told_before
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    Instance,
    bundles_in,
    clones_in,
    instances_of,
)
from pengine.facts.nodes import NodeFacts
from pengine.order.board import Board, Standing
from pengine.order.collectives import Collectives
from pengine.order.plan import PLAIN, Meaning, Ordering

_FOLLOWS = frozenset({Meaning.NEED_SPREADS})
_SEQUENCE = (
    (Task.STOP, Task.START),
    (Task.STOP, Task.PROMOTE),
    (Task.START, Task.PROMOTE),
    (Task.DEMOTE, Task.PROMOTE),
    (Task.DEMOTE, Task.START),
    (Task.DEMOTE, Task.STOP),
)
"""Which steps of a clone are over and told before which others are announced."""


def notice_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield the orderings among the marks of all clones that want to be told."""
    for item in clones_in(facts.items):
        if item.notifies:
            yield from _of_clone(actions, item.id)


def _of_clone(actions: Actions, clone: str) -> Iterator[Ordering]:
    steps = dict(framed(actions, clone))
    for begin, end in steps.items():
        before, after = told_before(clone, begin), post(clone, end)
        yield Ordering(pre(clone, begin), before, PLAIN, clone)
        yield Ordering(before, (f"{clone}_{begin.value}_0", ""), PLAIN, clone)
        yield Ordering((f"{clone}_{end.value}_0", ""), after, _FOLLOWS, clone)
        yield Ordering(after, told_after(clone, end), _FOLLOWS, clone)
        yield Ordering(before, after, PLAIN, clone)
    for earlier, later in _SEQUENCE:
        if earlier in steps and later in steps:
            yield Ordering(told_after(clone, steps[earlier]), pre(clone, later), PLAIN, clone)


def tell_of_ends(board: Board) -> None:
    """Tell the other copies of a clone what fencing has ended, as soon as it is over.

    The marks of the clone wait for all its stops, and what is ordered after them with them; this
    one waits for the fencing alone (case interleave-pseudo-stop).
    """
    clones = {i.id: clone for clone in clones_in(board.facts.items) for i in instances_of(clone)}
    fencings = {
        s.node: s
        for s in board.standings.values()
        if s.task is Task.FENCE and s.action.fencing_action != "on"
    }
    bundled = [p for b in bundles_in(board.facts.items) if b.notifies for p in b.parts]
    for node, fencing in fencings.items():
        for owner, clone in clones.items():
            stop = board.latest(owner, Task.STOP, node)
            if clone.notifies and stop is not None and board.is_managed(owner):
                _tell_of_end(board, clone, stop, fencing)
        for part in bundled:
            stop = board.latest(part.id, Task.STOP, node)
            if stop is not None and board.is_managed(part.id):
                # Nobody is told, but the marks are there (case bundle-order-fencing).
                _mark_end(board, part, fencing)


def _tell_of_end(board: Board, clone: CloneInstance, stop: Standing, fencing: Standing) -> None:
    instance = stop.action.instance
    assert instance is not None
    marks = _mark_end(board, instance, fencing)
    telling = _Telling(board, clone)
    for other in instances_of(clone):
        for name in telling.nodes(other, Task.STOP)[1]:
            telling.notice(other, "post", Task.STOP, name, marks)


def _mark_end(board: Board, instance: Instance, fencing: Standing) -> tuple[Standing, Standing]:
    """Add the marks at which it is told that an instance ended with its node."""
    marks = []
    for key, shown in (("post", "post_notify_stop"), ("confirmed-post", "notified")):
        mark = Action(
            id=(f"{instance.id}_{key}_notify_stonith_0", ""),
            task=Task.NOTIFY,
            owner=instance.id,
            instance=instance,
            history_name=board.facts.history_name(instance),
            is_pseudo=True,
            needed=fencing.needed,
            runnable=fencing.runnable,
            is_told=shown == "notified",
            shown_as="" if instance.number is None else shown,
        )
        marks.append(board.standings.get(mark.id) or board.add(mark))
    board.join(fencing, marks[0], _FOLLOWS, instance.id)
    board.join(marks[0], marks[1], _FOLLOWS, instance.id)
    return marks[0], marks[1]


def tell(board: Board, collectives: Collectives) -> None:
    """Add the notices that follow from what is needed, with their orderings."""
    for item in clones_in(board.facts.items):
        for standing in board.all_of(item.id):
            collectives.view(standing)
        if item.notifies:
            telling = _Telling(board, item)
            for begin in (Task.START, Task.STOP, Task.PROMOTE, Task.DEMOTE):
                telling.tell(begin)


Marks = tuple[Standing, Standing]
"""At which copies begin to be told, and at which all have been."""


class _Telling:
    """Adds the notices of one clone."""

    def __init__(self, board: Board, clone: CloneInstance) -> None:
        self._board = board
        self._clone = clone
        self._members = list(instances_of(clone))

    def tell(self, begin: Task) -> None:
        """Tell all copies of one step of the clone."""
        clone, end = self._clone.id, _ENDS[begin]
        before = self._marks(pre(clone, begin), told_before(clone, begin))
        after = self._marks(post(clone, end), told_after(clone, end))
        if before is None or after is None:
            return
        happens = any(self._acts(instance, begin) for instance in self._members)
        if happens:
            for mark in (*before, *after):
                mark.needed = True
        elif begin is not Task.STOP:
            return
        for instance in self._members:
            told_first, told_later = self.nodes(instance, begin)
            for node in told_first:
                self.notice(instance, "pre", begin, node, before)
            for node in told_later:
                self.notice(instance, "post", begin, node, after)

    def _marks(self, mark: ActionId, told: ActionId) -> Marks | None:
        found, last = self._board.standings.get(mark), self._board.standings.get(told)
        return None if found is None or last is None else (found, last)

    def _acts(self, instance: Instance, begin: Task) -> bool:
        for found in self._board.of(instance.id, begin):
            if found.needed and found.node:
                is_lost = begin is Task.STOP and self._board.facts.node(found.node).unclean
                if found.runnable or is_lost:
                    return True
        return False

    def nodes(self, instance: Instance, begin: Task) -> tuple[list[str], list[str]]:
        """Say where an instance is told before a step, and where after it."""
        board = self._board
        if begin in (Task.STOP, Task.DEMOTE):
            stop = board.latest(instance.id, Task.STOP)
            nodes = [n for n in board.facts.activity[instance.id].nodes if not self._ends(stop, n)]
            stays = begin is Task.DEMOTE or stop is None or not stop.needed
            return nodes, nodes if stays else []
        node = board.goes_to(instance.id)
        start = board.latest(instance.id, Task.START)
        if not node or self._is_out_of_reach(start):
            return [], []
        starts_now = begin is Task.START and start is not None and start.needed
        return [] if starts_now else [node], [node]

    def _ends(self, stop: Standing | None, node: str) -> bool:
        """Tell whether an instance ends by the fencing of its node."""
        found = self._board.facts.node(node)
        is_lost = found.unclean or found.requires_reset
        return stop is not None and stop.is_pseudo and is_lost

    def _is_out_of_reach(self, start: Standing | None) -> bool:
        """Tell whether a start waits for a connection that cannot be had."""
        if start is None or not start.node:
            return False
        connection = self._board.facts.node(start.node).connection
        reached = self._board.latest(connection, Task.START) if connection else None
        return reached is not None and not reached.runnable

    def notice(self, instance: Instance, when: str, begin: Task, node: str, marks: Marks) -> None:
        """Tell one instance on one node, between two marks."""
        board = self._board
        mark, told = marks
        if board.facts.node(node).online and mark.runnable:
            made = _notice(board.facts, instance, when, begin, node, mark.needed)
            made = replace(made, told_at=mark.action.id[0])
            notice = board.standings.get(made.id) or board.add(made)
            notice.needed = notice.needed or mark.needed
            board.join(mark, notice, PLAIN, self._clone.id)
            board.join(notice, told, PLAIN, self._clone.id)
        if when == "post":
            for found in tuple(board.all_of(instance.id)):
                if found.task is Task.MONITOR and found.action.interval_ms > 0:
                    board.join(told, found, PLAIN, self._clone.id)


_ENDS = {
    Task.START: Task.RUNNING,
    Task.STOP: Task.STOPPED,
    Task.PROMOTE: Task.PROMOTED,
    Task.DEMOTE: Task.DEMOTED,
}


def _may_be_told(node: NodeFacts) -> bool:
    return node.may_act or (node.kind == "guest" and not node.is_cut_off)


def _notice(
    facts: Facts, instance: Instance, when: str, begin: Task, node: str, needed: bool
) -> Action:
    return Action(
        id=(f"{instance.id}_{when}_notify_{begin.value}_0", node),
        task=Task.NOTIFY,
        about=begin,
        owner=instance.id,
        node=node,
        instance=instance,
        operation=facts.operation(instance, "notify"),
        history_name=facts.history_name(instance),
        needed=needed,
        runnable=_may_be_told(facts.node(node)),
        reasons=(f"{begin.value} of its clone",),
    )
