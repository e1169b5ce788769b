"""Lets nodes back in: turns them on before anything is looked for or started there.

Where a fence device provides unfencing, a node is shut out (from storage, say) until somebody
turns it on. That is due when a device has to be looked for on a node, which means that the node
has just come.
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Action, Task
from pengine.act.builder import Builder
from pengine.facts.changes import digest
from pengine.facts.instances import Instance, Requires


def add_unfencings(builder: Builder) -> None:
    """Turn on every node on which a fence device is looked for."""
    devices = [i for i in builder.facts.instances() if _provides(i)]
    if not devices or not builder.facts.settings.fencing_enabled:
        return
    for action in list(builder.actions.values()):
        instance = action.instance
        if not action.is_probe or instance is None or not instance.resource.agent.is_fencing:
            continue
        node = builder.nodes[action.node]
        if node.may_act and not node.shutting_down:
            builder.add(_unfencing(builder, node.name, instance))


def _provides(instance: Instance) -> bool:
    return instance.resource.agent.is_fencing and instance.meta.pairs.get("provides") == "unfencing"


def _unfencing(builder: Builder, node: str, cause: Instance) -> Action:
    return Action(
        id=(f"stonith-{node}-on", node),
        task=Task.FENCE,
        owner="",
        node=node,
        needed=True,
        fencing_action="on",
        digests=tuple(_digests(builder)),
        reasons=(f"required by {cause.id} monitor",),
    )


def _digests(builder: Builder) -> Iterator[str]:
    """Name the definitions of all devices, so that a later change of one is noticed."""
    devices = sorted((i for i in builder.facts.instances() if _provides(i)), key=lambda i: i.id)
    for device in devices:
        shown = digest(builder.facts.parameters(device))
        yield f"{device.id}:{device.resource.agent.type}:{shown}"


def waits_for_unfencing(instance: Instance) -> bool:
    """Tell whether an instance may do nothing on a node that is not turned on yet."""
    return instance.meta.requires is Requires.UNFENCING or instance.resource.agent.is_fencing
