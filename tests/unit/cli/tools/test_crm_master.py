"""Promotion scores in the older form."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import crm_master
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


@pytest.mark.parametrize(
    ("lifetime", "section"), [([], "nodes"), (["-l", "forever"], "nodes"), (["-l", "reboot"], "")]
)
def test_a_score_lasts_for_ever_unless_told_otherwise(
    cib: Path, lifetime: list[str], section: str
) -> None:
    assert crm_master.main(["-r", "db", "-N", "node1", "-v", "-5", *lifetime]) == 0
    (pair,) = xml.parse(cib.read_bytes()).iter("nvpair")
    assert pair.get("id") == f"{section or 'status'}-1-master-db"
    assert pair.get("value") == "-5"


def test_a_resource_must_be_named(cib: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCF_RESOURCE_INSTANCE", raising=False)
    assert crm_master.main(["-N", "node1", "-G"]) == Exit.ERROR
