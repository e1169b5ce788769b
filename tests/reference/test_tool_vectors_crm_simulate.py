"""Recorded runs of `crm_simulate`, replayed: agreement with them only grows.

What cannot agree says what newer releases say: they call maintenance and the lack of a fence device
by other names, and the graph has other attributes.
"""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_crm_simulate_still_does(tmp_path: Path) -> None:
    tool_vectors.check("crm_simulate", ["crm_simulate", "cts-crm_simulate"], tmp_path)
