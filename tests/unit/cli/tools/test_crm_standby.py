"""Standby in a file: for ever, until a reboot, and both at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_standby
from crm.model.exit_codes import Exit
from crm.plumbing import xml

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config/><nodes><node id="1" uname="node1"/></nodes>'
    "<resources/><constraints/></configuration><status>"
    '<node_state id="1" uname="node1"/></status></cib>'
)


@pytest.fixture
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


def run(line: str) -> int:
    return crm_standby.main(["-N", "node1", *line.split()])


def test_a_node_nobody_set_in_standby_is_not(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-G") == 0
    assert capsys.readouterr().out == "scope=status  name=standby value=off\n"


def test_what_lasts_for_ever_is_shown_before_what_ends_with_a_reboot(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-v on -l reboot") == 0
    assert run("-G") == 0
    assert run("-v off") == 0
    assert run("-G") == 0
    assert capsys.readouterr().out.splitlines() == [
        "scope=status  name=standby value=on",
        "scope=nodes  name=standby value=off",
    ]


def test_deleting_forgets_both(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("-v on -l reboot")
    run("-v on")
    assert run("-D") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Deleted nodes attribute: id=nodes-1-standby name=standby",
        "Deleted status attribute: id=status-1-standby name=standby",
    ]
    assert not list(xml.parse(cib.read_bytes()).iter("nvpair"))


def test_an_unknown_option_is_an_error_of_its_own(cib: Path) -> None:
    assert run("--frob") == Exit.ERROR
