"""A heartbeat that runs already: what its pid file says, and what it is asked for by signals.

Responsible for `heartbeat -s`, `-k`, `-r` and `-R`, and for how one process takes the place of
another. Decides nothing.
"""

from __future__ import annotations

import os
import signal
import sys

from crm.plumbing import process
from crm.plumbing.settings import Paths

STOP_LIMIT_S = 1260.0
POLL_S = 0.1
EXIT_NOT_RUNNING = 3
EXIT_STALE_PID = 1
REPLACE = signal.SIGRTMIN
"""Asks a heartbeat to become a new one; no signal of Heartbeat's has that meaning."""


def pid_of_other(paths: Paths) -> int | None:
    """The number of the heartbeat that runs, unless that is this process."""
    pid = _pid(paths)
    return None if pid == os.getpid() else pid


def show_status(paths: Paths, node: str) -> int:
    """Say whether heartbeat runs; the exit code is the classic one."""
    pid = _pid(paths)
    if pid is not None:
        print(f"heartbeat OK [pid {pid} et al] is running on {node} [{node}]...")  # noqa: T201
        return 0
    if process.read_pid_file(paths.pid_file) is not None:
        print("heartbeat is stopped. Stale pid file.")  # noqa: T201
        return EXIT_STALE_PID
    print("heartbeat is stopped. No process")  # noqa: T201
    return EXIT_NOT_RUNNING


def stop(paths: Paths) -> int:
    """Ask the running heartbeat to end, and wait for it."""
    pid = _pid(paths)
    if pid is None:
        print("INFO: Heartbeat already stopped.", file=sys.stderr)  # noqa: T201
        return 0
    os.kill(pid, signal.SIGTERM)
    waited_s = 0.0
    while process.is_running(pid):
        if waited_s > STOP_LIMIT_S:
            print(f"heartbeat (pid {pid}) does not end", file=sys.stderr)  # noqa: T201
            return 1
        signal.sigtimedwait([signal.SIGCHLD], POLL_S)
        waited_s += POLL_S
    return 0


def reload(paths: Paths) -> int:
    """Ask the running heartbeat to read its files again."""
    pid = _pid(paths)
    if pid is None:
        print("heartbeat is stopped. No process")  # noqa: T201
        return EXIT_NOT_RUNNING
    os.kill(pid, signal.SIGHUP)
    return 0


def replace(pid: int) -> int:
    """Ask the heartbeat with this number to become a new one, under the same number."""
    os.kill(pid, REPLACE)
    return 0


def become_anew(words: list[str]) -> None:
    """Execute heartbeat in the place of this process: its children see it as the end of this one.

    Its number stays, so whoever watches over it (a service manager) has nothing to do.
    Raises: OSError if the interpreter cannot be executed.
    """
    os.execv(sys.executable, [sys.executable, "-P", "-m", "messaging.daemon", *words])


def _pid(paths: Paths) -> int | None:
    pid = process.read_pid_file(paths.pid_file)
    return pid if pid is not None and process.is_running(pid) else None
