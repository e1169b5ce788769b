"""Reads a whole CIB document into a `Cluster`."""

from __future__ import annotations

from lxml import etree

from crm.model import options
from crm.model.cluster import Cluster, Node
from crm.model.readxml.constraints import read_constraints
from crm.model.readxml.reader import Reader, children
from crm.model.readxml.resources import read_resources, unscheduled_ids
from crm.model.readxml.sets import read_sets
from crm.model.readxml.status import read_status, read_tickets
from crm.model.score import ZERO
from crm.plumbing.errors import Problem


def read(root: etree._Element) -> tuple[Cluster, list[Problem]]:
    """Read a CIB; what is not understood is left out and named by a problem."""
    reader = Reader(root)
    configuration = root.find("configuration")
    if configuration is None:
        reader.complain("no-configuration", "cib", "the document has no configuration section")
    section = _sections(configuration)
    resources, templates = read_resources(reader, section.get("resources"))
    tags = [
        (tag.get("id", ""), tuple(ref.get("id", "") for ref in children(tag, "obj_ref")))
        for tag in children(section.get("tags"), "tag")
    ]
    execution = root.get("execution-date", "")
    quorum = root.get("have-quorum", root.get("have_quorum", "false"))
    return (
        Cluster(
            options=read_sets(reader, section.get("crm_config"), "cluster_property_set"),
            nodes=_read_nodes(reader, section.get("nodes")),
            resources=resources,
            constraints=read_constraints(reader, section.get("constraints")),
            resource_defaults=read_sets(reader, section.get("rsc_defaults"), "meta_attributes"),
            operation_defaults=read_sets(reader, section.get("op_defaults"), "meta_attributes"),
            status=read_status(reader, root.find("status")),
            tickets=read_tickets(root.find("status")),
            tags=(*tags, *((key, ids) for key, ids in templates.items())),
            has_quorum=reader.value(quorum, "have-quorum", options.as_bool, False),
            dc_id=root.get("dc-uuid", root.get("dc_uuid", "")),
            execution_s=int(execution) if execution.isdigit() else None,
            unscheduled=unscheduled_ids(section.get("resources"), resources),
            had_quorum=root.get("no-quorum-panic", "0") not in ("0", "false"),
            dialect=root.get("validate-with", ""),
        ),
        reader.problems,
    )


def _sections(configuration: etree._Element | None) -> dict[str, etree._Element]:
    return {str(section.tag): section for section in children(configuration)}


def _read_nodes(reader: Reader, section: etree._Element | None) -> tuple[Node, ...]:
    found = []
    for element in children(section, "node"):
        name = element.get("uname", "")
        if not name:
            reader.complain("nameless-node", element.get("id", ""), "a node has no uname")
            continue
        found.append(
            Node(
                id=element.get("id", ""),
                name=name,
                kind=element.get("type", "member"),
                attributes=read_sets(reader, element, "instance_attributes"),
                utilization=read_sets(reader, element, "utilization"),
                score=reader.score(element, ZERO),
            )
        )
    return tuple(found)
