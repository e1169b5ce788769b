"""The member's side of a crmd: its vote, its join, its way out.

Responsible for what a crmd does as one member among others: to announce itself, to stand or give
way in an election, to take and leave office, to answer the offers of a DC, and to end in order. It
holds the state of the node and the parts that act on it. Not for where events come from or who is
to hear of them, which is `core`'s, and not for what a DC does, which is the `Office`'s.

Theory of operation. Whoever wins takes office under a reign above every reign it has heard of;
votes, announcements and requests carry the greatest known one, so nearly always the first is right.
Nothing here calls upwards: `core` calls a method when something happened, and its `_settle` calls
what has become possible.

Invariant: at most one member of a view holds an office that all its members obey, since an office
obeyed by a member has a greater reign than any it obeyed before, and executors refuse the rest.

Source: docs/protocol/election.md, docs/protocol/join.md.
"""

from __future__ import annotations

from collections.abc import Callable

from crm.api import attributes, cib, lrm, membership, peers
from crm.controller import settings
from crm.controller.conductor import Conductor, Counters
from crm.controller.departure import Departure
from crm.controller.election import Election, SendNoVote, SendVote, Verdict
from crm.controller.executor import Executor
from crm.controller.frontdesk import FrontDesk
from crm.controller.join import Candidate, Step
from crm.controller.ledger import Ledger
from crm.controller.office import Office
from crm.controller.outbox import Outbox
from crm.controller.release import Release
from crm.controller.roster import Roster
from crm.controller.states import Cause, Input, State, StateMachine
from crm.model.version import Reign, Version
from crm.plumbing.machine import info, warn

FEATURE_SET = "3.0.1"
"""The CRM feature set this crmd speaks; the lower one is DC during an upgrade."""


class Member:
    """What one node is and knows as a member, DC or not."""

    def __init__(self, *, new_uuid: Callable[[], str], wall: Callable[[], float]) -> None:
        self._wall = wall
        self._engine = new_uuid()
        self._outbox = Outbox()
        self._states = StateMachine()
        self._roster = Roster()
        self._election = Election("", FEATURE_SET)
        self._candidate = Candidate()
        self._executor = Executor(self._outbox)
        self._release = Release(self._outbox, self._executor, wall)
        self._counters = Counters()
        self._settings = settings.Settings()
        self._office: Office | None = None
        self._highest_reign = 0
        self._has_signed_on = False
        self._announced: dict[str, None] = {}
        self._lost_dc = ""
        self._suspicion_deadline: float | None = None
        self._dc_deadline: float | None = None
        self._busy_deadline: float | None = None
        self._has_ended = False
        self._departure = Departure(self._outbox, self._candidate)
        self._front_desk = FrontDesk(self._outbox, self._candidate)

    def _bring_electorate_up_to_date(self) -> None:
        born = {name: member.born for name, member in self._roster.participants.items()}
        self._send_votes(self._election.set_electorate(born, self._highest_reign))

    def _hear_reign(self, number: int) -> None:
        self._highest_reign = max(self._highest_reign, number)

    # --- election -----------------------------------------------------------------------------

    def _call_election(self, now: float, happened: Input, cause: Cause, origin: str) -> None:
        self._drop_office()
        self._forget_dc(now)
        self._outbox.note(*self._states.apply(happened, cause, origin))
        if self._states.state is State.ELECTION:
            self._stand(now)

    def _stand(self, now: float) -> None:
        self._dc_deadline = None
        self._announced.clear()
        self._send_votes(self._election.stand(now, self._highest_reign))

    def _send_votes(self, votes: list[SendVote]) -> None:
        for send in votes:
            if send.to_node:
                self._outbox.send(send.to_node, send.vote)
            else:
                self._outbox.broadcast(send.vote)

    def _vote_arrived(self, node: str, vote: peers.Vote, now: float) -> None:
        text = f"do_election_count_vote: Election check: vote from {node}"
        self._outbox.note(info("crmd", text))
        self._announced.pop(node, None)
        dc = self._candidate.dc
        if self._office is None and dc not in ("", node) and self._election.beats(dc, node):
            return
        verdict = self._election.judge(node, vote)
        if verdict is Verdict.WE_LOSE:
            self._give_way(node, vote, now)
        elif verdict is Verdict.WE_WIN and self._office is not None:
            self._outbox.send(node, self._election_claim())
            self._office.announced(node)
        elif verdict is Verdict.WE_WIN and not self._election.is_running:
            has_lost_to_a_better = self._election.favourite and self._election.beats(
                self._election.favourite, self._roster.node
            )
            if not has_lost_to_a_better and self._states.state is not State.STARTING:
                self._call_election(now, Input.ELECTION, Cause.HA_MESSAGE, "do_election_count_vote")

    def _election_claim(self) -> peers.Vote:
        """A DC's answer to somebody it beats: a vote that settles the matter."""
        return peers.Vote(self._election.number, FEATURE_SET, self._highest_reign)

    def _give_way(self, node: str, vote: peers.Vote, now: float) -> None:
        answer: SendNoVote = self._election.give_way(node, vote, self._highest_reign)
        self._outbox.send(answer.to_node, answer.no_vote)
        self._drop_office()
        self._forget_dc(now)
        origin = "do_election_count_vote"
        for happened in (Input.RELEASE_SUCCESS, Input.PENDING):
            self._outbox.note(*self._states.apply(happened, Cause.HA_MESSAGE, origin))

    def _dc_is_gone(self, now: float, cause: Cause, origin: str) -> None:
        self._lost_dc = self._candidate.dc
        self._call_election(now, Input.ELECTION, cause, origin)

    def _drop_office(self) -> None:
        """Cease to be DC: what belongs to the office is forgotten with it."""
        if self._office is None:
            return
        self._office = None
        self._subscribe()
        origin = "do_dc_release"
        self._outbox.note(*self._states.apply(Input.RELEASE_DC, Cause.INTERNAL, origin))
        self._outbox.note(info("crmd", "do_dc_release: DC role released"))
        self._outbox.note(*self._states.apply(Input.RELEASE_SUCCESS, Cause.INTERNAL, origin))
        if cib.SERVICE in self._outbox.connected:
            self._outbox.tell(cib.SERVICE, cib.BecomeFollower("", self._candidate.reign))

    def _subscribe(self) -> None:
        """Hear of every change of the CIB as DC; a member only of the options it obeys."""
        if cib.SERVICE in self._outbox.connected:
            is_dc = self._office is not None
            wish = cib.Subscribe() if is_dc else cib.Subscribe((settings.SECTION,), settings.NAMES)
            self._outbox.tell(cib.SERVICE, wish)

    def _take_office(self, now: float) -> None:
        """All have given way: lead them, under a reign above all that were heard of."""
        self._election.stop()
        self._dc_deadline = None
        self._release.leave_to_the_dc()
        self._highest_reign += 1
        conductor = Conductor(
            outbox=self._outbox,
            roster=self._roster,
            states=self._states,
            ledger=Ledger(self._outbox),
            counters=self._counters,
            reign=Reign(self._highest_reign, self._roster.node),
            engine=self._engine,
            wall=self._wall,
            settings=self._settings,
        )
        self._office = Office(
            conductor,
            outbox=self._outbox,
            roster=self._roster,
            states=self._states,
            feature_set=FEATURE_SET,
        )
        self._subscribe()
        origin = "do_election_check"
        self._outbox.note(*self._states.apply(Input.ELECTION_DC, Cause.INTERNAL, origin))
        self._outbox.note(
            info("crmd", f"do_dc_takeover: Taking over DC status for {self._roster.node}")
        )
        self._office.open(now)

    # --- joining ------------------------------------------------------------------------------

    def _announce(self, now: float) -> None:
        """Say that we are here and know no DC."""
        self._dc_deadline = now + self._settings.dc_deadtime_s
        self._outbox.broadcast(peers.Announce(self._highest_reign))

    def _forget_dc(self, now: float) -> None:
        self._candidate.forget()
        self._suspicion_deadline = None
        self._departure.forget_dc()
        self._busy_deadline = None
        if self._dc_deadline is None and self._states.state is not State.STARTING:
            self._dc_deadline = now + self._settings.dc_deadtime_s

    def _offered(self, dc: str, offer: peers.JoinOffer, now: float) -> None:
        if not self._may_accept(dc, offer, now):
            return
        known = self._candidate.offer
        is_repeated = known == offer and dc == self._candidate.dc
        if is_repeated and self._candidate.step in (Step.DESCRIBING_CIB, Step.REQUESTED):
            return
        if offer.reign.number < self._highest_reign or offer.reign < self._executor.reign:
            self._refuse_offer(dc, offer)
            return
        self._hear_reign(offer.reign.number)
        self._suspicion_deadline = None
        self._election.stop()
        self._dc_deadline = None
        self._announced.clear()
        if self._office is None:
            for happened in (Input.JOIN_OFFER, Input.PENDING):
                origin = "handle_request"
                self._outbox.note(*self._states.apply(happened, Cause.HA_MESSAGE, origin))
            self._outbox.tell(cib.SERVICE, cib.BecomeFollower(dc, offer.reign))
        if dc != self._candidate.dc or known is None or known.reign != offer.reign:
            text = f"update_dc: Set DC to {dc} ({offer.feature_set or FEATURE_SET})"
            self._outbox.note(info("crmd", text))
        self._executor.raise_reign(offer.reign)
        request = self._outbox.next_request()
        self._candidate.accept(dc, offer, request)
        if cib.SERVICE in self._outbox.connected:
            self._outbox.tell(cib.SERVICE, cib.DescribeCib(request))

    def _may_accept(self, dc: str, offer: peers.JoinOffer, now: float) -> bool:
        """Tell whether an offer comes from somebody who may lead us; if not, have it settled."""
        if dc == self._roster.node:
            return self._office is not None and self._office.reign == offer.reign
        if self._states.state is State.STARTING or self._has_ended:
            return False
        if self._office is not None and dc not in self._roster.members:
            return False  # two views overlap for a moment: ours does not hold this DC
        is_contested = self._office is not None or self._election.is_running
        if is_contested and not self._election.beats(dc, self._roster.node):
            self._call_election(now, Input.ELECTION, Cause.HA_MESSAGE, "do_cl_join_offer_respond")
            return False
        self._drop_office()
        return True

    def _refuse_offer(self, dc: str, offer: peers.JoinOffer) -> None:
        """Tell the DC of the greater reign we know; it will offer again."""
        known = max(Reign(self._highest_reign, self._roster.node), self._executor.reign)
        request = peers.JoinRequest(offer.join, Version(), "", known)
        self._outbox.send(dc, request)

    def _request_join(self, description: cib.CibDescription) -> None:
        offer = self._candidate.offer
        assert offer is not None, "a request answers an offer"
        request = peers.JoinRequest(
            join=offer.join,
            version=description.version,
            digest=description.digest,
            known_reign=offer.reign,
            feature_set=FEATURE_SET,
        )
        self._outbox.send(self._candidate.dc, request)

    def _acknowledged(self, dc: str, ack: peers.JoinAck) -> None:
        if self._candidate.acknowledged(dc, ack.join) and self._executor.is_connected:
            self._executor.describe()

    def _confirm_join(self, description: lrm.ExecutorDescription, now: float) -> None:
        offer = self._candidate.offer
        assert offer is not None, "a confirmation follows an offer"
        dc = self._candidate.dc
        self._candidate.confirmed()
        self._outbox.send(dc, peers.JoinConfirm(offer.join, description))
        kept = tuple(self._executor.kept)
        self._executor.kept.clear()
        if kept:
            self._outbox.send(dc, peers.OperationReport(kept))
        self._outbox.note(info("crmd", "update_attrd: Connecting to attrd..."))
        if attributes.SERVICE in self._outbox.connected:
            self._outbox.tell(attributes.SERVICE, attributes.RefreshAttributes())
        if self._office is None:
            self._roster.was_lost.clear()
            origin = "do_cl_join_finalize_respond"
            self._outbox.note(*self._states.apply(Input.NOT_DC, Cause.HA_MESSAGE, origin))
        self._front_desk.ask_again()

    # --- the way out --------------------------------------------------------------------------

    def _stop_requested(self, now: float) -> None:
        if self._departure.is_wanted:
            return
        self._outbox.note(info("crmd", "crm_shutdown: Requesting shutdown"))
        self._departure.begin(now, self._settings.shutdown_escalation_s)
        if not self._has_signed_on or not self._roster.node:
            self._end("nothing was begun")

    def _shutdown_ordered(self) -> None:
        if not self._departure.is_wanted:
            text = "handle_request: the DC ordered us to stop, nobody here asked for it"
            self._outbox.note(warn("crmd", text))
        self._end("the DC lets us stop")

    def _end(self, why: str) -> None:
        """End in order: what was collected is out before anything else."""
        if self._office is not None:
            self._office.conductor.ledger.flush(at_once=True)
        self._outbox.note(*self._states.apply(Input.STOP, Cause.SHUTDOWN, "do_shutdown"))
        self._outbox.note(info("crmd", f"do_exit: Performing A_EXIT_0 - {why}"))
        if self._has_signed_on and self._roster.node:
            self._outbox.broadcast(peers.Goodbye())
            if cib.SERVICE in self._outbox.connected:
                self._outbox.tell(cib.SERVICE, cib.BecomeFollower())
            self._outbox.tell(membership.SERVICE, membership.SignOff())
        self._outbox.note(*self._states.apply(Input.TERMINATE, Cause.SHUTDOWN, "do_exit"))
        self._has_ended = True
        self._outbox.exit(0)
