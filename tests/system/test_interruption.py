"""The demonstration, interrupted: nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def _below(parent: int) -> set[int]:
    """Every descendant of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(words[1]), []).append(int(entry.name))
    found: set[int] = set()
    pending = [parent]
    while pending:
        for child in children.get(pending.pop(), []):
            found.add(child)
            pending.append(child)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.lab.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, TMPDIR=str(tmp_path)),
        text=True,
    )
    assert process.stdout is not None
    while "three directors start" not in process.stdout.readline():
        assert process.poll() is None, "it ended before it was interrupted"
    (lab,) = tmp_path.glob("pacekeeper-demo-*/lab")
    keeper = int((lab / "keeper.pid").read_text())
    assert _below(keeper), "the keeper holds hosts"
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert not Path(f"/proc/{keeper}").exists()
    assert list(tmp_path.iterdir()) == []
