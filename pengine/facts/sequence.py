"""Puts the entries of a history in the order in which they happened.

A node numbers what it executes: the call id decides. An operation that has not ended yet has none;
whether something that ended came later is told by the transitions that asked for the two. Before a
failure is overwritten a copy of it is kept, so that two entries may be about one call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cmp_to_key

from crm.model.status import HistoryEntry

_MAGIC = re.compile(r"-?\d+:-?\d+;-?\d+:(?P<transition>-?\d+):-?\d+:(?P<asker>.*)")


def in_sequence(entries: Iterable[HistoryEntry]) -> list[HistoryEntry]:
    """Sort entries, the oldest first; what nothing tells apart comes in reverse.

    Times are whole seconds. A recurring operation that succeeds and fails within one second has
    failed: nobody would see to it otherwise.
    """
    newest_first = list(entries)[::-1]
    if all(entry.call_id >= 0 for entry in newest_first):
        return sorted(newest_first, key=_moment)
    return sorted(newest_first, key=cmp_to_key(_compare))


def _compare(one: HistoryEntry, other: HistoryEntry) -> int:
    """Say which entry is older: negative for the first."""
    if one.call_id < 0 and other.call_id < 0:
        return 0
    if one.call_id >= 0 and other.call_id >= 0:
        mine, theirs = _moment(one), _moment(other)
        return (mine > theirs) - (mine < theirs)
    return _compare_pending(one, other)


def _moment(entry: HistoryEntry) -> tuple[int, int, bool]:
    """Give what tells when an operation that has ended did so."""
    is_failure = entry.interval_ms > 0 and entry.id.endswith("_last_failure_0")
    return (entry.call_id, entry.last_change_s, is_failure)


def _compare_pending(one: HistoryEntry, other: HistoryEntry) -> int:
    """Compare two entries of which one has not ended."""
    mine, theirs = _MAGIC.match(one.transition_magic), _MAGIC.match(other.transition_magic)
    if mine is None or theirs is None:
        return 0
    first, second = int(mine["transition"]), int(theirs["transition"])
    if mine["asker"] != theirs["asker"] or first == second:
        # Numbers of different askers say nothing; what is pending was asked for last.
        return 1 if one.call_id < 0 else -1
    if first < 0 or second < 0:
        return 1 if first < 0 else -1  # A shutdown has no number and comes last.
    return first - second
