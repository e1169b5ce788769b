"""Reading a document: a section, what an XPath selects, or all of it.

Source: docs/protocol/cib.md, "Queries"; tools.md section 2.
"""

from __future__ import annotations

import copy

from lxml import etree

from crm.api import cib as api
from crm.cib.document import Document
from crm.plumbing import xml


def answer_query(document: Document, query: api.Query) -> api.QueryReply:
    """Read what a query selects."""
    if query.xpath:
        found = document.select(query.xpath)
    else:
        section = document.section(query.section)
        found = [] if section is None else [section]
    if not found:
        return api.QueryReply(query.request, api.Outcome.NOT_FOUND, document.version)
    if query.no_children:
        found = [_without_children(element) for element in found]
    if len(found) == 1:
        text = xml.serialise(found[0])
    else:
        inner = b"".join(xml.serialise(element) for element in found)
        text = b"<xpath-query>" + inner + b"</xpath-query>"
    return api.QueryReply(query.request, api.Outcome.OK, document.version, text)


def _without_children(element: etree._Element) -> etree._Element:
    bare = copy.copy(element)
    for child in list(bare):
        bare.remove(child)
    return bare
