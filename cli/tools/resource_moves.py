"""`crm_resource --move`, `--ban` and `--clear`: constraints that a command makes and ends.

Responsible for which node is meant, for refusing what makes no sense, and for the words. The
constraints themselves are those of the shell (`cli.moves`).

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

from cli import moves
from cli.subjects import Subject
from cli.tools import result
from cli.tools.resource_request import Request
from cli.tools.resource_scene import TOOL, Scene, failure, wrong_use
from cli.tools.result import Failure
from crm.api import cib as api
from crm.model.configuration import Item
from crm.model.exit_codes import Exit
from crm.model.readxml import configuration as reading
from crm.model.roles import Role
from crm.model.writexml import configuration as writing
from pengine.facts.instances import Instance, instances_of

_WARNING = """\
WARNING: Creating rsc_location constraint '{id}' with a score of -INFINITY for resource {rsc} on \
{node}.
	This will prevent {rsc} from {what} on {node} until the constraint is removed using the clear \
option or by editing the CIB with an appropriate tool
	This will be the case even if {node} is the last node in the cluster"""


def move(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Draw a resource to a node; without one, send it away from where it is."""
    subject = _whole(scene, request)
    if not request.node:
        return ban(scene, request, answer)
    node = scene.node(request.node).name
    places = _places(scene, subject, promoted=request.promoted)
    if not places or (not request.promoted and _is_promotable(subject)):
        # A copy that is promoted is the one people mean, if there is just one.
        leading = _places(scene, subject, promoted=True)
        places = leading if len(leading) == 1 else places
    if places == [node] and not request.forced:
        raise Failure(
            Exit.EXISTS, f"{TOOL}: Error performing operation: Requested item already exists"
        )
    until = _until(scene, request, answer)
    role = "Promoted" if request.promoted else "Started"
    made = moves.preference(subject.id, node, role=role, until=until)
    ended = moves.overruled(_constraints(scene), subject.id, node)
    scene.change(*(removal(each) for each in ended), creation(made))
    if request.forced and len(places) == 1 and places != [node]:
        _ban_from(scene, request, answer, subject, places[0], until)
    return Exit.OK


def ban(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Keep a resource off a node; without one, off the only one where it is."""
    subject = _whole(scene, request)
    if request.node:
        node = scene.node(request.node).name
    else:
        node = _present_node(scene, request, subject)
    _ban_from(scene, request, answer, subject, node, _until(scene, request, answer))
    return Exit.OK


def _whole(scene: Scene, request: Request) -> Subject:
    """Find the resource; one copy of a clone cannot be moved by itself."""
    subject = scene.subject(request.resource)
    if subject.is_numbered:
        text = f"Cannot operate on clone resource instance '{subject.name}'"
        raise failure(Exit.INVALID_PARAMETER, text)
    return subject


def _present_node(scene: Scene, request: Request, subject: Subject) -> str:
    places = _places(scene, subject, promoted=request.promoted)
    if len(places) == 1:
        return places[0]
    leading = _places(scene, subject, promoted=True) if _is_promotable(subject) else []
    if len(leading) == 1 and not request.promoted:
        return leading[0]
    count = len(leading) if request.promoted else len(places)
    word = "locations" if not request.promoted else "locations in the promoted role"
    raise wrong_use(
        f"Resource '{subject.name}' not moved: active in {count} {word}.\n"
        f"To prevent '{subject.name}' from running on a specific location, specify a node."
    )


def _is_promotable(subject: Subject) -> bool:
    return any(each.is_promotable for each in instances_of(subject.item))


def _places(scene: Scene, subject: Subject, *, promoted: bool) -> list[str]:
    """List where a resource is active, or only where it is promoted."""
    copies = subject.copies if isinstance(subject.item, Instance) else (subject.item,)
    found: dict[str, None] = {}
    for each in (part for copy in copies for part in instances_of(copy)):
        state = scene.facts.activity[each.id]
        if promoted and each.is_promotable and state.role is not Role.PROMOTED:
            continue
        found.update(dict.fromkeys(state.nodes))
    return list(found)


def _until(scene: Scene, request: Request, answer: result.Answer) -> str:
    if not request.lifetime:
        return ""
    try:
        until = moves.end_of_lifetime(request.lifetime, scene.now)
    except ValueError as problem:
        text = f"Invalid duration specified: {request.lifetime}\n  {problem}"
        raise Failure(Exit.USAGE, text) from problem
    answer.line(f"Migration will take effect until: {until}")
    return until


def _ban_from(
    scene: Scene, request: Request, answer: result.Answer, subject: Subject, node: str, until: str
) -> None:
    role = "Promoted" if request.promoted else "Started"
    made = moves.ban(subject.id, node, role=role, until=until)
    known = [each for each in _constraints(scene).children if each.id == made.id]
    if known != [made]:  # the same ban once more changes nothing, not even the version
        scene.change(*(removal(each) for each in known), creation(made))
    if not request.quiet:
        what = "being promoted" if request.promoted else "running"
        answer.line(_WARNING.format(id=made.id, rsc=subject.id, node=node, what=what))


def clear(scene: Scene, request: Request, answer: result.Answer) -> int:
    """End what move and ban made; with `expired` only what has no effect any more."""
    resource = scene.subject(request.resource).id if request.resource else ""
    node = scene.node(request.node).name if request.node else ""
    found = [
        each
        for each in moves.left_over(_constraints(scene), resource, node, wherever=request.forced)
        if not request.expired or moves.has_expired(each, scene.now)
    ]
    if found:
        scene.change(*map(removal, found))
    for each in found:
        answer.line(f"Removing constraint: {each.id}")
    return Exit.OK


def _constraints(scene: Scene) -> Item:
    found = scene.document.section("constraints")
    return Item("constraints") if found is None else reading.read(found)


def creation(made: Item) -> api.Operation:
    """Make the change that puts a constraint into the configuration."""
    text = writing.serialise(made)
    return api.XmlOperation(api.XmlTask.MODIFY, text, section="constraints", may_create=True)


def removal(made: Item) -> api.Operation:
    """Make the change that takes a constraint out of the configuration."""
    only_id = writing.serialise(Item(made.tag, {"id": made.id}))
    return api.XmlOperation(api.XmlTask.DELETE, only_id, section="constraints")
