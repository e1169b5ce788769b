from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from crm.cib import grammar, schema
from crm.plumbing.errors import Problem

SECTIONS = ("crm_config", "nodes", "resources", "constraints")
DUMMY = '<primitive id="a" class="ocf" provider="heartbeat" type="Dummy"/>'


def cib(body: str = "", section: str = "resources", attributes: str = "") -> etree._Element:
    sections = "".join(f"<{tag}>{body if tag == section else ''}</{tag}>" for tag in SECTIONS)
    return etree.fromstring(
        f'<cib {attributes} admin_epoch="0" epoch="0" num_updates="0">'
        f"<configuration>{sections}</configuration><status><anything/></status></cib>"
    )


def the_problem(body: str, section: str = "resources") -> Problem:
    [problem] = schema.check(cib(body, section))
    return problem


def test_an_empty_cib_is_valid() -> None:
    assert schema.check(cib()) == []


def test_the_status_is_not_looked_at_and_nothing_is_changed() -> None:
    root = cib(DUMMY)
    before = etree.tostring(root)

    schema.check(root)

    assert etree.tostring(root) == before


def test_whoever_asks_not_to_be_checked_is_not() -> None:
    assert schema.check(cib("<nonsense/>", attributes='validate-with="none"')) == []


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "pacemaker-0.6",
        "transitional-0.6",
        "pacemaker-1.0",
        "pacemaker-3.10",
        "pacemaker-4.0",
    ],
)
def test_schemas_from_heartbeat_2_to_4_0_are_accepted(name: str) -> None:
    assert schema.accepts(name)


@pytest.mark.parametrize("name", ["", "pacemaker-4.1", "pacemaker-9999.0", "pacemaker-x", "rng"])
def test_other_schemas_are_not_accepted(name: str) -> None:
    assert not schema.accepts(name)


def test_an_unknown_schema_is_named() -> None:
    [problem] = schema.check(cib(attributes='validate-with="pacemaker-9999.0"'))

    assert problem.code == "unknown-schema"
    assert "pacemaker-9999.0" in problem.message


def test_another_document_is_no_cib() -> None:
    assert [p.code for p in schema.check(etree.fromstring("<html/>"))] == ["no-cib"]


@pytest.mark.parametrize(
    ("section", "body", "code", "subject", "message", "hint"),
    [
        (
            "resources",
            '<primitive id="a" class="lsb" typ="x"/>',
            "unknown-attribute",
            "a",
            "primitive 'a' has an attribute 'typ', which does not exist",
            "'type'",
        ),
        (
            "resources",
            '<primitive id="a" class="lbs" type="x"/>',
            "bad-value",
            "a",
            "'lbs' is no value of 'class'",
            "'lsb'",
        ),
        (
            "resources",
            '<primitive id="a" class="ocf" type="x"/>',
            "wrong-combination",
            "a",
            "class='ocf'",
            "class=ocf and 'provider'",
        ),
        (
            "resources",
            '<primitve id="a" class="lsb" type="x"/>',
            "unknown-element",
            "a",
            "primitve 'a' may not stand in <resources>",
            "<primitive>",
        ),
        (
            "resources",
            '<primitive id="a" class="lsb" type="x"><op id="o" name="n" interval="0"/></primitive>',
            "misplaced-element",
            "o",
            "op 'o' may not stand in primitive 'a'",
            "<operations>",
        ),
        ("resources", '<group id="g"/>', "missing-part", "g", "lacks an element <primitive>", ""),
        (
            "constraints",
            '<rsc_location id="l" rsc="a" node="n"/>',
            "wrong-combination",
            "l",
            "node='n'",
            "'node' and 'score', or <rule>",
        ),
        (
            "constraints",
            '<rsc_order id="o" first="a" then="b" score="0" kind="Mandatory"/>',
            "wrong-combination",
            "o",
            "kind='Mandatory' and score='0'",
            "'score', or kind=",
        ),
        (
            "constraints",
            '<rsc_colocation id="c" rsc="a" with-rsc="b" score="lots"/>',
            "bad-value",
            "c",
            "'lots' is no value of 'score'",
            "an integer, INFINITY or -INFINITY",
        ),
        (
            "nodes",
            '<node id="1" uname="n">hello</node>',
            "unexpected-text",
            "1",
            "holds the text 'hello'",
            "",
        ),
        ("nodes", '<node id="1"/>', "missing-part", "1", "lacks an attribute 'uname'", ""),
    ],
)
def test_an_error_names_object_attribute_and_what_was_meant(
    section: str, body: str, code: str, subject: str, message: str, hint: str
) -> None:
    problem = schema.check(cib(body, section))[0]

    assert (problem.code, problem.subject) == (code, subject)
    assert message in problem.message
    assert hint in problem.hint


def test_a_clone_holds_one_resource() -> None:
    two = f'<clone id="c">{DUMMY}<primitive id="b" class="lsb" type="x"/></clone>'

    assert the_problem(two).code == "repeated-element"


def test_every_fault_is_reported_in_one_go() -> None:
    body = '<primitive id="a" class="lsb" typ="x"/><primitive id="b" klass="lsb" type="x"/>'

    assert {problem.subject for problem in schema.check(cib(body))} == {"a", "b"}


def test_reports_are_bounded() -> None:
    body = "".join(f'<primitve id="p{n}"/>' for n in range(500))

    assert len(schema.check(cib(body))) == 50


def test_every_element_of_the_grammar_is_documented() -> None:
    table = grammar.read_grammar(schema.directory() / "cib" / "3.9")

    assert [name for name, element in table.items() if not element.documentation] == []
    assert len(table) > 60


# The validator is the obvious judge of the table: whatever it refuses must be explained, and the
# table must find no fault with what it accepts.

FULL = cib(
    '<primitive id="a" class="ocf" provider="p" type="t" description="d">'
    '<meta_attributes id="m"><nvpair id="n" name="x" value="y"/></meta_attributes>'
    '<operations><op id="o" name="monitor" interval="5s" timeout="5s" on-fail="stop"/></operations>'
    '</primitive><group id="g"><primitive id="b" class="lsb" type="t"/></group>'
    '<clone id="c"><primitive id="d" class="systemd" type="t"/></clone>'
    '<bundle id="bu"><podman image="i" replicas="2"/><network control-port="1">'
    '<port-mapping id="pm" port="80"/></network></bundle>'
)
FULL.find("configuration/constraints").extend(
    etree.fromstring(
        '<x><rsc_location id="l" rsc="a"><rule id="r" score="5" boolean-op="or">'
        '<expression id="e" attribute="u" operation="eq" value="v" type="string"/></rule>'
        '</rsc_location><rsc_order id="or" first="a" then="b" kind="Optional"/>'
        '<rsc_colocation id="co" score="1"><resource_set id="s"><resource_ref id="a"/>'
        '</resource_set></rsc_colocation><rsc_ticket id="ti" ticket="t" rsc="a"/></x>'
    )
)


def test_the_full_example_is_valid() -> None:
    assert schema.check(FULL) == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_validator_refuses_is_explained_and_nothing_else(data: st.DataObject) -> None:
    root = copy.deepcopy(FULL)
    elements = list(root.find("configuration").iter())
    element = data.draw(st.sampled_from(elements), label="element")
    match data.draw(st.sampled_from(["attribute", "drop", "add", "remove"]), label="change"):
        case "attribute" if element.attrib:
            name = data.draw(st.sampled_from(sorted(element.attrib)))
            element.set(name, data.draw(st.sampled_from(["x", "true", "1", "Master", "ocf", ""])))
        case "drop" if element.attrib:
            del element.attrib[data.draw(st.sampled_from(sorted(element.attrib)))]
        case "add":
            element.set(data.draw(st.sampled_from(["id", "rsc", "score", "kind", "node"])), "5")
        case "remove" if element.getparent() is not None:
            element.getparent().remove(element)

    problems = schema.check(root)
    table = grammar.read_grammar(schema.directory() / "cib" / "3.9")
    frame = copy.deepcopy(root)

    assert "schema" not in [problem.code for problem in problems]
    if not problems:
        assert list(grammar.explain(frame.find("configuration"), table)) == []
