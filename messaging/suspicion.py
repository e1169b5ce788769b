"""Doubt: about oneself first, then about a peer, with what others hear of it.

Responsible for how much a silence is worth. Not responsible for what follows from it (`links`).

Theory of operation. A node that does not run does not listen, so before it believes in somebody's
silence it looks at itself (`wakefulness`): how late its own timers were, how long packets lay in
its sockets. While it *doubts* itself it probes everybody and accuses nobody. The doubt ends early
when somebody who does not doubt is as deaf to the peer. Packets that lie in the socket for a steady
time are no reason to doubt, only to wait that long.

Shortly before a peer's deadline the others are asked what they heard of it last. They answer with
the peer's own stamp. A stamp above the latest we have tells how much later than our last hearing
the peer spoke, by the peer's clock: no two clocks are compared.

The deadline stays the bound: a node that listened declares a silent peer dead at its deadtime; one
that did not, at most `grace_s` after it listens again, or as soon as another one tells it, or once
it has listened for a deadtime in all, whichever comes first. Doubt cannot be renewed past that.

Source: docs/protocol/links.md, "Suspicion"; decision 0018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from messaging import frame
from messaging.cluster_settings import Timing
from messaging.standing import NEVER, PeerState
from messaging.wakefulness import Wakefulness

ENQUIRIES = 3
"""How often the others are asked about a silent peer before its deadline."""


@dataclass
class Hearsay:
    """What others say of one peer since it was last heard here."""

    vouched: dict[str, float] = field(default_factory=dict)
    """By reporter: until when, on our clock, the peer lived for certain."""

    deaf: set[str] = field(default_factory=set)
    """Who was asked, does not doubt itself, and has heard nothing later than we have."""

    asked_at: float = NEVER
    missed_s: float = 0.0
    """What this node had missed in all when it last heard the peer."""

    def alive_at(self) -> float:
        """The latest moment at which somebody else heard the peer."""
        return max(self.vouched.values(), default=NEVER)


class Suspicion:
    """The doubts of one node: of itself, and of each of its peers."""

    def __init__(self, timing: Timing, peers: Mapping[str, PeerState]) -> None:
        self.timing = timing
        self._peers = peers
        self._hearsay = {name: Hearsay() for name in peers}
        self._awake = Wakefulness(timing)

    def admit(self, name: str) -> None:
        """Doubt a node as well that was added while we run."""
        self._hearsay[name] = Hearsay(missed_s=self._awake.missed_s)

    def dismiss(self, name: str) -> None:
        """Forget what was said of a node that was deleted while we run."""
        self._hearsay.pop(name, None)

    # --- of oneself -------------------------------------------------------------------------

    def adjust(self, timing: Timing) -> None:
        """Take over deadlines that may change while we run."""
        self.timing = timing
        self._awake.timing = timing

    def notice(self, late_s: float, now: float) -> bool:
        """Take in how late a timer was; tells whether a doubt begins."""
        return self._awake.notice(late_s, now)

    @property
    def lag_s(self) -> float:
        """How long the last packet lay in a socket, if that was long; it puts deadlines off."""
        return self._awake.lag_s

    def notice_age(self, age_s: float, now: float) -> bool:
        """Take in how long a packet lay in a socket; tells whether a doubt begins."""
        return self._awake.notice_age(age_s, now)

    def is_doubtful(self, now: float) -> bool:
        """Whether this node may still have missed what was said to it."""
        return self._awake.is_doubtful(now)

    def lease_extension_s(self, now: float) -> float:
        """How much longer a peer's confirmation keeps it in our quorum than the lease says.

        Whoever did not run when the lease ended has half of the margin to be confirmed anew: the
        others go on after the whole of it.
        """
        return self.timing.margin_s / 2 if self.is_doubtful(now) else 0.0

    # --- of a peer --------------------------------------------------------------------------

    def heard(self, peer: PeerState) -> None:
        """The peer was heard here: what others said is of the past."""
        hearsay = self._hearsay[peer.node]
        hearsay.missed_s = self._awake.missed_before(peer.heard_at)
        if hearsay.vouched or hearsay.deaf:
            hearsay.vouched.clear()
            hearsay.deaf.clear()

    def confirmed(self, peer: PeerState) -> None:
        """The peer has confirmed that it hears this node."""
        peer.confirmed_missed_s = self._awake.missed_before(peer.confirmed_at)

    def deafness_end(self, peer: PeerState) -> float:
        """Until when a peer that is heard may leave unconfirmed that it hears this node.

        A doubt about oneself and a lag of the sockets put it off as they do for a silence.
        """
        end = peer.confirmed_at + peer.deadtime_s + min(self._awake.lag_s, self.timing.grace_s)
        return self._awake.put_off(end, peer.confirmed_missed_s)

    def hear_of(
        self, name: str, reporter: str, report: frame.Hearing, now: float, *, is_answer: bool
    ) -> bool:
        """Take in what another node last heard of a peer, against what we heard ourselves.

        Tells whether that says anything: it does not of a peer that is heard here.
        """
        peer = self._peers.get(name)
        if peer is None or name == reporter or report.session != peer.session:
            return False
        if now - peer.heard_at <= self.timing.suspicion_s:
            return False
        hearsay = self._hearsay[name]
        gain_s = (report.echo - peer.stamp) / 1e6
        if gain_s > 0:
            alive_at = min(now, peer.stamp_at + gain_s)
            hearsay.vouched[reporter] = max(alive_at, hearsay.vouched.get(reporter, NEVER))
            hearsay.deaf.discard(reporter)
        elif is_answer:
            hearsay.deaf.add(reporter)
        return True

    def silence_end(self, peer: PeerState) -> float:
        """Until when a peer may be silent before it is given up, or called dead.

        A doubt about oneself puts it off, unless somebody else hears nothing either and this node
        was not away for long (for one whose clock has jumped nobody else had time to speak); but
        never for longer than this node did not run since the peer was heard. A lag of its sockets
        does, for as long as that is, up to a grace.
        """
        hearsay = self._hearsay[peer.node]
        heard_at = peer.heard_at
        if peer.contact is None:
            heard_at = max(heard_at, hearsay.alive_at())
        end = heard_at + peer.deadtime_s
        missed_s = self._awake.missed_s - hearsay.missed_s
        if hearsay.deaf and missed_s < peer.deadtime_s / 2:
            return end
        end += min(self._awake.lag_s, self.timing.grace_s)
        return self._awake.put_off(end, hearsay.missed_s)

    def witnesses(self, peer: PeerState) -> list[str]:
        """Who has heard a silent peer later than we have, by name."""
        since = peer.heard_at + self.timing.keepalive_s
        vouched = self._hearsay[peer.node].vouched
        return sorted(name for name, at in vouched.items() if at > since)

    def deaf(self, peer: PeerState) -> list[str]:
        """Who hears as little of a peer as we do, by name."""
        return sorted(self._hearsay[peer.node].deaf)

    # --- asking -----------------------------------------------------------------------------

    def whom_to_ask(self, peer: PeerState) -> list[PeerState]:
        """Those in contact but the peer itself."""
        return [
            other
            for other in self._peers.values()
            if other is not peer and other.contact is not None
        ]

    def next_deadline(self, peer: PeerState) -> float:
        """When a peer in contact has to be asked about, or judged, if it stays silent."""
        return min(self.silence_end(peer), self._enquiry_due(peer))

    def _enquiry_due(self, peer: PeerState) -> float:
        """When the others are to be asked about a silent peer."""
        enquiry_s = min(self.timing.enquiry_s, peer.deadtime_s / 4)
        begin = peer.heard_at + peer.deadtime_s - enquiry_s
        return max(begin, self._hearsay[peer.node].asked_at + enquiry_s / ENQUIRIES)

    def enquire(self, peer: PeerState, now: float) -> list[PeerState]:
        """Whom to ask about a silent peer now."""
        if peer.contact is None or now < self._enquiry_due(peer):
            return []
        self._hearsay[peer.node].asked_at = now
        return self.whom_to_ask(peer)
