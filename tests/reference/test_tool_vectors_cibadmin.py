"""Recorded runs of `cibadmin`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_cibadmin_still_does(tmp_path: Path) -> None:
    tool_vectors.check("cibadmin", ["cibadmin", "cts-cibadmin", "cts-validity"], tmp_path)
