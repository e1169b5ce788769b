"""Recorded runs of `crm_attribute`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_attribute_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_attribute", ["crm_attribute", "cts-crm_attribute"], tmp_path)
