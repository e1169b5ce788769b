"""How this node ends: who is told, how long that is waited for, and with which exit code.

Responsible for the order of the end and for what it says of the watchdog. Not responsible for
stopping children (`children`), nor for telling the peers (`core`).

Theory of operation. The children stop first, then `Leaving` is said to all peers; when they have
acknowledged it, or after `LEAVE_LIMIT_S`, the process exits. Where resources may still run because
a child failed, and a watchdog is armed, nothing is said: it will reset this computer, and the
others wait for a deadtime as for any death.

Source: docs/protocol/links.md, "Children" and "Watchdog".
"""

from __future__ import annotations

from crm.plumbing.machine import Exit, Note, error, info
from messaging import watchdog

LEAVE_LIMIT_S = 1.0
EXIT_FAILED = 1
EXIT_STAY_DOWN = 150
"""Somebody has to do something first (mend the disk): a start by itself would only do harm."""


class Departure:
    """Where this node stands on its way out. `device` is the watchdog, "" where there is none."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._exit_code = 0
        self._holds_on = False
        self.is_begun = False
        """Whether the children are to stop, or have."""

        self.due: float | None = None
        """Until when the peers are told, once the children are gone."""

        self.has_ended = False

    def begin(self, exit_code: int = 0) -> bool:
        """Tells whether the end begins now: only the first reason for it counts."""
        if self.is_begun:
            return False
        self.is_begun, self._exit_code = True, exit_code
        return True

    def hold_on(self) -> None:
        """Take in that resources may run here when the children are gone."""
        self._holds_on = True

    def take_leave(self, now: float, device: str) -> list[Note]:
        """All children are gone: the peers are to be told, unless a line here says why not."""
        if self._holds_on and device:
            self.due = now
            return [error("heartbeat", f"{device} stays armed: it will reset this computer")]
        self.due = now + LEAVE_LIMIT_S
        return []

    def is_due(self, now: float) -> bool:
        """Whether it is not waited for any longer that the peers know."""
        return self.due is not None and now >= self.due

    def end(self, device: str) -> list[Note | watchdog.Disarm | Exit]:
        """Exit; the watchdog is disarmed, unless resources may still run here."""
        self.has_ended = True
        text = f"{self._node} Heartbeat shutdown complete."
        disarmed = [watchdog.Disarm()] if device and not self._holds_on else []
        return [info("heartbeat", text), *disarmed, Exit(self._exit_code)]
