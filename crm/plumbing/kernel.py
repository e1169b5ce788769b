"""The system calls by which files are kept, as one thing that can be handed over.

Responsible for naming them. The module `os` is the real one; a test or the simulator hands over
another, which loses what was not synced, is full, or fails, call by call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Kernel(Protocol):
    """What `os` offers for files. Each call raises OSError as the system gives it."""

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """Open a file or a folder."""

    def close(self, fd: int, /) -> None:
        """Close it again."""

    def read(self, fd: int, size: int, /) -> bytes:
        """Read up to so many bytes, b"" at the end."""

    def pread(self, fd: int, size: int, offset: int, /) -> bytes:
        """Read from a place."""

    def write(self, fd: int, data: memoryview, /) -> int:
        """Write some of the data, and say how many bytes."""

    def ftruncate(self, fd: int, length: int, /) -> None:
        """Cut a file off."""

    def fstat(self, fd: int, /) -> os.stat_result:
        """Describe an open file."""

    def fchmod(self, fd: int, mode: int, /) -> None:
        """Set who may do what."""

    def fchown(self, fd: int, uid: int, gid: int, /) -> None:
        """Set whose it is."""

    def fsync(self, fd: int, /) -> None:
        """Make a file's content durable, or a folder's names."""

    def fdatasync(self, fd: int, /) -> None:
        """Make a file's content durable."""

    def lstat(self, path: Path, /) -> os.stat_result:
        """Describe a file by its name; a link is not followed."""

    def rename(self, source: Path, target: Path, /) -> None:
        """Give a file another name, in the place of whatever had it."""

    def link(self, source: Path, target: Path, /, *, follow_symlinks: bool = True) -> None:
        """Give a file a second name."""

    def unlink(self, path: Path, /) -> None:
        """Take a name away."""

    def listdir(self, path: Path, /) -> list[str]:
        """Name what is in a folder, in no order."""
