"""The resources of the picture: what each is doing, and where.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import re
from collections import Counter

from cli.view import bundles
from cli.view.status import (
    PROMOTED,
    STARTED,
    STOPPED,
    UNPROMOTED,
    ClusterView,
    Instance,
    members,
    meta,
    primitives,
)
from cli.view.wishes import Wishes
from crm.model.configuration import Item
from crm.model.options import is_true


def copies(view: ClusterView, item: Item) -> int:
    """Say how many instances a resource is to have."""
    if item.tag == "bundle":
        return bundles.count_of(item)
    if item.tag not in ("clone", "master"):
        return 1
    wanted = meta(item, "clone-max", [], view)
    return int(wanted) if wanted.isdigit() else max(1, len(view.nodes))


def agent(item: Item) -> str:
    """Write a primitive's agent in full."""
    parts = (item.get("class"), item.get("provider"), item.get("type"))
    return ":".join(part for part in parts if part)


def full_list(view: ClusterView, wishes: Wishes) -> list[str]:
    """Write the list of resources with its title."""
    title = "Full List of Resources:" if wishes.inactive else "Active Resources:"
    chosen = [
        item
        for item in view.resources
        if (wishes.inactive or _is_anything_up(view, item))
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


def _is_anything_up(view: ClusterView, item: Item) -> bool:
    ids = bundles.containers_of(item) if item.tag == "bundle" else []
    return any(view.is_running(key) for key in (*ids, *(each.id for each in primitives(item))))


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
        return [f"  * {primitive_line(view, item, item)}"]
    notes = _notes(view, item, [])
    if item.tag == "group":
        head = f"  * Resource Group: {item.id}{f' ({notes})' if notes else ''}:"
        if wishes.brief:
            return [head, *_brief(view, members(item), wishes, "    ")]
        shown = [each for each in members(item) if wishes.inactive or view.is_running(each.id)]
        return [head, *(f"    * {primitive_line(view, each, item)}" for each in shown)]
    if item.tag in ("clone", "master"):
        return _clone(view, item, wishes, notes)
    lines = bundles.bundle_lines(view, item, notes, inactive=wishes.inactive)
    return [bundles.bundle_head(item, notes), *lines]


def primitive_line(view: ClusterView, item: Item, top: Item) -> str:
    """Write the line of a primitive."""
    return f"{item.id}\t({agent(item)}):\t {_where(view, item, top)}"


def _where(view: ClusterView, item: Item, top: Item) -> str:
    active = view.active(item.id)
    parents = parents_of(top, item)
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
        room = copies(view, item) - len(used)
        idle = [node.name for node in view.nodes if node.name not in used][: max(0, room)]
        if idle:
            disabled = " (disabled)" if "disabled" in notes else ""
            lines.append(f"    * Stopped{disabled}: [ {' '.join(idle)} ]")
    return lines


def inactive(view: ClusterView) -> list[str]:
    """List what runs nowhere, with a title."""
    lines: list[str] = []
    for item in view.resources:
        lines += [
            f"  * {primitive_line(view, each, item)}"
            for each in primitives(item)
            if not view.is_running(each.id)
        ]
    return ["Inactive Resources:", *(lines or ["  * No inactive resources"])]


def parents_of(top: Item, item: Item) -> list[Item]:
    """Find the containers above a primitive, outermost first."""
    if top is item:
        return []
    for child in members(top):
        if child is item or any(each is item for each in child.walk()):
            return [top, *parents_of(child, item)]
    return []


def resource_list(view: ClusterView) -> str:
    """Write the list of `crm resource status`."""
    lines = full_list(view, Wishes(inactive=True))
    # As the classic tool does: this list says what runs, `locate` says where.
    places = "|".join(re.escape(node.name) for node in view.nodes)
    expression = re.compile(rf"(\t (?:Started|Promoted|Unpromoted)) (?:{places})(?= \(|$)")
    return "\n".join(expression.sub(r"\1", line) for line in lines)
