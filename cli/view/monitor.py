"""The picture `crm_mon` prints: summary, nodes, resources, and what is asked for beyond.

The layout and the words are those of Pacemaker 2.1, which scripts read; a test holds them.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import msgspec

from cli.view import history, node_lines
from cli.view.extras import descriptions, moment, shown_attributes
from cli.view.resource_lines import Lines, Scope, Style, is_disabled, is_fully_up, shown_items
from cli.view.status import ClusterView
from cli.view.wishes import Wishes
from crm.model import score
from crm.model.constraints import Location
from crm.model.resources import Bundle, Clone, Group, Primitive, Resource
from crm.model.roles import Role
from pengine.facts.instances import BundleInstance, Instance
from pengine.facts.nodes import NodeFacts

RELEASE = "2.1.5-pacekeeper"
_PARTIAL = (
    "Access lists hide a part of the cluster: nodes, resources and failures that are not shown"
    " may be there"
)
LEFT_BY_COMMANDS = ("cli-prefer-", "cli-ban-", "cli-hold-")
"""How the ids of constraints begin that a command made, not a person."""


def text(view: ClusterView, wishes: Wishes) -> str:
    """Write the whole picture."""
    scope = view.scope(wishes.node, wishes.resource)
    blocks = [_summary(view, wishes)]
    if view.facts.settings.maintenance:
        blocks.append(
            [
                "              *** Resource management is DISABLED ***",
                "  The cluster will not attempt to start, stop or recover services",
            ]
        )
    if wishes.shows("nodes"):
        blocks.append(_nodes(view, wishes, scope))
    if wishes.shows("resources"):
        blocks.append(_resources(view, wishes, scope))
    if wishes.shows("attributes"):
        blocks.append(_attributes(view, wishes, scope))
    if wishes.shows("operations"):
        blocks.append(history.operations(view, wishes, scope))
    elif wishes.shows("failcounts"):  # the operations show the counts as well
        blocks.append(history.failcounts(view, wishes, scope))
    if wishes.shows("failures"):
        blocks.append(history.failures(view, wishes, scope))
    if wishes.shows("tickets"):
        blocks.append(_tickets(view))
    if wishes.shows("bans"):
        blocks.append(_bans(view, wishes, scope))
    if wishes.leftovers:
        blocks.append(_leftovers(view, scope))
    if view.is_partial:
        blocks.append([f"*** {_PARTIAL} ***"])
    return "\n\n".join("\n".join(block) for block in blocks if block)


# --- summary and nodes --------------------------------------------------------------------------


def version(view: ClusterView, wishes: Wishes) -> str:
    """Give the release of the DC's software, "" where nobody tells."""
    return view.facts.settings.text("dc-version") or wishes.release


def is_mixed(view: ClusterView) -> bool:
    """Tell whether the nodes run different releases."""
    members = (each for each in view.nodes if not each.is_remote and each.online)
    return len({each.attributes.get("#feature-set", "") for each in members}) > 1


def stack(view: ClusterView, wishes: Wishes) -> str:
    """Name what carries the cluster's messages."""
    return dict(view.facts.settings.pairs).get("cluster-infrastructure", wishes.stack)


def _summary(view: ClusterView, wishes: Wishes) -> list[str]:
    dc = view.dc
    hides_root = view.is_partial and not view.attribute("crm_feature_set")
    leader = "not shown" if hides_root else "NONE"
    if dc is not None:
        has_quorum = view.cluster.has_quorum
        quorum = "partition with quorum" if has_quorum else "partition WITHOUT quorum"
        quorum = f"MIXED-VERSION {quorum}" if is_mixed(view) else quorum
        told = version(view, wishes) or "unknown"
        leader = f"{history.node_name(view, dc, wishes)} (version {told}) - {quorum}"
    lines = ["Cluster Summary:"]
    if wishes.shows("stack"):
        lines.append(f"  * Stack: {stack(view, wishes)}")
    if wishes.shows("dc") or dc is None:  # that there is none nobody may overlook
        lines.append(f"  * Current DC: {leader}")
    if wishes.shows("times"):
        lines.append(f"  * Last updated: {time.strftime('%a %b %e %H:%M:%S %Y')}")
        lines.append(f"  * Last change:{_last_change(view)}")
    if wishes.shows("counts"):
        count = len(view.nodes)
        lines.append(f"  * {count} node{'' if count == 1 else 's'} configured")
        lines.append(f"  * {_instance_count(view)}")
    return lines if len(lines) > 1 else []


def _last_change(view: ClusterView) -> str:
    changed = view.attribute("cib-last-written")
    if not changed:
        return ""
    last = f"  {changed}"
    for word, name in (("by", "update-user"), ("via", "update-client"), ("on", "update-origin")):
        if view.attribute(name):
            last += f" {word} {view.attribute(name)}"
    return last


def counts(view: ClusterView) -> tuple[int, int, int]:
    """Count the instances there are, the disabled and the blocked ones."""
    activity = view.facts.activity
    known = [i for i in view.facts.instances() if not i.is_removed or activity[i.id].nodes]
    disabled = sum(is_disabled(each.meta, each.is_promotable) for each in known)
    return len(known), disabled, sum(activity[each.id].blocked for each in known)


def _instance_count(view: ClusterView) -> str:
    total, disabled, blocked = counts(view)
    notes = [f"{disabled} DISABLED"] if disabled else []
    notes += [f"{blocked} BLOCKED from further action due to failure"] if blocked else []
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"{total} resource instance{'' if total == 1 else 's'} configured{suffix}"


def _nodes(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    lines: list[str] = []
    if wishes.by_node:
        for node in view.nodes:
            if scope.has_node(node.name):
                lines += _by_node(view, node, wishes, scope)
    elif wishes.detail:
        lines = [f"  * {_detailed(view, node)}" for node in view.nodes if scope.has_node(node.name)]
    else:
        hidden = [node for node in view.nodes if view.is_hidden(node)]
        lines = [f"  * {node_lines.title(node)}: {view.state(node)}" for node in hidden]
        told = {n.name for n in view.nodes if scope.has_node(n.name) and n not in hidden}
        rest = msgspec.structs.replace(scope, nodes=frozenset(told))
        known = node_lines.lists(view.facts, rest if hidden else scope, classic=True)
        lines += [f"  * {line}" for line in known]
    return ["Node List:", *lines] if lines else []


def _detailed(view: ClusterView, node: NodeFacts) -> str:
    name = node_lines.full_name(view.facts, node)
    return f"{node_lines.title(node, name)}: {node_lines.detail(view.facts, node)}"


def _by_node(view: ClusterView, node: NodeFacts, wishes: Wishes, scope: Scope) -> Iterator[str]:
    here = [each for each in resources_on(view, node.name) if _is_wanted(scope, each)]
    if wishes.detail:
        head = _detailed(view, node)
    else:
        head = f"{node_lines.title(node)}: {view.state(node)}"
    if wishes.brief:
        kinds = Counter(str(each.resource.agent) for each in here)
        rows = [f"{count}\t({kind}):\tActive" for kind, count in sorted(kinds.items())]
        if not rows:
            return
    else:
        hidden = _connections(view)
        style = Style(places=False, classic=True, descriptions=descriptions(view.root))
        lines = Lines(view.facts, style)
        rows = [lines.instance(each) for each in here if each.id not in hidden]
    yield f"  * {head}:"
    yield "    * Resources:"
    yield from (f"      * {row}" for row in rows)


def resources_on(view: ClusterView, node: str) -> list[Instance]:
    """List the instances that are active on a node, in the order in which it tells of them."""
    activity = view.facts.activity
    here = [each for each in view.facts.instances() if node in activity[each.id].nodes]
    told: dict[str, int] = {}
    for state in view.root.iterfind("status/node_state"):
        if node in (state.get("uname"), state.get("id")):
            for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
                told.setdefault(history.get("id", ""), len(told))
    last = len(told)
    return sorted(here, key=lambda each: told.get(view.facts.history_name(each),
                                                  told.get(each.history_id, last)))  # fmt: skip


def _connections(view: ClusterView) -> set[str]:
    """Name the connections to the nodes inside bundles, which nobody configured."""
    bundles = (each for each in view.facts.items if isinstance(each, BundleInstance))
    replicas = (replica for bundle in bundles for replica in bundle.replicas)
    return {each.connection.id for each in replicas if each.connection is not None}


def _is_wanted(scope: Scope, instance: Instance) -> bool:
    if scope.names(instance) or scope.resources is None:
        return True
    return not scope.resources.isdisjoint((instance.top, instance.parent))


# --- resources ----------------------------------------------------------------------------------


def _resources(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    style = Style(
        classic=True,
        inactive=wishes.inactive,
        detail=wishes.detail,
        brief=wishes.brief,
        scope=scope,
    )
    lines = Lines(view.facts, style)
    if not wishes.by_node:
        title = "Full List of Resources:" if wishes.inactive else "Active Resources:"
        return [title, *lines.all(1)]
    if not wishes.inactive:
        return []
    idle = [item for item in shown_items(view.facts) if not is_fully_up(view.facts, item)]
    shown = [line for item in idle for line in lines.of(item, 1)]
    return ["Inactive Resources:", *(shown or ["  * No inactive resources"])]


def resource_list(view: ClusterView) -> str:
    """Write the list of `crm resource status`: what runs; `locate` says where."""
    style = Style(places=False, classic=True, descriptions=descriptions(view.root))
    return "\n".join(["Full List of Resources:", *Lines(view.facts, style).all(1)])


# --- attributes and constraints -----------------------------------------------------------------


def expected(view: ClusterView, node: str, name: str) -> int | None:
    """Say how high an attribute can be that a ping resource sets there; None if none does."""
    for instance in resources_on(view, node):
        if instance.resource.agent.type not in ("ping", "pingd"):
            continue
        told = view.facts.parameters(instance)
        if told.get("name", "pingd") == name:
            hosts = len(told.get("host_list", "").split())
            multiplier = told.get("multiplier", "1")
            return hosts * (int(multiplier) if multiplier.isdigit() else 1)
    return None


def _attributes(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    lines: list[str] = []
    for node in view.nodes:
        pairs = shown_attributes(node, classic=True)
        if not pairs or not node.online or not scope.has_node(node.name):
            continue
        lines.append(f"  * Node: {history.node_name(view, node, wishes)}:")
        lines += [f"    * {name:32}\t: {value:10}{_connectivity(view, node, name, value)}".rstrip()
                  for name, value in pairs]  # fmt: skip
    return ["Node Attributes:", *lines] if lines else []


def _connectivity(view: ClusterView, node: NodeFacts, name: str, value: str) -> str:
    most = expected(view, node.name, name)
    if most is None or not value.lstrip("-").isdigit():
        return ""
    if int(value) <= 0:
        return "\t: Connectivity is lost"
    return f"\t: Connectivity is degraded (Expected={most})" if int(value) < most else ""


def _tickets(view: ClusterView) -> list[str]:
    lines = []
    for name, state in tickets(view).items():
        word = "granted" if state.get("granted") == "true" else "revoked"
        word += " [standby]" if state.get("standby") == "true" else ""
        if state.get("last-granted", "").isdigit():
            word += f" last-granted='{moment(int(state['last-granted']))}'"
        lines.append(f"  * {name}:\t{word}")
    return ["Tickets:", *lines] if lines else []


def tickets(view: ClusterView) -> dict[str, dict[str, str]]:
    """Collect the tickets there are, with what is known of each; constraints name some too."""
    found: dict[str, dict[str, str]] = {}
    for state in view.root.iterfind("status/tickets/ticket_state"):
        found[state.get("id", "")] = {str(k): str(v) for k, v in state.attrib.items()}
    for constraint in view.root.iterfind("configuration/constraints/rsc_ticket"):
        found.setdefault(constraint.get("ticket", ""), {})
    return found


def banned(view: ClusterView, scope: Scope) -> Iterator[tuple[str, str, NodeFacts, int, bool]]:
    """Yield constraint, resource, node, score, and whether only the promoted role is meant.

    The last constraint comes first, as ever.
    """
    for each in reversed(view.facts.links.preferences):
        if scope.resources is not None and each.resource not in scope.resources:
            continue
        for name, points in each.scores:
            node = view.node(name)
            if points < score.ZERO and node is not None:
                yield each.constraint, each.resource, node, points, each.role is Role.PROMOTED


def _bans(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    lines = [
        f"  * {constraint}\tprevents {resource} from"
        f" {'becoming promoted' if promoted else 'running'} on"
        f" {history.node_name(view, node, wishes)}"
        for constraint, resource, node, _points, promoted in banned(view, scope)
    ]
    return ["Negative Location Constraints:", *lines] if lines else []


def _leftovers(view: ClusterView, scope: Scope) -> list[str]:
    """Remind of what `crm resource move` and `ban` left: it holds until it is cleared."""
    left = {
        each.id: each.resources[0]
        for each in view.cluster.constraints
        if isinstance(each, Location)
        and each.id.startswith(LEFT_BY_COMMANDS)
        and each.resources
        and (scope.resources is None or each.resources[0] in scope.resources)
    }
    if not left:
        return []
    resources = " ".join(dict.fromkeys(left.values()))
    return [f"Left by move or ban: {', '.join(left)} (to end it: crm resource clear {resources})"]


# --- as data ------------------------------------------------------------------------------------


def as_json(view: ClusterView) -> dict[str, object]:
    """Say the same as plain values."""
    return {
        **({"partial": True} if view.is_partial else {}),
        "dc": view.dc.name if view.dc is not None else None,
        "quorum": view.cluster.has_quorum
        if view.attribute("have-quorum") or not view.is_partial
        else None,
        "maintenance": view.facts.settings.maintenance,
        "version": ".".join(
            view.attribute(name) or "0" for name in ("admin_epoch", "epoch", "num_updates")
        ),
        "nodes": [
            {
                "name": node.name,
                "id": node.id,
                "state": view.state(node),
                "attributes": {k: v for k, v in node.attributes.items() if not k.startswith("#")},
            }
            for node in view.nodes
        ],
        "resources": [_resource_json(view, each) for each in view.cluster.resources],
        "failures": [
            {
                "resource": each.history,
                "node": each.node.name,
                "operation": each.task,
                "interval_ms": each.interval_ms,
                "rc": each.rc,
                "reason": each.reason,
            }
            for each in history.failed(view, Scope())
        ],
    }


def _resource_json(view: ClusterView, resource: Resource) -> dict[str, object]:
    if isinstance(resource, Primitive):
        found = view.instances(resource.id)
        activity = view.facts.activity
        wanted = found[0].meta.pairs.get("target-role", "Started") if found else "Started"
        return {
            "id": resource.id,
            "kind": "primitive",
            "agent": str(resource.agent),
            "target_role": wanted,
            "active": [
                {"node": node, "role": view.role(each), "failed": activity[each.id].failed}
                for each in found
                for node in activity[each.id].nodes
            ],
        }
    inside: tuple[Resource, ...] = ()
    match resource:
        case Group():
            inside = resource.members
        case Clone() | Bundle():
            inside = () if resource.child is None else (resource.child,)
    kind = type(resource).__name__.lower()
    members = [_resource_json(view, each) for each in inside]
    return {"id": resource.id, "kind": kind, "members": members}


def one_line(view: ClusterView) -> tuple[int, str]:
    """Write the line of `crm_mon -s` and its exit code, as a monitoring plug-in does."""
    if view.is_partial:
        return 3, "CLUSTER UNKNOWN: access lists hide a part of the cluster"
    problems = ["No DC"] if view.dc is None else []
    away = [node for node in view.nodes if not node.online]
    if away:
        problems.append(" ".join(f"offline node: {node.name}" for node in away))
    if problems:
        return 1, f"CLUSTER WARN: {', '.join(problems)}"
    idle = sum(node.standby for node in view.nodes)
    up = len(view.nodes) - idle
    told = [f"{up} node{'' if up == 1 else 's'} online"]
    told += [f"{idle} standby node{'' if idle == 1 else 's'}"] if idle else []
    total = counts(view)[0]
    told.append(f"{total} resource instance{'' if total == 1 else 's'} configured")
    return 0, f"CLUSTER OK: {', '.join(told)}"
