"""Letting go: when a node stops what runs on it without being told to by a DC.

Responsible for the decision and its moment; `Executor` stops, `unmanaged` knows what is to stay.

Theory of operation. A node is to let go when it was thrown out of the membership, or when it has
lost quorum and no DC says within the *patience* that it sees to it (a member can lose quorum
alone, while its DC still counts it in; then nobody orders a stop). It first asks its own cib what
must be left alone. A cib that is not there or does not answer within `ASKING_LIMIT_S` is not
waited for: the others start elsewhere soon what runs here. Quorum, or a new DC, ends it all.

Source: docs/protocol/membership.md, "The quorum lease".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from crm.api import cib
from crm.controller.executor import Executor
from crm.controller.outbox import Outbox
from crm.controller.unmanaged import unmanaged
from crm.plumbing.machine import warn

MAX_PATIENCE_S = 0.25
"""So long, and at most a part of its margin, a member without quorum waits for a DC to act."""

MARGIN_PARTS = 4
"""One part of the margin may be waited for a DC; the others are for stopping."""

ASKING_LIMIT_S = 0.1
"""So long the cib may take to say what is to be left alone."""


class Release:
    """One node's way of letting go."""

    def __init__(self, outbox: Outbox, executor: Executor, wall: Callable[[], float]) -> None:
        self.patience_s = MAX_PATIENCE_S
        self._outbox = outbox
        self._executor = executor
        self._wall = wall
        self._due: float | None = None
        self._query = 0
        self._answer_due: float | None = None

    def allow(self, margin_s: float) -> None:
        """Take in how long a node without quorum has, before others may go on without it.

        Where the cluster layer promises nothing (zero), haste would gain nothing that is certain.
        """
        if margin_s > 0:
            self.patience_s = min(MAX_PATIENCE_S, margin_s / MARGIN_PARTS)

    def expect(self, now: float) -> None:
        """Begin to wait for a DC that sees to the loss of quorum."""
        self._due = now + self.patience_s

    def leave_to_the_dc(self) -> None:
        """Wait no longer: a DC sees to it."""
        self._due = None

    def call_off(self) -> None:
        """Let go of nothing more: the reason is over, or somebody else decides again."""
        self._due = self._answer_due = None
        self._query = 0

    def begin(self, now: float) -> None:
        """Let go of everything, but ask first what must stay."""
        self._due = None
        if self._query:
            return
        if cib.SERVICE not in self._outbox.connected:
            self._executor.release(frozenset())
            return
        self._query = self._outbox.next_request()
        self._answer_due = now + ASKING_LIMIT_S
        self._outbox.tell(cib.SERVICE, cib.Query(self._query))

    def query_replied(self, reply: cib.QueryReply) -> bool:
        """Take in the CIB; False if it was not asked for here."""
        if not self._query or reply.request != self._query:
            return False
        self.call_off()
        today = datetime.fromtimestamp(self._wall(), UTC)
        kept = unmanaged(reply.xml, self._outbox.node, today) if reply.xml else frozenset()
        self._executor.release(kept)
        return True

    def tick(self, now: float) -> None:
        """Let go when the time has come."""
        if self._answer_due is not None and self._answer_due <= now:
            self.call_off()
            text = "crmd: the cib does not say what is unmanaged: letting go of everything"
            self._outbox.note(warn("crmd", text))
            self._executor.release(frozenset())
        if self._due is not None and self._due <= now:
            text = "crmd_ccm_msg_callback: no quorum, and no DC that sees to it: letting go"
            self._outbox.note(warn("crmd", text))
            self.begin(now)

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        times = [time for time in (self._due, self._answer_due) if time is not None]
        return min(times, default=None)
