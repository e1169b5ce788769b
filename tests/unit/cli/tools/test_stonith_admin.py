"""stonith_admin at the gate of a running cluster, and without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.tools import stonith_admin
from crm.api.fencing import ConfirmDown, Fence
from crm.model.exit_codes import Exit
from tests.kit.cluster_at_gate import ClusterAtTheGate


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    yield made
    made.close()


def run(line: str) -> int:
    return stonith_admin.main(line.split())


def test_devices_are_listed(served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]) -> None:
    served.devices = ("st1", "st2")
    assert run("-L") == 0
    assert run("-l node2") == 0
    served.devices = ()
    assert run("-L") == 0
    assert capsys.readouterr().out.splitlines() == [
        *("st1", "st2", "2 fence devices found"),
        *("st1", "st2", "2 fence devices found"),
        "No fence devices found",
    ]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("-B node2", Fence(0, "node2", "reboot", 120_000)),
        ("-F node2 -t 7", Fence(0, "node2", "off", 7000)),
        ("-U node2", Fence(0, "node2", "on", 120_000)),
        ("-C node2", ConfirmDown(0, "node2", "")),
    ],
)
def test_what_stonithd_refuses_is_said_with_its_reason_and_code(
    served: ClusterAtTheGate,
    line: str,
    asked: msgspec.Struct,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served.fencing_rc = Exit.UNIMPLEMENTED
    assert run(line) == Exit.UNIMPLEMENTED
    assert "node2: because the test says so" in capsys.readouterr().err
    assert [msgspec.structs.replace(each, request=0) for each in served.told] == [asked]


def test_a_person_confirms_that_a_node_is_down(served: ClusterAtTheGate) -> None:
    assert run("-C node2") == 0


def test_a_device_is_never_called_checked(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.devices = ("st1",)
    assert run("-Q st1") == Exit.UNIMPLEMENTED
    assert run("-Q st9") == Exit.NO_SUCH_OBJECT
    assert "known devices: st1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["-H node1", "-h node1", "-s st1", "-D st1", "-r node1 -i 1 -v st1", "-d node1 -i 1"]
)
def test_what_stonithd_does_not_know_is_refused_plainly(
    served: ClusterAtTheGate, line: str
) -> None:
    assert run(line) == Exit.UNIMPLEMENTED
    assert served.told == []


def test_installed_agents_need_no_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "usr/sbin"
    folder.mkdir(parents=True)
    for name in ("fence_ipmi", "cron"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    assert run(f"-I --root {tmp_path}") == 0
    assert capsys.readouterr().out.splitlines() == ["fence_ipmi", "1 fence device found"]
    assert run(f"-M -a fence_ipmi --root {tmp_path}") == Exit.UNIMPLEMENTED
    assert run(f"-M -a fence_none --root {tmp_path}") == Exit.NO_SUCH_OBJECT
    assert run(f"-K -a fence_none --root {tmp_path}") == Exit.NO_SUCH_OBJECT


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("", Exit.USAGE, "no command"),
        ("-M", Exit.USAGE, "Please specify an agent"),
        ("-L -t soon", Exit.USAGE, "'soon'"),
        ("-L", Exit.NOT_CONNECTED, "Could not connect to fencer: Transport endpoint"),
        ("-F n1", Exit.NOT_CONNECTED, "stonith_admin: Couldn't fence n1: Transport endpoint"),
        ("-U n1", Exit.NOT_CONNECTED, "stonith_admin: Couldn't unfence n1: Transport endpoint"),
    ],
)
def test_without_a_cluster(
    line: str,
    code: Exit,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    assert run(line) == code
    assert text in capsys.readouterr().err
