"""A status as XML: nodes and resources, in the published shape of `pacemaker-result`.

Source: tools.md, "crm_simulate"; recorded runs of the classic tool.
"""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from cli.view import node_lines
from cli.view.extras import counted, moment, shown_attributes
from cli.view.resource_lines import PENDING, Scope, is_fully_up, is_managed, shown_items
from crm.model.cluster import Cluster
from crm.model.roles import Role
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Meta,
    Placeable,
    instances_of,
)
from pengine.facts.nodes import NodeFacts

_OLDEST = "<3.15.1"
"""The feature set of nodes that do not tell theirs."""


def status(
    tag: str, cluster: Cluster, facts: Facts, *, attributes: bool = False, failures: bool = False
) -> etree._Element:
    """Write nodes and resources as an element of that name."""
    root = etree.Element(tag)
    nodes = etree.SubElement(root, "nodes")
    expected = {state.id: state.expected for state in cluster.status}
    for each in facts.nodes:
        nodes.append(node(facts, each, expected))
    root.append(resources(facts))
    if attributes:
        root.append(_attributes(facts))
    if failures:
        root.append(_failures(facts))
    return root


def resources(
    facts: Facts,
    *,
    classic: bool = False,
    scope: Scope = Scope(),  # noqa: B008 - it is frozen
    idle_only: bool = False,
) -> etree._Element:
    """Write the resources that are wanted; `classic` as for `resource_lines.is_managed`.

    With `idle_only` those are left out of which every part is active.
    """
    root = etree.Element("resources")
    for each in shown_items(facts):
        if idle_only and is_fully_up(facts, each):
            continue
        element = item(facts, each, classic=classic)
        if _narrow(facts, element, each, scope, wanted=scope.names(each)):
            root.append(element)
    return root


def _narrow(
    facts: Facts, element: etree._Element, shown: Placeable, scope: Scope, *, wanted: bool
) -> bool:
    """Take out of an element what is not wanted; tells whether anything is left."""
    if not scope.sees(facts, shown):
        return False
    if isinstance(shown, Instance):
        return wanted or scope.names(shown)
    if isinstance(shown, BundleInstance):
        for holder, replica in zip(list(element), shown.replicas, strict=True):
            parts = (replica.address, replica.copy, replica.container, replica.connection)
            for part, of in zip(list(holder), [p for p in parts if p is not None], strict=True):
                if not (wanted or scope.names(of)):
                    holder.remove(part)
            if not len(holder) or not scope.sees(facts, replica.container):
                element.remove(holder)
        return len(element) > 0
    parts_of = shown.members if isinstance(shown, GroupInstance) else _copies_there(facts, shown)
    for part, each in zip(list(element), parts_of, strict=True):
        if not _narrow(facts, part, each, scope, wanted=wanted or scope.names(each)):
            element.remove(part)
    return len(element) > 0


def _copies_there(facts: Facts, clone: CloneInstance) -> list[Instance | GroupInstance]:
    return [copy for copy in clone.copies if _is_there(facts, copy)]


def _yes(value: bool) -> str:
    return "true" if value else "false"


def node(
    facts: Facts, node: NodeFacts, expected: Mapping[str, str], *, classic: bool = False
) -> etree._Element:
    """Write a node; `expected` is what the status expects of it, by its id."""
    running = sum(node.name in state.nodes for state in facts.activity.values())
    element = etree.Element("node", name=node.name, id=node.id)
    words = {
        "online": node.online,
        "standby": node.standby,
        "standby_onfail": node.standby_by_failure,
        "maintenance": node_lines.in_maintenance(facts, node, classic=classic)
        if classic
        else node.maintenance and not facts.settings.maintenance,
        "pending": node.pending,
        "unclean": node.unclean,
    }
    for name, value in words.items():
        element.set(name, _yes(value))
    element.set("health", facts.health.colours.get(node.name, "green").lower())
    feature_set = node.attributes.get("#feature-set", "" if node.is_remote else _OLDEST)
    if node.online and feature_set:
        element.set("feature_set", feature_set)
    element.set("shutdown", _yes(node.shutting_down))
    element.set("expected_up", _yes(expected.get(node.id) == "member" and not node.is_remote))
    element.set("is_dc", _yes(node.is_dc))
    element.set("resources_running", str(running))
    element.set("type", "remote" if node.is_remote else "member")
    if node.container:
        element.set("id_as_resource", node.container)
    return element


def item(facts: Facts, shown: Placeable, *, classic: bool = False) -> etree._Element:
    """Write a resource with all that is in it."""
    match shown:
        case Instance():
            return _resource(facts, shown, classic=classic)
        case GroupInstance():
            count = str(len(shown.members))
            element = etree.Element("group", id=shown.id, number_resources=count)
            _set_common(element, shown.meta, facts, classic=classic)
            element.extend(_resource(facts, each, classic=classic) for each in shown.members)
            return element
        case CloneInstance():
            return _clone(facts, shown, classic=classic)
        case BundleInstance():
            return _bundle(facts, shown, classic=classic)


def _set_common(
    element: etree._Element,
    meta: Meta,
    facts: Facts,
    *,
    is_promotable: bool = False,
    classic: bool,
) -> None:
    limited = is_promotable and meta.target_role is Role.UNPROMOTED
    element.set("managed", _yes(meta.is_managed and not meta.maintenance))
    element.set("disabled", _yes(meta.must_stop or limited))
    if meta.maintenance or facts.settings.maintenance:
        if not classic:
            element.set("maintenance", "true")
        element.set("managed", "false")


def _clone(facts: Facts, clone: CloneInstance, *, classic: bool) -> etree._Element:
    element = etree.Element("clone", id=clone.id)
    element.set("multi_state", _yes(clone.promotable))
    element.set("unique", _yes(clone.is_unique))
    _set_common(element, clone.meta, facts, is_promotable=clone.promotable, classic=classic)
    states = [facts.activity[i.id] for i in instances_of(clone)]
    element.set("failed", _yes(any(state.failed for state in states)))
    element.set("failure_ignored", _yes(any(state.ignored for state in states)))
    wanted = clone.meta.pairs.get("target-role")
    if wanted:
        element.set("target_role", wanted)
    there = _copies_there(facts, clone)
    element.extend(item(facts, copy, classic=classic) for copy in there)
    return element


def _is_there(facts: Facts, copy: Instance | GroupInstance) -> bool:
    """Tell whether a copy is configured, or is too many and still active."""
    found = list(instances_of(copy))
    return any(facts.activity[i.id].nodes or not i.is_removed for i in found)


def _bundle(facts: Facts, bundle: BundleInstance, *, classic: bool) -> etree._Element:
    element = etree.Element(
        "bundle", id=bundle.id, type=bundle.copies[0].resource.agent.type, image=bundle.image
    )
    element.set("unique", _yes(bundle.node_max > 1))
    _set_common(element, bundle.meta, facts, classic=classic)
    del element.attrib["disabled"]
    states = [facts.activity[i.id] for i in instances_of(bundle)]
    element.set("failed", _yes(any(state.failed for state in states)))
    for number, replica in enumerate(bundle.replicas):
        holder = etree.SubElement(element, "replica", id=str(number))
        parts = (replica.address, replica.copy, replica.container, replica.connection)
        holder.extend(_resource(facts, part, classic=classic) for part in parts if part is not None)
    return element


def _resource(facts: Facts, instance: Instance, *, classic: bool) -> etree._Element:
    state = facts.activity[instance.id]
    is_plain = instance.is_removed or not instance.is_unique
    element = etree.Element("resource", id=instance.history_id if is_plain else instance.id)
    element.set("resource_agent", str(instance.resource.agent))
    role = state.role if state.nodes or state.role > Role.STOPPED else Role.STOPPED
    if role is Role.STARTED and instance.is_promotable:
        role = Role.UNPROMOTED
    word = (role if role is not Role.UNKNOWN else Role.STOPPED).word
    is_told = classic and state.pending in PENDING
    element.set("role", PENDING[state.pending] if is_told else word)
    wanted = instance.meta.pairs.get("target-role")
    if wanted:
        element.set("target_role", wanted)
    words = {
        "active": bool(state.nodes),
        "orphaned": instance.is_removed,
        "blocked": state.blocked,
        "managed": is_managed(facts, instance, classic=classic),
        "failed": state.failed,
        "failure_ignored": state.ignored,
    }
    for name, value in words.items():
        element.set(name, _yes(value))
    element.set("nodes_running_on", str(len(state.nodes)))
    if state.pending and not is_told:
        element.set("pending", state.pending.capitalize())
    for name in state.nodes:
        node = facts.node(name)
        etree.SubElement(element, "node", name=name, id=node.id, cached=_yes(node.online))
    return element


def _attributes(facts: Facts) -> etree._Element:
    root = etree.Element("node_attributes")
    for node in facts.nodes:
        pairs = shown_attributes(node) if node.online else []
        if pairs:
            element = etree.SubElement(root, "node", name=node.name)
            for name, value in pairs:
                etree.SubElement(element, "attribute", name=name, value=value)
    return root


def _failures(facts: Facts) -> etree._Element:
    root = etree.Element("node_history")
    by_id = {instance.id: instance for instance in facts.instances()}
    for name, found in counted(facts).items():
        node = etree.SubElement(root, "node", name=name)
        for count in found:
            instance = by_id[count.instance]
            element = etree.SubElement(node, "resource_history", id=instance.history_id)
            element.set("orphan", _yes(instance.is_removed))
            element.set("migration-threshold", str(int(instance.meta.threshold)))
            element.set("fail-count", str(int(count.total)))
            if count.last_failure_s:
                element.set("last-failure", moment(count.last_failure_s))
    return root
