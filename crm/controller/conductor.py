"""The DC at work: when to schedule, carrying the graph out, and what results mean for both.

Responsible for the round from a reason to reschedule over the scheduler's answer to the end of the
run, and for results of operations; not for who belongs (`office`), nor for what a graph says.

Theory of operation. Whatever makes the present plan doubtful calls `want(reason)`. A running
transition is then aborted: it starts nothing more, and what is in flight is waited for. When
nothing is in flight, the whole CIB is read (after everything in the ledger was sent) and given to
the scheduler; a reason that comes up meanwhile makes its answer stale, and the round begins again,
a limited number of times. What only changes the configuration waits until the scheduler has rested
for a few times as long as its last answer took, and while one change follows the other also for a
pause between them, within limits: a lone change finds it rested, and a burst of them, whose
answers are all out of date when they come, costs a twentieth of the time instead of all of it.
Results are entered in the ledger in the order in which they come. A failure also raises the fail
count, through attrd, and the next round waits until that is written: otherwise the scheduler would
repeat what has just failed.

A node whose crmd or executor is away for a moment keeps its place: orders to it are not sent and
stay in flight until it is back (what was under way is then known from its executor) or given up.

Source: docs/protocol/transition.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crm.api import attributes, cib, fencing, scheduler
from crm.api.lrm import OperationFinished, ResourceAgent
from crm.api.peers import ExecuteOrders, ForgetResource, Order, ShutdownOrder
from crm.controller import history
from crm.controller.ledger import Ledger
from crm.controller.outbox import Outbox
from crm.controller.roster import Roster
from crm.controller.settings import Settings
from crm.controller.states import Cause, Input, State, StateMachine
from crm.controller.transition import TransitionRun
from crm.model.graph import Action, ActionKind
from crm.model.outcomes import OperationStatus
from crm.model.version import Reign
from crm.plumbing.machine import Note, info, notice, warn

MAX_STALE_ANSWERS = 10
MAX_STALE_S = 5.0
"""After so many answers in a row that were stale, or so long, one is carried out all the same."""

COUNTING_PATIENCE_S = 2.0
"""So long the next round waits for a fail count to be written."""

RETRY_PAUSE_S = 1.0
"""So long the next round waits when the CIB could not be read or an order was given back."""

FENCING_PAUSE_S = 5.0
"""After a failed fencing the next round waits so long: a device is not to be hammered."""


REST_FACTOR = 4
"""So many times as long as a round took, changes of the configuration wait for the next one."""

MAX_REST_S = 0.5
"""They wait no longer than this."""

BURST_PAUSE_S = 0.05
"""Changes that follow each other faster than this are a burst, which ends when they do not."""

BURST_FACTOR = 20
"""So many times as long as a round took, the next one waits for the end of a burst."""

MAX_BURST_S = 5.0
"""It waits no longer than this: a round of a large cluster takes a quarter of a second."""


@dataclass(slots=True)
class Counters:
    """Numbers that outlive one reign of this crmd."""

    transition: int = -1


@dataclass(slots=True)
class _Asking:
    """A round between the reading of the CIB and the scheduler's answer."""

    query: int
    began: float
    schedule: int = 0
    transition: int = -1


@dataclass(frozen=True, slots=True)
class _Clearing:
    """Failures that are to be forgotten once attrd has said which there are."""

    node: str
    resource: str
    concerns: Callable[[str, str], bool]
    with_history: bool = False


@dataclass(slots=True)
class Conductor:
    """Decides when to schedule, and carries out what was decided."""

    outbox: Outbox
    roster: Roster
    states: StateMachine
    ledger: Ledger
    counters: Counters
    reign: Reign
    engine: str
    wall: Callable[[], float]
    settings: Settings = field(default_factory=Settings)
    may_begin: Callable[[], bool] = lambda: True
    is_away: Callable[[str], bool] = lambda _node: False
    fenced: Callable[[str], None] = lambda _node: None
    run: TransitionRun | None = None
    reasons: list[str] = field(default_factory=list)
    recheck_at: float | None = None
    _asking: _Asking | None = None
    _stale: int = 0
    _stale_since: float = 0.0
    _must_see_ledger: bool = False
    _may_wait: bool = False
    _rested_at: float = 0.0
    _burst_limit: float = 0.0
    _changed_at: float = -BURST_PAUSE_S
    _is_burst: bool = False
    _sentence: str = ""
    _not_before: float | None = None
    _counting: dict[int, float] = field(default_factory=dict)
    _clearing: dict[int, _Clearing] = field(default_factory=dict)
    _fencing: dict[int, Action] = field(default_factory=dict)

    # --- reasons --------------------------------------------------------------------------

    def want(self, reason: str) -> None:
        """Have the plan made anew; `reason` goes into the log."""
        self._add(reason)
        self._may_wait = False
        self._abort(reason)

    def want_when_rested(self, reason: str, now: float) -> None:
        """Have the plan made anew, in one go with what may follow in a burst."""
        if not self.reasons:
            self._may_wait = True
        self._is_burst = self._is_burst or now < self._changed_at + BURST_PAUSE_S
        self._changed_at = now
        self._add(reason)
        self._abort(reason)

    def _add(self, reason: str) -> None:
        if reason not in self.reasons and len(self.reasons) < 100:
            self.reasons.append(reason)

    def _abort(self, reason: str) -> None:
        run = self.run
        if run is not None and not run.is_over and run.abort(reason):
            self._note(
                info(
                    "tengine",
                    f"abort_transition_graph: Transition {run.number} aborted: {reason}",
                )
            )

    @property
    def is_idle(self) -> bool:
        """Tell whether there is nothing to do and nothing to wait for."""
        return (
            self.states.state is State.IDLE
            and not self.reasons
            and not self._counting
            and self.ledger.is_settled
        )

    def halt(self, reason: str) -> None:
        """Start nothing more; what is in flight is still heard."""
        self._asking = None
        if self.run is not None:
            self.run.abort(reason)

    # --- rounds ---------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Do whatever can be done now."""
        if self.states.state is State.TRANSITION_ENGINE:
            self._advance(now)
        if self.reasons and self.states.state is State.IDLE:
            self._enter_policy_engine("abort_transition_graph")
        if self.states.state is State.POLICY_ENGINE:
            self._begin(now)
        self.ledger.flush(at_once=False)

    def _enter_policy_engine(self, origin: str) -> None:
        self._note(*self.states.apply(Input.PE_CALC, Cause.INTERNAL, origin))

    def _begin(self, now: float) -> None:
        """Ask for the CIB, unless something has to be waited for."""
        if self._asking is not None or not self.may_begin():
            return
        if self.run is not None and self.run.in_flight:
            return
        if self._counting or (self._not_before is not None and now < self._not_before):
            return
        if self._must_see_ledger and not self.ledger.is_settled:
            return
        if self._is_resting(now):
            return
        if not {cib.SERVICE, scheduler.SERVICE} <= self.outbox.connected.keys():
            return
        self.run = None
        self.reasons.clear()
        self._is_burst = False
        self.ledger.flush(at_once=True)
        self._must_see_ledger = False
        self._asking = _Asking(self.outbox.next_request(), now)
        self.outbox.tell(cib.SERVICE, cib.Query(self._asking.query))

    def _is_resting(self, now: float) -> bool:
        return bool(self.reasons) and self._may_wait and now < self._begin_at()

    def _begin_at(self) -> float:
        """Say when the next round begins that only changes of the configuration ask for."""
        if not self._is_burst:
            return self._rested_at
        return max(self._rested_at, min(self._changed_at + BURST_PAUSE_S, self._burst_limit))

    def query_replied(self, reply: cib.QueryReply, now: float) -> bool:
        """Take in the CIB; False if it was not asked for here."""
        asking = self._asking
        if asking is None or reply.request != asking.query or asking.schedule:
            return False
        if not self.ledger.is_settled:
            # The cib holds our changes back: what it told us is from before them.
            self._asking = None
            self._must_see_ledger = True
            self.want("the status was being written")
            return True
        if self._may_wait:
            self.reasons.clear()  # what our cib told before its answer is in the answer
        if reply.outcome is not cib.Outcome.OK or self._is_stale(now):
            self._asking = None
            if reply.outcome is not cib.Outcome.OK:
                why = reply.outcome.name
                self._note(warn("crmd", f"do_pe_invoke: the CIB could not be read: {why}"))
                self.pause(now, RETRY_PAUSE_S)
            return True
        self.counters.transition += 1
        asking.schedule = self.outbox.next_request()
        asking.transition = self.counters.transition
        question = scheduler.Schedule(
            request=asking.schedule,
            cib=reply.xml,
            wall=self.wall(),
            transition=asking.transition,
        )
        self.outbox.tell(scheduler.SERVICE, question)
        return True

    def _is_stale(self, now: float) -> bool:
        """Tell whether an answer is to be thrown away because a reason came up meanwhile."""
        if not self.reasons:
            return False
        if not self._stale:
            self._stale_since = now
        if self._stale >= MAX_STALE_ANSWERS or now >= self._stale_since + MAX_STALE_S:
            return False
        self._stale += 1
        return True

    def scheduled(self, answer: scheduler.Scheduled, now: float) -> None:
        """Take in the scheduler's answer and start the run."""
        asking = self._asking
        if asking is None or answer.request != asking.schedule:
            return
        self._asking = None
        taken_s = now - asking.began
        self._rested_at = now + min(REST_FACTOR * taken_s, MAX_REST_S)
        self._burst_limit = now + min(BURST_FACTOR * taken_s, MAX_BURST_S)
        self._note(*(Note(line.level, line.entity, line.text) for line in answer.lines))
        if self._is_stale(now) or self.states.state is not State.POLICY_ENGINE:
            return
        self._stale = 0
        self.run = TransitionRun(answer.graph, asking.transition)
        self._sentence = answer.sentence
        self._set_recheck(answer.graph.recheck_at, now)
        applied = self.states.apply(Input.PE_SUCCESS, Cause.IPC_MESSAGE, "do_msg_route")
        self._note(*applied)
        count = len(answer.graph.synapses)
        where = f" derived from {answer.input_path}" if answer.input_path else ""
        self._note(
            info(
                "tengine",
                f"do_te_invoke: Processing graph {asking.transition} ({count} synapses){where}",
            )
        )
        if answer.failed:
            self._note(warn("crmd", f"do_te_invoke: no plan could be made: {answer.sentence}"))
        self._advance(now)

    def _set_recheck(self, recheck_at: float | None, now: float) -> None:
        interval = self.settings.recheck_interval_s
        self.recheck_at = now + interval if interval > 0 else None
        if recheck_at is not None:
            due = now + max(recheck_at - self.wall(), 0.1)
            self.recheck_at = due if self.recheck_at is None else min(due, self.recheck_at)

    def pause(self, now: float, seconds: float) -> None:
        """Begin no round for a while, and one after it."""
        self._not_before = now + seconds

    def scheduler_lost(self) -> None:
        """Ask again once the scheduler is back."""
        if self._asking is not None and self._asking.schedule:
            self._asking = None
            self.want("the scheduler was restarted")

    # --- the run --------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Start what may start, and notice the end of the run."""
        run = self.run
        if run is None:
            self._end("there was nothing to run")
            return
        orders: dict[str, list[Order]] = {}
        fired = run.fire(now)
        while fired:
            for action in fired:
                self._start(action, run, orders)
            fired = run.fire(now)
        for node, batch in sorted(orders.items()):
            self.outbox.send(node, ExecuteOrders(self.reign, tuple(batch)))
        if run.is_over:
            self._finish(run)

    def _finish(self, run: TransitionRun) -> None:
        if self.reasons:
            self._enter_policy_engine("abort_transition_graph")
            return
        verdict = "complete"
        if not run.is_complete:
            verdict = f"terminated with {run.incomplete_count} synapses not fired"
        self._end(verdict)

    def _end(self, verdict: str) -> None:
        number = self.counters.transition
        sentence = f": {self._sentence}" if self._sentence else ""
        self._note(notice("crmd", f"run_graph: Transition {number} {verdict}{sentence}"))
        self._note(*self.states.apply(Input.TE_SUCCESS, Cause.IPC_MESSAGE, "do_msg_route"))

    def _start(self, action: Action, run: TransitionRun, orders: dict[str, list[Order]]) -> None:
        where = f" on {action.node}" if action.node else ""
        text = f"send_rsc_command: Initiating action {action.id}: {action.key}{where}"
        self._note(info("tengine", text))
        if action.kind is ActionKind.CLUSTER:
            self._start_cluster_action(action, run)
        elif action.task == "delete" and action.resource is not None:
            self.outbox.send(action.node, ForgetResource(self.reign, action.resource.id))
            self.ledger.add(cib.EraseHistory(node=action.node, resource=action.resource.id))
            self._confirm(run, action)
        elif action.resource is None or action.node not in self.roster.members:
            self._note(warn("tengine", f"send_rsc_command: {action.key}{where} cannot be run"))
            run.fail(action.id)
            self.want(f"{action.key}{where} cannot be run")
        elif not self.is_away(action.node):
            orders.setdefault(action.node, []).append(self._order(action, run))

    def _order(self, action: Action, run: TransitionRun) -> Order:
        assert action.resource is not None, "only resource operations are ordered"
        is_cancel = action.task == "cancel"
        operation, interval = action.task, action.interval_ms
        if is_cancel:
            _resource, operation, interval = self._slot(action)
        key = history.TransitionKey(action.id, run.number, action.expected_rc or 0, self.engine)
        return Order(
            action=action.id,
            key=str(key),
            resource=action.resource.id,
            agent=ResourceAgent(
                agent_class=action.resource.agent_class,
                type=action.resource.type,
                provider=action.resource.provider,
            ),
            operation=operation,
            interval_ms=interval,
            timeout_ms=action.timeout_ms,
            start_delay_ms=_number(action.meta.get("start_delay", "0")),
            parameters=action.parameters,
            meta=action.meta,
            expected_rc=action.expected_rc,
            cancel=is_cancel,
        )

    def _start_cluster_action(self, action: Action, run: TransitionRun) -> None:
        match action.task:
            case "do_shutdown":
                self.outbox.send(action.node, ShutdownOrder(self.reign))
                self._confirm(run, action)
            case "stonith":
                self._fence(action, run)
            case "clear_failcount" if action.resource is not None:
                name = action.resource.id
                self._clear(_Clearing(action.node, name, history.concerns_copies))
                self._confirm(run, action)
            case "lrm_delete" if action.resource is not None:
                self.ledger.add(cib.EraseHistory(node=action.node, resource=action.resource.id))
                self._confirm(run, action)
            case _:
                self._confirm(run, action)

    def _fence(self, action: Action, run: TransitionRun) -> None:
        if fencing.SERVICE not in self.outbox.connected:
            run.fail(action.id)
            self._fencing_failed(action.node, "no fencing daemon is there")
            return
        request = self.outbox.next_request()
        self._fencing[request] = action
        how = action.meta.get("stonith_action", "reboot")
        timeout = run.graph.fencing_timeout_ms
        self.outbox.tell(fencing.SERVICE, fencing.Fence(request, action.node, how, timeout))

    def fencing_ended(self, answer: fencing.Fenced, now: float) -> None:
        """Take in whether a node was fenced."""
        action = self._fencing.pop(answer.request, None)
        if action is None:
            return
        if answer.rc == 0:
            self._note(notice("tengine", f"tengine_stonith_notify: {answer.node} was fenced"))
            self.fenced(answer.node)
            if self.run is not None:
                self._confirm(self.run, action)
            return
        if self.run is not None:
            self.run.fail(action.id)
        self.pause(now, FENCING_PAUSE_S)
        self._fencing_failed(answer.node, answer.reason or f"rc={answer.rc}")

    def fencing_lost(self, now: float) -> None:
        """Count every fencing under way as failed: its end will not be told."""
        lost, self._fencing = self._fencing, {}
        for action in lost.values():
            if self.run is not None and self.run.fail(action.id):
                self.pause(now, FENCING_PAUSE_S)
                self._fencing_failed(action.node, "the fencing daemon is gone")

    def _fencing_failed(self, node: str, why: str) -> None:
        self._note(warn("tengine", f"tengine_stonith_callback: {node} could not be fenced: {why}"))
        if self.run is not None:
            self.run.abort(f"{node} could not be fenced")

    def _confirm(self, run: TransitionRun, action: Action) -> None:
        run.confirm(action.id)
        self._note(
            info("tengine", f"match_graph_event: Action {action.key} ({action.id}) confirmed")
        )

    # --- results --------------------------------------------------------------------------

    def report(self, node: str, results: tuple[OperationFinished, ...], now: float) -> None:
        """Take in results of a node's executor."""
        node_id = self.roster.uuids.get(node, "")
        for result in results:
            if result.status == OperationStatus.CANCELLED:
                self._cancelled(node, result, now)
                continue
            entry = history.record(result, node=node, node_id=node_id)
            self.ledger.add(cib.RecordOperations((entry,)))
            self._match(node, result, now)

    def _match(self, node: str, result: OperationFinished, now: float) -> None:
        name = history.name_of(result)
        ended_well = history.is_as_expected(result)
        action = self._awaited(result)
        if action is not None and self.run is not None:
            if ended_well:
                self._confirm(self.run, action)
                return
            self.run.fail(action.id)
        elif ended_well and result.interval_ms:
            return
        if ended_well:
            self.want(f"{name} on {node} ended, which an earlier transition had started")
            return
        self._note(
            warn(
                "tengine",
                f"status_from_rc: Action {name} on {node} failed"
                f" (target: {history.expected_rc(result)} vs. rc: {result.rc})",
            )
        )
        if history.counts_as_failure(result):
            self._count_failure(node, result, now)
        self.want(f"{name} on {node} returned {result.rc}")

    def _awaited(self, result: OperationFinished) -> Action | None:
        """Find the action in flight a result belongs to."""
        key = history.parse_key(result.key)
        run = self.run
        if key is None or run is None:
            return None
        if key.engine != self.engine or key.transition != run.number:
            return None
        return run.in_flight.get(key.action)

    def _cancelled(self, node: str, result: OperationFinished, now: float) -> None:
        """Take in that an operation is repeated no more, or was given back without being run."""
        if result.interval_ms:
            node_id = self.roster.uuids.get(node, "")
            entry = history.record(result, node=node, node_id=node_id)
            self.ledger.add(cib.RecordOperations((entry,)))
        run = self.run
        if run is None:
            return
        slot = (result.resource, result.operation, result.interval_ms)
        for action in list(run.in_flight.values()):
            if action.task == "cancel" and action.node == node and self._slot(action) == slot:
                self._confirm(run, action)
                return
        awaited = self._awaited(result)
        if awaited is not None:
            run.fail(awaited.id)
            self.pause(now, RETRY_PAUSE_S)
            self.want(f"{awaited.key} on {node} was given back: {result.exit_reason}")

    def _slot(self, action: Action) -> tuple[str, str, int]:
        """Name what a cancel action cancels."""
        resource = action.resource.id if action.resource is not None else ""
        operation = action.meta.get("operation", "monitor")
        return resource, operation, action.interval_ms or _number(action.meta.get("interval", "0"))

    def _count_failure(self, node: str, result: OperationFinished, now: float) -> None:
        """Raise the fail count of an operation, and hold the next round until it is written."""
        graph = self.run.graph if self.run is not None else None
        value = history.fail_count_value(
            result.operation,
            start_is_fatal=graph is None or graph.failed_start_is_infinity,
            stop_is_fatal=graph is None or graph.failed_stop_is_infinity,
        )
        subject = (result.resource, result.operation, result.interval_ms)
        when = str(int(self.wall()))
        for name, text in (
            (history.fail_count_name(*subject), value),
            (history.last_failure_name(*subject), when),
        ):
            request = self.outbox.next_request()
            if attributes.SERVICE in self.outbox.connected:
                self._counting[request] = now + COUNTING_PATIENCE_S
            update = attributes.UpdateAttribute(name=name, value=text, node=node, request=request)
            self.outbox.tell(attributes.SERVICE, update)

    def clear_failures(self, node: str, resource: str, *, with_history: bool = False) -> None:
        """Have the fail counts of a resource ("" = all) on a node forgotten.

        With `with_history` the history of those resources goes as well, so they are probed again.
        """
        self._clear(_Clearing(node, resource, history.concerns, with_history=with_history))

    def _clear(self, wanted: _Clearing) -> None:
        request = self.outbox.next_request()
        self._clearing[request] = wanted
        self.outbox.tell(attributes.SERVICE, attributes.AskAttributes(request, node=wanted.node))

    def attributes_replied(self, answer: attributes.AttributeValues) -> None:
        """Take in what attrd says: a count is written, or which counts there are."""
        self._counting.pop(answer.request, None)
        asked = self._clearing.pop(answer.request, None)
        if asked is None:
            return
        failed: dict[str, None] = {}
        for found in answer.values:
            is_failure = history.is_failure_attribute(found.name)
            if is_failure and asked.concerns(found.name, asked.resource):
                failed[history.resource_of_attribute(found.name)] = None
                clear = attributes.UpdateAttribute(name=found.name, node=found.node)
                self.outbox.tell(attributes.SERVICE, clear)
        if asked.with_history:
            for name in failed:
                self.erase_history(asked.node, name)

    def erase_history(self, node: str, resource: str) -> None:
        """Have the history of a resource ("" = all) on a node forgotten, here and there."""
        self.outbox.send(node, ForgetResource(self.reign, resource))
        self.ledger.add(cib.EraseHistory(node=node, resource=resource))
        self.want(f"the history of {resource or 'all resources'} on {node} was erased")

    def attrd_lost(self) -> None:
        """Wait for no fail count any more: who would write it is gone."""
        self._counting.clear()
        self._clearing.clear()

    # --- nodes that come and go -------------------------------------------------------------

    def lose_node(self, node: str, reason: str) -> bool:
        """Give up what is under way on a node; tell whether anything was."""
        lost = self.run.lose_node(node) if self.run is not None else []
        for action in lost:
            text = f"Action {action.key} ({action.id}) on {node} was lost: {reason}"
            self._note(warn("tengine", f"fail_incompletable_actions: {text}"))
            self.want(reason)
        return bool(lost)

    # --- time -----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Give up what is overdue."""
        for request in [number for number, at in self._counting.items() if at <= now]:
            del self._counting[request]
            self._note(warn("crmd", "update_failcount: a fail count was not written in time"))
        if self._not_before is not None and self._not_before <= now:
            self._not_before = None
            self.want("what could not be done is tried again")
        if self.run is not None:
            for action in self.run.overdue(now):
                text = f"{action.key} on {action.node} did not end in time"
                self._note(warn("tengine", f"action_timer_callback: {text}"))
                self.want(text)
        is_resting = self.states.state is State.IDLE
        if is_resting and self.recheck_at is not None and self.recheck_at <= now:
            self.recheck_at = None
            self.want("the recheck timer popped")

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        times = list(self._counting.values())
        if self._not_before is not None:
            times.append(self._not_before)
        if self.states.state is State.POLICY_ENGINE and self._asking is None:
            times += [self._begin_at()] if self.reasons and self._may_wait else []
        if self.states.state is State.IDLE and self.recheck_at is not None:
            times.append(self.recheck_at)
        deadline = self.run.next_deadline() if self.run is not None else None
        if deadline is not None:
            times.append(deadline)
        return min(times, default=None)

    def _note(self, *notes: Note) -> None:
        self.outbox.note(*notes)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
