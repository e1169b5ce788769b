"""Recorded runs of `crm_mon`, replayed: agreement with them only grows.

What cannot agree: a broken CIB, where the classic tool ends well all the same; the exit code of
`-s`, which is that of a monitoring plug-in here; HTML; and what newer releases judge otherwise (an
agent that refuses its parameters when it is probed does not count as running).
"""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_mon_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_mon", ["crm_mon", "cts-crm_mon"], tmp_path)
