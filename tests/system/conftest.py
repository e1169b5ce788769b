"""Labs for the system tests: made in a temporary directory, always taken down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.lab.plan import LabPlan
from cli.lab.remote import Lab


def _namespaces_work() -> bool:
    if os.getuid() == 0:
        return True
    return subprocess.run(["unshare", "-Urn", "true"], check=False).returncode == 0


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[[LabPlan], Lab]]:
    """Make labs from plans; every one of them is gone after the test."""
    if not _namespaces_work():
        pytest.skip("needs root or user namespaces")
    made: list[Lab] = []

    def make(plan: LabPlan) -> Lab:
        lab = Lab.up(plan, tmp_path / f"lab{len(made)}")
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.down()
