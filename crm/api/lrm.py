"""The conversation with `lrmd`: run this operation, repeat it, stop repeating, what do you know.

Every order carries the reign of the DC behind it; lrmd refuses orders of an earlier reign than
the greatest it has seen, so a deposed DC cannot start anything.

Units: intervals, timeouts and durations in milliseconds; times of day in seconds since 1970.
Source: docs/protocol/lrm.md.
"""

from __future__ import annotations

from crm.model.version import Reign
from crm.plumbing.codec import Codec, Message

SERVICE = "lrmd"


class ResourceAgent(Message, frozen=True, omit_defaults=True):
    """Which agent runs a resource."""

    agent_class: str
    type: str
    provider: str = ""


class Execute(Message, frozen=True, omit_defaults=True):
    """Run an operation, once (`interval_ms` 0) or again and again.

    `key` is the transition key; an operation of the same key is executed at most once.
    `expected_rc`: None when success is expected. `call_id` is chosen by the caller and grows.
    """

    call_id: int
    key: str
    resource: str
    agent: ResourceAgent
    operation: str
    interval_ms: int = 0
    timeout_ms: int = 20_000
    start_delay_ms: int = 0
    parameters: dict[str, str] = {}
    meta: dict[str, str] = {}
    expected_rc: int | None = None
    reign: Reign = Reign()


class Cancel(Message, frozen=True, omit_defaults=True):
    """Stop repeating an operation; answered by an `OperationFinished` with status CANCELLED."""

    call_id: int
    key: str
    resource: str
    operation: str
    interval_ms: int
    reign: Reign = Reign()


class Forget(Message, frozen=True, omit_defaults=True):
    """Drop what is remembered of a resource ("" = all); its recurring operations end."""

    resource: str = ""


class DescribeExecutor(Message, frozen=True):
    """Ask for everything remembered; answered by `ExecutorDescription`."""

    request: int


class RaiseReign(Message, frozen=True):
    """From now on refuse orders of an earlier reign."""

    reign: Reign


class OperationFinished(Message, frozen=True, omit_defaults=True):
    """An operation ended (recurring ones: the first result, and each one that differs).

    `status` is a number of `crm.model.outcomes.OperationStatus`.
    """

    call_id: int
    key: str
    resource: str
    agent: ResourceAgent
    operation: str
    interval_ms: int
    rc: int
    status: int
    parameters: dict[str, str] = {}
    meta: dict[str, str] = {}
    expected_rc: int | None = None
    exit_reason: str = ""
    output: str = ""
    last_run: float = 0
    last_rc_change: float = 0
    exec_ms: int = 0
    queue_ms: int = 0
    timeout_ms: int = 0


class ExecutorDescription(Message, frozen=True, omit_defaults=True):
    """What lrmd remembers: per resource its last result of each operation and interval.

    `incarnation` differs after every start of lrmd: then nothing is remembered although resources
    may run. `busy` names the orders that wait or run by their keys. `reign` is the greatest it has
    seen: orders of an earlier one are refused.
    """

    request: int
    incarnation: str
    operations: tuple[OperationFinished, ...] = ()
    busy: tuple[str, ...] = ()
    reign: Reign = Reign()


TO_LRMD = Codec(Execute, Cancel, Forget, DescribeExecutor, RaiseReign)
FROM_LRMD = Codec(OperationFinished, ExecutorDescription)
