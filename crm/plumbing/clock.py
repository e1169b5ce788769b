"""The two clocks a shell may read; a core is given their values.

Monotonic seconds order what happens inside one process and drive every timer. Wall time is shown
to people and compared with rules of the configuration; it may jump, and no protocol relies on it.
"""

from __future__ import annotations

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


class SystemClock:
    """The clocks of the operating system."""

    def monotonic(self) -> float:
        """Seconds that never go back and mean nothing outside this host."""
        return time.monotonic()

    def wall(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)
