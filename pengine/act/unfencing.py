"""Lets nodes back in: turns them on before anything is looked for or started there.

Where a fence device provides unfencing, a node is shut out (from storage, say) until somebody
turns it on. That is due when

- something that waits for it is looked for or started on a node that never was (attribute
  `#node-unfenced`);
- the definition of a device differs from the one the node was turned on with (`#digests-all`).
"""

from __future__ import annotations

from collections.abc import Mapping

from pengine.act.actions import Action, Task
from pengine.act.builder import Builder
from pengine.facts.changes import FENCING_PREFIX, operation_digest
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, Requires
from pengine.facts.nodes import NodeFacts


def add_unfencings(builder: Builder) -> None:
    """Turn on every node on which something waits for that, if it is due."""
    if not _is_asked_for(builder.facts):
        return
    for action in list(builder.actions.values()):
        instance = action.instance
        if instance is None or not (action.is_probe or action.task is Task.START):
            continue
        if not waits_for_unfencing(instance) or not action.node:
            continue
        node = builder.nodes[action.node]
        if node.attributes.get("#node-unfenced", "0") == "0":
            add_unfencing(builder, node, f"required by {instance.id} {action.task.value}")
        elif _has_changed(builder.facts, node):
            add_unfencing(builder, node, "")


def add_unfencing(builder: Builder, node: NodeFacts, reason: str) -> None:
    """Turn one node on; where the definition of a device differs, nobody says why."""
    if not _is_asked_for(builder.facts) or not node.may_act or node.shutting_down:
        return
    shown, shown_openly = device_digests(builder.facts)
    builder.add(
        Action(
            id=(f"stonith-{node.name}-on", node.name),
            task=Task.FENCE,
            owner="",
            node=node.name,
            needed=True,
            fencing_action="on",
            digests=shown,
            open_digests=shown_openly,
            reasons=(reason,) if reason else (),
        )
    )


def device_digests(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the definitions of all devices, so that a later change of one is noticed.

    The second list leaves out secrets, which a sanitised CIB does not show.
    """
    devices = _devices(facts)
    return tuple(_full(facts, d) for d in devices), tuple(_open(facts, d) for d in devices)


def _is_asked_for(facts: Facts) -> bool:
    """Tell whether nodes are turned on at all: a device does it, or something waits for it."""
    waiting = (i.meta.requires is Requires.UNFENCING for i in facts.instances())
    return facts.settings.fencing_enabled and (bool(_devices(facts)) or any(waiting))


def _devices(facts: Facts) -> list[Instance]:
    """List the devices that turn nodes on; without fencing nobody asks them to."""
    if not facts.settings.fencing_enabled:
        return []
    return sorted((i for i in facts.instances() if _provides(i)), key=lambda i: i.id)


def _provides(instance: Instance) -> bool:
    return instance.resource.agent.is_fencing and instance.meta.pairs.get("provides") == "unfencing"


_SECRETS = frozenset({"passwd", "password", "user"})
"""Parameters that are secrets whatever the agent says."""


def _full(facts: Facts, device: Instance) -> str:
    return _definition(device, facts.parameters(device))


def _open(facts: Facts, device: Instance) -> str:
    shown = {
        name: value
        for name, value in facts.parameters(device).items()
        if name not in _SECRETS and not name.startswith(FENCING_PREFIX)
    }
    return _definition(device, shown)


def _definition(device: Instance, parameters: Mapping[str, str]) -> str:
    shown = operation_digest(parameters, 0, 0)
    return f"{device.id}:{device.resource.agent.type}:{shown}"


def _has_changed(facts: Facts, node: NodeFacts) -> bool:
    """Tell whether a device is defined otherwise than when the node was turned on."""
    known = node.attributes.get("#digests-all")
    if known is None:
        return False
    known_open = node.attributes.get("#digests-secure", "")
    return any(
        _full(facts, device) not in known and _open(facts, device) not in known_open
        for device in _devices(facts)
    )


def waits_for_unfencing(instance: Instance) -> bool:
    """Tell whether an instance may do nothing on a node that is not turned on yet."""
    return instance.meta.requires is Requires.UNFENCING or instance.resource.agent.is_fencing
