"""Recorded runs of `crm_shadow`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_shadow_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_shadow", ["crm_shadow"], tmp_path)
