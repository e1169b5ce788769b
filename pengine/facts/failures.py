"""Fail counts: how often operations failed on a node, and when that makes the node forbidden.

Counts live in node attributes `fail-count-RSC#OPERATION_INTERVAL` (older ones without the
operation); times of the last failure in `last-failure-…`. All operations of a resource count
together. When the last failure is older than the failure-timeout, none counts any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from crm.model import options, score
from crm.model.score import ZERO, Score
from crm.model.status import HistoryEntry
from pengine.facts.instances import Instance

_COUNT, _TIME = "fail-count-", "last-failure-"


class FailCount(msgspec.Struct, frozen=True):
    """Failures of one resource on one node. `effective` leaves out what has expired."""

    node: str
    instance: str
    total: Score
    effective: Score
    last_failure_s: int
    next_change_s: int | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What a node's attributes say of one name, which may have the number of a copy."""

    name: str
    count: Score = ZERO
    last_failure_s: int = 0


def recorded_failures(attributes: Mapping[str, str]) -> dict[str, list[Recorded]]:
    """Sort what a node says of failures by resource, numbers of copies left out."""
    found: dict[str, list[Recorded]] = {}
    for key, value in attributes.items():
        if key.startswith(_COUNT):
            name = key.removeprefix(_COUNT).partition("#")[0]
            found.setdefault(_plain(name), []).append(Recorded(name, parse_count(value)))
        elif key.startswith(_TIME):
            name = key.removeprefix(_TIME).partition("#")[0]
            record = Recorded(name, last_failure_s=_seconds(value))
            found.setdefault(_plain(name), []).append(record)
    return found


def fail_count(
    recorded: Mapping[str, list[Recorded]],
    instance: Instance,
    node: str,
    now_s: float,
    entries: Iterable[HistoryEntry] = (),
) -> FailCount:
    """Add up the failures of an instance on a node; copies of anonymous clones share theirs."""
    total, last_s = ZERO, 0
    for record in recorded.get(_plain(instance.history_id), ()):
        if not instance.is_unique or record.name == instance.history_id:
            total = score.add(total, record.count)
            last_s = max(last_s, record.last_failure_s)
    timeout_s = instance.meta.failure_timeout_ms // 1000
    if total == 0 or timeout_s <= 0 or last_s <= 0 or _blocks(instance, entries):
        return FailCount(node, instance.id, total, total, last_s)
    if now_s > last_s + timeout_s:
        return FailCount(node, instance.id, total, ZERO, last_s)
    return FailCount(node, instance.id, total, total, last_s, last_s + timeout_s + 1)


def _blocks(instance: Instance, entries: Iterable[HistoryEntry]) -> bool:
    """Tell whether a failure that blocks the instance keeps all its failures from expiring."""
    blocking = {
        (o.name, o.interval_ms)
        for o in instance.operations
        if o.meta.get("on-fail", "").lower() == "block"
    }
    return bool(blocking) and any(
        (entry.operation, entry.interval_ms) in blocking
        and (entry.id.endswith("_last_failure_0") or entry.exit_code != entry.target_rc)
        for entry in entries
    )


def _plain(name: str) -> str:
    plain, colon, number = name.rpartition(":")
    return plain if colon and number.isdigit() else name


def parse_count(text: str) -> Score:
    """Read a fail count; what is none counts as 0."""
    try:
        return options.as_score(text)
    except ValueError:
        return ZERO


def _seconds(text: str) -> int:
    return int(text) if text.isdigit() else 0
