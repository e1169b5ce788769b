"""Hostile files and pipes at the tools: an exit code and one line, and nothing is changed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cli.tools import cibadmin, crm_verify
from crm.cib import document as documents
from tests.kit import hostile

SOME = (
    "bomb of entities",
    "external entity",
    "3 million elements",
    "300000 attributes",
    "depth of 10000",
    "20 MB of a value",
    "UTF-16",
    "Latin 1",
    "a zero byte",
    "two roots",
)


class Pipe(io.TextIOWrapper):
    """Standard input with bytes in it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_bytes(documents.Document(documents.empty(5)).text(pretty=True))
    monkeypatch.setenv("CIB_file", str(path))
    return path


@pytest.mark.parametrize("name", SOME)
def test_cibadmin_takes_no_hostile_file_or_pipe(
    name: str,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = hostile.REFUSED[name]()
    given = tmp_path / "given.xml"
    given.write_bytes(data)
    before = file.read_bytes()

    by_file = cibadmin.main(["--create", "-o", "resources", "--xml-file", str(given)])
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    by_pipe = cibadmin.main(["--create", "-o", "resources", "--xml-pipe"])

    said = capsys.readouterr().err
    assert by_file == by_pipe
    assert by_file in {65, 70, 78}
    assert 0 < len(said) < 2000
    assert "Traceback" not in said
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", SOME)
def test_a_hostile_configuration_is_not_opened(
    name: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(hostile.REFUSED[name]())

    assert cibadmin.main(["--query"]) == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    assert 0 < len(shown.err) < 2000


@pytest.mark.parametrize("name", SOME)
def test_crm_verify_reads_no_hostile_file_or_pipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = hostile.REFUSED[name]()
    given = tmp_path / "given.xml"
    given.write_bytes(data)

    by_file = crm_verify.main(["--xml-file", str(given), "--verbose"])
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    by_pipe = crm_verify.main(["--xml-pipe"])

    said = capsys.readouterr().err
    assert (by_file, by_pipe) == (1, 1)
    assert "error[xml-" in said
    assert len(said) < 2000
