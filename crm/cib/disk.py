"""What is durable of the local copy, and what still has to become so.

Responsible for one write at a time: while one is under way, later ones merge into the next
(group commit); a failed one is tried again. Not responsible for files: the shell carries
`Persist` out and answers with `Persisted`.

A write carries a *mark*, the place in the master's sequence that it covers; when it is durable,
everything up to that mark is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm.model.version import Reign, Version

RETRY_S = 5.0

Mark = tuple[Reign, int]
"""A place in the sequence of one reign."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Lines of the history to append, or (`whole`) all there is from now on."""

    lines: tuple[bytes, ...] = ()
    whole: bool = False


NOTHING = Journal()


@dataclass(frozen=True, slots=True)
class Persist:
    """Make the configuration durable, with the reign it was written under and its history."""

    ticket: int
    data: bytes
    version: Version
    written: Reign
    journal: Journal = NOTHING


@dataclass(frozen=True, slots=True)
class KeepPromise:
    """Make it durable that no earlier reign than this will be followed."""

    ticket: int
    reign: Reign


@dataclass(frozen=True, slots=True)
class Persisted:
    """`Persist` or `KeepPromise` ended; `reason` says why it failed, `digest` what was written."""

    ticket: int
    ok: bool
    reason: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be written, as it is now."""

    data: bytes
    version: Version
    written: Reign
    mark: Mark
    journal: Journal = NOTHING


class Disk:
    """Orders writes of the configuration, one at a time."""

    def __init__(self) -> None:
        self.durable: Mark = (Reign(), 0)
        self.problem = ""
        self._dirty = False
        self._ticket = 0
        self._under_way: tuple[int, Content] | None = None
        self._retry_at: float | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether everything is on the disk."""
        return self._under_way is None and not self._dirty

    @property
    def may_be_left(self) -> bool:
        """Tell whether waiting brings nothing: all is written, or the disk refused it."""
        return self.is_idle or (self._under_way is None and bool(self.problem))

    def want(self) -> None:
        """Note that the configuration has changed."""
        self._dirty = True

    def write(self, content: Callable[[], Content], now: float) -> Persist | None:
        """Begin the next write, if one is wanted and none is under way."""
        waits = self._retry_at is not None and now < self._retry_at
        if not self._dirty or self._under_way is not None or waits:
            return None
        self._ticket += 2  # even numbers; promises have the odd ones
        self._dirty = False
        self._retry_at = None
        taken = content()
        self._under_way = (self._ticket, taken)
        return Persist(self._ticket, taken.data, taken.version, taken.written, taken.journal)

    def finished(self, event: Persisted, now: float) -> Content | None:
        """Take in how a write ended; returns what it covered, or None if it is not ours."""
        if self._under_way is None or self._under_way[0] != event.ticket:
            return None
        content = self._under_way[1]
        self._under_way = None
        if event.ok:
            self.problem = ""
            self.durable = content.mark
        else:
            self.problem = event.reason or "the write failed"
            self._dirty = True
            self._retry_at = now + RETRY_S
        return content

    def next_deadline(self) -> float | None:
        """Say when a failed write is tried again."""
        return self._retry_at if self._dirty and self._under_way is None else None
