"""Reading a whole copy that another cib has sent, a slice at a time.

A document of many nodes takes longer to read than an event loop may stand still, so it comes in
pieces (`wire.Snapshot`) that are read between other events. Responsible for putting it together;
not for what is done with it (`replica`, `mastery`).

Source: docs/protocol/cib.md, "Between nodes".
"""

from __future__ import annotations

from crm.cib import slices, wire
from crm.cib.document import Document
from crm.cib.texts import Measure
from crm.plumbing import xml
from crm.plumbing.codec import MAX_MESSAGE_BYTES
from crm.plumbing.errors import RemoteProtocolError

_CHEAPER = 4
"""Comparing costs so much less than reading."""

_HASHING = 2_000
"""Hashing an object costs as much as reading so many bytes."""


class Reading:
    """One snapshot on its way from bytes to a document.

    When `advance` has said True, `document` is what was sent, or None if that is what `own` is.
    """

    def __init__(self, snapshot: wire.Snapshot, own: Document) -> None:
        self.snapshot = snapshot
        self.document: Document | None = None
        self._own = own
        self._work = slices.Slices(self._steps())

    def advance(self, most_bytes: int) -> bool:
        """Read on, for about so many bytes; tells whether all is read.

        Raises: RemoteProtocolError or ConfigurationError if it cannot be read.
        """
        return self._work.advance(most_bytes)

    def _steps(self) -> slices.Work[None]:
        """Do one thing after the other; gives the size of each."""
        texts: list[bytes] = []
        is_same = True
        total = 0
        for number, packed in enumerate(self.snapshot.pieces):
            text = wire.unpack(packed)
            total += len(text)
            if total > MAX_MESSAGE_BYTES:
                raise RemoteProtocolError(f"a snapshot exceeds {MAX_MESSAGE_BYTES} bytes")
            is_same = is_same and text == self._own.piece(number)
            texts.append(text)
            yield len(text) // _CHEAPER
        if is_same and self._own.piece(len(texts)) is None:
            return
        if not texts:
            raise RemoteProtocolError("a snapshot is empty")
        document = Document.parse(texts[0])
        measure = Measure.of(texts[0])
        yield len(texts[0])
        for text in texts[1:]:
            state = xml.parse(text, keep_comments=True)
            document.status.append(state)
            document.enter(state)
            measure += Measure.of(text)
            yield len(text)
        document.measure = measure
        for _ in document.hash_objects():
            yield _HASHING
        self.document = document
