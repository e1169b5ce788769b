"""Reads `<status>`: what nodes report, in both dialects of node_state."""

from __future__ import annotations

import re
from typing import cast

from lxml import etree

from crm.model import options
from crm.model.readxml.reader import Reader, children
from crm.model.readxml.sets import read_sets
from crm.model.resources import AttributeSet
from crm.model.status import HistoryEntry, NodeState, ResourceHistory, TicketState

_TRANSITION_KEY = re.compile(r"(?:-?\d+:-?\d+;)?(-?\d+):(-?\d+):(-?\d+):")

_GRANTED = "granted-ticket-"


def read_status(reader: Reader, section: etree._Element | None) -> tuple[NodeState, ...]:
    """Read the state of every node, in document order."""
    return tuple(_read_node_state(reader, element) for element in children(section, "node_state"))


def read_tickets(section: etree._Element | None) -> tuple[TicketState, ...]:
    """Read the tickets: one element each, or in the old dialect one pair each."""
    found = []
    for block in children(section, "tickets"):
        for element in children(block, "ticket_state"):
            found.append(
                TicketState(
                    element.get("id", ""),
                    _is_set(element.get("granted")),
                    _is_set(element.get("standby")),
                )
            )
        for pair in block.iter("nvpair"):
            name = pair.get("name", "")
            if name.startswith(_GRANTED):
                found.append(TicketState(name.removeprefix(_GRANTED), _is_set(pair.get("value"))))
    return tuple(found)


def _is_set(text: str | None) -> bool:
    """Read a flag that is a boolean in the old dialect and a time in the new one."""
    if text is None:
        return False
    word = text.strip().lower()
    if word.isdigit():
        return int(word) > 0
    if word in ("online", "offline"):
        return word == "online"
    try:
        return options.as_bool(word)
    except ValueError:
        return False


def _read_node_state(reader: Reader, element: etree._Element) -> NodeState:
    attributes: list[AttributeSet] = []
    for block in children(element, "transient_attributes"):
        attributes += read_sets(reader, block, "instance_attributes")
    history = [
        _read_resource_history(item)
        for lrm in children(element, "lrm")
        for block in children(lrm, "lrm_resources")
        for item in children(block, "lrm_resource")
    ]
    maintenance = element.get("node_in_maintenance")
    return NodeState(
        id=element.get("id", ""),
        name=element.get("uname", ""),
        in_membership=_is_set(element.get("in_ccm")),
        process_online=_is_set(element.get("crmd")),
        join=element.get("join", ""),
        expected=element.get("expected", ""),
        is_seen=element.get("in_ccm") is not None or element.get("crmd") is not None,
        maintenance=_is_set(maintenance),
        attributes=tuple(attributes),
        history=tuple(history),
        member_since_s=_since(element.get("in_ccm")),
        was_fenced=_is_set(element.get("remote_was_fenced", element.get("node_fenced"))),
    )


def _since(text: str | None) -> int:
    """Read since when something is so: a time in the new dialect, a boolean in the old one."""
    if text is None:
        return -1
    word = text.strip()
    return int(word) if word.isdigit() else int(_is_set(word))


def _read_resource_history(element: etree._Element) -> ResourceHistory:
    entries = [_read_entry(item) for item in children(element, "lrm_rsc_op")]
    return ResourceHistory(
        id=element.get("id", ""),
        standard=element.get("class", ""),
        provider=element.get("provider", ""),
        type=element.get("type", ""),
        entries=tuple(entries),
        lock_s=_number(element.get("shutdown-lock"), 0),
        container=element.get("container", ""),
    )


def _number(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default


def _read_entry(element: etree._Element) -> HistoryEntry:
    # Most of a document are entries: their attributes are taken out of it all at once.
    # cast: the stubs allow bytes as well, which is how attributes may be set.
    get = cast("dict[str, str]", dict(element.items())).get
    magic = get("transition-magic", "")
    key = get("transition-key") or magic.partition(";")[2]
    match = _TRANSITION_KEY.match(key)
    interval = get("interval", "0")
    return HistoryEntry(
        id=get("id", ""),
        operation=get("operation", ""),
        # The history counts intervals in milliseconds, whatever unit the configuration used.
        interval_ms=_number(interval, 0),
        call_id=_number(get("call-id"), 0),
        exit_code=_number(get("rc-code"), 193),
        status=_number(get("op-status"), 0),
        target_rc=int(match[3]) if match else None,
        transition_key=key,
        transition_magic=magic,
        digest=get("op-digest", ""),
        restart_digest=get("op-restart-digest", ""),
        force_restart=get("op-force-restart"),
        secure_parameters=get("op-secure-params", ""),
        secure_digest=get("op-secure-digest", ""),
        exit_reason=get("exit-reason", ""),
        last_change_s=_number(get("last-rc-change"), 0),
        last_run_s=_number(get("last-run"), 0),
        migrate_source=get("migrate_source", ""),
        migrate_target=get("migrate_target", ""),
    )
