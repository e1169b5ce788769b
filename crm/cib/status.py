"""The typed operations on the status and nodes sections, as edits.

Responsible for where node states, histories and transient attributes stand and how each typed
message of `crm.api.cib` changes them. Not responsible for XML operations (`operations`) nor for
the words inside the elements (`crm.model.writexml.status`).

Source: docs/protocol/cib.md, "Status".
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from crm.api import cib as api
from crm.cib.document import VERSION_ATTRIBUTES
from crm.cib.edits import Edit
from crm.model.names import operation_key
from crm.model.outcomes import OperationStatus
from crm.model.writexml import status as write

_PROTECTED = (*VERSION_ATTRIBUTES, "validate-with", "crm_feature_set")


def record_operations(edit: Edit, records: tuple[api.OperationRecord, ...]) -> None:
    """Enter operations into the history of their nodes."""
    for record in records:
        history = _history(edit, record)
        key = operation_key(record.resource, record.operation, record.interval_ms)
        if record.status == OperationStatus.CANCELLED:
            _remove_entries(edit, history, key, keep_failures=True)
            continue
        for identity in write.history_ids(record):
            _write_entry(edit, history, write.operation_attributes(record, identity))
        if record.operation == "stop" and not write.has_failed(record):
            _remove_recurring(edit, history)


def _write_entry(edit: Edit, history: etree._Element, attributes: dict[str, str]) -> None:
    entry = _child(history, "lrm_rsc_op", attributes["id"])
    if entry is None:
        edit.insert(history, etree.Element("lrm_rsc_op", attributes))
        return
    for name in [str(name) for name in entry.attrib if name not in attributes]:
        edit.set(entry, name, None)
    for name, value in attributes.items():
        edit.set(entry, name, value)


def _remove_entries(
    edit: Edit, history: etree._Element, key: str, *, keep_failures: bool = False
) -> None:
    for entry in list(history.iterchildren("lrm_rsc_op")):
        failure = entry.get("id", "").endswith("_last_failure_0")
        if entry.get("operation_key") == key and not (keep_failures and failure):
            edit.remove(entry)


def _remove_recurring(edit: Edit, history: etree._Element) -> None:
    for entry in list(history.iterchildren("lrm_rsc_op")):
        failure = entry.get("id", "").endswith("_last_failure_0")
        if entry.get("interval", "0") != "0" and not failure:
            edit.remove(entry)


def erase_history(edit: Edit, order: api.EraseHistory) -> None:
    """Forget operations of a resource ("" = all) on a node ("" = all)."""
    for state in _states(edit, order.node):
        for history in _histories(edit, state, order.resource):
            if order.operation:
                key = operation_key(history.get("id", ""), order.operation, order.interval_ms)
                _remove_entries(edit, history, key)
            else:
                edit.remove(history)


def _histories(edit: Edit, state: etree._Element, resource: str) -> list[etree._Element]:
    if resource:
        known = edit.document.history(state.get("id", ""), resource)
        return [] if known is None else [known]
    return list(state.iterfind("lrm/lrm_resources/lrm_resource"))


def set_node_state(edit: Edit, order: api.SetNodeState) -> None:
    """Write what is said about a node; what is None stays."""
    state = _state(edit, order.node_id, order.node)
    words: dict[str, str | None] = {"uname": order.node}
    if order.in_membership is not None:
        words["in_ccm"] = write.truth(order.in_membership)
    if order.crmd_online is not None:
        words["crmd"] = "online" if order.crmd_online else "offline"
    if order.join is not None:
        words["join"] = order.join
    if order.expected is not None:
        words["expected"] = order.expected
    if order.reason:
        words["crm-debug-origin"] = order.reason
    for name, value in words.items():
        edit.set(state, name, value)


def forget_node_state(edit: Edit, order: api.ForgetNodeState) -> None:
    """Remove a node's history, its attributes, or both."""
    for state in _states(edit, order.node):
        if order.history:
            _remove_children(edit, state, "lrm")
        if order.attributes:
            _remove_children(edit, state, "transient_attributes")


def replace_history(edit: Edit, order: api.ReplaceHistory) -> None:
    """Make a node's history what its executor reports.

    Entries that stay as they are are not touched, so that nothing is told about them.
    """
    wanted: dict[str, dict[str, dict[str, str]]] = {}
    _state(edit, order.node_id, order.node)
    for record in order.records:
        if record.status == OperationStatus.CANCELLED:
            continue
        _history(edit, record)
        entries = wanted.setdefault(record.resource, {})
        for identity in write.history_ids(record):
            entries[identity] = write.operation_attributes(record, identity)
    state = _state(edit, order.node_id, order.node)
    for history in list(state.iterfind("lrm/lrm_resources/lrm_resource")):
        entries = wanted.get(history.get("id", ""), {})
        if not entries:
            edit.remove(history)
            continue
        for entry in list(history.iterchildren("lrm_rsc_op")):
            if entry.get("id", "") not in entries:
                edit.remove(entry)
        for attributes in entries.values():
            _write_entry(edit, history, attributes)
    _container(edit, _container(edit, state, "lrm", order.node_id), "lrm_resources")


def set_node_attribute(edit: Edit, order: api.SetNodeAttribute) -> None:
    """Set a transient attribute of a node, or delete it."""
    set_id = order.set_id or f"status-{order.node_id}"
    if order.value is None:
        state = edit.document.node_state(uuid=order.node_id)
        for pair in [] if state is None else _pairs(state, order.name, order.set_id):
            edit.remove(pair)
        return
    state = _state(edit, order.node_id, order.node)
    known = _pairs(state, order.name, order.set_id)
    if known:
        edit.set(known[0], "value", order.value)
        return
    outer = _container(edit, state, "transient_attributes", order.node_id)
    holder = _container(edit, outer, "instance_attributes", set_id)
    pair = etree.Element(
        "nvpair",
        id=write.attribute_id(set_id, order.name),
        name=order.name,
        value=order.value,
    )
    edit.insert(holder, pair)


def _pairs(state: etree._Element, name: str, set_id: str) -> list[etree._Element]:
    found = []
    for pair in state.iterfind("transient_attributes/instance_attributes/nvpair"):
        parent = pair.getparent()
        in_set = not set_id or (parent is not None and parent.get("id") == set_id)
        if pair.get("name") == name and in_set:
            found.append(pair)
    return found


def histories_or_place(edit: Edit, state: etree._Element, resource: str) -> list[etree._Element]:
    """Find the history of a resource in a node's state ("" = of all); what is missing is made."""
    identity = state.get("id", "")
    resources = _container(edit, _container(edit, state, "lrm", identity), "lrm_resources")
    if not resource:
        return [resources, *resources.iterchildren("lrm_resource")]
    known = edit.document.history(identity, resource)
    if known is None:
        known = etree.Element("lrm_resource", id=resource)
        edit.insert(resources, known)
    return [known]


def attributes_or_place(
    edit: Edit, state: etree._Element, name: str, set_id: str
) -> list[etree._Element]:
    """Find a transient attribute in a node's state ("" = all); what is missing is made."""
    identity = state.get("id", "")
    outer = _container(edit, state, "transient_attributes", identity)
    if not name:
        return [outer, *outer.iterdescendants("nvpair")]
    if not _pairs(state, name, set_id):
        given = api.SetNodeAttribute(state.get("uname", ""), identity, name, "", set_id)
        set_node_attribute(edit, given)
    return _pairs(state, name, set_id)


def set_cib_attributes(edit: Edit, order: api.SetCibAttributes) -> str:
    """Set attributes of the root; returns what is wrong with the order, or ""."""
    for name in order.attributes:
        if name in _PROTECTED:
            return f"the attribute '{name}' of the CIB is not set this way"
    for name, value in order.attributes.items():
        edit.set(edit.document.root, name, value)
    return ""


def describe_nodes(edit: Edit, order: api.DescribeNodes) -> None:
    """Make the nodes section hold these nodes.

    A node that comes back under its name with a new uuid keeps its entry and its settings.
    """
    section = edit.document.configuration.find("nodes")
    if section is None:
        section = etree.Element("nodes")
        edit.insert(edit.document.configuration, section)
    known = list(section.iterchildren("node"))
    by_id = {node.get("id", ""): node for node in known}
    by_name = {node.get("uname", "").lower(): node for node in known}
    for uuid, name in order.nodes:
        node = by_id.get(uuid)
        if node is None:
            node = by_name.get(name.lower())
        if node is None:
            edit.insert(section, etree.Element("node", id=uuid, uname=name))
            continue
        edit.set(node, "id", uuid)
        edit.set(node, "uname", name)


def _history(edit: Edit, record: api.OperationRecord) -> etree._Element:
    state = _state(edit, record.node_id, record.node)
    known = edit.document.history(state.get("id", ""), record.resource)
    if known is not None:
        edit.set(known, "class", record.agent_class)
        edit.set(known, "provider", record.provider or None)
        edit.set(known, "type", record.type)
        return known
    lrm = _container(edit, state, "lrm", state.get("id", ""))
    resources = _container(edit, lrm, "lrm_resources")
    history = write.resource_history(
        record.resource, record.agent_class, record.provider, record.type
    )
    edit.insert(resources, history)
    return history


def _state(edit: Edit, uuid: str, name: str) -> etree._Element:
    """Find or make the state of a node; a new uuid under a known name takes the entry over."""
    known = edit.document.node_state(uuid=uuid)
    if known is not None:
        return known
    known = edit.document.node_state(name=name)
    if known is not None:
        edit.remove(known)
    state = write.node_state(uuid, name)
    edit.insert(edit.document.status, state)
    return state


def _states(edit: Edit, name: str) -> Iterator[etree._Element]:
    for state in list(edit.document.status.iterchildren("node_state")):
        if not name or state.get("uname") == name:
            yield state


def _container(edit: Edit, parent: etree._Element, tag: str, identity: str = "") -> etree._Element:
    found = _child(parent, tag, identity)
    if found is None:
        found = etree.Element(tag, {"id": identity} if identity else {})
        edit.insert(parent, found)
    return found


def _child(parent: etree._Element, tag: str, identity: str) -> etree._Element | None:
    for child in parent.iterchildren(tag):
        if not identity or child.get("id") == identity:
            return child
    return None


def _remove_children(edit: Edit, parent: etree._Element, tag: str) -> None:
    for child in list(parent.iterchildren(tag)):
        edit.remove(child)
