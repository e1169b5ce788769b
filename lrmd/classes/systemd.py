"""Units of systemd, through `systemctl`: start and stop wait for the job, monitor asks."""

from __future__ import annotations

from pathlib import Path

from crm.model.outcomes import ExitCode
from lrmd.commands import Command, RunEnded
from lrmd.operations import StartAgent
from lrmd.surroundings import Surroundings

SUPPORTED = {"start": "start", "stop": "stop", "monitor": "is-active", "status": "is-active"}

_STATES = {
    "active": ExitCode.OK,
    "reloading": ExitCode.OK,
    "activating": ExitCode.ERROR,
    "deactivating": ExitCode.ERROR,
}
"""What `is-active` prints; anything else (inactive, failed, unknown): not running."""


def command(start: StartAgent, program: Path, surroundings: Surroundings) -> Command:
    """Call systemctl for the unit the type names."""
    unit = start.agent.type if "." in start.agent.type else f"{start.agent.type}.service"
    return Command((str(program), SUPPORTED[start.operation], unit), surroundings.environment())


def code(start: StartAgent, ended: RunEnded) -> int:
    """Read what systemctl answered."""
    if SUPPORTED[start.operation] == "is-active":
        state = ended.output.decode(errors="replace").strip()
        return _STATES.get(state, ExitCode.NOT_RUNNING)
    return ended.exit_code if ended.exit_code <= ExitCode.NOT_CONFIGURED else ExitCode.ERROR


def reason(start: StartAgent, ended: RunEnded) -> str:
    """Say in which state a unit is that neither runs nor is stopped."""
    state = ended.output.decode(errors="replace").strip()
    if SUPPORTED[start.operation] == "is-active" and _STATES.get(state) is ExitCode.ERROR:
        return f"unit {start.agent.type} is {state}"
    return ""
