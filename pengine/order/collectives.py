"""What the marks of groups and clones answer when they are asked, and whom rules go on to.

A mark stands for the same step of many parts. It is needed as soon as any part is. A clone can do
what any of its copies can; a group is done only if every member is.
"""

from __future__ import annotations

import msgspec

from pengine.act.actions import ENDS, Task
from pengine.act.notices import told_after
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.order.board import Board, Standing

BEGINNINGS = {end: begin for begin, end in ENDS.items()}
_GOING_DOWN = frozenset({Task.STOP, Task.DEMOTE})
_ROLES = frozenset({Task.PROMOTE, Task.PROMOTED, Task.DEMOTE, Task.DEMOTED})
_INSIDE = _ROLES | {Task.NOTIFY}

Copy = Instance | GroupInstance


class View(msgspec.Struct, frozen=True):
    """What an action answers: of a mark, what its parts make of it."""

    needed: bool
    runnable: bool
    may_migrate: bool = False


class Collectives:
    """Answers for marks; asking updates the mark, as its parts may have changed."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def view(self, asked: Standing, node: str = "") -> View:
        """Say how an action stands, of a clone's mark on one node only."""
        match asked.item:
            case GroupInstance() as group:
                return self._of_group(asked, group, node)
            case CloneInstance() as clone:
                return self._of_clone(asked, clone, node)
            case BundleInstance() as bundle:
                return self._of_copies(asked, self._acting(bundle, asked), node)
            case _:
                return View(asked.needed, asked.runnable, asked.may_migrate)

    def view_from(self, asked: Standing, node: str) -> View:
        """Say how an action stands for another one on a node.

        What stands on a clone is concerned by the copy on its own node alone, but the clone is
        able as long as any copy is.
        """
        if asked.item is None or isinstance(asked.item, Instance):
            return View(asked.needed, asked.runnable, asked.may_migrate)
        anywhere = self.view(asked)
        if not node or not isinstance(asked.item, CloneInstance | BundleInstance):
            return anywhere
        here = self.view(asked, node)
        return View(here.needed, here.runnable or anywhere.runnable, here.may_migrate)

    def _of_group(self, mark: Standing, group: GroupInstance, node: str) -> View:
        task = BEGINNINGS.get(mark.task, mark.task)
        needed, runnable = False, True
        for member in group.members:
            part = self._board.latest(member.id, task, node)
            if part is None:
                runnable = runnable and task in _GOING_DOWN
                continue
            if part.needed:
                needed = mark.needed = True
            if task is not mark.task and not part.runnable:
                runnable = mark.runnable = False
        return View(needed, runnable)

    def _acting(self, bundle: BundleInstance, mark: Standing) -> tuple[Copy, ...]:
        """List what takes a step of a bundle: roles are those of what runs inside."""
        if bundle.clone is not None and mark.task in _INSIDE:
            return self._board.copies(bundle.clone)
        return bundle.copies

    def _of_clone(self, mark: Standing, clone: CloneInstance, node: str) -> View:
        copies = self._board.copies(clone)
        if not copies or not isinstance(copies[0], Instance):
            return self._of_copies(mark, copies, node)
        # Asked very often, and of many copies few have anything to do.
        step = mark.action.about or mark.task
        needed = runnable = False
        for part in self._board.parts_on(clone.id, BEGINNINGS.get(step, step), node):
            if part.needed:
                needed = mark.needed = True
            runnable = runnable or part.runnable
        if not runnable and not node:
            mark.runnable = False
        return View(needed, runnable)

    def _of_copies(self, mark: Standing, copies: tuple[Copy, ...], node: str) -> View:
        step = mark.action.about or mark.task
        needed = runnable = False
        for copy in copies:
            if isinstance(copy, Instance):
                part = self._board.latest(copy.id, BEGINNINGS.get(step, step), node)
            else:
                part = self._board.latest(copy.id, step)
            if part is None:
                continue
            found = self.view(part, node)
            if found.needed:
                needed = mark.needed = True
            runnable = runnable or found.runnable
        if not runnable and not node:
            mark.runnable = False
        return View(needed, runnable)

    def end_of(self, first: Standing, then: Standing) -> Standing:
        """Give the mark at which a step is over, for whoever is not part of the collective."""
        item = first.item
        if item is None or isinstance(item, Instance) or then.item is None:
            return first
        if first.owner == then.owner or first.task is Task.NOTIFY:
            return first
        if first.owner in self._board.ancestors(then.owner):
            return first
        end = ENDS.get(first.task, first.task if first.task in BEGINNINGS else None)
        if end is None:
            return first
        if isinstance(item, BundleInstance) and item.notifies:
            return first  # Nobody tells of the end of it (case bundle-order-startup).
        if isinstance(item, CloneInstance) and item.notifies:
            # A clone that tells its copies is done when they have been told.
            return self._board.standings.get(told_after(item.id, end), first)
        return self._board.latest(first.owner, end) or first

    def parts_of(self, item: Placeable | None) -> tuple[Instance | GroupInstance, ...]:
        """List what a rule goes on to."""
        match item:
            case GroupInstance():
                return item.members
            case CloneInstance():
                return self._board.copies(item)
            case BundleInstance():
                return item.copies
            case _:
                return ()

    def children_of(self, item: Placeable) -> tuple[Placeable, ...]:
        """List all that is directly in an item."""
        if isinstance(item, BundleInstance):
            return (*item.parts, *((item.clone,) if item.clone is not None else ()))
        return self.parts_of(item)

    def are_interleaved(self, first: Standing, then: Standing) -> bool:
        """Tell whether two clones or bundles wait copy for copy; the one that depends decides."""
        one, other = first.item, then.item
        if not isinstance(one, CloneInstance | BundleInstance):
            return False
        if not isinstance(other, CloneInstance | BundleInstance) or one is other:
            return False
        return one.is_interleaved if then.task in _GOING_DOWN else other.is_interleaved

    def partner(self, of: Copy, clone: CloneInstance | BundleInstance, *, now: bool) -> Copy | None:
        """Find the copy or container that is, or will be, on the node of another one."""
        board = self._board
        where = board.node_now if now else board.node_then
        node = where(of)
        nodes = [node] if node else self._wanted(of)
        copies = self.parts_of(clone)
        for name in nodes:
            for copy in copies:
                if not board.is_blocked(copy) and where(copy) == name:
                    return copy
        return None

    def acting_part(self, part: Copy, task: Task, *, is_first: bool) -> Copy:
        """Give what takes a step for a part of a collective that is paired with another.

        What waits for a container waits for what runs inside, but for a stop. What waits itself is
        the container, but for changes of role.
        """
        inside = self._board.inside.get(part.id)
        if inside is None:
            return part
        if is_first:
            return part if task in (Task.STOP, Task.STOPPED) else inside
        return inside if task in _ROLES else part

    def _wanted(self, item: Instance | GroupInstance) -> list[str]:
        """List where something that is nowhere would be, the best node first."""
        first = next(instances_of(item))
        scores = self._board.placement.choices[first.id].final_scores
        able = {node.name for node in self._board.facts.nodes if node.may_run}
        return sorted(scores, key=lambda n: (n not in able, -scores[n], n))
