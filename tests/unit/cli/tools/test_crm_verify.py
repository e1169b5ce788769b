from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_verify

EMPTY = (
    '<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="0" num_updates="0"><configuration>'
    "<crm_config>{}</crm_config><nodes/><resources>{}</resources><constraints/></configuration>"
    "<status/></cib>"
)
NO_FENCING = (
    '<cluster_property_set id="s"><nvpair id="n" name="stonith-enabled" value="false"/>'
    "</cluster_property_set>"
)
VALID = EMPTY.format(NO_FENCING, "")
INVALID = EMPTY.format(NO_FENCING, '<primitive id="a" klass="x"/>')
WITHOUT_FENCING = EMPTY.format("", "")
DEPRECATED = EMPTY.format(
    NO_FENCING,
    '<group id="g"><meta_attributes id="m"><nvpair id="o" name="ordered" value="false"/>'
    '</meta_attributes><primitive id="a" class="lsb" type="x"/></group>',
)


@pytest.mark.parametrize(
    ("text", "code"),
    [(VALID, 0), (INVALID, 78), (WITHOUT_FENCING, 78), (DEPRECATED, 78), ("junk", 1)],
)
def test_the_exit_code_says_how_it_went(text: str, code: int) -> None:
    assert crm_verify.main(["-X", text]) == code


def test_details_are_for_those_who_ask(capsys: pytest.CaptureFixture[str]) -> None:
    crm_verify.main(["-X", INVALID])
    brief = capsys.readouterr().err
    crm_verify.main(["-X", INVALID, "-V"])
    verbose = capsys.readouterr().err

    assert brief == (
        "crm_verify: Errors found during check: config not valid\n-V may provide more details\n"
    )
    assert "error[unknown-attribute]: primitive 'a' has an attribute 'klass'" in verbose


def test_an_old_cib_is_upgraded_and_then_judged(capsys: pytest.CaptureFixture[str]) -> None:
    old = (
        '<cib have_quorum="true"><configuration><resources><primitive id="a:b" class="lsb" '
        'type="x"/></resources></configuration></cib>'
    )

    assert crm_verify.main(["-X", old, "-V"]) == 0
    assert "warning[resource-renamed]" in capsys.readouterr().err


def test_the_checked_xml_is_saved(tmp_path: Path) -> None:
    saved = tmp_path / "saved.xml"

    assert crm_verify.main(["-X", VALID, "-S", str(saved)]) == 0
    assert b"<crm_config>" in saved.read_bytes()


def test_a_file_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_verify.main(["-x", "nosuch.xml"]) == 1
    assert capsys.readouterr().err == "crm_verify: Couldn't parse input file: nosuch.xml\n"


def test_no_source_is_an_error() -> None:
    assert crm_verify.main([]) == 1


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_verify.main(["--frob"]) == 64
    assert capsys.readouterr().err == "crm_verify: Unknown option --frob\n"


def test_without_a_cluster_there_is_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIB_file", raising=False)

    assert crm_verify.main(["-L", "--root", str(tmp_path)]) == 66


def test_a_file_may_stand_in_for_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cib.xml"
    monkeypatch.setenv("CIB_file", str(path))

    path.write_text(VALID)
    assert crm_verify.main(["-L"]) == 0
    path.write_text(WITHOUT_FENCING)
    assert crm_verify.main(["-L"]) == 78
    path.write_text(INVALID)
    assert crm_verify.main(["-L"]) == 66


def test_the_result_is_xml_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    crm_verify.main(["-X", VALID, "--output-as", "xml"])

    assert '<status code="0" message="OK"/>' in capsys.readouterr().out
