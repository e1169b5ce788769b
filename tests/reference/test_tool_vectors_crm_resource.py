"""Recorded runs of `crm_resource`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_resource_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_resource", ["crm_resource", "cts-crm_resource"], tmp_path)
