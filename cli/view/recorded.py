"""Recorded operations as the classic tools list them, node by node in the order of the status.

Responsible for which are listed, and for their words. Not responsible for what they add up to:
that is for the scheduler.

Source: tools, "crm_resource".
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from lxml import etree

from cli.view.extras import moment
from cli.view.resource_lines import Lines, Style
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance

STATUS_WORDS = {-1: "pending", 0: "complete", 1: "Cancelled", 2: "Timed Out", 3: "NOT SUPPORTED",
                4: "Error", 7: "Not installed"}  # fmt: skip
"""How the execution of an operation ended, in the words of the classic tools."""

_BEGINNINGS = ("start", "migrate_from")
_NOTHING_RUNS = 7


class Recorded(msgspec.Struct, frozen=True):
    """One recorded operation: whose it is, a line about it, and the same as attributes."""

    instance: Instance
    text: str
    attributes: dict[str, str]


def operations(
    facts: Facts, status: etree._Element, resource: str = "", node: str = "", *, everything: bool
) -> Iterator[Recorded]:
    """Yield the operations of a resource on a node (""; of all).

    Without `everything` those are left out that came before the last start, and all of what was
    stopped after it. Nodes that are away are left out unless fencing can tell that they are down.
    """
    named = _by_history(facts)
    for state in status.iterchildren("node_state"):
        name = state.get("uname", "")
        known = facts.by_name.get(name)
        if node.lower() not in ("", name.lower()) or known is None:
            continue
        if not known.online and not facts.settings.fencing_enabled:
            continue
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            instance = _find(named, history.get("id", ""))
            if instance is None or not _is_meant(resource, instance, history.get("id", "")):
                continue
            done = sorted(history.iterchildren("lrm_rsc_op"), key=_order)
            for entry in done if everything else _since_last_start(done):
                yield _recorded(instance, name, entry)


def text(facts: Facts, root: etree._Element, resource: str, node: str, *, everything: bool) -> str:
    """Write recorded operations, one a line; see `operations`."""
    lines = Lines(facts, Style(places=False, classic=True))
    status = root.find("status")
    found = (
        () if status is None else operations(facts, status, resource, node, everything=everything)
    )
    return "\n".join(f"{lines.instance(each.instance)}: {each.text}" for each in found)


def _by_history(facts: Facts) -> dict[str, Instance]:
    """Index the instances by the names histories use; of copies the first one speaks for all."""
    found: dict[str, Instance] = {}
    for instance in facts.instances():
        for name in (instance.id, instance.history_id, facts.history_name(instance)):
            found.setdefault(name, instance)
    return found


def _find(named: dict[str, Instance], history: str) -> Instance | None:
    return named.get(history) or named.get(history.partition(":")[0])


def _is_meant(resource: str, instance: Instance, history: str) -> bool:
    return resource in ("", history, instance.id, instance.history_id, instance.resource.id)


def _order(entry: etree._Element) -> tuple[bool, int]:
    """Sort by call; what has none yet, or never gets one, comes last."""
    call = _number(entry.get("call-id", ""))
    return call < 0, call


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _since_last_start(done: list[etree._Element]) -> list[etree._Element]:
    """Leave out what is over: all before the last start, and everything if a stop came later."""
    start = stop = monitored = promoted = -1
    for at, entry in enumerate(done):
        task = entry.get("operation", "")
        if task == "stop" and _number(entry.get("op-status", "")) == 0:
            stop = at
        elif task in _BEGINNINGS:
            start = at
        elif task == "monitor" and monitored <= stop and entry.get("rc-code") in ("0", "8"):
            monitored = at
        elif task in ("promote", "demote"):
            promoted = at
    if start == -1:
        start = promoted if promoted != -1 else monitored
    return [] if start < stop else done[max(start, 0) :]


def _recorded(instance: Instance, node: str, entry: etree._Element) -> Recorded:
    key = entry.get("operation_key", "") or entry.get("id", "")
    status = STATUS_WORDS.get(_number(entry.get("op-status", "0")), "unknown")
    agent = instance.resource.agent
    attributes: dict[str, str] = {
        "op": key,
        "node": node,
        "call": entry.get("call-id", ""),
        "rc": entry.get("rc-code", ""),
        "status": status,
        "rsc": instance.history_id,
        "agent": f"{agent.standard}:{agent.provider}:{agent.type}",
    }
    text = f"{key} (node={node}, call={attributes['call']}, rc={attributes['rc']}"
    if entry.get("last-rc-change") is not None:
        changed = _number(entry.get("last-rc-change", ""))
        attributes["last-rc-change"] = moment(changed)
        text += f", last-rc-change='{moment(changed)}'"
    took = entry.get("exec-time")
    if took is not None:
        attributes["exec-time"] = took
        text += f", exec={took}ms"
    return Recorded(instance, f"{text}): {status}", attributes)
