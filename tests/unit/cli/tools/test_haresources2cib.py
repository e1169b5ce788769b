from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import haresources2cib


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "ha.d"
    folder.mkdir(parents=True)
    (folder / "ha.cf").write_text("node alice bob\n")
    (folder / "haresources").write_text("alice 10.0.0.1\n")
    return tmp_path


def run(root: Path, *arguments: str) -> int:
    return haresources2cib.main(["--root", str(root), *arguments])


def write_file(root: Path, *, historic: bool = False) -> int:
    """What happens when standard output is a terminal."""
    return haresources2cib.convert(
        haresources2cib.Request(
            root=root,
            resource_file=None,
            config=None,
            to_stdout=False,
            no_ocf=False,
            no_monitor=False,
            historic=historic,
            dialect="modern",
        )
    )


def cib(root: Path) -> Path:
    return root / "var" / "lib" / "heartbeat" / "crm" / "cib.xml"


def test_it_prints_when_standard_output_is_no_terminal(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root) == 0
    assert 'id="IPaddr_10_0_0_1"' in capsys.readouterr().out
    assert not cib(root).exists()


def test_it_writes_the_file_on_a_terminal(root: Path) -> None:
    assert write_file(root) == 0
    assert b'validate-with="pacemaker-3.9"' in cib(root).read_bytes()
    assert cib(root).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["cib.xml", "cib.xml.sig"])
def test_it_never_overwrites(root: Path, name: str) -> None:
    cib(root).parent.mkdir(parents=True)
    cib(root).with_name(name).write_text("mine")

    assert write_file(root) == 1
    assert [path.name for path in cib(root).parent.iterdir()] == [name]
    assert cib(root).with_name(name).read_text() == "mine"


def test_the_historic_one_exits_0_when_it_refuses(root: Path) -> None:
    cib(root).parent.mkdir(parents=True)
    cib(root).write_text("mine")

    assert write_file(root, historic=True) == 0


def test_it_prints_the_old_dialect_on_request(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(root, "--stdout", "--dialect", "heartbeat-2")

    assert "<attributes>" in capsys.readouterr().out


def test_what_it_cannot_read_goes_to_standard_error_in_the_old_words(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/ha.d/haresources").write_text("alice\nbob nosuchservice\n")

    assert run(root, "--stdout") == 0
    heard = capsys.readouterr()
    assert "can not parse this line:alice" in heard.err
    assert "nosuchservice is an unknown Resource Agent" in heard.err
    assert heard.out.startswith("<cib")


def test_a_missing_file_is_one_clear_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc/ha.d/ha.cf").unlink()

    assert run(root) == 1
    assert "ha.cf" in capsys.readouterr().err


def test_help_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert haresources2cib.main(["--help"]) == 1
    assert "Usage" in capsys.readouterr().out
