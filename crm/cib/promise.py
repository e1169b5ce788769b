"""The promise to follow no master of an earlier reign, and how durable it is.

Responsible for one write at a time: on a slow disk only the last promise counts. Not responsible
for what is promised, nor for who is told of it (`replica`).
"""

from __future__ import annotations

from crm.cib.disk import BROKEN_AFTER, KeepPromise, Persisted
from crm.cib.outbox import Outbox
from crm.model.version import Reign

RETRY_S = 5.0


class Promise:
    """What this node has promised (`made`); `problem` says why that is not on its disk."""

    def __init__(self, made: Reign, outbox: Outbox) -> None:
        self.made = made
        self.problem = ""
        self.is_broken = False
        self._outbox = outbox
        self._kept = made
        self._ticket = -1
        self._under_way: Reign | None = None
        self._retry_at: float | None = None
        self._broken_writes = 0

    @property
    def is_kept(self) -> bool:
        """Tell whether what is promised is on the disk."""
        return self._kept >= self.made

    @property
    def is_to_be_tried_again(self) -> bool:
        """Tell whether a write failed and the next one has its time."""
        return self._retry_at is not None

    def keep(self) -> None:
        """Have it written."""
        if self._under_way is not None:
            return
        self._ticket += 2  # odd numbers: the disk's writes have the even ones
        self._under_way = self.made
        self._retry_at = None
        self._outbox.add(KeepPromise(self._ticket, self.made))

    def tick(self, now: float) -> None:
        """Try again when it is time."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self.keep()

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        return self._retry_at

    def finished(self, event: Persisted, now: float) -> bool:
        """Take in how a write ended; False if it was not the last one asked for."""
        if event.ticket != self._ticket or self._under_way is None:
            return False
        written, self._under_way = self._under_way, None
        if not event.ok:
            self._outbox.error(f"The promise to {written} could not be kept: {event.reason}")
            self._retry_at = now + RETRY_S
            self.problem = event.reason
            self._broken_writes = self._broken_writes + 1 if event.is_broken else 0
            self.is_broken = self._broken_writes >= BROKEN_AFTER
            return True
        self.problem = ""
        self.is_broken = False
        self._broken_writes = 0
        self._kept = written
        if written < self.made:
            self.keep()
        return True
