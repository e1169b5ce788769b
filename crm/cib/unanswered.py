"""The changes that were made and are not answered yet, in the order they were made.

Responsible for telling their askers how each of them ended. Not responsible for when that may be
(`mastery`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from crm.api import cib as api
from crm.cib.outbox import Answer, Asker, Outbox
from crm.cib.warrants import Pair
from crm.model.version import Reign, Version
from crm.plumbing import errors

UNWRITABLE = "the configuration cannot be written to every disk"
UNDURABLE_HINT = "free space or repair the disk; writing is tried again by itself"


@dataclass(frozen=True, slots=True)
class Pending:
    """One of them; `sequence` is the place that must be durable everywhere before it is answered.

    `reached` is the configuration that the answer tells of; `decides` the admin_epoch that must
    have been decided before (0: nobody else was asked), `written` the reign that must have stamped
    it (nobody's: any may have). Units: `until` in monotonic seconds.
    """

    sequence: int
    asker: Asker
    answer: Answer
    until: float
    forced: bool
    reached: Pair
    decides: int
    written: Reign


class Unanswered:
    """All of them; `version` gives the present version, which a refusal names."""

    def __init__(self, outbox: Outbox, version: Callable[[], Version]) -> None:
        self._outbox = outbox
        self._version = version
        self._pending: deque[Pending] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def first(self) -> Pending | None:
        """The one to be answered next."""
        return self._pending[0] if self._pending else None

    def add(self, pending: Pending) -> None:
        """Let one more wait."""
        self._pending.append(pending)

    def answer_first(self) -> None:
        """Tell the one that has waited longest that it is done."""
        pending = self._pending.popleft()
        self._outbox.answer(pending.asker, pending.answer)

    def give_up_first(self, reason: str) -> None:
        """Tell the one that has waited longest that nobody knows how its change ends."""
        first = self._pending[0]
        self.give_up(reason, lambda pending: pending is first)

    def postpone(self, sequence: int) -> None:
        """Let all that wait do so until a later place is durable."""
        self._pending = deque(replace(each, sequence=sequence) for each in self._pending)

    def give_up(self, reason: str, concerns: Callable[[Pending], bool] = lambda _: True) -> None:
        """Tell those that are concerned that nobody knows how their change ends."""
        message = f"whether the change stays is not known: {reason}"
        self._refuse(concerns, message, api.LOOK_HINT)

    def report_undurable(self, sequence: int, where: str) -> None:
        """Tell who waits that a disk refused: what was made stays, and is written if that works."""
        message = f"the change was made, but may be lost again: {UNWRITABLE}: {where}"
        self._refuse(lambda pending: pending.sequence <= sequence, message, UNDURABLE_HINT)

    def _refuse(self, concerns: Callable[[Pending], bool], message: str, hint: str) -> None:
        kept: deque[Pending] = deque()
        problem = errors.error("unknown-outcome", "cib", message, hint)
        for pending in self._pending:
            if concerns(pending):
                self._outbox.refuse(
                    pending.asker, api.Outcome.UNKNOWN_OUTCOME, self._version(), problem
                )
            else:
                kept.append(pending)
        self._pending = kept
