"""Other processes seen by their number: is one alive, and who wrote which pid file."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from crm.plumbing import atomicfile

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def is_running(pid: int) -> bool:
    """Tell whether a process of that number exists and is more than a zombie."""
    if pid <= 0:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process and all of its group, if it leads one; else to it alone.

    Raises: ProcessLookupError if it has ended.
    """
    if os.getpgid(pid) == pid:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


def read_pid_file(path: Path) -> int | None:
    """Read the number in a pid file; None when there is no file or no number in it."""
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def write_pid_file(path: Path, pid: int) -> None:
    """Write a pid file in the usual form: the number right-aligned, a line end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomicfile.write_durably(path, f"{pid:>10}\n".encode(), mode=0o644)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux "subreaper")."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_title(name: str, arguments: str = "") -> None:
    """Show `name` as the command in process listings, and `name arguments` as its command line."""
    buffer = ctypes.create_string_buffer(name.encode()[:15] + b"\0")
    _prctl(_PR_SET_NAME, ctypes.addressof(buffer))
    start, end = _argument_area()
    if end > start:
        line = f"{name} {arguments}".strip().encode()[: end - start - 1]
        ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl {option}")


def _argument_area() -> tuple[int, int]:
    """Where the kernel reads our command line from: fields 48 and 49 of our own stat."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[45]), int(fields[46])
