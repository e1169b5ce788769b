"""cibadmin on a file: options, texts and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import cibadmin
from crm.cib import document as documents

PRIMITIVE = '<primitive id="a" class="ocf" provider="pacekeeper" type="Dummy"/>'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_bytes(documents.Document(documents.empty(5)).text(pretty=True))
    monkeypatch.setenv("CIB_file", str(path))
    return path


def test_query_prints_a_section(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cibadmin.main(["-Q", "-o", "resources"]) == 0
    assert capsys.readouterr().out == "<resources/>\n"


def test_create_rewrites_the_file_and_counts(file: Path) -> None:
    assert cibadmin.main(["-C", "-o", "resources", "-X", PRIMITIVE]) == 0
    document = documents.Document.parse(file.read_bytes())
    assert document.by_id("a") is not None
    assert document.version.epoch == 6


def test_creating_twice_says_what_exists(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cibadmin.main(["-C", "-o", "resources", "-X", PRIMITIVE])
    assert cibadmin.main(["-C", "-o", "resources", "-X", PRIMITIVE]) == 108
    shown = capsys.readouterr()
    assert shown.err == "Call failed: File exists\n"
    assert '<failed_update id="a" object_type="primitive"' in shown.out


def test_a_dangling_reference_is_refused_by_name(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    text = '<rsc_location id="l" rsc="nobody" node="n1" score="1"/>'
    assert cibadmin.main(["-C", "-o", "constraints", "-X", text]) == 78
    assert "nobody" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-Q", "-A", "//primitive["], 105),
        (["-Q", "-A", "//nothing"], 105),
        (["-M", "-X", PRIMITIVE], 105),
        (["-R"], 70),
        (["-P"], 0),
        (["-E"], 107),
        (["-u"], 107),
        (["-d", "-A", "//x"], 107),
        (["-5"], 64),
        (["--frob"], 64),
        ([], 64),
        (["-C", "-o", "resources", "-X", "<primitive"], 78),
        (["-C", "-o", "resources", "-x", "/nonexistent"], 78),
        (["--empty"], 0),
        (["-C", "-X", PRIMITIVE], 105),
        (["-C", "-o", "nonsense", "-X", PRIMITIVE], 78),
        (["-C", "-o", "resources", "-X", " "], 78),
        (["-Q", "-E"], 107),
        (["-E", "-Q"], 0),
        (["-Q", "-h", "n1"], 0),
    ],
)
def test_exit_codes(file: Path, words: list[str], code: int) -> None:
    assert cibadmin.main(words) == code


def test_a_missing_and_a_broken_file_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIB_file", str(tmp_path / "none.xml"))
    assert cibadmin.main(["-Q"]) == 105
    (tmp_path / "none.xml").write_text("<cib")
    assert cibadmin.main(["-Q"]) == 78


def test_without_a_cluster_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CIB_file", raising=False)
    assert cibadmin.main(["-Q", "--root", str(tmp_path)]) == 102
    assert "Transport endpoint is not connected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-S"], 64, "requires -U user"),
        (["-Sloud", "-U", "u"], 64, 'Unrecognized value for --show-access: "loud"'),
        (["-S", "-U", "root"], 78, "Could not evaluate access"),
    ],
)
def test_rights_are_shown_of_ordinary_users_only(
    file: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert cibadmin.main(["-Q", *words]) == code
    assert said in capsys.readouterr().err


def test_without_rights_everything_is_shown_as_denied(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cibadmin.main(["-Q", "--show-access=text", "--user", "u", "-o", "resources"]) == 0
    assert "vvv---[ ~DENIED~ ]---vvv\n<resources/>\n" in capsys.readouterr().out


def test_the_digest_of_what_daemons_exchange_leaves_out_who_wrote_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = '<cib crm_feature_set="3.16.1"><a/></cib>'
    signed = '<cib crm_feature_set="3.16.1" update-user="u"><a crm-debug-origin="f"/></cib>'
    shown = []
    for text in (plain, signed):
        assert cibadmin.main(["-6", "-X", text]) == 0
        shown.append(capsys.readouterr())
    assert shown[0] == shown[1]
    assert shown[0].err == "Versioned (3.16.1) digest:"


def test_paths_without_children_are_ids(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cibadmin.main(["-C", "-o", "resources", "-X", PRIMITIVE])
    assert cibadmin.main(["-Q", "-A", "//primitive | //resources", "-e", "-n"]) == 0
    assert capsys.readouterr().out == "/cib/configuration/resources\na\n"


def test_a_directory_is_no_cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIB_file", str(tmp_path))
    assert cibadmin.main(["-Q"]) == 78
