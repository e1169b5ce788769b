"""The shell of lrmd: the core on the bus, the warm runner below it, and its news of addresses.

It decides nothing. On SIGTERM, and when its parent dies, it ends and leaves the resources as they
are; agents at work are ended by the warm runner, which sees the line break.
"""

from __future__ import annotations

import os
import time
import uuid

from crm.api.lrm import FROM_LRMD, SERVICE, TO_LRMD
from crm.plumbing import log
from crm.plumbing.daemon import Conversation, Options, Plan, Shell, parse_options, run
from lrmd import execution
from lrmd.catalog import Location
from lrmd.commands import RunEnded
from lrmd.operations import (
    AgentEnded,
    AgentStarted,
    KillAgent,
    Operations,
    StartAgent,
    WatchTripped,
)
from lrmd.surroundings import Surroundings
from lrmd.warmclient import WarmClient
from lrmd.watch import AddressWatch

AGENTS_PER_CORE = 2
LEAST_AT_ONCE = 4
AT_ONCE_OPTION = "--at-once="


class Executor:
    """Carries out what the core wants, through the warm runner."""

    def __init__(self, options: Options) -> None:
        self._surroundings = Surroundings(options.root, options.node)
        self._shell: Shell | None = None
        self._runner: WarmClient | None = None
        self._watch: AddressWatch | None = None
        self._running: dict[int, tuple[StartAgent, Location]] = {}

    def started(self, shell: Shell) -> None:
        """Start the warm runner and the watch, inside the running loop."""
        self._shell = shell
        self._watch = AddressWatch(self._tripped)
        self._runner = WarmClient(shell.loop, self._begun, self._ended, self._watch.gone, log.note)

    def carry_out(self, effect: StartAgent | KillAgent) -> None:
        """Start or end an agent."""
        assert self._runner is not None, "the loop runs before any effect"
        match effect:
            case StartAgent():
                self._start(effect)
            case KillAgent(number):
                self._runner.kill(number)

    def _start(self, start: StartAgent) -> None:
        assert self._shell is not None, "the loop runs before any effect"
        assert self._runner is not None, "the loop runs before any effect"
        assert self._watch is not None, "the loop runs before any effect"
        planned = execution.plan(start, self._surroundings)
        if isinstance(planned, AgentEnded):
            self._shell.receive_soon(planned)
            return
        location, command = planned
        self._running[start.run] = (start, location)
        self._watch.follow(start)
        self._runner.run(start.run, command)

    def _begun(self, run: int) -> None:
        assert self._shell is not None, "the loop runs before any run"
        self._shell.receive(AgentStarted(run))

    def _ended(self, ended: RunEnded) -> None:
        assert self._shell is not None, "the loop runs before any run"
        start, location = self._running.pop(ended.run)
        self._shell.receive(execution.verdict(start, location, ended))

    def _tripped(self, resource: str, what: str) -> None:
        assert self._shell is not None, "the loop runs before any news"
        self._shell.receive(WatchTripped(resource, what))


def agents_at_once(options: Options) -> int:
    """Say how many agents may run at the same time (`--at-once=N`, else by the cores)."""
    for word in options.extra:
        number = word.removeprefix(AT_ONCE_OPTION)
        if number != word and number.isdecimal() and int(number) > 0:
            return int(number)
    return max(LEAST_AT_ONCE, AGENTS_PER_CORE * (os.cpu_count() or 1))


def main(argv: list[str] | None = None) -> int:
    """Run lrmd until it is told to end."""
    options = parse_options(SERVICE, argv)
    executor = Executor(options)
    machine = Operations(
        incarnation=uuid.uuid4().hex, wall=time.time, at_once=agents_at_once(options)
    )
    plan = Plan(
        SERVICE,
        machine,
        serves=Conversation(TO_LRMD, FROM_LRMD),
        carry_out=executor.carry_out,
        started=executor.started,
    )
    return run(plan, options)
