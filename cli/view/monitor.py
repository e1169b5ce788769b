"""The picture `crm_mon` prints: summary, nodes, resources, and what is asked for beyond.

The layout and the words are those of Pacemaker 2.1, which scripts read; a test holds them.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, replace

from cli.view.status import (
    PROMOTED,
    STARTED,
    STOPPED,
    UNPROMOTED,
    ClusterView,
    Instance,
    NodeView,
    Operation,
    is_true,
    members,
    meta,
    primitives,
)
from crm.model.configuration import Item
from crm.model.outcomes import ExitCode

RELEASE = "2.1.5-pacekeeper"
_STATUS_WORDS = {-1: "pending", 0: "complete", 1: "Cancelled", 2: "Timed Out", 3: "NOT SUPPORTED",
                 4: "Error", 7: "Not installed"}  # fmt: skip
_RC_WORDS = {
    ExitCode.OK: "ok",
    ExitCode.ERROR: "error",
    ExitCode.INVALID_PARAMETER: "invalid parameter",
    ExitCode.UNIMPLEMENTED: "unimplemented feature",
    ExitCode.INSUFFICIENT_PRIVILEGES: "insufficient privileges",
    ExitCode.NOT_INSTALLED: "not installed",
    ExitCode.NOT_CONFIGURED: "not configured",
    ExitCode.NOT_RUNNING: "not running",
    ExitCode.PROMOTED: "promoted",
    ExitCode.FAILED_PROMOTED: "promoted (failed)",
}
_HIDDEN_ATTRIBUTES = ("standby", "shutdown", "terminate", "probe_complete")


@dataclass(frozen=True)
class Wishes:
    """What to show beyond the ordinary."""

    by_node: bool = False
    inactive: bool = False
    failcounts: bool = False
    attributes: bool = False
    operations: bool = False
    timing: bool = False
    bans: bool = False
    detail: bool = False
    brief: bool = False
    no_headers: bool = False
    stack: str = "unknown"
    node: str = ""
    resource: str = ""


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
            blocks.append(_inactive(view))
    else:
        blocks.append(_resources(view, wishes))
    if wishes.attributes:
        blocks.append(_attributes(view, wishes))
    if wishes.operations:
        blocks.append(_operations(view, wishes))
    if wishes.failcounts and not wishes.operations:  # the operations show the counts as well
        blocks.append(["Migration Summary:", *_failcounts(view, wishes)])
    blocks.append(_failures(view, wishes))
    if wishes.bans:
        blocks.append(_bans(view))
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
        copies = _copies(view, item)
        for primitive in primitives(item):
            parents = _parents(item, primitive)
            total += copies
            if meta(primitive, "target-role", parents, view).lower() == "stopped":
                disabled += copies
            blocked += sum(each.blocked for each in view.instances.get(primitive.id, []))
    notes = [f"{disabled} DISABLED"] if disabled else []
    notes += [f"{blocked} BLOCKED from further action due to failure"] if blocked else []
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"{total} resource instance{'' if total == 1 else 's'} configured{suffix}"


def _copies(view: ClusterView, item: Item) -> int:
    if item.tag not in ("clone", "master"):
        return 1
    wanted = meta(item, "clone-max", [], view)
    return int(wanted) if wanted.isdigit() else max(1, len(view.nodes))


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
                    role = "FAILED" if instance.failed else role_of(view, item, instance)
                    found.append((primitive, role))
    if wishes.brief:
        kinds = Counter(agent(primitive) for primitive, _role_ in found)
        return [f"      * {count}\t({kind}):\tActive" for kind, count in sorted(kinds.items())]
    return [f"      * {each.id}\t({agent(each)}):\t {role}" for each, role in found]


# --- resources ----------------------------------------------------------------------------------


def agent(item: Item) -> str:
    """Write a primitive's agent in full."""
    parts = (item.get("class"), item.get("provider"), item.get("type"))
    return ":".join(part for part in parts if part)


def _resources(view: ClusterView, wishes: Wishes) -> list[str]:
    title = "Full List of Resources:" if wishes.inactive else "Active Resources:"
    chosen = [
        item
        for item in view.resources
        if (wishes.inactive or any(view.is_running(each.id) for each in primitives(item)))
        and wishes.resource in ("", item.id, *(part.id for part in item.walk()))
    ]
    lines: list[str] = []
    if wishes.brief:
        lines += _brief(view, [each for each in chosen if each.tag == "primitive"], wishes, "  ")
        chosen = [each for each in chosen if each.tag != "primitive"]
    for item in chosen:
        lines += _resource(view, item, wishes)
    lines += [
        f"  * {item.id}\t({agent(item)}):\t ORPHANED {_where(view, item, item)}"
        for item in view.orphans
        if view.is_running(item.id)
    ]
    if not lines:
        lines = ["  * No resources" if wishes.inactive else "  * No active resources"]
    return [title, *lines]


def _brief(view: ClusterView, items: list[Item], wishes: Wishes, indent: str) -> list[str]:
    totals = Counter(agent(item) for item in items)
    active: Counter[tuple[str, str]] = Counter()
    for item in items:
        for instance in view.active(item.id):
            active[agent(item), instance.node] += 1
    lines: list[str] = []
    for kind in sorted(totals):
        rows = sorted((node, count) for (each, node), count in active.items() if each == kind)
        of = f"/{totals[kind]}" if wishes.inactive or indent != "  " else ""
        lines += [f"{indent}* {count}{of}\t({kind}):\tActive {node}" for node, count in rows]
        if not rows and wishes.inactive:
            lines.append(f"{indent}* 0/{totals[kind]}\t({kind}):\tActive")
    return lines


def _resource(view: ClusterView, item: Item, wishes: Wishes) -> list[str]:
    if item.tag == "primitive":
        return [f"  * {_primitive_line(view, item, item)}"]
    notes = _notes(view, item, [])
    if item.tag == "group":
        head = f"  * Resource Group: {item.id}{f' ({notes})' if notes else ''}:"
        if wishes.brief:
            return [head, *_brief(view, members(item), wishes, "    ")]
        shown = [each for each in members(item) if wishes.inactive or view.is_running(each.id)]
        return [head, *(f"    * {_primitive_line(view, each, item)}" for each in shown)]
    if item.tag in ("clone", "master"):
        return _clone(view, item, wishes, notes)
    return [f"  * Container bundle: {item.id}"]


def _primitive_line(view: ClusterView, item: Item, top: Item) -> str:
    return f"{item.id}\t({agent(item)}):\t {_where(view, item, top)}"


def _where(view: ClusterView, item: Item, top: Item) -> str:
    active = view.active(item.id)
    parents = _parents(top, item)
    if not active:
        pending = next((each for each in view.instances.get(item.id, []) if each.pending), None)
        state = STOPPED
        if pending is not None and pending.pending not in ("Stopping", "Monitoring"):
            state = f"{pending.pending} {pending.node}"
    elif any(each.failed for each in active):
        failed = [each for each in active if each.failed]
        state = f"FAILED {failed[0].node}"
        if len(active) > 1:
            state = f"FAILED [ {' '.join(each.node for each in active)} ]"
    elif len(active) > 1:
        state = f"Started [ {' '.join(each.node for each in active)} ]"
    else:
        word = active[0].pending or role_of(view, top, active[0])
        state = f"{word} {active[0].node}"
    notes = _notes(view, item, parents)
    return f"{state} ({notes})" if notes else state


def _notes(view: ClusterView, item: Item, parents: list[Item]) -> str:
    notes: list[str] = []
    if meta(item, "target-role", parents, view).lower() == "stopped":
        notes.append("disabled")
    if any(each.blocked for each in view.instances.get(item.id, [])):
        notes.append("blocked")
    managed = is_true(meta(item, "is-managed", parents, view, "true"))
    maintained = is_true(meta(item, "maintenance", parents, view, "false"))
    on_maintained = any(
        (node := view.node(each.node)) is not None and node.maintenance
        for each in view.active(item.id)
    )
    if maintained:
        notes.append("maintenance")
    elif view.in_maintenance or not managed or on_maintained:
        notes.append("unmanaged")
    return ", ".join(notes)


def role_of(view: ClusterView, top: Item, instance: Instance) -> str:
    """Name an instance's role; in a promotable clone what is not promoted is unpromoted."""
    if instance.role == STARTED and is_promotable(view, top):
        return UNPROMOTED
    return instance.role


def is_promotable(view: ClusterView, item: Item) -> bool:
    """Tell whether a container's instances can be promoted."""
    if item.tag == "master":
        return True
    return item.tag == "clone" and is_true(meta(item, "promotable", [], view, "false"))


def _clone(view: ClusterView, item: Item, wishes: Wishes, notes: str) -> list[str]:
    inner = members(item)[0]
    flags = [*(["promotable"] if is_promotable(view, item) else []), *([notes] if notes else [])]
    head = f"  * Clone Set: {item.id} [{inner.id}]"
    lines = [head + (f" ({', '.join(flags)}):" if flags else ":")]
    lead = primitives(inner)[0]
    odd = [each for each in view.active(lead.id) if each.failed or each.pending]
    regular = [each for each in view.active(lead.id) if not (each.failed or each.pending)]
    if (notes and notes != "disabled") or wishes.detail:
        odd, regular = [*odd, *regular], []
    for instance in odd:
        state = "FAILED" if instance.failed else instance.pending or role_of(view, item, instance)
        suffix = f" ({notes})" if notes else ""
        lines.append(f"    * {lead.id}\t({agent(lead)}):\t {state} {instance.node}{suffix}")
    for role, title in (
        (PROMOTED, "Promoted"),
        (STARTED, "Started"),
        (UNPROMOTED, "Unpromoted"),
    ):
        names = [each.node for each in regular if role_of(view, item, each) == role]
        if names:
            lines.append(f"    * {title}: [ {' '.join(names)} ]")
    if wishes.inactive or notes:
        used = {each.node for each in view.active(lead.id)}
        room = _copies(view, item) - len(used)
        idle = [node.name for node in view.nodes if node.name not in used][: max(0, room)]
        if idle:
            disabled = " (disabled)" if "disabled" in notes else ""
            lines.append(f"    * Stopped{disabled}: [ {' '.join(idle)} ]")
    return lines


def _inactive(view: ClusterView) -> list[str]:
    lines: list[str] = []
    for item in view.resources:
        lines += [
            f"  * {_primitive_line(view, each, item)}"
            for each in primitives(item)
            if not view.is_running(each.id)
        ]
    return ["Inactive Resources:", *(lines or ["  * No inactive resources"])]


def _parents(top: Item, item: Item) -> list[Item]:
    """Find the containers above a primitive, outermost first."""
    if top is item:
        return []
    for child in members(top):
        if child is item or any(each is item for each in child.walk()):
            return [top, *_parents(child, item)]
    return []


# --- attributes, operations, failures -----------------------------------------------------------


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


def _operations(view: ClusterView, wishes: Wishes) -> list[str]:
    lines: list[str] = []
    for node in view.nodes:
        done = [each for each in view.operations if each.node == node.name]
        if not done or not node.online or wishes.node not in ("", node.name):
            continue
        lines.append(f"  * Node: {node.name}:")
        for name in dict.fromkeys(each.resource for each in done):
            own = [each for each in done if each.resource == name and _is_shown(each)]
            if not own:
                continue
            lines.append(f"    * {name}: {_migration(view, node, name)}:")
            lines += [f"      * {_operation_line(each, wishes)}" for each in own]
    return ["Operations:", *lines] if lines else []


def _is_shown(operation: Operation) -> bool:
    return not (operation.is_probe and operation.rc == 7) and not operation.is_failure_record


def _operation_line(operation: Operation, wishes: Wishes) -> str:
    line = f"({operation.call_id}) {operation.name}"
    details: list[str] = []
    if operation.interval_ms:
        details.append(f'interval="{operation.interval_ms}ms"')
    if wishes.timing:
        stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
        details += [
            f'last-rc-change="{stamp}"',
            f'exec-time="{operation.exec_ms}ms"',
            f'queue-time="{operation.queue_ms}ms"',
            f"rc={operation.rc} ({rc_word(operation.rc)})",
        ]
    elif operation.failed:
        details.append(f"rc={operation.rc} ({rc_word(operation.rc)})")
    return f"{line}: {' '.join(details)}" if details else line


def rc_word(rc: int) -> str:
    """Say an exit code in words."""
    return next((word for code, word in _RC_WORDS.items() if int(code) == rc), "unknown")


def fail_count(node: NodeView, resource: str) -> int:
    """Add up the fail counts of a resource on a node, of both spellings."""
    total = 0
    for name, value in node.attributes.items():
        plain = name.removeprefix("fail-count-")
        if plain == name or plain.partition("#")[0] != resource:
            continue
        total += 1_000_000 if value.upper() == "INFINITY" else int(value) if value.isdigit() else 0
    return min(total, 1_000_000)


def _migration(view: ClusterView, node: NodeView, resource: str) -> str:
    threshold = "1000000"
    for item in view.resources:
        for primitive in primitives(item):
            if primitive.id == resource.partition(":")[0]:
                threshold = meta(
                    primitive, "migration-threshold", _parents(item, primitive), view, threshold
                )
    threshold = "1000000" if threshold.upper() == "INFINITY" else threshold
    words = [f"migration-threshold={threshold}"]
    count = fail_count(node, resource.partition(":")[0])
    if count:
        words.append(f"fail-count={count}")
        stamp = next(
            (
                value
                for name, value in node.attributes.items()
                if name.startswith(f"last-failure-{resource}")
            ),
            "",
        )
        if stamp.isdigit():
            when = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(int(stamp)))
            words.append(f"last-failure='{when}'")
    return " ".join(words)


def _failcounts(view: ClusterView, wishes: Wishes) -> list[str]:
    lines: list[str] = []
    for node in view.nodes:
        rows = [
            f"    * {primitive.id}: {_migration(view, node, primitive.id)}"
            for item in view.resources
            for primitive in primitives(item)
            if fail_count(node, primitive.id)
        ]
        if rows and wishes.node in ("", node.name):
            lines += [f"  * Node: {node.name}:", *rows]
    return lines


def failed_operations(view: ClusterView) -> list[Operation]:
    """List the failures on record, each once."""
    found: dict[tuple[str, str, str, int], Operation] = {}
    for operation in view.operations:
        if operation.failed:
            key = (operation.resource, operation.node, operation.name, operation.interval_ms)
            found.setdefault(key, operation)
    return list(found.values())


def _failures(view: ClusterView, wishes: Wishes) -> list[str]:
    lines = [
        f"  * {_failure_line(each)}"
        for each in failed_operations(view)
        if wishes.node in ("", each.node) and wishes.resource in ("", each.resource)
    ]
    return ["Failed Resource Actions:", *lines] if lines else []


def _failure_line(operation: Operation) -> str:
    name = operation.name
    if operation.interval_ms:
        seconds = operation.interval_ms / 1000
        shown = f"{seconds:g}s" if seconds < 60 else f"{seconds / 60:g}m"
        name = f"{shown}-interval {name}"
    if operation.status in (0, 4):
        word = f"returned '{rc_word(operation.rc)}'"
    elif operation.status == 2:
        word = "could not be executed (Timed Out)"
    else:
        word = f"could not be executed ({_STATUS_WORDS.get(operation.status, 'Error')})"
    reason = f" ({operation.exit_reason})" if operation.exit_reason else ""
    stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
    when = f" at {stamp}" if operation.changed_at else ""
    return f"{operation.resource} {name} on {operation.node} {word}{reason}{when}"


def _bans(view: ClusterView) -> list[str]:
    lines = [
        f"  * {each.id}\tprevents {each.get('rsc')} from running on {each.get('node')}"
        for each in view.constraints
        if each.get("score", "0").startswith("-") and each.get("node")
    ]
    return ["Negative Location Constraints:", *lines] if lines else []


def resource_list(view: ClusterView) -> str:
    """Write the list of `crm resource status`."""
    lines = _resources(view, Wishes(inactive=True))
    # As the classic tool does: this list says what runs, `locate` says where.
    places = "|".join(re.escape(node.name) for node in view.nodes)
    expression = re.compile(rf"(\t (?:Started|Promoted|Unpromoted)) (?:{places})(?= \(|$)")
    return "\n".join(expression.sub(r"\1", line) for line in lines)


def operation_list(view: ClusterView, resource: str, node: str) -> str:
    """Write the recorded operations, one a line."""
    heads: dict[str, str] = {}
    for item in view.resources:
        for primitive in primitives(item):
            if resource in ("", item.id, primitive.id):
                active = view.active(primitive.id)
                state = role_of(view, item, active[0]) if active else STOPPED
                heads[primitive.id] = f"{primitive.id}\t({agent(primitive)}):\t {state}"
    return "\n".join(
        f"{heads[each.resource.partition(':')[0]]}: {_recorded(each)}"
        for each in view.operations
        if each.resource.partition(":")[0] in heads and node in ("", each.node)
    )


def _recorded(operation: Operation) -> str:
    stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
    word = _STATUS_WORDS.get(operation.status, "unknown")
    return (
        f"{operation.resource}_{operation.name}_{operation.interval_ms} (node={operation.node}, "
        f"call={operation.call_id}, rc={operation.rc}, last-rc-change='{stamp}', "
        f"exec={operation.exec_ms}ms): {word}"
    )


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
            for each in failed_operations(view)
        ],
    }


def _resource_json(view: ClusterView, item: Item, top: Item) -> dict[str, object]:
    if item.tag != "primitive":
        return {
            "id": item.id,
            "kind": item.tag,
            "members": [_resource_json(view, each, top) for each in members(item)],
        }
    parents = _parents(top, item)
    return {
        "id": item.id,
        "kind": "primitive",
        "agent": agent(item),
        "target_role": meta(item, "target-role", parents, view, "Started"),
        "active": [
            {"node": each.node, "role": role_of(view, top, each), "failed": each.failed}
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
