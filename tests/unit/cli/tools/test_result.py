"""The three forms of an answer, and the words for wrong calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tools import cibadmin, crm_diff, crm_rule, crm_ticket, crm_verify, iso8601
from crm.model.exit_codes import Exit

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config/><nodes/><resources/><constraints/>'
    '</configuration><status><tickets><ticket_state id="A" granted="true"/>'
    "</tickets></status></cib>"
)
Main = Callable[[list[str]], int]


@pytest.fixture(autouse=True)
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


def test_xml_is_known_only_where_the_original_knows_it() -> None:
    assert iso8601.main(["-n", "--output-as=xml"]) == Exit.USAGE


def test_lines_stand_in_json_where_there_are_no_objects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert iso8601.main(["-d", "2024-01-01T00:00:00Z", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["Date: 2024-01-01 00:00:00Z"]


def test_tickets_are_json_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_ticket.main(["-l", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"] == [{"kind": "ticket", "id": "A", "granted": "true"}]


@pytest.mark.parametrize(
    ("main", "words", "code"),
    [
        (crm_diff.main, ["-O", "<a/>", "-N", "<b/>"], Exit.ERROR),
        (crm_rule.main, ["-c", "-r", "none"], Exit.NO_SUCH_OBJECT),
        (crm_ticket.main, ["-t", "B", "-C"], Exit.NO_SUCH_OBJECT),
        (iso8601.main, ["-d", "nonsense"], Exit.INVALID_PARAMETER),
        (iso8601.main, ["--frob"], Exit.USAGE),
    ],
)
def test_json_tells_the_exit_code(
    main: Main, words: list[str], code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["status"]["code"] == code
    assert said.err == ""


def test_every_finding_of_crm_verify_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    broken = CIB.replace("<resources/>", '<resources><primitive id="p"/></resources>')
    assert crm_verify.main(["-X", broken, "--json"]) == Exit.INVALID_CONFIGURATION
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"]["code"] == Exit.INVALID_CONFIGURATION
    assert {"code", "severity", "subject", "message", "hint"} == set(answer["problems"][0])


def test_a_section_is_a_tree_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert cibadmin.main(["-Q", "-A", "//tickets", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    ticket = {"kind": "ticket_state", "id": "A", "granted": "true"}
    assert answer["result"] == [{"kind": "tickets", "items": [ticket]}]


@pytest.mark.parametrize("words", [["-Q", "-A", "//none"], ["-E"], ["--frob"]])
def test_json_tells_why_the_cib_was_not_shown_or_changed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = cibadmin.main([*words, "--json"])
    status = json.loads(capsys.readouterr().out)["status"]
    assert status["code"] == code != 0
    assert len(status["errors"]) == 1
