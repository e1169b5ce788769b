"""This node's copy of the CIB, with what it is worth.

Responsible for the document, the warrant its configuration was written on, and for taking over
another copy without losing sight of what is given up. Not responsible for deciding which copy
wins (`warrants`, `mastery`) nor for the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from crm.api import cib as api
from crm.cib import acl, ahead, revisions, wire
from crm.cib.disk import Content, Mark
from crm.cib.document import Document
from crm.cib.operations import Rules
from crm.cib.snapshots import Reading
from crm.cib.warrants import Pair, Standing, Warrant, pair_of
from crm.model.version import Version

MAX_STEP_BYTES = 256 * 1024
"""A change with a longer patch is made durable by writing cib.xml, which takes no longer then."""

_Reached = tuple[Pair, Warrant, str]
"""Where a configuration stands: its version, its warrant, its digest."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Keep a configuration that lost against another one, for the administrator."""

    data: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a takeover did: whether anything is different now, and what was given up."""

    differs: bool
    configuration_differs: bool
    given_up: Archive | None


class LocalCopy:
    """The document of this node, and how it came about."""

    def __init__(
        self,
        document: Document,
        rules: Rules,
        warrant: Warrant,
        own_user: str = "",
        history: revisions.History | None = None,
    ) -> None:
        self.own_user = own_user
        self.document = document
        self.rules = rules
        self.history = revisions.History() if history is None else history
        self.warrant = warrant
        self._discarded: deque[Iterator[None]] = deque()
        self._steps: list[bytes] = []
        self._reached: _Reached | None = None
        """Where the steps lead that were noted since the last whole write; None: not known."""
        self._began = pair_of(document.version), document.digest()

    @property
    def has_discarded(self) -> bool:
        """Tell whether there are documents that were given up and still take room."""
        return bool(self._discarded)

    def free(self, parts: Iterator[None]) -> None:
        """Give something back in parts, one a turn."""
        self._discarded.append(parts)

    def discard(self) -> None:
        """Free a part of what was given up."""
        if self._discarded and next(self._discarded[0], "done") == "done":
            self._discarded.popleft()

    def guard(self, origin: api.Origin, document: Document | None = None) -> acl.Guard | None:
        """Make what stands between the one who asks for a change and a document, if anything.

        The document is ours, or a copy of it.
        """
        root = (document or self.document).root
        return acl.guard_of(root, origin.user, origin.groups, own_user=self.own_user)

    def exchange(self, document: Document) -> None:
        """Let a changed copy take the place of our document."""
        self.free(self.document.taken_apart())
        self.document = document

    def standing(self) -> Standing:
        """Say what this copy is worth."""
        return standing_of(self.document, self.warrant)

    def packed(self, most_bytes: int) -> tuple[bytes, ...] | None:
        """Pack the document for its way; None if that is too much at once: ask again, later."""
        return self.document.packed_pieces(most_bytes)

    def content(self, mark: Mark) -> Content:
        """Say what cib.xml is to hold now."""
        document = self.document
        self._steps = []
        self._reached = self._here()
        data = document.configuration_text()
        journal = self.history.take()
        return Content(document.version, self.warrant, mark, journal, data=data)

    def steps(self, mark: Mark) -> Content | None:
        """Say which changes lead to the present from what was to be on the disk last.

        None if that is not known, or if a reader of cib.xml could not repeat them.
        """
        here = self._here()
        if here is None or here != self._reached or self.history.is_to_be_written_anew:
            return None
        taken, self._steps = tuple(self._steps), []
        journal = self.history.take()
        return Content(self.document.version, self.warrant, mark, journal, lines=taken)

    def _here(self) -> _Reached | None:
        """Say where the copy stands; None where what is read again differs from what was written.

        A reader puts in the sections that must be there.
        """
        if not self.document.has_all_sections:
            return None
        return pair_of(self.document.version), self.warrant, self.document.digest()

    def note(
        self,
        trace: revisions.Trace | None,
        change: wire.Replicated,
        digest: str,
        master: str,
        warrant: Warrant,
    ) -> None:
        """Enter a change into the history, if it is one of the configuration."""
        if trace is None:
            return
        origin = change.origin
        if not origin.node:
            origin = msgspec.structs.replace(origin, node=master)
        entry = revisions.entry_of(
            trace, change.before, change.after, digest=digest, origin=origin, at=change.at
        )
        if not self._tells_of(change.before) and self._began[0] == pair_of(change.before):
            entry = msgspec.structs.replace(entry, digest_before=self._began[1])
        self.history.append(entry)
        if len(change.patch) > MAX_STEP_BYTES:
            self._reached = None
            return
        self._steps.append(ahead.encode(ahead.Step(entry, change.patch, warrant)))
        if self._reached is not None and self._reached[0] == pair_of(change.before):
            self._reached = (pair_of(change.after), warrant, digest)

    def _tells_of(self, version: Version) -> bool:
        """Tell whether the history ends with this version."""
        last = self.history.last
        return last is not None and pair_of(last.after) == pair_of(version)

    def is_beaten_by(self, new: Document | None, warrant: Warrant) -> bool:
        """Tell whether another node's document (None: the same as ours) is the better one."""
        return standing_of(new or self.document, warrant) > self.standing()

    def history_since(self, standing: Standing) -> tuple[api.Revision, ...]:
        """Give the revisions that lead on from what another node has; nothing if it has ours."""
        theirs = (standing.admin_epoch, standing.epoch)
        is_ours = theirs == pair_of(self.document.version)
        if is_ours and standing.digest == self.document.digest():
            return ()
        return revisions.since(self.history.entries, theirs, standing.digest)

    def adopt_reading(self, reading: Reading, giver: str, at: float) -> Adopted:
        """Take over what another node gave, read to its end, whatever it is worth."""
        snapshot = reading.snapshot
        return self.adopt(
            reading.document, snapshot.warrant, giver=giver, at=at, history=snapshot.history
        )

    def adopt(
        self,
        new: Document | None,
        warrant: Warrant,
        *,
        giver: str,
        at: float = 0,
        history: tuple[api.Revision, ...] = (),
    ) -> Adopted:
        """Take over another node's document (None: the same as ours), whatever it is worth.

        `history` are the revisions that it has and we lack, from the last common one on.

        A configuration that does not stand in the giver's history is given up, not outgrown: it
        comes back as `given_up`, to be archived; in doubt as well (the history told is capped).
        Where the giver's history does not go on from ours, the difference becomes one entry.

        Units: `at` is a time of day in seconds since 1970.
        """
        own = self.document
        if new is None:
            configuration_differs = warrant != self.warrant
            if configuration_differs:
                self._reached = None
            self.warrant = warrant
            return Adopted(False, configuration_differs, None)
        same = new.digest() == own.digest()
        given_up = None
        ours, theirs = pair_of(own.version), pair_of(new.version)
        if not same and not _is_empty(own) and not revisions.has(history, ours, own.digest()):
            lost = f"version {own.version} lost against {new.version} of {giver}"
            given_up = Archive(own.configuration_text(), lost + self._last_change())
        unchanged = same and warrant == self.warrant and ours == theirs
        if not same or ours != theirs:
            self._take_history(new, history, giver=giver, at=at)
        self.free(own.taken_apart())
        self.document = new
        self.warrant = warrant
        self._reached = None
        self._began = theirs, new.digest()
        return Adopted(True, not unchanged, given_up)

    def _take_history(
        self, new: Document, told: tuple[api.Revision, ...], *, giver: str, at: float
    ) -> None:
        own = self.document
        joined = revisions.joined(self.history, own, told, new)
        if joined is not None:
            self.history = joined
        elif self.history.entries or pair_of(own.version) != (0, 0):
            self.history.append(revisions.of_takeover(own, new, giver=giver, at=at))

    def _last_change(self) -> str:
        """Tell who made what is given up, in words to add."""
        entries = self.history.entries
        if not entries or not entries[-1].is_known:
            return ""
        last = entries[-1]
        return f" (its last change: {last.user or 'cluster'}@{last.node}, {last.summary})"


def standing_of(document: Document, warrant: Warrant) -> Standing:
    """Say what a document is worth that was written on this warrant."""
    version = document.version
    return Standing(warrant, version.admin_epoch, version.epoch, version.updates, document.digest())


def _is_empty(document: Document) -> bool:
    """Tell whether a document is the one a node begins with that has none."""
    return pair_of(document.version) == (0, 0) and not document.select("configuration/*/*")
