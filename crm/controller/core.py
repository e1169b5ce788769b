"""The crmd of one node, as a machine: what happens, and who is to hear of it.

Responsible for the way of every event to the part it concerns: the `Member`, which this is, its
parts (`Election`, `Candidate`, `Executor`, `Release`, `Departure`, `FrontDesk`) and, while it is
DC, its `Office`. Not for how a member votes, joins or ends (`member`), nor for what a DC does
(`office`).

Theory of operation. The crmd signs on to heartbeat once its cib and its executor are there, so a
crmd that is online can answer. From then on it announces itself while it knows no DC. A DC answers
with an offer. When every member's crmd is online and has announced itself, nobody is DC, and all
vote at once; `dc-deadtime` is only for members whose crmd does not come up. The loss of the DC,
seen as the end of its crmd or of its node, is a reason to vote at once as well.

`_settle` runs after every event and does what has become possible; the order in which heartbeat
tells of clients, nodes and views does not matter.

Source: docs/protocol/election.md, docs/protocol/join.md.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from crm.api import attributes, cib, controller, fencing, lrm, membership, peers, scheduler
from crm.controller import settings
from crm.controller.election import Election
from crm.controller.join import Step
from crm.controller.member import FEATURE_SET, Member
from crm.controller.office import Office
from crm.controller.outbox import Effect
from crm.controller.states import Cause, Input, State
from crm.model.version import Reign
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import (
    MessageArrived,
    PeerConnected,
    PeerLost,
    StopRequested,
    debug,
    info,
    warn,
)

DC_SUSPICION_S = 0.05
"""When the DC's crmd goes, its node mostly goes with it: the view follows at once. Without one, the
election begins after this long."""

SETTINGS_PAUSE_S = 0.25
"""While cluster options are changed one after the other, they are read again so often."""

BUSY_RECHECK_S = 1.0
"""A busy executor is asked again at each result, and at the latest after this long."""

Event = MessageArrived | PeerConnected | PeerLost | StopRequested


class Controller(Member):
    """The controller of one node, as a machine."""

    def __init__(
        self, *, new_uuid: Callable[[], str], wall: Callable[[], float], pid: int = 0
    ) -> None:
        super().__init__(new_uuid=new_uuid, wall=wall)
        self._pid = pid
        self._settings_query = 0
        self._settings_are_old = False
        self._settings_asked_at = 0.0

    # --- the shape of a machine ---------------------------------------------------------------

    @property
    def state(self) -> str:
        """The classic name of the present state."""
        return self._states.state.value

    @property
    def dc(self) -> str:
        """The name of the DC this node knows, or ""."""
        return self._candidate.dc

    @property
    def reign(self) -> Reign:
        """The reign this node obeys."""
        return self._candidate.reign

    @property
    def is_idle(self) -> bool:
        """Tell whether this node is DC and has nothing left to do."""
        return self._office is not None and self._office.conductor.is_idle

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what happened."""
        if self._has_ended:
            return []
        match event:
            case MessageArrived(peer, message):
                self._arrived(peer, message, now)
            case PeerConnected(peer):
                self._connected(peer, now)
            case PeerLost(peer):
                self._lost(peer, now)
            case StopRequested():
                self._stop_requested(now)
        return self._finish(now)

    def tick(self, now: float) -> list[Effect]:
        """Act on a deadline."""
        if self._has_ended:
            return []
        if self._dc_deadline is not None and self._dc_deadline <= now:
            self._dc_deadline = None
            self._call_election(now, Input.DC_TIMEOUT, Cause.TIMER, "crm_timer_popped")
        due = self._settings_due()
        if due is not None and due <= now:
            self._ask_settings(now)
        if self._suspicion_deadline is not None and self._suspicion_deadline <= now:
            self._suspicion_deadline = None
            self._dc_is_gone(now, Cause.CRMD_STATUS, "crmd_client_status_callback")
        if self._election.deadline is not None and self._election.deadline <= now:
            self._stand(now)
        if self._busy_deadline is not None and self._busy_deadline <= now:
            self._busy_deadline = None
            self._executor.describe()
        if self._departure.is_overdue(now):
            self._outbox.note(warn("crmd", "crm_timer_popped: nobody lets us stop: stopping"))
            self._end("shutdown escalation")
        self._release.tick(now)
        if self._office is not None:
            self._office.tick(now)
        return self._finish(now)

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        if self._has_ended:
            return None
        times = [
            self._dc_deadline,
            self._election.deadline,
            self._busy_deadline,
            self._departure.deadline,
            self._release.next_deadline(),
            self._suspicion_deadline,
            self._settings_due(),
            self._office.next_deadline() if self._office is not None else None,
        ]
        return min((time for time in times if time is not None), default=None)

    def _finish(self, now: float) -> list[Effect]:
        """Settle until nothing is left that this node has to say to itself."""
        self._settle(now)
        while self._outbox.to_self and not self._has_ended:
            message = self._outbox.to_self.popleft()
            self._peer_said(self._roster.node, message, now)
            self._settle(now)
        return self._outbox.take()

    # --- local processes ----------------------------------------------------------------------

    def _connected(self, peer: str, now: float) -> None:
        self._outbox.connected[peer] = None
        match peer:
            case cib.SERVICE:
                self._subscribe()
                self._ask_settings(now)
                self._cib_is_back(now)
            case lrm.SERVICE:
                self._executor.connected()
            case fencing.SERVICE | scheduler.SERVICE if self._office is not None:
                self._office.conductor.want(f"{peer} is there")
            case attributes.SERVICE if self._candidate.step is Step.JOINED:
                self._outbox.tell(attributes.SERVICE, attributes.RefreshAttributes())
        self._sign_on()

    def _sign_on(self) -> None:
        needed = (membership.SERVICE, cib.SERVICE, lrm.SERVICE)
        if not self._has_signed_on and all(name in self._outbox.connected for name in needed):
            self._has_signed_on = True
            self._outbox.tell(membership.SERVICE, membership.SignOn(peers.CLIENT, self._pid))

    def _lost(self, peer: str, now: float) -> None:
        self._outbox.connected.pop(peer, None)
        match peer:
            case membership.SERVICE:
                self._outbox.note(warn("crmd", "crmd_ha_connection_destroy: Heartbeat is gone"))
                self._has_ended = True
                self._outbox.exit(1)
            case lrm.SERVICE:
                self._executor.lost()
                if self._office is not None:
                    self._office.executor_lost(self._roster.node, now)
                elif self._candidate.dc:
                    self._outbox.send(self._candidate.dc, peers.ExecutorLost())
            case scheduler.SERVICE if self._office is not None:
                self._office.conductor.scheduler_lost()
            case attributes.SERVICE if self._office is not None:
                self._office.conductor.attrd_lost()
            case fencing.SERVICE if self._office is not None:
                self._office.errands.fencing_lost(now)
            case cib.SERVICE if self._office is not None:
                self._office.conductor.halt("the cib is gone")
                self._office.conductor.ledger.close()
        self._front_desk.forget(peer)

    def _cib_is_back(self, now: float) -> None:
        """A new life of the cib knows nothing of the reign: join again, as DC or as member."""
        if self._office is not None:
            self._outbox.note(warn("crmd", "crmd_cib_connection: the cib is back: joining anew"))
            self._office.raise_reign(self._candidate.reign, now)
        elif self._candidate.dc:
            self._forget_dc(now)
            if self._executor.is_connected:
                self._announce(now)

    def _settings_changed(self, now: float) -> None:
        """Read the options; one question at a time, and not more often than is of use."""
        self._settings_are_old = True
        due = self._settings_due()
        if due is not None and due <= now:
            self._ask_settings(now)

    def _settings_due(self) -> float | None:
        """Say when the options are to be read again, if nothing has to be waited for."""
        if not self._settings_are_old or self._settings_query:
            return None
        return self._settings_asked_at + SETTINGS_PAUSE_S

    def _ask_settings(self, now: float) -> None:
        self._settings_are_old = False
        self._settings_asked_at = now
        self._settings_query = self._outbox.next_request()
        self._outbox.tell(cib.SERVICE, cib.Query(self._settings_query, section=settings.SECTION))

    def _arrived(self, peer: str, message: msgspec.Struct, now: float) -> None:
        match peer:
            case membership.SERVICE:
                self._heartbeat_said(message, now)
            case cib.SERVICE:
                self._cib_said(message, now)
            case lrm.SERVICE:
                self._executor_said(message, now)
            case scheduler.SERVICE:
                if self._office is not None and isinstance(message, scheduler.Scheduled):
                    self._office.conductor.scheduled(message, now)
            case attributes.SERVICE:
                if self._office is not None and isinstance(message, attributes.AttributeValues):
                    self._office.conductor.attributes_replied(message)
            case fencing.SERVICE:
                self._fencing_said(message, now)
            case _:
                self._front_desk.asked(peer, message, self._describe)

    def _cib_said(self, message: msgspec.Struct, now: float) -> None:
        office = self._office
        match message:
            case cib.QueryReply():
                if message.request == self._settings_query:
                    self._take_settings(message)
                elif self._release.query_replied(message):
                    return
                elif office is not None and not office.query_replied(message):
                    office.conductor.query_replied(message, now)
            case cib.CibDescription():
                if self._candidate.described(message):
                    self._request_join(message)
                elif office is not None:
                    office.cib_described(message)
            case cib.CibChanged():
                self._cib_changed(message, now)
            case cib.CibReplaced():
                self._settings_changed(now)
                if office is not None:
                    office.cib_replaced(now)
            case cib.ChangeReply() if office is not None:
                office.change_replied(message, now)
            case cib.SyncDone() if office is not None:
                office.sync_ended(message, now)

    def _take_settings(self, reply: cib.QueryReply) -> None:
        self._settings_query = 0
        if reply.outcome is cib.Outcome.OK:
            self._settings = settings.read(reply.xml)
            if self._office is not None:
                self._office.conductor.settings = self._settings

    def _cib_changed(self, change: cib.CibChanged, now: float) -> None:
        if settings.may_concern(change):
            self._settings_changed(now)
        if self._office is not None:
            text = f"Processing diff (cib_update): {change.before} -> {change.after}"
            self._outbox.note(info("tengine", f"te_update_diff: {text}"))
            self._office.cib_changed(change, now)

    def _executor_said(self, message: msgspec.Struct, now: float) -> None:
        match message:
            case lrm.ExecutorDescription():
                if self._executor.described(message):
                    self._executor_described(message, now)
            case lrm.OperationFinished():
                self._executor.finished(message)
                self._report(message, now)

    def _report(self, result: lrm.OperationFinished, now: float) -> None:
        if self._office is not None:
            self._office.conductor.report(self._roster.node, (result,), now)
        elif self._candidate.dc:
            self._outbox.send(self._candidate.dc, peers.OperationReport((result,)))
        else:
            self._executor.kept.append(result)
        if self._candidate.step is Step.DESCRIBING_EXECUTOR and self._executor.is_connected:
            self._executor.describe()

    def _executor_described(self, description: lrm.ExecutorDescription, now: float) -> None:
        match self._candidate.step:
            case Step.DESCRIBING_EXECUTOR if self._executor.is_busy:
                self._busy_deadline = now + BUSY_RECHECK_S
            case Step.DESCRIBING_EXECUTOR:
                self._busy_deadline = None
                self._confirm_join(description, now)
            case Step.JOINED if self._office is not None:
                self._office.executor_restarted(self._roster.node, description)
            case Step.JOINED:
                self._outbox.send(self._candidate.dc, peers.ExecutorRestarted(description))
            case Step.NOTHING if self._states.state in (State.PENDING, State.NOT_DC):
                # Whoever is DC holds us for away until our executor can answer; now it can.
                self._announce(now)

    def _fencing_said(self, message: msgspec.Struct, now: float) -> None:
        if self._office is None:
            return
        match message:
            case fencing.Fenced():
                self._office.errands.fencing_ended(message, now)
            case fencing.Devices():
                self._office.errands.devices_told(message)

    # --- heartbeat ----------------------------------------------------------------------------

    def _heartbeat_said(self, message: msgspec.Struct, now: float) -> None:
        match message:
            case membership.SignedOn():
                self._signed_on(message)
            case membership.NodeChanged():
                self._roster.node_changed(message)
            case membership.ClientChanged():
                self._client_changed(message, now)
            case membership.ViewInstalled():
                self._view_installed(message, now)
            case membership.ClusterMessage():
                self._cluster_message(message, now)

    def _signed_on(self, message: membership.SignedOn) -> None:
        self._outbox.node = self._roster.node = self._states.node = message.node
        self._roster.uuids[message.node] = message.uuid
        self._release.allow(message.margin_ms / 1000)
        self._executor.is_classic = message.mode == "haresources"
        self._election = Election(message.node, FEATURE_SET)

    def _client_changed(self, message: membership.ClientChanged, now: float) -> None:
        changed, notes = self._roster.client_changed(message)
        self._outbox.note(*notes)
        if not changed:
            return
        name = message.node
        is_online = name in self._roster.online
        if is_online and name == self._lost_dc:
            self._lost_dc = ""
        self._announced.pop(name, None)
        self._election.forget(name)
        if self._office is not None:
            self._office.crmd_changed(name, is_online=is_online)
        self._bring_electorate_up_to_date()
        if name == self._candidate.dc and self._office is None:
            if is_online or name in self._roster.departed:
                self._dc_is_gone(now, Cause.CRMD_STATUS, "crmd_client_status_callback")
            else:
                self._suspicion_deadline = now + DC_SUSPICION_S
        elif not is_online and not self._election.favourite and self._is_waiting_for_offer():
            self._call_election(now, Input.ELECTION, Cause.CRMD_STATUS, "peer_lost")
        elif is_online and self._states.state is State.PENDING and not self._candidate.dc:
            self._outbox.send(name, peers.Announce(self._highest_reign))

    def _is_waiting_for_offer(self) -> bool:
        """Tell whether an election was lost to somebody who has not offered yet."""
        is_pending = self._states.state is State.PENDING and not self._candidate.dc
        return is_pending and self._election.number > 0

    def _view_installed(self, message: membership.ViewInstalled, now: float) -> None:
        self._outbox.note(*self._roster.install(message))
        if message.event is membership.ViewEvent.NOT_PRIMARY:
            return
        if message.event is membership.ViewEvent.EVICTED:
            self._evicted(now)
            return
        self._mind_quorum(message.view, now)
        lost = message.view.lost
        if self._candidate.dc in lost or self._lost_dc in lost:
            dc = self._candidate.dc if self._candidate.dc in lost else self._lost_dc
            text = f"check_dead_member: Our DC node ({dc}) left the cluster"
            self._outbox.note(warn("crmd", text))
            self._lost_dc = ""
        for name in lost:
            self._announced.pop(name, None)
            self._election.forget(name)
        self._bring_electorate_up_to_date()
        if self._office is not None:
            self._office.view_changed(message.view)
        elif self._candidate.dc in lost:
            self._dc_is_gone(now, Cause.CCM_CALLBACK, "check_dead_member")
        elif self._states.state is State.ELECTION:
            self._stand(now)
        elif lost and not self._election.favourite and self._is_waiting_for_offer():
            self._call_election(now, Input.ELECTION, Cause.CCM_CALLBACK, "check_dead_member")

    def _mind_quorum(self, view: membership.View, now: float) -> None:
        """Without quorum, see that somebody lets go: the DC, or soon we ourselves."""
        if view.quorate:
            self._release.call_off()
            self._executor.resume()
        elif self._settings.lets_go_without_quorum and self._office is None:
            self._release.expect(now)

    def _quorum_seen(self, node: str, view: int) -> None:
        known = self._roster.view
        if node in self._roster.members and known is not None and known.id == view:
            self._release.leave_to_the_dc()

    def _evicted(self, now: float) -> None:
        self._bring_electorate_up_to_date()
        self._election.stop()
        self._drop_office()
        self._forget_dc(now)
        self._outbox.note(*self._states.apply(Input.PENDING, Cause.CCM_CALLBACK, "evicted"))
        self._release.begin(now)

    def _cluster_message(self, message: membership.ClusterMessage, now: float) -> None:
        if message.from_node == self._roster.node:
            return
        if message.from_client != peers.CLIENT:
            who = f"client {message.from_client} at {message.from_node}"
            text = f"crmd_ha_msg_callback: dropped a message of {who}: not its crmd"
            self._outbox.note(warn("crmd", text))
            return
        try:
            said = peers.PEERS.decode(message.payload)
        except RemoteProtocolError as problem:
            text = f"crmd_ha_msg_callback: dropped a message from {message.from_node}: {problem}"
            self._outbox.note(warn("crmd", text))
            return
        self._peer_said(message.from_node, said, now)

    # --- other crmds --------------------------------------------------------------------------

    def _peer_said(self, node: str, message: msgspec.Struct, now: float) -> None:
        match message:
            case peers.Announce(reign=reign):
                self._hear_reign(reign)
                self._peer_announced(node)
            case peers.Vote():
                self._hear_reign(message.reign)
                self._vote_arrived(node, message, now)
            case peers.NoVote():
                self._hear_reign(message.reign)
                self._election.count(node, message)
            case peers.Goodbye():
                self._roster.departed[node] = None
            case peers.JoinOffer():
                self._offered(node, message, now)
            case peers.QuorumSeen(view=view):
                self._quorum_seen(node, view)
            case peers.JoinAck():
                self._acknowledged(node, message)
            case peers.ExecuteOrders(reign=reign, orders=orders):
                for order in orders:
                    given_back = self._executor.carry_out(reign, order)
                    if given_back is not None:
                        self._report(given_back, now)
            case peers.ForgetResource(reign=reign, resource=resource):
                self._executor.forget(reign, resource)
            case peers.ShutdownOrder() if node == self._candidate.dc:
                self._shutdown_ordered()
            case peers.ToolAnswer():
                self._front_desk.answered(message)
            case _ if self._office is not None:
                self._dc_heard(self._office, node, message, now)
            case _:
                kind = type(message).__name__
                self._outbox.note(debug("crmd", f"route_message: {kind} from {node}: not DC"))

    def _dc_heard(self, office: Office, node: str, message: msgspec.Struct, now: float) -> None:
        match message:
            case peers.JoinRequest():
                self._hear_reign(message.known_reign.number)
                office.requested(node, message, now)
            case peers.JoinConfirm():
                office.confirmed(node, message, now)
            case peers.OperationReport(results=results):
                office.conductor.report(node, results, now)
            case peers.ExecutorLost():
                office.executor_lost(node, now)
            case peers.ExecutorRestarted(description=description):
                office.executor_restarted(node, description)
            case peers.ShutdownRequest():
                office.shutdown_requested(node)
            case peers.ToolRequest():
                office.errands.asked(node, message)

    def _peer_announced(self, node: str) -> None:
        self._announced[node] = None
        if self._office is not None:
            self._office.announced(node)

    def _describe(self, request: int) -> controller.ControllerDescription:
        run = self._office.conductor.run if self._office is not None else None
        pending = tuple(action.key for action in run.in_flight.values()) if run else ()
        return controller.ControllerDescription(
            request=request,
            node=self._roster.node,
            state=self._states.state.value,
            dc=self._candidate.dc,
            transition=self._counters.transition,
            pending_actions=pending,
            feature_set=FEATURE_SET,
        )

    # --- settling -----------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Do whatever has become possible."""
        if self._has_ended:
            return
        if self._states.state is State.STARTING and self._roster.is_member:
            origin = "do_started"
            self._outbox.note(*self._states.apply(Input.PENDING, Cause.INTERNAL, origin))
            self._bring_electorate_up_to_date()
            self._announce(now)
        for node, vote in self._election.take_kept():
            self._vote_arrived(node, vote, now)
        if self._nobody_is_dc():
            self._call_election(now, Input.ELECTION, Cause.INTERNAL, "do_cl_join_query")
        if self._election.is_won and self._states.state is State.ELECTION:
            self._take_office(now)
        if self._office is not None:
            self._office.settle(now)
        self._departure.ask()

    def _nobody_is_dc(self) -> bool:
        """Tell whether every member's crmd is here and says that it has no DC."""
        if self._states.state is not State.PENDING or self._candidate.dc:
            return False
        if not self._roster.is_member or self._election.favourite:
            return False
        return all(
            name == self._roster.node or (self._roster.is_online(name) and name in self._announced)
            for name in self._roster.members
        )
