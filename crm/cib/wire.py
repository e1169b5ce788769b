"""What the cibs of two nodes say to each other.

Responsible for the messages alone; when they are said is the affair of `replica`. Nothing of
this is seen by another daemon.

Source: docs/protocol/cib.md, "Between nodes".
"""

from __future__ import annotations

import zlib

from crm.api.cib import Change, Finding, Origin, Outcome, Revision, Touched
from crm.cib.warrants import Standing, Warrant
from crm.model.version import Reign, Version
from crm.plumbing.codec import MAX_MESSAGE_BYTES, Codec, Message
from crm.plumbing.errors import RemoteProtocolError


class Hail(Message, frozen=True):
    """(Master) I rule from `reign` on: promise to follow nobody earlier, and say what you have."""

    reign: Reign


class Present(Message, frozen=True):
    """(Follower) what I have. `promised` beyond `reign` is a refusal. Also asks for a snapshot."""

    reign: Reign
    promised: Reign
    standing: Standing


class Give(Message, frozen=True, omit_defaults=True):
    """(Master) yours is the better copy: send it. `standing` is what I have."""

    reign: Reign
    standing: Standing | None = None


class Snapshot(Message, frozen=True, omit_defaults=True):
    """A whole document. From the master it is to be installed, to it to be judged.

    It comes in pieces, each packed: first all but what stands in the status, then each node state.
    `history` are the revisions that the receiver's copy lacks, from the last one both have on.
    `life` is that of the master's process: two of them may take the same reign, if the promise of
    the first was not on its disk when it died.
    """

    reign: Reign
    sequence: int
    warrant: Warrant
    pieces: tuple[bytes, ...]
    history: tuple[Revision, ...] = ()
    life: int = 0


class Replicated(Message, frozen=True, omit_defaults=True):
    """One change, as the master made it. Units: `at` in seconds since 1970."""

    before: Version
    after: Version
    patch: bytes
    touched: tuple[Touched, ...]
    origin: Origin
    replaced: bool = False
    at: float = 0


class Apply(Message, frozen=True, omit_defaults=True):
    """(Master) make these changes, in this order.

    With `digest` the configuration was changed: it has this digest and this warrant afterwards, and
    the follower acknowledges once both are durable. Without changes it is the warrant that is new.
    """

    reign: Reign
    sequence: int
    warrant: Warrant
    changes: tuple[Replicated, ...]
    digest: str = ""


class Acknowledge(Message, frozen=True, omit_defaults=True):
    """(Follower) all up to `sequence` is applied and durable, or cannot be made so (`problem`).

    `is_broken` says that the disk will not get well by itself. `life` is that of the master who
    installed this follower.
    """

    reign: Reign
    sequence: int
    problem: str = ""
    is_broken: bool = False
    life: int = 0


class Dismiss(Message, frozen=True):
    """(Master) your disk is broken and we are enough without you: leave the cluster."""

    reign: Reign


class Forward(Message, frozen=True):
    """(Follower) a change of a client of mine; answered by `Forwarded` with the same token."""

    token: int
    change: Change


class Forwarded(Message, frozen=True, omit_defaults=True):
    """How a forwarded change ended. `not_master`: nothing was done, ask somebody else.

    The client is told when its node's copy is at `sequence` of `reign`, so that it finds there what
    it is told of.
    """

    token: int
    outcome: Outcome
    version: Version = Version()
    findings: tuple[Finding, ...] = ()
    xml: bytes = b""
    not_master: bool = False
    reign: Reign = Reign()
    sequence: int = 0


PEERS = Codec(Hail, Present, Give, Snapshot, Apply, Acknowledge, Dismiss, Forward, Forwarded)


def pack(document: bytes) -> bytes:
    """Make a document small for its way; speed counts more than the last percent."""
    return zlib.compress(document, 1)


def unpack(packed: bytes) -> bytes:
    """Take a packed document out again.

    Raises: RemoteProtocolError if it is damaged or larger than any message may be.
    """
    reader = zlib.decompressobj()
    try:
        document = reader.decompress(packed, MAX_MESSAGE_BYTES)
    except zlib.error as problem:
        raise RemoteProtocolError(f"a snapshot is damaged: {problem}") from problem
    if not reader.eof:
        raise RemoteProtocolError(f"a snapshot is cut off or exceeds {MAX_MESSAGE_BYTES} bytes")
    return document
