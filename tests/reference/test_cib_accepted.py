"""What the published configurations hold, our grammar and checks accept."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from crm.cib import schema, semantics, upgrade
from crm.plumbing import errors

SHARED = Path(__file__).parents[3] / "shared"
SCHEDULER = sorted((SHARED / "scheduler-cases" / "xml").glob("*.xml"))
EXPECTED = sorted((SHARED / "reference").glob("*-examples/*/expected.xml"))

DEPRECATED = {"18-unordered-group", "19-lifetimes"}
UNREADABLE = {"intervals.xml": ["bad-duration"]}
"""A case about broken durations: what it shows, a change of a live cluster may not enter."""

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not EXPECTED, reason=f"the published examples are not at {SHARED}"),
]


def read(path: Path) -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    return etree.fromstring(path.read_bytes(), parser)


def test_every_scheduler_case_is_accepted_after_its_upgrade() -> None:
    refused = {}
    for path in SCHEDULER:
        root = upgrade.upgrade(read(path)).root
        found = [*schema.check(root), *semantics.check(root)]
        if errors.has_errors(found):
            refused[path.name] = [p.code for p in found if p.severity is errors.Severity.ERROR]

    assert refused == UNREADABLE


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.parent.name)
def test_an_expected_cib_is_accepted_without_a_word(path: Path) -> None:
    root = read(path)

    assert [*schema.check(root), *semantics.check(root)] == []


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.parent.name)
def test_only_deprecated_things_are_warned_of(path: Path) -> None:
    codes = {problem.code for problem in semantics.check_policy(read(path))}

    if path.parent.name in DEPRECATED:
        assert codes == {"deprecated"}
    else:
        assert codes <= {"no-fencing-device"}
