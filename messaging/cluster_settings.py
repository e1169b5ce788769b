"""What ha.cf says, as values: nodes, media, ping nodes, deadlines, programs to run.

Responsible for the meaning of the settings and for what follows from them (the lease, the
parameters told to clients). Not responsible for reading text (`ha_cf`) or for files (`daemon`).
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from messaging.quorum import CHAIN_WITH_SERVER, DEFAULT_CHAIN, Electorate

DEFAULT_PORT = 694
QUORUM_VARIABLE = "quorum"
"""The variable (of an `env` line) that states the chain of quorum plugins, as HA_quorum does."""

DEFAULT_BAUD = 19200
DEFAULT_QUORUM_PORT = 5561
DEFAULT_CLUSTER = "linux-ha"


class MediumKind(enum.Enum):
    """How packets travel over one network."""

    UCAST = "ucast"
    BCAST = "bcast"
    MCAST = "mcast"
    UCAST6 = "ucast6"
    MCAST6 = "mcast6"
    SERIAL = "serial"


@dataclass(frozen=True)
class Medium:
    """One media line: the interface is also the name of the link, as the logs print it.

    A serial line has its device file for an interface, and a `baud` rate instead of a port.
    """

    kind: MediumKind
    device: str
    port: int = DEFAULT_PORT
    address: str = ""
    ttl: int = 1
    loop: int = 0
    baud: int = 0


@dataclass(frozen=True)
class PingTarget:
    """A host, or a group of hosts, that is pinged and shown as a node of its own kind."""

    name: str
    hosts: tuple[str, ...]
    by_ipv6: bool = False
    """Whether the names of its hosts are looked up as addresses of IPv6."""

    def is_asked_by_ipv6(self, host: str) -> bool:
        """Whether one of its hosts is pinged over IPv6; an address says that itself."""
        return self.by_ipv6 or ":" in host


@dataclass(frozen=True)
class RespawnLine:
    """A program that runs while the node is active. `failfast` ends the node when it dies."""

    user: str
    command: str
    failfast: bool = False
    line: int = 0


@dataclass(frozen=True)
class ApiRight:
    """Which users and groups may register under the name of a client (`apiauth`)."""

    client: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Timing:
    """The deadlines of a cluster, in seconds.

    `initdead_s` stands in for `deadtime_s` until communication is up for the first time.
    """

    keepalive_s: float = 1.0
    deadtime_s: float = 30.0
    warntime_s: float = 15.0
    initdead_s: float = 30.0
    deadping_s: float = 30.0

    @functools.cached_property
    def lease_s(self) -> float:
        """How long a confirmation that a peer hears us keeps it in our quorum.

        It is shorter than the deadtime, so that a node that lost its quorum lets go before the
        others may take over.

        Source: docs/protocol/membership.md, "The quorum lease".
        """
        margin = max(1.5 * self.keepalive_s, min(2.0, self.deadtime_s / 3))
        return max(2 * self.keepalive_s, self.deadtime_s - margin)

    @functools.cached_property
    def margin_s(self) -> float:
        """How long a node that must let go has before others may act."""
        return max(self.deadtime_s - self.lease_s, 0.0)

    @functools.cached_property
    def suspicion_s(self) -> float:
        """The silence after which a peer is probed."""
        return 1.25 * self.keepalive_s

    @functools.cached_property
    def doubt_s(self) -> float:
        """How old the confirmation of a peer that is heard may become before it is probed.

        A confirmation comes back with the peer's next heartbeat, so in a quiet cluster it is up to
        two keepalives old. Where the lease is long enough nobody probes for that alone.
        """
        patient = 2.25 * self.keepalive_s
        return patient if self.lease_s >= patient + 0.75 * self.keepalive_s else self.suspicion_s

    @functools.cached_property
    def trust_s(self) -> float:
        """How old the confirmation of a peer may become before an arbitrator is asked without it.

        Probes have gone out by then, and three quarters of the rest of the lease are left.
        """
        return self.doubt_s + max(self.lease_s - self.doubt_s, 0.0) / 4

    @functools.cached_property
    def probe_interval_s(self) -> float:
        """How often a suspect is probed: at least eight times before the lease ends."""
        spare = max(self.lease_s - self.doubt_s, 0.0)
        return max(min(self.keepalive_s / 4, spare / 8), 0.005)

    @functools.cached_property
    def drowsy_s(self) -> float:
        """A lateness of its own above this makes a node doubt itself before others."""
        return max(self.keepalive_s / 2, 0.05)

    @functools.cached_property
    def grace_s(self) -> float:
        """How long a node listens after it was late before it believes in a silence."""
        return min(2 * self.keepalive_s, self.deadtime_s / 4)

    @functools.cached_property
    def enquiry_s(self) -> float:
        """How long before a peer's deadline the others are asked whether they hear it."""
        return min(self.deadtime_s / 4, 2.0)

    @functools.cached_property
    def stall_s(self) -> float:
        """How long messages to a peer that is heard may stand still before the contact ends."""
        return max(2 * self.deadtime_s, 10.0)

    @functools.cached_property
    def update_s(self) -> float:
        """The fallback after which an unfinished membership round is begun again."""
        return min(5 * self.keepalive_s, self.deadtime_s)


@dataclass(frozen=True)
class LogSettings:
    """Where log lines go; `facility` "" means no syslog was asked for."""

    logfile: str = ""
    debugfile: str = ""
    facility: str = ""
    use_logd: bool | None = None
    debug: int = 0
    syslog_format: bool = True


@dataclass(frozen=True)
class ClusterSettings:
    """Everything an ha.cf states, checked as a whole."""

    nodes: tuple[str, ...]
    media: tuple[Medium, ...]
    pings: tuple[PingTarget, ...] = ()
    respawns: tuple[RespawnLine, ...] = ()
    api_rights: tuple[ApiRight, ...] = ()
    timing: Timing = field(default_factory=Timing)
    cluster: str = DEFAULT_CLUSTER
    autojoin: str = "none"
    """Which unlisted nodes may join: none, other (this node is listed), any."""

    crm: bool = True
    only_membership: bool = False
    """`crm ccm-only`: nothing that manages resources is started."""

    auto_failback: str = "legacy"
    watchdog: str = ""
    watchdog_timer_s: int = 0
    hopfudge: int = 1
    realtime: bool = True
    rtprio: int = 1
    compression: str = "zlib"
    compression_threshold_bytes: int = 2048
    log: LogSettings = field(default_factory=LogSettings)
    environment: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)
    quorum_server: str = ""
    quorum_port: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        """The word clients are told: "crm" or "haresources"."""
        return "crm" if self.crm else "haresources"

    @functools.cached_property
    def electorate(self) -> Electorate:
        """Who votes with what weight, and by which plugins."""
        stated = self.environment.get(QUORUM_VARIABLE, "")
        default = CHAIN_WITH_SERVER if self.quorum_server else DEFAULT_CHAIN
        chain = tuple(stated.split(":")) if stated else default
        server = f"{self.quorum_server}:{self.quorum_port}" if self.quorum_server else ""
        return Electorate(self.nodes, self.weights, chain, server)

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the links, each once, in the order of the file."""
        return tuple(dict.fromkeys(medium.device for medium in self.media))

    @property
    def slow_links(self) -> frozenset[str]:
        """The links that carry heartbeats well, and everything else slowly."""
        return frozenset(medium.device for medium in self.media if medium.kind is MediumKind.SERIAL)

    @property
    def sorted_nodes(self) -> tuple[str, ...]:
        """The nodes by name: the index in this list is the classic node id."""
        return tuple(sorted(self.nodes))

    def peers_of(self, node: str) -> tuple[str, ...]:
        """The other nodes, by name."""
        return tuple(name for name in self.sorted_nodes if name != node)
