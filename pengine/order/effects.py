"""What orderings do to the two actions they order: one small rule for each meaning.

A rule looks at the first as the `View` it gives, because a mark answers for its parts; it changes
flags one way only, and gives a reason where the two belong to different resources.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec

from crm.model.roles import Role
from pengine.act.actions import Task
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
)
from pengine.order.board import Board, Edge, Standing
from pengine.order.collectives import BEGINNINGS, Collectives, View
from pengine.order.plan import Meaning

Rule = Callable[[Board, Standing, Standing, View], None]


class Changed(msgspec.Struct, frozen=True):
    """Which side of an ordering a rule has changed."""

    first: bool = False
    then: bool = False

    def also(self, other: Changed) -> Changed:
        """Join two findings."""
        if not other.first and not other.then:
            return self
        return Changed(self.first or other.first, self.then or other.then)


Visits = Generator[Standing, None, Changed]

UNCHANGED = Changed()
_THEN = Changed(then=True)
_BOTH = Changed(first=True, then=True)

# --- changing one flag, and saying why --------------------------------------------------------


def _because(action: Standing, cause: Standing, word: str) -> None:
    """Give a reason that names another resource; of its own that goes without saying."""
    if action.owner != cause.owner:
        action.give_reason(f"{word} {subject(cause)}")


def subject(action: Standing) -> str:
    """Name an action as reasons do: `web start`."""
    if action.item is None:
        return action.action.id[0] if action.task is Task.ONE_OR_MORE else action.task.value
    word = "notified" if action.action.is_told else action.task.value
    return f"{action.owner} {word}"


def need(action: Standing, cause: Standing) -> None:
    """Make an action needed."""
    if not action.needed:
        action.needed = True
        _because(action, cause, "required")


def block(action: Standing, cause: Standing) -> None:
    """Make an action impossible."""
    if action.runnable:
        action.runnable = False
        _because(action, cause, "unrunnable")


def end_migration(action: Standing, cause: Standing) -> None:
    """Make an action an ordinary one, no part of a live migration."""
    if action.may_migrate:
        action.may_migrate = False
        _because(action, cause, "unmigrateable")


# --- the rules --------------------------------------------------------------------------------


def _need_spreads(_: Board, first: Standing, then: Standing, view: View) -> None:
    # What migrates takes nothing along.
    if view.needed and not first.may_migrate:
        need(then, first)


def _restart(board: Board, first: Standing, then: Standing, _: View) -> None:
    cannot_come_up = (
        not then.runnable and first.owner == then.owner and board.is_managed(then.owner)
    )
    if not then.needed and not cannot_come_up:
        return
    if first.runnable or then.needed:
        need(first, then)
    if not then.may_migrate:
        end_migration(first, then)
    if first.needed and not first.runnable:
        block(then, first)


def _need_pulls(_: Board, first: Standing, then: Standing, view: View) -> None:
    if not then.needed:
        return
    if view.needed:
        need(first, then)
    if view.may_migrate and not then.may_migrate:
        end_migration(first, then)


def _need_pulls_promoted(board: Board, first: Standing, then: Standing, _: View) -> None:
    if not then.needed or then.item is None:
        return
    if board.role_now(then.item) is Role.PROMOTED:
        need(first, then)
        if not then.may_migrate:
            end_migration(first, then)


def _blocks(_: Board, first: Standing, then: Standing, view: View) -> None:
    if then.runnable and not view.runnable:
        block(then, first)
        end_migration(then, first)


def _migration(_: Board, first: Standing, then: Standing, __: View) -> None:
    if not then.may_migrate or not then.runnable:
        block(first, then)
    if then.needed:
        need(first, then)


def _ends_migration(_: Board, first: Standing, then: Standing, __: View) -> None:
    if not first.runnable:
        end_migration(then, first)
        then.is_pseudo = False


def _one_way(board: Board, first: Standing, then: Standing, _: View) -> None:
    if first.runnable or then.item is None:
        return
    if not then.needed:
        role = board.role_now(then.item)
        if then.task is Task.STOP and not role.is_active:
            return
        if then.task is Task.START and role.is_active and _is_only_on(board, then):
            return
    need(then, first)
    block(then, first)


def _is_only_on(board: Board, start: Standing) -> bool:
    item = start.item
    if not isinstance(item, Instance):
        return False
    return board.facts.activity[item.id].nodes == (start.node,)


def _nothing(_: Board, __: Standing, ___: Standing, ____: View) -> None:
    """Only pair interleaved copies."""


_RULES: dict[Meaning, Rule] = {
    Meaning.NEED_SPREADS: _need_spreads,
    Meaning.RESTART: _restart,
    Meaning.NEED_PULLS: _need_pulls,
    Meaning.NEED_PULLS_PROMOTED: _need_pulls_promoted,
    Meaning.BLOCKS: _blocks,
    Meaning.MIGRATION: _migration,
    Meaning.ENDS_MIGRATION: _ends_migration,
    Meaning.ORDERED: _nothing,
    Meaning.ONE_WAY: _one_way,
}
"""In the sequence in which the rules of one ordering are carried out."""

_BY_HAND = (Meaning.ONE_OF, Meaning.BLOCKS_UNLESS_UP)
"""These have no rule of one line, and come before what only blocks."""

_SEQUENCE = tuple(
    following
    for meaning in _RULES
    for following in (meaning, *(_BY_HAND if meaning is Meaning.NEED_PULLS_PROMOTED else ()))
)
_OF_STOPS = frozenset({Meaning.NEED_SPREADS, Meaning.NEED_PULLS, Meaning.RESTART})


class Effects:
    """Carries the rules of an ordering out; yields whom to visit while doing so."""

    def __init__(self, board: Board, collectives: Collectives) -> None:
        self._board = board
        self._collectives = collectives
        self._sequences: dict[frozenset[Meaning], tuple[Meaning, ...]] = {}

    def _in_sequence(self, meanings: frozenset[Meaning]) -> tuple[Meaning, ...]:
        """List meanings that have rules in the sequence of these; few sets are ever used."""
        found = self._sequences.get(meanings)
        if found is None:
            found = tuple(meaning for meaning in _SEQUENCE if meaning in meanings)
            self._sequences[meanings] = found
        return found

    def apply(self, edge: Edge, view: View, then_view: View) -> Visits:
        """Carry out all rules of one ordering."""
        first, then, meanings = edge.first, edge.then, edge.meanings
        changed = UNCHANGED
        node = then.node
        if Meaning.NEED_SPREADS_ON_NODE in meanings:
            edge.meanings = meanings = meanings - {Meaning.NEED_SPREADS_ON_NODE} | {
                Meaning.NEED_SPREADS
            }
            node = first.node
        for meaning in self._in_sequence(meanings):
            match meaning:
                case Meaning.ONE_OF:
                    found = _count(then, view)
                case Meaning.BLOCKS_UNLESS_UP:
                    found = yield from self._block_unless_up(edge, view, node)
                case Meaning.NEED_PULLS:
                    found = yield from self._update(first, first, then, view, meaning, node)
                case _ if then.item is None:
                    found = _on_mark(first, then, view, meaning)
                case _:
                    found = yield from self._update(then, first, then, view, meaning, node)
            changed = changed.also(found)
        self._show(first, then, view, then_view, meanings)
        return changed.also(self._hold(first, then, meanings))

    def _block_unless_up(self, edge: Edge, view: View, node: str) -> Visits:
        first, then = edge.first, edge.then
        is_up = first.item is not None and self._board.role_now(first.item).is_active
        if not view.runnable and is_up:
            edge.drop()
            return UNCHANGED
        return (yield from self._update(then, first, then, view, Meaning.BLOCKS, node))

    def _show(
        self,
        first: Standing,
        then: Standing,
        view: View,
        then_view: View,
        meanings: frozenset[Meaning],
    ) -> None:
        if Meaning.SHOWS_THEN in meanings and first.runnable and view.needed:
            then.shown = True
        if Meaning.SHOWS_FIRST in meanings and then_view.needed:
            first.shown = True

    def _hold(self, first: Standing, then: Standing, meanings: frozenset[Meaning]) -> Changed:
        """Let nothing go past the stop of something that a failure blocks."""
        if first.task is not Task.STOP or first.runnable or not then.runnable:
            return UNCHANGED
        if not meanings & _OF_STOPS or not isinstance(first.item, Instance):
            return UNCHANGED
        if self._board.is_managed(first.owner) or not self._board.is_blocked(first.item):
            return UNCHANGED
        then.runnable = False
        return _THEN

    # --- by kind of resource ----------------------------------------------------------------

    def _update(
        self,
        kind: Standing,
        first: Standing,
        then: Standing,
        view: View,
        meaning: Meaning,
        node: str,
    ) -> Visits:
        match kind.item:
            case GroupInstance():
                return (yield from self._update_group(first, then, view, meaning, node))
            case CloneInstance() | BundleInstance():
                if then.item is None:
                    return UNCHANGED
                if self._collectives.are_interleaved(first, then):
                    return (yield from self._update_pairs(first, then, meaning, node))
                return (yield from self._update_copies(first, then, view, meaning, node))
            case _:
                return (yield from self._update_one(first, then, view, meaning))

    def _update_one(self, first: Standing, then: Standing, view: View, meaning: Meaning) -> Visits:
        were = first.flags, then.flags
        _RULES[meaning](self._board, first, then, view)
        if first.flags == were[0] and then.flags == were[1]:
            return UNCHANGED
        changed = Changed(first.flags != were[0], then.flags != were[1])
        if changed.then and self._board.parents.get(then.owner):
            yield then
        return changed

    def _update_group(
        self, first: Standing, then: Standing, view: View, meaning: Meaning, node: str
    ) -> Visits:
        changed = yield from self._update_one(first, then, view, meaning)
        for member in self._collectives.parts_of(then.item):
            part = self._board.latest(member.id, then.task, node)
            if part is not None:
                found = yield from self._update(part, first, part, view, meaning, node)
                changed = changed.also(found)
        return changed

    def _update_copies(
        self, first: Standing, then: Standing, view: View, meaning: Meaning, node: str
    ) -> Visits:
        changed = yield from self._update_one(first, then, view, meaning)
        for copy in self._collectives.parts_of(then.item):
            part = self._board.latest(copy.id, then.task, node)
            if part is None or not self._collectives.view(part, node).runnable:
                continue
            found = yield from self._update(part, first, part, view, meaning, node)
            changed = changed.also(found)
            if found.then:
                for edge in part.after[::-1]:
                    yield edge.then
        return changed

    def _update_pairs(self, first: Standing, then: Standing, meaning: Meaning, node: str) -> Visits:
        """Order copy after copy; what has no copy to go with cannot come up."""
        one, other = first.item, then.item
        assert isinstance(one, CloneInstance | BundleInstance)
        changed = UNCHANGED
        step = first.action.about or first.task
        goes_down = step in (Task.STOPPED, Task.DEMOTED)
        for copy in self._collectives.parts_of(other):
            partner = self._collectives.partner(copy, one, now=goes_down)
            if partner is None:
                is_firm = meaning in (Meaning.BLOCKS, Meaning.NEED_SPREADS)
                if not goes_down and is_firm and refuse(self._board, copy):
                    changed = changed.also(_THEN)
                continue
            before = self._acting(partner, step, node, is_first=True)
            after = self._acting(copy, then.task, node, is_first=False)
            if before is None or after is None:
                continue
            if self._board.join(before, after, frozenset({meaning}), "interleaved"):
                changed = _BOTH
            view = self._collectives.view(before, node)
            found = yield from self._update(after, before, after, view, meaning, node)
            changed = changed.also(found)
        return changed

    def _acting(
        self, part: Instance | GroupInstance, step: Task, node: str, *, is_first: bool
    ) -> Standing | None:
        found = self._collectives.acting_part(part, step, is_first=is_first)
        if found is not part:
            node = ""  # It is on the node in the container.
        if is_first and isinstance(found, Instance):
            step = BEGINNINGS.get(step, step)
        return self._board.latest(found.id, step, node)


def _on_mark(first: Standing, then: Standing, view: View, meaning: Meaning) -> Changed:
    """Change what belongs to no resource: it has no reason to show."""
    if meaning is Meaning.NEED_SPREADS and view.needed and not then.needed:
        then.needed = True
        return _THEN
    if meaning is Meaning.BLOCKS and not view.runnable and then.runnable:
        then.runnable = False
        return _THEN
    return UNCHANGED


def _count(then: Standing, view: View) -> Changed:
    """Count one more alternative that is possible."""
    if then.item is not None or not view.runnable:
        return UNCHANGED
    then.counted += 1
    if then.counted >= max(1, then.action.minimum) and not then.runnable:
        then.runnable = True
        return _THEN
    return UNCHANGED


def refuse(board: Board, copy: Instance | GroupInstance) -> bool:
    """Keep a copy from being active after all; True if it was to be."""
    members = (copy,) if isinstance(copy, Instance) else copy.members
    changed = False
    for instance in members:
        changed = changed or bool(board.goes_to(instance.id))
        board.refused[instance.id] = None
        for found in board.of(instance.id, Task.STOP):
            found.needed = True
        for found in board.of(instance.id, Task.START):
            found.runnable = False
        for found in board.all_of(instance.id):
            if found.action.interval_ms > 0 and found.action.expected_rc != _NOT_RUNNING:
                found.runnable = False
    return changed


_NOT_RUNNING = 7
