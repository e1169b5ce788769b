"""Tickets in a file: what is shown, and what changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_ticket
from crm.model.exit_codes import Exit
from crm.plumbing import xml

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config/><nodes/><resources/><constraints/>'
    '</configuration><status><tickets><ticket_state id="A" granted="true" last-granted="0"/>'
    '<ticket_state id="B" granted="false" standby="true"/></tickets></status></cib>'
)


@pytest.fixture
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


def tickets(path: Path) -> dict[str, dict[str, str]]:
    root = xml.parse(path.read_bytes())
    return {
        str(state.get("id")): {str(k): str(v) for k, v in state.attrib.items() if k != "id"}
        for state in root.iter("ticket_state")
    }


def test_standby_tickets_are_marked(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_ticket.main(["-l"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A\tgranted ")
    assert lines[1] == "B\trevoked [standby]"


@pytest.mark.parametrize("words", [["-t", "A", "-r"], ["-t", "B", "-g"], ["-t", "A", "-C"]])
def test_nothing_is_given_or_taken_without_force(cib: Path, words: list[str]) -> None:
    assert crm_ticket.main(words) == Exit.INSUFFICIENT_PRIVILEGES
    assert cib.read_text() == CIB


def test_a_granted_ticket_says_since_when(cib: Path) -> None:
    assert crm_ticket.main(["-t", "B", "-g", "-f"]) == 0
    assert tickets(cib)["B"]["granted"] == "true"
    assert int(tickets(cib)["B"]["last-granted"]) > 0


def test_granting_again_changes_nothing(cib: Path) -> None:
    assert crm_ticket.main(["-t", "A", "-g", "-f"]) == 0
    assert cib.read_text() == CIB


def test_a_deleted_attribute_leaves_the_others(cib: Path) -> None:
    assert crm_ticket.main(["-t", "B", "-D", "standby"]) == 0
    assert tickets(cib)["B"] == {"granted": "false"}


def test_a_cleaned_up_ticket_is_gone(cib: Path) -> None:
    assert crm_ticket.main(["-t", "B", "-C"]) == 0
    assert list(tickets(cib)) == ["A"]
    assert crm_ticket.main(["-t", "B", "-C"]) == Exit.NO_SUCH_OBJECT


@pytest.mark.parametrize("name", ['a="1" b', "id", "", "<"])
def test_odd_names_of_attributes_are_refused(cib: Path, name: str) -> None:
    assert crm_ticket.main(["-t", "B", "-S", name, "-v", "1"]) == Exit.USAGE
    assert cib.read_text() == CIB


def test_a_broken_file_cannot_be_opened(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cib.write_text(CIB[:-9])
    assert crm_ticket.main(["-l"]) == Exit.INVALID_CONFIGURATION
    assert "Could not connect to the CIB" in capsys.readouterr().err


def test_all_tickets_are_shown_as_the_section_that_holds_them(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_ticket.main(["-q"]) == 0
    assert capsys.readouterr().out.startswith("State XML:\n\n<tickets>\n")


def test_a_ticket_nobody_knows_is_cleaned_up_by_force_alone(cib: Path) -> None:
    assert crm_ticket.main(["-C", "-t", "nobody"]) == Exit.NO_SUCH_OBJECT
    assert crm_ticket.main(["-C", "-t", "nobody", "-f"]) == 0


def test_of_several_queries_the_last_one_counts(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_ticket.main(["-q", "-w"]) == 0
    ids = capsys.readouterr().out
    assert crm_ticket.main(["-w"]) == 0
    assert capsys.readouterr().out == ids
