"""A watchdog device with a simulated timer, for computers that have none."""

from __future__ import annotations

import errno
from collections.abc import Callable


class FakeDevice:
    """Behaves as the kernel's devices do; `reset_at` is when it would have reset the computer."""

    def __init__(self, clock: Callable[[], float], *, longest_s: int = 60) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._timer_s = float(longest_s)
        self._fed_at = clock()
        self._may_close = False
        self._is_armed = True
        self._was_reset_at: float | None = None
        self.is_broken = False
        self.is_watchdog = True
        self.signs = 0

    @property
    def reset_at(self) -> float | None:
        """When it bit; None as long as it has not."""
        self._look()
        return self._was_reset_at

    def set_timeout(self, seconds: int) -> int:
        """Set the timer as far as this device can."""
        if not self.is_watchdog:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        self._timer_s = min(seconds, self._longest_s)
        self._feed()
        return int(self._timer_s)

    def write(self, data: bytes) -> None:
        """Take a sign of life; a `V` in it allows the magic close."""
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        self._feed()
        self.signs += 1
        self._may_close = b"V" in data

    def close(self) -> None:
        """Disarm after a `V`; stay armed otherwise."""
        self._look()
        if self._may_close:
            self._is_armed = False

    def _feed(self) -> None:
        self._look()
        self._fed_at = self._clock()

    def _look(self) -> None:
        due = self._fed_at + self._timer_s
        if self._is_armed and self._was_reset_at is None and self._clock() >= due:
            self._was_reset_at = due
