"""When results of operations are too old to matter, and what follows for the fail count.

A result is as old as its last change. Of a resource with a failure-timeout, older ones are not
looked at, unless the fail count still counts: then something failed again since. That there is
a count at all says that it is to be cleared, whatever the old result was.
"""

from __future__ import annotations

import msgspec

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.status import HistoryEntry
from pengine.facts.failures import FailCount
from pengine.facts.instances import Instance

_TELLING = frozenset(
    {
        ExitCode.OK,
        ExitCode.NOT_RUNNING,
        ExitCode.PROMOTED,
        ExitCode.DEGRADED,
        ExitCode.DEGRADED_PROMOTED,
    }
)
"""Results of probes that are as true as ever, however old."""


class Ageing(msgspec.Struct, frozen=True):
    """What decides about the age of results on one node."""

    now_s: float
    count: FailCount
    waits_for_fencing: bool = False
    """Set for a connection whose node has to be fenced before its failures are forgotten."""
    reconnects: bool = False
    """Set for a connection that is to be tried again after a while."""


class Age(msgspec.Struct, frozen=True):
    """Whether a result is too old, and why the fail count is to be cleared, "" if it is not."""

    is_old: bool = False
    clear_because: str = ""


def age(entry: HistoryEntry, instance: Instance, ageing: Ageing) -> Age:
    """Say whether a result is too old to matter."""
    timeout_s = instance.meta.failure_timeout_ms // 1000
    if timeout_s <= 0 or entry.last_change_s <= 0 or entry.status == OperationStatus.NOT_INSTALLED:
        return Age()
    if ageing.now_s < entry.last_change_s + timeout_s:
        return Age()
    if ageing.waits_for_fencing and entry.operation == "monitor" and entry.interval_ms > 0:
        return Age()
    clear_because = ""
    if ageing.count.total > 0:
        if ageing.count.effective > 0:
            return Age()  # Something failed again since.
        clear_because = "it expired"
    elif ageing.reconnects and is_last_failure(entry):
        clear_because = "reconnect interval is set"
    is_probe = entry.operation == "monitor" and entry.interval_ms == 0
    return Age(not (is_probe and entry.exit_code in _TELLING), clear_because)


def is_last_failure(entry: HistoryEntry) -> bool:
    """Tell whether this is the copy of a result that is kept because it was a failure."""
    return entry.id.endswith("_last_failure_0")
