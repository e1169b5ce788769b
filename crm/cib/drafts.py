"""A change that is too large for one turn of the loop, made on a copy of the document.

Theory of operation. The copy is made in slices, then the change is carried out on it, in slices,
and what will be asked of the result is worked out. Until its owner takes the result nothing has
happened: to give it up is to throw it away. The document must not be changed meanwhile; who takes
the result makes sure of that. What is not needed any more is given back piece by piece.

Responsible for that; not for when a change may be made, nor for its answer (`mastery`).

Source: docs/decisions/0029-large-changes-on-a-copy.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import edits, operations, slices
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import Asker

_FREED_AT_ONCE = 1_000
"""So many changes are forgotten in one turn, if they do not hold on to something removed."""


_ABOUT_EVERYTHING = frozenset({api.XmlTask.ERASE, api.XmlTask.UPGRADE, api.XmlTask.DELETE_ALL})
_WHOLES = (b"<cib", b"<status")


def is_too_large(
    made: Sequence[msgspec.Struct], document: documents.Document, slice_bytes: int
) -> bool:
    """Tell whether these operations may be more than can be dealt with in one turn.

    They are if what they hand in is large, or what they may take away or compare.
    """
    given = [each for each in made if isinstance(each, api.XmlOperation)]
    if sum(len(each.xml) for each in given) > slice_bytes // 2:
        return True
    size_bytes = 0 if document.measure is None else document.measure.size_bytes
    return size_bytes > slice_bytes and any(map(_is_about_everything, given))


def _is_about_everything(operation: api.XmlOperation) -> bool:
    if operation.task is api.XmlTask.REPLACE:
        return any(whole in operation.xml for whole in _WHOLES)
    return operation.task in _ABOUT_EVERYTHING


class Draft:
    """One change under way. When `advance` has said True, `carried` says how it ended.

    `stamp` is what the root gets with a change of the configuration. Units: `until`, when it is
    too late to begin anew, in monotonic seconds.
    """

    def __init__(
        self,
        asker: Asker,
        change: api.Change,
        copy: LocalCopy,
        *,
        stamp: Mapping[str, str],
        until: float,
    ) -> None:
        self.asker = asker
        self.change = change
        self.until = until
        self._original = copy.document
        self._edit: _EditOfCopy | None = None
        self._is_taken = False
        self._work = slices.Slices(self._making(copy, stamp))

    def advance(self, most_bytes: int) -> bool:
        """Go on, for about so many bytes; tells whether it is done."""
        return self._work.advance(most_bytes)

    @property
    def carried(self) -> operations.Carried:
        """How the change ended."""
        return self._work.result

    def take(self) -> documents.Document:
        """Hand over the copy, which is what the document is to be now."""
        assert self._edit is not None, "a change that was carried out has an edit"
        self._is_taken = True
        return self._edit.document

    def taken_apart(self) -> Iterator[None]:
        """Give the memory back piece by piece of what was not taken."""
        self._work.give_up()
        if self._edit is not None:
            yield from self._edit.taken_apart()
            if not self._is_taken:
                yield from self._edit.document.taken_apart()

    def _making(self, copy: LocalCopy, stamp: Mapping[str, str]) -> slices.Work[operations.Carried]:
        document = yield from self._original.copying()
        self._edit = _EditOfCopy(document, operations.MAX_STEPS)
        carried = yield from operations.carrying_out(
            self._edit,
            self.change.operations,
            copy.rules,
            stamp=stamp,
            dry_run=self.change.dry_run,
            status_only=not api.touches_configuration(self.change.operations),
            guard=copy.guard(self.change.origin, document),
        )
        if carried.patch:
            yield from document.preparing()
        return carried


class _EditOfCopy(edits.Edit):
    """An edit of a copy that nobody has seen: it is thrown away instead of taken back."""

    def __init__(self, document: documents.Document, most_steps: int) -> None:
        super().__init__(document, most_steps)
        self._given: list[documents.Document] = []

    def outlives(self, given: documents.Document) -> None:
        """Keep what was read, to take it apart piece by piece."""
        self._given.append(given)

    def undo(self) -> None:
        """Leave it as it is."""

    def taken_apart(self) -> Iterator[None]:
        """Give the memory back piece by piece of what was read and of what was removed."""
        self._undo.clear()
        self._fresh.clear()
        self._lengths.clear()
        self.reversals.clear()
        while self.changes:
            removes = isinstance(self.changes.pop(), edits.Deleted)
            if removes or not len(self.changes) % _FREED_AT_ONCE:
                documents.tidy_up()
                yield
        while self._given:
            yield from self._given.pop().taken_apart()
