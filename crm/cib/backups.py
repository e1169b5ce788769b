"""The numbered backups beside a cib.xml: what stood in it before each write.

Responsible for their names and for giving the old file one of them, which costs nothing: a second
name for the same content. Not responsible for choosing among them (`store`).

Source: docs/protocol/cib.md, "On disk".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from crm.plumbing import atomicfile
from crm.plumbing.kernel import Kernel

COUNTER = "cib.last"
MAX_BACKUPS = 100
MAX_SMALL_BYTES = 4096
MODE = 0o600


class Backups:
    """The backups of one file; `note` replaces a small file whose loss does no harm."""

    def __init__(
        self, file: Path, note: Callable[[str, str], None], *, kernel: Kernel = os
    ) -> None:
        self._file = file
        self._note = note
        self._kernel = kernel
        self.is_made = False
        """Whether the file that is there has its backup; the writer says when it has another."""

    def names(self) -> list[str]:
        """Name them, the last one written first."""
        last = self._last_number()
        order = [(last - 1 - step) % MAX_BACKUPS for step in range(MAX_BACKUPS)]
        return [
            f"cib-{n}.raw" for n in order if atomicfile.exists(self._path(n), kernel=self._kernel)
        ]

    def make(self) -> None:
        """Give the file that is there a second name; once, however often the write is tried.

        A write that failed last of all, at its name, has left a file that was never durable.

        Raises: OSError as the system gave it.
        """
        if self.is_made or not atomicfile.exists(self._file, kernel=self._kernel):
            return
        number = self._last_number()
        last = self._path((number - 1) % MAX_BACKUPS)
        if atomicfile.exists(last, kernel=self._kernel) and self._is_same(last, self._file):
            return  # the write that made it failed; trying again must not use up the backups
        backup = self._path(number)
        for source, target in (
            (self._file, backup),
            (_signature(self._file), _signature(backup)),
        ):
            with contextlib.suppress(FileNotFoundError):
                self._kernel.unlink(target)
            with contextlib.suppress(FileNotFoundError):
                second_name(source, target, kernel=self._kernel)
        self.is_made = True
        self._note(COUNTER, f"{(number + 1) % MAX_BACKUPS}\n")

    def _path(self, number: int) -> Path:
        return self._file.with_name(f"cib-{number}.raw")

    def _last_number(self) -> int:
        path = self._file.with_name(COUNTER)
        try:
            data, _ = atomicfile.read(path, MAX_SMALL_BYTES, kernel=self._kernel)
            return int(data.decode("ascii").strip()) % MAX_BACKUPS
        except (OSError, ValueError):
            return 0

    def _is_same(self, one: Path, other: Path) -> bool:
        return os.path.samestat(self._kernel.lstat(one), self._kernel.lstat(other))


def _signature(path: Path) -> Path:
    return path.with_name(path.name + ".sig")


def second_name(source: Path, target: Path, *, kernel: Kernel = os) -> None:
    """Keep a file under another name too; by a copy where the kernel refuses us a link.

    It does for files of somebody else (an administrator's own cib.xml before the first start).
    Raises: OSError as the system gave it.
    """
    try:
        kernel.link(source, target, follow_symlinks=False)
    except PermissionError:
        data, _ = atomicfile.read(source, kernel=kernel)
        atomicfile.write_durably(target, data, MODE, kernel=kernel)
