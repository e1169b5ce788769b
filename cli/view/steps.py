"""What a transition does to each resource, in the verbs of the transition summary.

The same actions can be a move, a recovery, a restart or a migration: the verb follows from where
an instance is and will be, the roles it has and will have, and whether it failed. Says what is to
be shown; how it is written is for `cli.view.summary`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crm.model.roles import Role
from pengine import Decision
from pengine.act.actions import Action, Task
from pengine.facts.instances import Instance
from pengine.place.listing import Listing


class Step(msgspec.Struct, frozen=True):
    """One line of the summary. `origin` or `destination` is "" where there is none."""

    verb: str
    resource: str
    origin: str
    destination: str
    role: Role
    next_role: Role
    reason: str = ""
    blocked: bool = False

    @property
    def needs_role(self) -> bool:
        """Tell whether roles matter: they do where anything is above a plain start."""
        return self.role > Role.STARTED or self.next_role > Role.UNPROMOTED

    @property
    def stays(self) -> bool:
        """Tell whether it ends where it begins."""
        return self.origin == self.destination

    @property
    def details(self) -> str:
        """Write from where to where, and in which roles."""
        role, next_role = self.role.word, self.next_role.word
        keeps_role = self.role is self.next_role
        match bool(self.origin), bool(self.destination):
            case False, _:
                change = f"{role} -> {next_role} " if self.needs_role else ""
                return f"{change}{self.destination}"
            case _, False:
                return f"{role} {self.origin}" if self.needs_role else self.origin
        if keeps_role and self.stays:
            return f"{role} {self.origin}" if self.needs_role else self.origin
        if keeps_role:
            after = f" {role}" if self.needs_role else ""
            return f"{self.origin} -> {self.destination}{after}"
        if self.stays:
            return f"{role} -> {next_role} {self.origin}"
        return f"{role} {self.origin} -> {next_role} {self.destination}"

    @property
    def places(self) -> dict[str, str]:
        """Name places and roles as the XML form does, which says no more than it must."""
        role, next_role = self.role.word, self.next_role.word
        keeps_role = self.role is self.next_role
        if not self.origin and self.needs_role:
            return {"role": role, "next-role": next_role, "dest": self.destination}
        if not self.origin or not self.destination:
            found = {"role": role} if self.needs_role and self.origin else {}
            return {**found, "node": self.origin or self.destination}
        found = {"source": self.origin}
        if self.needs_role:
            found = {"role": role, **found}
        if not keeps_role:
            found["next-role"] = next_role
        if not self.stays:
            found["dest"] = self.destination
        return found


def steps(decision: Decision) -> Iterator[Step]:
    """Yield what is done to resources, in the order in which they are listed."""
    for instance in Listing(decision.facts, decision.placement).instances():
        yield from _Telling(decision, instance).tell()


class _Telling:
    """What is known of one instance; it does not leave this module."""

    def __init__(self, decision: Decision, instance: Instance) -> None:
        self._decision = decision
        self._instance = instance
        self._state = decision.facts.activity[instance.id]
        self._actions = decision.plan.actions_of(instance.id)
        self._here = self._state.here or ""
        self._target = decision.placement.node_of(instance.id) or ""
        self._role = self._role_now()
        self._next_role = self._role_later()

    def _role_now(self) -> Role:
        role = self._state.role
        if self._here and role <= Role.STOPPED:
            role = Role.STARTED  # It is recovered, whatever its histories end with.
        return self._in_clone(role)

    def _role_later(self) -> Role:
        return self._in_clone(self._decision.placement.role_of(self._instance.id))

    def _in_clone(self, role: Role) -> Role:
        return Role.UNPROMOTED if role is Role.STARTED and self._instance.is_promotable else role

    def _at(self, task: Task, node: str) -> Action | None:
        """Find an action on a node, or for "" the first that came up."""
        mine = [a for a in self._actions if a.task is task and (not node or a.node in (node, ""))]
        return mine[0] if mine else None

    def tell(self) -> list[Step]:
        """Say what is done to the instance; most of the time one thing or none."""
        if not self._decision.facts.is_managed(self._instance):
            return []
        if not self._here and (not self._target or self._instance.is_removed):
            return []
        start = self._at(Task.START, self._target)
        can_start = start is not None and start.runnable
        stop = self._at(Task.STOP, self._here if can_start else "") if self._here else None
        if self._role is self._next_role:
            return self._in_same_role(start, stop)
        if stop is not None and (self._next_role is Role.STOPPED or not can_start):
            return self._stops(start)
        return self._in_other_role(start, stop)

    def _in_same_role(self, start: Action | None, stop: Action | None) -> list[Step]:
        if start is not None and start.needed and start.migration is not None:
            return [self._step("Migrate", start)]
        if self._reloads():
            return [self._step("Reload", start)]
        if start is None or not start.needed:
            promote = self._at(Task.PROMOTE, self._target)
            demote = self._at(Task.DEMOTE, self._target)
            both = promote is not None and demote is not None and promote.needed and demote.needed
            return [self._step("Re-promote", promote, demote)] if both else []
        if not start.runnable:
            # It was to be active in one place only: one stop tells it, even of several.
            return self._stops(start)[:1]
        if self._here != self._target:
            return [self._step("Recover" if self._state.failed else "Move", stop)]
        stops = [a for a in self._actions if a.task is Task.STOP and a.node in self._state.nodes]
        if not any(a.needed for a in stops) and self._state.role is not Role.STOPPED:
            return []  # How its start ended is not known: it is done again, that is all.
        if self._state.failed:
            # Where it is expected it may be spared (case stop-unexpected).
            return [self._step("Recover", stop or self._at(Task.STOP, ""))]
        return [self._step("Restart", start)]

    def _in_other_role(self, start: Action | None, stop: Action | None) -> list[Step]:
        promote, demote = (self._at(task, self._target) for task in (Task.PROMOTE, Task.DEMOTE))
        if stop is not None and self._state.failed and self._state.stops:
            return [self._step("Recover", stop, start)]
        if self._here and self._target and self._here != self._target:
            return [self._step("Move", stop)]
        if self._reloads():
            return [self._step("Reload", start)]
        if stop is not None and stop.needed:
            return [self._step("Restart", start)]
        if self._role is Role.PROMOTED:
            return [self._step("Demote", demote)]
        if self._next_role is Role.PROMOTED:
            return [self._step("Promote", promote)]
        if self._role <= Role.STOPPED < self._next_role:
            return [self._step("Start", start)]
        return []

    def _reloads(self) -> bool:
        return any(a.task is Task.RELOAD and a.needed for a in self._actions)

    def _stops(self, start: Action | None) -> list[Step]:
        """Say where it stops: everywhere, because it goes nowhere or cannot start there."""
        found = []
        for node in self._state.nodes:
            stop = self._at(Task.STOP, node)
            if stop is None or not stop.needed:
                continue
            reasons = stop.reasons or (start.reasons if start is not None else ())
            found.append(
                Step(
                    verb="Stop",
                    resource=self._instance.id,
                    origin=node,
                    destination="",
                    role=self._role,
                    next_role=self._role,
                    reason=next(iter(reasons), ""),
                    blocked=not stop.runnable,
                )
            )
        return found

    def _step(self, verb: str, action: Action | None, source: Action | None = None) -> Step:
        """Make a line about an action; the reason is that of `source`, where that is another."""
        because = source or action
        return Step(
            verb=verb,
            resource=self._instance.id,
            origin=self._here,
            destination=self._target,
            role=self._role,
            next_role=self._next_role,
            reason=next(iter(because.reasons), "") if because is not None else "",
            blocked=action is not None and not action.runnable,
        )
