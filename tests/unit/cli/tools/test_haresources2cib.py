from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import haresources2cib
from crm.plumbing.errors import CrmError


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


def test_every_complaint_says_where_and_what_to_do(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/ha.d/haresources").write_text(
        "alice\n\nbob nosuchservice\ncarol apache\n#rsc_order x y\n"
    )

    run(root, "--stdout")

    assert capsys.readouterr().err.splitlines() == [
        "can not parse this line:alice",
        "  hint: haresources:1: a line names a node and then its resources",
        "nosuchservice is an unknown Resource Agent",
        "  hint: haresources:3: taken to be an init script (class lsb): "
        "install it or mend the name",
        "warning: haresources:4: node 'carol' is not named in ha.cf",
        "  hint: there are: alice, bob",
        "warning: haresources:5: can not read '#rsc_order x y'",
        "  hint: expected: #rsc_order A ACTION before|after B with an action of demote, promote, "
        "start, stop, or #rsc_colocation A B SCORE",
    ]


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_files_of_any_place_are_read(
    root: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "other.cf").write_text("node carol\n")
    (root / "other").write_text("carol 10.0.0.9\n")

    code = run(root, option, str(root / "other.cf"), str(root / "other"))

    heard = capsys.readouterr()
    assert (code, heard.err) == (0, "")
    assert 'id="IPaddr_10_0_0_9"' in heard.out


def test_a_hint_about_ping_nodes_leaves_the_document_as_it_is(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(root)
    before = capsys.readouterr().out
    with (root / "etc/ha.d/ha.cf").open("a") as file:
        file.write("ping 10.0.0.254\nrespawn hacluster /usr/lib/heartbeat/pingd -m 100\n")

    run(root)

    heard = capsys.readouterr()
    assert heard.out == before
    assert "ocf:pacemaker:ping" in heard.err


def test_no_ocf_and_no_monitor_hold_for_the_document(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(root, "--no-ocf", "--no-monitor", "--stdout")

    out = capsys.readouterr().out
    assert 'class="ocf"' not in out
    assert "<op " not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "Usage"),
        (["a", "b"], "Usage"),
        (["--dialect", "klingon"], "heartbeat-2"),
        (["-c"], "'-c' requires an argument"),
    ],
)
def test_misuse_ends_with_1_and_says_what_is_wrong(
    root: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, *arguments) == 1
    assert said in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(root: Path) -> None:
    (root / "var").write_text("a file where a folder is needed")

    with pytest.raises(CrmError, match=r"cannot write .*cib\.xml"):
        write_file(root)


def test_an_old_style_call_writes_no_file_beside_the_redirection(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`haresources2cib.py /etc/ha.d/haresources > test.xml`, as tutorials print it."""
    assert run(root, str(root / "etc/ha.d/haresources")) == 0
    assert capsys.readouterr().out.startswith("<cib ")
    assert not cib(root).exists()
