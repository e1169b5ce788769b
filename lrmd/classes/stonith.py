"""Fencing devices are not run here: the fencer reads them from the CIB and runs them itself.

What lrmd answers keeps the cluster calm: such a device is never found running, stopping it
succeeds, and starting it is refused with a reason.
"""

from __future__ import annotations

from crm.model.outcomes import ExitCode, OperationStatus
from lrmd.operations import AgentEnded, StartAgent


def answer(start: StartAgent) -> AgentEnded:
    """Answer an operation on a fencing device without running anything."""
    match start.operation:
        case "stop":
            return AgentEnded(start.run, ExitCode.OK)
        case "monitor" if start.interval_ms == 0:
            return AgentEnded(start.run, ExitCode.NOT_RUNNING)
        case _:
            return AgentEnded(
                start.run,
                ExitCode.UNIMPLEMENTED,
                OperationStatus.NOT_SUPPORTED,
                exit_reason="a fencing device is run by stonithd, not by lrmd",
            )
