"""Recorded runs of tools that find no cluster, replayed: agreement with them only grows."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tool_vectors

pytestmark = tool_vectors.MARKS


def test_what_agreed_with_the_recorded_no_daemon_still_does(tmp_path: Path) -> None:
    tool_vectors.check("no_daemon", ["no-daemon"], tmp_path)
