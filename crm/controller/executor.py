"""The local executor, as the crmd of its node sees it: orders go in, results come out.

Responsible for call numbers, the reign orders are given under, the log lines of operations and
keeping results while there is no DC to hear them; not for what results mean (`history`).

Theory of operation. The executor may die and come back knowing nothing; `incarnation` tells. Call
numbers grow for as long as any history may be compared, so they start above everything the
executor remembers. An order that finds no executor is dropped: the DC is told `ExecutorLost`, which
covers every order given before it. Results found while no DC is known are kept (a bounded number);
the description sent at the join covers whatever was dropped.

Source: docs/protocol/transition.md, "Orders".
"""

from __future__ import annotations

from collections import deque

from crm.api import lrm
from crm.api.peers import Order
from crm.controller import classic
from crm.controller.history import is_as_expected, parse_key
from crm.controller.outbox import Outbox
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.version import Reign
from crm.plumbing.machine import Note, info, warn

MAX_KEPT = 256
"""So many results are kept for a DC that is not there yet."""


class Executor:
    """One node's end of the conversation with its lrmd."""

    def __init__(self, outbox: Outbox) -> None:
        self.is_connected = False
        self.description: lrm.ExecutorDescription | None = None
        self.kept: deque[lrm.OperationFinished] = deque(maxlen=MAX_KEPT)
        self.is_classic = False
        """In haresources mode the log names the scripts of old."""
        self._outbox = outbox
        self._next_call = 1
        self._active: dict[str, lrm.OperationFinished] = {}
        self._is_releasing = False
        self._left_alone: frozenset[str] = frozenset()
        self._stopping = ""
        self._reign = Reign()
        self._asked = 0

    def connected(self) -> None:
        """Begin a conversation with an executor that has come up."""
        self.is_connected = True
        if self._reign.number:
            self._outbox.tell(lrm.SERVICE, lrm.RaiseReign(self._reign))
        self.describe()

    def lost(self) -> None:
        """Note that the executor is gone, and with it the answer to any question."""
        self.is_connected = False
        self.description = None
        self._asked = 0
        self._stopping = ""

    def describe(self) -> None:
        """Ask the executor for everything it remembers; `described` brings the answer."""
        self.description = None
        self._asked = self._outbox.next_request()
        self._outbox.tell(lrm.SERVICE, lrm.DescribeExecutor(self._asked))

    def described(self, description: lrm.ExecutorDescription) -> bool:
        """Take in a description; False for an answer to an earlier question."""
        if description.request != self._asked:
            return False
        self.description = description
        highest = max((done.call_id for done in description.operations), default=0)
        self._next_call = max(self._next_call, highest + 1)
        self._active = {}
        for done in sorted(description.operations, key=_by_call):
            self._follow(done)
        if self._is_releasing:
            self._release_next()
        return True

    @property
    def is_busy(self) -> bool:
        """Tell whether, by the last description, a one-time operation is still going on."""
        if self.description is None:
            return False
        recurring = {done.key for done in self.description.operations if done.interval_ms}
        return any(key not in recurring for key in self.description.busy)

    def raise_reign(self, reign: Reign) -> None:
        """Obey a new DC, and none before it."""
        self._is_releasing = False
        if reign == self._reign:
            return
        self._reign = reign
        if self.is_connected:
            self._outbox.tell(lrm.SERVICE, lrm.RaiseReign(reign))

    @property
    def reign(self) -> Reign:
        """The reign orders are given under; it never becomes smaller."""
        return self._reign

    def carry_out(self, reign: Reign, order: Order) -> lrm.OperationFinished | None:
        """Pass an order on, unless it comes from a DC that is no longer ours.

        Returns the order given back (CANCELLED) if this node is letting go and the order would
        start something.
        """
        is_over = reign != self._reign
        if is_over or not self.is_connected:
            why = "its reign is over" if is_over else "no executor is there"
            self._outbox.note(warn("crmd", f"do_lrm_rsc_op: order {order.key} dropped: {why}"))
            return None
        if self._is_releasing and order.operation not in ("stop", "demote", "monitor"):
            self._outbox.note(warn("crmd", f"do_lrm_rsc_op: order {order.key}: letting go instead"))
            return _given_back(order)
        call = self._next_call
        self._next_call += 1
        if order.cancel:
            self._outbox.tell(
                lrm.SERVICE,
                lrm.Cancel(
                    call_id=call,
                    key=order.key,
                    resource=order.resource,
                    operation=order.operation,
                    interval_ms=order.interval_ms,
                    reign=reign,
                ),
            )
            return None
        self._outbox.note(_performing(order))
        if self.is_classic and order.operation in classic.OPERATIONS:
            said = classic.running(order.agent, order.operation, order.parameters)
            self._outbox.note(info("ResourceManager", said))
        self._outbox.tell(lrm.SERVICE, _execute(call, reign, order))
        return None

    def forget(self, reign: Reign, resource: str) -> None:
        """Have the executor forget a resource."""
        if reign == self._reign and self.is_connected:
            self._outbox.tell(lrm.SERVICE, lrm.Forget(resource))

    def release(self, left_alone: frozenset[str]) -> None:
        """Stop what runs here, the last started first, except for some primitives.

        For a node that was thrown out of the membership: those who stay wait only a moment before
        they start elsewhere what ran here, and there is nobody left to make a plan with.
        """
        self._is_releasing = True
        self._left_alone = left_alone
        self._stopping = ""
        if self.is_connected:
            self._release_next()

    def resume(self) -> None:
        """Obey orders again: the reason to let go is over."""
        self._is_releasing = False
        self._stopping = ""

    def _release_next(self) -> None:
        running = [
            done
            for name, done in self._active.items()
            if name.partition(":")[0] not in self._left_alone
        ]
        if self._stopping or not running:
            return
        done = max(running, key=_by_call)
        self._stopping = done.resource
        call = self._next_call
        self._next_call += 1
        key = f"0:{call}:0:release"
        self._outbox.note(warn("crmd", f"do_lrm_rsc_op: letting go of {done.resource}"))
        self._outbox.tell(
            lrm.SERVICE,
            lrm.Execute(
                call_id=call,
                key=key,
                resource=done.resource,
                agent=done.agent,
                operation="stop",
                timeout_ms=done.timeout_ms or 20_000,
                parameters=done.parameters,
                meta={"on_node": self._outbox.node, "name": "stop"},
                reign=self._reign,
            ),
        )

    def _follow(self, result: lrm.OperationFinished) -> None:
        """Keep in mind what runs here, by what operations found."""
        if result.status == OperationStatus.CANCELLED:
            return
        has_ended_well = result.status == OperationStatus.DONE and result.rc == ExitCode.OK
        match result.operation:
            case "stop" if has_ended_well:
                self._active.pop(result.resource, None)
            case "monitor" if result.rc == ExitCode.NOT_RUNNING:
                self._active.pop(result.resource, None)
            case "monitor" if result.interval_ms and result.resource not in self._active:
                self._active[result.resource] = result
            case "monitor" if not result.interval_ms and result.rc != ExitCode.NOT_RUNNING:
                self._active.setdefault(result.resource, result)
            case "start" | "promote" | "demote" | "migrate_from":
                self._active[result.resource] = result

    def finished(self, result: lrm.OperationFinished) -> None:
        """Write the line of a result, and mind what it says about what runs here."""
        self._follow(result)
        if self._is_releasing:
            if result.operation == "stop" and result.resource == self._stopping:
                self._active.pop(result.resource, None)
                self._stopping = ""
            self._release_next()
        what = (
            f"LRM operation ({result.call_id}) {result.operation}_{result.interval_ms}"
            f" on {result.resource}"
        )
        if result.status == OperationStatus.CANCELLED:
            self._outbox.note(info("crmd", f"process_lrm_event: {what} Cancelled"))
        elif is_as_expected(result):
            self._outbox.note(info("crmd", f"process_lrm_event: {what} complete"))
        else:
            reason = f": {result.exit_reason}" if result.exit_reason else ""
            line = f"{what} complete: rc={result.rc}, status={result.status}{reason}"
            self._outbox.note(warn("crmd", f"process_lrm_event: {line}"))


def _by_call(result: lrm.OperationFinished) -> int:
    return result.call_id


def _given_back(order: Order) -> lrm.OperationFinished:
    return lrm.OperationFinished(
        call_id=0,
        key=order.key,
        resource=order.resource,
        agent=order.agent,
        operation=order.operation,
        interval_ms=order.interval_ms,
        rc=ExitCode.UNKNOWN,
        status=OperationStatus.CANCELLED,
        exit_reason="this node is letting go of its resources",
    )


def _performing(order: Order) -> Note:
    key = parse_key(order.key)
    shown = f"{key.transition}:{key.engine}" if key else order.key
    return info(
        "crmd",
        f"do_lrm_rsc_op: Performing op {order.operation} on {order.resource}"
        f" (interval={order.interval_ms}ms, key={shown})",
    )


def _execute(call: int, reign: Reign, order: Order) -> lrm.Execute:
    return lrm.Execute(
        call_id=call,
        key=order.key,
        resource=order.resource,
        agent=order.agent,
        operation=order.operation,
        interval_ms=order.interval_ms,
        timeout_ms=order.timeout_ms,
        start_delay_ms=order.start_delay_ms,
        parameters=order.parameters,
        meta=order.meta,
        expected_rc=order.expected_rc,
        reign=reign,
    )
