"""Visits actions until no ordering changes anything any more.

Visiting an action looks at everything ordered before it and carries out what those orderings
mean. Who was changed by that is visited again at once, with all that comes after it: depth
first. The ordering that was stated last is looked at first: so a member that restarts says that it
does because of the one before it, not because of its own stop (case group10).

A visit is a generator that yields whom to visit next, and a stack of visits replaces recursion:
chains of orderings are as long as configurations make them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from crm.model.roles import Role
from crm.model.score import INFINITY
from pengine.act.actions import Task
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    clones_in,
)
from pengine.order.board import Board, Edge, Standing
from pengine.order.collectives import Collectives
from pengine.order.effects import Changed, Effects
from pengine.order.plan import PLAIN, Meaning

Visit = Generator[Standing, None, None]


class Propagation:
    """Spreads need and inability over a board."""

    def __init__(self, board: Board, collectives: Collectives) -> None:
        self._board = board
        self._collectives = collectives
        self._effects = Effects(board, collectives)
        self._stands_with: dict[str, list[tuple[str, Role | None, Role | None]]] = {}
        for link in board.facts.links.together:
            if link.score >= INFINITY:
                roles = (link.dependent, link.dependent_role, link.primary_role)
                self._stands_with.setdefault(link.primary, []).append(roles)

    def block_dependents(self) -> None:
        """Block what must be with something that cannot come up, before anything spreads."""
        for standing in reversed(list(self._board.standings.values())):
            self._run(self._block_dependents_of(standing))

    def run(self) -> None:
        """Visit every action, the newest first, and whoever is changed by that."""
        for standing in reversed(list(self._board.standings.values())):
            self._run(self._visit(standing))

    def _run(self, visit: Visit) -> None:
        stack = [visit]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            else:
                stack.append(self._visit(following))

    def _visit(self, then: Standing) -> Visit:
        was = then.flags
        is_mark_of_alternatives = then.task is Task.ONE_OR_MORE
        if is_mark_of_alternatives:
            then.counted, then.runnable = 0, False
        changed_then = False
        for edge in then.before[::-1]:
            if not edge.meanings or self._is_idle(edge):
                continue
            changed = yield from self._look_at(edge)
            changed_then = changed_then or changed.then
            if changed.first:
                first = edge.first
                for later in first.after[::-1]:
                    yield later.then
                yield first
        if is_mark_of_alternatives:
            changed_then = then.flags != was
        if not changed_then:
            return
        if was[1] and not then.runnable:
            yield from self._block_dependents_of(then)
        yield then
        for edge in then.after[::-1]:
            yield edge.then

    def _is_idle(self, edge: Edge) -> bool:
        """Tell whether an ordering is no more than a sequence between single actions."""
        if edge.meanings != PLAIN:
            return False
        return edge.first.item is None or isinstance(edge.first.item, Instance)

    def _look_at(self, edge: Edge) -> Generator[Standing, None, Changed]:
        first, then = edge.first, edge.then
        first_node, then_node = self._node_of(first), self._node_of(then)
        is_apart = bool(first_node and then_node) and first_node != then_node
        if is_apart and Meaning.SAME_NODE in edge.meanings:
            edge.drop()
            return Changed()
        if Meaning.REPLACES in edge.meanings and first.item is not None and then.needed:
            first.needed = False
        end = self._collectives.end_of(first, then)
        if end is not first:
            if self._board.join(end, then, edge.meanings, edge.source):
                edge.drop()
                return Changed(then=True)
            return Changed()
        view = self._collectives.view_from(first, then_node)
        then_view = self._collectives.view_from(then, first_node)
        return (yield from self._effects.apply(edge, view, then_view))

    def _node_of(self, standing: Standing) -> str:
        if standing.task is Task.START and isinstance(standing.item, GroupInstance):
            return self._board.node_then(standing.item)
        return standing.node

    # --- colocation -------------------------------------------------------------------------

    def _block_dependents_of(self, standing: Standing) -> Visit:
        """Block what must be with a resource that cannot come up in any of its parts."""
        if standing.runnable or standing.task not in (Task.START, Task.PROMOTE):
            return
        if standing.item is None:
            return
        top = self._board.tops[standing.owner]
        top = self._board.items.get(self._board.parents.get(top.id, ""), top)
        for part in self._collectives.children_of(top):
            own = self._board.latest(part.id, standing.task)
            if own is None or own.runnable:
                return
        is_start = standing.task is Task.START
        for dependent, role, primary_role in self._dependents_of(top):
            if not is_start and primary_role is not Role.PROMOTED:
                continue
            task = Task.PROMOTE if role is Role.PROMOTED else Task.START
            yield from self._block_item(dependent, task, standing.owner)

    def _dependents_of(
        self, top: Placeable
    ) -> Iterator[tuple[Placeable, Role | None, Role | None]]:
        names = [top.id, top.child_id] if isinstance(top, CloneInstance) else [top.id]
        for name in names:
            for dependent, role, primary_role in self._stands_with.get(name, ()):
                item = self._named(dependent)
                if item is not None:
                    yield item, role, primary_role

    def _named(self, name: str) -> Placeable | None:
        found = self._board.items.get(name)
        if found is not None:
            return found
        clones = clones_in(self._board.facts.items)
        return next((clone for clone in clones if clone.child_id == name), None)

    def _block_item(self, item: Placeable, task: Task, cause: str) -> Visit:
        for found in reversed(self._board.of(item.id, task)):
            if found.runnable:
                found.runnable = False
                found.give_reason(f"colocation with {cause}")
                yield from self._block_dependents_of(found)
                yield found
        for part in self._collectives.children_of(item):
            yield from self._block_item(part, task, cause)
