"""What comes to `links`, what it wants done, and whose fault the end of a contact is.

Responsible for the words alone, as `events` is for those between `core` and its shell.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from crm.plumbing.machine import Note
from messaging import frame
from messaging.quorum import Rulings
from messaging.standing import NEVER, Contact, ShowLink, ShowNode


class Fault(enum.Enum):
    """Where the fault lies for which a contact is given up."""

    DEAD = enum.auto()
    """Nobody hears the peer."""

    PATH = enum.auto()
    """It lives, but one of the ways between it and this node is broken."""

    LEASE = enum.auto()
    """Neither is known yet, but this node may not rely on the peer any longer."""

    OWN = enum.auto()
    """This node did not run for a while."""


# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A peer proved that this session is its living one."""

    peer: str
    session: bytes


@dataclass(frozen=True, slots=True)
class PacketHeard:
    """A believed packet came over a link; `message` is its content if that concerns links.

    `age_s` is how long it lay in a socket of this node before it was read.
    """

    peer: str
    session: bytes
    link: str
    source: str
    message: frame.Status | frame.Beat | None
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CopyHeard:
    """What was heard before came over another link too: it says of that link that it works.

    Of the peer it says nothing new: a recording held back by somebody keeps no dead node alive.
    """

    peer: str
    session: bytes
    link: str
    source: str
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class QuorateViewChanged:
    """The names of the quorate view this node is in, empty when it is in none."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    """Arbitrators have told this node something else, or the same for longer."""

    rulings: Rulings


@dataclass(frozen=True, slots=True)
class PeerTookLeave:
    """A peer said that it ends in order."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerOverran:
    """More waits for a peer than may wait: nothing more can be sent to it."""

    peer: str


Event = (
    SessionOpened
    | PacketHeard
    | CopyHeard
    | QuorateViewChanged
    | Ruled
    | PeerTookLeave
    | PeerOverran
)

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Say this to every peer, on every link."""

    message: frame.Status


@dataclass(frozen=True, slots=True)
class SayTo:
    """Say this to one peer, on every link it may be heard on."""

    peer: str
    message: frame.Beat


@dataclass(frozen=True, slots=True)
class MakeContact:
    """Begin streams with a peer; whatever was before is over."""

    peer: str
    contact: Contact


@dataclass(frozen=True, slots=True)
class EndContact:
    """End the streams with a peer; what was not delivered is lost.

    `is_restart`: a new life of the peer is heard already. `free_at`: when nothing that the peer got
    confirmed in this contact keeps it in a quorum any more, and its margin is over as well.
    """

    peer: str
    is_restart: bool = False
    free_at: float = NEVER


@dataclass(frozen=True, slots=True)
class BecomeActive:
    """Every configured node is heard or accounted for: clients may run."""


Effect = Broadcast | SayTo | MakeContact | EndContact | ShowNode | ShowLink | BecomeActive | Note
