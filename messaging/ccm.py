"""Agreement on views: from "whom I am in contact with" to one list all its members share.

Responsible for when a round begins and ends, for letting go before others act, and for quorum. Not
responsible for who is in contact (`links`), for carrying messages (`delivery`), for what was said
in a round (`round`), for computing the view of a complete one (`verdict`), nor for what a view
means while it lasts (`present`).

Theory of operation. Whenever a contact of an active node changes, it opens a *round* with a
number above all it knows, and says `Join`: whom it is in contact with, from which view it comes.
Who hears a higher round joins it. A node says one Join per round; a Join is passed on to nodes
its origin is not in contact with. A round is *complete* for a node when it has the Joins of all
nodes named in Joins, beginning with its own. From the complete table everybody computes the same
view; nobody has to be asked, so agreement takes one message round, and no time-out.

Two nodes that name each other close over the same table, hence compute the same view (proof in
docs/protocol/membership.md). If contacts change meanwhile, the next round follows.

A member that restarted is heard again before it is active. Its resources may still run, so its seat
is neither taken away nor given anew until the new life is active, is lost, or has had a deadtime:
then one view names it lost and new.

A node that the computed view leaves out though it is in contact with some member has to let go
before the members go on: it tells its clients EVICTED, says `LetGo`, and the members install the
view `margin_s` after they heard that. If it cannot say so, its contacts end and a new round comes.
A node that a member gave up before its deadtime was over may rely on that member still: Joins say
for how long, and a quorate view is installed only then.

Source: docs/protocol/membership.md; the words are Heartbeat's CCM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crm.api.membership import View
from crm.plumbing.machine import Note, debug, error, warn
from messaging import frame
from messaging.beginning import Beginning
from messaging.cluster_settings import ClusterSettings
from messaging.present import Announce as Announce
from messaging.present import Present
from messaging.quorum import Electorate, Rulings
from messaging.round import Life, Round
from messaging.standing import NEVER
from messaging.verdict import Verdict, is_mutual, judge

MAX_EARLY_LETGOS = 256


# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Activated:
    """This node is active: it takes part from now on."""


@dataclass(frozen=True, slots=True)
class PeerAppeared:
    """Contact was made with this life of a peer."""

    peer: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class PeerActivated:
    """A peer in contact says it is active."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerVanished:
    """The contact with a peer ended; `is_restart`: because a new life of it is heard.

    `free_at` is when it cannot rely on this contact any more and has had its margin to stop.
    """

    peer: str
    is_restart: bool = False
    free_at: float = NEVER


@dataclass(frozen=True, slots=True)
class NodesChanged:
    """The list of nodes is another one now: views count by this."""

    electorate: Electorate


@dataclass(frozen=True, slots=True)
class Heard:
    """A membership message came from a peer in contact."""

    peer: str
    message: frame.Join | frame.LetGo


@dataclass(frozen=True, slots=True)
class Ruled:
    """Arbitrators have told this node something else, or the same for longer."""

    rulings: Rulings


Event = Activated | PeerAppeared | PeerActivated | PeerVanished | NodesChanged | Heard | Ruled

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speak:
    """Send a membership message to these peers."""

    peers: tuple[str, ...]
    message: frame.Join | frame.LetGo


Effect = Speak | Announce | Note

# --- the machine --------------------------------------------------------------------------


@dataclass
class _Peer:
    incarnation: str
    is_active: bool = False
    is_refused: bool = False


class Ccm:
    """The machine of membership on one node."""

    def __init__(
        self, settings: ClusterSettings, *, node: str, incarnation: str, uuid: str, now: float
    ) -> None:
        self._timing = settings.timing
        self._electorate = settings.electorate
        self._rulings = Rulings()
        self._node = node
        self._incarnation = incarnation
        self._uuid = uuid
        self._beginning = Beginning(settings.timing, now)
        self._looked_at = now
        self._is_active = False
        self._peers: dict[str, _Peer] = {}
        self._present = Present(
            node, incarnation=incarnation, cluster=settings.cluster, contacts=self._peers
        )
        self._round = Round()
        self._highest_round = 0
        self._early_let_go: list[tuple[str, frame.LetGo]] = []
        self._let_go_at: dict[Life, float] = {}
        self._margins_s: dict[str, float] = {}
        """How long each node has to stop what runs on it, as it said last."""

        self._leases: dict[Life, float] = {}
        self._restarting: dict[str, float] = {}

    # --- the machine ------------------------------------------------------------------------

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in a change of contacts, or what a peer says."""
        match event:
            case Activated():
                self._is_active = True
                return self._want_round(now)
            case PeerAppeared(peer, incarnation):
                self._peers[peer] = _Peer(incarnation)
                self._forget_earlier_lives(peer, incarnation)
                return []
            case PeerActivated(peer):
                return self._activate_peer(peer, now)
            case PeerVanished():
                return self._lose_peer(event, now)
            case NodesChanged(electorate):
                return self._count_anew(electorate, now)
            case Ruled(rulings):
                self._rulings = rulings
                return self._weigh_anew(now)
            case Heard(peer, frame.Join() as join):
                return self._hear_join(peer, join, now)
            case Heard(peer, frame.LetGo() as let_go):
                return self._hear_let_go(peer, let_go, now)
        return []

    def tick(self, now: float) -> list[Effect]:
        """Install a view whose waiting time is over, or begin again."""
        self._looked_at = now
        effects = self._weigh_anew(now)
        if self._beginning.is_waiting:
            effects += self._want_round(now)
        if not self._is_active or self._round.is_settled:
            return effects
        return effects + self._go_through_round(now)

    def _go_through_round(self, now: float) -> list[Effect]:
        """Act on the deadlines of a round."""
        if self._round.install_at is not None:
            return self._install(now) if now >= self._round.install_at else []
        if now < self._restarts_end():
            return []
        if now >= self._round.begun_at + self._timing.update_s:
            self._round.is_overdue = True
            effects = self._conclude(now)
            if not effects and not self._round.is_settled and self._round.install_at is None:
                return [debug("ccm", "a membership round takes too long"), *self._open_round(now)]
            return effects
        return self._conclude(now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        if not self._is_active:
            return None
        due = (self._round_due(), self._tie_end(), self._beginning.ends)
        return min((each for each in due if each is not None), default=None)

    def _round_due(self) -> float | None:
        if self._round.is_settled:
            return None
        if self._round.install_at is not None:
            return self._round.install_at
        deadline = self._round.begun_at + self._timing.update_s
        restarts = self._restarts_end()
        if restarts > self._looked_at:
            return restarts
        patience = self._beginning.patience_ends
        return min(deadline, patience) if patience > self._looked_at else deadline

    # --- contacts ---------------------------------------------------------------------------

    @property
    def view(self) -> View | None:
        """The view this node is in."""
        return self._present.view

    @property
    def is_counted(self) -> bool:
        """Whether the present view counts as is counted now."""
        return self._present.counts_by(self._electorate)

    @property
    def refused(self) -> list[str]:
        """The peers that count otherwise, by name."""
        return sorted(name for name, peer in self._peers.items() if peer.is_refused)

    @property
    def prospect(self) -> list[str]:
        """Who will be in a view that waits, if it is to have no quorum so far."""
        verdict = self._round.verdict
        if verdict is None or self._round.is_settled or verdict.quorate:
            return []
        names = self._round.members_to_be
        return names if self._node in names else []

    def _count_anew(self, electorate: Electorate, now: float) -> list[Effect]:
        """Count otherwise; a round makes the view that says so."""
        if electorate.charter == self._electorate.charter:
            return []
        self._electorate = electorate
        for peer in self._peers.values():
            peer.is_refused = False
        return self._open_round(now) if self._is_active else []

    def _reach(self) -> list[str]:
        """The peers that take part, by name."""
        return sorted(
            name for name, peer in self._peers.items() if peer.is_active and not peer.is_refused
        )

    def _activate_peer(self, name: str, now: float) -> list[Effect]:
        peer = self._peers.get(name)
        if peer is None or peer.is_active:
            return []
        peer.is_active = True
        self._restarting.pop(name, None)
        return self._want_round(now) if self._is_active else []

    def _forget_earlier_lives(self, name: str, incarnation: str) -> None:
        """Contact with a new life: the earlier is over. The same one still has its time to stop."""
        for times in (self._leases, self._let_go_at):
            for life in [life for life in times if life[0] == name and life[1] != incarnation]:
                del times[life]

    def _lose_peer(self, lost: PeerVanished, now: float) -> list[Effect]:
        name = lost.peer
        peer = self._peers.pop(name, None)
        if peer is None:
            return []
        life = (name, peer.incarnation)
        known = NEVER if lost.free_at == NEVER else self._leases.get(life, NEVER)
        self._leases[life] = max(lost.free_at, known)
        self._restarting.pop(name, None)
        if lost.is_restart and name in self._present.names:
            self._restarting[name] = now + self._timing.deadtime_s
        in_flux = self._present.lose(name)
        if not self._is_active:
            return []
        effects: list[Effect] = [*in_flux]
        if self._present.is_quorate and not self._has_own_quorum(now):
            effects += self._renounce_quorum()
        if not peer.is_active:
            wanted = self._want_round(now) if self._beginning.is_waiting else []
            return effects + (wanted or self._conclude(now))
        return effects + self._open_round(now)

    def _has_own_quorum(self, now: float) -> bool:
        """Whether we and those we count could act."""
        return self._electorate.lets_act(self._present.counted(), self._rulings, now)

    def _weigh_anew(self, now: float) -> list[Effect]:
        """See whether what arbitrators say, or say no more, changes who may act."""
        if not self._is_active or not self._electorate.has_arbitrator:
            return []
        tie, reaches_out = self._claims(self._round.table.get(self._node))
        prospect = frozenset(self.prospect)
        if prospect and tie != prospect == self._rulings.tie_at(now):
            return self._open_round(now)
        if self.view is None:
            return []
        if self.view.quorate:
            if not self._has_own_quorum(now):
                text = "quorum is lost: it rested on the word of an arbitrator"
                return [warn("ccm", text), *self._renounce_quorum(), *self._open_round(now)]
            rests_on_tie = self._electorate.needs_tie(self._present.counted())
            is_told = reaches_out is self._rulings.reaches_out or not rests_on_tie
            return [] if is_told else self._open_round(now)
        may_act = self._electorate.lets_act(self._present.names, self._rulings, now)
        is_told = (tie, reaches_out) == (self._rulings.tie_at(now), self._rulings.reaches_out)
        return self._open_round(now) if may_act and not is_told else []

    def _claims(self, join: frame.Join | None) -> tuple[frozenset[str], bool]:
        """What a Join says of arbitrators."""
        return (frozenset(), False) if join is None else (frozenset(join.tie), join.reaches_out)

    def _tie_end(self) -> float | None:
        """When the quorum that rests on the tie ends, unless the tie is given for longer."""
        rests_on_tie = self._present.is_quorate and (
            self._electorate.needs_tie(self._present.counted())
        )
        return self._rulings.tie_until if rests_on_tie else None

    def _renounce_quorum(self) -> list[Effect]:
        self._forget_waits()
        return [*self._present.renounce_quorum(self._electorate)]

    def _forget_waits(self) -> None:
        """Another view, or none: no restart is waited for on account of the one before."""
        self._restarting.clear()

    # --- rounds -----------------------------------------------------------------------------

    def _want_round(self, now: float) -> list[Effect]:
        """Open a round, as soon as everybody who starts with us can be named in it."""
        if self._holds_back(now):
            self._beginning.is_waiting = True
            return []
        return self._open_round(now)

    def _holds_back(self, now: float) -> bool:
        """Whether this node starts and has not said anything so far, as others start with it."""
        is_beginning = self._round.number == 0 and self._present.highest_id == 0
        return is_beginning and self._somebody_starts and self._beginning.holds_back(now)

    @property
    def _somebody_starts(self) -> bool:
        return any(not peer.is_active for peer in self._peers.values())

    def _open_round(self, now: float) -> list[Effect]:
        return self._enter_round(max(self._highest_round + 1, self._beginning.round), now)

    def _enter_round(self, number: int, now: float) -> list[Effect]:
        """Say our word in a round, the only one we say in it."""
        self._highest_round = number
        self._leases = {life: at for life, at in self._leases.items() if at > now}
        self._let_go_at = {
            life: at for life, at in self._let_go_at.items() if at + self._margin_s(life[0]) > now
        }
        present = self._present
        before = present.count_before(self._electorate)
        join = frame.Join(
            round=number,
            origin=self._node,
            incarnation=self._incarnation,
            uuid=self._uuid,
            nodes=len(self._electorate.nodes),
            reach=tuple((name, self._peers[name].incarnation) for name in self._reach()),
            broken=tuple(sorted(present.broken)),
            highest_id=present.highest_id,
            view_id=0 if present.view is None else present.view.id,
            cookie=present.cookie,
            quorate=present.is_quorate,
            members=present.seats,
            leases=tuple(
                (*life, math.ceil((at - now) * 1000)) for life, at in sorted(self._leases.items())
            ),
            charter=self._electorate.charter,
            tie=tuple(sorted(self._rulings.tie_at(now))),
            reaches_out=self._rulings.reaches_out,
            is_counted=before is None,
            before=before or (),
            disputes=bool(self.refused),
            margin_ms=math.ceil(self._timing.margin_s * 1000),
        )
        self._round = Round(number, begun_at=now, is_settled=False)
        self._round.say(join, dict(self._leases))
        effects: list[Effect] = [Speak(tuple(sorted(self._peers)), join)]
        for peer, let_go in [early for early in self._early_let_go if early[1].round == number]:
            effects += self._hear_let_go(peer, let_go, now)
        self._early_let_go = [early for early in self._early_let_go if early[1].round > number]
        for peer, early_join in self._beginning.end(number):
            effects += self._hear_join(peer, early_join, now)
        return effects + self._conclude(now)

    def _hear_join(self, name: str, join: frame.Join, now: float) -> list[Effect]:
        peer = self._peers.get(name)
        if peer is None or (join.origin == name and join.incarnation != peer.incarnation):
            return []
        present = self._present
        present.highest_id = max(present.highest_id, join.highest_id, join.view_id)
        if not self._is_active:
            self._highest_round = max(self._highest_round, join.round)
            peer.is_active = True
            return []
        if join.charter != self._electorate.charter:
            return self._refuse(join, now)
        effects: list[Effect] = []
        newly_active = not peer.is_active or self._accept_again(join.origin)
        peer.is_active = True
        self._restarting.pop(name, None)
        if join.round > self._round.number and self._holds_back(now):
            self._beginning.keep(name, join)
            self._beginning.is_waiting = True
            return effects
        if self._beginning.is_waiting and join.round <= self._beginning.round:
            effects += self._open_round(now)
        elif join.round > self._round.number:
            effects += self._enter_round(join.round, now)
        elif newly_active:
            effects += self._open_round(now)
        if join.round != self._round.number or join.origin in self._round.table:
            return effects
        self._round.hear(join, now)
        self._margins_s[join.origin] = join.margin_ms / 1000 or self._timing.margin_s
        life = (join.origin, join.incarnation)
        if join.view_id > 0:  # whatever it let go before, it was in a view when it said this
            self._let_go_at.pop(life, None)
        elif present.has_seat(*life):
            self._let_go_at.setdefault(life, now)
        if life in self._round.let_go:
            self._let_go_at.setdefault(life, self._round.let_go[life])
        named = {other for other, _ in join.reach}
        onward = tuple(
            other
            for other in self._reach()
            if other not in named and other not in (join.origin, name)
        )
        if onward:
            effects.append(Speak(onward, join))
        return effects + self._conclude(now)

    def _restarts_end(self) -> float:
        """Until when members are waited for whose new life is heard and not active yet."""
        return max(self._restarting.values(), default=float("-inf"))

    def _refuse(self, join: frame.Join, now: float) -> list[Effect]:
        """A node with another idea of the cluster, or of its quorum, takes no part here."""
        peer = self._peers.get(join.origin)
        if peer is None or peer.is_refused:
            return []
        peer.is_refused = True
        count = len(self._electorate.nodes)
        text = (
            f"Node count from node {join.origin} does not agree: local count={count},"
            f" count in message ={join.nodes}"
        )
        if join.nodes == count:
            text = (
                f"node {join.origin} counts quorum otherwise: are node, nodeweight, quorum_server"
                " and 'env quorum' of ha.cf the same on all nodes?"
            )
        return [error("ccm", text), *self._open_round(now)]

    def _accept_again(self, origin: str) -> bool:
        """Let a node take part that counts as we do now; tells whether it did not before."""
        peer = self._peers.get(origin)
        was_refused = peer is not None and peer.is_refused
        if peer is not None:
            peer.is_refused = False
        return was_refused

    def _conclude(self, now: float) -> list[Effect]:
        """Compute the view once the round is complete."""
        if self._round.verdict is not None or self._round.is_settled:
            return self._go_on(now)
        table = self._round.complete_table(self._node)
        if table is None or now < self._restarts_end():
            return []
        if not self._round.is_overdue and not is_mutual(table):
            return []
        nobody_has_view = all(join.view_id == 0 for join in table.values())
        if nobody_has_view and self._somebody_starts and now < self._beginning.patience_ends:
            return []
        self._round.verdict = judge(table, self._electorate, is_counted=self.is_counted)
        return self._go_on(now)

    def _go_on(self, now: float) -> list[Effect]:
        """Act on a verdict, as far as those who must let go allow."""
        verdict = self._round.verdict
        if verdict is None or self._round.is_settled or self._round.install_at is not None:
            return []
        if self._node not in self._round.members_to_be:
            return self._step_aside()
        lives = self._round.lives
        if any(life not in self._let_go_at for life in lives if life[0] in verdict.must_let_go):
            return []
        free_at = max(self._margins() + self._leases_left(verdict), default=now)
        if free_at > now:
            self._round.install_at = free_at
            return []
        return self._install(now)

    def _margin_s(self, name: str) -> float:
        return self._margins_s.get(name, self._timing.margin_s)

    def _margins(self) -> list[float]:
        """Until when those who have let go have time to stop, be they heard still or not."""
        seated = self._round.members_to_be
        return [
            at + self._margin_s(life[0])
            for life, at in self._let_go_at.items()
            if life[0] not in seated
        ]

    def _leases_left(self, verdict: Verdict) -> list[float]:
        """Until when lives that the view leaves out may rely on one of its members."""
        return list(self._round.leases_left(self._let_go_at)) if verdict.quorate else []

    def _step_aside(self) -> list[Effect]:
        """The others form a view without us: tell our clients, then the others."""
        self._round.is_settled = True
        self._forget_waits()
        effects = self._present.step_aside()
        let_go = frame.LetGo(self._round.number, self._node, self._incarnation)
        return [*effects, Speak(tuple(sorted(self._peers)), let_go)]

    def _hear_let_go(self, peer: str, let_go: frame.LetGo, now: float) -> list[Effect]:
        if not self._is_active or let_go.round < self._round.number:
            return []
        if let_go.round > self._round.number:
            self._early_let_go.append((peer, let_go))
            del self._early_let_go[:-MAX_EARLY_LETGOS]
            return []
        known = (let_go.origin, let_go.incarnation)
        if known in self._round.let_go:
            return []
        self._round.let_go[known] = now
        self._let_go_at.setdefault(known, now)
        effects: list[Effect] = []
        join = self._round.table.get(let_go.origin)
        named = {name for name, _ in join.reach} if join else set()
        onward = tuple(
            name
            for name in self._reach()
            if name not in named and name not in (peer, let_go.origin)
        )
        if onward:
            effects.append(Speak(onward, let_go))
        return effects + self._conclude(now)

    # --- views ------------------------------------------------------------------------------

    def _install(self, now: float) -> list[Effect]:
        verdict = self._round.verdict
        assert verdict is not None, "a view is installed after a verdict"
        self._round.is_settled = True
        if verdict.unchanged and self.view is not None:
            return [*self._present.restore()]
        names = self._round.members_to_be
        is_late = verdict.quorate and (
            self._electorate.needs_tie(names)
            and not self._electorate.lets_act(names, self._rulings, now)
        )
        self._forget_waits()
        effects: list[Effect] = [
            *self._present.take(
                verdict.members,
                verdict.view_id,
                f"{verdict.cookie}-{self._incarnation}" if is_late else verdict.cookie,
                self._electorate,
                quorate=verdict.quorate and not is_late,
                leader=verdict.leader,
            )
        ]
        for seat in verdict.members:
            self._let_go_at.pop((seat.name, seat.incarnation), None)
        # The others may have quorum by what we said in this round, and it is true no more.
        return effects + self._open_round(now) if is_late else effects
