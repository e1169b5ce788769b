"""Reading a document (a section, what an XPath selects, or all of it) and its history.

What its user may not see is not there for a query (`acl`).

Source: docs/protocol/cib.md, "Queries"; tools.md section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from lxml import etree

from crm.api import cib as api
from crm.cib import acl, growth
from crm.cib import document as documents
from crm.cib.document import Document
from crm.plumbing import errors, xml
from crm.plumbing.errors import ConfigurationError


def answer_query(document: Document, query: api.Query, *, own_user: str = "") -> api.QueryReply:
    """Read what a query selects of what its user may see."""
    guard = acl.guard_of(document.root, query.user, query.groups, own_user=own_user)
    if guard is None:
        return _answer(document, query, acl.Sight(document.root))
    with guard.only_visible() as sight:
        return _answer(document, query, sight)


def _answer(document: Document, query: api.Query, sight: acl.Sight) -> api.QueryReply:
    root, version = sight.root, document.version
    if root is None:
        return api.QueryReply(query.request, api.Outcome.DENIED, version)
    try:
        found = _found(root, query)
        if not found:
            return api.QueryReply(query.request, api.Outcome.NOT_FOUND, version)
        # The document keeps texts of the whole: they are no answer where something is hidden.
        written = xml.serialise if sight.is_partial else document.text_of
        text = _written(found, written)
    except ConfigurationError as problem:
        findings = api.findings_of(problem.problems)
        return api.QueryReply(query.request, api.Outcome.ERROR, version, findings=findings)
    digest = "" if sight.is_partial else document.digest()
    return api.QueryReply(
        query.request, api.Outcome.OK, version, text, sight.is_partial, digest=digest
    )


def _found(root: etree._Element, query: api.Query) -> list[etree._Element]:
    if query.xpath:
        found = documents.select(root, query.xpath)
    else:
        section = documents.section_of(root, query.section)
        found = [] if section is None else [section]
    return [_without_children(element) for element in found] if query.no_children else found


def _written(found: Sequence[etree._Element], written: Callable[[etree._Element], bytes]) -> bytes:
    """Write what was found; what stands in something else that was found is written twice.

    Raises: ConfigurationError if that is more than one answer can hold.
    """
    if len(found) == 1:
        return written(found[0])
    parts = []
    room = growth.LIMITS.total_bytes
    for element in found:
        parts.append(written(element))
        room -= len(parts[-1])
        if room < 0:
            message = f"what was asked for is longer than {growth.LIMITS.total_bytes} bytes"
            hint = "ask for less, without children, or for where it stands: cibadmin --node-path"
            problem = errors.error("answer-too-large", "xpath", message, hint)
            raise ConfigurationError(message, [problem])
    return b"<xpath-query>" + b"".join(parts) + b"</xpath-query>"


def _without_children(element: etree._Element) -> etree._Element:
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    bare = etree.Element(element.tag, attributes)
    bare.text = element.text
    return bare


def answer_revisions(
    document: Document,
    entries: Sequence[api.Revision],
    question: api.AskRevisions,
    *,
    own_user: str = "",
) -> api.Revisions:
    """Read the history, with or without its patches.

    It holds all that ever stood in the configuration, and what a denial would have selected
    there nobody can tell any more. So where access lists are in force it is for those who may
    read the configuration and whom no permission denies anything.
    """
    wrong = _objection_to_history(document, question, own_user)
    if wrong is not None:
        version = document.version
        findings = api.findings_of((wrong,))
        return api.Revisions(question.request, api.Outcome.DENIED, version, findings=findings)
    chosen = entries[-question.newest :] if question.newest else entries
    if not question.patches:
        chosen = [msgspec.structs.replace(entry, backward=b"") for entry in chosen]
    return api.Revisions(question.request, api.Outcome.OK, document.version, tuple(chosen))


def _objection_to_history(
    document: Document, question: api.AskRevisions, own_user: str
) -> errors.Problem | None:
    if not acl.is_restricted(document.root, question.user, own_user=own_user):
        return None
    subject = acl.Subject(question.user, frozenset(question.groups))
    permissions = acl.permissions_of(document.root, subject)
    decision = acl.Access(document.root, permissions).of(document.configuration)
    denial = next((each for each in permissions if each.level is acl.Level.DENY), None)
    if denial is not None:
        decision = acl.Decision(acl.Level.DENY, denial)
    if decision.level is not acl.Level.DENY:
        return None
    what = "the history, which shows everything the configuration ever held"
    return acl.refusal(subject, "read", what, decision, about="history")
