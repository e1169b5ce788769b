"""What tickets allow: which instances may not run, are left alone, or cost their nodes.

A ticket that is not granted, or is on standby, keeps what depends on it from running. What runs
already although the ticket is gone is treated by the loss policy of the constraint; on standby it
is only stopped cleanly, whatever the policy.

Source: docs/scheduler/tickets.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from crm.model import roles
from crm.model.cluster import Cluster
from crm.model.constraints import LossPolicy, TicketDependency
from crm.model.roles import Role
from crm.model.status import TicketState
from crm.plumbing import errors
from crm.plumbing.errors import Problem
from pengine.facts.activity import Activity
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)


class Ban(msgspec.Struct, frozen=True):
    """An instance that may run nowhere for want of a ticket."""

    instance: str
    constraint: str
    text: str


class Tickets(msgspec.Struct, frozen=True):
    """What follows from all tickets.

    `frozen` instances are left as they are. `fenced` maps nodes to why they have to go.
    `unpromotable` maps items whose copies may not be promoted to the constraint.
    """

    bans: tuple[Ban, ...] = ()
    frozen: frozenset[str] = frozenset()
    fenced: Mapping[str, str] | None = None
    unpromotable: Mapping[str, str] | None = None


def conclude_tickets(
    cluster: Cluster,
    items: tuple[Placeable, ...],
    activity: Mapping[str, Activity],
    known: Collection[str],
    *,
    fencing_enabled: bool,
) -> tuple[Tickets, list[Problem]]:
    """Judge every dependency on a ticket; `known` are the names by which constraints may name."""
    judging = _Judging(activity, fencing_enabled)
    named = {key: item for key, item in _items_by_name(items).items() if key in known}
    states = {ticket.id: ticket for ticket in cluster.tickets}
    tags = dict(cluster.tags)
    problems: list[Problem] = []
    for constraint in cluster.constraints:
        if not isinstance(constraint, TicketDependency):
            continue
        state = states.get(constraint.ticket, TicketState(constraint.ticket))
        for key, role in _dependents(constraint):
            found = [
                named[i] for i in ((key,) if key in named else tags.get(key, ())) if i in named
            ]
            if not found:
                problems.append(
                    errors.warning(
                        "unknown-resource",
                        constraint.id,
                        f"constraint '{constraint.id}' names '{key}', which does not exist",
                    )
                )
            for item in found:
                judging.judge(constraint, state, item, role)
    return judging.finish(), problems


def _items_by_name(items: tuple[Placeable, ...]) -> dict[str, Placeable]:
    found: dict[str, Placeable] = {}
    for item in items:
        found[item.id] = item
        match item:
            case GroupInstance():
                found.update({member.id: member for member in item.members})
            case CloneInstance():
                found.setdefault(item.child_id, item)
                for copy in item.copies:
                    found.setdefault(copy.id, copy)
                for instance in instances_of(item):
                    found.setdefault(instance.resource.id, item)
            case BundleInstance():
                found |= {part.id: part for part in item.parts}
                found |= _items_by_name((item.clone,)) if item.clone is not None else {}
            case Instance():
                pass
    return found


def _dependents(constraint: TicketDependency) -> Iterator[tuple[str, Role | None]]:
    for key in constraint.resources:
        yield key, _role(constraint.role)
    for item in constraint.sets:
        for key in item.resources:
            yield key, _role(item.role)


def _role(text: str) -> Role | None:
    """Read a role; "in any role" and Started mean the same here."""
    role = roles.parse_or_none(text)
    return None if role is Role.STARTED else role


class _Judging:
    """The consequences found so far; it does not leave this module."""

    def __init__(self, activity: Mapping[str, Activity], fencing_enabled: bool) -> None:
        self._activity = activity
        self._fencing_enabled = fencing_enabled
        self._bans: list[Ban] = []
        self._frozen: set[str] = set()
        self._fenced: dict[str, str] = {}
        self._unpromotable: dict[str, str] = {}

    def finish(self) -> Tickets:
        return Tickets(tuple(self._bans), frozenset(self._frozen), self._fenced, self._unpromotable)

    def judge(
        self,
        constraint: TicketDependency,
        state: TicketState,
        item: Placeable,
        role: Role | None,
    ) -> None:
        """Conclude what a ticket means for one item and all instances in it."""
        if state.is_usable:
            return
        policy = self._policy(constraint, role)
        if role is Role.PROMOTED:
            self._unpromotable[item.id] = constraint.id
        for instance in instances_of(item):
            if not state.granted and self._activity[instance.id].nodes:
                self._lose(constraint, policy, instance, role)
            elif role is not Role.PROMOTED or policy is LossPolicy.STOP:
                why = "not granted" if not state.granted else "on standby"
                self._ban(constraint, instance, why)

    def _policy(self, constraint: TicketDependency, role: Role | None) -> LossPolicy:
        policy = constraint.loss_policy
        if policy is None:
            return LossPolicy.DEMOTE if role is Role.PROMOTED else LossPolicy.STOP
        if policy is LossPolicy.FENCE and not self._fencing_enabled:
            return LossPolicy.STOP
        return policy

    def _ban(self, constraint: TicketDependency, instance: Instance, why: str) -> None:
        text = f"ticket {constraint.ticket} is {why}"
        self._bans.append(Ban(instance.id, constraint.id, text))

    def _lose(
        self,
        constraint: TicketDependency,
        policy: LossPolicy,
        instance: Instance,
        role: Role | None,
    ) -> None:
        state = self._activity[instance.id]
        concerns = role is None or state.role is role
        match policy:
            case LossPolicy.STOP:
                self._ban(constraint, instance, "not granted")
            case LossPolicy.DEMOTE:
                # For role Promoted, not being promotable any more is enough.
                if role is not Role.PROMOTED:
                    self._ban(constraint, instance, "not granted")
            case LossPolicy.FENCE:
                if concerns:
                    self._ban(constraint, instance, "not granted")
                    for node in state.nodes:
                        self._fenced.setdefault(node, "deadman ticket was lost")
            case LossPolicy.FREEZE:
                if concerns:
                    self._frozen.add(instance.id)
