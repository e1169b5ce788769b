"""What `crm_resource` sets, shows and deletes of a resource: parameters, properties, itself.

Responsible for where a value belongs (a meta attribute of what is in a clone belongs to the
clone), for the operations, and for the words.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

from collections.abc import Mapping

from cli import parameters
from cli.edits import need_resource
from cli.parameters import Wanted
from cli.subjects import Subject
from cli.tools import result
from cli.tools.resource_lists import configured
from cli.tools.resource_request import Request
from cli.tools.resource_scene import TOOL, Scene, failure, wrong_use
from cli.tools.result import Element, Failure
from crm.api import cib as api
from crm.model.configuration import Item
from crm.model.exit_codes import Exit
from crm.model.resources import AttributeSet, Resource
from crm.model.score import INFINITY
from crm.model.writexml import configuration as writing
from crm.plumbing import xml
from pengine.facts.instances import Instance
from pengine.facts.values import flatten, situation

# --- showing ------------------------------------------------------------------------------------


def get_parameter(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show a parameter as it holds now: rules judged, templates and defaults included."""
    subject = scene.subject(request.resource)
    places = scene.places(subject.item)
    if len(places) > 1:
        name = request.subject
        text = f"{subject.name} is active on more than one node, returning the default value for"
        answer.error(f"{text} {name}")
    value = _values(scene, request, subject, places).get(request.subject)
    if value is None:
        answer.error(f"Attribute '{request.subject}' not found for '{subject.name}'")
        return Exit.OK
    answer.line(value)
    inner = [Element("item", {"name": request.subject}, text=value)]
    answer.element("list", {"name": "attributes", "count": "1"}, inner)
    return Exit.OK


def _values(
    scene: Scene, request: Request, subject: Subject, places: list[str]
) -> Mapping[str, str]:
    item = subject.item
    if request.kind == "element":
        found = configured(scene, subject)
        return {} if found is None else {str(k): str(v) for k, v in found.attrib.items()}
    if request.kind == "meta":
        return item.meta.pairs
    if request.kind == "utilization":
        sets = item.resource.utilization if isinstance(item, Instance) else ()
        return flatten(sets, situation(scene.facts.now))
    if isinstance(item, Instance):
        return scene.facts.parameters(item, places[0] if len(places) == 1 else "")
    return flatten(_parameters_of(scene, subject), situation(scene.facts.now))


def _parameters_of(scene: Scene, subject: Subject) -> tuple[AttributeSet, ...]:
    """Find the parameters of a container."""
    resources: list[Resource] = list(scene.cluster.resources)
    resources += [r.child for r in scene.cluster.resources if hasattr(r, "child") and r.child]
    return next((r.parameters for r in resources if r.id == subject.id), ())


def get_property(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show an attribute of the element of a resource."""
    found = configured(scene, scene.subject(request.resource))
    value = None if found is None else found.get(request.subject)
    if value is not None:
        answer.line(str(value))
        inner = [Element("item", {"name": request.subject}, text=str(value))]
        answer.element("list", {"name": "properties", "count": "1"}, inner)
    return Exit.OK


# --- setting ------------------------------------------------------------------------------------


def set_parameter(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Set a parameter where it belongs; with `recursive` also on what is bound to the resource."""
    if not request.value:
        raise wrong_use("You need to supply a value with the -v option")
    subject = scene.subject(request.resource)
    if request.kind == "element":
        _set_attribute(scene, subject, request.subject, request.value)
        answer.line(f"Set attribute: name={request.subject} value={request.value}")
        return Exit.OK
    # One change for each resource, as ever: who waits for versions to grow counts them.
    for owner in _owners(scene, request, subject, answer, "update"):
        answer.line(_set_on(scene, request, owner))
    if request.recursive and request.kind == "meta":
        for owner in _bound_to(scene, subject):
            answer.line(_set_on(scene, request, owner))
    return Exit.OK


def _set_on(scene: Scene, request: Request, owner: str) -> str:
    """Set the value on one resource; gives what there is to say about it."""
    made = parameters.setting(_item(scene, owner), _wanted(request), str(request.value))
    text = writing.serialise(parameters.as_item(made))
    scene.change(api.XmlOperation(api.XmlTask.MODIFY, text, section="resources", may_create=True))
    return made.text


def _wanted(request: Request) -> Wanted:
    return Wanted(request.kind, request.subject, request.set_id, request.pair_id)


def _item(scene: Scene, owner: str) -> Item:
    return need_resource(scene.configuration, owner).item


def _words(**attributes: str) -> str:
    return " ".join(f"{name}={xml.quoted(value)}" for name, value in attributes.items())


# --- deleting -----------------------------------------------------------------------------------


def delete_parameter(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Take a parameter away; one that is not there is none to be taken away."""
    subject = scene.subject(request.resource)
    if request.kind == "element":
        raise wrong_use("an attribute of an element can be set, but not be deleted")
    wanted = _wanted(request)
    for owner in _owners(scene, request, subject, answer, "delete"):
        found = parameters.value_of(_item(scene, owner), wanted)
        if found is None:
            continue
        text = f"<nvpair {_words(id=found.id, name=request.subject)}/>".encode()
        scene.change(api.XmlOperation(api.XmlTask.DELETE, text, section="resources"))
        answer.line(parameters.removal_text(owner, wanted, found))
    return Exit.OK


# --- whose value it is --------------------------------------------------------------------------


def _owners(
    scene: Scene, request: Request, subject: Subject, answer: result.Answer, verb: str
) -> tuple[str, ...]:
    """List the ids of the resources whose value is meant, and say what there is to say."""
    if scene.element(subject.id) is None:
        raise failure(Exit.NO_SUCH_OBJECT, f"'{subject.name}' is not configured by itself")
    owners = parameters.owners_of(
        scene.configuration,
        subject.id,
        _wanted(request),
        verb=verb,
        name=subject.name,
        forced=request.forced,
    )
    for line in owners.remarks:
        answer.line(line)
    return owners.ids


def _bound_to(scene: Scene, subject: Subject) -> list[str]:
    """List what has to be where a resource is, and what has to be where that is, and so on."""
    found: list[str] = []
    waiting = [subject.item.id]
    while waiting:
        primary = waiting.pop(0)
        for link in scene.facts.links.together:
            is_bound = link.primary == primary and link.score >= INFINITY and not link.is_implied
            if is_bound and link.dependent not in (*found, subject.item.id):
                found.append(link.dependent)
                waiting.append(link.dependent)
    return [scene.subject(each).id for each in found]


# --- properties and whole resources -------------------------------------------------------------


def set_property(scene: Scene, request: Request, _answer: result.Answer) -> int:
    """Set an attribute of the element of a resource, whose tag must be named."""
    if request.element is None:
        raise failure(Exit.NO_SUCH_OBJECT, "Must specify -t with resource type")
    if request.value is None:
        raise failure(Exit.NO_SUCH_OBJECT, "Must supply -v with new value")
    subject = scene.subject(request.resource)
    element = scene.element(subject.id)
    if element is None or element.tag != request.element:
        raise failure(Exit.NO_SUCH_OBJECT)
    _set_attribute(scene, subject, request.subject, request.value)
    return Exit.OK


def _set_attribute(scene: Scene, subject: Subject, name: str, value: str) -> None:
    element = scene.element(subject.id)
    if element is None:
        raise failure(Exit.NO_SUCH_OBJECT)
    text = f"<{element.tag} {_words(id=subject.id)}/>"
    made = xml.parse(text.encode())
    try:
        made.set(name, value)
    except ValueError as problem:
        raise Failure(Exit.USAGE, f"{TOOL}: '{name}' is no attribute: {problem}") from problem
    change = api.XmlOperation(api.XmlTask.MODIFY, xml.serialise(made), section="resources")
    scene.change(change)


def delete(scene: Scene, request: Request, _answer: result.Answer) -> int:
    """Take a resource out of the configuration; its tag must be named."""
    if request.element is None:
        raise failure(Exit.NO_SUCH_OBJECT, "You need to specify a resource type with -t")
    scene.subject(request.resource)
    made = xml.parse(b"<x/>")
    try:
        made.tag = request.element
    except ValueError as problem:
        text = f"'{request.element}' is no kind of resource: {problem}"
        raise wrong_use(text) from problem
    made.set("id", request.resource)
    scene.change(api.XmlOperation(api.XmlTask.DELETE, xml.serialise(made), section="resources"))
    return Exit.OK
