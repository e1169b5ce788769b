"""Reads what one node remembers of one instance: is it running there, and how did it go.

Entries are taken in the order of their call ids, pending ones last. The newest entry decides the
role; a failure stays until something that succeeds later clears it, and some kinds of failure
(stop, standby, fence, ban) are cleared by nothing but a clean-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.facts.instances import Instance
from pengine.facts.operations import OnFail, OperationRules, find, unconfigured


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed entry, as it is listed to people."""

    node: str
    instance: str
    entry: HistoryEntry


@dataclass(frozen=True, slots=True)
class OnNode:
    """What is known of one instance on one node.

    `role` UNKNOWN means that nobody looked. `on_fail` is None when nothing that matters failed.
    `banned` says why the instance must not run here, `banned_everywhere` why nowhere.
    """

    node: str
    role: Role
    on_fail: OnFail | None
    pending: str
    entries: tuple[HistoryEntry, ...]
    failures: tuple[Failure, ...] = ()
    banned: str = ""
    banned_everywhere: str = ""
    has_expired_failure: tuple[HistoryEntry, ...] = ()
    failed_stop: bool = False
    failed_stop_hard: bool = False
    """Set where the agent said that it cannot stop here at all: without fencing all ends there."""
    ignored: bool = False
    next_change_s: int | None = None
    agent_changed: bool = False
    """Set where the history was written by another agent than the one configured now."""
    is_moot: bool = False
    """Set where the node was to be fenced already: its failures have no effect of their own."""
    is_assumed: bool = False
    """Set where only a migration remembered by another node makes it active here."""
    name: str = ""
    """The id under which the node keeps this history; older ones number anonymous copies."""

    @property
    def is_known(self) -> bool:
        """Tell whether the state here needs no probe."""
        return self.role is not Role.UNKNOWN


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What history is read against. `now_s` is seconds since 1970."""

    operation_rules: OperationRules
    now_s: float
    node_is_unclean: bool = False
    keeps_failures: bool = False
    """Set where failures of recurring operations count however old they are."""


_CLEARED_BY_SUCCESS = frozenset({OnFail.BLOCK, OnFail.IGNORE, OnFail.DEMOTE, OnFail.RESTART})

_HARD = frozenset(
    {ExitCode.NOT_INSTALLED, ExitCode.INVALID_PARAMETER, ExitCode.INSUFFICIENT_PRIVILEGES}
)

_FINE = frozenset({ExitCode.OK, ExitCode.DEGRADED})

_UNFINISHED = frozenset({OperationStatus.PENDING})


def read_history(
    instance: Instance, node: str, entries: Iterable[HistoryEntry], given: Circumstances
) -> OnNode:
    """Conclude the state of an instance on a node from its entries."""
    ordered = sorted(entries, key=_when)
    reading = _Reading(instance, node, given)
    for entry in ordered:
        reading.take(entry)
    return OnNode(
        node=node,
        role=reading.role,
        on_fail=reading.on_fail,
        pending=reading.pending,
        entries=tuple(ordered),
        failures=tuple(reading.failures),
        banned=reading.banned,
        banned_everywhere=reading.banned_everywhere,
        has_expired_failure=tuple(reading.expired),
        failed_stop=reading.failed_stop,
        failed_stop_hard=reading.failed_stop_hard,
        ignored=reading.ignored,
        next_change_s=reading.next_change_s,
    )


def _when(entry: HistoryEntry) -> tuple[bool, int, bool]:
    is_pending = entry.status == OperationStatus.PENDING or entry.call_id < 0
    return (is_pending, entry.call_id, entry.id.endswith("_last_failure_0"))


def is_probe(entry: HistoryEntry) -> bool:
    """Tell whether an entry is a one-time look at the state."""
    return entry.operation == "monitor" and entry.interval_ms == 0


class _Reading:
    """The state while one history is read; it does not leave this module."""

    def __init__(self, instance: Instance, node: str, given: Circumstances) -> None:
        self.instance = instance
        self.node = node
        self.given = given
        self.role = Role.UNKNOWN
        self.on_fail: OnFail | None = None
        self.pending = ""
        self.failures: list[Failure] = []
        self.last_failed: tuple[str, int] | None = None
        self.expired: list[HistoryEntry] = []
        self.banned = ""
        self.banned_everywhere = ""
        self.failed_stop = False
        self.failed_stop_hard = False
        self.ignored = False
        self.next_change_s: int | None = None

    def take(self, entry: HistoryEntry) -> None:
        """Read the next entry."""
        if entry.operation in ("notify", "meta-data") or entry.status == OperationStatus.CANCELLED:
            return
        if entry.status in _UNFINISHED:
            self._take_pending(entry)
            return
        self.pending = ""
        if self._has_failed(entry):
            self._take_failure(entry)
        else:
            self._take_success(entry)

    def _take_pending(self, entry: HistoryEntry) -> None:
        if entry.operation == "start":
            self.role = Role.STARTED
            self.pending = "start"
        elif entry.operation == "promote":
            self.role = Role.PROMOTED
            self.pending = "promote"
        elif entry.operation in ("stop", "demote", "migrate_to", "migrate_from"):
            self.pending = entry.operation
            if self.role is Role.UNKNOWN:
                self.role = Role.STARTED
        elif is_probe(entry):
            self.pending = "probe"

    def _has_failed(self, entry: HistoryEntry) -> bool:
        code = entry.exit_code
        if entry.status in (
            OperationStatus.TIMEOUT,
            OperationStatus.NOT_CONNECTED,
            OperationStatus.NOT_INSTALLED,
            OperationStatus.INVALID,
        ):
            return True
        if code == entry.target_rc:
            return False
        if entry.target_rc is None and code in _FINE:
            return False
        if entry.operation == "monitor":
            if is_probe(entry):
                return code not in (
                    ExitCode.OK,
                    ExitCode.NOT_RUNNING,
                    ExitCode.PROMOTED,
                    ExitCode.DEGRADED,
                    ExitCode.DEGRADED_PROMOTED,
                )
            if code == ExitCode.DEGRADED and entry.target_rc in (0, None):
                return False
            return not (code == ExitCode.DEGRADED_PROMOTED and entry.target_rc == ExitCode.PROMOTED)
        if entry.operation in ("stop", "demote") and code == ExitCode.NOT_RUNNING:
            return entry.operation == "demote"
        return code not in _FINE

    # --- success ----------------------------------------------------------------------------

    def _take_success(self, entry: HistoryEntry) -> None:
        clears = True
        if entry.exit_code == ExitCode.NOT_RUNNING and entry.operation != "monitor":
            # Whatever was done, it was expected to leave, and left, nothing running.
            self.role, self.on_fail = Role.STOPPED, None
            return
        match entry.operation:
            case "start" | "migrate_from":
                self.role = Role.STARTED
            case "stop":
                self.role = Role.STOPPED
                self.failed_stop = self.failed_stop_hard = False
            case "promote":
                self.role = Role.PROMOTED
            case "demote":
                self.role = Role.UNPROMOTED
            case "monitor":
                self._take_monitor(entry)
                # A good monitor says nothing about what another operation found.
                failed = self.last_failed
                clears = failed is None or failed == (entry.operation, entry.interval_ms)
            case "migrate_to":
                # Whether it still is here is for the other node's history to say.
                self.role = Role.STARTED
                clears = False
            case _:
                if self.role is Role.UNKNOWN:
                    self.role = Role.STARTED
        if clears and (self.on_fail is None or self.on_fail in _CLEARED_BY_SUCCESS):
            self.on_fail = None

    def _take_monitor(self, entry: HistoryEntry) -> None:
        match entry.exit_code:
            case ExitCode.NOT_RUNNING:
                self.role = Role.STOPPED
            case ExitCode.PROMOTED | ExitCode.DEGRADED_PROMOTED:
                self.role = Role.PROMOTED
            case _:
                if self.role < Role.STARTED:
                    self.role = Role.STARTED

    # --- failure ----------------------------------------------------------------------------

    def _take_failure(self, entry: HistoryEntry) -> None:
        configured = find(self.instance.operations, entry.operation, entry.interval_ms)
        operation = configured or unconfigured(
            self.instance.resource,
            entry.operation,
            entry.interval_ms,
            self.given.operation_rules,
        )
        keeps = operation.on_fail is OnFail.BLOCK and "on-fail" in operation.meta
        keeps = keeps or (self.given.keeps_failures and entry.interval_ms > 0)
        if not keeps and self._has_expired(entry):
            self.expired.append(entry)
            self._take_expired(entry)
            return
        if is_probe(entry) and self._is_masked(entry):
            self.role = Role.STOPPED
            self.banned = "probe said it cannot run here"
            self.failures.append(Failure(self.node, self.instance.id, entry))
            return
        self.failures.append(Failure(self.node, self.instance.id, entry))
        self.last_failed = (entry.operation, entry.interval_ms)
        on_fail = operation.on_fail
        if on_fail is OnFail.IGNORE and entry.status == OperationStatus.NOT_INSTALLED:
            on_fail = OnFail.RESTART
        if on_fail is OnFail.IGNORE:
            self._take_ignored(entry)
            return
        self._ban_if_hard(entry)
        if entry.operation == "stop":
            self.failed_stop = True
            self.failed_stop_hard = entry.exit_code in _HARD
        self._place_failed(entry)
        if self.on_fail is None or on_fail > self.on_fail:
            self.on_fail = on_fail

    def _place_failed(self, entry: HistoryEntry) -> None:
        """Conclude where a failed operation leaves the instance."""
        if entry.operation == "demote" and entry.exit_code != ExitCode.NOT_RUNNING:
            self.role = Role.PROMOTED
        elif entry.operation == "promote":
            self.role = Role.PROMOTED if self.role < Role.STARTED else self.role
        elif entry.operation == "monitor" and entry.exit_code in (
            ExitCode.FAILED_PROMOTED,
            ExitCode.PROMOTED,
        ):
            self.role = Role.PROMOTED
        elif self.role < Role.STARTED:
            self.role = Role.STARTED

    def _take_ignored(self, entry: HistoryEntry) -> None:
        self.ignored = True
        if entry.operation == "stop":
            self.role = Role.STOPPED
        elif self.role < Role.STARTED:
            self.role = Role.STARTED

    def _take_expired(self, entry: HistoryEntry) -> None:
        """Carry on as if the operation had gone well."""
        if is_probe(entry):
            if self.role is Role.UNKNOWN:
                self.role = Role.STOPPED if self._is_masked(entry) else Role.STARTED
        elif self.role < Role.STARTED:
            self.role = Role.STARTED

    def _has_expired(self, entry: HistoryEntry) -> bool:
        timeout_s = self.instance.meta.failure_timeout_ms // 1000
        when_s = max(entry.last_change_s, entry.last_run_s)
        if timeout_s <= 0 or when_s <= 0:
            return False
        expiry_s = when_s + timeout_s
        if self.given.now_s < expiry_s:
            if self.next_change_s is None or expiry_s < self.next_change_s:
                self.next_change_s = expiry_s
            return False
        return True

    def _is_masked(self, entry: HistoryEntry) -> bool:
        return entry.status == OperationStatus.NOT_INSTALLED or entry.exit_code in (
            ExitCode.NOT_INSTALLED,
            ExitCode.INVALID_PARAMETER,
        )

    def _ban_if_hard(self, entry: HistoryEntry) -> None:
        if entry.operation == "stop":
            return
        if entry.exit_code == ExitCode.NOT_CONFIGURED:
            self.banned_everywhere = "its agent says that it is not configured"
        elif entry.exit_code in _HARD or (
            entry.exit_code == ExitCode.UNIMPLEMENTED and entry.interval_ms == 0
        ):
            self.banned = "its agent says that it cannot run here"
