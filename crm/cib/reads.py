"""What is answered from the local copy at once, whoever rules.

Responsible for choosing who answers a question; `query` and `rights` do.
"""

from __future__ import annotations

from crm.api import cib as api
from crm.cib.localcopy import LocalCopy
from crm.cib.query import answer_query, answer_revisions
from crm.cib.rights import answer_rights

Question = api.Query | api.AskRevisions | api.AskRights | api.DescribeCib
Answer = api.QueryReply | api.Revisions | api.Rights | api.CibDescription


def answer(copy: LocalCopy, question: Question) -> Answer:
    """Answer a question about the document or its history."""
    document, own_user = copy.document, copy.own_user
    match question:
        case api.Query():
            return answer_query(document, question, own_user=own_user)
        case api.AskRevisions():
            entries = copy.history.entries
            return answer_revisions(document, entries, question, own_user=own_user)
        case api.AskRights():
            return answer_rights(document, question, own_user=own_user)
        case api.DescribeCib(request=request):
            return api.CibDescription(request, document.version, document.digest(), document.schema)
