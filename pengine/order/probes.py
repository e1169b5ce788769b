"""What probes come before, besides the start of what they look for.

What a probe finds running has to stop first as well, so a probe comes before all that waits for a
stop. And if something started because of what is looked for would have to restart, its stop had
better wait until it is known.

Source: docs/scheduler/ordering.md, "Probes".
"""

from __future__ import annotations

from pengine.act.actions import Task
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.order.board import Board, Edge, Standing
from pengine.order.collectives import Collectives
from pengine.order.plan import PLAIN, Every, Meaning, Statement

_WAITS = PLAIN | {Meaning.BLOCKS}
_KEPT = frozenset({Meaning.UNLESS_MIGRATED, Meaning.SAME_NODE})
_UNDONE_BY = {Task.START: Task.STOP, Task.PROMOTE: Task.DEMOTE}


def order_probes(board: Board, collectives: Collectives) -> None:
    """State all that probes come before."""
    probes = _Probes(board, collectives)
    for top in board.facts.everything:
        for instance in instances_of(top):
            for probe in tuple(board.of(instance.id, Task.MONITOR)):
                probes.before_restarts(probe)
    for statement in tuple(board.statements):
        probes.before_what_waits_for_stops(statement)


class _Probes:
    def __init__(self, board: Board, collectives: Collectives) -> None:
        self._board = board
        self._collectives = collectives

    def before_restarts(self, probe: Standing) -> None:
        """Order a probe before what would restart because of what it may find."""
        for edge in probe.after[::-1]:
            self._before_new_copies(probe, edge)
            self._before_undoing(probe, edge.then)

    def _before_new_copies(self, probe: Standing, edge: Edge) -> None:
        """Keep further copies from starting where a node cannot be asked.

        The mark of the clone itself is not blocked as long as any copy runs.
        """
        mark = edge.then
        if probe.runnable or Meaning.BLOCKS in edge.meanings or mark.task is not Task.START:
            return
        top = self._board.tops.get(probe.owner)
        if not isinstance(mark.item, CloneInstance) or mark.item is not top:
            return
        for later in mark.after[::-1]:
            start = later.then
            if start.task is not Task.START or self._board.tops.get(start.owner) is not top:
                continue
            if start.item is not None and not self._runs(start.item):
                self._board.join(probe, start, _WAITS, "probe before start")

    def _runs(self, item: Placeable) -> bool:
        return any(self._board.facts.activity[i.id].nodes for i in instances_of(item))

    def _before_undoing(self, probe: Standing, after: Standing) -> None:
        """Walk along what need spreads to, ordering the probe before each stop or demotion."""
        seen: set[int] = set()
        waiting = [after]
        while waiting:
            current = waiting.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            undone_by = _UNDONE_BY.get(current.task)
            is_other = isinstance(current.item, Instance) and current.owner != probe.owner
            if undone_by is not None and is_other:
                for undoing in tuple(self._board.of(current.owner, undone_by)):
                    if not undoing.is_pseudo:
                        self._board.join(probe, undoing, PLAIN, "probe before restart")
            waiting += self._next(probe, current)

    def _next(self, probe: Standing, current: Standing) -> list[Standing]:
        clone = current.item if isinstance(current.item, CloneInstance | BundleInstance) else None
        only: Placeable | None = None
        probed = probe.item
        if clone is not None and clone.is_interleaved and isinstance(probed, Instance):
            only = self._collectives.partner(probed, clone, now=False)

        def goes_on(edge: Edge) -> bool:
            if Meaning.NEED_SPREADS in edge.meanings:
                return True
            if clone is not None and clone.is_interleaved and edge.then.item is not only:
                return False
            return self._is_part(probe, current, edge.then)

        return [edge.then for edge in current.after if goes_on(edge)]

    def _is_part(self, probe: Standing, mark: Standing, then: Standing) -> bool:
        """Tell whether an action belongs to a part of the collective of a mark."""
        if not isinstance(mark.item, GroupInstance | CloneInstance | BundleInstance):
            return False
        if then.item is None or isinstance(then.item, CloneInstance | BundleInstance):
            return False
        parents = self._board.parents
        return parents.get(probe.owner) != mark.owner and parents.get(then.owner) == mark.owner

    def before_what_waits_for_stops(self, statement: Statement) -> None:
        """Order probes before what a statement puts after a stop."""
        stop = self._stopping(statement)
        if stop is None:
            return
        meanings = PLAIN | (statement.meanings & _KEPT)
        if statement.meanings in ({Meaning.APART}, {Meaning.ROOM}):
            meanings = statement.meanings
        thens = self._board.side(statement.then)
        for probe in tuple(self._board.of(stop, Task.MONITOR)):
            for then in thens:
                if self._holds(stop, then):
                    continue
                if then.owner != stop and _comes_first(probe, then):
                    self._board.join(probe, then, meanings, statement.source)

    def _holds(self, stop: str, then: Standing) -> bool:
        """Tell whether a container stops: what is in it is looked for when it is up again."""
        item = self._board.items.get(stop)
        if then.task is not Task.STOP or not isinstance(item, Instance):
            return False
        connection = self._board.facts.connections.get(stop)
        container = item.meta.pairs.get("container") or (connection and connection.container)
        return container == then.owner

    def _stopping(self, statement: Statement) -> str | None:
        """Name whose stop a statement starts with."""
        if isinstance(statement.first, Every):
            is_stop = statement.first.task is Task.STOP
            return statement.first.owner if is_stop else None
        first = self._board.standings.get(statement.first)
        if first is None or first.task is not Task.STOP or first.item is None:
            return None
        return first.owner


def _comes_first(probe: Standing, then: Standing) -> bool:
    """Tell whether a probe can come before an action.

    A node is turned on before it is looked at; that another one leaves does not matter.
    """
    if then.task is Task.FENCE and then.action.fencing_action == "on":
        return then.node != probe.node
    if then.task is Task.SHUTDOWN:
        return then.node == probe.node
    return True
