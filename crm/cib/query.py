"""Reading a document (a section, what an XPath selects, or all of it) and its history.

What its user may not see is not there for a query (`acl`).

Source: docs/protocol/cib.md, "Queries"; tools.md section 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from lxml import etree

from crm.api import cib as api
from crm.cib import acl
from crm.cib import document as documents
from crm.cib.document import Document


def answer_query(document: Document, query: api.Query, *, own_user: str = "") -> api.QueryReply:
    """Read what a query selects of what its user may see."""
    guard = acl.guard_of(document.root, query.user, query.groups, own_user=own_user)
    if query.xpath:
        shown = document.root if guard is None else guard.shown()
        found = [] if shown is None else documents.select(shown, query.xpath)
    else:
        shown = document.section(query.section) if guard is None else guard.shown(query.section)
        found = [] if shown is None else [shown]
    if guard is not None and not found and not guard.sees_anything():
        return api.QueryReply(query.request, api.Outcome.DENIED, document.version)
    if not found:
        return api.QueryReply(query.request, api.Outcome.NOT_FOUND, document.version)
    if query.no_children:
        found = [_without_children(element) for element in found]
    if len(found) == 1:
        text = document.text_of(found[0])
    else:
        inner = b"".join(map(document.text_of, found))
        text = b"<xpath-query>" + inner + b"</xpath-query>"
    return api.QueryReply(query.request, api.Outcome.OK, document.version, text)


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

    It holds all that ever stood in the configuration, so where ACLs are in force only those read
    it for whom ACLs do not count.
    """
    if acl.is_restricted(document.root, question.user, own_user=own_user):
        return api.Revisions(question.request, api.Outcome.DENIED, document.version)
    chosen = entries[-question.newest :] if question.newest else entries
    if not question.patches:
        chosen = [msgspec.structs.replace(entry, backward=b"") for entry in chosen]
    return api.Revisions(question.request, api.Outcome.OK, document.version, tuple(chosen))
