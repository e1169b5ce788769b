"""The clock of every timer."""

from __future__ import annotations

import time

from crm.plumbing.clock import EventLoop, SystemClock, monotonic_s


def test_timers_go_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    loop = EventLoop()
    told = [monotonic_s(), SystemClock().monotonic(), loop.time()]
    loop.close()

    assert before <= told[0] <= told[1] <= told[2] <= time.clock_gettime(time.CLOCK_BOOTTIME)
