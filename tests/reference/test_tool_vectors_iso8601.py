"""Recorded runs of `iso8601`, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_iso8601_still_does(tmp_path: Path) -> None:
    tool_vectors.check("iso8601", ["iso8601", "cts-dates"], tmp_path)
