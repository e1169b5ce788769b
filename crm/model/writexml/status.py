"""Entries of the status section as elements: node states, histories, transient attributes.

Responsible for names, ids and words of these elements; not for where they are put
(`crm.cib.operations`), nor for reading them back (`crm.model.readxml`).

Node states use the words of feature sets before 3.18 (`in_ccm="true"`, `crmd="online"`), which
every classic tool reads (decision 0020).

Source: scheduler.md, "Status"; docs/protocol/cib.md, "Status".
"""

from __future__ import annotations

import re
from typing import Protocol

from lxml import etree

from crm.model import names
from crm.model.outcomes import ExitCode, OperationStatus

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_.-]")
_FOUND = (ExitCode.OK, ExitCode.NOT_RUNNING, ExitCode.PROMOTED)


class Executed(Protocol):
    """An operation that was executed, as the executor reports it (`OperationRecord`)."""

    @property
    def resource(self) -> str: ...  # noqa: D102 - the names say it
    @property
    def operation(self) -> str: ...  # noqa: D102
    @property
    def interval_ms(self) -> int: ...  # noqa: D102
    @property
    def call_id(self) -> int: ...  # noqa: D102
    @property
    def rc(self) -> int: ...  # noqa: D102
    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def transition_key(self) -> str: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def restart_digest(self) -> str: ...  # noqa: D102
    @property
    def restart_parameters(self) -> str: ...  # noqa: D102
    @property
    def exit_reason(self) -> str: ...  # noqa: D102
    @property
    def last_run(self) -> float: ...  # noqa: D102
    @property
    def last_rc_change(self) -> float: ...  # noqa: D102
    @property
    def exec_ms(self) -> int: ...  # noqa: D102
    @property
    def queue_ms(self) -> int: ...  # noqa: D102
    @property
    def executed_on(self) -> str: ...  # noqa: D102
    @property
    def node(self) -> str: ...  # noqa: D102
    @property
    def history_id(self) -> str: ...  # noqa: D102


def expected_rc(transition_key: str) -> int:
    """Read what an operation was expected to return from `ACTION:TRANSITION:RC:UUID`."""
    parts = transition_key.split(":")
    if len(parts) >= 4 and parts[2].lstrip("-").isdigit():
        return int(parts[2])
    return 0


def has_failed(record: Executed) -> bool:
    """Tell whether an operation is a failure, to be kept as the last one.

    A probe that finds the resource in a clear state has not failed, whatever was expected.
    """
    if record.status in (OperationStatus.PENDING, OperationStatus.CANCELLED):
        return False
    if record.status != OperationStatus.DONE:
        return True
    if is_probe(record) and record.rc in _FOUND:
        return False
    return record.rc != expected_rc(record.transition_key)


def is_probe(record: Executed) -> bool:
    """Tell whether an operation only asks for the state, once."""
    return record.operation in ("monitor", "status") and record.interval_ms == 0


def history_ids(record: Executed) -> tuple[str, ...]:
    """Name the entries an operation is written to.

    Recurring operations have an entry of their own, all others share `RSC_last_0`. A failure
    goes to `RSC_last_failure_0`: alone if it recurs (its own entry keeps the last success).
    """
    if record.history_id:
        return (record.history_id,)
    last = f"{record.resource}_last_0"
    if has_failed(record):
        failure = f"{record.resource}_last_failure_0"
        return (failure,) if record.interval_ms else (last, failure)
    if record.interval_ms:
        return (names.operation_key(record.resource, record.operation, record.interval_ms),)
    return (last,)


def operation_attributes(record: Executed, identity: str) -> dict[str, str]:
    """Write an executed operation as the attributes of a `lrm_rsc_op`."""
    attributes = {
        "id": identity,
        "operation_key": names.operation_key(record.resource, record.operation, record.interval_ms),
        "operation": record.operation,
        "crm-debug-origin": "do_update_resource",
        "crm_feature_set": "3.16.1",
        "transition-key": record.transition_key,
        "transition-magic": f"{record.status}:{record.rc};{record.transition_key}",
        "exit-reason": record.exit_reason,
        "on_node": record.executed_on or record.node,
        "call-id": str(record.call_id),
        "rc-code": str(record.rc),
        "op-status": str(record.status),
        "interval": str(record.interval_ms),
    }
    if record.last_rc_change:
        attributes["last-rc-change"] = str(int(record.last_rc_change))
    if record.last_run and not record.interval_ms:
        attributes["last-run"] = str(int(record.last_run))
    attributes["exec-time"] = str(record.exec_ms)
    attributes["queue-time"] = str(record.queue_ms)
    if record.digest:
        attributes["op-digest"] = record.digest
    if record.restart_parameters:
        attributes["op-force-restart"] = record.restart_parameters
    if record.restart_digest:
        attributes["op-restart-digest"] = record.restart_digest
    return attributes


def node_state(uuid: str, name: str) -> etree._Element:
    """Make the state of a node of which nothing is known yet."""
    return etree.Element("node_state", id=uuid, uname=name)


def resource_history(resource: str, agent_class: str, provider: str, kind: str) -> etree._Element:
    """Make the empty history of a resource."""
    attributes = {"id": resource, "class": agent_class, "type": kind}
    if provider:
        attributes["provider"] = provider
    return etree.Element("lrm_resource", attributes)


def attribute_id(set_id: str, name: str) -> str:
    """Name the nvpair of a transient attribute; what may not stand in an id becomes a dot."""
    return f"{set_id}-{_NOT_IN_AN_ID.sub('.', name)}"


def truth(value: bool) -> str:
    """Say yes or no as the CIB does."""
    return "true" if value else "false"
