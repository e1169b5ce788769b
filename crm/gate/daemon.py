"""mgmtd: the shell around the gate's machine. It decides nothing.

Source: docs/protocol/gate.md.
"""

from __future__ import annotations

import os

from crm.api import gate
from crm.api.conversations import BY_SERVICE
from crm.gate.gate import SERVICES, Effect, Gate, HangUp, SendFrame
from crm.gate.sessions import Sessions
from crm.plumbing.daemon import Conversation, Plan, Shell, parse_options, run


class _Door:
    """Joins the machine's effects with the sessions, which exist once the loop runs."""

    def __init__(self) -> None:
        self._sessions: Sessions | None = None

    def open(self, shell: Shell) -> None:
        self._sessions = Sessions(shell.root / gate.SOCKET, shell.loop, shell.receive_soon)

    def carry_out(self, effect: Effect) -> None:
        assert self._sessions is not None, "effects come after the start"
        match effect:
            case SendFrame():
                self._sessions.send(effect.caller, effect.frame)
            case HangUp():
                self._sessions.hang_up(effect.caller)


def main(argv: list[str] | None = None) -> int:
    """Run mgmtd until it is told to stop."""
    options = parse_options(gate.SERVICE, argv)
    door = _Door()
    return run(
        Plan(
            name=gate.SERVICE,
            machine=Gate(options.node, pid=os.getpid()),
            dials={
                service: Conversation(BY_SERVICE[service].requests, BY_SERVICE[service].replies)
                for service in SERVICES
            },
            carry_out=door.carry_out,
            started=door.open,
        ),
        options,
    )
