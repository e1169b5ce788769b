"""What `crm_resource` sets, shows and deletes of a resource: parameters, properties, itself.

Responsible for where a value belongs (a meta attribute of what is in a clone belongs to the
clone), for the operations, and for the words.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.tools import result
from cli.tools.resource_lists import configured
from cli.tools.resource_request import TAGS, Request
from cli.tools.resource_scene import TOOL, Scene, Subject, failure, wrong_use
from cli.tools.result import Element, Failure
from cli.view.resource_lines import configured_id
from crm.api import cib as api
from crm.model.exit_codes import Exit
from crm.model.resources import AttributeSet, Resource
from crm.model.score import INFINITY
from crm.plumbing import xml
from pengine.facts.instances import CloneInstance, GroupInstance, Instance
from pengine.facts.values import flatten, situation

_IN_NO_ID = str.maketrans(":#", "..")
"""Names may hold what ids may not."""


@dataclass(frozen=True)
class _Pair:
    """A value as it stands in the CIB."""

    id: str
    value: str
    set_id: str


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
    for holder in _holders(scene, request, subject, answer, "update"):
        answer.line(_set_on(scene, request, holder, answer))
    if request.recursive and request.kind == "meta":
        for holder in _bound_to(scene, subject):
            answer.line(_set_on(scene, request, holder, answer))
    return Exit.OK


def _set_on(scene: Scene, request: Request, holder: str, answer: result.Answer) -> str:
    """Set the value on one resource; gives what there is to say about it."""
    name, value = request.subject, str(request.value)
    found = _only(scene, request, holder, answer)
    tag = TAGS[request.kind]
    set_id = request.set_id or (found.set_id if found else f"{holder}-{tag}")
    pair_id = f"{set_id}-{name.translate(_IN_NO_ID)}"
    if found is not None:
        pair_id = found.id
    elif request.pair_id is not None:
        pair_id = request.pair_id
    scene.change(_setting(scene, holder, tag, set_id, pair_id, name, value))
    # The classic words for a new value whose id was given.
    shown_id = "(null)" if found is None and request.pair_id is not None else pair_id
    where = f" set={set_id}" if found is None or request.set_id is not None else ""
    return f"Set '{holder}' option: id={shown_id}{where} name={name} value={value}"


def _setting(
    scene: Scene, holder: str, tag: str, set_id: str, pair_id: str, name: str, value: str
) -> api.Operation:
    element = scene.element(holder)
    assert element is not None, "a holder is found in the configuration"
    pair = f"<nvpair {_words(id=pair_id, name=name, value=value)}/>"
    inner = f"<{tag} {_words(id=set_id)}>{pair}</{tag}>"
    text = f"<{element.tag} {_words(id=holder)}>{inner}</{element.tag}>"
    return api.XmlOperation(api.XmlTask.MODIFY, text.encode(), section="resources", may_create=True)


def _words(**attributes: str) -> str:
    return " ".join(f"{name}={xml.quoted(value)}" for name, value in attributes.items())


# --- deleting -----------------------------------------------------------------------------------


def delete_parameter(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Take a parameter away; one that is not there is none to be taken away."""
    subject = scene.subject(request.resource)
    if request.kind == "element":
        raise wrong_use("an attribute of an element can be set, but not be deleted")
    for holder in _holders(scene, request, subject, answer, "delete"):
        found = _only(scene, request, holder, answer)
        if found is None:
            continue
        text = f"<nvpair {_words(id=found.id, name=request.subject)}/>".encode()
        scene.change(api.XmlOperation(api.XmlTask.DELETE, text, section="resources"))
        answer.line(f"Deleted '{holder}' option: id={found.id} name={request.subject}")
    return Exit.OK


# --- whose value it is --------------------------------------------------------------------------


def _holders(
    scene: Scene, request: Request, subject: Subject, answer: result.Answer, verb: str
) -> list[str]:
    """List the ids of the resources whose value is meant.

    Only meta attributes go elsewhere: what is in a clone has those of the clone, unless it has one
    of its own; members of a group that have one of their own follow the group.
    """
    if request.forced:
        return [subject.id]
    parent = subject.parent
    is_shared = request.kind == "meta" and isinstance(parent, CloneInstance)
    around = configured_id(parent) if is_shared and parent is not None else subject.id
    found = list(_pairs(scene, request, around, deep=True))
    if len(found) > 1:
        _say_matches(answer, request.subject, found)
    if request.kind != "meta":
        return [subject.id]
    has_own = any(_pairs(scene, request, subject.id))
    if is_shared and not has_own:
        text = f"Performing {verb} of '{request.subject}' on '{around}', the parent of"
        answer.line(f"{text} '{subject.name}'")
        return [around]
    return _downwards(scene, request, subject, answer, verb)


def _downwards(
    scene: Scene, request: Request, subject: Subject, answer: result.Answer, verb: str
) -> list[str]:
    item = subject.item
    if isinstance(item, CloneInstance) and item.copies:
        child = item.child_id
        if any(_pairs(scene, request, child)):
            text = f"A value for '{request.subject}' already exists in child '{child}', performing"
            answer.line(f"{text} {verb} on that instead of '{subject.id}'")
            return [child]
    if isinstance(item, GroupInstance):
        members = [member.resource.id for member in item.members]
        own = [each for each in members if any(_pairs(scene, request, each))]
        return [*own, subject.id]
    return [subject.id]


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


def _only(scene: Scene, request: Request, holder: str, answer: result.Answer) -> _Pair | None:
    """Find the value that is meant in the sets of a resource itself.

    Raises: Failure if several are.
    """
    found = list(_pairs(scene, request, holder, set_id=request.set_id))
    if len(found) > 1:
        _say_matches(answer, request.subject, found)
        raise failure(Exit.MULTIPLE)
    return found[0] if found else None


def _pairs(
    scene: Scene, request: Request, holder: str, *, set_id: str | None = None, deep: bool = False
) -> Iterator[_Pair]:
    """Yield the values of the name in sets of a resource; with `deep` also of what it holds."""
    element = scene.element(holder)
    if element is None:
        return
    tag = TAGS[request.kind]
    sets: Any = element.iterdescendants(tag) if deep else element.iterchildren(tag)  # elements
    for each in sets:
        if set_id not in (None, each.get("id")):
            continue
        for pair in each.iter("nvpair"):
            if pair.get("name") != request.subject:
                continue
            if request.pair_id in (None, pair.get("id")):
                yield _Pair(pair.get("id", ""), pair.get("value", ""), each.get("id", ""))


def _say_matches(answer: result.Answer, name: str, found: list[_Pair]) -> None:
    answer.line(f"Multiple attributes match name={name}")
    for each in found:
        answer.line(f"  Value: {each.value} \t(id={each.id})")
    answer.line("")


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
