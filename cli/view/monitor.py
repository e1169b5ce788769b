"""The picture `crm_mon` prints: summary, nodes, resources, and what is asked for beyond.

The layout and the words are those of Pacemaker 2.1, which scripts read; a test holds them.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from cli.view import bundles, history, resources
from cli.view.status import ClusterView, NodeView, members, meta, primitives
from cli.view.wishes import Wishes
from crm.model.configuration import Item

RELEASE = "2.1.5-pacekeeper"
LEFT_BY_COMMANDS = ("cli-prefer-", "cli-ban-")
"""How the ids of constraints begin that a command made, not a person."""
_HIDDEN_ATTRIBUTES = ("standby", "shutdown", "terminate", "probe_complete")


def text(view: ClusterView, wishes: Wishes) -> str:
    """Write the whole picture."""
    if wishes.node:
        view = _only_on(view, wishes.node)
    blocks = [_summary(view, wishes)]
    if view.in_maintenance:
        blocks.append(
            [
                "              *** Resource management is DISABLED ***",
                "  The cluster will not attempt to start, stop or recover services",
            ]
        )
    blocks.append(_nodes(view, wishes))
    if wishes.by_node:
        if wishes.inactive:
            blocks.append(resources.inactive(view))
    else:
        blocks.append(resources.full_list(view, wishes))
    if wishes.attributes:
        blocks.append(_attributes(view, wishes))
    if wishes.operations:
        blocks.append(history.operations(view, wishes))
    if wishes.failcounts and not wishes.operations:  # the operations show the counts as well
        blocks.append(["Migration Summary:", *history.failcounts(view, wishes)])
    blocks.append(history.failures(view, wishes))
    if wishes.bans:
        blocks.append(_bans(view))
    blocks.append(_leftovers(view, wishes))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _only_on(view: ClusterView, node: str) -> ClusterView:
    """Leave out what is on other nodes."""
    instances = {
        name: [each for each in found if each.node == node]
        for name, found in view.instances.items()
    }
    return replace(view, instances=instances)


# --- summary and nodes --------------------------------------------------------------------------


def _summary(view: ClusterView, wishes: Wishes) -> list[str]:
    dc = view.dc
    if dc:
        quorum = "partition with quorum" if view.has_quorum else "partition WITHOUT quorum"
        leader = f"{dc} (version {RELEASE}) - {quorum}"
    else:
        leader = "NONE"
    if wishes.no_headers:
        return ["Cluster Summary:", f"  * Current DC: {leader}"]
    changed = view.root.get("cib-last-written", "")
    last = f"  {changed}" if changed else ""
    for word, name in (("by", "update-user"), ("via", "update-client"), ("on", "update-origin")):
        if changed and view.root.get(name):
            last += f" {word} {view.root[name]}"
    count = len(view.nodes)
    return [
        "Cluster Summary:",
        f"  * Stack: {view.options.get('cluster-infrastructure', wishes.stack)}",
        f"  * Current DC: {leader}",
        f"  * Last updated: {time.strftime('%a %b %e %H:%M:%S %Y')}",
        f"  * Last change:{last}",
        f"  * {count} node{'' if count == 1 else 's'} configured",
        f"  * {_instance_count(view)}",
    ]


def _instance_count(view: ClusterView) -> str:
    total = disabled = blocked = 0
    for item in view.resources:
        copies = resources.copies(view, item)
        if item.tag == "bundle":
            total += bundles.size_of(item)
            continue
        for primitive in primitives(item):
            parents = resources.parents_of(item, primitive)
            total += copies
            if meta(primitive, "target-role", parents, view).lower() == "stopped":
                disabled += copies
            blocked += sum(each.blocked for each in view.instances.get(primitive.id, []))
    notes = [f"{disabled} DISABLED"] if disabled else []
    notes += [f"{blocked} BLOCKED from further action due to failure"] if blocked else []
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"{total} resource instance{'' if total == 1 else 's'} configured{suffix}"


def _nodes(view: ClusterView, wishes: Wishes) -> list[str]:
    shown = [node for node in view.nodes if wishes.node in ("", node.name)]
    if not shown:
        return []
    lines = ["Node List:"]
    if wishes.by_node:
        for node in shown:
            lines.append(f"  * Node {node.name}: {node.word}:")
            lines.append("    * Resources:")
            lines += _resources_of(view, node, wishes)
        return lines
    if wishes.detail:
        return [
            *lines,
            *(f"  * Node {node.name} ({node.id}): {node.word}" for node in shown),
        ]
    lines += [
        f"  * Node {node.name}: {node.word}"
        for node in shown
        if node.word not in ("online", "OFFLINE")
    ]
    for word, title in (("online", "Online"), ("OFFLINE", "OFFLINE")):
        names = [node.name for node in shown if node.word == word]
        if names:
            lines.append(f"  * {title}: [ {' '.join(names)} ]")
    return lines


def _resources_of(view: ClusterView, node: NodeView, wishes: Wishes) -> list[str]:
    found: list[tuple[Item, str]] = []
    for item in [*view.resources, *view.orphans]:
        for primitive in primitives(item):
            for instance in view.active(primitive.id):
                if instance.node == node.name:
                    role = "FAILED" if instance.failed else resources.role_of(view, item, instance)
                    found.append((primitive, role))
    if wishes.brief:
        kinds = Counter(resources.agent(primitive) for primitive, _role_ in found)
        return [f"      * {count}\t({kind}):\tActive" for kind, count in sorted(kinds.items())]
    return [f"      * {each.id}\t({resources.agent(each)}):\t {role}" for each, role in found]


# --- attributes and constraints -----------------------------------------------------------------


def _attributes(view: ClusterView, wishes: Wishes) -> list[str]:
    lines: list[str] = []
    for node in view.nodes:
        shown = {
            name: value
            for name, value in sorted(node.attributes.items())
            if name not in _HIDDEN_ATTRIBUTES
            and not name.startswith(("fail-count-", "last-failure-", "#"))
        }
        if not shown or not node.online or wishes.node not in ("", node.name):
            continue
        lines.append(f"  * Node: {node.name}:")
        lines += [f"    * {name:32}\t: {value}" for name, value in shown.items()]
    return ["Node Attributes:", *lines] if lines else []


def _bans(view: ClusterView) -> list[str]:
    lines = [
        f"  * {each.id}\tprevents {each.get('rsc')} from running on {each.get('node')}"
        for each in view.constraints
        if each.get("score", "0").startswith("-") and each.get("node")
    ]
    return ["Negative Location Constraints:", *lines] if lines else []


def _leftovers(view: ClusterView, wishes: Wishes) -> list[str]:
    """Remind of what `crm resource move` and `ban` left: it holds until it is cleared."""
    left = [
        each
        for each in view.constraints
        if each.id.startswith(LEFT_BY_COMMANDS) and wishes.resource in ("", each.get("rsc"))
    ]
    if not left:
        return []
    names = ", ".join(each.id for each in left)
    resources = " ".join(dict.fromkeys(each.get("rsc") for each in left))
    return [f"Left by move or ban: {names} (to end it: crm resource clear {resources})"]


# --- as data ------------------------------------------------------------------------------------


def as_json(view: ClusterView) -> dict[str, object]:
    """Say the same as plain values."""
    return {
        "dc": view.dc or None,
        "quorum": view.has_quorum,
        "maintenance": view.in_maintenance,
        "version": ".".join(
            view.root.get(name, "0") for name in ("admin_epoch", "epoch", "num_updates")
        ),
        "nodes": [
            {"name": node.name, "id": node.id, "state": node.word, "attributes": node.attributes}
            for node in view.nodes
        ],
        "resources": [_resource_json(view, item, item) for item in view.resources],
        "failures": [
            {
                "resource": each.resource,
                "node": each.node,
                "operation": each.name,
                "interval_ms": each.interval_ms,
                "rc": each.rc,
                "reason": each.exit_reason,
            }
            for each in history.failed_operations(view)
        ],
    }


def _resource_json(view: ClusterView, item: Item, top: Item) -> dict[str, object]:
    if item.tag != "primitive":
        return {
            "id": item.id,
            "kind": item.tag,
            "members": [_resource_json(view, each, top) for each in members(item)],
        }
    parents = resources.parents_of(top, item)
    return {
        "id": item.id,
        "kind": "primitive",
        "agent": resources.agent(item),
        "target_role": meta(item, "target-role", parents, view, "Started"),
        "active": [
            {"node": each.node, "role": resources.role_of(view, top, each), "failed": each.failed}
            for each in view.active(item.id)
        ],
    }


def one_line(view: ClusterView) -> tuple[int, str]:
    """Write the line of `crm_mon -s` and its exit code, as a monitoring plug-in does."""
    problems: list[str] = []
    if not view.dc:
        problems.append("No DC")
    problems += [f"offline node: {node.name}" for node in view.nodes if node.word == "OFFLINE"]
    problems += [f"standby node: {node.name}" for node in view.nodes if node.word == "standby"]
    if problems:
        first, *rest = problems
        return 1, "CLUSTER WARN: " + " ".join([f"{first},", *rest] if rest else [first])
    online = sum(node.online for node in view.nodes)
    return 0, f"CLUSTER OK: {online} nodes online, {_instance_count(view)}"
