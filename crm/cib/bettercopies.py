"""The copies of members that are better than ours, asked for one at a time.

Responsible for asking and for reading what comes, in slices. Not responsible for which copy is
better, nor for taking it over (`mastery`).

Source: docs/protocol/cib.md, "Between nodes"; decision 0027.
"""

from __future__ import annotations

from crm.cib import wire
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import Outbox
from crm.cib.snapshots import Reading
from crm.model.version import Reign

FETCH_S = 5.0


class BetterCopies:
    """Whose copies must be taken over; `awaited` is who was asked for his ("" = nobody)."""

    def __init__(self, reign: Reign, copy: LocalCopy, outbox: Outbox, slice_bytes: int) -> None:
        self.awaited = ""
        self._reign = reign
        self._copy = copy
        self._outbox = outbox
        self._slice_bytes = slice_bytes
        self._waiting: dict[str, None] = {}
        self._awaited_until = 0.0
        self._reading: Reading | None = None

    def __bool__(self) -> bool:
        """Tell whether there are any, or one is on its way."""
        return bool(self._waiting or self.awaited)

    @property
    def is_one_known(self) -> bool:
        """Tell whether somebody is known to have a better one."""
        return bool(self._waiting)

    def add(self, node: str) -> None:
        """Note whose copy is better."""
        self._waiting[node] = None

    def drop(self, node: str) -> None:
        """Note that a copy is not better, after all."""
        self._waiting.pop(node, None)

    def forget(self, node: str) -> None:
        """Forget the life of a cib that has ended."""
        self.drop(node)
        if self.awaited == node:
            self.awaited = ""

    def clear(self) -> None:
        """Note that what was better than the last copy need not be better than this one."""
        self._waiting.clear()

    def ask(self, now: float) -> None:
        """Ask the next member for its copy, unless one is asked already."""
        if not self.awaited and self._waiting:
            self.awaited = next(iter(self._waiting))
            self._awaited_until = now + FETCH_S
            self._outbox.to_node(self.awaited, wire.Give(self._reign, self._copy.standing()))

    def given(self, node: str, message: wire.Snapshot, now: float) -> None:
        """Begin to read what was asked for."""
        if node == self.awaited and message.reign == self._reign:
            self._awaited_until = now + FETCH_S
            self._reading = Reading(message, self._copy.document)

    def read_on(self) -> Reading | None:
        """Read a slice; gives the copy when it is read, and then nobody is awaited any more.

        Raises: RemoteProtocolError or ConfigurationError if it cannot be read; its giver is to be
        forgotten then.
        """
        reading = self._reading
        if reading is None or not self.awaited:
            self._reading = None
            return None
        if not reading.advance(self._slice_bytes):
            return None
        self._reading = None
        self.awaited = ""
        return reading

    def overdue(self, now: float) -> str:
        """Name who was asked and has not given his copy in time; "" if nobody."""
        return self.awaited if self.awaited and now >= self._awaited_until else ""

    def deadlines(self) -> list[float]:
        """Say when something is to be done."""
        is_at_work = self._reading is not None or (self._waiting and not self.awaited)
        due = [0.0] if is_at_work else []
        return [*due, self._awaited_until] if self.awaited else due
