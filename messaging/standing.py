"""What is known of a peer, and what is said of a node or a link when it changes.

Responsible for the values alone; `links` fills them, and who is told is decided by `core`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from crm.api.membership import LinkStatus, NodeKind, NodeStatus
from messaging.cluster_settings import Timing
from messaging.holdoff import HoldOff

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class ShowNode:
    """Tell clients what a node has become."""

    node: str
    kind: NodeKind
    status: NodeStatus


@dataclass(frozen=True, slots=True)
class ShowLink:
    """Tell clients that a link changed."""

    node: str
    link: str
    status: LinkStatus


class Contact(NamedTuple):
    """What names one undisturbed time of talking with a peer."""

    session: bytes
    my_epoch: int
    peer_epoch: int


@dataclass
class LinkState:
    """One medium towards one peer."""

    heard_at: float = NEVER
    status: LinkStatus = LinkStatus.DEAD
    source: str = ""


@dataclass
class PeerState:
    """Everything known of one peer. Times are monotonic seconds of this node.

    Its deadtime and keepalive are what it says itself; until then this node's own stand for them.
    """

    node: str
    deadtime_s: float
    keepalive_s: float = 0.0
    known_at: float = NEVER
    session: bytes = b""
    left_session: bytes = b""
    announced: NodeStatus | None = None
    shown: NodeStatus = NodeStatus.INIT
    uuid: str = ""
    members: tuple[str, ...] = ()
    links: dict[str, LinkState] = field(default_factory=dict)
    heard_at: float = NEVER
    status_at: float = NEVER
    stamp: int = 0
    stamp_at: float = NEVER
    trouble: str = ""
    """Why there is no contact, as the log and `ClusterDescription` say it."""

    confirmed_at: float = NEVER
    confirmed_missed_s: float = 0.0
    """What this node had missed in all at that moment."""

    my_epoch: int = 0
    peer_epoch: int = -1
    epoch_told: int = -1
    contact: Contact | None = None
    counted: Contact | None = None
    """The contact on which this node's quorum rests: the one there was when its view came."""

    holdoff: HoldOff = field(default_factory=HoldOff)
    holds_us_off: bool = False
    """Whether it says that it makes no contact with this node for now."""

    ever_in_contact: bool = False
    was_dead: bool = False
    probed_at: float = NEVER

    @property
    def is_reachable(self) -> bool:
        """Whether its life is known and has not taken its leave."""
        return bool(self.session) and self.session != self.left_session

    @property
    def margin_s(self) -> float:
        """How long it has to let go before others may act: that follows from its own deadtime."""
        return Timing(keepalive_s=self.keepalive_s, deadtime_s=self.deadtime_s).margin_s


def best_link(states: Mapping[str, LinkState], slow: Container[str]) -> str:
    """Choose the link that works, is quick, and was heard last."""
    return max(
        states,
        key=lambda name: (
            states[name].status is LinkStatus.UP and name not in slow,
            states[name].heard_at,
            name,
        ),
    )
