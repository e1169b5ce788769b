"""Results of operations: what they mean, and how they stand in the history.

Responsible for transition keys, for telling a failure from a result, for fail counts' names and
for turning an executor's result into an `OperationRecord`; not for writing any of it.

Source: docs/protocol/transition.md, "Results".
"""

from __future__ import annotations

from typing import NamedTuple

from crm.api.cib import OperationRecord
from crm.api.lrm import OperationFinished
from crm.model.digests import operation_digest
from crm.model.names import operation_key
from crm.model.outcomes import ExitCode, OperationStatus


class TransitionKey(NamedTuple):
    """Which action of which transition of which transition engine an operation belongs to."""

    action: int
    transition: int
    expected_rc: int
    engine: str

    def __str__(self) -> str:
        return f"{self.action}:{self.transition}:{self.expected_rc}:{self.engine}"


def parse_key(text: str) -> TransitionKey | None:
    """Read a transition key; None if the text is none."""
    parts = text.split(":", 3)
    if len(parts) != 4:
        return None
    numbers = [int(part) if part.lstrip("-").isdigit() else None for part in parts[:3]]
    action, transition, expected = numbers
    if action is None or transition is None or expected is None:
        return None
    return TransitionKey(action, transition, expected, parts[3])


def expected_rc(result: OperationFinished) -> int:
    """Say which exit code was hoped for."""
    key = parse_key(result.key)
    if key is not None:
        return key.expected_rc
    return result.expected_rc or 0


def is_as_expected(result: OperationFinished) -> bool:
    """Tell whether an operation ended as hoped for; a degraded monitor counts as well."""
    if result.status == OperationStatus.CANCELLED:
        return True
    if result.status != OperationStatus.DONE:
        return False
    hoped = expected_rc(result)
    if result.operation == "monitor":
        degraded = {ExitCode.OK: ExitCode.DEGRADED, ExitCode.PROMOTED: ExitCode.DEGRADED_PROMOTED}
        if hoped in degraded and result.rc == degraded[ExitCode(hoped)]:
            return True
    return result.rc == hoped


def is_probe(result: OperationFinished) -> bool:
    """Tell whether a result only finds out what runs."""
    return result.operation == "monitor" and result.interval_ms == 0


def counts_as_failure(result: OperationFinished) -> bool:
    """Tell whether a result raises the fail count: probes never do, other surprises do."""
    counted = result.interval_ms > 0 or result.operation in ("start", "stop", "promote", "demote")
    return counted and not is_as_expected(result)


def fail_count_value(operation: str, *, start_is_fatal: bool, stop_is_fatal: bool) -> str:
    """Say what a failure does to the fail count: one more, or infinity at once."""
    if operation == "start" and start_is_fatal:
        return "INFINITY"
    if operation == "stop" and stop_is_fatal:
        return "INFINITY"
    return "value++"


def fail_count_name(resource: str, operation: str, interval_ms: int) -> str:
    """Name the node attribute that counts failures of an operation."""
    return f"fail-count-{resource}#{operation}_{interval_ms}"


def last_failure_name(resource: str, operation: str, interval_ms: int) -> str:
    """Name the node attribute that says when an operation failed last."""
    return f"last-failure-{resource}#{operation}_{interval_ms}"


def is_failure_attribute(name: str) -> bool:
    """Tell whether a node attribute counts failures, or says when there was one."""
    return name.startswith(("fail-count-", "last-failure-"))


def concerns(name: str, resource: str) -> bool:
    """Tell whether a failure attribute is about a resource, as its history is named ("" = any).

    `web:0` is one copy of a clone and `web:1` another: who asks for one means no other.
    """
    return not resource or resource_of_attribute(name) == resource


def concerns_copies(name: str, resource: str) -> bool:
    """Tell the same for a resource whose copies have no numbers: older counts may have one."""
    subject = resource_of_attribute(name)
    return subject == resource or subject.partition(":")[0] == resource


def resource_of_attribute(name: str) -> str:
    """Say whose failures a node attribute counts."""
    bare = name.removeprefix("fail-count-").removeprefix("last-failure-")
    return bare.partition("#")[0]


def record(result: OperationFinished, *, node: str, node_id: str) -> OperationRecord:
    """Turn a result into an entry of the history of a node."""
    digest = operation_digest(
        result.parameters, interval_ms=result.interval_ms, timeout_ms=result.timeout_ms
    )
    return OperationRecord(
        node=node,
        node_id=node_id,
        resource=result.resource,
        agent_class=result.agent.agent_class,
        provider=result.agent.provider,
        type=result.agent.type,
        operation=result.operation,
        interval_ms=result.interval_ms,
        call_id=result.call_id,
        rc=result.rc,
        status=result.status,
        transition_key=result.key,
        digest=digest,
        exit_reason=result.exit_reason,
        last_run=result.last_run,
        last_rc_change=result.last_rc_change,
        exec_ms=result.exec_ms,
        queue_ms=result.queue_ms,
        executed_on=node,
    )


def name_of(result: OperationFinished) -> str:
    """Name the operation of a result: `vip_monitor_5000`."""
    return operation_key(result.resource, result.operation, result.interval_ms)
