"""Reads `<resources>`: templates are laid over the primitives that name them."""

from __future__ import annotations

from lxml import etree

from crm.model import options
from crm.model.agent import Agent
from crm.model.readxml.bundles import read_bundle
from crm.model.readxml.reader import Reader, children
from crm.model.readxml.sets import read_sets
from crm.model.resources import Clone, Group, Operation, Primitive, Resource


def read_resources(
    reader: Reader, section: etree._Element | None
) -> tuple[tuple[Resource, ...], dict[str, tuple[str, ...]]]:
    """Read all resources, and which primitives each template stands for."""
    templates = {t.get("id", ""): t for t in children(section, "template")}
    users: dict[str, list[str]] = {key: [] for key in templates}
    resources = []
    for element in children(section):
        resource = _read_resource(reader, element, templates)
        if resource is not None:
            resources.append(resource)
    for element in section.iter("primitive") if section is not None else ():
        if (name := element.get("template")) in users and name is not None:
            users[name].append(element.get("id", ""))
    return tuple(resources), {key: tuple(ids) for key, ids in users.items()}


def unscheduled_ids(
    section: etree._Element | None, resources: tuple[Resource, ...]
) -> tuple[str, ...]:
    """List what is configured but could not be read, with what is in it."""
    known = {resource.id for resource in resources}
    return tuple(
        inner.get("id", "")
        for element in children(section)
        if element.tag != "template" and element.get("id", "") not in known
        for inner in (element, *element.iter("primitive"))
    )


def _read_resource(
    reader: Reader, element: etree._Element, templates: dict[str, etree._Element]
) -> Resource | None:
    key = element.get("id", "")
    match element.tag:
        case "primitive":
            return _read_primitive(reader, element, templates)
        case "group":
            return _read_group(reader, element, templates)
        case "clone" | "master":
            child = next(
                (
                    found
                    for inner in children(element, "primitive", "group")
                    if (found := _read_resource(reader, inner, templates)) is not None
                ),
                None,
            )
            if not isinstance(child, Primitive | Group):
                reader.complain("empty-resource", key, f"clone '{key}' has nothing to clone")
                return None
            return Clone(
                key,
                child,
                read_sets(reader, element, "meta_attributes"),
                read_sets(reader, element, "instance_attributes"),
                promotable=element.tag == "master",
            )
        case "bundle":
            inner = next(iter(children(element, "primitive")), None)
            inside = None if inner is None else _read_primitive(reader, inner, templates)
            return read_bundle(reader, element, inside)
        case "template":
            return None
        case _:
            reader.complain(
                "unsupported-resource",
                key,
                f"{element.tag} '{key}' is not scheduled",
                "only primitives, groups, clones and bundles are",
            )
            return None


def _read_group(
    reader: Reader, element: etree._Element, templates: dict[str, etree._Element]
) -> Group | None:
    key = element.get("id", "")
    members = [
        member
        for inner in children(element, "primitive")
        if (member := _read_primitive(reader, inner, templates)) is not None
    ]
    if not members:
        reader.complain("empty-resource", key, f"group '{key}' has no members")
        return None
    return Group(
        key,
        tuple(members),
        read_sets(reader, element, "meta_attributes"),
        read_sets(reader, element, "instance_attributes"),
    )


def _read_primitive(
    reader: Reader, element: etree._Element, templates: dict[str, etree._Element]
) -> Primitive | None:
    key = element.get("id", "")
    name = element.get("template")
    template = templates.get(name) if name else None
    if name and template is None:
        reader.complain(
            "unknown-template", key, f"primitive '{key}' names template '{name}', which is missing"
        )
        return None
    agent_source = element if template is None else template
    agent = Agent(
        agent_source.get("class", ""),
        agent_source.get("provider", "heartbeat" if agent_source.get("class") == "ocf" else ""),
        agent_source.get("type", ""),
    )
    if not agent.standard or not agent.type:
        reader.complain("no-agent", key, f"primitive '{key}' names no agent (class and type)")
        return None
    layers = [element] if template is None else [element, template]
    return Primitive(
        id=key,
        agent=agent,
        meta=tuple(s for layer in layers for s in read_sets(reader, layer, "meta_attributes")),
        parameters=tuple(
            s for layer in layers for s in read_sets(reader, layer, "instance_attributes")
        ),
        operations=_read_operations(reader, layers),
        utilization=tuple(s for layer in layers for s in read_sets(reader, layer, "utilization")),
        template=name or "",
    )


def _read_operations(reader: Reader, layers: list[etree._Element]) -> tuple[Operation, ...]:
    """Read operations; those of the primitive hide those of its template of equal name and role."""
    found: list[Operation] = []
    hidden: set[tuple[str, str]] = set()
    for layer in layers:
        read = []
        for block in children(layer, "operations"):
            target = reader.resolve(block)
            for element in children(target, "op"):
                operation = _read_operation(reader, element)
                read.append((operation, (operation.name, operation.attribute("role") or "")))
        found += [operation for operation, key in read if key not in hidden]
        hidden |= {key for _, key in read}
    return tuple(found)


def _read_operation(reader: Reader, element: etree._Element) -> Operation:
    target = reader.resolve(element)
    element = element if target is None else target
    key = element.get("id", "")
    text = element.get("interval")
    return Operation(
        id=key,
        name=element.get("name", ""),
        interval_ms=reader.value(text, key, options.as_duration_ms, 0) if text else 0,
        attributes=tuple(
            (str(name), str(value))
            for name, value in element.attrib.items()
            if name not in ("id", "name", "interval")
        ),
        sets=read_sets(reader, element, "meta_attributes"),
        parameters=read_sets(reader, element, "instance_attributes"),
    )
