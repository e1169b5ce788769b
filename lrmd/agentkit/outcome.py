"""How an action of an agent ends: an exit code and, unless all is well, a reason.

The exit codes are those of the OCF resource agent API.
"""

from __future__ import annotations

from typing import NamedTuple

from crm.model.outcomes import ExitCode


class Outcome(NamedTuple):
    """The end of an action; `reason` is what an administrator reads when it is not OK."""

    code: ExitCode
    reason: str = ""


class ActionFailed(Exception):
    """An action cannot be done; carries its outcome through any depth of calls to `agent.run`."""

    def __init__(self, code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.outcome = Outcome(code, reason)


OK = Outcome(ExitCode.OK)
"""Done; or, for monitor, running."""


def not_running(reason: str = "") -> Outcome:
    """Say that the resource is cleanly stopped: no failure, hence usually no reason."""
    return Outcome(ExitCode.NOT_RUNNING, reason)


def failed(reason: str, code: ExitCode = ExitCode.ERROR) -> ActionFailed:
    """Make the exception for "this did not work", naming what an administrator can touch."""
    return ActionFailed(code, reason)


def misconfigured(reason: str) -> ActionFailed:
    """Make the exception for parameters that cannot work on any node."""
    return ActionFailed(ExitCode.NOT_CONFIGURED, reason)
