"""The executor's core: which agent runs when, and who learns of it.

Theory of operation. Each resource has a line of orders (`resources.Line`); one agent at a time
runs for it, in the order of arrival, so `stop` never overtakes `start`. Over all resources at most
`at_once` agents run; orders go before repetitions, both first come, first served.

- An order with an interval is repeated: the first run at once, each following one an interval
  after the end of the one before, so a slow agent never runs twice at the same time. Its first
  result is reported, then each one that differs from the one before or is not what was expected.
- A repetition ends by `Cancel`, by a stop of its resource, by `Forget`, or by a new order of the
  same operation and interval. If it runs at that moment its result is dropped.
- A timeout counts from the start of the agent (`AgentStarted`), not from when it was asked for.
- An agent that exceeds its timeout is killed, and the result (TIMEOUT) is told when it is really
  gone, so that nothing runs beside it; after `KILL_PATIENCE_S` it is told anyhow.
- Orders carry a reign. The greatest reign ever seen counts: older orders are refused, and those
  that still wait are given back CANCELLED. Those that wait are also given back when their asker
  is lost. Invariant: after an order of a reign was accepted, none of an earlier one is started.
- An order's key is executed at most once; the same key again is answered with the known result.

Nothing is remembered over a restart: `incarnation` tells the controller to probe again.
`WatchTripped` means that somebody saw the resource change; its repetitions are due at once.

Source: docs/protocol/lrm.md.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from crm.api.lrm import (
    Cancel,
    DescribeExecutor,
    Execute,
    ExecutorDescription,
    Forget,
    OperationFinished,
    RaiseReign,
    ResourceAgent,
)
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.version import Reign
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    debug,
    error,
    info,
    warn,
)
from lrmd import results
from lrmd.resources import MAX_WAITING, Line, Order, Recurrence

DEFAULT_AT_ONCE = 8
"""So many agents run at the same time unless the shell says otherwise (twice the cores)."""

START_LIMIT_S = 30.0
"""How long whoever starts agents may take to start one, be it that it has to start itself first."""

DEFAULT_TIMEOUT_MS = 20_000
"""The timeout of an order that names none."""

KILL_PATIENCE_S = 10.0
"""An agent still there so long after it was killed hangs in the kernel; go on without it."""

MAX_KEYS = 10_000
"""So many keys are remembered to recognise an order that comes twice."""


# --- events and effects of this room --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentEnded:
    """The agent started as `run` is gone, and everything it started in its session.

    `rc` is an OCF exit code; `status` is other than DONE when the agent could not be run at all.
    `output` and `errors` are the ends of what it wrote on its two outputs.
    """

    run: int
    rc: int
    status: OperationStatus = OperationStatus.DONE
    output: str = ""
    errors: str = ""
    exit_reason: str = ""


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """An agent has begun: its timeout counts from now."""

    run: int


@dataclass(frozen=True, slots=True)
class WatchTripped:
    """Something outside an agent (the kernel) says that a resource has changed."""

    resource: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class StartAgent:
    """Run an agent; answered by `AgentStarted`, if it can be started, and by one `AgentEnded`."""

    run: int
    resource: str
    agent: ResourceAgent
    operation: str
    parameters: Mapping[str, str]
    meta: Mapping[str, str]
    interval_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class KillAgent:
    """End an agent and everything it started, first politely, soon by force."""

    run: int


Event = (
    MessageArrived
    | PeerConnected
    | PeerLost
    | StopRequested
    | AgentStarted
    | AgentEnded
    | WatchTripped
)
Effect = Tell | Note | Exit | StartAgent | KillAgent


@dataclass(slots=True)
class Run:
    """An agent at work.

    Units: `started` and `limit` in monotonic seconds, `started_wall` in seconds since 1970.
    """

    number: int
    order: Order
    started: float
    started_wall: float
    limit: float
    has_begun: bool = False
    was_killed: bool = False
    is_dropped: bool = False


@dataclass(slots=True)
class Turns:
    """The resources whose turn it is: those with an order before those with a repetition."""

    orders: deque[str] = field(default_factory=deque)
    repetitions: deque[str] = field(default_factory=deque)
    enlisted: set[str] = field(default_factory=set)

    def enlist(self, resource: str, turn: deque[str]) -> None:
        """Put a resource at the end of a queue, unless it stands in one already."""
        if resource not in self.enlisted:
            self.enlisted.add(resource)
            turn.append(resource)

    def next(self) -> str | None:
        """Take the resource whose turn it is."""
        for turn in (self.orders, self.repetitions):
            if turn:
                resource = turn.popleft()
                self.enlisted.discard(resource)
                return resource
        return None


class Operations:
    """The machine of lrmd. `wall` gives seconds since 1970, for the record only."""

    def __init__(
        self,
        *,
        incarnation: str,
        wall: Callable[[], float],
        at_once: int = DEFAULT_AT_ONCE,
    ) -> None:
        assert at_once > 0, "at least one agent must be allowed to run"
        self._incarnation = incarnation
        self._wall = wall
        self._at_once = at_once
        self._reign = Reign()
        self._lines: dict[str, Line] = {}
        self._runs: dict[int, Run] = {}
        self._last_run = 0
        self._turns = Turns()
        self._wakes: list[tuple[float, str]] = []
        self._limits: list[tuple[float, int]] = []
        self._keys: OrderedDict[str, OperationFinished | None] = OrderedDict()
        self._lost: set[str] = set()

    # --- the machine's three doors ---

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in a message, the end of an agent, or a sign from outside."""
        effects: list[Effect] = []
        match event:
            case MessageArrived(peer, message):
                self._lost.discard(peer)
                effects += self._obey(peer, message, now)
            case PeerConnected(peer):
                self._lost.discard(peer)
            case PeerLost(peer):
                self._lost.add(peer)
                effects += self._drop_waiting_of(peer)
            case AgentStarted(number):
                self._begin(number, now)
            case AgentEnded():
                effects += self._end(event, now)
            case WatchTripped(resource, what):
                effects += self._trip(resource, what, now)
            case StopRequested():
                return [
                    info("lrmd", "lrmd is shutting down; resources are left as they are"),
                    Exit(0),
                ]
        return effects + self._fill(now)

    def tick(self, now: float) -> list[Effect]:
        """Kill what has run too long and start what has become due."""
        effects: list[Effect] = []
        while self._limits and self._limits[0][0] <= now:
            effects += self._enforce_limit(heapq.heappop(self._limits)[1], now)
        while self._wakes and self._wakes[0][0] <= now:
            self._consider(heapq.heappop(self._wakes)[1], now)
        return effects + self._fill(now)

    def next_deadline(self) -> float | None:
        """Say when the next timeout or repetition comes."""
        while self._limits and self._limits[0][1] not in self._runs:
            heapq.heappop(self._limits)
        heads = [heap[0][0] for heap in (self._limits, self._wakes) if heap]
        return min(heads, default=None)

    # --- orders ---

    def _obey(self, peer: str, message: msgspec.Struct, now: float) -> list[Effect]:
        match message:
            case Execute():
                return self._order(peer, message, now)
            case Cancel():
                return self._cancel(peer, message)
            case Forget(resource):
                return self._forget(resource)
            case RaiseReign(reign):
                return self._raise_reign(reign)
            case DescribeExecutor(request):
                return [Tell(peer, self._describe(request))]
            case _:
                return [debug("lrmd", f"{peer} sent {type(message).__name__}: not for lrmd")]

    def _order(self, peer: str, order: Execute, now: float) -> list[Effect]:
        if order.timeout_ms <= 0:
            order = msgspec.structs.replace(order, timeout_ms=DEFAULT_TIMEOUT_MS)
        if order.reign < self._reign:
            # Not executed is no failure of the resource: a DC whose reign is too small asks again.
            reason = self._older_reign(order.reign)
            return self._refuse(peer, order, reason, OperationStatus.CANCELLED)
        effects = self._raise_reign(order.reign)
        if order.key and order.key in self._keys:
            return effects + self._repeat_answer(peer, order)
        line = self._lines.setdefault(order.resource, Line(order.resource))
        if len(line.waiting) >= MAX_WAITING:
            reason = f"{MAX_WAITING} orders for {order.resource} wait already"
            return effects + self._refuse(peer, order, reason)
        self._remember_key(order.key, None)
        arrived = Order(order, peer, ready_at=now + max(order.start_delay_ms, 0) / 1000)
        if order.operation == "stop":
            effects += self._give_back(line.withdraw_recurring_orders(), "the resource is stopped")
        elif arrived.is_recurring:
            effects += self._give_back(line.withdraw(arrived.slot), "replaced by a newer order")
        line.waiting.append(arrived)
        if arrived.ready_at > now:
            heapq.heappush(self._wakes, (arrived.ready_at, order.resource))
        self._consider(order.resource, now)
        return effects

    def _cancel(self, peer: str, message: Cancel) -> list[Effect]:
        order = Execute(
            call_id=message.call_id,
            key=message.key,
            resource=message.resource,
            agent=ResourceAgent("", ""),
            operation=message.operation,
            interval_ms=message.interval_ms,
        )
        if message.reign < self._reign:
            return self._refuse(peer, order, self._older_reign(message.reign))
        effects = self._raise_reign(message.reign)
        line = self._lines.get(message.resource)
        slot = (message.operation, message.interval_ms)
        if line is None:
            return [*effects, *self._answer_cancelled(peer, order)]
        for withdrawn in line.withdraw(slot):
            self._keys.pop(withdrawn.execute.key, None)
            order = msgspec.structs.replace(order, agent=withdrawn.execute.agent)
        ended = line.recurring.pop(slot, None)
        if ended is not None:
            self._end_recurrence(line, ended)
            order = msgspec.structs.replace(order, agent=ended.order.execute.agent)
        if message.interval_ms:
            line.results.pop(slot, None)
        self._drop_if_empty(line)
        return [*effects, *self._answer_cancelled(peer, order)]

    def _forget(self, resource: str) -> list[Effect]:
        effects: list[Effect] = []
        for line in [self._lines[resource]] if resource in self._lines else []:
            effects += self._forget_line(line)
        if not resource:
            for line in list(self._lines.values()):
                effects += self._forget_line(line)
        return effects

    def _forget_line(self, line: Line) -> list[Effect]:
        effects = self._give_back(list(line.waiting), "forgotten")
        line.waiting.clear()
        for recurrence in list(line.recurring.values()):
            self._end_recurrence(line, recurrence)
        line.recurring.clear()
        line.results.clear()
        self._drop_if_empty(line)
        return effects

    def _raise_reign(self, reign: Reign) -> list[Effect]:
        if reign <= self._reign:
            return []
        self._reign = reign
        effects: list[Effect] = []
        for line in list(self._lines.values()):
            late = [order for order in line.waiting if order.execute.reign < reign]
            for order in late:
                line.waiting.remove(order)
            effects += self._give_back(late, f"reign {reign} has begun")
        return effects

    def _describe(self, request: int) -> ExecutorDescription:
        known = [result for line in self._lines.values() for result in line.results.values()]
        busy = [order.name for line in self._lines.values() for order in line.waiting]
        busy += [run.order.name for run in self._runs.values()]
        return ExecutorDescription(
            request=request,
            incarnation=self._incarnation,
            operations=tuple(sorted(known, key=lambda result: result.call_id)),
            busy=tuple(sorted(busy)),
            reign=self._reign,
        )

    def _drop_waiting_of(self, peer: str) -> list[Effect]:
        effects: list[Effect] = []
        for line in self._lines.values():
            dropped = [order for order in line.waiting if order.asker == peer]
            for order in dropped:
                line.waiting.remove(order)
            effects += self._give_back(dropped, f"{peer} is gone")
        return effects

    # --- runs ---

    def _consider(self, resource: str, now: float) -> None:
        """Give a resource its turn if it is idle and has something to run."""
        line = self._lines.get(resource)
        if line is None or line.running is not None:
            return
        if line.has_ready_order(now):
            self._turns.enlist(resource, self._turns.orders)
        elif line.has_due_repetition(now):
            self._turns.enlist(resource, self._turns.repetitions)

    def _fill(self, now: float) -> list[Effect]:
        """Start agents while places are free and somebody has a turn."""
        effects: list[Effect] = []
        while len(self._runs) < self._at_once:
            resource = self._turns.next()
            if resource is None:
                break
            line = self._lines.get(resource)
            if line is None or line.running is not None:
                continue
            order = line.take(now)
            if order is not None:
                effects += self._start(line, order, now)
        return effects

    def _start(self, line: Line, order: Order, now: float) -> list[Effect]:
        execute = order.execute
        effects: list[Effect] = []
        if execute.operation == "stop":
            for recurrence in list(line.recurring.values()):
                self._end_recurrence(line, recurrence)
            line.recurring.clear()
            line.results = {slot: kept for slot, kept in line.results.items() if slot[1] == 0}
        known = line.recurring.get(order.slot)
        if order.is_recurring and (known is None or known.order is not order):
            if known is not None:
                self._end_recurrence(line, known)
            line.recurring[order.slot] = Recurrence(order)
        if not order.is_recurring and execute.operation != "monitor":
            effects.append(
                info("lrmd", f"rsc:{execute.resource}:{execute.call_id}: {execute.operation}")
            )
        self._last_run += 1
        run = Run(
            self._last_run,
            order,
            started=now,
            started_wall=self._wall(),
            limit=now + START_LIMIT_S,
        )
        self._runs[run.number] = run
        line.running = run.number
        heapq.heappush(self._limits, (run.limit, run.number))
        effects.append(
            StartAgent(
                run=run.number,
                resource=execute.resource,
                agent=execute.agent,
                operation=execute.operation,
                parameters=execute.parameters,
                meta=execute.meta,
                interval_ms=execute.interval_ms,
                timeout_ms=execute.timeout_ms,
            )
        )
        return effects

    def _begin(self, number: int, now: float) -> None:
        """Count an agent's timeout from its own start: who starts it may have started late."""
        run = self._runs.get(number)
        if run is None or run.has_begun or run.was_killed:
            return
        run.has_begun = True
        run.started = now
        run.started_wall = self._wall()
        run.limit = now + run.order.execute.timeout_ms / 1000
        heapq.heappush(self._limits, (run.limit, number))

    def _enforce_limit(self, number: int, now: float) -> list[Effect]:
        run = self._runs.get(number)
        if run is None or now < run.limit:
            return []
        execute = run.order.execute
        if run.was_killed:
            text = (
                f"{execute.operation} of {execute.resource} cannot be killed; going on without it"
            )
            ended = AgentEnded(number, ExitCode.ERROR, OperationStatus.TIMEOUT)
            return [error("lrmd", text), *self._end(ended, now)]
        run.was_killed = True
        run.limit = now + KILL_PATIENCE_S
        heapq.heappush(self._limits, (run.limit, number))
        what = f"{execute.operation} of {execute.resource}"
        text = f"{what} has not ended within {execute.timeout_ms} ms: killing it"
        if not run.has_begun:
            text = f"{what} was not begun within {START_LIMIT_S:g} s: giving it up"
        return [error("lrmd", text), KillAgent(number)]

    def _end(self, event: AgentEnded, now: float) -> list[Effect]:
        run = self._runs.pop(event.run, None)
        if run is None:
            return [debug("lrmd", f"run {event.run} ended after it was given up")]
        order = run.order
        execute = order.execute
        line = self._lines.setdefault(execute.resource, Line(execute.resource))
        line.running = None
        effects: list[Effect] = list(results.notes(execute, event.output, event.errors))
        result = self._result(run, event, now)
        if not run.was_killed:
            slow = results.slowness(execute, result.exec_ms)
            effects += [slow] if slow else []
        if not run.is_dropped:
            recurrence = line.recurring.get(order.slot)
            if order.is_recurring and recurrence is not None:
                effects += self._repeat_later(line, recurrence, result, now)
            else:
                effects += self._conclude(line, order, result)
        self._drop_if_empty(line)
        self._consider(line.resource, now)
        return effects

    def _result(self, run: Run, event: AgentEnded, now: float) -> OperationFinished:
        execute = run.order.execute
        rc, status = event.rc, event.status
        reason = event.exit_reason or results.exit_reason_in(event.errors)
        if run.was_killed:
            rc, status = ExitCode.ERROR, OperationStatus.TIMEOUT
            reason = (
                f"{execute.operation} did not end within {execute.timeout_ms} ms and was killed"
                if run.has_begun
                else f"{execute.operation} was not begun within {START_LIMIT_S:g} s"
            )
        return results.report(
            execute,
            rc=rc,
            status=status,
            exit_reason=reason,
            output=event.output,
            last_run=run.started_wall,
            exec_ms=round((now - run.started) * 1000),
            queue_ms=max(0, round((run.started - run.order.ready_at) * 1000)),
        )

    def _conclude(self, line: Line, order: Order, result: OperationFinished) -> list[Effect]:
        line.results[order.slot] = result
        self._remember_key(order.execute.key, result)
        return self._tell(order.asker, result)

    def _repeat_later(
        self, line: Line, recurrence: Recurrence, result: OperationFinished, now: float
    ) -> list[Effect]:
        order = recurrence.order
        last = recurrence.last
        is_change = last is None or (last.rc, last.status) != (result.rc, result.status)
        if last is not None and not is_change:
            result = msgspec.structs.replace(result, last_rc_change=last.last_rc_change)
        recurrence.last = line.results[order.slot] = result
        tripped = recurrence.due_at is not None
        due_at = now if tripped else now + order.execute.interval_ms / 1000
        order.ready_at = recurrence.due_at = due_at
        heapq.heappush(self._wakes, (due_at, line.resource))
        self._remember_key(order.execute.key, result)
        if is_change or not results.is_success(order.execute, result.rc, result.status):
            return self._tell(order.asker, result)
        return []

    def _trip(self, resource: str, what: str, now: float) -> list[Effect]:
        line = self._lines.get(resource)
        if line is None or not line.recurring:
            return []
        for recurrence in line.recurring.values():
            recurrence.due_at = now
        self._consider(resource, now)
        return [info("lrmd", f"{resource} has changed: {what or 'looking at it at once'}")]

    # --- ends and answers ---

    def _end_recurrence(self, line: Line, recurrence: Recurrence) -> None:
        """Repeat no more; if it runs just now, its result is dropped."""
        self._keys.pop(recurrence.order.execute.key, None)
        run = self._runs.get(line.running) if line.running is not None else None
        if run is not None and run.order is recurrence.order:
            run.is_dropped = True

    def _give_back(self, orders: Iterable[Order], why: str) -> list[Effect]:
        """Answer orders that were not started, and will not be, as CANCELLED."""
        effects: list[Effect] = []
        for order in orders:
            self._keys.pop(order.execute.key, None)
            answer = results.report(
                order.execute,
                rc=ExitCode.UNKNOWN,
                status=OperationStatus.CANCELLED,
                exit_reason=f"not executed: {why}",
            )
            effects += self._tell(order.asker, answer)
        return effects

    def _answer_cancelled(self, peer: str, order: Execute) -> list[Effect]:
        answer = results.report(order, rc=ExitCode.OK, status=OperationStatus.CANCELLED)
        return self._tell(peer, answer)

    def _refuse(
        self,
        peer: str,
        order: Execute,
        reason: str,
        status: OperationStatus = OperationStatus.ERROR,
    ) -> list[Effect]:
        answer = results.report(
            order,
            rc=ExitCode.ERROR,
            status=status,
            exit_reason=f"refused: {reason}",
        )
        text = f"refused {order.operation} of {order.resource}: {reason}"
        return [warn("lrmd", text), *self._tell(peer, answer)]

    def _older_reign(self, reign: Reign) -> str:
        return f"the order is of reign {reign}, but reign {self._reign} has begun"

    def _repeat_answer(self, peer: str, order: Execute) -> list[Effect]:
        known = self._keys[order.key]
        if known is None:
            return [debug("lrmd", f"order {order.key} came again; it is being executed")]
        return self._tell(peer, msgspec.structs.replace(known, call_id=order.call_id))

    def _remember_key(self, key: str, result: OperationFinished | None) -> None:
        if not key:
            return
        self._keys[key] = result
        self._keys.move_to_end(key)
        while len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)

    def _tell(self, peer: str, answer: OperationFinished) -> list[Effect]:
        """Tell the asker, unless it is gone: then it asks for everything when it is back."""
        return [] if peer in self._lost else [Tell(peer, answer)]

    def _drop_if_empty(self, line: Line) -> None:
        if line.is_empty():
            self._lines.pop(line.resource, None)
