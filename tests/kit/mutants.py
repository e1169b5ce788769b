"""Published CIBs with a few things changed: what nobody wrote, next to what somebody did.

A mutant is a CIB of a published case in which one to three things are left out, added or said
otherwise: a constraint, a node, an option, a score, a history. It stays what the schema admits as
far as the change itself can see to that; a reader may refuse the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from lxml import etree

from tests.kit.choices import Choices

_SCORES = ("INFINITY", "-INFINITY", "0", "1", "100", "-100", "5000", "-5000")
_YES = ("true", "false")
_RESOURCES = ("primitive", "group", "clone", "master", "bundle")
_ROLES = ("Started", "Promoted", "Unpromoted", "Stopped")

OPTIONS: dict[str, Sequence[str]] = {
    "no-quorum-policy": ("stop", "freeze", "ignore", "demote", "suicide"),
    "symmetric-cluster": _YES,
    "maintenance-mode": _YES,
    "stop-all-resources": _YES,
    "stonith-enabled": _YES,
    "stonith-action": ("reboot", "off"),
    "startup-fencing": _YES,
    "start-failure-is-fatal": _YES,
    "enable-startup-probes": _YES,
    "stop-orphan-resources": _YES,
    "stop-orphan-actions": _YES,
    "shutdown-lock": _YES,
    "placement-strategy": ("default", "balanced", "utilization", "minimal"),
    "node-health-strategy": ("migrate-on-red", "only-green", "progressive", "custom"),
    "priority-fencing-delay": ("0", "15s"),
}
METAS: dict[str, Sequence[str]] = {
    "target-role": _ROLES,
    "is-managed": _YES,
    "maintenance": _YES,
    "priority": ("0", "10", "-1", "100"),
    "resource-stickiness": ("0", "1", "100", "INFINITY", "-100"),
    "migration-threshold": ("1", "3", "INFINITY"),
    "failure-timeout": ("10", "1000000"),
    "multiple-active": ("block", "stop_only", "stop_start", "stop_unexpected"),
    "allow-migrate": _YES,
    "requires": ("nothing", "quorum", "fencing"),
    "critical": _YES,
    "allow-unhealthy-nodes": _YES,
}
CLONE_METAS: dict[str, Sequence[str]] = {
    "interleave": _YES,
    "notify": _YES,
    "ordered": _YES,
    "globally-unique": _YES,
    "clone-max": ("0", "1", "2", "3", "5"),
    "clone-node-max": ("1", "2"),
    "clone-min": ("1", "2"),
    "promotable": _YES,
    "promoted-max": ("0", "1", "2"),
    "promoted-node-max": ("1", "2"),
}
NODE_STATES = (
    {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"},
    {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"},
    {"in_ccm": "false", "crmd": "offline", "join": "member", "expected": "member"},
    {"in_ccm": "true", "crmd": "offline", "join": "member", "expected": "member"},
    {"in_ccm": "true", "crmd": "online", "join": "pending", "expected": "member"},
    {"in_ccm": "true", "crmd": "online", "join": "down", "expected": "member"},
)
OP_FIELDS: dict[str, Sequence[str]] = {
    "on-fail": ("ignore", "block", "stop", "restart", "standby", "fence", "demote"),
    "interval": ("0", "10s", "20s"),
    "enabled": _YES,
    "role": ("Started", "Promoted", "Unpromoted", "Stopped"),
    "timeout": ("17s",),
}
CONSTRAINT_FIELDS: dict[str, dict[str, Sequence[str]]] = {
    "rsc_colocation": {
        "score": _SCORES,
        "rsc-role": _ROLES,
        "with-rsc-role": _ROLES,
        "influence": _YES,
    },
    "rsc_order": {
        "kind": ("Optional", "Mandatory", "Serialize"),
        "first-action": ("start", "stop", "promote", "demote"),
        "then-action": ("start", "stop", "promote", "demote"),
        "symmetrical": _YES,
        "require-all": _YES,
    },
    "rsc_location": {
        "score": _SCORES,
        "role": _ROLES,
        "resource-discovery": ("always", "never", "exclusive"),
    },
    "rsc_ticket": {
        "loss-policy": ("stop", "demote", "fence", "freeze"),
        "rsc-role": _ROLES,
    },
    "resource_set": {
        "sequential": _YES,
        "require-all": _YES,
        "role": _ROLES,
        "action": ("start", "stop", "promote", "demote"),
        "score": _SCORES,
    },
    "rule": {"score": _SCORES, "boolean-op": ("and", "or"), "role": _ROLES},
}

_DROPPED = (
    "rsc_colocation",
    "rsc_order",
    "rsc_location",
    "rsc_ticket",
    "resource_set",
    "node",
    "node_state",
    "lrm_resource",
    "lrm_rsc_op",
    "nvpair",
    "op",
    "meta_attributes",
    "ticket_state",
    "fencing-level",
)


class Mutating:
    """Changes one document, a choice at a time."""

    def __init__(self, choices: Choices, root: etree._Element) -> None:
        self.choices = choices
        self.root = root
        self._made = 0

    def change(self) -> str:
        """Make one change, and say in a few words which; empty if there was nothing to change."""
        changes: tuple[Callable[[], str], ...] = (
            self._drop,
            self._drop,
            self._member,
            self._option,
            self._meta,
            self._meta,
            self._clone_meta,
            self._node,
            self._node,
            self._node_attribute,
            self._operation,
            self._constraint,
            self._constraint,
            self._new_constraint,
            self._outcome,
            self._outcome,
            self._history,
            self._failures,
            self._parameter,
            self._ticket,
        )
        return self.choices.pick(changes)()

    # -- what is changed -----------------------------------------------------------------------

    def _drop(self) -> str:
        tag = self.choices.pick(_DROPPED)
        element = self._any(tag)
        return "" if element is None else self._remove(element)

    def _member(self) -> str:
        """Leave a member of a group out, or a resource with all that names it."""
        element = self._any("primitive", "group", "clone")
        if element is None:
            return ""
        parent = element.getparent()
        assert parent is not None
        if parent.tag == "resources" or (parent.tag == "group" and len(parent) > 1):
            return self._remove(element)
        return ""

    def _option(self) -> str:
        name = self.choices.pick(tuple(OPTIONS))
        value = self.choices.pick(OPTIONS[name])
        place = self.root.find(".//crm_config/cluster_property_set")
        if place is None:
            return ""
        self._set(self.root.findall(f".//crm_config//nvpair[@name='{name}']"), place, name, value)
        return f"option {name}={value}"

    def _meta(self) -> str:
        return self._meta_of(METAS, _RESOURCES)

    def _clone_meta(self) -> str:
        return self._meta_of(CLONE_METAS, ("clone", "master"))

    def _meta_of(self, values: dict[str, Sequence[str]], tags: Sequence[str]) -> str:
        element = self._any(*tags)
        if element is None:
            return ""
        name = self.choices.pick(tuple(values))
        value = self.choices.pick(values[name])
        place = element.find("meta_attributes")
        if place is None:
            place = etree.Element("meta_attributes", id=self._new_id())
            element.insert(0, place)
        self._set(place.findall(f"nvpair[@name='{name}']"), place, name, value)
        return f"meta {element.get('id')} {name}={value}"

    def _node(self) -> str:
        element = self._any("node_state")
        if element is None or element.get("remote_node"):
            return ""
        state = self.choices.pick(NODE_STATES)
        for name, value in state.items():
            element.set(name, value)
        return f"node {element.get('uname')} {'/'.join(state.values())}"

    def _node_attribute(self) -> str:
        element = self._any("node_state")
        if element is None:
            return ""
        values = {
            "standby": ("on", "off"),
            "maintenance": _YES,
            "shutdown": ("1", "0"),
            "#health-x": ("red", "yellow", "green", "-10"),
            "terminate": _YES,
        }
        name = self.choices.pick(tuple(values))
        value = self.choices.pick(values[name])
        self._transient(element, name, value)
        return f"attribute {element.get('uname')} {name}={value}"

    def _operation(self) -> str:
        element = self._any("op")
        if element is None:
            return ""
        name = self.choices.pick(tuple(OP_FIELDS))
        return self._say(element, name, self.choices.pick(OP_FIELDS[name]))

    def _constraint(self) -> str:
        element = self._any(*CONSTRAINT_FIELDS)
        if element is None:
            return ""
        fields = CONSTRAINT_FIELDS[str(element.tag)]
        name = self.choices.pick(tuple(fields))
        return self._say(element, name, self.choices.pick(fields[name]))

    def _new_constraint(self) -> str:
        place = self.root.find(".//constraints")
        one, other = self._any(*_RESOURCES), self._any(*_RESOURCES)
        node = self._any("node")
        if place is None or one is None or other is None or node is None:
            return ""
        kind = self.choices.pick(("colocation", "colocation", "order", "order", "location"))
        first, second = one.get("id", ""), other.get("id", "")
        if kind != "location" and (first == second or self._within(one, other)):
            return ""
        made = etree.SubElement(place, f"rsc_{kind}", id=self._new_id())
        if kind == "colocation":
            made.set("rsc", first)
            made.set("with-rsc", second)
            made.set("score", self.choices.pick(_SCORES))
        elif kind == "order":
            made.set("first", first)
            made.set("then", second)
            made.set("kind", self.choices.pick(("Optional", "Mandatory", "Serialize")))
        else:
            made.set("rsc", first)
            made.set("node", node.get("uname", ""))
            made.set("score", self.choices.pick(_SCORES))
        return f"new {dict(made.attrib)}"

    def _outcome(self) -> str:
        element = self._any("lrm_rsc_op")
        if element is None:
            return ""
        code = self.choices.pick(("0", "1", "5", "7", "8", "9"))
        pending = self.choices.chance(15)
        element.set("rc-code", "193" if pending else code)
        element.set("op-status", "-1" if pending else "4" if code not in "07" else "0")
        return f"outcome {element.get('id')} {element.get('rc-code')}"

    def _history(self) -> str:
        """Let a node remember what another node does."""
        element, state = self._any("lrm_resource"), self._any("node_state")
        if element is None or state is None:
            return ""
        place = state.find("lrm/lrm_resources")
        if place is None:
            return ""
        for old in place.findall("lrm_resource"):
            if old.get("id") == element.get("id"):
                return ""
        place.append(copy.deepcopy(element))
        return f"history {element.get('id')} on {state.get('uname')}"

    def _failures(self) -> str:
        element = self._any("lrm_resource")
        if element is None:
            return ""
        state = next(element.iterancestors("node_state"))
        task = self.choices.pick(("monitor_10000", "start_0", "stop_0"))
        count = self.choices.pick(("1", "3", "INFINITY"))
        self._transient(state, f"fail-count-{element.get('id')}#{task}", count)
        return f"failures {element.get('id')} {task} {count} on {state.get('uname')}"

    def _parameter(self) -> str:
        found = [
            pair
            for pair in self.root.findall(".//primitive/instance_attributes/nvpair")
            if pair.get("value")
        ]
        if not found:
            return ""
        element = self.choices.pick(found)
        return self._say(element, "value", f"{element.get('value')}x")

    def _ticket(self) -> str:
        place, one = self.root.find(".//constraints"), self._any(*_RESOURCES)
        status = self.root.find("status")
        if place is None or one is None or status is None:
            return ""
        policy = self.choices.pick(("stop", "demote", "fence", "freeze"))
        etree.SubElement(
            place,
            "rsc_ticket",
            {"id": self._new_id(), "rsc": one.get("id", ""), "ticket": "T"}
            | {"loss-policy": policy},
        )
        if self.choices.chance(60):
            tickets = status.find("tickets")
            if tickets is None:
                tickets = etree.SubElement(status, "tickets")
            state = etree.SubElement(tickets, "ticket_state", id="T")
            state.set("granted", self.choices.pick(_YES))
            if self.choices.chance(30):
                state.set("standby", "true")
        return f"ticket of {one.get('id')} {policy}"

    # -- tools ---------------------------------------------------------------------------------

    def _any(self, *tags: str) -> etree._Element | None:
        found = [e for e in self.root.iter(*tags) if e.getparent() is not None]
        return self.choices.pick(found) if found else None

    def _remove(self, element: etree._Element) -> str:
        leave_out(self.root, element)
        return f"without {element.tag} {element.get('id')}"

    def _say(self, element: etree._Element, name: str, value: str) -> str:
        element.set(name, value)
        return f"{element.tag} {element.get('id')} {name}={value}"

    def _set(
        self, present: Sequence[etree._Element], place: etree._Element, name: str, value: str
    ) -> None:
        """Change the first of the pairs that are present, or add one at a place."""
        if present:
            present[0].set("value", value)
        else:
            etree.SubElement(place, "nvpair", id=self._new_id(), name=name, value=value)

    def _transient(self, state: etree._Element, name: str, value: str) -> None:
        place = state.find("transient_attributes/instance_attributes")
        if place is None:
            outer = state.find("transient_attributes")
            if outer is None:
                outer = etree.SubElement(state, "transient_attributes", id=state.get("id", ""))
            place = etree.SubElement(outer, "instance_attributes", id=self._new_id())
        present = [old for old in place.findall("nvpair") if old.get("name") == name]
        self._set(present, place, name, value)

    def _within(self, one: etree._Element, other: etree._Element) -> bool:
        return one in list(other.iter()) or other in list(one.iter())

    def _new_id(self) -> str:
        self._made += 1
        return f"mutant-{self._made}"


def leave_out(root: etree._Element, element: etree._Element) -> None:
    """Take out an element, and what names a resource in it."""
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)
    names = {str(each.get("id")) for each in element.iter(*_RESOURCES)}
    if names:
        drop_references(root, names)


def drop_references(root: etree._Element, names: set[str]) -> None:
    """Take out what speaks of resources that are gone."""
    for element in list(root.iter("rsc_colocation", "rsc_order", "rsc_location", "rsc_ticket")):
        words = {element.get(key) for key in ("rsc", "with-rsc", "first", "then")}
        parent = element.getparent()
        if words & names and parent is not None:
            parent.remove(element)
    for element in list(root.iter("resource_ref", "obj_ref")):
        parent = element.getparent()
        if element.get("id") in names and parent is not None:
            parent.remove(element)
    for element in list(root.iter("resource_set")):
        parent = element.getparent()
        if len(element) == 0 and parent is not None and element.get("id-ref") is None:
            parent.remove(element)
    for element in list(root.iter("rsc_colocation", "rsc_order", "rsc_location", "rsc_ticket")):
        parent = element.getparent()
        named = any(element.get(key) for key in ("rsc", "first", "rsc-pattern"))
        if not named and len(element) == 0 and parent is not None:
            parent.remove(element)


def mutate(choices: Choices, document: bytes) -> tuple[bytes, list[str]]:
    """Change one to three things; returns the document, and what was changed."""
    root = etree.fromstring(document)
    mutating = Mutating(choices, root)
    wanted = choices.pick((1, 1, 1, 2, 2, 3))
    done: list[str] = []
    for _ in range(10 * wanted):
        said = mutating.change()
        if said:
            done.append(said)
        if len(done) == wanted:
            break
    return etree.tostring(root), done
