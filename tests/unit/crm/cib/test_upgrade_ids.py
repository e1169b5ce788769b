from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from crm.cib.upgrade_ids import fill_missing_ids, mend_ids

VALID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")

ids = st.text(alphabet="ab1:. -_ü", max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> etree._Element:
    """Configurations whose ids are few, strange, repeated or missing."""
    root = etree.Element("configuration")
    resources = etree.SubElement(root, "resources")
    for _ in range(draw(st.integers(0, 4))):
        resource = etree.SubElement(resources, "primitive", id=draw(ids))
        pair_set = etree.SubElement(resource, "instance_attributes")
        if draw(st.booleans()):
            pair_set.set("id", draw(ids))
        for name in draw(st.lists(ids, max_size=2)):
            pair = etree.SubElement(pair_set, "nvpair", name=name)
            if draw(st.booleans()):
                pair.set("id", draw(ids))
    constraints = etree.SubElement(root, "constraints")
    known = [str(resource.get("id")) for resource in resources]
    for _ in range(draw(st.integers(0, 3)) if known else 0):
        constraint = etree.SubElement(constraints, "rsc_order", first=draw(st.sampled_from(known)))
        constraint.set("then", draw(st.sampled_from(known)))
        constraint.set("id", draw(ids))
    return root


@given(documents())
def test_afterwards_all_ids_are_valid_and_unique_and_references_hold(
    root: etree._Element,
) -> None:
    first_owner: dict[str, etree._Element] = {}
    for resource in root.iter("primitive"):
        first_owner.setdefault(str(resource.get("id")), resource)
    targets = [
        (order, end, first_owner[str(order.get(end))])
        for order in root.iter("rsc_order")
        for end in ("first", "then")
    ]

    mend_ids(root)

    found = [str(value) for value in root.xpath("//@id")]
    assert [identity for identity in found if not VALID.match(identity)] == []
    assert len(found) == len(set(found))
    assert all(order.get(end) == target.get("id") for order, end, target in targets)


@given(documents())
def test_mending_twice_changes_nothing_more(root: etree._Element) -> None:
    mend_ids(root)
    once = etree.tostring(root)

    problems = mend_ids(root)

    assert etree.tostring(root) == once
    assert problems == []


def test_ids_of_nodes_are_never_touched() -> None:
    root = etree.fromstring('<nodes><node id="1 x"/><node id="1 x"/></nodes>')

    mend_ids(root)

    assert root.xpath("//@id") == ["1 x", "1 x"]


def test_an_operation_without_an_id_is_named_by_what_it_does() -> None:
    root = etree.fromstring(
        '<primitive id="a"><operations><op name="monitor" interval="5s"/></operations></primitive>'
    )

    mend_ids(root)

    assert root.xpath("//op/@id") == ["a-monitor-5s"]


def test_missing_ids_are_made_around_those_that_are_there() -> None:
    root = etree.fromstring(
        '<x><primitive id="a"><meta_attributes><nvpair name="n"/></meta_attributes></primitive>'
        '<primitive id="a-meta_attributes"/><acl_target id="9"><role id="r"/></acl_target></x>'
    )

    fill_missing_ids(root)

    assert root.xpath("//meta_attributes/@id | //nvpair/@id") == [
        "a-meta_attributes-2",
        "a-meta_attributes-2-n",
    ]
    assert root.xpath("//primitive/@id | //acl_target/@id | //role/@id") == [
        "a",
        "a-meta_attributes",
        "9",
        "r",
    ]


def test_references_to_roles_and_resources_are_no_ids() -> None:
    root = etree.fromstring(
        '<x><acl_role id="r"/><acl_target id="1"><role id="r"/></acl_target>'
        '<primitive id="p"/><resource_ref id="p"/></x>'
    )

    mend_ids(root)

    assert root.xpath("//@id") == ["r", "1", "r", "p", "p"]
