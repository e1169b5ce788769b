"""`crm_resource --constraints` and `--stack`: locations and colocations about a resource.

Responsible for which are shown below which. Each is a constraint as the scheduler resolved it:
tags and sets in pairs, rules judged for each node.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import dataclasses

from cli.subjects import walk
from cli.tools import result
from cli.tools.resource_request import Request
from cli.tools.resource_scene import Scene
from cli.tools.result import Element
from crm.model import score
from crm.model.exit_codes import Exit
from crm.model.roles import Role
from pengine.facts.instances import BundleInstance, CloneInstance, GroupInstance, Instance
from pengine.facts.links import Together

_KINDS = (Instance, GroupInstance, CloneInstance, BundleInstance)


def constraints(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show what ties a resource to nodes and to other resources.

    What is in a group, clone or bundle goes where that goes; `forced` looks at it alone.
    """
    subject = scene.subject(request.resource)
    shown = subject.item if request.forced else subject.top
    _Telling(scene, answer, is_recursive=request.recursive).tell(shown.id)
    return Exit.OK


def stack(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show the same, and what those resources are tied to, and so on."""
    return constraints(scene, dataclasses.replace(request, recursive=True), answer)


class _Telling:
    """One answer. What was followed already is not followed again, so that circles end."""

    def __init__(self, scene: Scene, answer: result.Answer, *, is_recursive: bool) -> None:
        self._scene = scene
        self._answer = answer
        self._is_recursive = is_recursive
        self._elements: list[Element] = []
        self._seen: set[str] = set()
        self._items = {item.id: item for item, _parents in walk(scene.facts.everything)}

    def tell(self, resource: str) -> None:
        """Say everything about a resource."""
        self._locations(resource, 0)
        for with_this in (True, False):
            self._seen = {resource}
            self._colocations(resource, 0, with_this=with_this)
        self._answer.element("constraints", {}, self._elements)

    def _line(self, depth: int, text: str) -> None:
        bullet = f"{'  ' * depth}* " if depth else ""
        self._answer.line(f"{bullet}{text}")

    def _locations(self, resource: str, depth: int) -> None:
        found = [
            (node, points, preference.constraint)
            for preference in self._scene.facts.links.preferences
            if preference.resource == resource
            for node, points in preference.scores
        ]
        if found:
            self._line(depth, "Locations:")
        for node, points, constraint in reversed(found):
            amount = score.text(points)
            text = f"Node {node} (score={amount}, id={constraint}, rsc={resource})"
            self._line(depth + 1, text)
            words = {"node": node, "rsc": resource, "id": constraint, "score": amount}
            self._elements.append(Element("rsc_location", words))

    def _colocations(self, resource: str, depth: int, *, with_this: bool) -> None:
        """Say what has to be with a resource, or what it has to be with."""
        found = self._links(resource, with_this=with_this)
        if found:
            title = (
                "Resources colocated with {}:" if with_this else "Resources {} is colocated with:"
            )
            self._line(depth, title.format(resource))
        for link in found:
            other = link.dependent if with_this else link.primary
            self._elements.append(_element(link))
            if other in self._seen:
                self._line(depth + 1, f"{other} (id={link.constraint} - loop)")
                continue
            details = _details(link, with_this=with_this)
            self._line(depth + 1, f"{other} ({details})")
            self._locations(other, depth + 2)
            if self._is_recursive:
                self._seen.add(other)
                self._colocations(other, depth + 2, with_this=with_this)

    def _links(self, resource: str, *, with_this: bool) -> list[Together]:
        """List the colocations of a resource, by what the other one is, as the scheduler does.

        Clones come before what is placed with this one, and after what this one is placed with.
        """
        links = [
            link
            for link in self._scene.facts.links.together
            if not link.is_implied and resource == (link.primary if with_this else link.dependent)
        ]

        def rank(link: Together) -> tuple[int, int, str]:
            other = self._items[link.dependent if with_this else link.primary]
            kind = _KINDS.index(type(other))
            return -other.meta.priority, -kind if with_this else kind, other.id

        return sorted(links, key=rank)


def _details(link: Together, *, with_this: bool) -> str:
    words = [f"score={score.text(link.score)}"]
    if with_this and link.primary_role is not None:
        words.append(f"needs role={_word(link.primary_role)}")
    elif not with_this and link.primary_role is not None:
        words.append(f"with role={_word(link.primary_role)}")
    words.append(f"id={link.constraint}")
    return ", ".join(words)


def _element(link: Together) -> Element:
    words = {
        "id": link.constraint,
        "rsc": link.dependent,
        "with-rsc": link.primary,
        "score": score.text(link.score),
    }
    if link.dependent_role is not None:
        words["rsc-role"] = _word(link.dependent_role)
    if link.primary_role is not None:
        words["with-rsc-role"] = _word(link.primary_role)
    if link.node_attribute != "#uname":
        words["node-attribute"] = link.node_attribute
    return Element("rsc_colocation", words)


def _word(role: Role) -> str:
    return role.word
