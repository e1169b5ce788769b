"""Processes that outlive an agent: detached from its session and pipes, found again by a pid file.

A pid alone is not a name, since the kernel uses it again: the pid file holds the start time of the
process as well, and a process is ours only if both agree.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

_NAME_BYTES = 15
KILLED_WITHIN_S = 5.0


def detach(
    pidfile: Path, name: str, body: Callable[[], None], *, keep: tuple[int, ...] = ()
) -> int:
    """Run `body` in a detached process; return its pid. Only the descriptors `keep` stay open.

    The pid file is written before this returns.
    """
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            os.close(read)
            os.setsid()
            pid = os.fork()
            if pid == 0:
                _become_background(name, body, keep)
            os.write(write, str(pid).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        pid = int(answer.read() or 0)
    os.waitpid(middle, 0)
    if not pid:
        raise ChildProcessError(f"no process for {name} could be started")
    _write_pidfile(pidfile, pid)
    return pid


def find(pidfile: Path) -> int | None:
    """Return the pid of the process a pid file names, if it is still that process."""
    try:
        pid_text, started = pidfile.read_text().split()
        pid = int(pid_text)
    except (FileNotFoundError, ValueError):
        return None
    return pid if start_time(pid) == started else None


def end(pidfile: Path, *, patience_s: float) -> bool:
    """End the process a pid file names; True when it is gone.

    It is killed if it has not ended after `patience_s`; the kernel then has `KILLED_WITHIN_S`.
    """
    pid = find(pidfile)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                ways = ((signal.SIGTERM, patience_s), (signal.SIGKILL, KILLED_WITHIN_S))
                for number, limit_s in ways:
                    signal.pidfd_send_signal(handle, number)
                    if select.select([handle], [], [], limit_s)[0]:
                        break
                else:
                    return False
            finally:
                os.close(handle)
    pidfile.unlink(missing_ok=True)
    return True


def kill(pidfile: Path) -> None:
    """Kill the process a pid file names and do not wait: it runs no instruction of its own again.

    For a process that keeps nothing; waiting until the kernel has cleared it away can take long.
    """
    pid = find(pidfile)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    pidfile.unlink(missing_ok=True)


def start_time(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks since boot; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _write_pidfile(pidfile: Path, pid: int) -> None:
    started = start_time(pid)
    if started is None:
        pidfile.unlink(missing_ok=True)
        return
    fresh = pidfile.with_name(f".{pidfile.name}.{os.getpid()}")
    fresh.write_text(f"{pid} {started}\n")
    fresh.replace(pidfile)


def _become_background(name: str, body: Callable[[], None], keep: tuple[int, ...]) -> None:
    """Shed everything inherited, then work. Does not return."""
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd, inheritable=True)
        lowest = 3
        for fd in sorted(keep):
            os.closerange(lowest, fd)
            lowest = fd + 1
        os.closerange(lowest, os.sysconf("SC_OPEN_MAX"))
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            Path("/proc/self/comm").write_bytes(name.encode()[:_NAME_BYTES])
        body()
        code = 0
    finally:
        os._exit(code)
