"""What comes to the machine of `heartbeat`, and what it wants done.

Responsible for the words between `core` and its shell only: events in the past tense, effects in
the imperative. What the parts of the machine say to each other is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crm.plumbing.machine import (
    AskAlive,
    Exit,
    HangUp,
    MessageArrived,
    Note,
    PeerAlive,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
)
from messaging import arbitration, children, nodelist, pings, rotation, watchdog
from messaging.authkeys import KeyFile
from messaging.cluster_settings import ClusterSettings

COUNT_EVERY_S = 1.0
"""How often the shell looks how many datagrams the kernel has dropped."""

# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The media are open: begin. `packet_bytes` is, by link, how long packets it carries uncut."""

    packet_bytes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatagramArrived:
    """Bytes from anybody came in on a link; `source` is where an answer would go.

    `age_s` is how long they lay in the socket, by the kernel's stamp.
    """

    link: str
    source: str
    data: bytes
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PacketsDropped:
    """The kernel dropped so many datagrams in the last `COUNT_EVERY_S`: junk, or too many."""

    count: int


@dataclass(frozen=True, slots=True)
class KeysRead:
    """A changed authkeys file was accepted."""

    keys: KeyFile


@dataclass(frozen=True, slots=True)
class SettingsRead:
    """A changed ha.cf was accepted; these settings hold from now on."""

    settings: ClusterSettings


Event = (
    Started
    | DatagramArrived
    | PacketsDropped
    | KeysRead
    | rotation.KeysWritten
    | SettingsRead
    | pings.EchoArrived
    | arbitration.ServerAnswered
    | children.ChildStarted
    | children.ChildEnded
    | MessageArrived
    | PeerAlive
    | PeerConnected
    | PeerLost
    | StopRequested
)

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send bytes on a link: to `destination`, or to all it reaches when that is "".

    `is_bulk`: they may wait while anything else is sent.
    """

    link: str
    data: bytes
    destination: str = ""
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class KeepNodes:
    """Keep this list of nodes on disk; `uuids` as far as they are known."""

    nodes: nodelist.NodeList
    uuids: tuple[tuple[str, str], ...]


Effect = (
    SendDatagram
    | KeepNodes
    | pings.SendEcho
    | arbitration.AskServer
    | children.StartChild
    | children.SignalChild
    | rotation.WriteKeys
    | watchdog.ShowLife
    | watchdog.Disarm
    | AskAlive
    | HangUp
    | Tell
    | Note
    | Exit
)
