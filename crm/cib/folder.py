"""The folder of the CIB before anything is read from it: that it is there, ours, and locked.

Not responsible for the files in it (`store`).

Source: docs/protocol/cib.md, "On disk"; faults-and-security 48.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from pathlib import Path

from crm.plumbing import errors
from crm.plumbing.errors import Problem
from crm.plumbing.kernel import Kernel

MODE = 0o750
_TEMPORARY = re.compile(r"\.cib[\w.-]*\.[0-9a-f]{12}\Z")


def prepare(
    directory: Path, owner: tuple[int, int] | None = None, *, kernel: Kernel = os
) -> list[Problem]:
    """See to it that the folder is there and that only we write in it; tells what was done.

    Raises: OSError as the system gave it.
    """
    try:
        status = kernel.lstat(directory)
    except FileNotFoundError:
        directory.mkdir(parents=True, mode=MODE)
        if owner is not None:
            os.chown(directory, *owner)
        return []
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode) or not mode & 0o022:
        return []
    with contextlib.suppress(OSError):
        directory.chmod(mode & ~0o022)
    message = f"{directory} could be written by others (mode {mode:04o}); this was ended"
    hint = "see who changed what in it"
    return [errors.warning("folder-open", str(directory), message, hint)]


def sweep(directory: Path, *, kernel: Kernel = os) -> None:
    """Remove what writes left behind that were interrupted; nobody else writes here."""
    with contextlib.suppress(OSError):
        for name in kernel.listdir(directory):
            if _TEMPORARY.match(name):
                kernel.unlink(directory / name)


def lock(directory: Path, *, shared: bool) -> int | None:
    """Lock the folder of a CIB until the descriptor that comes back is closed.

    The cib shares it as long as it lives, from before it reads; a command that changes the files
    of a stopped node has it alone, or not at all: None, without waiting.

    Raises: OSError as the system gave it.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise
    return handle
