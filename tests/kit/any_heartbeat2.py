"""Hypothesis strategies for whole CIBs in the dialect of Heartbeat 2.

All free text (names, parameters, numbers, ids of what people refer to) is different everywhere in
a document, so that a test can look for it in what the document became. `marks_of` lists it. Ids of
pairs, sets and rules are no marks, as they may be made anew; nor is what guards a set, as it goes
when nothing is left to guard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st
from lxml import etree

_MARK = re.compile(r"mark-\d+|\b7\d{4}\b")


def marks_of(text: str) -> list[str]:
    """List the different marks in a text."""
    return sorted(set(_MARK.findall(text)))


class _Writer:
    """Writes one document; what stands where is drawn, and every text is new."""

    def __init__(self, draw: Callable[[st.SearchStrategy[object]], object]) -> None:
        self._draw = draw
        self._count = 0
        self.resources: list[str] = []

    def one_of(self, *values: str) -> str:
        return str(self._draw(st.sampled_from(values)))

    def maybe(self) -> bool:
        return bool(self._draw(st.booleans()))

    def how_many(self, most: int, least: int = 0) -> int:
        return int(str(self._draw(st.integers(least, most))))

    def mark(self) -> str:
        self._count += 1
        return f"mark-{self._count}"

    def own_id(self) -> str:
        """Make an id nobody refers to."""
        self._count += 1
        return f"id-{self._count}"

    def number(self) -> str:
        self._count += 1
        return str(70000 + self._count)

    def some(self, **values: str) -> dict[str, str]:
        """Give some of these attributes; a trailing underscore of a name is cut."""
        return {name.rstrip("_"): value for name, value in values.items() if self.maybe()}

    # --- sets and rules ---------------------------------------------------------------------

    def pair_set(self, parent: etree._Element, tag: str, pairs: Sequence[tuple[str, str]]) -> None:
        pair_set = etree.SubElement(parent, tag, {"id": self.own_id()})
        if self.how_many(4) == 0:
            pair_set.set("score", "5")
        if self.how_many(4) == 0:
            rule = etree.SubElement(pair_set, "rule", {"id": self.own_id(), "boolean_op": "or"})
            self._date(rule)
        wrapper = etree.SubElement(pair_set, "attributes")
        for name, value in pairs:
            etree.SubElement(wrapper, "nvpair", {"id": self.own_id(), "name": name, "value": value})

    def rule(self, parent: etree._Element, depth: int = 0) -> None:
        rule = etree.SubElement(parent, "rule", {"id": self.own_id()})
        for name, value in self.some(
            score=self.number(),
            boolean_op=self.one_of("and", "or"),
            role=self.one_of("Master", "slave", "Started"),
            score_attribute=self.mark(),
        ).items():
            rule.set(name, value)
        for _ in range(self.how_many(2)):
            kind = self.one_of("expression", "date_expression", "rule")
            if kind == "rule" and depth < 2:
                self.rule(rule, depth + 1)
            elif kind == "date_expression":
                self._date(rule)
            else:
                expression = etree.SubElement(rule, "expression", {"id": self.own_id()})
                expression.set("attribute", self.mark())
                expression.set("operation", self.one_of("eq", "ne", "gt", "lte"))
                expression.set("value", self.mark())
                if self.maybe():
                    expression.set("type", self.one_of("string", "integer", "version"))

    def _date(self, rule: etree._Element) -> None:
        date = etree.SubElement(rule, "date_expression", {"id": self.own_id()})
        operation = self.one_of("gt", "lt", "in_range", "date_spec", "")
        if operation:
            date.set("operation", operation)
        if operation == "date_spec":
            etree.SubElement(date, "date_spec", {"id": self.own_id(), "hours": "9-16"})
        elif operation == "lt":
            date.set("end", "2007-12-31")
        else:
            date.set("start", "2007-01-01")
            if operation != "gt" and self.maybe():
                etree.SubElement(date, "duration", {"id": self.own_id(), "months": "2"})
            elif operation != "gt":
                date.set("end", "2007-12-31")

    def lifetime(self, parent: etree._Element) -> None:
        if self.how_many(3) == 0:
            lifetime = etree.SubElement(parent, "lifetime")
            for _ in range(self.how_many(2, 1)):
                rule = etree.SubElement(lifetime, "rule", {"id": self.own_id()})
                rule.set("boolean_op", self.one_of("and", "or"))
                self._date(rule)

    # --- resources --------------------------------------------------------------------------

    def options(self, tag: str) -> dict[str, str]:
        """Give some options of a resource as Heartbeat 2 spelled them."""
        found = self.some(
            is_managed=self.one_of("true", "false", "default"),
            resource_stickiness=self.number(),
            resource_failure_stickiness=self.one_of("-INFINITY", "0", "-" + self.number()),
            priority=self.number(),
            restart_type=self.one_of("ignore", "restart"),
            multiple_active=self.one_of("stop_start", "stop_only", "block"),
            target_role=self.one_of("started", "Stopped", "master", "#default"),
        )
        if tag == "group":
            found |= self.some(ordered=self.one_of("true", "false"), collocated="false")
        if tag in {"clone", "master_slave"}:
            found |= self.some(
                clone_max=self.number(),
                clone_node_max=self.number(),
                notify="true",
                ordered=self.one_of("true", "false"),
                interleave="true",
                globally_unique="false",
            )
        if tag == "master_slave":
            found |= self.some(master_max=self.number(), master_node_max=self.number())
        return found

    def _sets_of(self, resource: etree._Element, tag: str) -> None:
        kinds = [("meta_attributes", 1), ("instance_attributes", 2)]
        for kind, most in kinds:
            for _ in range(self.how_many(most)):
                pairs = list(self.options(tag).items())
                if self.maybe():
                    pairs = [(name.replace("_", "-"), value) for name, value in pairs]
                if kind == "instance_attributes":
                    pairs += [(self.mark(), self.mark()) for _ in range(self.how_many(2))]
                self.pair_set(resource, kind, pairs)

    def _resource(self, parent: etree._Element, tag: str) -> etree._Element:
        resource = etree.SubElement(parent, tag, {"id": self.mark()})
        for name, value in self.some(description=self.mark()).items():
            resource.set(name, value)
        if self.maybe():
            for name, value in self.options(tag).items():
                resource.set(name, value)
        return resource

    def primitive(self, parent: etree._Element) -> etree._Element:
        primitive = self._resource(parent, "primitive")
        primitive.set("class", self.one_of("ocf", "lsb", "heartbeat", "stonith"))
        primitive.set("type", self.mark())
        if primitive.get("class") == "ocf":
            primitive.set("provider", "heartbeat")
        self._sets_of(primitive, "primitive")
        if self.maybe():
            operations = etree.SubElement(primitive, "operations")
            for _ in range(self.how_many(3)):
                self._operation(operations)
        return primitive

    def _operation(self, operations: etree._Element) -> None:
        operation = etree.SubElement(operations, "op", {"id": self.mark()})
        operation.set("name", self.one_of("start", "stop", "monitor", "promote"))
        values = self.some(
            interval=self.number(),
            timeout=self.number(),
            start_delay=self.number(),
            description=self.mark(),
            disabled=self.one_of("yes", "false"),
            role=self.one_of("Master", "slave", "Started"),
            on_fail=self.one_of("nothing", "ignore", "block", "stop", "restart", "fence"),
        )
        if operation.get("name") in {"start", "promote"}:
            values |= self.some(prereq=self.one_of("nothing", "quorum", "fencing"))
        for name, value in values.items():
            operation.set(name, value)
        if self.how_many(3) == 0:
            self.pair_set(operation, "instance_attributes", [(self.mark(), self.mark())])

    def any_resource(self, parent: etree._Element) -> None:
        match self.one_of("primitive", "group", "clone", "master_slave"):
            case "group":
                self.resources.append(self._group(parent))
            case ("clone" | "master_slave") as tag:
                copied = self._resource(parent, tag)
                self._sets_of(copied, tag)
                if self.maybe():
                    self.primitive(copied)
                else:
                    self._group(copied)
                self.resources.append(str(copied.get("id")))
            case _:
                self.resources.append(str(self.primitive(parent).get("id")))

    def _group(self, parent: etree._Element) -> str:
        group = self._resource(parent, "group")
        self._sets_of(group, "group")
        for _ in range(self.how_many(2, 1)):
            self.primitive(group)
        return str(group.get("id"))

    # --- constraints ------------------------------------------------------------------------

    def location(self, parent: etree._Element) -> None:
        location = etree.SubElement(parent, "rsc_location", {"id": self.mark()})
        location.set("rsc", self.one_of(*self.resources))
        if self.maybe():
            location.set("node", self.mark())
            if self.maybe():
                location.set("score", self.number())
        if location.get("node") is None or self.how_many(3) == 0:
            for _ in range(self.how_many(2, 1)):
                self.rule(location)
        self.lifetime(location)

    def order(self, parent: etree._Element) -> None:
        order = etree.SubElement(parent, "rsc_order", {"id": self.mark()})
        order.set("from", self.one_of(*self.resources))
        order.set("to", self.one_of(*self.resources))
        for name, value in self.some(
            type=self.one_of("before", "after"),
            action=self.one_of("start", "stop", "promote"),
            to_action=self.one_of("start", "demote"),
            score=self.one_of("0", "infinity"),
            symmetrical=self.one_of("true", "false"),
        ).items():
            order.set(name, value)
        self.lifetime(order)

    def colocation(self, parent: etree._Element) -> None:
        colocation = etree.SubElement(parent, "rsc_colocation", {"id": self.mark()})
        colocation.set("from", self.one_of(*self.resources))
        colocation.set("to", self.one_of(*self.resources))
        colocation.set("score", self.one_of(self.number(), "-infinity", f"{self.number()}.5"))
        for name, value in self.some(
            from_role=self.one_of("Master", "started"),
            to_role=self.one_of("slave", "Stopped"),
            symmetrical=self.one_of("true", "false"),
            node_attribute=self.mark(),
        ).items():
            colocation.set(name, value)
        self.lifetime(colocation)

    # --- the rest ---------------------------------------------------------------------------

    def cluster_options(self, crm_config: etree._Element) -> None:
        for _ in range(self.how_many(2)):
            names = self.some(
                symmetric_cluster="true",
                no_quorum_policy="ignore",
                stonith_enabled="false",
                stonith_action=self.one_of("reboot", "poweroff"),
                default_resource_stickiness=self.number(),
                default_resource_failure_stickiness=self.one_of("0", "-" + self.number()),
                default_action_timeout=self.number(),
                is_managed_default="true",
                cluster_delay=self.number(),
            )
            pairs = list(names.items())
            if self.maybe():
                pairs = [(name.replace("_", "-"), value) for name, value in pairs]
            if self.maybe():
                pairs.append((self.mark(), self.mark()))
            self.pair_set(crm_config, "cluster_property_set", pairs)
        for _ in range(self.how_many(1)):
            etree.SubElement(
                crm_config, "nvpair", id=self.own_id(), name="cluster_delay", value=self.number()
            )

    def nodes(self, nodes: etree._Element) -> None:
        for _ in range(self.how_many(3)):
            node = etree.SubElement(nodes, "node", {"id": self.mark(), "uname": self.mark()})
            node.set("type", self.one_of("normal", "normal", "member"))
            if self.maybe():
                node.set("description", self.mark())
            if self.maybe():
                self.pair_set(node, "instance_attributes", [(self.mark(), self.mark())])

    def document(self) -> etree._Element:
        root = etree.Element(
            "cib", admin_epoch="0", epoch=self.number(), num_updates="0", have_quorum="true"
        )
        root.set("dc_uuid", self.mark())
        configuration = etree.SubElement(root, "configuration")
        self.cluster_options(etree.SubElement(configuration, "crm_config"))
        self.nodes(etree.SubElement(configuration, "nodes"))
        resources = etree.SubElement(configuration, "resources")
        for _ in range(self.how_many(3, 1)):
            self.any_resource(resources)
        constraints = etree.SubElement(configuration, "constraints")
        for _ in range(self.how_many(3)):
            match self.one_of("location", "order", "colocation"):
                case "location":
                    self.location(constraints)
                case "order":
                    self.order(constraints)
                case _:
                    self.colocation(constraints)
        etree.SubElement(root, "status")
        return root


@st.composite
def documents(draw: Callable[[st.SearchStrategy[object]], object]) -> etree._Element:
    """Draw a CIB as a cluster of Heartbeat 2 may have held it."""
    return _Writer(draw).document()
