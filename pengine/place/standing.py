"""Sorts the copies of a collective: which one is placed first.

What runs in fewer places, where it may stay, on a node that works, and did not fail, comes first;
then what its company draws to where it is (case colocation-priority-group); then the number.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key

from crm.model.score import MINUS_INFINITY
from pengine.facts.instances import GroupInstance, Instance
from pengine.place.ledger import Ledger
from pengine.place.wishes import Wishes

Copy = Instance | GroupInstance


def in_placing_order(
    ledger: Ledger, wishes: Wishes, collective: str, copies: Iterable[Copy]
) -> tuple[Copy, ...]:
    """Sort copies by how well they stand where they are."""
    listed = tuple(copies)
    standing = {copy.id: Standing(ledger, wishes, collective, copy) for copy in listed}

    def compare(one: Copy, other: Copy) -> int:
        return standing[one.id].compare(standing[other.id])

    return tuple(sorted(listed, key=cmp_to_key(compare)))


class Standing:
    """What counts when two copies are compared."""

    def __init__(self, ledger: Ledger, wishes: Wishes, collective: str, copy: Copy) -> None:
        self._ledger = ledger
        self._wishes = wishes
        self._copy = copy
        self._near: int | None = None
        here, scores = ledger.here(copy), ledger.tally.scores[copy.id]
        self._count = len(ledger.active_nodes(copy))
        self._is_allowed = here is None or scores.get(here, MINUS_INFINITY) >= 0
        self._node = here if self._is_allowed else None
        self._priority = ledger.priority_of(copy)
        self._works = self._node in ledger.may_run
        self._is_known = self._node in ledger.tally.scores[collective]
        self._failed = ledger.has_failed(copy)
        self._number = copy.number or 0

    def compare(self, other: Standing) -> int:
        """Say which of two comes first: negative for this one, 0 if it does not matter."""
        if self._count and other._count and self._count != other._count:
            return self._count - other._count
        if self._is_allowed != other._is_allowed:
            return _first(self._is_allowed)
        if self._priority != other._priority:
            return other._priority - self._priority
        if self._node is None or other._node is None:
            return 0 if self._node is other._node else _first(self._node is not None)
        if self._works != other._works:
            return _first(self._works)
        if not (self._is_known and other._is_known):
            return 0 if self._is_known is other._is_known else _first(self._is_known)
        if self._failed != other._failed:
            return _first(other._failed)
        return other._drawn() - self._drawn() or self._number - other._number

    def _drawn(self) -> int:
        """Say how much others want the copy to be where it is."""
        if self._near is None:
            assert self._node is not None
            self._near = self._wishes.near(self._copy, self._node)
        return self._near


def _first(is_this: bool) -> int:
    return -1 if is_this else 1
