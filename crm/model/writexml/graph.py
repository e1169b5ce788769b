"""Writes a transition graph as the XML that Pacemaker's tools and logs know."""

from __future__ import annotations

import re

from lxml import etree

from crm.model.graph import Action, ActionKind, Graph, GraphResource

_XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
"""A parameter of another name cannot be an attribute, and is written as an element."""


def write(graph: Graph) -> etree._Element:
    """Turn a graph into `<transition_graph>`."""
    root = etree.Element(
        "transition_graph",
        {
            "cluster-delay": graph.cluster_delay or _seconds(graph.cluster_delay_ms),
            "fencing-timeout": graph.fencing_timeout or _seconds(graph.fencing_timeout_ms),
            "failed-stop-offset": "INFINITY" if graph.failed_stop_is_infinity else "1",
            "failed-start-offset": "INFINITY" if graph.failed_start_is_infinity else "1",
            "transition_id": str(graph.transition),
        },
    )
    if graph.batch_limit:
        root.set("batch-limit", str(graph.batch_limit))
    if graph.migration_limit > 0:
        root.set("migration-limit", str(graph.migration_limit))
    if graph.recheck_at is not None:
        root.set("recheck-by", str(int(graph.recheck_at)))
    by_id = {action.id: action for synapse in graph.synapses for action in synapse.actions}
    by_id |= {action.id: action for action in graph.missing}
    for synapse in graph.synapses:
        element = etree.SubElement(root, "synapse", {"id": str(synapse.id)})
        if synapse.priority:
            element.set("priority", str(synapse.priority))
        actions = etree.SubElement(element, "action_set")
        for action in synapse.actions:
            _write_action(actions, action)
        inputs = etree.SubElement(element, "inputs")
        for number in synapse.inputs:
            _write_head(etree.SubElement(inputs, "trigger"), by_id[number])
    return root


def _seconds(value_ms: int) -> str:
    return f"{value_ms // 1000}s"


def _write_head(parent: etree._Element, action: Action) -> etree._Element:
    element = etree.SubElement(
        parent,
        action.kind.value,
        {"id": str(action.id), "operation": action.task, "operation_key": action.key},
    )
    if action.full_key:
        element.set("internal_operation_key", action.full_key)
    if action.node:
        element.set("on_node", action.node)
        element.set("on_node_uuid", action.node_id)
    if action.router:
        element.set("router_node", action.router)
    return element


def _write_action(parent: etree._Element, action: Action) -> None:
    element = _write_head(parent, action)
    if action.task == "lrm_delete":
        element.set("mode", "cib")
    if action.resource is not None and action.kind is not ActionKind.PSEUDO:
        element.append(_resource(action.resource))
    attributes = etree.SubElement(element, "attributes")
    for name in sorted(action.parameters):
        if _XML_NAME.match(name):
            attributes.set(name, action.parameters[name])
    for name in sorted(action.meta):
        attributes.set(f"CRM_meta_{name}", action.meta[name])
    for name in sorted(action.parameters):
        if not _XML_NAME.match(name):
            etree.SubElement(attributes, "param", {"name": name, "value": action.parameters[name]})
    if action.downed:
        downed = etree.SubElement(element, "downed")
        for node in action.downed:
            etree.SubElement(downed, "node", {"id": node})


def _resource(resource: GraphResource) -> etree._Element:
    element = etree.Element("primitive", {"id": resource.id})
    if resource.long_id:
        element.set("long-id", resource.long_id)
    element.set("class", resource.agent_class)
    if resource.provider:
        element.set("provider", resource.provider)
    element.set("type", resource.type)
    return element
