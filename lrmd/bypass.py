"""Runs one action of an agent here and now, past the cluster: what a person asks for by hand.

Responsible for waiting for the end of that one run, and for a limit on it. The agent is found and
called, and its end is read, exactly as by lrmd: the same code does it.
Not responsible for whether it is wise: nobody learns of it, and the cluster may undo it.

Source: docs/decisions/0064.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crm.api.lrm import ResourceAgent
from crm.model.outcomes import ExitCode, OperationStatus
from lrmd import execution, spawn
from lrmd.commands import RunEnded
from lrmd.operations import AgentEnded, StartAgent
from lrmd.surroundings import Surroundings
from lrmd.warm import run_built_in

_RUN = 1


@dataclass(frozen=True)
class Action:
    """What to run. Units: the timeout in milliseconds."""

    resource: str
    agent: ResourceAgent
    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 20_000


def run(root: Path, node: str, action: Action) -> AgentEnded:
    """Run an action to its end, or kill it when its time is over."""
    start = StartAgent(
        run=_RUN,
        resource=action.resource,
        agent=action.agent,
        operation=action.name,
        parameters=action.parameters,
        meta=action.meta,
        interval_ms=0,
        timeout_ms=action.timeout_ms,
    )
    planned = execution.plan(start, Surroundings(root, node))
    if isinstance(planned, AgentEnded):
        return planned
    location, command = planned
    with select.epoll() as epoll:
        children = spawn.Children(epoll, run_built_in)
        pid = children.start(_RUN, command)
        if not isinstance(pid, int):
            return execution.verdict(start, location, pid)
        ended, was_late = _wait(epoll, children, time.monotonic() + action.timeout_ms / 1000)
    if was_late:
        reason = f"{action.name} did not end within {action.timeout_ms} ms and was killed"
        return AgentEnded(_RUN, ExitCode.ERROR, OperationStatus.TIMEOUT, exit_reason=reason)
    return execution.verdict(start, location, ended)


def _wait(epoll: select.epoll, children: spawn.Children, deadline: float) -> tuple[RunEnded, bool]:
    """Wait for the end of the run; tell whether it had to be killed for that."""
    was_late = False
    try:
        while True:
            now = time.monotonic()
            if now >= deadline and not was_late:
                was_late = True
                children.kill(_RUN, now)
            children.enforce(now)
            until = children.next_deadline() if was_late else deadline
            for fd, _events in epoll.poll(None if until is None else max(0.0, until - now)):
                ended = children.ready(fd)
                if ended is not None:
                    return ended, was_late
    except BaseException:
        children.kill_all()  # whoever waits was interrupted: the agent goes as well
        raise
