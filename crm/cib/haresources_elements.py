"""Writes the elements a converted haresources file consists of, in the Heartbeat-2 dialect.

Ids are those the converter of Heartbeat 2.1.3 gave, the misspelt `prefered_location_` among them.

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lxml import etree

from crm.cib.haresources_fields import Pair
from crm.model.heartbeat_agents import QUICK_AGENTS

OPTIONS: Mapping[str, str] = {
    "symmetric-cluster": "true",
    "no-quorum-policy": "stop",
    "default-resource-stickiness": "0",
    "default-resource-failure-stickiness": "0",
    "stonith-enabled": "false",
    "stonith-action": "reboot",
    "startup-fencing": "true",
    "stop-orphan-resources": "true",
    "stop-orphan-actions": "true",
    "remove-after-stop": "false",
    "short-resource-names": "true",
    "transition-idle-timeout": "5min",
    "default-action-timeout": "20s",
    "is-managed-default": "true",
    "cluster-delay": "60s",
    "pe-error-series-max": "-1",
    "pe-warn-series-max": "-1",
    "pe-input-series-max": "-1",
}
"""Options of the cluster as release 2.1.3 wrote them, in its order."""


def primitive(
    identity: str,
    *,
    agent_class: str,
    kind: str,
    pairs: Sequence[Pair],
    operations: Sequence[etree._Element] = (),
) -> etree._Element:
    """Write a primitive; a provider was always written, whatever the class."""
    attributes = {"id": identity, "type": kind, "class": agent_class, "provider": "heartbeat"}
    element = etree.Element("primitive", attributes)
    if operations:
        etree.SubElement(element, "operations").extend(operations)
    _append_pairs(element, identity, pairs)
    return element


def clone(identity: str, n_nodes: int) -> etree._Element:
    """Write an empty clone with an instance on every node; none known means on all there are."""
    element = etree.Element("clone", id=identity)
    n_instances = ((1, "clone_max", str(n_nodes)),) if n_nodes else ()
    _append_pairs(element, identity, (*n_instances, (2, "clone_node_max", "1")))
    return element


def monitor(identity: str, kind: str) -> etree._Element:
    """Write the operation that watches a resource."""
    interval, timeout = ("5s", "5s") if kind in QUICK_AGENTS else ("120s", "60s")
    attributes = {"id": f"{identity}_mon", "name": "monitor"}
    return etree.Element("op", {**attributes, "interval": interval, "timeout": timeout})


def device_operations(identity: str) -> tuple[etree._Element, ...]:
    """Write the operations of a fencing device."""
    watch = {"id": f"{identity}_mon", "name": "monitor", "interval": "5s"}
    start = {"id": f"{identity}_start", "name": "start"}
    rest = {"timeout": "20s", "prereq": "nothing"}
    return (etree.Element("op", {**watch, **rest}), etree.Element("op", {**start, **rest}))


def location(resource: str, node: str) -> etree._Element:
    """Prefer a node for a resource."""
    element = etree.Element("rsc_location", id=f"rsc_location_{resource}", rsc=resource)
    rule = etree.SubElement(element, "rule", id=f"prefered_location_{resource}", score="100")
    etree.SubElement(
        rule,
        "expression",
        id=f"prefered_location_{resource}_expr",
        attribute="#uname",
        operation="eq",
        value=node,
    )
    return element


def document(
    options: Mapping[str, str],
    resources: Sequence[etree._Element],
    constraints: Sequence[etree._Element],
) -> etree._Element:
    """Put a CIB together; the cluster fills in its nodes."""
    root = etree.Element("cib", admin_epoch="0", epoch="0", num_updates="0")
    configuration = etree.SubElement(root, "configuration")
    crm_config = etree.SubElement(configuration, "crm_config")
    options_set = etree.SubElement(crm_config, "cluster_property_set", id="cib-bootstrap-options")
    wrapper = etree.SubElement(options_set, "attributes")
    for name, value in options.items():
        _append_pair(wrapper, f"cib-bootstrap-options-{name}", name, value)
    etree.SubElement(configuration, "nodes")
    etree.SubElement(configuration, "resources").extend(resources)
    etree.SubElement(configuration, "constraints").extend(constraints)
    etree.SubElement(root, "status")
    return root


def _append_pairs(parent: etree._Element, identity: str, pairs: Sequence[Pair]) -> None:
    if not pairs:
        return
    pair_set = etree.SubElement(parent, "instance_attributes", id=f"{identity}_inst_attr")
    wrapper = etree.SubElement(pair_set, "attributes")
    for number, name, value in pairs:
        _append_pair(wrapper, f"{identity}_attr_{number}", name, value)


def _append_pair(parent: etree._Element, identity: str, name: str, value: str) -> None:
    etree.SubElement(parent, "nvpair", {"id": identity, "name": name, "value": value})
