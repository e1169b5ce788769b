"""Keeps the inputs of the scheduler, so that any decision can be looked at again.

Files are `pe-input-N.bz2` (`pe-warn-`, `pe-error-` when something was wrong), numbered round and
round up to a cap; `pe-input.last` holds the next number. Writing happens in a thread, after the
answer has been sent. An input equal to the one before is not written again.

Not responsible for deciding what is worth keeping: everything is.
"""

from __future__ import annotations

import bz2
import hashlib
import logging
import queue
import threading
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

SERIES = ("pe-input", "pe-warn", "pe-error")

DEFAULT_CAP = 4000
"""How many inputs of a series are kept unless an option says otherwise."""

MAX_WAITING = 64
"""More unwritten inputs than this are dropped: a slow disk must not eat the memory."""


class Kept(msgspec.Struct, frozen=True):
    """One input on its way to the disk."""

    path: Path
    last: Path
    next_number: int
    data: bytes


class Series:
    """Gives out the names of one series; knows the last input, to tell repetitions."""

    def __init__(self, directory: Path, name: str, next_number: int = 0) -> None:
        assert name in SERIES, name
        self.directory = directory
        self.name = name
        self._next = next_number
        self._last_digest = b""
        self._last_path = Path()

    def keep(self, data: bytes, cap: int) -> tuple[Path, Kept | None]:
        """Name an input; None if it is the same as the one before. A cap of 0 keeps nothing."""
        if cap == 0:
            return Path(), None
        digest = hashlib.sha256(data).digest()
        if digest == self._last_digest:
            return self._last_path, None
        number = self._next if cap < 0 or self._next < cap else 0
        self._next = number + 1
        self._last_digest = digest
        self._last_path = self.directory / f"{self.name}-{number}.bz2"
        return self._last_path, Kept(
            self._last_path, self.directory / f"{self.name}.last", self._next, data
        )


def next_number(directory: Path, name: str) -> int:
    """Read where a series goes on; 0 when nobody knows."""
    try:
        return max(0, int((directory / f"{name}.last").read_text()))
    except (OSError, ValueError):
        return 0


class Writer:
    """Writes inputs in a thread of its own, in order, at most `MAX_WAITING` behind."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Kept | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def write(self, kept: Kept) -> None:
        """Take an input to be written soon; drops it when the disk is too far behind."""
        try:
            self._waiting.put_nowait(kept)
        except queue.Full:
            log.warning("input %s is not kept: the disk is too slow", kept.path)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is waiting and end the thread."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (kept := self._waiting.get()) is not None:
            try:
                store(kept)
            except OSError as problem:
                log.warning("input %s is not kept: %s", kept.path, problem)


def store(kept: Kept) -> None:
    """Write one input and the number that comes next.

    Raises: OSError if the directory cannot be written.
    """
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    for path, data in (
        (kept.path, bz2.compress(kept.data, 1)),
        (kept.last, f"{kept.next_number}\n".encode()),
    ):
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(data)
        new.replace(path)


def load(path: Path) -> bytes:
    """Read an input, packed or not.

    Raises: OSError if it cannot be read or is no bz2 file.
    """
    data = path.read_bytes()
    return bz2.decompress(data) if path.suffix == ".bz2" else data
