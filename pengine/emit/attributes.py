"""What goes with an action: the agent's parameters and what Pacemaker calls CRM_meta_*."""

from __future__ import annotations

from pengine.act.actions import Action, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import CloneInstance


def parameters_of(facts: Facts, action: Action) -> dict[str, str]:
    """Give the parameters an agent gets: the resource's, and the operation's over them."""
    if action.instance is None or action.is_pseudo or action.task is Task.FORGET:
        return {}
    found = dict(facts.parameters(action.instance, action.node))
    if action.operation is not None:
        found.update(action.operation.parameters)
    return found


def meta_of(action: Action, node_id: str, clone: CloneInstance | None) -> dict[str, str]:
    """Give the meta attributes without their prefix, underscores for hyphens."""
    found: dict[str, str] = {}
    if action.operation is not None:
        found = {name.replace("-", "_"): value for name, value in action.operation.meta.items()}
    elif action.is_pseudo:
        found = {"timeout": "20000"}
    if node_id:
        found["on_node"] = action.node
        found["on_node_uuid"] = node_id
    if action.expected_rc is not None:
        found["op_target_rc"] = str(int(action.expected_rc))
    if action.migration is not None and action.task in (Task.MIGRATE_TO, Task.MIGRATE_FROM):
        found["migrate_source"], found["migrate_target"] = action.migration
    if action.task is Task.SHUTDOWN:
        found["op_no_wait"] = "true"
    if action.task is Task.FENCE:
        found["stonith_action"] = action.fencing_action
        if action.digests:
            found["digests_all"] = "".join(f"{text}," for text in action.digests)
            found["digests_secure"] = "".join(f"{text}," for text in action.open_digests)
        if action.delay_s:
            found["priority_fencing_delay"] = str(action.delay_s)
    if action.task is Task.CLEAR_FAIL_COUNT:
        found["op_no_wait"] = "true"
    if action.task is Task.CANCEL:
        found["interval"] = str(action.interval_ms)
        found["operation"] = action.key.rsplit("_", 2)[1]
        found["call_id"] = str(action.call_id)
    instance = action.instance
    if instance is not None and instance.number is not None:
        found["clone"] = str(instance.number)
    if clone is not None and not action.is_pseudo:
        found["clone_max"] = str(clone.clone_max)
        found["clone_node_max"] = str(clone.node_max)
        found["globally_unique"] = "true" if clone.is_unique else "false"
        found["notify"] = "true" if clone.notifies else "false"
    return found
