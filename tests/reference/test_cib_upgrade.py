"""The published CIBs of Heartbeat 2 become those of today, byte for byte, also by command."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from cli.tools import cibadmin
from crm.cib import upgrade

EXAMPLES = Path(__file__).parents[3] / "shared" / "reference" / "cib-upgrade-examples"
CASES = sorted(path.name for path in EXAMPLES.glob("[0-9]*")) if EXAMPLES.is_dir() else []

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not CASES, reason=f"the published examples are not at {EXAMPLES}"),
]


def read(path: Path) -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    return etree.fromstring(path.read_bytes(), parser)


def canonical(root: etree._Element) -> list[str]:
    return etree.tostring(root, method="c14n").decode().replace("><", ">\n<").splitlines()


@pytest.mark.parametrize("case", CASES)
def test_a_cib_of_heartbeat_2_becomes_the_published_cib_of_today(case: str) -> None:
    result = upgrade.upgrade(read(EXAMPLES / case / "in.xml"))

    assert canonical(result.root) == canonical(read(EXAMPLES / case / "expected.xml"))


@pytest.mark.parametrize("case", CASES)
def test_an_upgraded_cib_is_upgraded_to_itself(case: str) -> None:
    once = upgrade.upgrade(read(EXAMPLES / case / "in.xml")).root

    twice = upgrade.upgrade(once)

    assert canonical(twice.root) == canonical(once)
    assert twice.problems == []


@pytest.mark.parametrize("case", CASES)
def test_the_document_passed_in_stays_as_it_was(case: str) -> None:
    root = read(EXAMPLES / case / "in.xml")

    upgrade.upgrade(root)

    assert canonical(root) == canonical(read(EXAMPLES / case / "in.xml"))


@pytest.mark.parametrize("case", CASES)
def test_cibadmin_upgrades_a_file(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cib.xml"
    file.write_bytes((EXAMPLES / case / "in.xml").read_bytes())
    monkeypatch.setenv("CIB_file", str(file))

    assert cibadmin.main(["--upgrade", "--force"]) == 0

    result = read(file).find("configuration")
    expected = read(EXAMPLES / case / "expected.xml").find("configuration")
    assert canonical(result) == canonical(expected)


def test_cibadmin_says_what_the_upgrade_loses_when_asked_to_say_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cib.xml"
    file.write_bytes((EXAMPLES / "11-resource-options" / "in.xml").read_bytes())
    monkeypatch.setenv("CIB_file", str(file))
    expected = upgrade.upgrade(read(EXAMPLES / "11-resource-options" / "in.xml")).problems

    cibadmin.main(["--upgrade", "--force", "--verbose"])

    said = capsys.readouterr().err
    assert expected
    assert all(problem.message in said for problem in expected)
