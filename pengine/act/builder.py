"""Collects actions while the stage runs: one per key and node, in the order they come up."""

from __future__ import annotations

from msgspec.structs import replace

from crm.model.names import operation_key
from crm.model.roles import Role
from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts, conclude_fenced
from pengine.facts.instances import Instance
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OperationFacts
from pengine.facts.settings import QuorumPolicy
from pengine.place.placement import Placement


class Builder:
    """The actions found so far; it does not leave the stage."""

    def __init__(self, facts: Facts, placement: Placement) -> None:
        self.facts = facts
        self.placement = placement
        self.actions: dict[ActionId, Action] = {}
        self.afresh: dict[tuple[str, str], None] = {}
        self._by_owner: dict[str, dict[ActionId, None]] = {}
        self._ranks: dict[ActionId, int] = {}
        self._operations: dict[tuple[str, str], OperationFacts] = {}
        self.nodes: dict[str, NodeFacts] = {node.name: node for node in facts.nodes}
        self.fenced: dict[str, str] = conclude_fenced(facts)

    def finish(self) -> Actions:
        """Freeze what was collected."""
        actions = {action.id: action for action in self.in_order()}
        by_owner: dict[str, list[Action]] = {}
        for action in actions.values():
            by_owner.setdefault(action.owner, []).append(action)
        by_owners = {key: tuple(found) for key, found in by_owner.items()}
        return Actions(actions, by_owners, tuple(self.afresh))

    def in_order(self) -> list[Action]:
        """List all actions in the order in which they come up."""
        return sorted(self.actions.values(), key=lambda action: self._ranks[action.id])

    def expect(self, key: ActionId) -> None:
        """Say that an action would come up here, whether and whenever it is added."""
        self._ranks.setdefault(key, len(self._ranks))

    def add(self, action: Action) -> Action:
        """Add an action, or join it with what is known of it already."""
        known = self.actions.get(action.id)
        if known is None and action.instance is not None and not action.history_name:
            name = self.facts.history_name(action.instance)
            action = replace(action, history_name=name)
        elif known is not None:
            action = replace(
                known,
                needed=known.needed or action.needed,
                runnable=known.runnable and action.runnable,
                migration=known.migration or action.migration,
                is_tidying=known.is_tidying or action.is_tidying,
                is_shown=known.is_shown or action.is_shown,
                is_pseudo=known.is_pseudo or action.is_pseudo,
                reasons=(*known.reasons, *(r for r in action.reasons if r not in known.reasons)),
            )
        self.expect(action.id)
        self.actions[action.id] = action
        self._by_owner.setdefault(action.owner, {})[action.id] = None
        return action

    def actions_of(self, owner: str) -> list[Action]:
        """List the actions of one owner, in the order they came up."""
        return [self.actions[key] for key in self._by_owner.get(owner, ())]

    def operation(self, instance: Instance, name: str) -> OperationFacts:
        """Give a one-time operation with its defaults; it is the same on every node."""
        key = (instance.id, name)
        found = self._operations.get(key)
        if found is None:
            found = self._operations[key] = self.facts.operation(instance, name)
        return found

    def start(self, instance: Instance, node: str, *, needed: bool, reason: str = "") -> Action:
        """Add a start."""
        runnable, why_not = self.may_start(instance, node)
        if not runnable and "quorum" in why_not:
            reason, why_not = why_not, reason  # Whatever else happens, nothing may start.
        reasons = tuple(r for r in (reason, "" if runnable else why_not) if r)
        return self._operate(instance, Task.START, node, needed, runnable, reasons)

    def stop(self, instance: Instance, node: str, *, needed: bool, reason: str = "") -> Action:
        """Add a stop."""
        return self._end(instance, Task.STOP, node, needed, reason)

    def _end(self, instance: Instance, task: Task, node: str, needed: bool, reason: str) -> Action:
        """Add a stop or demotion; on a node that is fenced it is implied by that."""
        is_managed = self.facts.is_managed(instance)
        is_fenced = is_managed and self.is_fenced(node)
        if task is Task.DEMOTE and self._may_demote_before(instance, node):
            is_fenced = False
        runnable = is_fenced or (is_managed and self.nodes[node].is_reachable)
        made = self._operate(instance, task, node, needed, runnable, (reason,) if reason else ())
        if is_fenced:
            made = self.actions[made.id] = replace(made, is_pseudo=True)
        return made

    def _may_demote_before(self, instance: Instance, node: str) -> bool:
        """Tell whether a fenced node can still demote; only a guest to be reset may be so well."""
        found = self.nodes[node]
        return found.online and not found.unclean and not self.facts.activity[instance.id].failed

    def is_fenced(self, node: str) -> bool:
        """Tell whether a node is being fenced, so that what it runs ends by that."""
        return node in self.fenced

    def demote(self, instance: Instance, node: str, *, needed: bool, reason: str = "") -> Action:
        """Add a demotion."""
        return self._end(instance, Task.DEMOTE, node, needed, reason)

    def promote(self, instance: Instance, node: str, *, needed: bool) -> Action:
        """Add a promotion."""
        runnable, why_not = self.may_start(instance, node)
        reasons = () if runnable else (why_not,)
        return self._operate(instance, Task.PROMOTE, node, needed, runnable, reasons)

    def may_start(self, instance: Instance, node: str) -> tuple[bool, str]:
        """Say whether an instance may start on a node, and if not why."""
        facts = self.facts
        if not facts.may_start_anything:
            return False, "no fencing device"
        if not facts.is_managed(instance) and not facts.activity[instance.id].nodes:
            return False, "unmanaged"
        found = self.nodes[node]
        if not found.may_act and not found.is_cut_off:
            return False, "node availability"
        if facts.quorum_is_missed and instance.meta.requires.value != "nothing":
            return self._may_start_without_quorum(instance)
        return True, ""

    def _may_start_without_quorum(self, instance: Instance) -> tuple[bool, str]:
        """Say whether an instance may go on although there is no quorum.

        With policy demote what has a role keeps it, but for the promoted one (case
        no_quorum_demote).
        """
        state = self.facts.activity[instance.id]
        match self.facts.settings.no_quorum_policy:
            case QuorumPolicy.FREEZE:
                return bool(state.nodes), "quorum freeze"
            case QuorumPolicy.DEMOTE:
                return state.role >= Role.UNPROMOTED, "no quorum"
            case _:
                return False, "no quorum"

    def _operate(
        self,
        instance: Instance,
        task: Task,
        node: str,
        needed: bool,
        runnable: bool,
        reasons: tuple[str, ...],
    ) -> Action:
        return self.add(
            Action(
                id=(key_of(instance, task, 0), node),
                task=task,
                owner=instance.id,
                node=node,
                instance=instance,
                history_name=self.facts.history_name(instance),
                operation=self.operation(instance, task.value),
                needed=needed,
                runnable=runnable,
                reasons=reasons,
            )
        )


def key_of(instance: Instance, task: Task, interval_ms: int) -> str:
    """Name an operation of an instance as history and graph do."""
    return operation_key(instance.id, task.value, interval_ms)
