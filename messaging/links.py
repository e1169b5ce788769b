"""Who is heard: links, node states, probes, the contact with each peer, the quorum lease.

Responsible for deciding, from what is heard and when, whether a peer can be worked with. Not
responsible for keys (`auth`), for messages that must arrive (`delivery`), for agreeing with others
on a list (`ccm`), nor for ping nodes (`pings`).

Theory of operation. Every node speaks a `Status` to all each keepalive and at each own change. It
says of every peer which life of it is heard and the latest *stamp* of it. A stamp is the
speaker's own clock and comes back as an echo, so each node knows a moment of its own past at
which it was certainly heard: `confirmed_at`. A peer that is silent for longer than 1.25 keepalives,
or confirms nothing for longer than `Timing.doubt_s`, is probed until it answers; probes are tiny
and answered at once. Before its deadline the others are asked about it as well (`suspicion`).

A *contact* is two-way: we know a living session of the peer, and it has confirmed ours within the
lease. It is named by that session and two counters, the *epochs*: each side counts how often it
gave the other up. When either count moves the contact is another one, and both sides know that
messages between the two were lost.

A contact ends when (1) the peer is silent for its deadtime; (2) what it says shows that it has
been deaf to us for its deadtime; (3) our quorum rests on confirmations, and those younger than
the lease are too few: then all older ones end at once; (4) the peer restarted, took its leave, or
gave us up. (3) comes before (1) at the other end, by `Timing.margin_s`.

Who gives up a contact says whose fault it is: a peer that nobody hears is *dead*; one that others
hear is *cut off* from this node, and membership decides who stays (`ccm`); after a time in which
this node did not run it accuses nobody, but lets go what it may not hold any longer.

May be lost: every packet here. Nothing waits for a particular one.

Source: docs/protocol/links.md, docs/protocol/membership.md "The quorum lease".
"""

from __future__ import annotations

import math

from crm.api.membership import LinkStatus, NodeKind, NodeStatus
from crm.plumbing.machine import error, info, warn
from messaging import frame, link_watch
from messaging.activation import Activation
from messaging.cluster_settings import ClusterSettings, Timing
from messaging.holdoff import HoldOff
from messaging.link_events import (
    BecomeActive,
    Broadcast,
    CopyHeard,
    Effect,
    EndContact,
    Event,
    Fault,
    MakeContact,
    PacketHeard,
    PeerOverran,
    PeerTookLeave,
    QuorateViewChanged,
    Ruled,
    SayTo,
    SessionOpened,
)
from messaging.peer_deadlines import PeerDeadlines
from messaging.quorum import Electorate
from messaging.quorum_lease import QuorumLease
from messaging.standing import NEVER, Contact, PeerState, ShowNode
from messaging.suspicion import Suspicion

ASK_PAUSE_S = 0.005
LATE_NOTE_PAUSE_S = 10.0


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
        self._members: tuple[str, ...] = ()
        self._status_due = now
        self._looked_at = now
        self._late_noted_at = NEVER
        self.peers = {
            name: PeerState(name, settings.timing.deadtime_s, settings.timing.keepalive_s)
            for name in settings.peers_of(node)
        }
        self._activation = Activation(settings.timing, self.peers, now)
        self._suspicion = Suspicion(settings.timing, self.peers)
        self.lease = QuorumLease(node, self.peers, settings.timing, settings.electorate)
        self._deadlines = PeerDeadlines(self.peers, self._due_of)

    # --- the machine ------------------------------------------------------------------------

    def adjust(self, timing: Timing) -> None:
        """Take over deadlines that may change while we run (`ha_cf.changes`)."""
        self._timing = timing
        self.lease.timing = timing
        self._activation.timing = timing
        self._suspicion.adjust(timing)
        self._deadlines.look_again()

    def admit(self, node: str, now: float) -> None:
        """Count and judge a node that was added while we run."""
        timing = self._timing
        self.peers[node] = PeerState(node, timing.deadtime_s, timing.keepalive_s, known_at=now)
        self._suspicion.admit(node)
        self._deadlines.look_again()

    def dismiss(self, node: str) -> None:
        """Forget a node that was deleted while we run; there is no contact with it."""
        self.peers.pop(node, None)
        self._suspicion.dismiss(node)
        self._deadlines.look_again()

    def count_by(self, electorate: Electorate) -> None:
        """Count by another list of nodes."""
        self._deadlines.look_again()
        self.lease.electorate = electorate

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what was heard or decided."""
        lag_s = self._suspicion.lag_s
        match event:
            case PacketHeard():
                effects = self._hear(event, now)
            case CopyHeard(peer, session, link, source, age_s):
                heard = self.peers[peer]
                if session != heard.session or not heard.is_reachable:
                    return []
                news = link_watch.hear(heard, link, source, now - age_s)
                if news:  # a link that was dead has a deadline again
                    self._deadlines.may_be_nearer(peer)
                else:  # what was to be done is only put off
                    self._deadlines.can_only_be_later(peer)
                return [*news]
            case SessionOpened(peer, session):
                effects = self._open_session(self.peers[peer], session, now)
            case QuorateViewChanged(members):
                self._members = members
                self.lease.begin(members)
                effects = self._speak(now)
            case Ruled(rulings):
                self.lease.rulings = rulings
                effects = []
            case PeerTookLeave(peer):
                effects = self._take_leave(self.peers[peer], now)
            case PeerOverran(peer):
                effects = self._hold_off(self.peers[peer], now)
        effects += self._check_lease(now)
        effects += self._consider_active(now)
        if isinstance(event, PacketHeard) and lag_s == self._suspicion.lag_s:
            self._follow_packet(event, effects)
        else:
            self._deadlines.look_again()
        return effects

    def _follow_packet(self, event: PacketHeard, effects: list[Effect]) -> None:
        """Look again at no more deadlines than a packet may have moved: there are thousands.

        A sign of life that had no effect can only put off those of its peer.
        """
        if not all(isinstance(effect, SayTo) for effect in effects):
            self._deadlines.look_again()
        elif event.message is not None or self.peers[event.peer].contact is None:
            self._deadlines.may_be_nearer(event.peer)
        else:
            self._deadlines.can_only_be_later(event.peer)

    def tick(self, now: float) -> list[Effect]:
        """Speak, probe, and give up, as the time demands."""
        due = self.next_deadline()
        late_s = 0.0 if due is None else now - due
        effects = self._doubt(late_s, now) if self._suspicion.notice(late_s, now) else []
        self._looked_at = now
        effects += self._check_lease(now)
        for peer in self.peers.values():
            effects += self._check_peer(peer, now)
            effects += self._enquire(peer, now)
            if peer.holdoff.is_over(now):
                effects += [*self._consider_contact(peer, now), *self._speak(now)]
        if now >= self._status_due:
            effects += self._speak(now)
        for peer in self.peers.values():
            due = self._probe_due(peer)
            if due is not None and now >= due:
                effects += self._ask(peer, now)
        effects += self._consider_active(now)
        self._deadlines.look_again()
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, or (after packets that only put it off) before that."""
        return self._deadlines.soonest(self._own_due)

    def _own_due(self) -> float:
        """When there is something to do that is about no peer."""
        own = [self._status_due]
        if self.lease.rulings.tie_until > self._looked_at:
            own.append(self.lease.rulings.tie_until)
        active_at = self._activation.next_deadline(self._looked_at)
        if active_at is not None:
            own.append(active_at)
        return min(own)

    def _due_of(self, peer: PeerState) -> float:
        """When there is something to do about a peer; infinity if never."""
        deadlines = [math.inf]
        suspicion = self._suspicion
        if peer.contact is not None:
            deadlines.append(suspicion.next_deadline(peer))
            late_s = suspicion.lease_extension_s(self._looked_at)
            lease_end = peer.confirmed_at + self._timing.lease_s + late_s
            if lease_end > self._looked_at:
                deadlines.append(lease_end)
        elif peer.shown is NodeStatus.INIT:
            deadlines.append(self._start_of(peer) + self._timing.initdead_s)
        elif peer.shown is not NodeStatus.DEAD:
            deadlines.append(suspicion.silence_end(peer))
        due = self._probe_due(peer)
        if due is not None:
            deadlines.append(due)
        if peer.holdoff.until is not None:
            deadlines.append(peer.holdoff.until)
        for link in peer.links.values():
            if link.status is LinkStatus.UP:
                deadlines.append(link.heard_at + peer.deadtime_s)
        return min(deadlines)

    # --- speaking ---------------------------------------------------------------------------

    def _speak(self, now: float) -> list[Effect]:
        """The heartbeat."""
        self._status_due = now + self._timing.keepalive_s
        hearings = {
            peer.node: self._hearing(peer) for peer in self.peers.values() if peer.is_reachable
        }
        status = frame.Status(
            status=self._activation.status.value,
            stamp=_stamp(now),
            deadtime_ms=_ms(self._timing.deadtime_s),
            keepalive_ms=_ms(self._timing.keepalive_s),
            uuid=self._uuid,
            nodes=len(self.lease.electorate.nodes),
            hearings=hearings,
            members=self._members,
        )
        return [Broadcast(status)]

    def _hearing(self, peer: PeerState) -> frame.Hearing:
        holds_off = peer.holdoff.until is not None
        return frame.Hearing(peer.session, peer.stamp, peer.my_epoch, peer.peer_epoch, holds_off)

    def _beat(self, peer: PeerState, now: float, *, ask: bool, about: str = "") -> SayTo:
        hearing = self._hearing(peer) if peer.session else None
        report = None
        third = self.peers.get(about)
        if not ask and third is not None and third.is_reachable:
            report = None if self._suspicion.is_doubtful(now) else self._hearing(third)
        return SayTo(peer.node, frame.Beat(peer.node, ask, _stamp(now), hearing, about, report))

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
        if self._looked_at - peer.heard_at > self._timing.deadtime_s or _is_held_off(peer):
            return None
        return peer.probed_at + max(self._timing.keepalive_s / 4, ASK_PAUSE_S)

    # --- doubt ------------------------------------------------------------------------------

    def _doubt(self, late_s: float, now: float) -> list[Effect]:
        """After a time in which this node did not listen: say so, and ask everybody at once."""
        effects: list[Effect] = []
        in_contact = [peer for peer in self.peers.values() if peer.contact is not None]
        text = f"No local heartbeat for {_ms(late_s)} ms: this process was stopped or starved"
        if late_s > self._timing.deadtime_s:
            effects.append(error("heartbeat", text))
        elif late_s > self._timing.keepalive_s and now - self._late_noted_at >= LATE_NOTE_PAUSE_S:
            self._late_noted_at = now
            effects.append(warn("heartbeat", text))
        for peer in in_contact:
            effects += self._ask(peer, now)
        return effects

    def _enquire(self, peer: PeerState, now: float) -> list[Effect]:
        """Ask the others what they heard of a peer that is silent for long."""
        return [
            self._beat(other, now, ask=True, about=peer.node)
            for other in self._suspicion.enquire(peer, now)
        ]

    # --- hearing ----------------------------------------------------------------------------

    def _hear(self, event: PacketHeard, now: float) -> list[Effect]:
        peer = self.peers[event.peer]
        if event.session != peer.session or not peer.is_reachable:
            return []
        is_late = self._suspicion.notice_age(event.age_s, now)
        effects = self._doubt(event.age_s, now) if is_late else []
        arrived_at = now - event.age_s
        peer.heard_at = max(peer.heard_at, arrived_at)
        self._suspicion.heard(peer)
        effects += link_watch.hear(peer, event.link, event.source, arrived_at)
        message = event.message
        if isinstance(message, frame.Status):
            effects += self._hear_status(peer, message, arrived_at)
            for name, report in message.hearings.items():
                if self._suspicion.hear_of(name, peer.node, report, now, is_answer=False):
                    self._deadlines.may_be_nearer(name)
            effects += self._hear_hearing(
                peer, message.hearings.get(self._node), message.stamp, now
            )
        elif isinstance(message, frame.Beat):
            effects += self._hear_hearing(peer, message.hearing, message.stamp, now)
            if message.report is not None and self._suspicion.hear_of(
                message.about, peer.node, message.report, now, is_answer=True
            ):
                self._deadlines.may_be_nearer(message.about)
            if message.ask:
                lacking = peer.contact is None and now - peer.probed_at >= ASK_PAUSE_S
                answer = self._beat(peer, now, ask=False, about=message.about)
                effects += self._ask(peer, now) if lacking else [answer]
        return effects

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
        peer.keepalive_s = min(status.keepalive_ms / 1000, 3600.0)
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
        if latest:
            peer.stamp = stamp
            peer.stamp_at = peer.heard_at
        if hearing is None or hearing.session != self._session:
            return []
        if hearing.echo:
            heard_us_at = _time(hearing.echo)
            if peer.confirmed_at < heard_us_at <= now:
                peer.confirmed_at = heard_us_at
                self._suspicion.confirmed(peer)
        if hearing.my_epoch < peer.peer_epoch or not latest:
            return self._consider_contact(peer, now)
        peer.peer_epoch = hearing.my_epoch
        peer.epoch_told = max(peer.epoch_told, hearing.your_epoch)
        peer.holds_us_off, held_us_off = hearing.holds_off, peer.holds_us_off
        if peer.contact is not None and now > self._suspicion.deafness_end(peer):
            text = "is heard, but does not hear this node"
            return self._give_up(peer, now, Fault.PATH, text, free_at=now)
        effects = self._consider_contact(peer, now)
        if peer.holds_us_off and not held_us_off:
            peer.trouble = "makes no contact: this node did not take what it sent"
            effects.append(warn("heartbeat", f"node {peer.node} {peer.trouble}"))
        return effects

    def _consider_contact(self, peer: PeerState, now: float) -> list[Effect]:
        """Make, keep or change the contact, by what both sides have said."""
        effects: list[Effect] = []
        agreed = Contact(peer.session, peer.my_epoch, peer.peer_epoch)
        if peer.contact == agreed:
            return effects
        if peer.contact is not None:
            # It gave us up, perhaps only now: it may have lost its quorum by that.
            peer.contact = None
            free_at = now + peer.margin_s
            effects.append(EndContact(peer.node, free_at=free_at))
            effects += self._speak(now)
        ready = (
            peer.is_reachable
            and not _is_held_off(peer)
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
        peer.trouble = ""
        peer.ever_in_contact = True
        peer.contact = agreed
        peer.holdoff.contact_made(now)
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
        peer.stamp_at = NEVER
        peer.confirmed_at = NEVER
        peer.status_at = NEVER
        peer.heard_at = now
        peer.peer_epoch = -1
        peer.epoch_told = -1
        peer.contact = None
        peer.was_dead = False
        peer.holdoff = HoldOff()
        peer.holds_us_off = False
        return effects + self._speak(now) + self._ask(peer, now)

    def _start_of(self, peer: PeerState) -> float:
        """Since when a peer not heard of yet could have been heard."""
        return max(self._activation.started_at, peer.known_at)

    # --- giving up --------------------------------------------------------------------------

    def _check_peer(self, peer: PeerState, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if peer.contact is not None:
            if now >= self._suspicion.silence_end(peer):
                return self._judge_silence(peer, now)
        elif peer.shown is NodeStatus.INIT:
            if now >= self._start_of(peer) + self._timing.initdead_s:
                effects += self._call_dead(peer)
        elif peer.shown is not NodeStatus.DEAD and now >= self._suspicion.silence_end(peer):
            effects += self._call_dead(peer)
        return [*effects, *link_watch.kill_silent(peer, now, peer.deadtime_s)]

    def _judge_silence(self, peer: PeerState, now: float) -> list[Effect]:
        """The deadline of a peer has passed: is it the peer, or the way from it to us?"""
        silent_ms = _ms(now - peer.heard_at)
        witnesses = self._suspicion.witnesses(peer)
        if witnesses:
            text = f"is not heard here for {silent_ms} ms, but by {' '.join(witnesses)}"
            return self._give_up(peer, now, Fault.PATH, text)
        others = self._suspicion.deaf(peer)
        text = f"silent for {silent_ms} ms" + (f", to {' '.join(others)} as well" if others else "")
        return self._give_up(peer, now, Fault.DEAD, text)

    def _hold_off(self, peer: PeerState, now: float) -> list[Effect]:
        """Give up a peer that takes nothing, and make no contact for a while if that goes on."""
        if peer.contact is None:
            return []
        text = "does not take what is sent to it"
        pause_s = peer.holdoff.stalled(now, self._timing.stall_s)
        if not pause_s:
            return self._give_up(peer, now, Fault.PATH, text)
        text = f"{text}, {peer.holdoff.stalls} times in a row"
        paused = f"node {peer.node}: no contact for {pause_s:.0f} s, as it {text}"
        return [*self._give_up(peer, now, Fault.PATH, text), warn("heartbeat", paused)]

    def _check_lease(self, now: float) -> list[Effect]:
        """Let go in time: give up every stale contact if the fresh ones are no quorum."""
        stale = self.lease.stale(now, self._suspicion.lease_extension_s(now))
        effects: list[Effect] = []
        for peer in stale:
            text = f"has not confirmed hearing us for {_ms(now - peer.confirmed_at)} ms"
            if self._suspicion.is_doubtful(now):
                effects += self._give_up(peer, now, Fault.OWN, text)
            elif now - peer.heard_at < self._timing.suspicion_s:
                effects += self._give_up(peer, now, Fault.PATH, text)
            else:
                effects += self._give_up(peer, now, Fault.LEASE, text)
        return effects

    def _give_up(
        self,
        peer: PeerState,
        now: float,
        fault: Fault,
        reason: str,
        *,
        free_at: float | None = None,
    ) -> list[Effect]:
        """End the contact with a peer, which has to make it anew, and say whose fault it is.

        Nothing it sent after `heard_at` was confirmed to it in this contact, and nothing will be.
        """
        if peer.contact is None:
            return []
        if free_at is None:
            free_at = peer.heard_at + peer.deadtime_s
        peer.contact = None
        peer.my_epoch += 1
        peer.was_dead = fault is not Fault.OWN
        peer.trouble = reason
        match fault:
            case Fault.DEAD:
                effects = self._dead_lines(peer)
            case Fault.PATH:
                text = f"node {peer.node} {reason}: a way between it and this node is broken"
                effects = [error("heartbeat", text)]
            case Fault.LEASE:
                text = (
                    f"node {peer.node} {reason}: this node lets go, as others may go on without it"
                )
                effects = [error("heartbeat", text)]
            case Fault.OWN:
                text = f"node {peer.node} {reason}: this node did not run, and lets go"
                effects = [error("heartbeat", text)]
        effects += link_watch.kill_silent(peer, now, self._timing.lease_s)
        effects.append(EndContact(peer.node, free_at=free_at))
        if fault is Fault.DEAD:
            effects += self._show(peer, NodeStatus.DEAD)
        return effects + self._speak(now)

    def _dead_lines(self, peer: PeerState) -> list[Effect]:
        lines: list[Effect] = [warn("heartbeat", f"node {peer.node}: is dead")]
        if peer.trouble:
            lines.append(info("heartbeat", f"node {peer.node} {peer.trouble}"))
        return lines

    def _call_dead(self, peer: PeerState) -> list[Effect]:
        """Nobody has heard a peer without contact for its deadtime: it is dead after all."""
        return self._dead_lines(peer) + self._show(peer, NodeStatus.DEAD)

    def _take_leave(self, peer: PeerState, now: float) -> list[Effect]:
        peer.left_session = peer.session
        effects: list[Effect] = [info("heartbeat", f"Received shutdown notice from '{peer.node}'.")]
        if peer.contact is not None:
            peer.contact = None
            peer.my_epoch += 1
            effects.append(EndContact(peer.node))
        effects += link_watch.kill_silent(peer, now, NEVER)
        return effects + self._show(peer, NodeStatus.DEAD)

    def _show(self, peer: PeerState, status: NodeStatus) -> list[Effect]:
        if peer.shown is status:
            return []
        peer.shown = status
        text = f"Status update for node {peer.node}: status {status.value}"
        return [info("heartbeat", text), ShowNode(peer.node, NodeKind.NORMAL, status)]

    def _consider_active(self, now: float) -> list[Effect]:
        if not self._activation.begins(now):
            return []
        return [
            info("heartbeat", "Comm_now_up(): updating status to active"),
            info("heartbeat", "Local status now set to: 'active'"),
            BecomeActive(),
            *self._speak(now),
        ]


def _is_held_off(peer: PeerState) -> bool:
    """Whether this node or the peer makes no contact for now."""
    return peer.holdoff.until is not None or peer.holds_us_off


def _stamp(now: float) -> int:
    """A moment as a stamp: never zero, which means "nothing heard"."""
    return int(now * 1e6) + 1


def _time(stamp: int) -> float:
    return (stamp - 1) / 1e6


def _ms(seconds: float) -> int:
    return round(min(max(seconds, 0.0), 1e9) * 1000)
