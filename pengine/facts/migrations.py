"""What half-done live migrations mean: where an instance is, and what has to be cleaned up.

A migration is a `migrate_to` on the source, a `migrate_from` on the target, and a stop on the
source. Without the second it is *partial* (it may go on), without the third *dangling* (the source
only has to be stopped). The histories of both nodes count; either may have been cleaned since.

Source: docs/scheduler/migration.md; published cases migrate-partial-1, migrate-fail-6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.status import HistoryEntry

_CHANGING = frozenset({"start", "stop", "promote", "demote", "migrate_to", "migrate_from"})

Histories = Mapping[str, tuple[HistoryEntry, ...]]
"""Entries by node, each node's in the order of their calls."""


class Migrations(msgspec.Struct, frozen=True):
    """What the migrations of one instance mean.

    `also_active` maps a node to nodes on which its migration may have left the instance as well.
    `dangling` are nodes to stop it on though it left them. `partial` is (source, target).
    `lost` is set if a migration left the instance where nobody can tell: it has to be recovered.
    """

    also_active: Mapping[str, tuple[str, ...]]
    dangling: tuple[str, ...] = ()
    partial: tuple[str, str] | None = None
    lost: bool = False
    underway: tuple[tuple[str, str], ...] = ()
    """Sources with the targets they were sending it to when they were last heard of."""


def conclude_migrations(
    histories: Histories, online: Iterable[str], unread: Histories | None = None
) -> Migrations:
    """Conclude what all migrations in the histories of one instance mean.

    Those of nodes that are away may not count by themselves; they are only looked up.
    """
    judging = _Judging({**(unread or {}), **histories}, frozenset(online))
    for node, entries in histories.items():
        for entry in entries:
            if entry.status == OperationStatus.PENDING:
                if entry.operation == "migrate_to" and entry.migrate_target:
                    judging.underway.append((node, entry.migrate_target))
                continue
            if entry.operation == "migrate_to":
                judging.judge_to(node, entry)
            elif entry.operation == "migrate_from" and not _went_well(entry):
                judging.judge_failed_from(node, entry)
    return Migrations(
        {node: tuple(found) for node, found in judging.also_active.items()},
        tuple(judging.dangling),
        judging.partial,
        judging.lost,
        tuple(judging.underway),
    )


class _Judging:
    """The conclusions so far; it does not leave this module."""

    def __init__(self, histories: Histories, online: frozenset[str]) -> None:
        self._histories = histories
        self._online = online
        self.also_active: dict[str, list[str]] = {}
        self.dangling: list[str] = []
        self.underway: list[tuple[str, str]] = []
        self.partial: tuple[str, str] | None = None
        self.lost = False

    def judge_to(self, source: str, entry: HistoryEntry) -> None:
        """Judge a `migrate_to` of the source's history, good or failed."""
        target = entry.migrate_target
        if not target or (entry.migrate_source or source) != source:
            return
        arrival = self._find(target, "migrate_from", source)
        if _went_well(entry):
            self._judge_good_to(source, target, entry, arrival)
            return
        # A failed arrival is news of the target like any other.
        arrival = arrival if arrival is not None and _went_well(arrival) else None
        if self._is_unknown(target) or self._has_newer_state(target, entry, arrival):
            if not self._has_later_change(source, entry, same_node=True):
                self._dangle(source)
        elif target in self._online:
            self._add(source, target)

    def _judge_good_to(
        self, source: str, target: str, entry: HistoryEntry, arrival: HistoryEntry | None
    ) -> None:
        left = self._has_later_change(source, entry, same_node=True)
        if arrival is not None and left:
            return
        target_moved_on = self._has_newer_state(target, entry, arrival)
        if left and target_moved_on:
            return
        if arrival is not None and _went_well(arrival):
            self._dangle(source)
            return
        is_there = not target_moved_on and target in self._online
        if arrival is not None and arrival.status != OperationStatus.PENDING:
            if is_there:
                self._add(source, target)
            else:
                self.lost = True
        elif target in self._online and self._is_unknown(target):
            return
        elif is_there:
            self._add(source, target)
            if source in self._online:
                self.partial = (source, target)
        elif not left:
            self.lost = True

    def judge_failed_from(self, target: str, entry: HistoryEntry) -> None:
        """Judge a `migrate_from` that failed: the source may have it still."""
        source = entry.migrate_source
        if not source or source not in self._online or self._is_unknown(source):
            return
        departure = self._find(source, "migrate_to", "", target)
        if not self._has_newer_state(source, departure or entry, None, same=departure is not None):
            self._add(target, source)

    def _add(self, cause: str, node: str) -> None:
        found = self.also_active.setdefault(cause, [])
        if node not in found:
            found.append(node)

    def _dangle(self, source: str) -> None:
        if source not in self.dangling:
            self.dangling.append(source)

    def _find(
        self, node: str, operation: str, source: str, target: str = ""
    ) -> HistoryEntry | None:
        for entry in reversed(self._histories.get(node, ())):
            if (
                entry.operation == operation
                and (not source or entry.migrate_source == source)
                and (not target or entry.migrate_target == target)
            ):
                return entry
        return None

    def _is_unknown(self, node: str) -> bool:
        entries = self._histories.get(node, ())
        return not entries or all(
            e.operation == "monitor"
            and e.interval_ms == 0
            and (e.status == OperationStatus.PENDING or e.call_id < 0)
            for e in entries
        )

    def _has_newer_state(
        self,
        node: str,
        to: HistoryEntry,
        arrival: HistoryEntry | None,
        *,
        same: bool = False,
    ) -> bool:
        """Tell whether a node's history says something newer than the migration."""
        than, same_node = (arrival, True) if arrival is not None else (to, same)
        if self._has_later_change(node, than, same_node=same_node):
            return True
        return any(
            e.operation == "monitor"
            and e.exit_code == ExitCode.NOT_RUNNING
            and e.status == OperationStatus.DONE
            and _is_newer(e, than, same_node=same_node)
            for e in self._histories.get(node, ())
        )

    def _has_later_change(self, node: str, than: HistoryEntry, *, same_node: bool) -> bool:
        return any(
            e.operation in _CHANGING and e is not than and _is_newer(e, than, same_node=same_node)
            for e in self._histories.get(node, ())
        )


def _went_well(entry: HistoryEntry) -> bool:
    return entry.exit_code == ExitCode.OK and entry.status == OperationStatus.DONE


def _is_newer(entry: HistoryEntry, than: HistoryEntry, *, same_node: bool) -> bool:
    """Compare two entries: by call on one node, else by time, else by transition."""
    if same_node and entry.call_id >= 0 and than.call_id >= 0:
        return entry.call_id > than.call_id
    if entry.last_change_s > 0 and than.last_change_s > 0:
        return entry.last_change_s > than.last_change_s
    mine, others = _transition(entry), _transition(than)
    return mine is not None and others is not None and mine > others


def _transition(entry: HistoryEntry) -> int | None:
    words = entry.transition_key.split(":")
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
