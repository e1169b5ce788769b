"""One action of an agent run by hand: its end is read as lrmd reads it, and its time is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm.api.lrm import ResourceAgent
from crm.model.outcomes import ExitCode, OperationStatus
from lrmd import bypass

AGENT = ResourceAgent(agent_class="ocf", provider="test", type="Odd")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/lib/ocf/resource.d/test").mkdir(parents=True)
    return tmp_path


def write(root: Path, body: str) -> None:
    program = root / "usr/lib/ocf/resource.d/test/Odd"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def run(root: Path, **options: int) -> bypass.AgentEnded:
    action = bypass.Action("web", AGENT, "start", {"colour": "red"}, **options)
    return bypass.run(root, "n1", action)


def test_an_agent_is_told_its_parameters_and_its_end_is_told(root: Path) -> None:
    write(root, 'echo "$OCF_RESKEY_colour $1"; echo "ocf-exit-reason:no" >&2; exit 6')
    ended = run(root)
    assert (ended.rc, ended.output) == (ExitCode.NOT_CONFIGURED, "red start\n")
    assert "ocf-exit-reason:no" in ended.errors


def test_an_agent_that_does_not_end_is_killed(root: Path) -> None:
    write(root, "exec sleep 3600")
    ended = run(root, timeout_ms=100)
    assert ended.status is OperationStatus.TIMEOUT
    assert "killed" in ended.exit_reason


def test_an_agent_that_is_not_here_is_not_installed(root: Path) -> None:
    assert run(root).rc == ExitCode.NOT_INSTALLED
