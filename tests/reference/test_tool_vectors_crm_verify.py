"""Recorded runs of `crm_verify`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_verify_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_verify", ["crm_verify", "cts-crm_verify"], tmp_path)
