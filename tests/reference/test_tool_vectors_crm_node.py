"""Recorded runs of `crm_node` and `crmadmin`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_node_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_node", ["crm_node", "cts-crmadmin"], tmp_path)
