"""The picture of `crm_mon` as XML, in the published shape of `pacemaker-result`.

Source: tools, "crm_mon"; recorded runs of the classic tool.
"""

from __future__ import annotations

import time

from lxml import etree

from cli.view import history, monitor, status_xml
from cli.view.extras import moment, shown_attributes
from cli.view.resource_lines import Scope
from cli.view.status import ClusterView
from cli.view.wishes import Wishes
from crm.plumbing import xml
from pengine.facts.instances import Instance

API_VERSION = "2.25"
OLD_VERSION = "2.1.5"


def text(view: ClusterView, wishes: Wishes, request: str, *, is_old: bool = False) -> str:
    """Write the whole document; the old form has another root and does not say how it ended."""
    if is_old:
        root = etree.Element("crm_mon", version=OLD_VERSION)
    else:
        root = etree.Element("pacemaker-result")
        root.set("api-version", API_VERSION)
        root.set("request", request)
    _add(root, view, wishes)
    if not is_old:
        etree.SubElement(root, "status", code="0", message="OK")
    return xml.serialise(root, pretty=True).decode().rstrip()


def _add(root: etree._Element, view: ClusterView, wishes: Wishes) -> None:
    """Add all that is wanted to a document."""
    scope = view.scope(wishes.node, wishes.resource)
    if wishes.sections & {"counts", "dc", "options", "stack", "times"}:
        root.append(_summary(view, wishes))
    if wishes.shows("nodes"):
        _add_nodes(root, view, wishes, scope)
    if wishes.shows("resources"):
        found = status_xml.resources(
            view.facts, classic=True, scope=scope, idle_only=wishes.by_node
        )
        if len(found) or not wishes.by_node:
            root.append(found)
    if wishes.shows("attributes"):
        _add_attributes(root, view, scope)
    if wishes.shows("operations") or wishes.shows("failcounts"):
        _add_history(root, view, wishes, scope)
    if wishes.shows("failures"):
        _add_failures(root, view, scope)
    if wishes.shows("tickets"):
        _add_tickets(root, view)
    if wishes.shows("bans"):
        _add_bans(root, view, scope)


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _summary(view: ClusterView, wishes: Wishes) -> etree._Element:
    root = etree.Element("summary")
    if wishes.shows("stack"):
        etree.SubElement(root, "stack", type=monitor.stack(view, wishes))
    if wishes.shows("dc"):
        _add_dc(root, view, wishes)
    if wishes.shows("times"):
        now = time.strftime("%a %b %e %H:%M:%S %Y")
        etree.SubElement(root, "last_update", time=now)
        change = etree.SubElement(root, "last_change", time=view.attribute("cib-last-written"))
        for name in ("user", "client", "origin"):
            change.set(name, view.attribute(f"update-{name}"))
    if wishes.shows("counts"):
        total, disabled, blocked = monitor.counts(view)
        etree.SubElement(root, "nodes_configured", number=str(len(view.nodes)))
        counted = etree.SubElement(root, "resources_configured", number=str(total))
        counted.set("disabled", str(disabled))
        counted.set("blocked", str(blocked))
    if wishes.shows("options"):
        _add_options(root, view)
    return root


def _add_dc(root: etree._Element, view: ClusterView, wishes: Wishes) -> None:
    dc = view.dc
    element = etree.SubElement(root, "current_dc", present=_yes(dc is not None))
    if dc is None:
        return
    element.set("version", monitor.version(view, wishes))
    element.set("name", dc.name)
    element.set("id", dc.id)
    element.set("with_quorum", _yes(view.cluster.has_quorum))
    element.set("mixed_version", _yes(monitor.is_mixed(view)))


def _add_options(root: etree._Element, view: ClusterView) -> None:
    settings = view.facts.settings
    element = etree.SubElement(root, "cluster_options")
    words = {
        "stonith-enabled": _yes(settings.fencing_enabled),
        "symmetric-cluster": _yes(settings.symmetric),
        "no-quorum-policy": settings.text("no-quorum-policy"),
        "maintenance-mode": _yes(settings.maintenance),
        "stop-all-resources": _yes(settings.stop_all),
        "stonith-timeout-ms": str(settings.fencing_timeout_ms),
        "priority-fencing-delay-ms": str(settings.priority_fencing_delay_ms),
    }
    for name, value in words.items():
        element.set(name, value)


def _add_nodes(root: etree._Element, view: ClusterView, wishes: Wishes, scope: Scope) -> None:
    holder = etree.SubElement(root, "nodes")
    expected = {state.id: state.expected for state in view.cluster.status}
    for node in view.nodes:
        if not scope.has_node(node.name):
            continue
        element = status_xml.node(view.facts, node, expected, classic=True)
        if wishes.by_node:
            here = monitor.resources_on(view, node.name)
            for each in here if node.online else ():
                if scope.names(each):
                    element.append(status_xml.item(view.facts, each, classic=True))
        holder.append(element)


def _add_attributes(root: etree._Element, view: ClusterView, scope: Scope) -> None:
    holder = etree.Element("node_attributes")
    for node in view.nodes:
        pairs = shown_attributes(node, classic=True)
        if not pairs or not node.online or not scope.has_node(node.name):
            continue
        element = etree.SubElement(holder, "node", name=node.name)
        for name, value in pairs:
            pair = etree.SubElement(element, "attribute", name=name, value=value)
            most = monitor.expected(view, node.name, name)
            if most is not None:
                pair.set("expected", str(most))
    _add_if_any(root, holder)


def _add_if_any(root: etree._Element, holder: etree._Element) -> None:
    if len(holder):
        root.append(holder)


def _add_history(root: etree._Element, view: ClusterView, wishes: Wishes, scope: Scope) -> None:
    holder = etree.Element("node_history")
    node = record = None
    for each in history.shown(history.entries(view, scope)):
        if node is None or node.get("name") != each.node.name:
            node, record = etree.SubElement(holder, "node", name=each.node.name), None
        if record is None or record.get("id") != each.name:
            record = etree.SubElement(node, "resource_history", id=each.name)
            _describe(record, view, each.instance, each.node.name)
        if wishes.shows("operations"):
            _add_operation(record, each)
    if any(node.online and scope.has_node(node.name) for node in view.nodes):
        root.append(holder)


def _describe(
    record: etree._Element, view: ClusterView, instance: Instance | None, node: str
) -> None:
    is_orphan = instance is None or instance.is_removed
    record.set("orphan", _yes(is_orphan))
    if instance is None or is_orphan:
        return
    record.set("migration-threshold", str(int(instance.meta.threshold)))
    count = history.count_of(view, instance, node)
    if count is not None:
        record.set("fail-count", str(int(count.total)))
        if count.last_failure_s:
            record.set("last-failure", moment(count.last_failure_s))


def _add_operation(record: etree._Element, entry: history.Entry) -> None:
    element = etree.SubElement(record, "operation_history", call=str(entry.call), task=entry.word)
    element.set("rc", str(entry.rc))
    element.set("rc_text", history.rc_word(entry.rc))
    if entry.interval_ms:
        element.set("interval", f"{entry.interval_ms}ms")
    if entry.changed_s:
        element.set("last-rc-change", moment(entry.changed_s))
    if entry.exec_ms is not None:
        element.set("exec-time", f"{entry.exec_ms}ms")
    if entry.queue_ms is not None:
        element.set("queue-time", f"{entry.queue_ms}ms")


def _add_failures(root: etree._Element, view: ClusterView, scope: Scope) -> None:
    holder = etree.Element("failures")
    for each in history.failed(view, scope):
        words = {
            "op_key" if each.has_key else "id": each.key,
            "node": each.node.name,
            "exitstatus": history.rc_word(each.rc),
            "exitreason": "none" if each.reason is None else each.reason,
            "exitcode": str(each.rc),
            "call": str(each.call),
            "status": each.status_word,
        }
        if each.changed_s:
            words |= {
                "last-rc-change": _with_zone(each.changed_s),
                "queued": str(each.queue_ms or 0),
                "exec": str(each.exec_ms or 0),
                "interval": str(each.interval_ms),
                "task": each.task,
            }
        etree.SubElement(holder, "failure", words)
    _add_if_any(root, holder)


def _with_zone(at_s: int) -> str:
    """Write a time with the zone of the reader; that of Greenwich is a letter."""
    there = time.localtime(at_s)
    zone = time.strftime("%z", there)
    return time.strftime("%F %T", there) + ("Z" if zone == "+0000" else f" {zone[:3]}:{zone[3:]}")


def _add_tickets(root: etree._Element, view: ClusterView) -> None:
    holder = etree.Element("tickets")
    for name, state in monitor.tickets(view).items():
        is_granted = state.get("granted") == "true"
        element = etree.SubElement(holder, "ticket", id=name)
        element.set("status", "granted" if is_granted else "revoked")
        element.set("standby", _yes(state.get("standby") == "true"))
        if state.get("last-granted", "").isdigit():
            element.set("last-granted", moment(int(state.get("last-granted", "0"))))
    _add_if_any(root, holder)


def _add_bans(root: etree._Element, view: ClusterView, scope: Scope) -> None:
    holder = etree.Element("bans")
    for constraint, resource, node, points, promoted in monitor.banned(view, scope):
        element = etree.SubElement(holder, "ban", id=constraint, resource=resource)
        element.set("node", node.name)
        element.set("weight", str(int(points)))
        element.set("promoted-only", _yes(promoted))
        element.set("master_only", _yes(promoted))
    _add_if_any(root, holder)
