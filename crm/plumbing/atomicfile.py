"""Files that are either the old or the new content, also after a power cut.

Responsible for one file at a time; what belongs together in several files is ordered by the
caller.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from crm.plumbing.kernel import Kernel

_AT_ONCE_BYTES = 1024 * 1024
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_durably(
    path: Path,
    data: bytes,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
    *,
    kernel: Kernel = os,
) -> None:
    """Replace `path` by `data`: when this returns, it is on the disk under its name.

    A reader sees the old file or the new one, never a part. `owner` is (uid, gid).

    Raises: OSError as the system gave it. No other file is left then, and the old one is
    untouched, unless only its name could not be made durable: then the new one may be there.
    """
    _put(path, data, mode, owner, kernel, kernel.fsync)
    sync_directory(path.parent, kernel=kernel)


def write_hastily(
    path: Path,
    data: bytes,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
    *,
    kernel: Kernel = os,
) -> None:
    """Replace `path` by `data` without waiting for the disk: a power cut may leave an empty file.

    Raises: OSError as the system gave it; then the old file is untouched and no other is left.
    """
    _put(path, data, mode, owner, kernel, _not_at_all)


def _put(
    path: Path,
    data: bytes,
    mode: int,
    owner: tuple[int, int] | None,
    kernel: Kernel,
    sync: Callable[[int], None],
) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = kernel.open(temporary, _FLAGS, mode)
    try:
        try:
            _write_all(kernel, handle, data)
            kernel.fchmod(handle, mode)
            if owner is not None:
                kernel.fchown(handle, *owner)
            sync(handle)
        finally:
            kernel.close(handle)
        kernel.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            kernel.unlink(temporary)
        raise


def _not_at_all(handle: int) -> None:
    """Sync nothing."""


def read(
    path: Path, size_bytes: int | None = None, *, kernel: Kernel = os
) -> tuple[bytes, os.stat_result]:
    """Read a file (or its beginning), and say what it is; a link is not followed.

    Of what is no plain file nothing is read: a pipe would let its reader wait for ever.

    Raises: OSError as the system gave it.
    """
    handle = kernel.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = kernel.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return b"", status
        wanted = status.st_size if size_bytes is None else size_bytes
        parts = []
        while wanted > 0 and (part := kernel.read(handle, min(wanted, _AT_ONCE_BYTES))):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts), status
    finally:
        kernel.close(handle)


def exists(path: Path, *, kernel: Kernel = os) -> bool:
    """Tell whether there is anything of that name that can be looked at; a link is not followed."""
    try:
        kernel.lstat(path)
    except OSError:
        return False
    return True


def append_durably(path: Path, data: bytes, *, kernel: Kernel = os) -> None:
    """Add to the end of an existing file: when this returns, it is on the disk.

    A reader may see a part of `data`, also after a power cut: lines need checksums. What an
    earlier append left unfinished is ended by a line break, so that it spoils no other line.

    Raises: OSError as the system gave it; what was added is taken away again if that is possible.
    """
    handle = kernel.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        length = kernel.fstat(handle).st_size
        torn = length and kernel.pread(handle, 1, length - 1) != b"\n"
        try:
            _write_all(kernel, handle, b"\n" + data if torn else data)
            kernel.fdatasync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                kernel.ftruncate(handle, length)
            raise
    finally:
        kernel.close(handle)


def begin_anew(path: Path, data: bytes, *, kernel: Kernel = os) -> None:
    """Have an existing file hold nothing but `data`, without waiting for the disk.

    What `append_durably` adds to it is not durable without this.

    Raises: OSError as the system gave it; what the file holds then is not known.
    """
    handle = kernel.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        kernel.ftruncate(handle, 0)
        _write_all(kernel, handle, data)
    finally:
        kernel.close(handle)


def sync_file(path: Path, *, kernel: Kernel = os) -> None:
    """Make the content of a file durable that somebody else may have written.

    Raises: OSError as the system gave it.
    """
    handle = kernel.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        kernel.fsync(handle)
    finally:
        kernel.close(handle)


def sync_directory(directory: Path, *, kernel: Kernel = os) -> None:
    """Make the names in a directory durable (after a rename, a link or an unlink)."""
    handle = kernel.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.fsync(handle)
    finally:
        kernel.close(handle)


def _write_all(kernel: Kernel, handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[kernel.write(handle, rest) :]
