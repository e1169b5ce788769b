"""How a run that never reached an exit code is read, whatever standard the agent follows."""

from __future__ import annotations

import errno
import os
import signal

from crm.model.outcomes import ExitCode, OperationStatus
from lrmd.commands import RunEnded
from lrmd.operations import AgentEnded


def refused(run: int, rc: ExitCode, status: OperationStatus, reason: str) -> AgentEnded:
    """End a run that is not worth starting."""
    return AgentEnded(run, rc, status, exit_reason=reason)


def not_installed(run: int, reason: str) -> AgentEnded:
    """End a run whose agent this node does not have."""
    return refused(run, ExitCode.NOT_INSTALLED, OperationStatus.NOT_INSTALLED, reason)


def ended(run: RunEnded, rc: int, reason: str = "") -> AgentEnded:
    """End a run that exited by itself, its code already in the words of OCF."""
    return AgentEnded(
        run.run,
        rc,
        output=run.output.decode(errors="replace"),
        errors=run.errors.decode(errors="replace"),
        exit_reason=reason,
    )


def broken(run: RunEnded, program: str) -> AgentEnded | None:
    """Read an end without an exit code; None if there is one."""
    if run.failure:
        return _not_started(run, program)
    if run.signal:
        name = signal.Signals(run.signal).name if run.signal < signal.SIGRTMIN else str(run.signal)
        return AgentEnded(
            run.run,
            ExitCode.ERROR,
            OperationStatus.ERROR,
            output=run.output.decode(errors="replace"),
            errors=run.errors.decode(errors="replace"),
            exit_reason=f"the agent was ended by signal {name}",
        )
    return None


def _not_started(run: RunEnded, program: str) -> AgentEnded:
    text = os.strerror(run.failure).lower()
    match run.failure:
        case errno.ENOENT:
            reason = f"{program} or the interpreter its first line names is missing"
            return not_installed(run.run, reason)
        case errno.EACCES | errno.ENOEXEC:
            return refused(
                run.run,
                ExitCode.INSUFFICIENT_PRIVILEGES,
                OperationStatus.ERROR,
                f"{program} cannot be executed: {text}",
            )
        case errno.EPIPE:
            reason = "the process that runs agents died under it"
        case _:
            reason = f"{program} could not be started: {text}"
    return refused(run.run, ExitCode.ERROR, OperationStatus.ERROR, reason)
