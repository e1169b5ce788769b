"""The line of orders of one resource: what waits, what is repeated, what came of it.

Responsible for which order of *this* resource is the next one. Not responsible for how many agents
run at once, for time passing, or for telling anybody: that is `operations`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from crm.api.lrm import Execute, OperationFinished
from crm.model.names import operation_key

MAX_WAITING = 100
"""No resource has more orders waiting; a cluster that works sends two or three."""


@dataclass(slots=True)
class Order:
    """An order on its way to its result.

    Units: `ready_at` in monotonic seconds; the order may not start before it.
    """

    execute: Execute
    asker: str
    ready_at: float

    @property
    def slot(self) -> tuple[str, int]:
        """The operation and its interval: a resource has one result for each."""
        return self.execute.operation, self.execute.interval_ms

    @property
    def name(self) -> str:
        """The order's key, or what it is about if it came without one."""
        execute = self.execute
        return execute.key or operation_key(
            execute.resource, execute.operation, execute.interval_ms
        )

    @property
    def is_recurring(self) -> bool:
        """Whether the order is repeated until it is cancelled."""
        return self.execute.interval_ms > 0


@dataclass(slots=True)
class Recurrence:
    """A recurring operation that has run at least once, or is running for the first time.

    Units: `due_at` in monotonic seconds; None while it runs.
    """

    order: Order
    due_at: float | None = None
    last: OperationFinished | None = None


@dataclass(slots=True)
class Line:
    """Everything remembered of one resource."""

    resource: str
    waiting: deque[Order] = field(default_factory=deque)
    recurring: dict[tuple[str, int], Recurrence] = field(default_factory=dict)
    results: dict[tuple[str, int], OperationFinished] = field(default_factory=dict)
    running: int | None = None

    def take(self, now: float) -> Order | None:
        """Take the next order that may start: waiting ones in their order, then the repeated.

        An order with a start delay does not hold up those behind it.
        """
        for order in self.waiting:
            if order.ready_at <= now:
                self.waiting.remove(order)
                return order
        due = self._due(now)
        if due is None:
            return None
        due.due_at = None
        return due.order

    def has_ready_order(self, now: float) -> bool:
        """Tell whether an order (not merely a repetition) may start now."""
        return any(order.ready_at <= now for order in self.waiting)

    def has_due_repetition(self, now: float) -> bool:
        """Tell whether a repetition may start now."""
        return self._due(now) is not None

    def withdraw_recurring_orders(self) -> list[Order]:
        """Take out the waiting recurring orders: what is about to stop needs no watching."""
        withdrawn = [order for order in self.waiting if order.is_recurring]
        self.waiting = deque(order for order in self.waiting if not order.is_recurring)
        return withdrawn

    def withdraw(self, slot: tuple[str, int]) -> list[Order]:
        """Take out the waiting orders of one operation and interval."""
        withdrawn = [order for order in self.waiting if order.slot == slot]
        self.waiting = deque(order for order in self.waiting if order.slot != slot)
        return withdrawn

    def is_empty(self) -> bool:
        """Tell whether nothing at all is remembered."""
        return not (self.waiting or self.recurring or self.results or self.running is not None)

    def _due(self, now: float) -> Recurrence | None:
        due = [
            (recurrence.due_at, recurrence)
            for recurrence in self.recurring.values()
            if recurrence.due_at is not None and recurrence.due_at <= now
        ]
        return min(due, key=lambda pair: pair[0])[1] if due else None
