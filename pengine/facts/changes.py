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
    if not entry.digest:
        return Change.UNKNOWN
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


def _without_reloadable(entry: HistoryEntry, parameters: Mapping[str, str]) -> dict[str, str]:
    """Keep the parameters whose change needs a restart: those the agent listed."""
    listed = set(entry.force_restart.split())
    return {name: value for name, value in parameters.items() if name in listed}
