"""The operations of an instance with every default filled in."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from crm.model import options, roles
from crm.model.agent import Agent
from crm.model.resources import AttributeSet, Operation, Primitive
from crm.model.roles import Role
from crm.model.rules import Situation
from pengine.facts.values import flatten, truth

DEFAULT_TIMEOUT_MS = 20_000


class OnFail(enum.IntEnum):
    """What the failure of an operation leads to, the mildest first."""

    IGNORE = 0
    DEMOTE = 1
    RESTART = 2
    RESTART_CONTAINER = 3
    BAN = 4
    BLOCK = 5
    STOP = 6
    STANDBY = 7
    FENCE = 8


_ON_FAIL_WORDS = {
    "ignore": OnFail.IGNORE,
    "nothing": OnFail.IGNORE,
    "restart": OnFail.RESTART,
    "restart-container": OnFail.RESTART_CONTAINER,
    "demote": OnFail.DEMOTE,
    "ban": OnFail.BAN,
    "migrate": OnFail.BAN,
    "block": OnFail.BLOCK,
    "stop": OnFail.STOP,
    "standby": OnFail.STANDBY,
    "fence": OnFail.FENCE,
}


class OperationFacts(msgspec.Struct, frozen=True):
    """One operation as it will be executed. `meta` is what goes with it as CRM_meta_*."""

    id: str
    name: str
    interval_ms: int
    timeout_ms: int
    on_fail: OnFail
    role: Role | None
    enabled: bool
    is_configured: bool
    meta: Mapping[str, str]
    parameters: Mapping[str, str]
    role_after_failure: Role | None = None
    """The highest role an instance may have once this has failed; None for any."""
    is_ambiguous: bool = False
    """Set where another operation has the same name and interval: neither of them recurs."""

    @property
    def is_recurring(self) -> bool:
        """Tell whether it is a monitor that is repeated."""
        return (
            self.name == "monitor"
            and self.interval_ms > 0
            and self.enabled
            and not self.is_ambiguous
        )

    def runs_in(self, role: Role) -> bool:
        """Tell whether it is repeated while its instance has a role.

        Without a role of its own a monitor runs in all but the promoted one. What is unpromoted
        is not merely started (case bug-1765).
        """
        wanted = self.role is role if self.role is not None else role is not Role.PROMOTED
        return wanted and self.is_recurring


class OperationRules(msgspec.Struct, frozen=True):
    """What is needed to fill in operations of one primitive.

    `containers` says of what lives inside another resource in which one. `made` remembers what
    was made up: every history on every node asks for the same.
    """

    defaults: tuple[AttributeSet, ...]
    now: datetime
    fencing_enabled: bool
    containers: Mapping[str, str] = msgspec.field(default_factory=dict)
    made: dict[tuple[str, Agent, str, int], OperationFacts] = msgspec.field(default_factory=dict)


def conclude_operations(primitive: Primitive, given: OperationRules) -> tuple[OperationFacts, ...]:
    """Fill in all configured operations.

    Of equal name and interval the first that is enabled counts, but neither recurs: nobody could
    tell them apart (cases intervals and ticket-promoted-5).
    """
    times = Counter((o.name, o.interval_ms) for o in primitive.operations)
    found: dict[tuple[str, int, str], OperationFacts] = {}
    for operation in primitive.operations:
        key = (operation.name, operation.interval_ms)
        filled = _fill(primitive, operation, given)
        if operation.interval_ms > 0:
            filled = replace(filled, is_ambiguous=times[key] > 1)
            known = found.get((*key, ""))
            if known is None or (filled.enabled and not known.enabled):
                found[*key, ""] = filled
        else:
            found[*key, operation.id] = filled
    return tuple(found.values())


def find(
    operations: Iterable[OperationFacts], name: str, interval_ms: int
) -> OperationFacts | None:
    """Find a configured operation, enabled ones first of all."""
    matches = [o for o in operations if o.name == name and o.interval_ms == interval_ms]
    return next((o for o in matches if o.enabled), matches[0] if matches else None)


def unconfigured(
    primitive: Primitive, name: str, interval_ms: int, given: OperationRules
) -> OperationFacts:
    """Make up an operation that is not configured; a probe borrows its timeout from a monitor."""
    key = (primitive.id, primitive.agent, name, interval_ms)
    known = given.made.get(key)
    if known is None:
        known = given.made[key] = _make_up(primitive, name, interval_ms, given)
    return known


def _make_up(
    primitive: Primitive, name: str, interval_ms: int, given: OperationRules
) -> OperationFacts:
    operation = Operation(id="", name=name, interval_ms=interval_ms)
    filled = _fill(primitive, operation, given)
    if name != "monitor" or interval_ms != 0:
        return filled
    timeout_ms = _probe_timeout_ms(primitive, given)
    if timeout_ms is None:
        return filled
    meta = {**filled.meta, "timeout": str(timeout_ms)}
    return OperationFacts(
        filled.id, name, 0, timeout_ms, filled.on_fail, None, True, False, meta, {}
    )


def defaults_of(name: str, given: OperationRules) -> dict[str, str]:
    """Give the defaults alone, of what a group or clone as a whole does."""
    meta = flatten(given.defaults, Situation(now=given.now, operation=(name, 0)))
    meta["timeout"] = str(_duration(meta.get("timeout"), DEFAULT_TIMEOUT_MS))
    return meta


def _probe_timeout_ms(primitive: Primitive, given: OperationRules) -> int | None:
    """Borrow from the most frequent enabled monitor."""
    monitors = [
        filled
        for operation in primitive.operations
        if operation.name == "monitor" and operation.interval_ms > 0
        for filled in [_fill(primitive, operation, given)]
        if filled.enabled and ("timeout" in filled.meta)
    ]
    if not monitors:
        return None
    return min(monitors, key=lambda filled: filled.interval_ms).timeout_ms


def _fill(primitive: Primitive, operation: Operation, given: OperationRules) -> OperationFacts:
    agent = primitive.agent
    situation = Situation(
        now=given.now,
        agent=(agent.standard, agent.provider, agent.type),
        operation=(operation.name, operation.interval_ms),
    )
    raw: dict[str, str] = dict(operation.attributes)
    for name, value in flatten(operation.sets, situation).items():
        raw.setdefault(name, value)
    is_configured = bool(operation.id)
    if is_configured:
        raw.setdefault("name", operation.name)
    for name, value in flatten(given.defaults, situation).items():
        raw.setdefault(name, value)
    timeout_ms = _duration(raw.get("timeout"), DEFAULT_TIMEOUT_MS)
    meta = {name: value for name, value in raw.items() if name != "description"}
    meta["timeout"] = str(timeout_ms)
    if operation.interval_ms > 0:
        meta["interval"] = str(operation.interval_ms)
    if "start-delay" in raw:
        meta["start-delay"] = str(_duration(raw["start-delay"], 0))
    role = roles.parse_or_none(raw.get("role"))
    word = raw.get("on-fail", raw.get("on_fail"))
    on_fail = _on_fail(word, primitive, operation, given)
    heard = _ON_FAIL_WORDS.get(word.lower()) if word else None
    if heard is not None and _makes_no_sense(heard, operation):
        meta.pop("on-fail", None)
    return OperationFacts(
        id=operation.id,
        name=operation.name,
        interval_ms=operation.interval_ms,
        timeout_ms=timeout_ms,
        on_fail=on_fail,
        role=role,
        enabled=truth(operation.attribute("enabled"), default=True),
        is_configured=is_configured,
        meta=meta,
        parameters=flatten(operation.parameters, situation),
        role_after_failure=_role_after_failure(raw, operation.name, on_fail),
    )


def _role_after_failure(raw: Mapping[str, str], name: str, on_fail: OnFail) -> Role | None:
    if on_fail is OnFail.STOP:
        return Role.STOPPED
    configured = roles.parse_or_none(raw.get("role_after_failure"))
    if configured is None:
        return Role.UNPROMOTED if name == "promote" else None
    return None if configured is Role.STARTED else configured


def _on_fail(
    word: str | None, primitive: Primitive, operation: Operation, given: OperationRules
) -> OnFail:
    """Say what a failure leads to; a word that makes no sense for an operation is not heard."""
    if operation.name == "demote" and not word:
        word = _of_promoted_monitor(primitive)
    found = _ON_FAIL_WORDS.get(word.lower()) if word else None
    if found is not None and _makes_no_sense(found, operation):
        found = None
    if found is OnFail.RESTART_CONTAINER and primitive.id not in given.containers:
        found = None
    if found is None:
        if primitive.id in given.containers:
            return OnFail.RESTART_CONTAINER
        if operation.name == "stop":
            return OnFail.FENCE if given.fencing_enabled else OnFail.BLOCK
        return OnFail.RESTART
    if found is OnFail.FENCE and not given.fencing_enabled:
        return OnFail.STOP  # Nobody could carry it out.
    return found


def _makes_no_sense(found: OnFail, operation: Operation) -> bool:
    if found is OnFail.DEMOTE:
        return not _may_demote(operation)
    return found in (OnFail.STANDBY, OnFail.STOP) and operation.name == "stop"


def _may_demote(operation: Operation) -> bool:
    """Tell whether a failure can be cured by a demotion: only where something leads."""
    if operation.name == "promote":
        return True
    role = roles.parse_or_none(dict(operation.attributes).get("role"))
    return operation.name == "monitor" and operation.interval_ms > 0 and role is Role.PROMOTED


def _of_promoted_monitor(primitive: Primitive) -> str | None:
    """Give what a failed monitor of the promoted role leads to; a failed demotion follows it."""
    for operation in primitive.operations:
        attributes = dict(operation.attributes)
        word = attributes.get("on-fail")
        if (
            word
            and word != "demote"
            and _may_demote(operation)
            and operation.name == "monitor"
            and truth(attributes.get("enabled"), default=True)
        ):
            return word
    return None


def _duration(text: str | None, default_ms: int) -> int:
    if not text:
        return default_ms
    try:
        return options.as_duration_ms(text)
    except ValueError:
        return default_ms
