"""Fail counts in a file: how they add up, and that they are not forgotten there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_failcount
from crm.model.exit_codes import Exit

NAMES = {
    "fail-count-p1#start_0": "2",
    "fail-count-p1#monitor_10000": "3",
    "fail-count-p1": "4",
    "fail-count-p10#start_0": "INFINITY",
}
PAIRS = "".join(
    f'<nvpair id="s{number}" name="{name}" value="{value}"/>'
    for number, (name, value) in enumerate(NAMES.items())
)
CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config/><nodes><node id="1" uname="node1"/></nodes>'
    '<resources/><constraints/></configuration><status><node_state id="1" uname="node1">'
    f'<transient_attributes id="1"><instance_attributes id="status-1">{PAIRS}'
    "</instance_attributes></transient_attributes></node_state></status></cib>"
)


@pytest.fixture(autouse=True)
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("-r p1", "5"),
        ("-r p1 -n start", "2"),
        ("-r p1 -n monitor -I 10", "3"),
        ("-r p1 -n monitor", "4"),
        ("-r p10", "INFINITY"),
        ("-r p2", "0"),
    ],
)
def test_counts_of_operations_add_up_and_older_ones_stand_in(
    words: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_failcount.main([*words.split(), "-N", "node1", "-G", "-q"]) == 0
    assert capsys.readouterr().out == f"{value}\n"


@pytest.mark.parametrize("words", ["-D", "-v 0"])
def test_failures_are_forgotten_in_a_running_cluster_only(words: str, cib: Path) -> None:
    assert crm_failcount.main(["-r", "p1", "-N", "node1", *words.split()]) == Exit.NOT_CONNECTED
    assert cib.read_text() == CIB


@pytest.mark.parametrize("words", ["-r p1 -N node1", "-N node1 -G", "-r p1 -v 3"])
def test_a_resource_and_something_to_do_must_be_named(words: str) -> None:
    assert crm_failcount.main(words.split()) == Exit.USAGE


def test_a_file_does_not_tell_which_node_is_meant(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_failcount.main(["-r", "p1", "-G"]) == Exit.USAGE
    assert "node name required" in capsys.readouterr().err


def test_of_a_file_that_cannot_be_read_there_is_no_value(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cib.write_text("<cib")
    assert crm_failcount.main(["-r", "p1", "-N", "node1", "-G"]) == 0
    assert capsys.readouterr().out == "scope=status  name=fail-count-p1 value=\n"
