"""Which actions the graph has, and for which of what comes before them they wait there.

What is possible and needed, or shown all the same, is in the graph. An action that is ordered
before one of them is an input unless a rule says that it does not matter there. It may be an input
and yet be no part of the graph, where it cannot run: then the graph comes to no end, and says so.
"""

from __future__ import annotations

from pengine.act.actions import Task
from pengine.facts.instances import CloneInstance, Instance
from pengine.order.board import Board, Edge, Standing
from pengine.order.plan import PLAIN, Meaning

_HARMLESS = PLAIN | {Meaning.SHOWS_FIRST, Meaning.SHOWS_THEN}
_ALWAYS = frozenset({Task.FENCE, Task.SHUTDOWN})
_ANYWHERE = frozenset({Task.DELETE, Task.FORGET})


class Inputs:
    """Judges actions and inputs; orderings that turn out not to matter are dropped for good."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._nodes = {node.name: node for node in board.facts.nodes}

    def is_included(self, action: Standing) -> bool:
        """Tell whether an action is part of the graph."""
        if not action.runnable or not (action.needed or action.shown):
            return False
        is_free = action.item is None or self._board.is_managed(action.owner)
        if not is_free and action.task is not Task.MONITOR and action.action.interval_ms == 0:
            return False
        if action.is_pseudo or action.task in _ALWAYS:
            return True
        node = self._nodes.get(action.node)
        if node is None:
            return False
        if action.task in _ANYWHERE or (node.kind == "guest" and not node.requires_reset):
            return True
        return node.online and not node.unclean

    def merge(self, action: Standing) -> list[Edge]:
        """Make one ordering of all orderings with the same first."""
        if len({id(edge.first) for edge in action.before}) == len(action.before):
            return action.before
        found: dict[int, Edge] = {}
        for edge in action.before:
            known = found.get(id(edge.first))
            if known is None:
                found[id(edge.first)] = Edge(
                    edge.first, action, edge.meanings, edge.source, edge.rank
                )
            else:
                known.meanings |= edge.meanings
        return list(found.values())

    def is_input(self, edge: Edge) -> bool:
        """Tell whether the then waits for the first in the graph."""
        first, meanings = edge.first, edge.meanings
        if not meanings:
            return False
        if not first.runnable and self._is_moot_when_impossible(meanings):
            return False
        if Meaning.UNLESS_MIGRATED in meanings and first.may_migrate:
            return False
        if meanings == PLAIN and first.may_migrate and first.task is Task.STOP:
            return False
        if meanings == {Meaning.ROOM}:
            return self._makes_room(edge)
        if meanings == {Meaning.APART}:
            return self._keeps_apart(edge)
        if self._is_given_up(edge):
            return False
        return first.needed or first.shown or self.is_included(first)

    def _is_moot_when_impossible(self, meanings: frozenset[Meaning]) -> bool:
        if meanings <= _HARMLESS:
            return True
        return bool(meanings & {Meaning.ONE_OF, Meaning.MIGRATION})

    def _makes_room(self, edge: Edge) -> bool:
        """Tell whether the node that becomes free is the one that is filled."""
        first, then = edge.first, edge.then
        node = then.node
        if then.task is Task.MIGRATE_TO:
            node = self._board.goes_to(then.owner)
        elif not first.needed and node == first.node:
            node = ""
        if first.node != node:
            edge.drop()
            return False
        return True

    def _keeps_apart(self, edge: Edge) -> bool:
        first, then = edge.first, edge.then
        is_elsewhere = bool(first.node and then.node) and first.node != then.node
        if is_elsewhere or not first.needed:
            edge.drop()
            return False
        return True

    def _is_given_up(self, edge: Edge) -> bool:
        """Tell whether a clone would wait for what failed and may not be touched."""
        first, then = edge.first, edge.then
        if first.task is not Task.STOP or not isinstance(first.item, Instance):
            return False
        if first.owner == then.owner or not isinstance(then.item, CloneInstance):
            return False
        is_failed = self._board.facts.activity[first.owner].failed
        return is_failed and not self._board.is_managed(first.owner)

    # --- loops ------------------------------------------------------------------------------

    def break_load_loops(self) -> None:
        """Let what migrates not wait for room that is made only after it has left.

        Of those that wait for each other the newest goes first (case load-stopped-loop).
        """
        for then in reversed(tuple(self._board.standings.values())):
            if then.task is not Task.MIGRATE_TO:
                continue
            for edge in then.before:
                if edge.meanings == {Meaning.ROOM} and self._comes_back(edge):
                    edge.drop()

    def _comes_back(self, start: Edge) -> bool:
        """Tell whether an action waits, over any number of others, for itself."""
        if not self.is_input(start):
            return False
        seen: set[int] = set()
        waiting = [start.first]
        while waiting:
            current = waiting.pop()
            if current is start.then:
                return True
            if id(current) not in seen:
                seen.add(id(current))
                waiting += [e.first for e in current.before if self.is_input(e)]
        return False
