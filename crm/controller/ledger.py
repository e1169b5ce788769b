"""What the DC has to write into the status, in order and in batches.

Responsible for the queue of status changes and their replies; not for what is written.

Theory of operation. While the master's cib has not been put in order by a join, the ledger is
closed: it only collects. Open, it sends what it has as one change, and collects again until that
change is answered, so a burst of results costs few changes and nothing waits for a timer. Whoever
needs the cib to know everything written so far (the scheduler's query) forces the rest out first:
the bus is first in, first out, and the master applies status changes as they come.

A refused change is reported to the owner, which joins everybody anew; what it held is rewritten
from what the executors remember.
"""

from __future__ import annotations

from crm.api import cib
from crm.controller.outbox import Outbox

MAX_BATCH = 500
"""So many operations go into one change."""


class Ledger:
    """The queue of status changes of one reign."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._queue: list[cib.Operation] = []
        self._outstanding: dict[int, None] = {}
        self.is_open = False

    @property
    def is_settled(self) -> bool:
        """Tell whether everything is written and answered."""
        return not self._queue and not self._outstanding

    def close(self) -> None:
        """Forget everything, and send nothing until opened."""
        self.is_open = False
        self._queue = []
        self._outstanding = {}

    def add(self, *operations: cib.Operation) -> None:
        """Queue changes; neighbouring records become one operation."""
        for operation in operations:
            last = self._queue[-1] if self._queue else None
            if isinstance(operation, cib.RecordOperations) and isinstance(
                last, cib.RecordOperations
            ):
                self._queue[-1] = cib.RecordOperations(last.records + operation.records)
            else:
                self._queue.append(operation)

    def flush(self, *, at_once: bool) -> None:
        """Send what is queued; with `at_once` even while a change is unanswered."""
        if not self.is_open or not self._queue or (self._outstanding and not at_once):
            return
        while self._queue:
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            request = self._outbox.next_request()
            self._outstanding[request] = None
            origin = cib.Origin(client="crmd", node=self._outbox.node)
            self._outbox.tell(cib.SERVICE, cib.Change(request, tuple(batch), origin))

    def replied(self, reply: cib.ChangeReply) -> bool | None:
        """Take in an answer: True for a change that was made, None for one that is not ours."""
        if reply.request not in self._outstanding:
            return None
        del self._outstanding[reply.request]
        return reply.outcome is cib.Outcome.OK
