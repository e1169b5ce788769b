"""Resources and constraints of Heartbeat 2, handed in one by one as old guides do it."""

from __future__ import annotations

import pytest
from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, rules, upgrade_fragment
from crm.plumbing import xml

XEN = b"""<primitive id="host1" class="ocf" type="Xen" provider="heartbeat">
  <operations><op id="host1-start" name="start" timeout="60s" start_delay="0"/></operations>
  <instance_attributes id="host1"><attributes>
    <nvpair id="host1-1" name="xmfile" value="/etc/xen/host1.dom"/>
    <nvpair id="host1-2" name="target_role" value="started"/>
  </attributes></instance_attributes>
</primitive>"""


def hand_in(document: documents.Document, text: bytes, section: str = "") -> operations.Carried:
    create = api.XmlOperation(api.XmlTask.CREATE, text, section)
    return operations.carry_out(document, [create], rules.STANDARD)


def test_a_resource_of_an_old_guide_is_taken_as_it_is_printed() -> None:
    document = documents.Document(documents.empty(epoch=1))

    carried = hand_in(document, XEN, "resources")

    assert carried.outcome is api.Outcome.OK
    [pair] = document.select("//primitive[@id='host1']/instance_attributes/nvpair")
    assert pair.get("name") == "xmfile"
    [pair] = document.select("//primitive[@id='host1']/meta_attributes/nvpair")
    assert (pair.get("name"), pair.get("value")) == ("target-role", "Started")


def test_constraints_of_an_old_guide_follow() -> None:
    document = documents.Document(documents.empty(epoch=1))
    hand_in(document, XEN, "resources")
    hand_in(document, XEN.replace(b"host1", b"host2"), "resources")

    for text in (
        b'<rsc_order id="o" from="host1" to="host2" type="before"/>',
        b'<rsc_colocation id="c" from="host1" to="host2" score="-infinity"/>',
        b'<constraints><rsc_location id="l" rsc="host1"><rule id="r" score="5" boolean_op="or">'
        b'<expression id="e" attribute="#uname" operation="eq" value="n"/></rule></rsc_location>'
        b"</constraints>",
    ):
        assert hand_in(document, text, "constraints").outcome is api.Outcome.OK

    [order] = document.select("//rsc_order")
    assert (order.get("first"), order.get("then")) == ("host1", "host2")
    [rule] = document.select("//rsc_location/rule")
    assert rule.get("boolean-op") == "or"


def test_what_is_lost_is_a_finding() -> None:
    document = documents.Document(documents.empty(epoch=1))

    text = XEN.replace(b"<primitive ", b'<primitive restart_type="restart" ')
    carried = hand_in(document, text, "resources")

    assert [(f.code, f.subject) for f in carried.findings] == [("option-dropped", "host1")]


def test_an_old_document_takes_old_objects_as_they_are() -> None:
    document = documents.Document(
        xml.parse(
            b'<cib admin_epoch="0" epoch="1" num_updates="0" have_quorum="true"><configuration>'
            b"<crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>"
        )
    )

    assert hand_in(document, XEN, "resources").outcome is api.Outcome.OK
    assert document.select("//instance_attributes/attributes/nvpair") != []


@pytest.mark.parametrize(
    "text",
    [
        b'<primitive id="a" class="lsb" type="x_y"><meta_attributes id="a_b"/></primitive>',
        b'<rsc_order id="o" first="a" then="b"/>',
        b'<nvpair id="a" name="x_y" value="b"/>',
        b'<cluster_property_set id="s"><attributes/></cluster_property_set>',
    ],
)
def test_what_is_of_today_or_no_whole_object_stays(text: bytes) -> None:
    assert not upgrade_fragment.is_old(xml.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        XEN,
        b'<master_slave id="m"/>',
        b'<rsc_order from="a" to="b" id="o"/>',
        b'<clone id="c"><primitive id="p" class="lsb" type="x" is_managed="no"/></clone>',
        b'<clone id="c" notify="true"><primitive id="p" class="lsb" type="x"/></clone>',
        b'<group id="g" ordered="false"><primitive id="p" class="lsb" type="x"/></group>',
    ],
)
def test_the_cheap_look_misses_nothing_old(text: bytes) -> None:
    assert upgrade_fragment.is_old(etree.fromstring(text))
    assert upgrade_fragment.may_be_old(text)


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        (b'<cib crm_feature_set="3.0"><status/></cib>', False),
        (b'<?xml version="1.0"?>\n<cib crm_feature_set="3.0"/>', False),
        (b'<node_state crm_debug="x"/>', False),
        (b'<rsc_order id="o" from="a" to="b"/>', True),
        (b'<?xml version="1.0"?>\n<rsc_order id="o" from="a" to="b"/>', True),
        (b'<!-- mine --><rsc_order id="o" from="a" to="b"/>', True),
        (b"<primitive><attributes/></primitive>", True),
        (b"<primitive id='a'/>", False),
        (b"   " * 1_000, False),
        (b"<" * 1_000, False),
    ],
)
def test_only_objects_with_words_of_old_are_worth_being_parsed(text: bytes, worth: bool) -> None:
    assert upgrade_fragment.may_be_old(text) is worth
