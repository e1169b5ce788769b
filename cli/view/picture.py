"""The text of `crm_simulate`: nodes and resources as they are.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Meta,
    Placeable,
    Replica,
    instances_of,
)
from pengine.facts.nodes import NodeFacts, display_key
from pengine.facts.values import truth


def headline(facts: Facts) -> str:
    """Say how many instances are disabled or blocked, or "" when none is."""
    # Of what is no longer configured only what runs still counts.
    instances = [i for i in facts.instances() if not i.is_removed or facts.activity[i.id].nodes]
    disabled = sum(1 for i in instances if _is_disabled(i.meta, i.is_promotable))
    blocked = sum(1 for i in instances if facts.activity[i.id].blocked)
    if not disabled and not blocked:
        return ""
    return (
        f"{disabled} of {len(instances)} resource instances DISABLED and {blocked} BLOCKED"
        " from further action due to failure"
    )


def notice(facts: Facts) -> str:
    """Say that the cluster leaves everything alone, or "" if it does not."""
    if facts.settings.maintenance:
        return (
            "\n              *** Resource management is DISABLED ***\n"
            "  The cluster will not attempt to start, stop or recover services"
        )
    return ""


def _is_disabled(meta: Meta, is_promotable: bool) -> bool:
    """Tell whether the wish for a role keeps something below what it could be."""
    return meta.must_stop or (is_promotable and meta.target_role is Role.UNPROMOTED)


def status(facts: Facts) -> Iterator[str]:
    """Yield the node list and the list of resources."""
    if facts.nodes:
        yield "  * Node List:"
        yield from (f"    * {line}" for line in _node_lines(facts))
        yield ""
    yield "  * Full List of Resources:"
    shown: list[Placeable] = [
        item
        for item in facts.items
        if not (isinstance(item, Instance) and facts.is_invented(item.id))
    ]
    shown += [instance for instance in facts.removed if facts.activity[instance.id].nodes]
    for item in shown:
        yield from _item_lines(facts, item, 2)
    if not shown:
        yield "    * No resources"


def settled(facts: Facts) -> Facts:
    """Leave out what is under way: after a simulation nothing is, whatever histories say."""
    activity = {key: replace(state, pending="") for key, state in facts.activity.items()}
    return replace(facts, activity=activity)


def _node_lines(facts: Facts) -> Iterator[str]:
    online: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    offline: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    busy = {n for state in facts.activity.values() for n in state.nodes}
    for node in facts.nodes:
        special = _special_state(node, node.name in busy, facts)
        if special:
            yield f"{_PREFIX[_kind(node)]}Node {node.name}: {special}"
        elif node.online:
            online[_kind(node)].append(node.name)
        else:
            offline[_kind(node)].append(node.name)
    # A guest that is down is no more than a container that is stopped.
    listed = (
        ("Online", online["member"]),
        ("OFFLINE", offline["member"]),
        ("RemoteOnline", online["remote"]),
        ("RemoteOFFLINE", offline["remote"]),
        ("GuestOnline", online["guest"]),
    )
    yield from (f"{word}: [ {' '.join(names)} ]" for word, names in listed if names)


_PREFIX = {"member": "", "remote": "Remote", "guest": "Guest"}


def _kind(node: NodeFacts) -> str:
    return node.kind if node.is_remote else "member"


def _special_state(node: NodeFacts, busy: bool, facts: Facts) -> str:
    """Say what is special about a node, or "" if it is only online or offline."""
    colour = facts.health.colours.get(node.name)
    state = _state_of(node, busy, facts)
    if colour is not None:
        return f"{state or ('online' if node.online else 'OFFLINE')} (health is {colour})"
    return state


def _state_of(node: NodeFacts, busy: bool, facts: Facts) -> str:
    if node.unclean:
        word = "online" if node.online else "pending" if node.pending else "offline"
        return f"UNCLEAN ({word})"
    if node.pending:
        return "pending"
    if node.standby_by_failure and node.online:
        return "standby (on-fail)"
    if node.standby and node.online:
        return "standby (with active resources)" if busy else "standby"
    if node.standby:
        return "OFFLINE (standby)"
    own = truth(node.attributes.get("maintenance"), default=False)
    if node.maintenance and (own or not facts.settings.maintenance):
        return "maintenance" if node.online else "OFFLINE (maintenance)"
    return ""


def _item_lines(facts: Facts, item: Placeable, depth: int) -> Iterator[str]:
    indent = "  " * depth
    match item:
        case Instance():
            yield f"{indent}* {_instance_text(facts, item)}"
        case GroupInstance():
            flags = _flags_text(_collective_flags(facts, item))
            yield f"{indent}* Resource Group: {item.id}{flags}:"
            for member in item.members:
                yield f"{indent}  * {_instance_text(facts, member)}"
        case CloneInstance():
            yield from _clone_lines(facts, item, depth)
        case BundleInstance():
            word = "Container bundle set" if len(item.replicas) > 1 else "Container bundle"
            flags = _flags_text(_collective_flags(facts, item))
            yield f"{indent}* {word}: {item.id} [{item.image}]{flags}:"
            for replica in item.replicas:
                yield f"{indent}  * {_replica_text(facts, replica)}"


def _is_kept_by_no_device(facts: Facts, instance: Instance) -> bool:
    """Tell whether only the lack of a fence device keeps a removed resource from being stopped.

    It comes up when that is checked already, so nothing is said (case remote-orphaned2).
    """
    stops = facts.settings.stop_removed_resources
    return instance.is_removed and stops and not facts.may_start_anything


def _replica_text(facts: Facts, replica: Replica) -> str:
    """Write what runs in a container, where the container is."""
    shown = replica.copy or replica.container
    name = replica.node or replica.container.id
    if replica.external_address:
        name = f"{name} ({replica.external_address})"
    nodes = facts.activity[replica.container.id].nodes
    return _instance_text(facts, shown, name, nodes)


def _collective_flags(
    facts: Facts, item: GroupInstance | CloneInstance | BundleInstance
) -> list[str]:
    flags = []
    if isinstance(item, CloneInstance):
        flags += ["promotable"] if item.promotable else []
        flags += ["unique"] if item.is_unique else []
    if isinstance(item, BundleInstance) and item.node_max > 1:
        flags.append("unique")
    may_lead = item.promotable if isinstance(item, CloneInstance) else _is_copy_that_may_lead(item)
    flags += ["disabled"] if _is_disabled(item.meta, may_lead) else []
    if item.meta.maintenance or facts.settings.maintenance:
        flags.append("maintenance")
    elif not item.meta.is_managed or not facts.may_start_anything:
        flags.append("unmanaged")
    return flags


def _is_copy_that_may_lead(item: GroupInstance | BundleInstance) -> bool:
    """Tell whether something is a group in a clone that can be promoted."""
    return isinstance(item, GroupInstance) and any(member.is_promotable for member in item.members)


def _flags_text(flags: Iterable[str]) -> str:
    found = ", ".join(flags)
    return f" ({found})" if found else ""


_PENDING = {
    "start": "Starting",
    "stop": "Stopping",
    "promote": "Promoting",
    "demote": "Demoting",
    "migrate_to": "Migrating",
    "migrate_from": "Migrating",
}


def _instance_text(
    facts: Facts, instance: Instance, name: str = "", at: tuple[str, ...] | None = None
) -> str:
    """Write one line about an instance; what a bundle runs bears a name and place of the bundle."""
    state = facts.activity[instance.id]
    nodes = state.nodes if at is None else at
    if not name:
        is_plain = instance.is_removed or not instance.is_unique
        name = instance.history_id if is_plain else instance.id
    word = _state_word(facts, instance)
    if instance.is_removed:
        word = f"ORPHANED {word}"
    flags = _flags_text(_instance_flags(facts, instance, nodes))
    where = f" {nodes[0]}" if len(nodes) == 1 else ""
    if not nodes and state.pending not in ("", "probe"):
        where = f" {state.pending_on}"
    lock = facts.locks.get(instance.id)
    if lock is not None and not lock.has_ended and not state.nodes:
        where, flags = (
            f" {lock.node}",
            _flags_text([*_instance_flags(facts, instance, nodes), "LOCKED"]),
        )
    several = f" [ {' '.join(nodes)} ]" if len(nodes) > 1 else ""
    return f"{name}\t({instance.resource.agent}):\t {word}{where}{flags}{several}"


def _state_word(facts: Facts, instance: Instance) -> str:
    state = facts.activity[instance.id]
    if state.failed:
        return "FAILED Promoted" if state.role is Role.PROMOTED else "FAILED"
    if state.pending in _PENDING:
        return _PENDING[state.pending]
    if not state.nodes:
        unable = _why_unable(facts, instance)
        return f"Stopped ({unable})" if unable else "Stopped"
    return "Started" if state.role is Role.UNKNOWN else state.role.word


_UNABLE = {ExitCode.NOT_INSTALLED: "Not installed", ExitCode.INVALID_PARAMETER: "Invalid parameter"}


def _why_unable(facts: Facts, instance: Instance, node: str = "") -> str:
    """Say what a probe said that found its agent unable to run somewhere, or ""."""
    state = facts.activity[instance.id]
    for failure in state.failures:
        is_probe = failure.entry.operation == "monitor" and failure.entry.interval_ms == 0
        if not is_probe or node not in ("", failure.node):
            continue
        on_node = state.at(failure.node)
        if instance.number is not None and on_node is not None:
            # Of what is in a clone only a plain copy is told of, under its plain name.
            is_plain = instance.parent == instance.top and on_node.name == instance.resource.id
            if not is_plain:
                continue
        if failure.entry.status == OperationStatus.NOT_INSTALLED:
            return _UNABLE[ExitCode.NOT_INSTALLED]
        for code, text in _UNABLE.items():
            if failure.entry.exit_code == code:
                return text
    return ""


def _instance_flags(facts: Facts, instance: Instance, nodes: tuple[str, ...]) -> list[str]:
    state = facts.activity[instance.id]
    flags = []
    if len(nodes) == 1 and _is_silent(facts.node(nodes[0])):
        flags.append("UNCLEAN")
    if state.pending == "monitor":
        flags.append("Monitoring")
    if instance.meta.must_stop:
        flags.append("disabled")
    elif instance.is_promotable and instance.meta.target_role is Role.UNPROMOTED:
        flags.append(f"target-role:{instance.meta.pairs.get('target-role', 'Unpromoted')}")
    if state.blocked:
        flags.append("blocked")
    elif instance.meta.maintenance or _is_in_maintenance(facts, instance):
        flags.append("maintenance")
    elif not facts.is_looked_after(instance) and not _is_kept_by_no_device(facts, instance):
        flags.append("unmanaged")
    if state.ignored:
        flags.append("failure ignored")
    return flags


def _is_silent(node: NodeFacts) -> bool:
    return node.unclean and not node.online


def _is_in_maintenance(facts: Facts, instance: Instance) -> bool:
    if facts.settings.maintenance:
        return True
    return any(facts.node(name).maintenance for name in facts.activity[instance.id].nodes)


# --- clones ---------------------------------------------------------------------------------


def _clone_lines(facts: Facts, clone: CloneInstance, depth: int) -> Iterator[str]:
    indent = "  " * depth
    flags = _flags_text(_collective_flags(facts, clone))
    yield f"{indent}* Clone Set: {clone.id} [{clone.child_id}]{flags}:"
    lists: dict[str, list[str]] = {"Promoted": [], "Unpromoted": [], "Started": []}
    for copy in clone.copies:
        if clone.is_unique and (not copy.is_removed or _is_active(facts, copy)):
            yield from _item_lines(facts, copy, depth + 1)
        elif clone.is_unique:
            continue
        elif _has_own_lines(facts, copy):
            yield from _item_lines(facts, copy, depth + 1)
        elif _is_active(facts, copy):
            lists[_listed_as(facts, clone, copy)].append(_places(facts, copy)[0])
    if clone.is_unique:
        return
    limit = " (target-role)" if _wanted_role(clone) is Role.UNPROMOTED else ""
    for word, names in lists.items():
        if names:
            note = limit if word == "Unpromoted" else ""
            yield f"{indent}  * {word}{note}: [ {' '.join(sorted(names, key=display_key))} ]"
    if clone.clone_max > sum(map(len, lists.values())):
        yield from (f"{indent}  * {line}" for line in _stopped_lines(facts, clone))


def _wanted_role(clone: CloneInstance) -> Role | None:
    """Say which role the administrator wants for a clone, or else for what is in it."""
    if clone.meta.target_role is not None or not clone.copies:
        return clone.meta.target_role
    return clone.copies[0].meta.target_role


def _has_own_lines(facts: Facts, copy: Instance | GroupInstance) -> bool:
    """Tell whether there is more to say of an anonymous copy than a list of nodes can."""
    parts = tuple(instances_of(copy))
    states = [facts.activity[i.id] for i in parts]
    if isinstance(copy, Instance) and states[0].pending not in ("", "probe"):
        return True
    if not _is_active(facts, copy):
        return False
    if copy.is_removed or any(state.failed for state in states):
        return True
    if not all(facts.is_looked_after(i) for i in parts):
        return True
    if not all(_is_active(facts, i) for i in parts):
        return True
    places = _places(facts, copy)
    return len(places) != 1 or _is_silent(facts.node(places[0]))


def _is_active(facts: Facts, copy: Instance | GroupInstance) -> bool:
    """Tell whether anything of a copy is active; on a node that is down for good nothing is."""
    return any(
        facts.node(name).online or facts.node(name).unclean or not facts.is_looked_after(i)
        for i in instances_of(copy)
        for name in facts.activity[i.id].nodes
    )


def _places(facts: Facts, copy: Instance | GroupInstance) -> list[str]:
    names = (name for i in instances_of(copy) for name in facts.activity[i.id].nodes)
    return list(dict.fromkeys(names))


def _listed_as(facts: Facts, clone: CloneInstance, copy: Instance | GroupInstance) -> str:
    if not clone.promotable:
        return "Started"
    is_promoted = any(facts.activity[i.id].role is Role.PROMOTED for i in instances_of(copy))
    return "Promoted" if is_promoted else "Unpromoted"


def _stopped_lines(facts: Facts, clone: CloneInstance) -> Iterator[str]:
    """Yield the nodes on which nothing of an anonymous clone is active, by the reason for it."""
    busy = {name for i in instances_of(clone) for name in facts.activity[i.id].nodes}
    disabled = "disabled" if _wanted_role(clone) is Role.STOPPED else ""
    by_flag: dict[str, list[str]] = {}
    for node in facts.nodes:
        known = clone.id in facts.reserved.get(node.name, (clone.id,))
        if node.name in busy or node.is_unlisted or not known:
            continue
        reasons = (_why_unable(facts, i, node.name) for i in instances_of(clone))
        flag = next((r for r in reasons if r), disabled)
        by_flag.setdefault(f" ({flag})" if flag else "", []).append(node.name)
    for flag, found in sorted(by_flag.items()):
        yield f"Stopped{flag}: [ {' '.join(found)} ]"
