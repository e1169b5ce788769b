"""What others would like about where something goes, added to its scores.

Before a primary is placed, the scores of each dependent are added to its own, weakened by the
score of the tie, and so on through the dependents of the dependents. Factors and products are of
single precision, as published numbers are (case coloc_fp_logic).

Source: docs/scheduler/placement.md.
"""

from __future__ import annotations

import struct

import msgspec
from msgspec.structs import replace

from crm.model import score
from crm.model.score import INFINITY, MINUS_INFINITY, Score
from pengine.facts.instances import CloneInstance, GroupInstance, Instance, Placeable
from pengine.place import passes
from pengine.place.ledger import Ledger
from pengine.place.placement import Contribution
from pengine.place.ties import Tie, Ties

Table = dict[str, Score]

_UNUSABLE = Score(-100 * INFINITY)
"""Marks a node a clone was wanted on and is not after all; it ends as 1."""


class Manner(msgspec.Struct, frozen=True):
    """How scores are added up.

    `forward`: go on through the primaries of what was added, instead of its dependents.
    `undoes`: leave out what would leave no node. `only_raises`: never drive a sum below 0.
    """

    forward: bool = False
    undoes: bool = False
    only_raises: bool = False


class Wishes:
    """Adds scores up along ties."""

    def __init__(self, ledger: Ledger, ties: Ties) -> None:
        self._ledger = ledger
        self._ties = ties
        self._reasons: list[Contribution] = []

    # --- doors -------------------------------------------------------------------------------

    def hear(self, primary: Placeable, tie: Tie) -> None:
        """Add what a dependent would like to the scores of a primary that is being placed."""
        if not self.has_influence(tie):
            return
        manner = Manner(undoes=True, only_raises=_is_clone(primary))
        self.add(primary, tie.dependent, tie, manner)

    def add(self, target: Placeable, source: Placeable, tie: Tie, manner: Manner) -> None:
        """Add the scores of a source, by a tie, to those of a target."""
        tables = self._ledger.tally.scores
        self._reasons = []
        factor = weaken(1.0, tie.score)
        tables[target.id] = self._merge(source, target, tables[target.id], tie, factor, manner)
        self._ledger.tally.contributions += self._reasons

    def standing(self, item: Placeable) -> Table:
        """Sum the scores of an item and of all it wants to be with."""
        self._reasons = []
        source = item.members[-1] if isinstance(item, GroupInstance) else item
        table = dict(self._ledger.tally.scores[source.id])
        self._ledger.merging.add(source.id)
        manner = Manner(forward=True)
        table = self._go_on(source, source, table, 1.0, manner)
        self._ledger.merging.discard(source.id)
        return table

    def near(self, copy: Placeable, node: str) -> Score:
        """Say how much others would like a copy to be on a node."""
        self._reasons = []
        table = {node: self._ledger.worth(node)}
        for tie in self._ties.with_others(copy):
            factor = weaken(1.0, tie.score)
            table = self._merge(tie.primary, copy, table, tie, factor, Manner())
        for tie in self._ties.others_with(copy):
            if self.has_influence(tie, copy):
                factor, manner = weaken(1.0, tie.score), Manner(only_raises=True)
                table = self._merge(tie.dependent, copy, table, tie, factor, manner)
        return table[node]

    def has_influence(self, tie: Tie, primary: Placeable | None = None) -> bool:
        """Tell whether the dependent of a tie may draw its primary.

        A connection does not draw the container it leads into, if that is well where it is: it
        moves easily, and what runs in the container does not (case colocation-influence).
        """
        target = primary or tie.primary
        active = self._ledger.active_nodes(target)
        connection = self._ledger.facts.connections.get(tie.dependent.id)
        if connection is not None and connection.bundle and len(active) == 1:
            is_well = isinstance(target, Instance) and not self._ledger.has_failed(target)
            if is_well:
                return False
        return tie.has_influence or not active

    # --- adding ------------------------------------------------------------------------------

    def _merge(
        self,
        source: Placeable,
        target: Placeable,
        table: Table,
        tie: Tie,
        factor: float,
        manner: Manner,
    ) -> Table:
        """Give a table with the scores of one source, and of all beyond it, added."""
        merging = self._ledger.merging
        if source.id in merging:
            return table
        if isinstance(source, GroupInstance):
            merging.add(source.id)
            table = self._merge(source.members[0], target, table, tie, factor, manner)
            merging.discard(source.id)
            return table
        merging.add(source.id)
        mark = len(self._reasons)
        work = self._added(source, target, table, tie, factor, manner)
        has_room = self._ledger.any_available(work)
        if has_room:
            work = self._go_on(source, target, work, factor, manner)
        elif manner.undoes:
            del self._reasons[mark:]
            work = table
        if manner.only_raises and (has_room or not manner.undoes):
            work = {n: Score(1) if value == _UNUSABLE else value for n, value in work.items()}
        merging.discard(source.id)
        return work

    def _go_on(
        self, source: Placeable, target: Placeable, table: Table, factor: float, manner: Manner
    ) -> Table:
        if not self._ledger.any_available(table):
            return table
        further = replace(manner, undoes=True)
        ties = self._ties.with_others(source) if manner.forward else self._ties.others_with(source)
        for tie in ties:
            if not manner.forward and not self.has_influence(tie):
                continue
            other = tie.primary if manner.forward else tie.dependent
            beyond = weaken(factor, tie.score)
            table = self._merge(other, target, table, tie, beyond, further)
        return table

    def _added(
        self,
        source: Placeable,
        target: Placeable,
        table: Table,
        tie: Tie,
        factor: float,
        manner: Manner,
    ) -> Table:
        result = dict(table)
        given = self._by_attribute(source, tie)
        spared = factor < 0 and not self._must_avoid(tie)
        for node, value in table.items():
            amount = given.get(_folded(self._ledger.attribute(node, tie.node_attribute)))
            amount = MINUS_INFINITY if amount is None else amount
            if factor < 0 and amount < 0 and (spared or self._stays(tie, amount)):
                # Avoiding where somebody we avoid would not go is no reason to go there.
                continue
            if value == _UNUSABLE:
                continue
            delta = times(amount, factor)
            total = score.add(delta, value)
            if manner.only_raises and total < 0 and value >= 0:
                if value > 0:
                    result[node] = _UNUSABLE
                continue
            result[node] = total
            if delta != 0:
                text = f"preference of {source.id}"
                self._reasons.append(
                    Contribution(target.id, node, delta, "colocation", tie.constraint, text)
                )
        return result

    def _stays(self, tie: Tie, amount: Score) -> bool:
        return tie.primary.meta.stickiness >= -amount or not self.has_influence(tie)

    def _must_avoid(self, tie: Tie) -> bool:
        """Tell whether the dependent of a tie has but one node to be on."""
        table = self._ledger.tally.scores[tie.dependent.id]
        return sum(1 for value in table.values() if value >= 0) == 1

    def _by_attribute(self, source: Placeable, tie: Tie) -> dict[str | None, Score]:
        """Give the best score of a source for each value of the attribute of a tie."""
        best: dict[str | None, Score] = {}
        for node, value in self._table_of(source, tie).items():
            if node not in self._ledger.may_run:
                continue
            key = _folded(self._ledger.attribute(node, tie.node_attribute))
            if value > best.get(key, MINUS_INFINITY):
                best[key] = value
        return best

    def _table_of(self, source: Placeable, tie: Tie) -> Table:
        table = self._ledger.tally.scores[source.id]
        parent = self._ledger.parents.get(source.id)
        is_inner = isinstance(parent, GroupInstance) and parent.members[0] is not source
        if source is not tie.dependent or not tie.is_explicit or not is_inner:
            return table
        # Only the first member has the preferences of its group; a tie written for another one
        # has to look them up (case banned-group-inner-constraints).
        assert isinstance(source, Instance) and isinstance(parent, GroupInstance)
        table = dict(table)
        for preference in passes.preferences_of(self._ledger.facts, parent):
            for node, amount in preference.scores:
                table[node] = score.add(table.get(node, Score(0)), amount)
        return table


def _is_clone(item: Placeable) -> bool:
    return isinstance(item, CloneInstance)


def _folded(value: str | None) -> str | None:
    return None if value is None else value.lower()


_SINGLE = struct.Struct("f")


def _single(value: float) -> float:
    """Round a number to single precision."""
    found: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return found


def weaken(factor: float, amount: Score) -> float:
    """Weaken a factor by the score of one more tie."""
    return _single(_single(factor * amount) / INFINITY)


def times(amount: Score, factor: float) -> Score:
    """Multiply a score, rounded half away from zero and never to nothing.

    Infinity is only the largest number here (cases group-anticolocation and
    failed-sticky-anticolocated-group).
    """
    exact = _single(factor * amount)
    rounded = int(exact - 0.5) if exact < 0 else int(exact + 0.5)
    if rounded == 0 and amount != 0:
        rounded = 1 if factor > 0 else -1 if factor < 0 else 0
    return Score(rounded)
