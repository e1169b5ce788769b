"""Named values of the CIB: cluster options, node attributes, defaults; where each kind stands.

Responsible for finding them in a document, for the ids new ones get, and for the operations that
set and delete them. Not responsible for options, words and exit codes (`crm_attribute` and the
commands made of it).

Source: tools.md section 2, "crm_attribute".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crm.api import cib as api
from crm.cib import document as documents
from crm.model import score
from crm.plumbing import xml

_COUNTING = re.compile(r"value(?:\+\+|\+=(?P<step>-?\w+))")
_IN_NO_ID = str.maketrans(":#", "..")
"""Names may hold what ids may not."""


@dataclass(frozen=True)
class Node:
    """A node as the CIB knows it; `is_listed` tells whether the nodes section names it."""

    name: str
    id: str
    is_listed: bool = True


@dataclass(frozen=True)
class Place:
    """Where values of one kind stand: a section, the sets in it, and the id of a new set.

    `node` is given where each node has values of its own.
    """

    section: str
    sets: str
    new_set: str
    node: Node | None = None

    @property
    def is_status(self) -> bool:
        """Whether the values live only until their node leaves the cluster."""
        return self.section == "status"

    @property
    def stored(self) -> str:
        """The section of the CIB that holds them."""
        return "status" if self.section == "tickets" else self.section


@dataclass(frozen=True)
class Wanted:
    """Which values are meant; what is None matches all. `pattern` stands instead of a name."""

    name: str | None = None
    pattern: re.Pattern[str] | None = None
    set_id: str | None = None
    id: str | None = None

    def fits(self, value: Value) -> bool:
        """Tell whether a value is meant."""
        if self.pattern is not None:
            named = self.pattern.search(value.name) is not None
        else:
            named = self.name in (None, value.name)
        return named and self.set_id in (None, value.set_id) and self.id in (None, value.id)


@dataclass(frozen=True)
class Value:
    """One value as it stands in the CIB."""

    id: str
    name: str
    value: str
    set_id: str


def find_node(document: documents.Document, name: str) -> Node | None:
    """Find a node: of the cluster, a remote one, or a guest."""
    configuration = document.configuration
    for node in configuration.iterfind("nodes/node"):
        if str(node.get("uname", "")).lower() == name.lower():
            return Node(str(node.get("uname")), str(node.get("id", "")))
    for primitive in configuration.iter("primitive"):
        kind = [primitive.get(word) for word in ("class", "provider", "type")]
        if kind == ["ocf", "pacemaker", "remote"] and primitive.get("id") == name:
            return Node(name, name, is_listed=False)
        for pair in primitive.iterfind("meta_attributes/nvpair"):
            if pair.get("name") == "remote-node" and pair.get("value") == name:
                return Node(name, name, is_listed=False)
    state = document.node_state(name=name)
    if state is not None and state.get("remote_node") == "true":
        return Node(name, str(state.get("id", name)), is_listed=False)
    return None


def place_of(section: str, node: Node | None, *, utilization: bool = False) -> Place:
    """Say where the values of a section stand."""
    if section == "crm_config":
        return Place(section, "cluster_property_set", "cib-bootstrap-options")
    if section in ("rsc_defaults", "op_defaults"):
        return Place(section, "meta_attributes", f"{section}-options")
    if section == "tickets":
        return Place(section, "instance_attributes", "status-tickets")
    assert node is not None, f"the values in {section} are those of a node"
    if utilization:
        return Place(section, "utilization", f"{section}-{node.id}-utilization", node)
    return Place(section, "instance_attributes", f"{section}-{node.id}", node)


def find(document: documents.Document, place: Place, wanted: Wanted) -> list[Value]:
    """List the values that are meant, in the order of the document."""
    found = []
    for parent in _parents(document, place):
        for holder in parent.iter(place.sets):
            for pair in holder.iterchildren("nvpair"):
                words = [str(pair.get(word, "")) for word in ("id", "name", "value")]
                value = Value(words[0], words[1], words[2], str(holder.get("id", "")))
                if wanted.fits(value):
                    found.append(value)
    return found


def _parents(document: documents.Document, place: Place) -> Iterator[Any]:  # Any: elements
    if place.section == "tickets":
        yield from document.status.iterchildren("tickets")
    elif place.node is None:
        yield from document.configuration.iterchildren(place.section)
    elif place.is_status:
        state = document.node_state(uuid=place.node.id)
        yield from [] if state is None else state.iterchildren("transient_attributes")
    else:
        for node in document.configuration.iterfind("nodes/node"):
            if node.get("id") == place.node.id:
                yield node


def setting(place: Place, wanted: Wanted, old: Value | None, value: str) -> api.Operation:
    """Make the operation that gives a value; `old` is the one that is replaced."""
    if place.node is not None and _is_attrds(place):
        set_id = wanted.set_id or (old.set_id if old is not None else "")
        name = old.name if old is not None else str(wanted.name)
        text = counted(value, old.value if old is not None else None)
        return api.SetNodeAttribute(place.node.name, place.node.id, name, text, set_id)
    if old is not None:
        # The sum is made where the change is carried out: two may count at the same moment.
        words = _words(id=old.id, value=value)
        text = f"<nvpair {words}/>"
        return api.XmlOperation(api.XmlTask.MODIFY, text.encode(), section=place.stored)
    set_id = wanted.set_id or place.new_set
    name = str(wanted.name)
    identity = wanted.id or f"{set_id}-{name.translate(_IN_NO_ID)}"
    pair = f"<nvpair {_words(id=identity, name=name, value=counted(value, None))}/>"
    text = f"<{place.sets} {_words(id=set_id)}>{pair}</{place.sets}>"
    return api.XmlOperation(
        api.XmlTask.MODIFY,
        _inside(place, text).encode(),
        section="status" if place.section == "tickets" else "",
        may_create=True,
    )


def _is_attrds(place: Place) -> bool:
    """Tell whether values are such as attrd writes."""
    return place.is_status and place.sets == "instance_attributes"


def _inside(place: Place, text: str) -> str:
    """Put a set of values where it belongs."""
    if place.node is not None and place.is_status:
        identity = _words(id=place.node.id)
        text = f"<transient_attributes {identity}>{text}</transient_attributes>"
        text = f"<node_state {identity}>{text}</node_state>"
    elif place.node is not None:
        remote = {} if place.node.is_listed else {"type": "remote", "uname": place.node.name}
        text = f"<node {_words(id=place.node.id, **remote)}>{text}</node>"
    return f"<{place.section}>{text}</{place.section}>"


def deletion(place: Place, old: Value) -> api.Operation:
    """Make the operation that takes a value away."""
    if place.node is not None and _is_attrds(place):
        return api.SetNodeAttribute(
            place.node.name, place.node.id, old.name, None, set_id=old.set_id
        )
    text = f"<nvpair {_words(id=old.id, name=old.name)}/>"
    return api.XmlOperation(api.XmlTask.DELETE, text.encode(), section=place.stored)


def counted(value: str, old: str | None) -> str:
    """Work out `value++` and `value+=N`; anything else stands for itself."""
    counting = _COUNTING.fullmatch(value)
    if counting is None:
        return value
    try:
        step = score.parse(counting["step"] or "1")
        return score.text(score.add(number(old), step))
    except ValueError:
        return value


def number(text: str | None) -> score.Score:
    """Read a number or INFINITY; what is neither counts as 0."""
    try:
        return score.parse(text or "0")
    except ValueError:
        return score.ZERO


def _words(**attributes: str) -> str:
    return " ".join(f"{name}={xml.quoted(value)}" for name, value in attributes.items())
