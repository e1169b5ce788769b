"""The office of the DC: everything a crmd knows and does because it is DC, and only while it is.

Responsible for join rounds, members that are away for a moment and orderly shutdowns. Scheduling
and results are the `Conductor`'s, the wording of a node's status is the `Register`'s, what tools
want is the `Errands`'. When the office is given up, the object is dropped and with it all of this:
nothing of one reign leaks into the next.

Theory of operation. `settle` is called after every event and does whatever has become possible;
events only change what is known. It keeps these promises, whatever order events come in:

- a participant that has not joined is offered to, unless its executor is away or it has let an
  offer go unanswered; one that is no longer a participant is waited for nowhere;
- the master's CIB is the newest of those who join before anybody is acknowledged, and whoever joins
  is brought to it before anything is written;
- a member whose crmd or executor is gone without a goodbye keeps its status for `AWAY_PATIENCE_S`,
  since its resources are still running there; then it is written down as offline;
- while the end of an operation on such a member is unknown, or a new DC has not heard what runs
  there, nothing is scheduled: the resource could be started a second time elsewhere;
- a member that has left the view is written down at once, in the same breath as the next query;
  one that restarted faster than it was missed is a member that is away.

Source: docs/protocol/join.md.
"""

from __future__ import annotations

from crm.api import attributes, cib
from crm.api.lrm import ExecutorDescription
from crm.api.membership import View
from crm.api.peers import (
    JoinAck,
    JoinConfirm,
    JoinOffer,
    JoinRequest,
    QuorumSeen,
)
from crm.controller.conductor import Conductor
from crm.controller.errands import Errands
from crm.controller.join import JoinRound
from crm.controller.outbox import Outbox
from crm.controller.register import Register
from crm.controller.roster import Roster
from crm.controller.settings import described_nodes
from crm.controller.states import Cause, Input, State, StateMachine
from crm.model.version import Reign
from crm.plumbing.machine import info, warn

AWAY_PATIENCE_S = 30.0
"""So long a member may be without its crmd or its executor before it counts as offline.

Heartbeat respawns what dies, and leaves when that does not help. Whoever is written down as offline
earlier may still be running what is then started elsewhere.
"""

REPAIR_PAUSE_S = 1.0
"""After a refused change everybody joins anew, but not more often than this."""

SILENCE_S = 30.0
"""So long a member that did not answer an offer is left alone before the next one."""


class Office:
    """What a DC is."""

    def __init__(
        self,
        conductor: Conductor,
        *,
        outbox: Outbox,
        roster: Roster,
        states: StateMachine,
        feature_set: str,
    ) -> None:
        self.conductor = conductor
        self.leaving: dict[str, None] = {}
        self._register = Register(conductor, roster, self.leaving)
        self._outbox = outbox
        self._roster = roster
        self._states = states
        self._feature_set = feature_set
        self._join = JoinRound(roster.node)
        self._executor_away: dict[str, None] = {}
        self._away: dict[str, float | None] = {}
        self._doubtful: dict[str, None] = {}
        self._silent: dict[str, float] = {}
        self._join_deadline: float | None = None
        self._repair_at: float | None = None
        self._repaired = -REPAIR_PAUSE_S
        self._syncing = 0
        self._fetching = 0
        self._witness = 0
        self._nodes_query = 0
        self._describing = 0
        self._is_master = False
        self._was_full = True
        self.errands = Errands(
            conductor, outbox=outbox, roster=roster, join=self._join, fenced=self._was_fenced
        )
        conductor.may_begin = self._may_schedule
        conductor.is_away = self._is_away
        conductor.fenced = self._was_fenced

    # --- join rounds ------------------------------------------------------------------------

    @property
    def reign(self) -> Reign:
        """The reign of this office."""
        return self.conductor.reign

    def open(self, now: float) -> None:
        """Take office: everybody is to join, under this reign."""
        self.conductor.halt("everybody joins anew")
        self.conductor.ledger.close()
        self._is_master = False
        self._syncing = self._fetching = self._describing = 0
        self._silent = {}
        # A cib that was restarted answers nothing of before.
        self.errands.forget_waiting()
        self._outbox.tell(cib.SERVICE, cib.BecomeFollower("", self.reign))
        names = [name for name in self._roster.participants if self._may_be_offered(name)]
        self._join.open_for(names)
        self._offer(names, now)

    def _may_be_offered(self, name: str) -> bool:
        is_shunned = name in self._silent or name in self._executor_away
        return name == self._roster.node or not is_shunned

    def raise_reign(self, known: Reign, now: float) -> None:
        """Begin again under a reign above the one somebody knows."""
        self.conductor.reign = Reign(max(known.number, self.reign.number) + 1, self._roster.node)
        self._back_to_integration("raise_reign")
        self.open(now)

    def _offer(self, names: list[str], now: float) -> None:
        self._join_deadline = now + self.conductor.settings.integration_timeout_s
        offer = JoinOffer(self._join.number, self.reign, self._feature_set)
        for name in names:
            if self._join.is_witness(name):
                self._testify()
            else:
                self._outbox.send(name, offer)
        waiting = len(self._join.outstanding())
        text = f"join-{self._join.number}: Waiting on {waiting} outstanding join acks"
        self._outbox.note(info("crmd", f"do_dc_join_offer_all: {text}"))

    def _testify(self) -> None:
        """Say what our own CIB is, for comparison with a later comer's."""
        self._witness = self._outbox.next_request()
        self._outbox.tell(cib.SERVICE, cib.DescribeCib(self._witness))

    def announced(self, name: str) -> None:
        """Note that a crmd says it has no DC: it is offered to again, its executor is there."""
        self._silent.pop(name, None)
        self._executor_away.pop(name, None)
        self._join.drop(name)

    def requested(self, name: str, request: JoinRequest, now: float) -> None:
        """Take in the answer to an offer."""
        if request.known_reign > self.reign:
            self.raise_reign(request.known_reign, now)
            return
        self._join.request(name, request)

    def confirmed(self, name: str, confirm: JoinConfirm, now: float) -> None:
        """Take in the end of a member's join."""
        if confirm.description.reign > self.reign:
            # Its executor outlived its crmd, and remembers a DC nobody else has heard of.
            self.raise_reign(confirm.description.reign, now)
            return
        if self._join.confirm(name, confirm):
            self._is_known_again(name)

    def _is_known_again(self, name: str) -> None:
        """Note that what runs on a member is known, or can be asked no more."""
        self._executor_away.pop(name, None)
        self._away.pop(name, None)
        self._doubtful.pop(name, None)

    def _integrate(self, now: float) -> None:
        """All requests are in: bring every CIB to the newest, and acknowledge."""
        self._outbox.note(*self._states.apply(Input.INTEGRATED, Cause.INTERNAL, "check_join_state"))
        waiting = self._join.outstanding()
        assert not waiting, "nobody is integrated while an offer is unanswered"
        newest = self._join.newest()
        count = len(self._roster.participants) - len(self._silent) - len(self._executor_away)
        text = f"do_state_transition: All {count} cluster nodes responded to the join offer."
        self._outbox.note(info("crmd", text))
        self._join_deadline = now + self.conductor.settings.finalization_timeout_s
        is_ours_older = newest != self._roster.node and self._is_newer(newest)
        if is_ours_older and not self._join.is_full:
            self.conductor.reign = Reign(self.reign.number + 1, self._roster.node)
            self._back_to_integration("do_dc_join_finalize")
            self.open(now)
            return
        self._was_full = self._join.is_full
        if not self._is_master:
            self._is_master = True
            request = self._outbox.next_request()
            self._outbox.tell(cib.SERVICE, cib.BecomeMaster(request, self.reign))
        if is_ours_older:
            text = f"join-{self._join.number}: Syncing the CIB from {newest} to the rest of the"
            self._outbox.note(info("crmd", f"do_dc_join_finalize: {text} cluster"))
            self._fetching = self._outbox.next_request()
            self._outbox.tell(cib.SERVICE, cib.FetchFrom(self._fetching, newest))
            return
        self._acknowledge()

    def _is_newer(self, name: str) -> bool:
        own = self._join.requests.get(self._roster.node)
        return own is not None and self._join.requests[name].version > own.version

    def _acknowledge(self) -> None:
        """Bring those who join to the master's document while they confirm."""
        names = self._join.acknowledge()
        others = tuple(name for name in names if name != self._roster.node)
        if others:
            self._syncing = self._outbox.next_request()
            self._outbox.tell(cib.SERVICE, cib.SyncTo(self._syncing, others))
        for name in names:
            self._outbox.send(name, JoinAck(self._join.offer_to(name), self.reign))
        self._nodes_query = self._outbox.next_request()
        self._outbox.tell(cib.SERVICE, cib.Query(self._nodes_query, section="nodes"))

    def sync_ended(self, done: cib.SyncDone, now: float) -> None:
        """Take in that documents were fetched or brought to the members."""
        if done.request == self._fetching:
            self._fetching = 0
            if done.outcome is cib.Outcome.OK:
                self._acknowledge()
            else:
                self._repair(now, "the newest CIB could not be fetched")
        elif done.request == self._syncing:
            self._syncing = 0
            for name in done.missing:
                if name not in self.leaving:  # who only waits for leave to go needs no copy for it
                    self._shun(name, now, REPAIR_PAUSE_S)
            if done.outcome is not cib.Outcome.OK and not done.missing:
                self._repair(now, "the CIBs could not be synchronised")

    def _finalise(self) -> None:
        """Everybody has confirmed: write who is here, and begin to work."""
        described = self._join.complete()
        count = len(self._join.joined)
        members = len(self._roster.participants)
        if count == members:
            text = f"All {count} cluster nodes are eligible to run resources."
            self._outbox.note(info("crmd", f"do_state_transition: {text}"))
        else:
            text = f"Only {count} of {members} cluster nodes are eligible to run resources"
            self._outbox.note(warn("crmd", f"do_state_transition: {text} - continue 0"))
        self._join_deadline = None
        ledger = self.conductor.ledger
        ledger.is_open = True
        if self._was_full:
            self._register.forget_quorum()
            self._register.write_absentees()
            away = [name for name in self._roster.members if not self._roster.is_online(name)]
            self._doubtful.update(dict.fromkeys(away))
        self._register.write_quorum()
        self._tell_quorum()
        for name, description in described.items():
            # Its executor has nothing under way any more: what still counts as such was not run.
            self.conductor.lose_node(name, f"{name} has joined anew")
            self._register.write_joined(name, description)
        for name in self.leaving:
            self._register.write_shutdown(name)
        self._outbox.note(*self._states.apply(Input.FINALIZED, Cause.INTERNAL, "check_join_state"))
        self.conductor.want("Peer Join: " + ", ".join(described))

    def _shun(self, name: str, now: float, silence_s: float) -> None:
        """Go on without a member that does not answer; it is offered to again later.

        What the status says of it stays: its crmd is alive, and so is what runs there.
        """
        if name in self._roster.participants and name != self._roster.node:
            self._silent[name] = now + silence_s
        self._join.drop(name)

    def _back_to_integration(self, origin: str) -> None:
        self._outbox.note(*self._states.apply(Input.ELECTION_DC, Cause.INTERNAL, origin))

    def _repair(self, now: float, why: str) -> None:
        """Join everybody anew, soon."""
        self._outbox.note(warn("crmd", f"crmd: {why}: everybody joins anew"))
        self._repair_at = max(now, self._repaired + REPAIR_PAUSE_S)

    # --- what happens to members --------------------------------------------------------------

    def _was_fenced(self, name: str) -> None:
        self._is_known_again(name)
        self._join.drop(name)
        self._register.write_lost(name, "fenced")
        self.conductor.ledger.add(cib.ForgetNodeState(name))
        self.conductor.lose_node(name, f"{name} was fenced")
        self.conductor.want(f"{name} was fenced")

    def view_changed(self, view: View) -> None:
        """Write down who was lost, and have everything looked at again."""
        for name in view.lost:
            was_doubtful = name in self._doubtful
            self._is_known_again(name)
            self._silent.pop(name, None)
            self._join.drop(name)
            was_busy = self.conductor.lose_node(name, f"{name} was lost in view {view.id}")
            self.leaving.pop(name, None)
            if name in view.new:
                # A new life: until it joins, what ran in the old one may still run.
                if was_busy or was_doubtful:
                    self._doubtful[name] = None
                continue
            self._register.write_lost(name, f"lost in view {view.id}")
            if attributes.SERVICE in self._outbox.connected:
                self._outbox.tell(attributes.SERVICE, attributes.ClearNode(name))
        for name in self._roster.returned:
            if name not in self._join.joined:
                self._doubtful[name] = None
        if self._join.joined:
            self._register.write_quorum()
        self._tell_quorum()
        self.conductor.want(f"view {view.id}")

    def _tell_quorum(self) -> None:
        """Spare the members of a view without quorum to let go by themselves: we see to it."""
        view = self._roster.view
        if view is not None and not view.quorate:
            self._outbox.broadcast(QuorumSeen(view.id))

    def crmd_changed(self, name: str, *, is_online: bool) -> None:
        """Note that a member's crmd began or ended a life."""
        self._silent.pop(name, None)
        self._executor_away.pop(name, None)
        self._join.drop(name)
        if is_online:
            self._away.pop(name, None)
            self.leaving.pop(name, None)
        elif name in self._roster.members and self.conductor.lose_node(
            name, f"the crmd of {name} is gone"
        ):
            self._doubtful[name] = None

    def executor_lost(self, name: str, now: float) -> None:
        """Note that a member's executor is gone: what it was running is unknown."""
        if name not in self._join.joined:
            return
        self._executor_away[name] = None
        if name != self._roster.node:
            self._away.setdefault(name, now + AWAY_PATIENCE_S)
        if self.conductor.lose_node(name, f"the executor of {name} is gone"):
            self._doubtful[name] = None

    def executor_restarted(self, name: str, description: ExecutorDescription) -> None:
        """Note that a member's executor is back: only what it knows is known."""
        self._is_known_again(name)
        if name not in self._join.joined:
            return
        self._register.write_history(name, description)
        self.conductor.lose_node(name, f"the executor of {name} was restarted")
        self.conductor.want(f"the executor of {name} was restarted")

    def shutdown_requested(self, name: str) -> None:
        """Begin to move everything off a node that wants to stop."""
        state = self._states.state.value
        text = f"Creating shutdown request for {name} (state={state})"
        self._outbox.note(info("crmd", f"handle_shutdown_request: {text}"))
        self.leaving[name] = None
        self._register.write_shutdown(name)
        self.conductor.want(f"{name} wants to shut down")

    def _is_away(self, name: str) -> bool:
        return name not in self._join.joined or name in self._executor_away

    def _watch_absentees(self, now: float) -> None:
        """Start the patience for members without a crmd; end it at once for the departed."""
        for name in self._roster.members:
            if self._roster.is_online(name) or self._away.get(name, now) is None:
                continue
            if name in self.leaving or name in self._roster.departed:
                self._give_up(name, f"{name} has stopped in order")
            else:
                self._away.setdefault(name, now + AWAY_PATIENCE_S)

    def _give_up(self, name: str, reason: str) -> None:
        self._away[name] = None
        self._join.drop(name)
        self._register.write_offline(name, reason)
        self.conductor.lose_node(name, reason)
        self.conductor.want(reason)

    # --- the cib ------------------------------------------------------------------------------

    def cib_changed(self, change: cib.CibChanged, now: float) -> None:
        """Look at everything again if somebody else changed something that matters."""
        is_ours = change.origin.client == "crmd" and change.origin.node == self._roster.node
        for touched in change.touched:
            if touched.kind != "configuration" and (is_ours or touched.kind == "root"):
                continue
            reason = f"{touched.kind} changed: {touched.subject or touched.node}"
            if touched.kind == "configuration":
                self.conductor.want_when_rested(reason, now)
            else:
                self.conductor.want(reason)

    def cib_replaced(self, now: float) -> None:
        """Join everybody anew when the whole document was exchanged under a working DC."""
        if self._states.state in (State.POLICY_ENGINE, State.TRANSITION_ENGINE, State.IDLE):
            self._repair(now, "the CIB was replaced")

    def change_replied(self, reply: cib.ChangeReply, now: float) -> None:
        """Take in how a change ended."""
        if reply.request == self._describing:
            self._describing = 0
            if reply.outcome is not cib.Outcome.OK:
                why = reply.outcome.name
                self._outbox.note(info("crmd", f"populate_cib_nodes: not described now: {why}"))
            return
        if self.conductor.ledger.replied(reply) is False:
            self._repair(now, f"the status could not be written ({reply.outcome.name})")

    def query_replied(self, reply: cib.QueryReply) -> bool:
        """Take in the nodes section; False if it was not asked for."""
        if reply.request != self._nodes_query:
            return False
        self._nodes_query = 0
        known = described_nodes(reply.xml)
        missing = tuple(
            (member.uuid, name)
            for name, member in self._roster.members.items()
            if known.get(name) != member.uuid
        )
        if missing and self._roster.is_quorate and not self._describing:
            self._describing = self._outbox.next_request()
            origin = cib.Origin(client="crmd", node=self._roster.node, reason="nodes")
            change = cib.Change(self._describing, (cib.DescribeNodes(missing),), origin)
            self._outbox.tell(cib.SERVICE, change)
        return True

    def cib_described(self, description: cib.CibDescription) -> None:
        """Take in what our own CIB is: a testimony, or the answer to an errand."""
        if description.request == self._witness and self._join.is_waiting_for(self._roster.node):
            testimony = JoinRequest(
                self._join.offer_to(self._roster.node),
                description.version,
                description.digest,
                self.reign,
            )
            self._join.request(self._roster.node, testimony)
            return
        self.errands.cib_described(description)

    # --- settling -----------------------------------------------------------------------------

    def _may_schedule(self) -> bool:
        is_in_doubt = any(
            name in self._executor_away or self._away.get(name) is not None
            for name in self._doubtful
        )
        return not self._nodes_query and self._is_master and not is_in_doubt

    def settle(self, now: float) -> None:
        """Do whatever has become possible."""
        if self._repair_at is not None and self._repair_at <= now:
            self._repair_at = None
            self._repaired = now
            self.raise_reign(self.reign, now)
        self._watch_absentees(now)
        self._offer_to_newcomers(now)
        if self._states.state is State.INTEGRATION and self._join.has_all_requests:
            self._integrate(now)
        is_synchronised = not self._syncing and not self._fetching
        is_finalising = self._states.state is State.FINALIZE_JOIN
        if is_finalising and is_synchronised and self._join.has_all_confirmations:
            self._finalise()
        self.conductor.settle(now)
        if not any(deadline is not None for deadline in self._away.values()):
            self.errands.answer_waiters()

    def _offer_to_newcomers(self, now: float) -> None:
        if self._states.state is State.FINALIZE_JOIN:
            return
        names = [name for name in self._roster.participants if self._may_be_offered(name)]
        fresh = self._join.add(names)
        if fresh:
            halted = self._states.apply(Input.NODE_JOIN, Cause.HA_MESSAGE, "do_dc_join_offer_one")
            self._outbox.note(*halted)
            self.conductor.halt("a node joins")
            self._offer(fresh, now)

    # --- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Give up waiting where it was in vain."""
        for name, deadline in list(self._away.items()):
            if deadline is None or deadline > now:
                continue
            self._give_up(name, f"{name} was away for {AWAY_PATIENCE_S:g} s")
        for name in [name for name, again in self._silent.items() if again <= now]:
            del self._silent[name]
        if self._join_deadline is not None and self._join_deadline <= now:
            self._join_deadline = None
            late = self._join.outstanding()
            text = f"{len(late)} cluster nodes failed to respond to the join offer."
            self._outbox.note(warn("crmd", f"do_state_transition: {text}"))
            for name in late:
                self._shun(name, now, SILENCE_S)
            if self._syncing or self._fetching:
                self._repair(now, "the CIBs were not synchronised in time")
        self.conductor.tick(now)

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        times = [deadline for deadline in self._away.values() if deadline is not None]
        times.extend(self._silent.values())
        for deadline in (self._join_deadline, self._repair_at, self.conductor.next_deadline()):
            if deadline is not None:
                times.append(deadline)
        return min(times, default=None)
