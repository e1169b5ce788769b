"""Whose eyes a command looks with, and what to say when access lists hide something from them.

Source: decisions 0072 and 0073.
"""

from __future__ import annotations

from crm.api.gateclient import asking_user
from crm.plumbing import accounts
from crm.plumbing.errors import Problem, warning


def partial_words() -> str:
    """Say that a CIB is only a part of what there is."""
    user = asking_user() or accounts.own_user()
    return f"access lists hide a part of the CIB from user '{user}': what is not shown may be there"


def nothing_words() -> str:
    """Say that access lists show nothing at all."""
    user = asking_user() or accounts.own_user()
    return f"the access lists of the CIB let user '{user}' see nothing of it"


def unjudged() -> Problem:
    """Say that a part of a CIB cannot be checked by itself."""
    return warning(
        "partial-cib",
        "cib",
        f"not checked here: {partial_words()}",
        "the cib checks the whole when something is changed; a user who may read all can verify it",
    )
