"""The only code that joins asyncio and machines.

Hands events to a machine together with the time, has its effects carried out in list order, and
wakes it at its deadline. An event that is raised while effects are carried out waits its turn. A
machine that raises has a bug: the runner reports it once and never calls it again, because a
broken core must not lead a cluster.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from crm.plumbing.blackbox import BlackBox
from crm.plumbing.machine import Machine

MAX_WAITING_EVENTS = 100_000
"""More events than this cannot wait for a machine: something feeds itself."""

SHORTEST_NAP_S = 0.001
"""The least time between two ticks, so that a deadline in the past cannot starve the loop."""

Trace = Callable[[str, object], None]


class Runner:
    """Drives one machine inside the running event loop.

    `carry_out` gets one effect at a time; `crashed` gets the exception of a broken machine (or
    of `carry_out`); `trace`, when given, sees every event and effect, for the debug log.
    """

    def __init__(
        self,
        machine: Machine[Any, Any],  # Any: a runner drives machines of every kind
        carry_out: Callable[[Any], None],
        crashed: Callable[[BaseException], None],
        *,
        blackbox: BlackBox,
        loop: asyncio.AbstractEventLoop,
        trace: Trace | None = None,
    ) -> None:
        self._machine = machine
        self._carry_out = carry_out
        self._crashed = crashed
        self._blackbox = blackbox
        self._loop = loop
        self._trace = trace
        self._events: deque[object] = deque()
        self._working = False
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def receive(self, event: object) -> None:
        """Hand an event over; inside `carry_out` it waits until the effects are all out."""
        if self._stopped:
            return
        assert len(self._events) < MAX_WAITING_EVENTS, "events arrive faster than they are handled"
        self._events.append(event)
        if not self._working:
            self._work(None)

    def stop(self) -> None:
        """Never call the machine again."""
        self._stopped = True
        self._events.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self, due: float | None) -> None:
        """Tick the machine if it is due, then hand over every waiting event."""
        self._working = True
        try:
            if due is not None:
                self._blackbox.remember(due, "@", None)
                self._carry(self._machine.tick(due), due)
            while self._events and not self._stopped:
                now = self._loop.time()
                event = self._events.popleft()
                self._blackbox.remember(now, ">", event)
                if self._trace is not None:
                    self._trace(">", event)
                self._carry(self._machine.receive(event, now), now)
            if not self._stopped:
                self._set_timer(SHORTEST_NAP_S if due is not None else 0.0)
        except Exception as problem:  # noqa: BLE001 — house style section 10: the runner may
            self.stop()
            self._crashed(problem)
        finally:
            self._working = False

    def _carry(self, effects: list[object], now: float) -> None:
        for effect in effects:
            self._blackbox.remember(now, "<", effect)
            if self._trace is not None:
                self._trace("<", effect)
            self._carry_out(effect)
            if self._stopped:
                return

    def _set_timer(self, nap_s: float) -> None:
        """Be woken at the deadline.

        One that has moved on, as most do with every event, is left a timer that comes too early:
        it is set anew then, once, instead of with every event.
        """
        self._due = self._machine.next_deadline()
        # A deadline of the past is served at once, but not twice in the same moment.
        wake_at = None if self._due is None else max(self._due, self._loop.time() + nap_s)
        if self._timer is not None:
            # What has passed by now must be kept: events in every turn would put it off for ever.
            if wake_at is not None and self._timer.when() <= wake_at:
                return
            self._timer.cancel()
            self._timer = None
        if wake_at is not None:
            self._timer = self._loop.call_at(wake_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._stopped or self._due is None:
            return
        now = self._loop.time()
        if now < self._due:
            self._timer = self._loop.call_at(self._due, self._on_timer)
        else:
            self._work(now)
