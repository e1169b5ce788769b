"""What is durable of the local copy, and what still has to become so.

Responsible for one write at a time: while one is under way, later changes merge into the next
(group commit); a failed one is tried again, and a second failure is a problem. Not responsible
for files: the shell carries effects out and answers with `Persisted`.

Theory of operation. A change becomes durable in one of two ways: as lines added to `cib.ahead`
(`Append`), which costs what the change is, or by writing `cib.xml` as a whole (`Persist`), after
which nothing is ahead of it. The second is asked for where the first cannot be had: at the start,
after a takeover, after trouble. It also follows what was appended: at once when the last whole
write is `PAUSE_S` ago, so that cib.xml shows a lone change right away, and else when it is. Nobody
waits for that one, because what it writes is durable already; only if changes leave no room for it
for another `PAUSE_S`, it takes the place of the next.

A write carries a *mark*, the place in the master's sequence that it covers; when it is durable,
everything up to that mark is.

Source: decision 0025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm.cib.warrants import Warrant
from crm.model.version import Reign, Version

RETRY_S = 5.0
"""So long after a second failure; the first is made good at once, in a new file."""

BROKEN_AFTER = 3
"""So many failures in a row of the disk itself, and it is given up."""

PAUSE_S = 0.5
"""While changes follow each other, cib.xml is written so often."""

MAX_AHEAD_BYTES = 4 * 1024 * 1024
"""When so much is ahead of cib.xml, the next write is that of cib.xml."""

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
    """Make the configuration durable, with the warrant it was written on and its history."""

    ticket: int
    data: bytes
    version: Version
    warrant: Warrant
    journal: Journal = NOTHING


@dataclass(frozen=True, slots=True)
class Append:
    """Make changes durable ahead of cib.xml; `journal` goes with the next whole write."""

    ticket: int
    lines: tuple[bytes, ...]
    version: Version
    journal: Journal = NOTHING


@dataclass(frozen=True, slots=True)
class KeepPromise:
    """Make it durable that no earlier reign than this will be followed."""

    ticket: int
    reign: Reign


@dataclass(frozen=True, slots=True)
class Persisted:
    """A write ended; `reason` says why it failed, `digest` what was written.

    `is_broken` says that the disk itself fails, and is not just full or read-only.
    `may_append`, after a whole write, tells that changes may be added to `cib.ahead` from now on.
    """

    ticket: int
    ok: bool
    reason: str = ""
    digest: str = ""
    may_append: bool = False
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be written, as it is now: `lines` ahead of cib.xml, or `data`, all of it."""

    version: Version
    warrant: Warrant
    mark: Mark
    journal: Journal = NOTHING
    data: bytes = b""
    lines: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    ticket: int
    content: Content
    is_needed: bool
    """Whether somebody waits for it: False for what is durable ahead of cib.xml already."""


class Disk:
    """Orders writes of the configuration, one at a time."""

    def __init__(self, most_ahead_bytes: int = MAX_AHEAD_BYTES) -> None:
        self.durable: Mark = (Reign(), 0)
        self.problem = ""
        self.is_broken = False
        self._failures = 0
        self._broken_calls = 0
        self._dirty = False
        self._ticket = 0
        self._under_way: _UnderWay | None = None
        self._retry_at: float | None = None
        self._may_append = False
        self._most_ahead_bytes = most_ahead_bytes
        self._ahead_bytes = 0
        self._is_ahead = False
        self._rewrite_at = 0.0

    @property
    def is_durable(self) -> bool:
        """Tell whether every change is on the disk, in whichever file."""
        needed = self._under_way is not None and self._under_way.is_needed
        return not needed and not self._dirty

    @property
    def is_writing(self) -> bool:
        """Tell whether a write is under way."""
        return self._under_way is not None

    @property
    def may_be_left(self) -> bool:
        """Tell whether waiting brings nothing: cib.xml says all, or the disk refused it."""
        is_done = not self._dirty and not self._is_ahead
        return self._under_way is None and (is_done or bool(self.problem))

    def want(self) -> None:
        """Note that the configuration has changed."""
        self._dirty = True

    def hurry(self) -> None:
        """Note that cib.xml is to say all there is as soon as possible."""
        self._rewrite_at = 0.0

    def write(
        self,
        whole: Callable[[], Content],
        ahead: Callable[[], Content | None],
        now: float,
    ) -> Persist | Append | None:
        """Begin the next write, if one is wanted and none is under way.

        `ahead` gives None when what has changed cannot be said in lines.
        """
        if self._under_way is not None or (self._retry_at is not None and now < self._retry_at):
            return None
        content = None
        if self._dirty and self._may_append and not self._has_waited_enough(now):
            content = ahead()
        if content is None:
            if not self._dirty and not (self._is_ahead and now >= self._rewrite_at):
                return None
            content = whole()
        self._ticket += 2  # even numbers; promises have the odd ones
        self._under_way = _UnderWay(self._ticket, content, self._dirty)
        self._dirty = False
        self._retry_at = None
        if content.data:
            self._rewrite_at = now + PAUSE_S
            return Persist(
                self._ticket, content.data, content.version, content.warrant, content.journal
            )
        self._is_ahead = True
        self._ahead_bytes += sum(map(len, content.lines))
        return Append(self._ticket, content.lines, content.version, content.journal)

    def _has_waited_enough(self, now: float) -> bool:
        """Tell whether the next write is that of cib.xml, even if more is to be appended.

        When changes never stop there is no moment without one.
        """
        is_late = self._is_ahead and now >= self._rewrite_at + PAUSE_S
        return is_late or self._ahead_bytes >= self._most_ahead_bytes

    def finished(self, event: Persisted, now: float) -> Content | None:
        """Take in how a write ended; returns what it covered, or None if it is not ours."""
        if self._under_way is None or self._under_way.ticket != event.ticket:
            return None
        under_way, self._under_way = self._under_way, None
        content = under_way.content
        if event.ok:
            self._failures = self._broken_calls = 0
            self.is_broken = False
            self.durable = content.mark
            self.problem = ""
            if content.data:
                self._may_append = event.may_append
                self._is_ahead = False
                self._ahead_bytes = 0
            return content
        self._failures += 1
        self._broken_calls = self._broken_calls + 1 if event.is_broken else 0
        self.is_broken = self._broken_calls >= BROKEN_AFTER
        self._may_append = False
        self._dirty = self._dirty or under_way.is_needed
        if content.data and self._failures > 1:
            self.problem = event.reason or "the write failed"
            self._retry_at = now + RETRY_S
        return content

    def next_deadline(self) -> float | None:
        """Say when the next write is due that does not begin by itself."""
        if self._under_way is not None:
            return None
        if self._retry_at is not None:
            return self._retry_at
        return self._rewrite_at if self._is_ahead else None
