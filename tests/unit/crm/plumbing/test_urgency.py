"""What a process in a hurry gets, in a child of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
from crm.plumbing import urgency
got = urgency.take({priority})
policy, nice = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
urgency.give_back()
after = os.sched_getscheduler(0), max(os.getpriority(os.PRIO_PROCESS, 0), 0)
print(got)
print(policy == os.SCHED_RR, nice, after == (os.SCHED_OTHER, max(nice, 0)))
"""


def ask(priority: int) -> tuple[str, list[str]]:
    text = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(priority=priority)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    got, rest = text.splitlines()
    return got, rest.split()


def test_what_is_said_is_what_was_got() -> None:
    got, (is_real_time, nice, _) = ask(1)

    assert got.startswith("real-time scheduling, priority 1") is (is_real_time == "True")
    assert is_real_time == "True" or ("nice" in got) is (nice == "-10")


def test_a_priority_the_system_does_not_know_is_no_error() -> None:
    got, (is_real_time, *_) = ask(1000)

    assert is_real_time == "False" and got.startswith("ordinary scheduling")


def test_it_can_be_given_back() -> None:
    assert ask(1)[1][2] == "True"
