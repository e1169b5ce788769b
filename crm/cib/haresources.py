"""Turns a haresources file into a CIB of the Heartbeat-2 dialect, and on request of today's.

A line names a node and what shall run there; it becomes a resource (or a group) and a preference
for that node. Of ha.cf only the node names, the `stonith_host` lines and `auto_failback` matter.
What cannot be read is reported and left out; the rest is converted all the same.

The parts have modules beside this one: reading lines (`haresources_lines`) and their fields
(`haresources_fields`), writing elements (`haresources_elements`). Here stands what they add up to,
with the ids counted as in Heartbeat 2. Not done here: writing the result anywhere (the tool and the
cib daemon do), and modernising the dialect (`crm.cib.upgrade`).

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from crm.cib import haresources_elements as elements
from crm.cib import haresources_fields as fields
from crm.cib import haresources_lines as lines
from crm.cib import upgrade
from crm.cib.ha_cf import ClusterFile, StonithHost, read_cluster_file
from crm.cib.haresources_fields import Habits, Resource
from crm.model import options
from crm.model.heartbeat_agents import STONITH_PARAMETERS
from crm.model.names import node_name
from crm.plumbing import errors
from crm.plumbing.errors import ConfigurationError, Problem

_CLONE = "clone:"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A CIB made from a haresources file, and what there is to say about it."""

    root: etree._Element
    problems: list[Problem]


def convert(haresources: str, cluster: ClusterFile, habits: Habits) -> Conversion:
    """Convert the text of a haresources file to a CIB in the Heartbeat-2 dialect.

    `habits.historic` repeats the faults of the converter of Heartbeat 2.1.3 where they still make
    a readable CIB.
    """
    nodes = cluster.historic_node_words if habits.historic else cluster.nodes
    conversion = _Converter(habits, nodes)
    conversion.read(haresources)
    for line in cluster.stonith_hosts:
        conversion.add_stonith_host(line)
    conversion.add_relations()
    values = dict(elements.OPTIONS)
    if not habits.historic:
        if conversion.has_devices:
            values["stonith-enabled"] = "true"
        if _is_no(cluster.auto_failback):
            values["default-resource-stickiness"] = "INFINITY"
    constraints = [*conversion.locations, *conversion.relations]
    return Conversion(
        elements.document(values, conversion.resources, constraints), conversion.problems
    )


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
    habits = Habits(
        _catalogue(resource_d, init_d), no_ocf=no_ocf, no_monitor=no_monitor, historic=historic
    )
    conversion = convert(_text_of(haresources_path), cluster, habits)
    problems = [*conversion.problems, *_left_to_do(cluster, conversion.root)]
    if dialect == "heartbeat-2":
        return Conversion(conversion.root, problems)
    modern = upgrade.upgrade(conversion.root)
    return Conversion(modern.root, [*problems, *modern.problems])


def _text_of(path: Path) -> str:
    """Read a file; bytes that are no UTF-8 are kept and complained of where they matter.

    Raises: ConfigurationError if it cannot be read or is no text of single bytes at all.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from problem
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError(f"cannot read {path}: it is UTF-16; write it in UTF-8")
    return content.decode("utf-8", errors="surrogateescape")


def _catalogue(resource_d: Path, init_d: Path) -> Callable[[str], str | None]:
    def script_class(name: str) -> str | None:
        if "/" in name or name in {"", ".", ".."}:
            return None
        if (resource_d / name).is_file():
            return "heartbeat"
        return "lsb" if (init_d / name).is_file() else None

    return script_class


def _left_to_do(cluster: ClusterFile, root: etree._Element) -> Iterator[Problem]:
    if next(root.iter("primitive"), None) is None:
        yield errors.warning(
            "nothing-to-run",
            "haresources",
            "no line names a resource; the configuration holds options only",
            "a line names a node and then its resources: node1 10.0.0.1 httpd",
        )
    if cluster.watches_connectivity:
        yield errors.warning(
            "connectivity-not-converted",
            "ha.cf",
            "'ping' lines and 'respawn ... pingd' or ipfail of ha.cf do not become resources "
            "or rules",
            "add a location rule with score-attribute=pingd, or a clone of ocf:pacemaker:ping",
        )


def _is_no(word: str | None) -> bool:
    try:
        return word is not None and not options.as_bool(word)
    except ValueError:
        return False  # legacy, and whatever heartbeat itself complains about


@dataclass(slots=True)
class _Converter:
    """Collects resources and constraints, and counts as the ids of Heartbeat 2 do."""

    habits: Habits
    nodes: Sequence[str]
    problems: list[Problem] = field(default_factory=list)
    resources: list[etree._Element] = field(default_factory=list)
    locations: list[etree._Element] = field(default_factory=list)
    relations: list[etree._Element] = field(default_factory=list)
    has_devices: bool = False
    _related: list[lines.Order | lines.Colocation] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _next_id: int = 1
    _next_group: int = 1

    # --- lines ------------------------------------------------------------------------------

    def read(self, text: str) -> None:
        """Take in all lines of a haresources file."""
        for item in lines.read_as_of_old(text) if self.habits.historic else lines.read(text):
            match item:
                case Problem():
                    self.problems.append(item)
                case lines.Line():
                    self._add_line(item)
                case lines.Order() | lines.Colocation():
                    self._related.append(item)

    def _add_line(self, line: lines.Line) -> None:
        node = self._node(line.fields[0], lines.place(line.number))
        resources = [
            fields.read_resource(text, line.number, self.habits, self.problems)
            for text in line.fields[1:]
        ]
        if line.name.startswith(_CLONE):
            self._add_clone_line(resources, line)
        elif len(resources) == 1:
            self._add_single(resources[0], node, line)
        else:
            self._add_group(resources, node, line)

    def _node(self, word: str, subject: str) -> str:
        known = {node_name(name) for name in self.nodes}
        if known and node_name(word) not in known:
            near = options.nearest(node_name(word), known)
            self.problems.append(
                errors.warning(
                    "unknown-node",
                    subject,
                    f"node '{word}' is not named in ha.cf",
                    f"there is a node '{near}'" if near else f"there are: {', '.join(self.nodes)}",
                )
            )
        return word if self.habits.historic else node_name(word)

    def _add_single(self, resource: Resource, node: str, line: lines.Line) -> None:
        if line.name:
            identity = self._chosen(line.name, line.number)
        else:
            identity = self._resource_id(resource, self._next_id, line.number)
        self._next_id += 1
        self.resources.append(self._primitive(identity, resource))
        self.locations.append(elements.location(identity, node))

    def _add_group(self, members: Sequence[Resource], node: str, line: lines.Line) -> None:
        name = line.name
        identity = (
            self._chosen(name, line.number) if name else self._free(f"group_{self._next_group}")
        )
        group = etree.Element("group", id=identity)
        for position, member in enumerate(members):
            member_id = self._resource_id(member, self._next_group + position, line.number)
            group.append(self._primitive(member_id, member))
        self._next_id += len(line.fields)
        self._next_group += 10
        self.resources.append(group)
        self.locations.append(elements.location(identity, node))

    def _add_clone_line(self, resources: Sequence[Resource], line: lines.Line) -> None:
        name = line.name.removeprefix(_CLONE)
        identity = (
            self._chosen(name, line.number) if name else self._free(f"clone_{self._next_group}")
        )
        for ignored in line.fields[2:]:
            self.problems.append(
                errors.warning(
                    "resource-ignored",
                    lines.place(line.number),
                    f"'{ignored}' is left out: a clone line names one resource",
                    "give it a line of its own",
                )
            )
        clone = elements.clone(identity, len(self.nodes))
        inner = self._resource_id(resources[0], self._next_group, line.number)
        clone.append(self._primitive(inner, resources[0]))
        self._next_id += 1
        self._next_group += 10
        self.resources.append(clone)

    def _primitive(self, identity: str, resource: Resource) -> etree._Element:
        watch = () if self.habits.no_monitor else (elements.monitor(identity, resource.type),)
        return elements.primitive(
            identity,
            agent_class=resource.agent_class,
            kind=resource.type,
            pairs=resource.pairs,
            operations=watch,
        )

    # --- ha.cf ------------------------------------------------------------------------------

    def add_stonith_host(self, line: StonithHost) -> None:
        """Take in one `stonith_host` line: host, type of device, parameters."""
        subject = f"ha.cf:{line.line}"
        if len(line.words) < 2 or not lines.is_writable(*line.words):
            self.problems.append(
                errors.error(
                    "unreadable-line",
                    subject,
                    f"can not parse this line:stonith_host {' '.join(line.words)}",
                    "expected: stonith_host HOST TYPE PARAMETERS",
                )
            )
            return
        host, device, *arguments = line.words
        identity = self._numbered("stonith", self._next_id)
        operations = () if self.habits.no_monitor else elements.device_operations(identity)
        primitive = elements.primitive(
            identity,
            agent_class="stonith",
            kind=device,
            pairs=self._device_pairs(device, arguments, subject),
            operations=operations,
        )
        if host == "*":
            clone = elements.clone(self._numbered("clone", self._next_id), len(self.nodes))
            clone.append(primitive)
            self.resources.append(clone)
        else:
            self.resources.append(primitive)
            self.locations.append(elements.location(identity, self._node(host, subject)))
        self._next_id += 1
        self.has_devices = True

    def _device_pairs(
        self, device: str, arguments: Sequence[str], subject: str
    ) -> tuple[fields.Pair, ...]:
        names = STONITH_PARAMETERS.get(device)
        if names is not None:
            return tuple((k + 2, name, value) for k, name, value in fields.named(names, arguments))
        self.problems.append(
            errors.warning(
                "unknown-stonith-type",
                subject,
                f"the parameters of stonith device '{device}' are not known; "
                "they are named 1, 2, ...",
                "give them their names in the CIB; known devices are: "
                + ", ".join(sorted(STONITH_PARAMETERS)),
            )
        )
        return fields.positional(arguments)

    # --- special comments -------------------------------------------------------------------

    def add_relations(self) -> None:
        """Take in the special comments, now that all resources are known."""
        for item in self._related:
            if not self._know(item):
                continue
            match item:
                case lines.Order():
                    more = {"action": item.action, "type": item.when, "symmetrical": "true"}
                    self._relate("rsc_order", item, more)
                case lines.Colocation():
                    self._relate("rsc_colocation", item, {"score": item.score})

    def _know(self, item: lines.Order | lines.Colocation) -> bool:
        known = [
            str(element.get("id"))
            for resource in self.resources
            for element in resource.iter("primitive", "group", "clone")
        ]
        missing = [name for name in (item.first, item.second) if name not in known]
        for name in missing:
            near = options.nearest(name, known)
            self.problems.append(
                errors.warning(
                    "unknown-resource",
                    lines.place(item.number),
                    f"the comment names '{name}', which does not exist; it is left out",
                    f"there is a resource '{near}'"
                    if near
                    else "a last field #NAME gives the resource of a line a name",
                )
            )
        return not missing

    def _relate(self, tag: str, item: lines.Order | lines.Colocation, more: dict[str, str]) -> None:
        identity = self._free(f"{tag}_{item.first}_{item.second}")
        ends = {"id": identity, "from": item.first, "to": item.second}
        self.relations.append(etree.Element(tag, {**ends, **more}))

    # --- ids --------------------------------------------------------------------------------

    def _chosen(self, name: str, number: int) -> str:
        """Give the id the line asks for."""
        identity = self._free(name)
        if identity != name:
            self.problems.append(
                errors.warning(
                    "name-taken",
                    lines.place(number),
                    f"the name '{name}' is taken; the resource is called '{identity}'",
                    "choose different names",
                )
            )
        return identity

    def _resource_id(self, resource: Resource, number: int, line: int) -> str:
        if not resource.address:
            return self._numbered(resource.type, number)
        wanted = f"IPaddr_{resource.address.replace('.', '_')}"
        identity = self._free(wanted)
        if identity != wanted:
            self.problems.append(
                errors.warning(
                    "address-repeated",
                    lines.place(line),
                    f"the address {resource.address} stands in another line already",
                    "an address can be in one place only: remove one of them",
                )
            )
        return identity

    def _numbered(self, stem: str, number: int) -> str:
        while f"{stem}_{number}" in self._used:
            number += 1
        return self._free(f"{stem}_{number}")

    def _free(self, wanted: str) -> str:
        identity, number = wanted, 2
        while identity in self._used:
            identity = f"{wanted}_{number}"
            number += 1
        self._used.add(identity)
        return identity
