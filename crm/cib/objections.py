"""Why the master does not make a change, before it is even tried.

Responsible for a stale base, for partitions without quorum, for disks that refuse, and for how many
may wait. Not responsible for what the change says (`operations`) nor for who asks (`acl`).
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.api import cib as api
from crm.cib.localcopy import LocalCopy
from crm.cib.unanswered import UNDURABLE_HINT, UNWRITABLE
from crm.cib.warrants import pair_of
from crm.model.readxml.sets import options_in_force
from crm.model.version import Version
from crm.plumbing import errors
from crm.plumbing.errors import Problem

Refusal = tuple[api.Outcome, Problem]

MAX_TOLD = 5
"""So many of the newest changes a writer is told of who comes too late."""


def objection_to_base(change: api.Change, copy: LocalCopy) -> Refusal | None:
    """Refuse a change that was made for another version than the present one."""
    base, current = change.based_on, copy.document.version
    if base is None:
        return None
    if pair_of(base) != pair_of(current):
        message = f"the configuration is at {current}, the change was made for {base}"
        message += _since(copy, base, change.origin)
    elif change.based_digest not in ("", copy.document.digest()):
        message = f"the change was made for another {base} than the one that was agreed on"
    else:
        return None
    hint = "read it again and repeat the change there"
    return api.Outcome.CONFLICT, errors.error("conflict", "cib", message, hint)


def _since(copy: LocalCopy, base: Version, origin: api.Origin) -> str:
    """Say what has changed since a version, to somebody who may read all of it."""
    if copy.guard(origin) is not None:
        return ""
    later = [
        f"{entry.name} ({entry.summary or 'not recorded'})"
        for entry in copy.history.entries[-MAX_TOLD:]
        if pair_of(entry.after) > pair_of(base)
    ]
    return f"; since then came {', '.join(later)}" if later else ""


def no_quorum() -> Refusal:
    """Refuse a change in a partition that has no quorum."""
    message = "this partition has no quorum, its configuration stays as it is"
    hint = "wait for more nodes, or force the change"
    return api.Outcome.NO_QUORUM, errors.error("no-quorum", "cib", message, hint)


def not_durable(failing: Mapping[str, str]) -> Refusal:
    """Refuse a change that these nodes could not write, for these reasons."""
    where = ", ".join(f"{node}: {reason}" for node, reason in failing.items())
    message = f"nothing was changed: {UNWRITABLE}: {where}"
    return api.Outcome.NOT_DURABLE, errors.error("not-durable", "cib", message, UNDURABLE_HINT)


def busy() -> Refusal:
    """Refuse a change because too many wait already."""
    problem = errors.error("busy", "cib", "too many changes wait for the disks")
    return api.Outcome.NOT_READY, problem


def no_quorum_policy(copy: LocalCopy) -> str:
    """Read what the configuration says about partitions without quorum."""
    values = options_in_force(copy.document.configuration)
    return values.get("no-quorum-policy", values.get("no_quorum_policy", "stop")).lower()
