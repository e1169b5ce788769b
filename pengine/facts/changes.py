"""Has the configuration changed since an operation ran? Compares digests of parameters.

A history entry keeps up to three digests: of all parameters, of those whose change needs a
restart (`op-restart-digest`, named by `op-force-restart`), and of those that are no secrets
(`op-secure-digest`, all but `op-secure-params`). What the bytes of a digest are says
`crm.model.digests`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from crm.model import digests
from crm.model.status import HistoryEntry

HIDDEN_VALUE = "****"
"""What stands in a sanitised CIB in place of a secret."""

NO_PARAMETERS: Mapping[str, str] = {}


class Change(enum.Enum):
    """What a comparison found."""

    NONE = "none"
    UNKNOWN = "unknown"
    """The entry has no digest, so anything may have changed."""
    RESTART = "restart"
    """What changed needs a restart, whatever the agent can do."""
    RELOAD = "reload"
    """What changed can be taken over by an agent that knows how to reload."""


def operation_digest(parameters: Mapping[str, str], interval_ms: int, timeout_ms: int) -> str:
    """Digest the parameters of an operation as history records them."""
    counted = {name: value for name, value in parameters.items() if name != "crm_feature_set"}
    return digests.operation_digest(counted, interval_ms=interval_ms, timeout_ms=timeout_ms)


def compare(
    entry: HistoryEntry,
    parameters: Mapping[str, str],
    own: Mapping[str, str] = NO_PARAMETERS,
    *,
    interval_ms: int = 0,
    timeout_ms: int = 0,
    trusts_hidden: bool = True,
) -> Change:
    """Compare what an operation ran with against what it would run with today.

    Parameters that a sanitised CIB hides count as unchanged if all others are, unless even that
    is a change (`trusts_hidden`).

    `own` are the parameters of the operation itself, which come over those of the resource. Their
    change asks for a restart: a reload would not run that operation again (case
    restart-with-extra-op-params).
    """
    counted = {**parameters, **own}
    shown = bool(entry.secure_digest) and HIDDEN_VALUE in counted.values()
    found = _compare(entry, counted, interval_ms, timeout_ms)
    if (
        found is not Change.NONE
        and trusts_hidden
        and shown
        and _is_same_without_secrets(entry, parameters)
    ):
        return Change.NONE
    if found is Change.RELOAD and interval_ms == 0 and own:
        return Change.RESTART
    return found


def _compare(
    entry: HistoryEntry, counted: Mapping[str, str], interval_ms: int, timeout_ms: int
) -> Change:
    if entry.restart_digest:
        fixed = dict(counted)
        if entry.force_restart is not None:
            listed = entry.force_restart.split()
            fixed = {name: value for name, value in counted.items() if name in listed}
        if operation_digest(fixed, 0, timeout_ms) != entry.restart_digest:
            return Change.RESTART
    if not entry.digest:
        return Change.UNKNOWN
    if operation_digest(counted, interval_ms, timeout_ms) != entry.digest:
        return Change.RELOAD
    return Change.NONE


FENCING_PREFIX = "pcmk_"
"""Begins the parameters of fence devices that the cluster itself reads."""


def _is_same_without_secrets(entry: HistoryEntry, parameters: Mapping[str, str]) -> bool:
    """Compare what a sanitised CIB still shows: all but the secret parameters."""
    secret = set(entry.secure_parameters.split())
    shown = {
        name: value
        for name, value in parameters.items()
        if name not in secret and not name.startswith(FENCING_PREFIX)
    }
    return operation_digest(shown, 0, 0) == entry.secure_digest
