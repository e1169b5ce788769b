"""The two clocks a shell may read; a core is given their values.

Monotonic seconds order what happens inside one process and drive every timer. They go on while the
machine sleeps (CLOCK_BOOTTIME): the rest of the cluster goes on as well, so a machine that was
suspended must find that its deadlines have passed. Wall time is shown to people and compared with
rules of the configuration; it may jump, and no protocol relies on it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time to a shell."""

    def monotonic(self) -> float:
        """Seconds that never go back and mean nothing outside this host."""
        ...

    def wall(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...


def monotonic_s() -> float:
    """Seconds since the start of this machine, those of its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers notice that the machine slept."""

    def __init__(self) -> None:
        super().__init__()
        # It is asked several times a turn: this spares it two calls in Python each time.
        self.time = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)  # type: ignore[method-assign]


class SystemClock:
    """The clocks of the operating system."""

    def monotonic(self) -> float:
        """Seconds that never go back and mean nothing outside this host."""
        return monotonic_s()

    def wall(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)
