"""The CIB a simulation leaves: the document it began with, and the status it ended with.

What did not change stays as it was written; entries that came up bear the marks of a simulation.

Source: recorded runs of the classic tool.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from lxml import etree

from crm.model import names
from crm.model.cluster import Cluster
from crm.model.resources import AttributeSet
from crm.model.status import HistoryEntry, NodeState, ResourceHistory
from crm.model.writexml import status as write

_ORIGIN = {"crm-debug-origin": "crm_simulate", "crm_feature_set": "3.16.1"}


def after(
    document: etree._Element, before: Cluster, end: Cluster, *, updates: int, watchdog: str = ""
) -> etree._Element:
    """Write the cluster a simulation ended with over a copy of the document it began with.

    `updates` is how many changes of the status there were: they move the version of the CIB.
    """
    root = copy.deepcopy(document)
    has_new_version = bool(watchdog)
    if watchdog:
        _set_option(_section(root, "configuration", "crm_config"), "have-watchdog", watchdog)
    known = {node.id for node in before.nodes}
    for node in end.nodes:
        if node.id not in known:
            nodes = _section(root, "configuration", "nodes")
            etree.SubElement(nodes, "node", id=node.id, uname=node.name)
            has_new_version = True
    if end.has_quorum != before.has_quorum:
        root.set("have-quorum", "1" if end.has_quorum else "0")
    status = _section(root, "status")
    old = {state.id: state for state in before.status}
    for state in end.status:
        if state != old.get(state.id):
            _write_state(status, state, old.get(state.id))
    if end.tickets != before.tickets:
        _write_tickets(status, before, end)
    _move_version(root, updates, has_new_version=has_new_version)
    return root


def _move_version(root: etree._Element, updates: int, *, has_new_version: bool) -> None:
    if has_new_version:
        root.set("epoch", str(_number(root.get("epoch")) + 1))
        root.set("num_updates", str(updates))
    else:
        root.set("num_updates", str(_number(root.get("num_updates")) + updates))


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def _section(root: etree._Element, *path: str) -> etree._Element:
    """Find an element, or make it and all above it."""
    here = root
    for tag in path:
        found = here.find(tag)
        here = etree.SubElement(here, tag) if found is None else found
    return here


def _set_option(section: etree._Element, name: str, value: str) -> None:
    sets = _section(section, "cluster_property_set")
    if not sets.get("id"):
        sets.set("id", "cib-bootstrap-options")
    pair = next((p for p in sets.iter("nvpair") if p.get("name") == name), None)
    if pair is None:
        pair = etree.SubElement(sets, "nvpair", id=f"{sets.get('id')}-{name}", name=name)
    pair.set("value", value)


def _write_state(status: etree._Element, state: NodeState, old: NodeState | None) -> None:
    element = next((e for e in status.iter("node_state") if e.get("id") == state.id), None)
    if element is None:
        element = etree.SubElement(status, "node_state", id=state.id, uname=state.name)
    judged = (state.in_membership, state.process_online, state.join, state.expected)
    if old is None or judged != (old.in_membership, old.process_online, old.join, old.expected):
        element.set("in_ccm", write.truth(state.in_membership))
        element.set("crmd", "online" if state.process_online else "offline")
        element.set("join", state.join)
        element.set("expected", state.expected)
        element.set("crm-debug-origin", _ORIGIN["crm-debug-origin"])
    if not state.history:
        _drop(element, "lrm")
    for history in state.history:
        known = {each.id: each for each in old.history} if old is not None else {}
        if history != known.get(history.id):
            _write_history(element, state, history, known.get(history.id))
    if not state.attributes:
        _drop(element, "transient_attributes")
    elif old is None or state.attributes != old.attributes:
        _write_attributes(element, state)


def _drop(element: etree._Element, tag: str) -> None:
    for found in element.findall(tag):
        element.remove(found)


def _write_history(
    element: etree._Element, state: NodeState, history: ResourceHistory, old: ResourceHistory | None
) -> None:
    lrm = _section(element, "lrm")
    if not lrm.get("id"):
        lrm.set("id", state.id)
    resources = _section(lrm, "lrm_resources")
    holder = next((e for e in resources if e.get("id") == history.id), None)
    if holder is None:
        holder = write.resource_history(
            history.id, history.standard, history.provider, history.type
        )
        resources.append(holder)
    known = set(old.entries) if old is not None else set()
    for entry in history.entries:
        if entry in known:
            continue
        made = etree.Element("lrm_rsc_op", _entry_attributes(history.id, entry))
        place = next((e for e in holder if e.get("id") == entry.id), None)
        if place is None:
            holder.append(made)
        else:
            holder.replace(place, made)


def _entry_attributes(resource: str, entry: HistoryEntry) -> dict[str, str]:
    key = names.operation_key(resource, entry.operation, entry.interval_ms)
    if entry.operation == "notify":
        key = entry.id
    attributes = {
        "id": entry.id,
        "operation_key": key,
        "operation": entry.operation,
        **_ORIGIN,
        "transition-key": entry.transition_key,
        "transition-magic": entry.transition_magic,
        "exit-reason": entry.exit_reason,
        "call-id": str(entry.call_id),
        "rc-code": str(entry.exit_code),
        "op-status": str(int(entry.status)),
        "interval": str(entry.interval_ms),
        "last-rc-change": str(entry.last_change_s),
        "exec-time": "0",
        "queue-time": "0",
        "op-digest": entry.digest,
    }
    for name in ("migrate_source", "migrate_target"):
        value = getattr(entry, name)
        if value:
            attributes[name] = value
    return attributes


def _write_attributes(element: etree._Element, state: NodeState) -> None:
    holder = _section(element, "transient_attributes")
    holder.set("id", state.id)
    for item in state.attributes:
        sets = next((e for e in holder if e.get("id") == item.id), None)
        if sets is None:
            sets = etree.SubElement(holder, "instance_attributes", id=item.id)
        _write_pairs(sets, item)


def _write_pairs(sets: etree._Element, item: AttributeSet) -> None:
    present = {pair.get("name"): pair for pair in sets.iter("nvpair")}
    for name, value in item.values:
        pair = present.pop(name, None)
        if pair is None:
            identity = write.attribute_id(item.id, name)
            pair = etree.SubElement(sets, "nvpair", id=identity, name=name)
        pair.set("value", value)
    _remove(present.values())


def _remove(elements: Iterable[etree._Element]) -> None:
    for element in elements:
        holder = element.getparent()
        if holder is not None:
            holder.remove(element)


def _write_tickets(status: etree._Element, before: Cluster, end: Cluster) -> None:
    tickets = _section(status, "tickets")
    for ticket in end.tickets:
        if ticket in before.tickets:
            continue
        element = next((e for e in tickets if e.get("id") == ticket.id), None)
        if element is None:
            element = etree.SubElement(tickets, "ticket_state", id=ticket.id)
        element.set("granted", write.truth(ticket.granted))
        if ticket.standby or element.get("standby"):
            element.set("standby", write.truth(ticket.standby))
