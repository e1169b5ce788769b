from __future__ import annotations

import copy
from pathlib import Path

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
            "class='ocf' without 'provider'",
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
        (
            "resources",
            '<group id="g"/>',
            "missing-part",
            "g",
            "lacks an element <primitive>",
            "one resource, run by",
        ),
        (
            "constraints",
            '<rsc_location id="l" rsc="a" node="n"/>',
            "wrong-combination",
            "l",
            "node='n' without 'score'",
            "expected 'node' and 'score'",
        ),
        (
            "constraints",
            '<rsc_order id="o" first="a" then="b" score="0" kind="Mandatory"/>',
            "wrong-combination",
            "o",
            "kind='Mandatory' and score='0', which do not go together",
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
        (
            "nodes",
            '<node id="1"/>',
            "missing-part",
            "1",
            "lacks an attribute 'uname'",
            "the node's name",
        ),
        (
            "constraints",
            '<rsc_location id="l" rsc="a"><rule id="r"><date_expression id="d"'
            ' operation="in_range"/></rule></rsc_location>',
            "wrong-combination",
            "d",
            "operation='in_range' without 'start'",
            "operation=in_range and 'start', or operation=in_range and 'end'",
        ),
        (
            "constraints",
            '<rsc_order id="o"><resource_set id="s"/></rsc_order>',
            "wrong-combination",
            "s",
            "resource_set 's' lacks <resource_ref>",
            "",
        ),
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
    table = schema.table()

    assert [name for name, element in table.items() if not element.documentation] == []
    assert len(table) > 60


VALUES = ["x", "true", "1", "0", "-1", "Master", "ocf", "", "a,b", "8000-8099", "INFINITY", "or"]
ATTRIBUTES = sorted({name for rules in schema.table().values() for name in rules.attributes})


# The validator is the obvious judge of the table: whatever it refuses must be explained, and the
# table must find no fault with what it accepts.

FULL = etree.parse(
    Path(__file__).with_name("every_element.xml"), etree.XMLParser(remove_blank_text=True)
).getroot()


def test_the_full_example_is_valid() -> None:
    assert schema.check(FULL) == []


def test_the_full_example_has_every_element_with_every_attribute() -> None:
    used: dict[str, set[str]] = {"status": set()}
    for element in FULL.iter("*"):
        used.setdefault(str(element.tag), set()).update(map(str, element.attrib))

    # Two containers have the new name of one number, one has the old: the element allows one.
    used["podman"].add("masters")
    used["rkt"].add("masters")
    used["docker"].add("promoted-max")
    assert {name: set(rules.attributes) for name, rules in schema.table().items()} == used


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_validator_refuses_is_explained_and_nothing_else(data: st.DataObject) -> None:
    root = copy.deepcopy(FULL)
    element = data.draw(st.sampled_from(list(root.find("configuration").iter("*"))))
    match data.draw(st.sampled_from(["attribute", "drop", "add", "remove", "insert"])):
        case "attribute" if element.attrib:
            name = data.draw(st.sampled_from(sorted(element.attrib)))
            element.set(name, data.draw(st.sampled_from(VALUES)))
        case "drop" if element.attrib:
            del element.attrib[data.draw(st.sampled_from(sorted(element.attrib)))]
        case "add":
            element.set(data.draw(st.sampled_from(ATTRIBUTES)), data.draw(st.sampled_from(VALUES)))
        case "remove" if element.getparent() is not None:
            element.getparent().remove(element)
        case "insert":
            etree.SubElement(element, data.draw(st.sampled_from(sorted(schema.table()))), id="new")

    problems = schema.check(root)

    assert "schema" not in [problem.code for problem in problems]
    if not problems:
        assert list(grammar.explain(root.find("configuration"), schema.table())) == []


# --- what the newest schema took away ----------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "body", "code", "said"),
    [
        ("resources", f'<master id="m">{DUMMY}</master>', "unknown-element", "master 'm'"),
        (
            "resources",
            '<primitive id="a" class="upstart" type="x"/>',
            "bad-value",
            "possible are: ocf, lsb, heartbeat, stonith, service, systemd",
        ),
        ("resources", '<bundle id="b"><rkt image="i"/></bundle>', "unknown-element", "<rkt>"),
        (
            "resources",
            '<bundle id="b"><podman image="i" masters="1"/></bundle>',
            "unknown-attribute",
            "'masters'",
        ),
        (
            "crm_config",
            '<cluster_property_set id="s"><nvpair id="n" name="x"/></cluster_property_set>',
            "wrong-combination",
            "without 'value'",
        ),
    ],
)
def test_what_4_0_took_away_is_refused_there_and_only_there(
    section: str, body: str, code: str, said: str
) -> None:
    [problem, *_] = schema.check(cib(body, section, 'validate-with="pacemaker-4.0"'))

    assert problem.code == code
    assert said in str(problem)
    for older in ("pacemaker-3.9", "pacemaker-3.10"):
        assert schema.check(cib(body, section, f'validate-with="{older}"')) == []


def test_all_else_of_4_0_is_as_before() -> None:
    root = copy.deepcopy(FULL)
    root.set("validate-with", "pacemaker-4.0")
    for gone in ("master", "rkt"):
        for element in list(root.iter(gone)):
            holder = element if gone == "master" else element.getparent()
            holder.getparent().remove(holder)
    for element in root.iter("docker", "podman"):
        element.attrib.pop("masters", None)
    for pair in root.iter("nvpair"):
        if pair.get("id-ref") is not None:
            pair.attrib.pop("name", None)

    assert schema.check(root) == []


@pytest.mark.parametrize("tag", ["rsc_colocation", "rsc_order"])
def test_a_lifetime_stands_before_the_sets_of_a_constraint(tag: str) -> None:
    sets = '<resource_set id="s"><resource_ref id="a"/><resource_ref id="b"/></resource_set>'
    lifetime = (
        '<lifetime><rule id="r"><date_expression id="d" operation="lt" end="2020-01-01"/></rule>'
        "</lifetime>"
    )
    text = (
        '<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">'
        "<configuration><crm_config/><nodes/><resources/><constraints>"
        f'<{tag} id="c">{lifetime}{sets}</{tag}></constraints></configuration><status/></cib>'
    )

    assert schema.check(etree.fromstring(text)) == []
