"""Users and groups of this system, as its account database has them.

Source: getpwnam(3), getgrouplist(3).
"""

from __future__ import annotations

import grp
import os
import pwd


def own_user() -> str:
    """Name the user this process runs as; "" if that uid has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def groups_of(user: str) -> tuple[str, ...]:
    """List the names of a user's groups in their order; none for a user that is not known."""
    if not user:
        return ()
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return ()
    names = {_name_of(number) for number in os.getgrouplist(user, entry.pw_gid)}
    return tuple(sorted(names - {""}))


def _name_of(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
