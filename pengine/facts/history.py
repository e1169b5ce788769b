"""Reads what one node remembers of one instance: is it running there, and how did it go.

Entries are taken from the oldest to the newest (`pengine.facts.sequence`). The newest decides the
role; a failure stays until something that succeeds later clears it, and some kinds of failure
(stop, standby, fence, ban) are cleared by nothing but a clean-up.

Every entry is first judged (`_judge`): what matters is less how an operation ended than whether
it ended as expected, which its transition key says. Then it takes effect.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.facts.expiry import Age, Ageing, age
from pengine.facts.instances import Instance
from pengine.facts.operations import OnFail, OperationFacts, OperationRules, find, unconfigured
from pengine.facts.sequence import in_sequence


class Failure(msgspec.Struct, frozen=True):
    """One failed entry, as it is listed to people."""

    node: str
    instance: str
    entry: HistoryEntry


class OnNode(msgspec.Struct, frozen=True):
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
    expired: tuple[HistoryEntry, ...] = ()
    """Failures that are too old to matter."""
    clear_because: str = ""
    """Why the fail count here is to be cleared; empty where it is not."""
    failed_stop: bool = False
    is_stuck: bool = False
    """Set where its agent cannot stop it at all, and nobody can fence the node."""
    limit: Role | None = None
    """The highest role it may have after what failed; None if that limits nothing."""
    is_starting: bool = False
    """Set where a start has not ended yet."""
    ignored: bool = False
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


class Circumstances(msgspec.Struct, frozen=True):
    """What history is read against. Without `ageing`, nothing is ever too old."""

    operation_rules: OperationRules
    ageing: Ageing | None = None
    node_is_unclean: bool = False
    node_is_online: bool = True
    is_managed: bool = True
    can_fence: bool = False


class _Result(enum.Enum):
    """How an operation went, compared with what was expected of it."""

    GOOD = "good"
    FAILED = "failed"
    HARD = "hard"
    """It failed in a way that will not change on this node."""
    FATAL = "fatal"
    """It failed in a way that will not change anywhere."""
    NOT_INSTALLED = "not installed"


_BY_STATUS: dict[int, _Result] = {
    OperationStatus.ERROR_HARD: _Result.HARD,
    OperationStatus.ERROR_FATAL: _Result.FATAL,
    OperationStatus.NOT_INSTALLED: _Result.NOT_INSTALLED,
}

_OPEN_STATUSES = frozenset({OperationStatus.DONE, OperationStatus.ERROR})
"""Statuses that leave the judgement to the exit code."""

_AS_GOOD_AS: dict[int, int] = {
    ExitCode.DEGRADED: ExitCode.OK,
    ExitCode.DEGRADED_PROMOTED: ExitCode.PROMOTED,
}

_UNABLE = frozenset(
    {ExitCode.NOT_INSTALLED, ExitCode.INVALID_PARAMETER, ExitCode.INSUFFICIENT_PRIVILEGES}
)

_PLAIN = frozenset({ExitCode.OK, ExitCode.NOT_RUNNING, ExitCode.PROMOTED, ExitCode.FAILED_PROMOTED})

_CLEARED_BY_SUCCESS = frozenset(
    {OnFail.BLOCK, OnFail.IGNORE, OnFail.DEMOTE, OnFail.RESTART, OnFail.RESTART_CONTAINER}
)

_WITHOUT_EFFECT = frozenset({"notify", "meta-data"})


def read_history(
    instance: Instance,
    node: str,
    entries: Iterable[HistoryEntry],
    given: Circumstances,
    *,
    name: str,
    agent_changed: bool,
    is_moot: bool,
) -> OnNode:
    """Conclude the state of an instance on a node from its entries; `name` is the history's."""
    ordered = in_sequence(entries)
    reading = _Reading(instance, node, given)
    for entry in ordered:
        reading.take(entry)
    return OnNode(
        node=node,
        role=reading.role,
        on_fail=None if reading.on_fail is OnFail.IGNORE else reading.on_fail,
        pending=reading.pending,
        entries=tuple(ordered),
        failures=tuple(reading.failures),
        banned=reading.banned,
        banned_everywhere=reading.banned_everywhere,
        expired=tuple(reading.expired),
        clear_because=reading.clear_because,
        failed_stop=reading.failed_stop,
        is_stuck=reading.is_stuck,
        limit=reading.limit,
        is_starting=reading.is_starting,
        ignored=reading.ignored,
        agent_changed=agent_changed,
        is_moot=is_moot,
        name=name,
    )


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
        self.on_fail = OnFail.IGNORE
        self.pending = ""
        self.is_starting = False
        self.failures: list[Failure] = []
        self.last_failed: tuple[str, int] | None = None
        self.last_failed_s = 0
        self.expired: list[HistoryEntry] = []
        self.clear_because = ""
        self.banned = ""
        self.banned_everywhere = ""
        self.failed_stop = False
        self.is_stuck = False
        self.limit: Role | None = None
        self.ignored = False

    def take(self, entry: HistoryEntry) -> None:
        """Read the next entry."""
        if entry.operation in _WITHOUT_EFFECT or entry.status == OperationStatus.CANCELLED:
            return
        if entry.status == OperationStatus.PENDING:
            self._take_pending(entry)
            return
        ageing = self.given.ageing
        found = age(entry, self.instance, ageing) if ageing is not None else Age()
        is_old = found.is_old
        self.clear_because = self.clear_because or found.clear_because
        code = entry.exit_code
        if entry.operation == "monitor" or code == ExitCode.DEGRADED_PROMOTED:
            code = _AS_GOOD_AS.get(code, code)
        if code != entry.exit_code and not is_old:
            self._list(entry)
        if is_probe(entry) and _is_masked(entry):
            self._take_masked(entry, is_old)
            return
        result = self._judge(entry, code, is_old)
        if is_old and code != entry.target_rc:
            self.expired.append(entry)
            can_renew = self.given.node_is_online and not self.given.node_is_unclean
            if entry.interval_ms == 0 or can_renew:
                return
        if result is _Result.GOOD:
            self._take_success(entry, code)
        else:
            self._take_failure(entry, result)

    def _operation(self, entry: HistoryEntry) -> OperationFacts:
        configured = find(self.instance.operations, entry.operation, entry.interval_ms)
        return configured or unconfigured(
            self.instance.resource,
            entry.operation,
            entry.interval_ms,
            self.given.operation_rules,
        )

    def _list(self, entry: HistoryEntry) -> None:
        self.failures.append(Failure(self.node, self.instance.id, entry))

    def _be_active(self) -> None:
        """Count it as active if it did not; of what can be promoted that is unpromoted."""
        if self.role < Role.STARTED:
            self.role = Role.UNPROMOTED if self.instance.is_promotable else Role.STARTED

    def _take_pending(self, entry: HistoryEntry) -> None:
        """Read an operation that has not ended; all but a probe are known to be under way.

        A recurring monitor that failed since leaves its pending entry behind (case
        leftover-pending-monitor).
        """
        is_same = self.last_failed == (entry.operation, entry.interval_ms)
        if is_same and self.last_failed_s >= entry.last_change_s:
            return
        match entry.operation:
            case "start":
                self.is_starting = True
                self.role = Role.UNKNOWN
                self._be_active()
            case "promote":
                self.role = Role.PROMOTED
            case _:
                pass
        if not self.pending and not is_probe(entry):
            self.pending = entry.operation

    # --- judging ----------------------------------------------------------------------------

    def _judge(self, entry: HistoryEntry, code: int, is_old: bool) -> _Result:
        """Say how an operation went; some results settle the role at once."""
        if entry.status not in _OPEN_STATUSES:
            return _BY_STATUS.get(entry.status, _Result.FAILED)
        result = _Result.GOOD if entry.status == OperationStatus.DONE else _Result.FAILED
        if entry.target_rc is not None:
            result = _Result.GOOD if code == entry.target_rc else _Result.FAILED
        match code:
            case ExitCode.OK if is_probe(entry) and entry.target_rc == ExitCode.NOT_RUNNING:
                return _Result.GOOD
            case ExitCode.NOT_RUNNING:
                return self._judge_not_running(entry, result)
            case ExitCode.PROMOTED:
                if not is_old or code == entry.target_rc:
                    self.role = Role.PROMOTED
                return _Result.GOOD if is_probe(entry) else result
            case ExitCode.FAILED_PROMOTED:
                if not is_old:
                    self.role = Role.PROMOTED
                return _Result.FAILED
            case ExitCode.NOT_CONFIGURED:
                return _Result.FATAL
            case ExitCode.UNIMPLEMENTED if entry.interval_ms > 0:
                return _Result.FAILED
            case _ if code in _UNABLE or code == ExitCode.UNIMPLEMENTED:
                if not is_old and entry.operation == "stop" and not self.given.can_fence:
                    self.is_stuck = True
                return _Result.HARD
            case _:
                return result if code in _PLAIN else _Result.FAILED

    def _judge_not_running(self, entry: HistoryEntry, result: _Result) -> _Result:
        """Not running is no failure where nobody counted on it."""
        is_expected = entry.target_rc == ExitCode.NOT_RUNNING
        if not is_probe(entry) and not is_expected and self.given.is_managed and not self.is_stuck:
            return result
        self.role = Role.STOPPED
        self.on_fail = OnFail.IGNORE
        self.limit = None
        return _Result.GOOD

    def _take_masked(self, entry: HistoryEntry, is_old: bool) -> None:
        """Nothing runs where not even a look is possible, and nothing should."""
        if is_old:
            self.expired.append(entry)
            return
        self.role = Role.STOPPED
        self.banned = "a probe said that it cannot run"
        self._list(entry)

    # --- success ----------------------------------------------------------------------------

    def _take_success(self, entry: HistoryEntry, code: int) -> None:
        clears = True
        match entry.operation:
            case _ if code == ExitCode.NOT_RUNNING:
                pass
            case "start" | "migrate_from":
                self.role = Role.UNKNOWN
                self._be_active()
            case "stop":
                self.role = Role.STOPPED
            case "promote":
                self.role = Role.PROMOTED
            case "demote":
                self.role = Role.UNPROMOTED
                clears = self.on_fail is OnFail.DEMOTE
            case "monitor":
                self._be_active()
                # A good monitor says nothing about what another operation found.
                clears = self.last_failed == (entry.operation, entry.interval_ms)
            case "migrate_to":
                # Whether it left is for both ends to say (`pengine.facts.migrations`).
                self._be_active()
                clears = False
            case _:
                self._be_active()
                clears = False
        if clears and self.on_fail in _CLEARED_BY_SUCCESS:
            self.on_fail = OnFail.IGNORE
            self.limit = None

    # --- failure ----------------------------------------------------------------------------

    def _take_failure(self, entry: HistoryEntry, result: _Result) -> None:
        operation = self._operation(entry)
        on_fail = operation.on_fail
        # What did not stop inside a container stops with it.
        ends_with_container = on_fail is OnFail.RESTART_CONTAINER and entry.operation == "stop"
        is_ignored = on_fail is OnFail.IGNORE and result is not _Result.NOT_INSTALLED
        if is_ignored or ends_with_container:
            self.ignored = True
            self._list(entry)
            expected = ExitCode.OK if entry.target_rc is None else entry.target_rc
            self._take_success(entry, expected)
            if ends_with_container:
                self.on_fail = max(self.on_fail, on_fail)
            return
        if on_fail is OnFail.IGNORE:
            on_fail = OnFail.BAN  # There is nothing that could go on as if nothing had been.
        self._list(entry)
        self.last_failed = (entry.operation, entry.interval_ms)
        self.last_failed_s = entry.last_change_s
        self.on_fail = max(self.on_fail, on_fail)
        self._place_failed(entry, on_fail)
        self._limit_failed(operation)
        if result in (_Result.HARD, _Result.NOT_INSTALLED):
            self.banned = "its agent says that it cannot run"
        elif result is _Result.FATAL:
            self.banned_everywhere = "its agent says that it is not configured"

    def _place_failed(self, entry: HistoryEntry, on_fail: OnFail) -> None:
        """Conclude where a failed operation leaves the instance.

        A failed demotion counts as done, since it is stopped next anyway: as long as it counted as
        promoted, the demotion would be tried for ever (case promoted-failed-demote).
        """
        match entry.operation:
            case "stop":
                self.failed_stop = True
            case "promote":
                self.role = Role.PROMOTED
            case "demote" if on_fail is OnFail.BLOCK:
                self.role = Role.PROMOTED
                self.limit = Role.STOPPED
            case "demote" if entry.exit_code == ExitCode.NOT_RUNNING:
                self.role = Role.STOPPED
            case "demote":
                self.role = Role.UNPROMOTED
            case _:
                pass
        if is_probe(entry) and entry.exit_code == ExitCode.NOT_INSTALLED:
            self.role = Role.STOPPED
        else:
            self._be_active()

    def _limit_failed(self, operation: OperationFacts) -> None:
        limit = operation.role_after_failure
        if limit is None:
            return
        if self.limit is None or limit > self.limit:
            self.limit = limit
        if limit is Role.STOPPED:
            self.banned_everywhere = "it failed, and on-fail=stop"


def _is_masked(entry: HistoryEntry) -> bool:
    return entry.status == OperationStatus.NOT_INSTALLED or entry.exit_code in (
        ExitCode.NOT_INSTALLED,
        ExitCode.INVALID_PARAMETER,
    )
