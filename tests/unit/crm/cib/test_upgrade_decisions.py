"""An upgraded document leads to the same decisions as the document of today that says the same."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from crm.cib import schema, upgrade
from tests.kit import any_cib, pengine
from tests.kit.aged_cib import age
from tests.kit.choices import Drawn

_MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def aged(draw: st.DrawFn) -> tuple[bytes, etree._Element]:
    """Draw a CIB of today, and the same in the words of version 2."""
    document = draw(any_cib.documents(always=("clone", "defaults", "options")))
    root = etree.fromstring(document)
    age(root, Drawn(draw))
    return document, root


@_MANY
@given(aged())
def test_an_aged_document_is_upgraded_to_a_valid_one(case: tuple[bytes, etree._Element]) -> None:
    document, root = case
    before = [problem.message for problem in schema.check(etree.fromstring(document))]

    result = upgrade.upgrade(root)

    assert [problem.message for problem in schema.check(result.root)] == before
    again = upgrade.upgrade(result.root)
    assert etree.tostring(again.root) == etree.tostring(result.root)
    assert again.problems == []


@_MANY
@given(aged())
def test_an_aged_document_is_decided_as_it_was(case: tuple[bytes, etree._Element]) -> None:
    document, root = case

    decision = pengine.decide(etree.tostring(upgrade.upgrade(root).root))

    assert decision.graph == pengine.decide(document).graph
