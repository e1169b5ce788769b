"""Has the configuration changed since an operation ran? Compares digests of parameters.

A digest is the MD5 sum of one line: a blank, `<parameters a="1" b="2"/>`, a newline; attributes
sorted by name; for recurring operations the timeout in milliseconds as `CRM_meta_timeout`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from xml.sax.saxutils import escape

from crm.model.status import HistoryEntry

HIDDEN_VALUE = "****"
"""What stands in a sanitised CIB in place of a secret."""


class Change(enum.Enum):
    """What a comparison found."""

    NONE = "none"
    UNKNOWN = "unknown"
    RESTART = "restart"
    RELOAD = "reload"


def digest(parameters: Mapping[str, str]) -> str:
    """Digest a set of parameters."""
    pairs = "".join(
        f' {name}="{escape(parameters[name], {chr(34): "&quot;"})}"' for name in sorted(parameters)
    )
    line = f" <parameters{pairs}/>\n"
    return hashlib.md5(line.encode(), usedforsecurity=False).hexdigest()


def operation_digest(parameters: Mapping[str, str], interval_ms: int, timeout_ms: int) -> str:
    """Digest an operation as history records it."""
    counted = {
        name: value
        for name, value in parameters.items()
        if not name.startswith("CRM_meta_") and name != "crm_feature_set"
    }
    if interval_ms > 0:
        counted["CRM_meta_timeout"] = str(timeout_ms)
    return digest(counted)


def compare(
    entry: HistoryEntry, parameters: Mapping[str, str], interval_ms: int, timeout_ms: int
) -> Change:
    """Compare what an operation ran with against what it would run with today."""
    if not entry.digest or entry.call_id < 0:
        return Change.UNKNOWN
    if entry.secure_digest and HIDDEN_VALUE in parameters.values():
        return _compare_shown(entry, parameters)
    if interval_ms == 0 and entry.restart_digest:
        reloadable = _without_reloadable(entry, parameters)
        if operation_digest(reloadable, 0, timeout_ms) != entry.restart_digest:
            return Change.RESTART
        if operation_digest(parameters, 0, timeout_ms) != entry.digest:
            return Change.RELOAD
        return Change.NONE
    if operation_digest(parameters, interval_ms, timeout_ms) != entry.digest:
        return Change.RESTART
    return Change.NONE


def _compare_shown(entry: HistoryEntry, parameters: Mapping[str, str]) -> Change:
    """Compare what a sanitised CIB still shows: all but the secret parameters."""
    secret = set(entry.secure_parameters.split())
    shown = {
        name: value
        for name, value in parameters.items()
        if name not in secret and not name.startswith("pcmk_")
    }
    return Change.NONE if digest(shown) == entry.secure_digest else Change.RESTART


def _without_reloadable(entry: HistoryEntry, parameters: Mapping[str, str]) -> dict[str, str]:
    """Keep the parameters whose change needs a restart: those the agent listed."""
    listed = set(entry.force_restart.split())
    return {name: value for name, value in parameters.items() if name in listed}
