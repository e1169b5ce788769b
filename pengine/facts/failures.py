"""Fail counts: how often operations failed on a node, and when that makes the node forbidden.

Counts live in transient node attributes `fail-count-RSC#OPERATION_INTERVAL` (older ones without
the operation); times of the last failure in `last-failure-…`. A count older than the
failure-timeout no longer counts and is to be cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crm.model import options, score
from crm.model.score import ZERO, Score
from pengine.facts.instances import Instance
from pengine.facts.nodes import NodeFacts


@dataclass(frozen=True, slots=True)
class FailCount:
    """Failures of one resource on one node. `effective` leaves out what has expired."""

    node: str
    instance: str
    total: Score
    effective: Score
    last_failure_s: int
    next_change_s: int | None = None

    @property
    def has_expired(self) -> bool:
        """Tell whether the count is to be cleared because it is too old."""
        return self.total > 0 and self.effective == 0


def fail_count(instance: Instance, node: NodeFacts, now_s: float) -> FailCount:
    """Add up the failures of an instance on a node."""
    name = instance.history_id
    total, last_s = ZERO, 0
    for key, value in node.transient.items():
        if _is_about(key, "fail-count-", name, instance.is_unique):
            total = score.add(total, parse_count(value))
        elif _is_about(key, "last-failure-", name, instance.is_unique):
            last_s = max(last_s, _seconds(value))
    timeout_s = instance.meta.failure_timeout_ms // 1000
    effective, change_s = total, None
    if total > 0 and timeout_s > 0 and last_s > 0:
        if now_s > last_s + timeout_s:
            effective = ZERO
        else:
            change_s = last_s + timeout_s + 1
    return FailCount(node.name, instance.id, total, effective, last_s, change_s)


def _is_about(key: str, prefix: str, name: str, is_unique: bool) -> bool:
    if not key.startswith(prefix):
        return False
    resource = key[len(prefix) :].partition("#")[0]
    if not is_unique:
        resource = resource.partition(":")[0]
    return resource == name


def parse_count(text: str) -> Score:
    """Read a fail count; what is none counts as 0."""
    try:
        return options.as_score(text)
    except ValueError:
        return ZERO


def _seconds(text: str) -> int:
    return int(text) if text.isdigit() else 0


def last_failures(attributes: Mapping[str, str]) -> dict[str, int]:
    """List the times of last failures by resource (with operation), for tools."""
    return {
        key.removeprefix("last-failure-"): _seconds(value)
        for key, value in attributes.items()
        if key.startswith("last-failure-")
    }
