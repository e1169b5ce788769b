"""Digests of operation parameters: how a changed configuration is noticed.

The history keeps, with every operation, a digest of the parameters it was run with; the scheduler
computes the digest of today's parameters and compares. Both sides must digest the same bytes, so
the one definition stands here. This module does not decide what a difference means.

Source: docs/protocol/transition.md, "Digests"; the two values of the test are published ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\n": "&#10;",
        "\r": "&#13;",
        "\t": "&#9;",
    }
)


def digest_text(parameters: Mapping[str, str]) -> str:
    """Write parameters as the one line that is digested, sorted by name."""
    attributes = "".join(
        f' {name}="{value.translate(_ESCAPES)}"' for name, value in sorted(parameters.items())
    )
    return f" <parameters{attributes}/>\n"


def operation_digest(
    parameters: Mapping[str, str], *, interval_ms: int = 0, timeout_ms: int = 0
) -> str:
    """Digest the parameters an operation is run with.

    The timeout counts for recurring operations alone: changing it must schedule the monitor anew,
    while a start or stop that has already ended does not care.

    Units: interval and timeout in milliseconds.
    """
    counted = {name: value for name, value in parameters.items() if not name.startswith("CRM_meta")}
    if interval_ms > 0:
        counted["CRM_meta_timeout"] = str(timeout_ms)
    line = digest_text(counted).encode()
    return hashlib.md5(line, usedforsecurity=False).hexdigest()
