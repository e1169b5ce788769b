"""What a user's access lists say about parts of the CIB that other daemons write or show.

Fencing, cleaning up and attributes go to daemons that have no CIB and know no access lists. The
gate asks here first, naming the parts that a request would write or an answer would show, and
passes nothing on that is denied. Only says what is allowed; what a request needs stands in the
gate's table.

A part that is not there yet is put into the tree for the moment of the judgement, as it would
be written: only so permissions can select it by an XPath.

Source: docs/decisions/0073-rights-beside-the-cib.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from crm.api import cib as api
from crm.cib import acl, edits, elements, status
from crm.cib import document as documents
from crm.model.writexml import status as write
from crm.plumbing import errors


def answer_rights(
    document: documents.Document, question: api.AskRights, *, own_user: str = ""
) -> api.Rights:
    """Judge each need by the document as it is; it is the same afterwards."""
    if not acl.is_restricted(document.root, question.user, own_user=own_user):
        return api.Rights(question.request)
    subject = acl.Subject(question.user, frozenset(question.groups))
    edit = edits.Edit(document)
    try:
        denied = _denied(edit, subject, question.needs)
    finally:
        edit.undo()
    return api.Rights(question.request, tuple(denied), api.findings_of(denied.values()))


def _denied(
    edit: edits.Edit, subject: acl.Subject, needs: tuple[api.Need, ...]
) -> dict[int, errors.Problem]:
    """Judge each need; gives what there is against some of them, by their place."""
    parts = [list(_elements(edit, need.part)) for need in needs]
    root = edit.document.root
    access = acl.Access(root, acl.permissions_of(root, subject))
    found = (
        (place, _objection(access, subject, need, part))
        for place, (need, part) in enumerate(zip(needs, parts, strict=True))
    )
    return {place: problem for place, problem in found if problem is not None}


def _objection(
    access: acl.Access, subject: acl.Subject, need: api.Need, part: list[etree._Element]
) -> errors.Problem | None:
    verb = "write" if need.write else "read"
    if not part:
        assert isinstance(need.part, api.ObjectPart), "every other part is made if need be"
        name = need.part.id
        return acl.refusal(subject, verb, f"'{name}'", acl.NO_PERMISSION, about=name)
    for element in part:
        decision = access.of(element)
        level = decision.level
        found = access.first_denied_in(element) if need.throughout else None
        if level is acl.Level.DENY or (need.write and level is not acl.Level.WRITE):
            where = element
        elif found is not None:
            where, decision = found
        else:
            continue
        about = where.get("id") or str(where.tag)
        return acl.refusal(subject, verb, elements.path_of(where), decision, about=about)
    return None


def _elements(edit: edits.Edit, part: api.Part) -> Iterator[etree._Element]:
    match part:
        case api.WholeCib():
            yield edit.document.root
        case api.ObjectPart(id=identity):
            known = edit.document.by_id(identity)
            if known is not None:
                yield known
        case api.HistoryPart(node=node, resource=resource):
            for state in _states(edit, node):
                yield from status.histories_or_place(edit, state, resource)
        case api.AttributePart(node=node, name=name, set_id=set_id):
            for state in _states(edit, node):
                yield from status.attributes_or_place(edit, state, name, set_id)


def _states(edit: edits.Edit, node: str) -> list[etree._Element]:
    """Find the states of a node, or of all; one that is missing is made."""
    found = [
        state
        for state in edit.document.status.iterchildren("node_state")
        if not node or state.get("uname") == node
    ]
    if not found:
        uuid = next(
            (
                each.get("id", node)
                for each in edit.document.configuration.iterfind("nodes/node")
                if each.get("uname") == node
            ),
            node,
        )
        found = [write.node_state(uuid, node)]
        edit.insert(edit.document.status, found[0])
    return found
