"""Who is heard: links, node states, probes, the contact with each peer, the quorum lease.

Responsible for deciding, from what is heard and when, whether a peer can be worked with. Not
responsible for keys (`auth`), for messages that must arrive (`delivery`), for agreeing with others
on a list (`ccm`), nor for ping nodes (`pings`).

Theory of operation. Every node speaks a `Status` to all each keepalive and at each own change. It
says of every peer which life of it is heard and the latest *stamp* of it. A stamp is the
speaker's own clock and comes back as an echo, so each node knows a moment of its own past at
which it was certainly heard: `confirmed_at`. A peer that is silent for longer than 1.25 keepalives,
or confirms nothing for longer than `Timing.doubt_s`, is probed until it answers; probes are tiny
and answered at once.

A *contact* is two-way: we know a living session of the peer, and it has confirmed ours within the
lease. It is named by that session and two counters, the *epochs*: each side counts how often it
gave the other up. When either count moves the contact is another one, and both sides know that
messages between the two were lost.

A contact ends when (1) the peer is silent for its deadtime; (2) what it says shows that it has
been deaf to us for its deadtime; (3) our quorum rests on confirmations, and those younger than
the lease are too few: then all older ones end at once; (4) the peer restarted, took its leave, or
gave us up. (3) comes before (1) at the other end, by `Timing.margin_s`.

May be lost: every packet here. Nothing waits for a particular one.

Source: docs/protocol/links.md, docs/protocol/membership.md "The quorum lease".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from crm.api.membership import LinkStatus, NodeKind, NodeStatus
from crm.plumbing.machine import Note, error, info, warn
from messaging import frame, quorum
from messaging.cluster_settings import ClusterSettings, Timing
from messaging.standing import ShowLink, ShowNode

NEVER = float("-inf")
ASK_PAUSE_S = 0.005


class Contact(NamedTuple):
    """What names one undisturbed time of talking with a peer."""

    session: bytes
    my_epoch: int
    peer_epoch: int


# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A peer proved that this session is its living one."""

    peer: str
    session: bytes


@dataclass(frozen=True, slots=True)
class PacketHeard:
    """A believed packet came over a link; `message` is its content if that concerns links."""

    peer: str
    session: bytes
    link: str
    source: str
    message: frame.Status | frame.Beat | None


@dataclass(frozen=True, slots=True)
class QuorateViewChanged:
    """The names of the quorate view this node is in, empty when it is in none."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerTookLeave:
    """A peer said that it ends in order."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerOverran:
    """More waits for a peer than may wait: it counts as dead."""

    peer: str


Event = SessionOpened | PacketHeard | QuorateViewChanged | PeerTookLeave | PeerOverran

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

    `is_restart`: a new life of the peer is heard already.
    """

    peer: str
    is_restart: bool = False


@dataclass(frozen=True, slots=True)
class BecomeActive:
    """Every configured node is heard or accounted for: clients may run."""


Effect = Broadcast | SayTo | MakeContact | EndContact | ShowNode | ShowLink | BecomeActive | Note


@dataclass
class LinkState:
    """One medium towards one peer."""

    heard_at: float = NEVER
    status: LinkStatus = LinkStatus.DEAD
    source: str = ""


@dataclass
class PeerState:
    """Everything known of one peer. Times are monotonic seconds of this node."""

    node: str
    deadtime_s: float
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
    confirmed_at: float = NEVER
    my_epoch: int = 0
    peer_epoch: int = -1
    epoch_told: int = -1
    contact: Contact | None = None
    ever_in_contact: bool = False
    was_dead: bool = False
    probed_at: float = NEVER

    @property
    def is_reachable(self) -> bool:
        """Whether its life is known and has not taken its leave."""
        return bool(self.session) and self.session != self.left_session


class Links:
    """The machine: hears packets, judges peers, decides when this node is active."""

    def __init__(
        self,
        settings: ClusterSettings,
        *,
        node: str,
        session: bytes,
        uuid: str,
        now: float,
    ) -> None:
        self._timing = settings.timing
        self._node = node
        self._session = session
        self._uuid = uuid
        self._total = len(settings.nodes)
        self._status = NodeStatus.UP
        self._members: tuple[str, ...] = ()
        self._started_at = now
        self._status_due = now
        self._looked_at = now
        self.peers = {
            name: PeerState(name, settings.timing.deadtime_s) for name in settings.peers_of(node)
        }

    # --- the machine ------------------------------------------------------------------------

    def adjust(self, timing: Timing) -> None:
        """Take over deadlines that may change while we run (`ha_cf.changes`)."""
        self._timing = timing

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what was heard or decided."""
        match event:
            case PacketHeard():
                effects = self._hear(event, now)
            case SessionOpened(peer, session):
                effects = self._open_session(self.peers[peer], session, now)
            case QuorateViewChanged(members):
                self._members = members
                effects = self._speak(now)
            case PeerTookLeave(peer):
                effects = self._take_leave(self.peers[peer], now)
            case PeerOverran(peer):
                effects = self._bury(self.peers[peer], now, "does not take what is sent to it")
        return effects + self._check_lease(now) + self._consider_active(now)

    def tick(self, now: float) -> list[Effect]:
        """Speak, probe, and give up, as the time demands."""
        effects: list[Effect] = []
        if now - self._looked_at > self._timing.deadtime_s:
            effects.append(
                error(
                    "heartbeat",
                    f"No local heartbeat for {_ms(now - self._looked_at)} ms:"
                    " this process was stopped or starved",
                )
            )
        self._looked_at = now
        effects += self._check_lease(now)
        for peer in self.peers.values():
            effects += self._check_peer(peer, now)
        if now >= self._status_due:
            effects += self._speak(now)
        for peer in self.peers.values():
            due = self._probe_due(peer)
            if due is not None and now >= due:
                effects += self._ask(peer, now)
        return effects + self._consider_active(now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = [self._status_due]
        initdead = self._started_at + self._timing.initdead_s
        for peer in self.peers.values():
            if peer.contact is not None:
                deadlines.append(peer.heard_at + peer.deadtime_s)
                lease_end = peer.confirmed_at + self._timing.lease_s
                if lease_end > self._looked_at:
                    deadlines.append(lease_end)
            elif peer.shown is NodeStatus.INIT:
                deadlines.append(initdead)
            due = self._probe_due(peer)
            if due is not None:
                deadlines.append(due)
            for link in peer.links.values():
                if link.status is LinkStatus.UP:
                    deadlines.append(link.heard_at + peer.deadtime_s)
        if self._status is NodeStatus.UP:
            trust = self._started_at + self._timing.deadtime_s
            deadlines.append(trust if trust > self._looked_at else max(initdead, self._looked_at))
        return min(deadlines)

    # --- speaking ---------------------------------------------------------------------------

    def _speak(self, now: float) -> list[Effect]:
        """The heartbeat."""
        self._status_due = now + self._timing.keepalive_s
        hearings = {
            peer.node: self._hearing(peer) for peer in self.peers.values() if peer.is_reachable
        }
        status = frame.Status(
            status=self._status.value,
            stamp=_stamp(now),
            deadtime_ms=_ms(self._timing.deadtime_s),
            keepalive_ms=_ms(self._timing.keepalive_s),
            uuid=self._uuid,
            nodes=self._total,
            hearings=hearings,
            members=self._members,
        )
        return [Broadcast(status)]

    def _hearing(self, peer: PeerState) -> frame.Hearing:
        return frame.Hearing(peer.session, peer.stamp, peer.my_epoch, peer.peer_epoch)

    def _beat(self, peer: PeerState, now: float, *, ask: bool) -> SayTo:
        hearing = self._hearing(peer) if peer.session else None
        return SayTo(peer.node, frame.Beat(peer.node, ask, _stamp(now), hearing))

    def _ask(self, peer: PeerState, now: float) -> list[Effect]:
        peer.probed_at = now
        return [self._beat(peer, now, ask=True)]

    def _probe_due(self, peer: PeerState) -> float | None:
        """When the peer is to be probed next, if it is under suspicion at all."""
        if not peer.is_reachable:
            return None
        if peer.contact is not None:
            timing = self._timing
            suspect_at = min(peer.heard_at + timing.suspicion_s, peer.confirmed_at + timing.doubt_s)
            return max(suspect_at, peer.probed_at + self._timing.probe_interval_s)
        if self._looked_at - peer.heard_at > self._timing.deadtime_s:
            return None
        return peer.probed_at + max(self._timing.keepalive_s / 4, ASK_PAUSE_S)

    # --- hearing ----------------------------------------------------------------------------

    def _hear(self, event: PacketHeard, now: float) -> list[Effect]:
        peer = self.peers[event.peer]
        if event.session != peer.session or not peer.is_reachable:
            return []
        effects = self._hear_link(peer, event.link, event.source, now)
        message = event.message
        if isinstance(message, frame.Status):
            effects += self._hear_status(peer, message, now)
            effects += self._hear_hearing(
                peer, message.hearings.get(self._node), message.stamp, now
            )
        elif isinstance(message, frame.Beat):
            effects += self._hear_hearing(peer, message.hearing, message.stamp, now)
            if message.ask:
                lacking = peer.contact is None and now - peer.probed_at >= ASK_PAUSE_S
                effects += self._ask(peer, now) if lacking else [self._beat(peer, now, ask=False)]
        return effects

    def _hear_link(self, peer: PeerState, name: str, source: str, now: float) -> list[Effect]:
        peer.heard_at = now
        link = peer.links.setdefault(name, LinkState())
        link.heard_at = now
        link.source = source
        if link.status is LinkStatus.UP:
            return []
        link.status = LinkStatus.UP
        return [
            info("heartbeat", f"Link {peer.node}:{name} up."),
            ShowLink(peer.node, name, LinkStatus.UP),
        ]

    def _hear_status(self, peer: PeerState, status: frame.Status, now: float) -> list[Effect]:
        effects: list[Effect] = []
        interval = now - peer.status_at
        if peer.contact is not None and interval > self._timing.warntime_s:
            text = f"Late heartbeat: Node {peer.node}: interval {_ms(interval)} ms"
            late = interval > peer.deadtime_s
            effects.append(
                error("heartbeat", f"{text} (> deadtime)") if late else warn("heartbeat", text)
            )
        peer.status_at = now
        if status.stamp < peer.stamp:
            return effects
        peer.deadtime_s = min(max(status.deadtime_ms / 1000, 0.05), 3600.0)
        peer.uuid = status.uuid
        peer.members = status.members
        try:
            peer.announced = NodeStatus(status.status)
        except ValueError:
            return effects
        if peer.contact is not None:
            effects += self._show(peer, peer.announced)
        return effects

    def _hear_hearing(
        self, peer: PeerState, hearing: frame.Hearing | None, stamp: int, now: float
    ) -> list[Effect]:
        """Learn how a peer hears us, and judge the contact anew."""
        latest = stamp >= peer.stamp
        peer.stamp = max(peer.stamp, stamp)
        if hearing is None or hearing.session != self._session:
            return []
        if hearing.echo:
            heard_us_at = _time(hearing.echo)
            if heard_us_at <= now:
                peer.confirmed_at = max(peer.confirmed_at, heard_us_at)
        if hearing.my_epoch < peer.peer_epoch or not latest:
            return self._consider_contact(peer, now)
        peer.peer_epoch = hearing.my_epoch
        peer.epoch_told = max(peer.epoch_told, hearing.your_epoch)
        if peer.contact is not None and now - peer.confirmed_at > peer.deadtime_s:
            return self._bury(peer, now, "does not hear us")
        return self._consider_contact(peer, now)

    def _consider_contact(self, peer: PeerState, now: float) -> list[Effect]:
        """Make, keep or change the contact, by what both sides have said."""
        effects: list[Effect] = []
        agreed = Contact(peer.session, peer.my_epoch, peer.peer_epoch)
        if peer.contact == agreed:
            return effects
        if peer.contact is not None:
            peer.contact = None
            effects.append(EndContact(peer.node))
            effects += self._speak(now)
        ready = (
            peer.is_reachable
            and peer.announced not in (None, NodeStatus.DEAD)
            and peer.peer_epoch >= 0
            and peer.epoch_told == peer.my_epoch
            and now - peer.confirmed_at < self._timing.lease_s
        )
        if not ready:
            return effects
        if peer.was_dead:
            effects += [
                error("heartbeat", f"Cluster node {peer.node} returning after partition."),
                warn("heartbeat", "Deadtime value may be too small."),
            ]
        peer.was_dead = False
        peer.ever_in_contact = True
        peer.contact = agreed
        effects.append(MakeContact(peer.node, agreed))
        assert peer.announced is not None
        effects += self._show(peer, peer.announced)
        return [*effects, self._beat(peer, now, ask=False)]

    def _open_session(self, peer: PeerState, session: bytes, now: float) -> list[Effect]:
        """A new life of a peer: all that was known of the old one is void."""
        effects: list[Effect] = []
        if peer.session == session:
            return effects
        if peer.contact is not None:
            effects.append(EndContact(peer.node, is_restart=True))
        if peer.ever_in_contact:
            effects.append(info("heartbeat", f"Heartbeat restart on node {peer.node}"))
        peer.session = session
        peer.announced = None
        peer.members = ()
        peer.stamp = 0
        peer.confirmed_at = NEVER
        peer.status_at = NEVER
        peer.heard_at = now
        peer.peer_epoch = -1
        peer.epoch_told = -1
        peer.contact = None
        peer.was_dead = False
        return effects + self._speak(now) + self._ask(peer, now)

    # --- giving up --------------------------------------------------------------------------

    def _check_peer(self, peer: PeerState, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if peer.contact is not None:
            if now >= peer.heard_at + peer.deadtime_s:
                return self._bury(peer, now, f"silent for {_ms(now - peer.heard_at)} ms")
        elif peer.shown is NodeStatus.INIT and now >= self._started_at + self._timing.initdead_s:
            effects.append(warn("heartbeat", f"node {peer.node}: is dead"))
            effects += self._show(peer, NodeStatus.DEAD)
        for name, link in peer.links.items():
            if link.status is LinkStatus.UP and now >= link.heard_at + peer.deadtime_s:
                effects += _kill_link(peer, name)
        return effects

    def _check_lease(self, now: float) -> list[Effect]:
        """Let go in time: give up every stale contact if the fresh ones are no quorum."""
        lease = self._timing.lease_s
        in_contact = [peer for peer in self.peers.values() if peer.contact is not None]
        stale = [peer for peer in in_contact if now >= peer.confirmed_at + lease]
        if not stale or not quorum.has_quorum(1 + len(in_contact), self._total):
            return []
        if quorum.has_quorum(1 + len(in_contact) - len(stale), self._total):
            return []
        effects: list[Effect] = []
        for peer in stale:
            effects += self._bury(
                peer, now, f"has not confirmed hearing us for {_ms(now - peer.confirmed_at)} ms"
            )
        return effects

    def _bury(self, peer: PeerState, now: float, reason: str) -> list[Effect]:
        """Declare a peer dead; it has to make contact anew."""
        if peer.contact is None:
            return []
        peer.contact = None
        peer.my_epoch += 1
        peer.was_dead = True
        effects: list[Effect] = [
            warn("heartbeat", f"node {peer.node}: is dead"),
            info("heartbeat", f"node {peer.node} {reason}"),
        ]
        for name, link in peer.links.items():
            if link.status is LinkStatus.UP and now >= link.heard_at + self._timing.lease_s:
                effects += _kill_link(peer, name)
        effects.append(EndContact(peer.node))
        effects += self._show(peer, NodeStatus.DEAD)
        return effects + self._speak(now)

    def _take_leave(self, peer: PeerState, now: float) -> list[Effect]:
        peer.left_session = peer.session
        effects: list[Effect] = [info("heartbeat", f"Received shutdown notice from '{peer.node}'.")]
        if peer.contact is not None:
            peer.contact = None
            peer.my_epoch += 1
            effects.append(EndContact(peer.node))
        for name, link in peer.links.items():
            if link.status is LinkStatus.UP:
                effects += _kill_link(peer, name)
        return effects + self._show(peer, NodeStatus.DEAD)

    def _show(self, peer: PeerState, status: NodeStatus) -> list[Effect]:
        if peer.shown is status:
            return []
        peer.shown = status
        text = f"Status update for node {peer.node}: status {status.value}"
        return [info("heartbeat", text), ShowNode(peer.node, NodeKind.NORMAL, status)]

    # --- becoming active --------------------------------------------------------------------

    def _consider_active(self, now: float) -> list[Effect]:
        if self._status is not NodeStatus.UP:
            return []
        if now < self._started_at + self._timing.initdead_s and not all(
            self._is_accounted_for(peer, now) for peer in self.peers.values()
        ):
            return []
        self._status = NodeStatus.ACTIVE
        return [
            info("heartbeat", "Comm_now_up(): updating status to active"),
            info("heartbeat", "Local status now set to: 'active'"),
            BecomeActive(),
            *self._speak(now),
        ]

    def _is_accounted_for(self, peer: PeerState, now: float) -> bool:
        """In contact, given up, or left out by the view of somebody in contact.

        A quorate view says it at once. Without quorum it counts after a deadtime only: until
        then a node that this one worked with in an earlier life may still rely on that life.
        """
        if peer.contact is not None or peer.shown is NodeStatus.DEAD:
            return True
        is_late = now >= self._started_at + self._timing.deadtime_s
        return any(
            other.contact is not None
            and other.announced is NodeStatus.ACTIVE
            and (other.members or is_late)
            and peer.node not in other.members
            for other in self.peers.values()
        )


def _kill_link(peer: PeerState, name: str) -> list[Effect]:
    peer.links[name].status = LinkStatus.DEAD
    return [
        info("heartbeat", f"Link {peer.node}:{name} dead."),
        ShowLink(peer.node, name, LinkStatus.DEAD),
    ]


def _stamp(now: float) -> int:
    """A moment as a stamp: never zero, which means "nothing heard"."""
    return int(now * 1e6) + 1


def _time(stamp: int) -> float:
    return (stamp - 1) / 1e6


def _ms(seconds: float) -> int:
    return round(min(max(seconds, 0.0), 1e9) * 1000)
