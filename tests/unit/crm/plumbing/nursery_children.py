"""What the nursery's children do in the tests; named by `module:function`."""

from __future__ import annotations

import os
import sys


def report(argv: list[str]) -> int:
    """Write who we are to the given descriptor-backed file and end with the given code."""
    path, code = argv
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        group = os.getpgid(0) == os.getpid()
        extra = os.environ.get("EXTRA", "")
        title = open("/proc/self/comm").read().strip()  # noqa: PTH123, SIM115
        file.write(f"{os.getpid()} {group} {extra} {title}")
    return int(code)


def leave(argv: list[str]) -> int:
    sys.exit(int(argv[0]))


def break_down(argv: list[str]) -> int:
    raise ValueError(argv[0])


def shout(argv: list[str]) -> int:
    print(" ".join(argv))
    return 0


def outlive(argv: list[str]) -> int:
    """Wait for the end of the lifeline."""
    handle = int(os.environ["PACEKEEPER_LIFELINE"])
    return len(os.read(handle, 1))
