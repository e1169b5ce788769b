"""Whatever a CIB of Heartbeat 2 holds: the result is valid, final, and nothing is lost unsaid."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from lxml import etree

from crm.cib import schema, upgrade
from tests.kit import any_heartbeat2

_MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_MANY
@given(any_heartbeat2.documents())
def test_any_cib_of_heartbeat_2_becomes_a_valid_one(root: etree._Element) -> None:
    assert [problem.message for problem in schema.check(upgrade.upgrade(root).root)] == []


@_MANY
@given(any_heartbeat2.documents())
def test_what_was_upgraded_is_upgraded_to_itself(root: etree._Element) -> None:
    once = upgrade.upgrade(root)

    twice = upgrade.upgrade(once.root)

    assert etree.tostring(twice.root) == etree.tostring(once.root)
    assert twice.problems == []


@_MANY
@given(any_heartbeat2.documents())
def test_every_text_of_a_cib_is_kept_or_named_in_a_warning(root: etree._Element) -> None:
    result = upgrade.upgrade(root)

    said = " ".join(f"{problem.subject} {problem.message}" for problem in result.problems)
    kept = any_heartbeat2.marks_of(etree.tostring(result.root).decode() + said)
    given_marks = any_heartbeat2.marks_of(etree.tostring(root).decode())
    assert [mark for mark in given_marks if mark not in set(kept)] == []


@_MANY
@given(any_heartbeat2.documents())
def test_every_warning_names_an_object_and_a_remedy(root: etree._Element) -> None:
    for problem in upgrade.upgrade(root).problems:
        assert problem.subject, problem
        assert problem.message, problem
        assert problem.hint, problem
