"""The way out: how a crmd that was asked to stop gets leave to do so.

Responsible for the request to the DC and for its limit; not for the end itself (`core`).

Theory of operation. An orderly stop is a request to the DC, which moves everything off this node
and then orders the end. The request is repeated to every new DC that this node joins. After
`shutdown-escalation` the crmd ends without leave.
"""

from __future__ import annotations

from crm.api.peers import ShutdownRequest
from crm.controller.join import Candidate, Step
from crm.controller.outbox import Outbox


class Departure:
    """One crmd's wish to stop, if it has one."""

    def __init__(self, outbox: Outbox, candidate: Candidate) -> None:
        self.deadline: float | None = None
        self._outbox = outbox
        self._candidate = candidate
        self._asked = ""

    @property
    def is_wanted(self) -> bool:
        """Tell whether this crmd was asked to stop."""
        return self.deadline is not None

    def begin(self, now: float, escalation_s: float) -> None:
        """Take in that this crmd is to stop, at the latest after the escalation time."""
        self.deadline = now + escalation_s

    def forget_dc(self) -> None:
        """Ask again: the DC that was asked is none any more."""
        self._asked = ""

    def ask(self) -> None:
        """Ask the DC for leave to stop, once for each DC."""
        dc = self._candidate.dc
        if self.is_wanted and self._candidate.step is Step.JOINED and dc != self._asked:
            self._asked = dc
            self._outbox.send(dc, ShutdownRequest())

    def is_overdue(self, now: float) -> bool:
        """Tell whether nobody has given leave in time."""
        return self.deadline is not None and self.deadline <= now
