"""Queries of `crm_resource`: what there is, where it runs, what was done, and why it is so.

Responsible for the words; everything is read from the scheduler's facts, what was recorded of
operations from the status.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from cli.subjects import Subject, walk
from cli.tools import result
from cli.tools.resource_request import Request
from cli.tools.resource_scene import Scene, failure
from cli.tools.result import Element, element_of
from cli.view import recorded, status_xml
from cli.view.extras import descriptions
from cli.view.resource_lines import Lines, Style, configured_id, shown_items
from crm.model.exit_codes import Exit
from crm.model.roles import Role
from crm.plumbing import xml
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.facts.nodes import NodeFacts

_STYLE = Style(places=False, classic=True)


def list_all(scene: Scene, _request: Request, answer: result.Answer) -> int:
    """Show all resources with what they are doing."""
    answer.line("Full List of Resources:")
    style = Style(places=False, classic=True, descriptions=descriptions(scene.document.root))
    for line in Lines(scene.facts, style).all(1):
        answer.line(line)
    inner = tuple(element_of(each) for each in status_xml.resources(scene.facts, classic=True))
    answer.element("resources", {}, inner)
    if not shown_items(scene.facts):
        raise failure(Exit.NO_SUCH_OBJECT)
    return Exit.OK


def list_raw(scene: Scene, _request: Request, answer: result.Answer) -> int:
    """Show the ids of everything that can run on a node by itself."""
    items = walk(scene.facts.everything)
    names = [item.id for item, _parents in items if isinstance(item, Instance)]
    if not names:
        answer.error("NO resources configured")
        raise failure(Exit.NO_SUCH_OBJECT)
    say_list(answer, "resource names", names, item="resource")
    return Exit.OK


def say_list(answer: result.Answer, name: str, words: list[str], *, item: str = "") -> None:
    """Say words: one a line, or as a list of XML."""
    for word in words:
        answer.line(word)
    attributes = {"name": item} if item else {}
    inner = [Element("item", attributes, text=word) for word in words]
    answer.element("list", {"name": name, "count": str(len(words))}, inner)


# --- for test suites ----------------------------------------------------------------------------

_ORPHAN, _MANAGED, _BLOCKED, _NOTIFIES, _UNIQUE, _FENCES, _PROMOTABLE = 1, 2, 4, 16, 32, 64, 128


def list_for_tests(scene: Scene, _request: Request, answer: result.Answer) -> int:
    """Show every resource in columns, and the colocations: what test suites read.

    Columns: kind, id, id without number, parent, provider, class, type, node, whether it needs
    quorum, and what it is as a sum of bits, twice.
    """
    for item, parents in walk(scene.facts.everything):
        answer.line(f"Resource: {' '.join(_columns(scene, item, parents))}")
    for constraint in scene.document.configuration.iterfind("constraints/rsc_colocation"):
        words = ("id", "rsc", "with-rsc", "score", "rsc-role", "with-rsc-role")
        columns = (str(constraint.get(word, "NA")) for word in words)
        answer.line(f"Constraint rsc_colocation {' '.join(columns)}")
    return Exit.OK


def _columns(scene: Scene, item: Placeable, parents: tuple[Placeable, ...]) -> Iterator[str]:
    places = scene.places(item)
    agent = item.resource.agent if isinstance(item, Instance) else None
    kind = {Instance: "primitive", GroupInstance: "group", CloneInstance: "clone"}
    yield kind.get(type(item), "bundle")
    yield item.id
    yield configured_id(item)
    yield configured_id(parents[-1]) if parents else "NA"
    yield "NA" if agent is None or not agent.provider else agent.provider
    yield "(null)" if agent is None else agent.standard
    yield "(null)" if agent is None else agent.type
    yield places[0] if places else "NA"
    yield "0" if agent is not None and agent.is_fencing else "1"
    bits = _bits(scene, item)
    yield str(bits)
    yield f"0x{bits:016x}"


def _bits(scene: Scene, item: Placeable) -> int:
    parts = list(instances_of(item))
    clone = item if isinstance(item, CloneInstance) else None
    looked_after = item.meta.is_managed and not item.meta.maintenance
    chosen = {
        _ORPHAN: any(i.is_removed for i in parts) and clone is None,
        _MANAGED: looked_after and not scene.facts.settings.maintenance,
        _BLOCKED: any(scene.facts.activity[i.id].blocked for i in parts),
        _NOTIFIES: clone is not None and clone.notifies,
        _UNIQUE: clone.is_unique if clone is not None else all(i.is_unique for i in parts),
        _FENCES: isinstance(item, Instance) and item.resource.agent.is_fencing,
        _PROMOTABLE: any(i.is_promotable for i in parts),
    }
    return sum(bit for bit, is_set in chosen.items() if is_set)


# --- recorded operations ------------------------------------------------------------------------


def list_operations(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show the operations that made things what they are."""
    return _say_operations(scene, request, answer, everything=False)


def list_all_operations(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show all recorded operations."""
    return _say_operations(scene, request, answer, everything=True)


def _say_operations(
    scene: Scene, request: Request, answer: result.Answer, *, everything: bool
) -> int:
    status = scene.document.status
    found = list(
        recorded.operations(
            scene.facts, status, request.resource, request.node, everything=everything
        )
    )
    lines = Lines(scene.facts, _STYLE)
    for operation in found:
        answer.line(f"{lines.instance(operation.instance)}: {operation.text}")
    answer.element("operations", {}, [Element("operation", each.attributes) for each in found])
    return Exit.OK


# --- one resource -------------------------------------------------------------------------------


def query(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show how a resource is configured, templates filled in."""
    return _say_configuration(scene, request, answer, is_raw=False)


def query_raw(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show how a resource is configured, as it is written."""
    return _say_configuration(scene, request, answer, is_raw=True)


def _say_configuration(
    scene: Scene, request: Request, answer: result.Answer, *, is_raw: bool
) -> int:
    subject = scene.subject(request.resource)
    for line in Lines(scene.facts, Style(classic=True)).inside(subject.item, 0):
        answer.line(line.replace("* ", "", 1).strip())
    found = configured(scene, subject, is_raw=is_raw)
    text = "" if found is None else xml.serialise(found, pretty=True).decode()
    answer.line(f"Resource XML:\n{text.rstrip()}")
    described = element_of(status_xml.item(scene.facts, subject.item, classic=True))
    answer.element("resource_config", {}, [described, Element("xml", {}, text=text)])
    return Exit.OK


def configured(scene: Scene, subject: Subject, *, is_raw: bool = False) -> Any:
    """Copy the element of a resource; None for what nobody configured.

    Any: an element. Copies in a clone are told apart by an attribute, as ever.
    """
    found = scene.element(subject.id)
    if found is None:
        return None
    found = copy.deepcopy(found)
    if not is_raw:
        for primitive in found.iter("primitive"):
            _fill_in(scene, primitive)
    number = subject.item.number if isinstance(subject.item, Instance | GroupInstance) else None
    if number is not None and not (is_raw and found.get("template")):
        for each in found.iter("primitive", "group"):
            each.set("clone", str(number))
    return found


def _fill_in(scene: Scene, primitive: Any) -> None:  # Any: an element
    """Put into a primitive what its template says, where it says nothing itself."""
    template = scene.document.by_id(primitive.get("template", ""))
    if template is None or template.tag != "template":
        return
    own = _attributes(primitive)
    del own["template"]
    primitive.attrib.clear()
    primitive.set("id", own.pop("id"))
    for name, value in {**_attributes(template), **own}.items():
        if name != "id":
            primitive.set(name, value)
    operations = primitive.find("operations")
    known = {(op.get("name"), op.get("interval")) for op in primitive.iterfind("operations/op")}
    given = [copy.deepcopy(each) for each in template if isinstance(each.tag, str)]
    for at, part in enumerate(each for each in given if each.tag != "operations"):
        primitive.insert(at, part)
    for part in (each for each in given if each.tag == "operations"):
        if operations is None:
            primitive.append(part)
            continue
        for op in part:
            if (op.get("name"), op.get("interval")) not in known:
                operations.append(op)


def _attributes(element: Any) -> dict[str, str]:  # Any: an element
    return {str(name): str(value) for name, value in element.attrib.items()}


def locate(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show where a resource is active."""
    subject = scene.subject(request.resource)
    found = list(_found_at(scene, subject))
    nodes = []
    for node, is_promoted in found:
        word = " Promoted" if is_promoted else ""
        text = node if request.quiet else f"resource {subject.name} is running on: {node}{word}"
        answer.line(text)
        nodes.append(Element("node", {"state": "promoted"} if is_promoted else {}, text=node))
    answer.element("nodes", {"resource": subject.name}, nodes)
    if not found and not request.quiet and not (answer.as_xml or answer.as_json):
        answer.error(f"resource {subject.name} is NOT running")
    return Exit.OK


def _found_at(scene: Scene, subject: Subject) -> Iterator[tuple[str, bool]]:
    """Yield nodes, and whether the resource is promoted there: the last first, as ever."""
    if isinstance(subject.item, BundleInstance):
        yield from ((node, False) for node in reversed(scene.places(subject.item)))
        return
    copies = subject.item.copies if isinstance(subject.item, CloneInstance) else subject.copies
    for each in reversed(copies):
        roles = {scene.facts.activity[part.id].role for part in instances_of(each)}
        yield from ((node, Role.PROMOTED in roles) for node in scene.places(each))


# --- why ----------------------------------------------------------------------------------------


def why(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Say whether resources run, and what in the configuration keeps them as they are."""
    node = scene.node(request.node) if request.node else None
    if request.resource:
        subject = scene.subject(request.resource)
        _why_one(scene, subject, node, answer)
    elif node is not None:
        _why_there(scene, node, answer)
    else:
        _why_all(scene, answer)
    return Exit.OK


def _why_one(scene: Scene, subject: Subject, node: NodeFacts | None, answer: result.Answer) -> None:
    places = scene.places(subject.item)
    told = {}
    if node is None:
        name = subject.item.id
        told["running"] = "true" if places else "false"
        answer.line(f"Resource {name} is {'' if places else 'not '}running")
    else:
        is_here = node.name in places
        told |= {"running_on": node.name} if is_here else {}
        word = "" if is_here else "not "
        answer.line(f"Resource {subject.item.id} is {word}running on host {node.name}")
    answer.element("reason", told, [_check(scene, subject.top, answer)])


def _why_there(scene: Scene, node: NodeFacts, answer: result.Answer) -> None:
    told = []
    for item, parents in walk(scene.facts.everything):
        if isinstance(item, Instance) and node.name in scene.facts.activity[item.id].nodes:
            answer.line(f"Resource {item.id} is running on host {node.name}")
            inner = (_check(scene, parents[0] if parents else item, answer),)
            words = {"id": item.id, "running": "true", "host": node.name}
            told.append(Element("resource", words, inner))
    answer.element("reason", {}, [Element("resources", {}, tuple(told))])


def _why_all(scene: Scene, answer: result.Answer) -> None:
    told = []
    for item in scene.facts.everything:
        is_up = bool(scene.places(item))
        answer.line(f"Resource {item.id} is {'' if is_up else 'not '}running")
        inner = (_check(scene, item, answer),)
        words = {"id": item.id, "running": "true" if is_up else "false"}
        told.append(Element("resource", words, inner))
    answer.element("reason", {}, [Element("resources", {}, tuple(told))])


def _check(scene: Scene, item: Placeable, answer: result.Answer) -> Element:
    """Say what the configuration wants of a resource, where that is not simply to run it."""
    words = {"id": item.id}
    if item.meta.must_stop:
        answer.line(f"Configuration specifies '{item.id}' should remain stopped")
        words["remain_stopped"] = "true"
    elif item.meta.target_role is Role.UNPROMOTED and any(
        each.is_promotable for each in instances_of(item)
    ):
        answer.line(f"Configuration specifies '{item.id}' should not be promoted")
        words["promotable"] = "false"
    if not item.meta.is_managed or item.meta.maintenance or scene.facts.settings.maintenance:
        text = f"Configuration prevents cluster from stopping or starting unmanaged '{item.id}'"
        answer.line(text)
        words["unmanaged"] = "true"
    for instance in instances_of(item):
        lock = scene.facts.locks.get(instance.id)
        if lock is not None and not lock.has_ended:
            answer.line(f"'{item.id}' is locked to node {lock.node} due to shutdown")
            words["locked-to"] = lock.node
            break
    return Element("check", words)
