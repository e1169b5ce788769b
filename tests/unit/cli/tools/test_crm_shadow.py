"""Shadow instances: made, compared, committed and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_shadow
from crm.model.exit_codes import Exit

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config/><nodes/><resources>'
    '<primitive id="p1" class="ocf" provider="pacemaker" type="Dummy"/></resources><constraints/>'
    "</configuration><status/></cib>"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cib.xml").write_text(CIB)
    monkeypatch.setenv("CIB_file", str(tmp_path / "cib.xml"))
    monkeypatch.setenv("CIB_shadow_dir", str(tmp_path))
    monkeypatch.delenv("CIB_shadow", raising=False)
    return tmp_path


def test_a_query_without_an_active_instance_finds_nothing(folder: Path) -> None:
    for query in ("-w", "-p", "-d", "-F", "-E"):
        assert crm_shadow.main([query]) == Exit.NO_SUCH_OBJECT


def test_a_fresh_copy_does_not_differ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert crm_shadow.main(["-b", "-c", "s1"]) == 0
    monkeypatch.setenv("CIB_shadow", "s1")
    assert crm_shadow.main(["-d"]) == 0


def test_a_changed_instance_says_what_it_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = CIB.replace('type="Dummy"/>', 'type="Stateful"><meta_attributes id="m"/></primitive>')
    (folder / "shadow.s1").write_text(changed.replace('epoch="1"', 'epoch="2"'))
    monkeypatch.setenv("CIB_shadow", "s1")
    assert crm_shadow.main(["-d"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "Diff: --- 0.1.5 2",
        "Diff: +++ 0.2.5 (null)",
        "+  /cib:  @epoch=2",
        "+  /cib/configuration/resources/primitive[@id='p1']:  @type=Stateful",
        "++ /cib/configuration/resources/primitive[@id='p1']:  <meta_attributes id=\"m\"/>",
    ]


def test_an_instance_is_not_overwritten_without_force(folder: Path) -> None:
    (folder / "shadow.s1").write_text("mine")
    assert crm_shadow.main(["-b", "-c", "s1"]) == Exit.CANNOT_CREATE
    assert (folder / "shadow.s1").read_text() == "mine"
    assert crm_shadow.main(["-b", "-c", "s1", "-f"]) == 0


def test_a_commit_reaches_the_file_and_raises_its_epoch(folder: Path) -> None:
    (folder / "shadow.s1").write_text(CIB.replace("p1", "p2"))
    assert crm_shadow.main(["-C", "s1"]) == Exit.USAGE
    assert (folder / "cib.xml").read_text() == CIB
    assert crm_shadow.main(["-C", "s1", "-f"]) == 0
    text = (folder / "cib.xml").read_text()
    assert 'id="p2"' in text
    assert 'epoch="2"' in text


def test_an_invalid_instance_is_not_committed(folder: Path) -> None:
    bad = CIB.replace("<constraints/>", "<constraints><bad/></constraints>")
    (folder / "shadow.s1").write_text(bad)
    assert crm_shadow.main(["-C", "s1", "-f"]) == Exit.INVALID_CONFIGURATION
    assert (folder / "cib.xml").read_text() == CIB


def test_a_name_may_not_lead_out_of_the_folder(folder: Path) -> None:
    for words in (["-b", "-c", "../s1"], ["-D", "/../cib.xml", "-f"], ["-C", "a/b", "-f"]):
        assert crm_shadow.main(words) == Exit.INVALID_PARAMETER
    assert (folder / "cib.xml").exists()


def test_an_empty_instance_of_an_unknown_schema_is_refused(folder: Path) -> None:
    assert crm_shadow.main(["-b", "-e", "s1", "-v", "pacemaker-99"]) == Exit.INVALID_CONFIGURATION
    assert not (folder / "shadow.s1").exists()


def test_an_instance_is_deleted_only_with_force(folder: Path) -> None:
    (folder / "shadow.s1").write_text(CIB)
    assert crm_shadow.main(["-D", "s1"]) == Exit.USAGE
    assert (folder / "shadow.s1").exists()
    assert crm_shadow.main(["-D", "s1", "-f"]) == 0
    assert not (folder / "shadow.s1").exists()


def test_a_difference_of_equal_versions_is_local_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_shadow.main(["-b", "-c", "s1"]) == 0
    path = folder / "shadow.s1"
    node = '<nodes><node id="9" uname="n9"><utilization id="u"/></node></nodes>'
    path.write_text(path.read_text().replace("<nodes/>", node))
    monkeypatch.setenv("CIB_shadow", "s1")
    capsys.readouterr()
    assert crm_shadow.main(["-d"]) == Exit.ERROR
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("  : Local-only Change: ")
    assert lines[1].endswith('<node id="9" uname="n9"/>')


def test_options_alone_name_no_instance(folder: Path) -> None:
    assert crm_shadow.main(["-b"]) == Exit.NO_SUCH_OBJECT
    assert crm_shadow.main([]) == Exit.USAGE
