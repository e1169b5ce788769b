"""Drivers for tests of lrmd: the core under virtual time, and agents run as from a shell."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crm.api.lrm import Execute, OperationFinished, ResourceAgent
from crm.model.outcomes import OperationStatus
from crm.model.version import Reign
from crm.plumbing.machine import MessageArrived, Tell
from lrmd.agentkit import agent
from lrmd.agentkit.agent import Agent
from lrmd.operations import AgentEnded, AgentStarted, Effect, KillAgent, Operations, StartAgent

DUMMY = ResourceAgent("ocf", "Dummy", "pacekeeper")
WALL_AT_ZERO = 1_700_000_000.0


def order(call_id: int, resource: str, operation: str, **more: Any) -> Execute:
    """Make an order with a key of its own."""
    fields: dict[str, Any] = {"agent": DUMMY, "key": f"{call_id}:key"} | more
    return Execute(call_id=call_id, resource=resource, operation=operation, **fields)


@dataclass
class Desk:
    """An `Operations` under virtual time, with the effects sorted."""

    at_once: int = 8
    begins_at_once: bool = True
    """Whether agents begin when they are ordered; else `begin` says when."""

    now: float = 100.0
    operations: Operations = field(init=False)
    started: list[StartAgent] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    answers: list[OperationFinished] = field(default_factory=list)
    told: list[Tell] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.operations = Operations(
            incarnation="life-1",
            wall=lambda: WALL_AT_ZERO + self.now,
            at_once=self.at_once,
        )

    def take(self, effects: list[Effect]) -> None:
        """Sort effects into the lists above."""
        for effect in effects:
            match effect:
                case StartAgent():
                    self.started.append(effect)
                    if self.begins_at_once:
                        self.begin(effect.run)
                case KillAgent(run):
                    self.killed.append(run)
                case Tell(_, message):
                    self.told.append(effect)
                    if isinstance(message, OperationFinished):
                        self.answers.append(message)
                case _:
                    self.log.append(getattr(effect, "text", repr(effect)))

    def receive(self, event: Any) -> None:
        """Hand in an event now."""
        self.take(self.operations.receive(event, self.now))

    def say(self, message: Any, peer: str = "crmd") -> None:
        """Hand in a message now."""
        self.receive(MessageArrived(peer, message))

    def ask(self, call_id: int, resource: str, operation: str, **more: Any) -> Execute:
        """Order an operation now."""
        asked = order(call_id, resource, operation, **more)
        self.say(asked)
        return asked

    def begin(self, run: int) -> None:
        """Say that a run has begun."""
        self.receive(AgentStarted(run))

    def end(self, run: int, rc: int = 0, **more: Any) -> None:
        """End a run now."""
        self.receive(AgentEnded(run, rc, **more))

    def run_until(self, now: float) -> None:
        """Let time pass, with a tick exactly at each deadline."""
        while True:
            deadline = self.operations.next_deadline()
            if deadline is None or deadline > now:
                break
            self.now = max(self.now, deadline)
            self.take(self.operations.tick(self.now))
        self.now = now

    def running(self) -> list[str]:
        """Name what was started, as `resource:operation`."""
        return [f"{start.resource}:{start.operation}" for start in self.started]


@dataclass(frozen=True)
class Said:
    """What an agent's action ended with."""

    code: int
    out: str
    errors: str

    @property
    def reason(self) -> str:
        """The exit reason, or ""."""
        marker = "ocf-exit-reason:"
        found = [line for line in self.errors.splitlines() if line.startswith(marker)]
        return found[-1].removeprefix(marker) if found else ""


def act(
    kind: type[Agent], action: str, state_dir: Path, parameters: Mapping[str, str] | None = None
) -> Said:
    """Run one action of one of our agents in this process."""
    environ = {
        "HA_RSCTMP": str(state_dir),
        "HA_CURHOST": "litsha21",
        "OCF_RESOURCE_INSTANCE": "probe-me",
    }
    for name, value in (parameters or {}).items():
        environ[f"OCF_RESKEY_{name}"] = value
    out, errors = io.StringIO(), io.StringIO()
    code = agent.run(kind, action, environ=environ, out=out, errors=errors)
    return Said(code, out.getvalue(), errors.getvalue())


def reign(number: int, dc: str = "litsha21") -> Reign:
    """Make a reign."""
    return Reign(number, dc)


def status_of(answer: OperationFinished) -> OperationStatus:
    """Read an answer's status as an enum."""
    return OperationStatus(answer.status)
