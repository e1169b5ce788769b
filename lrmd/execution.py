"""From an order to run an agent to a command line, and from its raw end to an OCF result.

Responsible for choosing the class and for refusing what no class can do. Pure but for the look at
the file system that finds an agent.
"""

from __future__ import annotations

from crm.model.outcomes import ExitCode, OperationStatus
from crm.plumbing.errors import Problem
from lrmd import catalog
from lrmd.catalog import Location
from lrmd.classes import ends, lsb, ocf, stonith, systemd
from lrmd.commands import Command, RunEnded
from lrmd.operations import AgentEnded, StartAgent
from lrmd.surroundings import Surroundings

_NOT_INSTALLED = frozenset({"agent-missing"})


def plan(start: StartAgent, surroundings: Surroundings) -> tuple[Location, Command] | AgentEnded:
    """Find the agent and make its command line, or end the run before it starts."""
    if start.agent.agent_class == "stonith":
        return stonith.answer(start)
    location = catalog.locate(surroundings.root, start.agent)
    if isinstance(location, Problem):
        return _refuse(start, location)
    supported = {"lsb": lsb.SUPPORTED, "heartbeat": lsb.SUPPORTED, "systemd": systemd.SUPPORTED}
    if start.operation not in supported.get(location.standard, {start.operation: ""}):
        reason = f"agents of class {location.standard} have no action '{start.operation}'"
        return ends.refused(
            start.run, ExitCode.UNIMPLEMENTED, OperationStatus.NOT_SUPPORTED, reason
        )
    return location, _command(start, location, surroundings)


def verdict(start: StartAgent, location: Location, run: RunEnded) -> AgentEnded:
    """Read the end of a run by the rules of its class."""
    program = str(location.program or catalog.describe(start.agent))
    broken = ends.broken(run, program)
    if broken is not None:
        return broken
    match location.standard:
        case "lsb":
            return ends.ended(run, lsb.lsb_code(start, run))
        case "heartbeat":
            return ends.ended(run, lsb.heartbeat_code(start, run))
        case "systemd":
            return ends.ended(run, systemd.code(start, run), systemd.reason(start, run))
        case _:
            return ends.ended(run, run.exit_code)


def _command(start: StartAgent, location: Location, surroundings: Surroundings) -> Command:
    if location.program is None:
        return ocf.command(start, None, surroundings)
    match location.standard:
        case "lsb":
            return lsb.lsb_command(start, location.program, surroundings)
        case "heartbeat":
            return lsb.heartbeat_command(start, location.program, surroundings)
        case "systemd":
            return systemd.command(start, location.program, surroundings)
        case _:
            return ocf.command(start, location.program, surroundings)


def _refuse(start: StartAgent, problem: Problem) -> AgentEnded:
    reason = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
    if problem.code in _NOT_INSTALLED:
        return ends.not_installed(start.run, reason)
    code = (
        ExitCode.INSUFFICIENT_PRIVILEGES
        if problem.code == "agent-unsafe"
        else ExitCode.NOT_CONFIGURED
    )
    return ends.refused(start.run, code, OperationStatus.ERROR, reason)
