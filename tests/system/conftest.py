"""Labs for the system tests: made in a temporary directory, always taken down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from cli.lab.plan import LabPlan
from cli.lab.remote import Lab

_LOG_LINES = 500
_HAS_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for `make_lab` whether the test went wrong."""
    report = yield
    if report.when == "call":
        item.stash[_HAS_FAILED] = report.failed
    return report


def _show_logs(lab: Lab) -> None:
    """Print the end of every log of a lab: pytest shows it below the failure."""
    for log in sorted(lab.directory.glob("nodes/*/var/log/ha-log")):
        lines = log.read_text(errors="replace").splitlines()
        print(f"--- {log}, the last of {len(lines)} lines", *lines[-_LOG_LINES:], sep="\n")


def _namespaces_work() -> bool:
    if os.getuid() == 0:
        return True
    return subprocess.run(["unshare", "-Urn", "true"], check=False).returncode == 0


@pytest.fixture
def make_lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[LabPlan], Lab]]:
    """Make labs from plans; every one of them is gone after the test.

    After a failure the logs of their nodes are shown.
    """
    if not _namespaces_work():
        pytest.skip("needs root or user namespaces")
    made: list[Lab] = []

    def make(plan: LabPlan) -> Lab:
        lab = Lab.up(plan, tmp_path / f"lab{len(made)}")
        made.append(lab)
        return lab

    yield make
    for lab in made:
        if request.node.stash.get(_HAS_FAILED, False):
            _show_logs(lab)
        lab.down()
