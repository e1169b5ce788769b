"""Init scripts (class lsb) and Heartbeat's resource scripts (class heartbeat).

An lsb script gets the action alone, and its status is its exit code. A resource script gets its
arguments *before* the action, and its status is judged by what it prints, as Heartbeat did: the
exit code of status means nothing there.

Source: Linux Standard Base, "Init Script Actions"; docs/protocol/lrm.md, "Classes".
"""

from __future__ import annotations

from pathlib import Path

from crm.model.outcomes import ExitCode
from lrmd.commands import Command, RunEnded
from lrmd.operations import StartAgent
from lrmd.surroundings import Surroundings

STATUS_CODES = {
    0: ExitCode.OK,
    1: ExitCode.NOT_RUNNING,  # dead, and a pid file is left
    2: ExitCode.NOT_RUNNING,  # dead, and a lock file is left
    3: ExitCode.NOT_RUNNING,
    150: ExitCode.NOT_INSTALLED,
    151: ExitCode.INSUFFICIENT_PRIVILEGES,
}
"""What `status` of an init script means; any other code: unknown, hence a failure."""

SUPPORTED = {"start": "start", "stop": "stop", "monitor": "status", "status": "status"}
"""The actions these standards have, by the names the cluster uses."""

_LAST_COMMON_CODE = ExitCode.NOT_RUNNING
"""Up to here LSB and OCF number the failures of start and stop alike."""


def lsb_command(start: StartAgent, program: Path, surroundings: Surroundings) -> Command:
    """Call an init script."""
    return Command((str(program), SUPPORTED[start.operation]), surroundings.environment())


def lsb_code(start: StartAgent, ended: RunEnded) -> int:
    """Read the exit code of an init script."""
    if SUPPORTED[start.operation] == "status":
        return STATUS_CODES.get(ended.exit_code, ExitCode.ERROR)
    if start.operation == "stop" and ended.exit_code == ExitCode.NOT_RUNNING:
        return ExitCode.OK
    return ended.exit_code if ended.exit_code <= _LAST_COMMON_CODE else ExitCode.ERROR


def heartbeat_command(start: StartAgent, program: Path, surroundings: Surroundings) -> Command:
    """Call a resource script: the parameters named 1, 2, … come before the action."""
    numbered = sorted(
        (int(name), value) for name, value in start.parameters.items() if name.isdecimal()
    )
    arguments = [value for _, value in numbered]
    return Command(
        (str(program), *arguments, SUPPORTED[start.operation]), surroundings.environment()
    )


def heartbeat_code(start: StartAgent, ended: RunEnded) -> int:
    """Read a resource script's status from its text, everything else from its exit code."""
    if SUPPORTED[start.operation] != "status":
        return ExitCode.OK if ended.exit_code == 0 else ExitCode.ERROR
    text = (ended.output + ended.errors).decode(errors="replace")
    if "not running" in text.lower():
        return ExitCode.NOT_RUNNING
    is_owned = "running" in text.lower() or "OK" in text
    return ExitCode.OK if is_owned else ExitCode.NOT_RUNNING
