"""Fences nodes that are unclean.

A node whose state says why is fenced at once; one that is merely silent ("node is unclean") comes
last. Which comes first matters only for the order of the graph.
"""

from __future__ import annotations

from pengine.act.actions import Action, Task
from pengine.act.builder import Builder
from pengine.act.unfencing import device_digests
from pengine.facts.nodes import NodeFacts


def add_fencings(builder: Builder) -> None:
    """Fence what has a reason of its own, known before anything was placed."""
    for name in builder.fenced:
        node = builder.nodes[name]
        if node.kind != "guest" and node.unclean_because and not node.is_given_up:
            _add(builder, node)


def add_fencings_of_given_up(builder: Builder) -> None:
    """Fence what cannot be reached any more, as it is noticed: by what is to be done there.

    What is to be done is looked through from the newest to the oldest.
    """
    names = (action.node for action in reversed(builder.in_order()))
    for name in dict.fromkeys((*names, *builder.fenced)):
        if name in builder.fenced and builder.nodes[name].is_given_up:
            _add(builder, builder.nodes[name])


def add_fencings_of_silent_nodes(builder: Builder) -> None:
    """Fence what nobody has heard of."""
    for name in builder.fenced:
        if builder.nodes[name].kind != "guest" and not builder.nodes[name].unclean_because:
            _add(builder, builder.nodes[name])


def add_resets(builder: Builder) -> None:
    """Label the recovery of a container as what it is for the guest in it: a fencing.

    Nothing is carried out for it; it is there to order things by, and for the controller to see.
    """
    for name, because in builder.fenced.items():
        node = builder.nodes[name]
        if node.kind != "guest":
            continue
        comes_back = any(a.task is Task.START for a in builder.actions_of(node.container))
        word = "reboot" if comes_back else "off"
        builder.add(
            Action(
                id=(f"stonith-{name}-{word}", name),
                task=Task.FENCE,
                owner="",
                node=name,
                is_pseudo=True,
                needed=True,
                fencing_action=word,
                reasons=(because,),
            )
        )


def _add(builder: Builder, node: NodeFacts) -> None:
    settings = builder.facts.settings
    digests, open_digests = device_digests(builder.facts)
    builder.add(
        Action(
            id=(f"stonith-{node.name}-{settings.fencing_action}", node.name),
            task=Task.FENCE,
            owner="",
            node=node.name,
            needed=True,
            fencing_action=settings.fencing_action,
            delay_s=_delay_s(builder, node),
            digests=digests,
            open_digests=open_digests,
            reasons=(builder.fenced[node.name],),
        )
    )


def _delay_s(builder: Builder, node: NodeFacts) -> int:
    """Give the more important side of a cut a start: its nodes are fenced later."""
    delay_ms = builder.facts.settings.priority_fencing_delay_ms
    if delay_ms <= 0 or not node.was_lost:
        return 0
    weights = {n.name: _weight(builder, n.name) for n in builder.facts.nodes if n.kind == "member"}
    heaviest = max(weights.values())
    if heaviest == min(weights.values()):
        return 0
    return delay_ms // 1000 if weights.get(node.name, 0) == heaviest else 0


def _weight(builder: Builder, node: str) -> int:
    """Add up the priorities of what runs on a node; a promoted instance counts one more.

    What runs in a guest counts for the node its container is on (case priority-fencing-delay).
    """
    total = 0
    for instance in builder.facts.instances():
        state = builder.facts.activity[instance.id]
        if any(node in _hosts(builder, place) for place in state.nodes):
            total += instance.meta.priority
            total += int(instance.meta.priority > 0 and state.is_promoted)
    return total


def _hosts(builder: Builder, place: str) -> tuple[str, ...]:
    """List the machines a place stands on: a guest's are those its container is active on."""
    node = builder.nodes.get(place)
    if node is None or node.kind != "guest":
        return (place,)
    container = builder.facts.activity.get(node.container)
    return container.nodes if container is not None else ()
