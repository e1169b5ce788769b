"""Running before others: what heartbeat, which keeps deadlines, asks the operating system for.

Responsible for the scheduling class and for keeping memory out of the swap space, as far as the
system permits; being refused is no error. Not responsible for who asks (heartbeat alone does: work
that may take long must never run before other people's).

Source: sched(7), mlock2(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

NICE = -10
"""What is asked for where real-time scheduling is not permitted."""

_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4
_CAP_IPC_LOCK = 14


def take(priority: int) -> str:
    """Have this process, and threads made from now on, run before ordinary ones.

    Tells in words what was got: round-robin real-time scheduling with `priority` (1 to 99), else a
    better nice value, else nothing.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except (OSError, ValueError):
        pass
    else:
        return f"real-time scheduling, priority {priority}"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        return "ordinary scheduling: nothing else is permitted to this user"
    return f"ordinary scheduling, nice {NICE}: real-time scheduling is not permitted"


def give_back() -> None:
    """Be an ordinary process again; for what a process in a hurry has started."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)


def lock_memory() -> bool:
    """Keep what is in memory from being swapped out; tells whether the system does so.

    Pages are locked when they are first used, so nothing grows by it. Without the capability
    nothing is tried: under a limit, later allocations would fail.
    """
    if not _has_capability(_CAP_IPC_LOCK):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False
