"""What goes with an action: the agent's parameters and what Pacemaker calls CRM_meta_*."""

from __future__ import annotations

from collections.abc import Mapping

from pengine.act.actions import Action, Task
from pengine.emit.notices import STEPS, lists_of, words_of
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    Instance,
    Placeable,
    clones_in,
    instances_of,
)
from pengine.facts.operations import defaults_of
from pengine.order.plan import Plan
from pengine.place.placement import Placement
from pengine.place.tally import everything_in

_UNOWNED = frozenset({Task.ONE_OR_MORE, Task.LOAD_STOPPED, Task.FENCE, Task.SHUTDOWN})
"""What belongs to no resource, and so has no timeout of its own."""

_WHERE_IT_IS = frozenset({Task.STOP, Task.DEMOTE})
_WHERE_IT_WILL_BE = frozenset({Task.START, Task.MONITOR, Task.PROMOTE})


class Attributes:
    """Gives what goes with the actions of one decision; it does not leave the stage."""

    def __init__(self, facts: Facts, placement: Placement, plan: Plan) -> None:
        self._facts = facts
        self._placement = placement
        self._plan = plan
        self._items: dict[str, Placeable] = {
            part.id: part for top in facts.everything for part in everything_in(top)
        }
        self._clones: dict[str, CloneInstance] = {}
        for clone in clones_in(facts.items):
            self._clones[clone.id] = clone
            for part in (*clone.copies, *instances_of(clone)):
                self._clones[part.id] = clone
        self._lists: dict[str, Mapping[str, str]] = {}

    def parameters_of(self, action: Action) -> dict[str, str]:
        """Give the parameters an agent gets: the resource's, and the operation's over them."""
        if action.instance is None or action.task is Task.FORGET:
            return {}
        found = dict(self._facts.parameters(action.instance, action.node))
        if action.operation is not None:
            found.update(action.operation.parameters)
        return found

    def meta_of(self, action: Action, node_id: str) -> dict[str, str]:
        """Give the meta attributes without their prefix, underscores for hyphens."""
        found = self._of_operation(action)
        if node_id:
            found["on_node"] = action.node
            found["on_node_uuid"] = node_id
        if action.expected_rc is not None:
            found["op_target_rc"] = str(int(action.expected_rc))
        if action.migration is not None and action.task in (Task.MIGRATE_TO, Task.MIGRATE_FROM):
            found["migrate_source"], found["migrate_target"] = action.migration
        if action.task is Task.MIGRATE_TO and action.owner not in self._facts.connections:
            found["record_pending"] = "true"
        if action.task in (Task.SHUTDOWN, Task.CLEAR_FAIL_COUNT):
            found["op_no_wait"] = "true"
        if action.task is Task.FORGET:
            found["on_fail"] = "ignore"
        if action.task is Task.FENCE:
            found |= _of_fencing(action)
        if action.task is Task.CANCEL:
            found["interval"] = str(action.interval_ms)
            found["operation"] = action.key.rsplit("_", 2)[1]
            if action.about is None:
                found["call_id"] = str(action.call_id)
        if action.task is Task.NOTIFY:
            found |= words_of(action)
        found |= self._told(action)
        found |= self._of_owner(action.owner)
        return found | self._of_guest(action, found)

    def _of_operation(self, action: Action) -> dict[str, str]:
        """Give what is configured of the operation; what has none follows the defaults."""
        if action.task in _UNOWNED:
            return {}
        operation = action.operation
        if operation is None and action.instance is not None:
            operation = self._facts.operation(action.instance, action.task.value)
        if operation is None:
            return _underscored(defaults_of(action.task.value, self._facts.operation_rules))
        return _underscored(operation.meta)

    def _told(self, action: Action) -> Mapping[str, str]:
        """Give the lists of a clone that is told of its steps, to notices and to the steps."""
        clone = self._clones.get(action.owner)
        is_step = action.task in STEPS and action.needed
        is_notice = action.task is Task.NOTIFY and not action.is_pseudo
        if clone is None or not clone.notifies or action.instance is None:
            return {}
        if not (is_step or is_notice):
            return {}
        if clone.id not in self._lists:
            self._lists[clone.id] = lists_of(self._facts, self._placement, self._plan, clone)
        return self._lists[clone.id]

    def _of_owner(self, owner: str) -> dict[str, str]:
        """Say which copy of what clone acts, and in what container."""
        item, clone = self._items.get(owner), self._clones.get(owner)
        found: dict[str, str] = {}
        if isinstance(item, Instance) and item.number is not None:
            found["clone"] = str(item.number)
        if clone is not None:
            found |= _of_clone(clone)
        connection = self._facts.connections.get(owner)
        container = connection.container if connection else self._facts.contents.get(owner, "")
        if container:
            found["container"] = container
        if isinstance(item, Instance) and "remote-node" in item.meta.pairs:
            found["remote_node"] = item.meta.pairs["remote-node"]
        return found

    def _of_guest(self, action: Action, meta: Mapping[str, str]) -> dict[str, str]:
        """Name the host of the guest that something is done in."""
        node = self._facts.by_name.get(action.node)
        if node is None or not node.container or action.instance is None:
            return {}
        task = action.task
        if task is Task.NOTIFY:
            task = Task(meta["notify_operation"])
        host: str | None = None
        if task in _WHERE_IT_IS:
            host = self._facts.activity[node.container].here
        elif task in _WHERE_IT_WILL_BE:
            host = self._placement.node_of(node.container)
        if not host:
            return {}
        target = action.instance.meta.pairs.get("container-attribute-target")
        found = {"physical_host": host}
        return found if target is None else {"container_attribute_target": target, **found}


def _underscored(meta: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in meta.items()}


def _of_fencing(action: Action) -> dict[str, str]:
    found = {"stonith_action": action.fencing_action}
    if action.digests:
        found["digests_all"] = "".join(f"{text}," for text in action.digests)
        found["digests_secure"] = "".join(f"{text}," for text in action.open_digests)
    if action.delay_s:
        found["priority_fencing_delay"] = str(action.delay_s)
    return found


def _of_clone(clone: CloneInstance) -> dict[str, str]:
    found = {
        "clone_max": str(clone.clone_max),
        "clone_node_max": str(clone.node_max),
        "globally_unique": "true" if clone.is_unique else "false",
        "notify": "true" if clone.notifies else "false",
    }
    if clone.promotable:
        # Agents of old ask for the names after the bars.
        for name, value in (
            ("promoted_max|master_max", clone.promoted_max),
            ("promoted_node_max|master_node_max", clone.promoted_node_max),
        ):
            found |= dict.fromkeys(name.split("|"), str(value))
    return found
