"""What runs where: a document together with what the scheduler takes for true about it.

Responsible for reading both, and for the questions the shell asks about them. What recorded
operations add up to is judged by the scheduler alone, so that `crm status`, `crm_mon`,
`crm_resource` and `crm_simulate` cannot differ.

Source: tools, "crm_mon"; docs/scheduler/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lxml import etree

from cli.view import node_lines
from cli.view.resource_lines import Scope
from crm.model.cluster import Cluster
from crm.model.configuration import Item
from crm.model.readxml import cluster as reading
from crm.model.roles import Role
from crm.model.writexml import configuration as writing
from pengine.facts.facts import Facts, conclude
from pengine.facts.instances import CloneInstance, Instance
from pengine.facts.nodes import NodeFacts


@dataclass(frozen=True)
class ClusterView:
    """A document, read, and what is true of it."""

    root: etree._Element
    cluster: Cluster
    facts: Facts
    is_partial: bool = False
    """Whether access lists hide something: what is not here may be there all the same."""

    @property
    def nodes(self) -> tuple[NodeFacts, ...]:
        """The nodes, in the order in which they are listed."""
        return self.facts.nodes

    def node(self, name: str) -> NodeFacts | None:
        """Find a node by its name."""
        return self.facts.by_name.get(name)

    def state(self, node: NodeFacts) -> str:
        """Name the state of a node, as the classic tools do."""
        if self.is_hidden(node):
            return "not shown"
        return node_lines.state(self.facts, node)

    def is_hidden(self, node: NodeFacts) -> bool:
        """Tell whether access lists hide the state of a node."""
        states = self.root.iterfind("status/node_state")
        return self.is_partial and not any(
            state.get("id") == node.id and state.get("in_ccm") is not None for state in states
        )

    def instances(self, *primitives: str) -> list[Instance]:
        """List the instances of configured primitives."""
        return [each for each in self.facts.instances() if each.resource.id in primitives]

    def places(self, *primitives: str) -> list[tuple[str, str]]:
        """Say on which nodes primitives are active, and in which role; promoted ones last."""
        found: dict[str, str] = {}
        for instance in self.instances(*primitives):
            for node in self.facts.activity[instance.id].nodes:
                found.setdefault(node, self.role(instance))
        return sorted(found.items(), key=lambda each: (each[1] == "Promoted", each[0]))

    def role(self, instance: Instance) -> str:
        """Name the role of an active instance; unknown is what only runs."""
        role = self.facts.activity[instance.id].role
        return "Started" if role in (Role.UNKNOWN, Role.STOPPED) else role.word

    def is_running(self, primitive: str) -> bool:
        """Tell whether a primitive is active anywhere."""
        return bool(self.places(primitive))

    def is_promotable(self, name: str) -> bool:
        """Tell whether something is a clone whose copies can be promoted."""
        clones = (each for each in self.facts.items if isinstance(each, CloneInstance))
        return any(each.id == name and each.promotable for each in clones)

    @property
    def dc(self) -> NodeFacts | None:
        """The DC, None when there is none."""
        return next((node for node in self.nodes if node.is_dc), None)

    def attribute(self, name: str) -> str:
        """Read an attribute of the document itself, "" if it is not there."""
        return self.root.get(name, "")

    def scope(self, node: str = "", resource: str = "") -> Scope:
        """Say what is meant by the name of a node or resource, or of a tag of some."""
        tags = dict(self.cluster.tags)
        nodes = resources = None
        if node:
            meant = {node, *tags.get(node, ())}
            known = [each for each in self.nodes if not meant.isdisjoint((each.name, each.id))]
            nodes = frozenset(each.name for each in known)
        if resource:
            resources = frozenset((resource, *tags.get(resource, ())))
        return Scope(resources=resources, nodes=nodes)


def read_status(document: Item) -> ClusterView:
    """Read a whole document, and conclude what is true of it now."""
    return view_of(writing.element(document))


def read_partial_status(document: Item) -> ClusterView:
    """Read a document of which access lists hide a part: nothing follows from what is missing."""
    return replace(read_status(document), is_partial=True)


def view_of(root: etree._Element) -> ClusterView:
    """Do the same with a document as XML."""
    cluster, _problems = reading.read(root)
    return ClusterView(root, cluster, conclude(cluster, datetime.now(UTC)))
