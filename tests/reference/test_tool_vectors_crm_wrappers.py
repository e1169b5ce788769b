"""Recorded runs of the commands made of `crm_attribute`, replayed: agreement only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_wrappers_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_wrappers", ["crm_wrappers", "cts-crm_standby"], tmp_path)
