"""Files that are either the old or the new content, also after a power cut.

Responsible for one file at a time; what belongs together in several files is ordered by the
caller.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_durably(
    path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Replace `path` by `data`: when this returns, it is on the disk under its name.

    A reader sees the old file or the new one, never a part. `owner` is (uid, gid).

    Raises: OSError as the system gave it; then the old file is untouched and no other is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, _FLAGS, mode)
    try:
        try:
            _write_all(handle, data)
            os.fchmod(handle, mode)
            if owner is not None:
                os.fchown(handle, *owner)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def append_durably(path: Path, data: bytes) -> None:
    """Add to the end of an existing file: when this returns, it is on the disk.

    A reader may see a part of `data`, also after a power cut: lines need checksums. What an
    earlier append left unfinished is ended by a line break, so that it spoils no other line.

    Raises: OSError as the system gave it; what was added is taken away again if that is possible.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        length = os.fstat(handle).st_size
        torn = length and os.pread(handle, 1, length - 1) != b"\n"
        try:
            _write_all(handle, b"\n" + data if torn else data)
            os.fdatasync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, length)
            raise
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable (after a rename, a link or an unlink)."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
