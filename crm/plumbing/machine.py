"""What a protocol core is: events in, effects out, and the time is given.

A *machine* never reads a clock, a file, a socket or the environment. Its shell turns the outside
world into events, hands them to `receive` together with the monotonic time, and carries out the
effects it gets back, in list order. A timer is a question (`next_deadline`), so there is no stale
timer that could fire.

The vocabulary every machine shares stands here as well: what arrives over the local bus
(`MessageArrived`, `PeerConnected`, `PeerLost`), a request to end (`StopRequested`), and the
effects any machine may return (`Tell`, `Note`, `Exit`). Whether a peer still turns its event loop
is asked with `AskAlive` and answered by its shell: `PeerAlive`. Each room adds its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import msgspec

Event = TypeVar("Event", contravariant=True)
Effect = TypeVar("Effect")


class Machine(Protocol[Event, Effect]):
    """A sans-I/O core: the shape of every protocol in this project."""

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in something that happened; `now` is monotonic seconds."""
        ...

    def tick(self, now: float) -> list[Effect]:
        """Act on the deadline that has come; harmless when called early."""
        ...

    def next_deadline(self) -> float | None:
        """Say when to call `tick` (monotonic seconds), or None when nothing is due."""
        ...


# --- events any machine may receive -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A typed message came over the local bus from the process called `peer`."""

    peer: str
    message: msgspec.Struct


class Caller(NamedTuple):
    """Who is at the other end of a local socket, by the word of the kernel."""

    uid: int
    gid: int
    pid: int


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """The local process `peer` (or a new life of it) is ready to be told things.

    A server is told who the caller is; a dialler, and a machine in a simulation, is not.
    """

    peer: str
    caller: Caller | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PeerAlive:
    """The local process `peer`, asked by `AskAlive`, has answered: its event loop turns."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The local process `peer` is gone; what it was asked and did not answer is unknown."""

    peer: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """This process was asked to end in order (SIGTERM)."""


# --- effects any machine may return -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Send `message` to the local process `peer` over the bus."""

    peer: str
    message: msgspec.Struct


@dataclass(frozen=True, slots=True)
class AskAlive:
    """Ask the local process `peer`, which dialled us, for a sign of life."""

    peer: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the conversation with the local process `peer`, which dialled us: both sides lose it."""

    peer: str


@dataclass(frozen=True, slots=True)
class Note:
    """Write one line to the log.

    `level` is a `logging` level; `entity` is the classic name in front of the line (heartbeat,
    ccm, crmd, pengine, tengine, IPaddr …), which may differ from the process that writes it.
    """

    level: int
    entity: str
    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End this process with `code` once all earlier effects are carried out."""

    code: int


def debug(entity: str, text: str) -> Note:
    """Note a detail, off by default."""
    return Note(logging.DEBUG, entity, text)


def info(entity: str, text: str) -> Note:
    """Note that a state changed."""
    return Note(logging.INFO, entity, text)


def notice(entity: str, text: str) -> Note:
    """Note a decision an administrator wants to see (between info and warning)."""
    return Note(NOTICE, entity, text)


def warn(entity: str, text: str) -> Note:
    """Note that something was lost and coped with."""
    return Note(logging.WARNING, entity, text)


def error(entity: str, text: str) -> Note:
    """Note that an administrator must act."""
    return Note(logging.ERROR, entity, text)


NOTICE = 25
"""The syslog level `notice`, which Python's logging lacks, between INFO and WARNING."""
