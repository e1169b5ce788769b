"""Turns a haresources file into a CIB of the Heartbeat-2 dialect, and on request of today's.

A line names a node and what shall run there; it becomes a resource (or a group) and a preference
for that node. Of ha.cf only the node names, the `stonith_host` lines and `auto_failback` matter.
What cannot be read is reported and left out; the rest is converted all the same.

Not done here: writing the result anywhere (the tool and the cib daemon do), and modernising the
dialect (`crm.cib.upgrade`).

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from crm.cib import upgrade
from crm.cib.ha_cf import ClusterFile, read_cluster_file
from crm.model import options
from crm.model.heartbeat_agents import (
    ADDRESS_AGENTS,
    AGENT_PARAMETERS,
    QUICK_AGENTS,
    STONITH_PARAMETERS,
)
from crm.model.names import node_name
from crm.plumbing import errors
from crm.plumbing.errors import ConfigurationError, Problem

_OPTIONS = (
    ("symmetric-cluster", "true"),
    ("no-quorum-policy", "stop"),
    ("default-resource-stickiness", "0"),
    ("default-resource-failure-stickiness", "0"),
    ("stonith-enabled", "false"),
    ("stonith-action", "reboot"),
    ("startup-fencing", "true"),
    ("stop-orphan-resources", "true"),
    ("stop-orphan-actions", "true"),
    ("remove-after-stop", "false"),
    ("short-resource-names", "true"),
    ("transition-idle-timeout", "5min"),
    ("default-action-timeout", "20s"),
    ("is-managed-default", "true"),
    ("cluster-delay", "60s"),
    ("pe-error-series-max", "-1"),
    ("pe-warn-series-max", "-1"),
    ("pe-input-series-max", "-1"),
)

_ADDRESS = re.compile(r"[^./]+\.[^./]+\.[^./]+\.[^./]+(/|\Z)")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A CIB made from a haresources file, and what there is to say about it."""

    root: etree._Element
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _Line:
    """One logical line: its number in the file, its fields, its last field `#NAME` if any."""

    number: int
    fields: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A special comment (`#rsc_order …`, `#rsc_colocation …`), by words."""

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Resource:
    """What a field says: the agent, its arguments, and the pairs (position, name, value)."""

    type: str
    agent_class: str
    arguments: tuple[str, ...]
    pairs: tuple[tuple[int, str, str], ...]


def convert(
    haresources: str,
    *,
    nodes: Sequence[str],
    stonith_hosts: Sequence[str] = (),
    auto_failback: str | None = None,
    script_class: Callable[[str], str | None] = lambda _name: None,
    no_ocf: bool = False,
    no_monitor: bool = False,
    historic: bool = False,
) -> Conversion:
    """Convert the text of a haresources file to a CIB in the Heartbeat-2 dialect.

    `stonith_hosts` are the arguments of those lines of ha.cf; `script_class` tells whether a
    script of a name exists in resource.d ("heartbeat") or init.d ("lsb"). `historic` repeats the
    faults of the converter of Heartbeat 2.1.3 where they still make a readable CIB.
    """
    habits = _Habits(script_class, no_ocf=no_ocf, no_monitor=no_monitor, historic=historic)
    conversion = _Converter(habits, nodes)
    conversion.read(haresources)
    for text in stonith_hosts:
        conversion.add_stonith_host(text.split())
    conversion.add_statements()
    root = conversion.document(_option_values(stonith_hosts, auto_failback, historic=historic))
    return Conversion(root, conversion.problems)


def convert_files(
    haresources_path: Path,
    ha_cf_path: Path,
    *,
    resource_d: Path,
    init_d: Path,
    dialect: str = "modern",
    no_ocf: bool = False,
    no_monitor: bool = False,
    historic: bool = False,
) -> Conversion:
    """Convert the files of an installation; `dialect` is "modern" or "heartbeat-2".

    Raises: ConfigurationError if a file cannot be read.
    """
    cluster = read_cluster_file(_text_of(ha_cf_path))
    conversion = convert(
        _text_of(haresources_path),
        nodes=cluster.historic_node_words if historic else cluster.nodes,
        stonith_hosts=cluster.stonith_hosts,
        auto_failback=cluster.auto_failback,
        script_class=_catalogue(resource_d, init_d),
        no_ocf=no_ocf,
        no_monitor=no_monitor,
        historic=historic,
    )
    problems = [*conversion.problems, *_left_to_do(cluster)]
    if dialect == "heartbeat-2":
        return Conversion(conversion.root, problems)
    modern = upgrade.upgrade(conversion.root)
    return Conversion(modern.root, [*problems, *modern.problems])


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from problem


def _catalogue(resource_d: Path, init_d: Path) -> Callable[[str], str | None]:
    def script_class(name: str) -> str | None:
        if "/" in name or name in {"", ".", ".."}:
            return None
        if (resource_d / name).is_file():
            return "heartbeat"
        return "lsb" if (init_d / name).is_file() else None

    return script_class


def _left_to_do(cluster: ClusterFile) -> Iterator[Problem]:
    if cluster.watches_connectivity:
        yield errors.warning(
            "connectivity-not-converted",
            "ha.cf",
            "'ping' and 'respawn ... pingd' lines of ha.cf do not become resources or rules",
            "add a location rule with score-attribute=pingd, or a clone of ocf:pacemaker:ping",
        )


def _option_values(
    stonith_hosts: Sequence[str], auto_failback: str | None, *, historic: bool
) -> dict[str, str]:
    values = dict(_OPTIONS)
    if historic:
        return values
    if stonith_hosts:
        values["stonith-enabled"] = "true"
    if _is_no(auto_failback):
        values["default-resource-stickiness"] = "INFINITY"
    return values


def _is_no(word: str | None) -> bool:
    try:
        return word is not None and not options.as_bool(word)
    except ValueError:
        return False  # legacy, and whatever heartbeat itself complains about


@dataclass(frozen=True, slots=True)
class _Habits:
    """How lines are read: which scripts exist, and what was asked for on the command line."""

    script_class: Callable[[str], str | None]
    no_ocf: bool
    no_monitor: bool
    historic: bool


@dataclass(slots=True)
class _Converter:
    """Collects resources and constraints, and counts as the ids of Heartbeat 2 do."""

    habits: _Habits
    nodes: Sequence[str]
    problems: list[Problem] = field(default_factory=list)
    resources: list[etree._Element] = field(default_factory=list)
    locations: list[etree._Element] = field(default_factory=list)
    relations: list[etree._Element] = field(default_factory=list)
    statements: list[_Statement] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    next_id: int = 1
    next_group: int = 1

    # --- lines ------------------------------------------------------------------------------

    def read(self, text: str) -> None:
        """Take in all lines of a haresources file."""
        for item in _logical_lines(text, keep_remarks=self.habits.historic):
            if isinstance(item, _Statement):
                self.statements.append(item)
            else:
                self._add_line(item)

    def _add_line(self, line: _Line) -> None:
        if len(line.fields) < 2:
            self.problems.append(
                errors.error(
                    "unreadable-line",
                    f"haresources:{line.number}",
                    f"can not parse this line:{' '.join(line.fields)}",
                    "a line names a node and then its resources",
                )
            )
            return
        node = self._node(line)
        resources = [self._resource(text, line.number) for text in line.fields[1:]]
        if line.name.startswith("clone:"):
            self._add_clone_line(resources[0], line.name.removeprefix("clone:"))
        elif len(resources) == 1:
            self._add_single(resources[0], node, line.name)
        else:
            self._add_group(resources, node, line.name, n_fields=len(line.fields))

    def _node(self, line: _Line) -> str:
        word = line.fields[0]
        node = word if self.habits.historic else node_name(word)
        known = {node_name(name) for name in self.nodes}
        if known and node_name(word) not in known:
            near = options.nearest(node_name(word), known)
            self.problems.append(
                errors.warning(
                    "unknown-node",
                    f"haresources:{line.number}",
                    f"node '{word}' is not named in ha.cf",
                    f"there is a node '{near}'" if near else "",
                )
            )
        return node

    def _add_single(self, resource: _Resource, node: str, name: str) -> None:
        identity = self._free(name) if name else self._resource_id(resource, self.next_id)
        self.next_id += 1
        self.resources.append(self._primitive(identity, resource))
        self.locations.append(_location(identity, node))

    def _add_group(self, members: list[_Resource], node: str, name: str, n_fields: int) -> None:
        identity = self._free(name or f"group_{self.next_group}")
        group = etree.Element("group", id=identity)
        for position, member in enumerate(members):
            member_id = self._resource_id(member, self.next_group + position)
            group.append(self._primitive(member_id, member))
        self.next_id += n_fields
        self.next_group += 10
        self.resources.append(group)
        self.locations.append(_location(identity, node))

    def _add_clone_line(self, resource: _Resource, name: str) -> None:
        identity = self._free(name or f"clone_{self.next_group}")
        clone = self._clone(identity)
        clone.append(self._primitive(self._resource_id(resource, self.next_group), resource))
        self.next_id += 1
        self.next_group += 10
        self.resources.append(clone)

    # --- ha.cf ------------------------------------------------------------------------------

    def add_stonith_host(self, words: list[str]) -> None:
        """Take in one `stonith_host` line: host, type of device, parameters."""
        if len(words) < 2:
            self.problems.append(
                errors.error(
                    "unreadable-line",
                    "ha.cf",
                    f"can not parse this line:stonith_host {' '.join(words)}",
                    "expected: stonith_host HOST TYPE PARAMETERS",
                )
            )
            return
        host, device, *arguments = words
        number = self.next_id
        self.next_id += 1
        identity = self._numbered("stonith", number)
        names = STONITH_PARAMETERS.get(device)
        if names is None:
            self.problems.append(
                errors.warning(
                    "unknown-stonith-type",
                    identity,
                    f"the parameters of stonith device '{device}' are not known",
                    f"known are: {', '.join(sorted(STONITH_PARAMETERS))}",
                )
            )
            pairs = _positional(arguments)
        else:
            pairs = tuple((k + 2, name, value) for k, name, value in _named(names, arguments))
        primitive = self._element(identity, device, "stonith", self._stonith_operations(identity))
        _append_pairs(primitive, identity, pairs)
        if host == "*":
            clone = self._clone(self._numbered("clone", number))
            clone.append(primitive)
            self.resources.append(clone)
        else:
            self.resources.append(primitive)
            self.locations.append(
                _location(identity, host if self.habits.historic else node_name(host))
            )

    # --- special comments -------------------------------------------------------------------

    def add_statements(self) -> None:
        """Take in the special comments, now that all resources are known."""
        for statement in self.statements:
            match statement.words:
                case ("#rsc_order", first, action, ("before" | "after") as when, second):
                    if self._know(statement, first, second):
                        self._relate(
                            "rsc_order",
                            first,
                            second,
                            {"action": action, "type": when, "symmetrical": "true"},
                        )
                case ("#rsc_colocation", first, second, score) if _is_score(score):
                    if self._know(statement, first, second):
                        self._relate("rsc_colocation", first, second, {"score": score})
                case _:
                    self.problems.append(
                        errors.warning(
                            "unreadable-comment",
                            f"haresources:{statement.number}",
                            f"can not read '{' '.join(statement.words)}'",
                            "expected: #rsc_order A ACTION before|after B, "
                            "or #rsc_colocation A B SCORE",
                        )
                    )

    def _know(self, statement: _Statement, *names: str) -> bool:
        known = [
            str(element.get("id"))
            for resource in self.resources
            for element in resource.iter("primitive", "group", "clone")
        ]
        missing = [name for name in names if name not in known]
        for name in missing:
            near = options.nearest(name, known)
            self.problems.append(
                errors.warning(
                    "unknown-resource",
                    f"haresources:{statement.number}",
                    f"'{' '.join(statement.words)}' names '{name}', which does not exist",
                    f"there is a resource '{near}'" if near else "",
                )
            )
        return not missing

    def _relate(self, tag: str, first: str, second: str, more: dict[str, str]) -> None:
        identity = self._free(f"{tag}_{first}_{second}")
        relation = etree.Element(tag, {"id": identity, "from": first, "to": second, **more})
        self.relations.append(relation)

    # --- resources --------------------------------------------------------------------------

    def _resource(self, text: str, number: int) -> _Resource:
        kind, arguments = _split(text, historic=self.habits.historic)
        agent_class = self._class_of(kind)
        if agent_class != "ocf":
            return _Resource(kind, agent_class, tuple(arguments), _positional(arguments))
        names = AGENT_PARAMETERS[kind]
        if kind in ADDRESS_AGENTS and arguments:
            if len(arguments) > 1:
                self._ignore(text, arguments[1:], number)
            values = _address_values(arguments[0], historic=self.habits.historic)
            pairs = tuple(
                (position, name, values[name])
                for position, name in enumerate(names)
                if values.get(name)
            )
        else:
            if arguments and not names:
                self._ignore(text, arguments, number)
            pairs = tuple(_named(names, arguments))
        return _Resource(kind, agent_class, tuple(arguments), pairs)

    def _ignore(self, text: str, arguments: list[str], number: int) -> None:
        self.problems.append(
            errors.warning(
                "arguments-ignored",
                f"haresources:{number}",
                f"'{text}': the agent takes no argument '{'::'.join(arguments)}'",
            )
        )

    def _class_of(self, kind: str) -> str:
        if kind in AGENT_PARAMETERS and not self.habits.no_ocf:
            return "ocf"
        found = self.habits.script_class(kind)
        if found is None:
            near = options.nearest(kind, AGENT_PARAMETERS)
            self.problems.append(
                errors.warning(
                    "unknown-agent",
                    kind,
                    f"{kind} is an unknown Resource Agent",
                    f"there is an agent '{near}'" if near else "taken to be an init script (lsb)",
                )
            )
        return found or "lsb"

    def _primitive(self, identity: str, resource: _Resource) -> etree._Element:
        operations = () if self.habits.no_monitor else (_monitor(identity, resource.type),)
        element = self._element(identity, resource.type, resource.agent_class, operations)
        _append_pairs(element, identity, resource.pairs)
        return element

    def _element(
        self,
        identity: str,
        kind: str,
        agent_class: str,
        operations: Sequence[etree._Element],
    ) -> etree._Element:
        attributes = {"id": identity, "type": kind, "class": agent_class, "provider": "heartbeat"}
        element = etree.Element("primitive", attributes)
        if operations:
            etree.SubElement(element, "operations").extend(operations)
        return element

    def _stonith_operations(self, identity: str) -> Sequence[etree._Element]:
        if self.habits.no_monitor:
            return ()
        watch = {"id": f"{identity}_mon", "name": "monitor", "interval": "5s"}
        start = {"id": f"{identity}_start", "name": "start"}
        rest = {"timeout": "20s", "prereq": "nothing"}
        return (etree.Element("op", {**watch, **rest}), etree.Element("op", {**start, **rest}))

    def _clone(self, identity: str) -> etree._Element:
        clone = etree.Element("clone", id=identity)
        _append_pairs(
            clone,
            identity,
            ((1, "clone_max", str(len(self.nodes))), (2, "clone_node_max", "1")),
        )
        return clone

    # --- ids --------------------------------------------------------------------------------

    def _resource_id(self, resource: _Resource, number: int) -> str:
        if resource.type == "IPaddr" and resource.arguments:
            address = resource.arguments[0].partition("/")[0]
            return self._free(f"IPaddr_{address.replace('.', '_')}")
        return self._numbered(resource.type, number)

    def _numbered(self, stem: str, number: int) -> str:
        while f"{stem}_{number}" in self.used:
            number += 1
        return self._free(f"{stem}_{number}")

    def _free(self, wanted: str) -> str:
        identity, number = wanted, 2
        while identity in self.used:
            identity = f"{wanted}_{number}"
            number += 1
        self.used.add(identity)
        return identity

    # --- the document -----------------------------------------------------------------------

    def document(self, values: dict[str, str]) -> etree._Element:
        """Put the CIB together."""
        root = etree.Element("cib", admin_epoch="0", epoch="0", num_updates="0")
        configuration = etree.SubElement(root, "configuration")
        crm_config = etree.SubElement(configuration, "crm_config")
        options_set = etree.SubElement(
            crm_config, "cluster_property_set", id="cib-bootstrap-options"
        )
        wrapper = etree.SubElement(options_set, "attributes")
        for name, value in values.items():
            _append_pair(wrapper, f"cib-bootstrap-options-{name}", name, value)
        etree.SubElement(configuration, "nodes")
        etree.SubElement(configuration, "resources").extend(self.resources)
        constraints = etree.SubElement(configuration, "constraints")
        constraints.extend([*self.locations, *self.relations])
        etree.SubElement(root, "status")
        return root


# --- reading --------------------------------------------------------------------------------


def _logical_lines(text: str, *, keep_remarks: bool) -> Iterator[_Line | _Statement]:
    pending, first_number = "", 0
    for number, physical in enumerate(text.splitlines(), start=1):
        if not pending:
            first_number = number
            if physical.lstrip().startswith("#"):
                if physical.lstrip().startswith(("#rsc_order", "#rsc_colocation")):
                    yield _Statement(number, tuple(physical.split()))
                continue
        pending += physical
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if line := _read_line(first_number, pending, keep_remarks=keep_remarks):
            yield line
        pending = ""
    if pending and (line := _read_line(first_number, pending, keep_remarks=keep_remarks)):
        yield line


def _read_line(number: int, text: str, *, keep_remarks: bool) -> _Line | None:
    fields = text.split()
    name = ""
    if fields and fields[-1].startswith("#") and "#" not in "".join(fields[:-1]):
        name = fields.pop()[1:]
    elif not keep_remarks:
        fields = text.partition("#")[0].split()
    return _Line(number, tuple(fields), name) if fields else None


def _split(text: str, *, historic: bool) -> tuple[str, list[str]]:
    """Take a field apart into the agent's name and its arguments."""
    if "::" not in text:
        return ("IPaddr", [text]) if _ADDRESS.match(text) else (text, [])
    kind, _, rest = text.partition("::")
    if kind == "IPv6addr" and not historic:
        return kind, [rest]
    return kind, rest.split("::")


def _address_values(argument: str, *, historic: bool) -> dict[str, str]:
    """Read `ADDRESS[/MASK[/INTERFACE][/BROADCAST]]`."""
    ip, *rest = argument.split("/")
    mask, third, fourth = (*rest, "", "", "")[:3]
    if historic and "." in mask:
        return {"ip": ip, "broadcast": mask}
    nic, broadcast = ("", third) if third[:1].isdigit() else (third, fourth)
    if historic:
        return {"ip": ip, "nic": mask, "cidr_netmask": nic, "broadcast": broadcast}
    return {"ip": ip, "nic": nic, "cidr_netmask": mask, "broadcast": broadcast}


def _named(names: Sequence[str], arguments: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Give arguments the names of the table; the last name takes what is left over."""
    if not names:
        return
    values = [*arguments[: len(names) - 1], " ".join(arguments[len(names) - 1 :])]
    for position, (name, value) in enumerate(zip(names, values, strict=False)):
        if value:
            yield position, name, value


def _positional(arguments: Sequence[str]) -> tuple[tuple[int, str, str], ...]:
    return tuple((k, str(k), value) for k, value in enumerate(arguments, start=1))


def _is_score(text: str) -> bool:
    try:
        options.as_score(text)
    except ValueError:
        return False
    return True


# --- writing --------------------------------------------------------------------------------


def _append_pair(parent: etree._Element, identity: str, name: str, value: str) -> None:
    etree.SubElement(parent, "nvpair", {"id": identity, "name": name, "value": value})


def _append_pairs(
    parent: etree._Element, identity: str, pairs: Sequence[tuple[int, str, str]]
) -> None:
    if not pairs:
        return
    pair_set = etree.SubElement(parent, "instance_attributes", id=f"{identity}_inst_attr")
    wrapper = etree.SubElement(pair_set, "attributes")
    for number, name, value in pairs:
        _append_pair(wrapper, f"{identity}_attr_{number}", name, value)


def _monitor(identity: str, kind: str) -> etree._Element:
    interval, timeout = ("5s", "5s") if kind in QUICK_AGENTS else ("120s", "60s")
    attributes = {"id": f"{identity}_mon", "name": "monitor"}
    return etree.Element("op", {**attributes, "interval": interval, "timeout": timeout})


def _location(resource: str, node: str) -> etree._Element:
    """Prefer a node for a resource (the misspelt ids are those of every Heartbeat 2)."""
    location = etree.Element("rsc_location", id=f"rsc_location_{resource}", rsc=resource)
    rule = etree.SubElement(location, "rule", id=f"prefered_location_{resource}", score="100")
    etree.SubElement(
        rule,
        "expression",
        id=f"prefered_location_{resource}_expr",
        attribute="#uname",
        operation="eq",
        value=node,
    )
    return location
