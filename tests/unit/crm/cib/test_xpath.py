"""XPath with bounded work: the same nodes as libxml2 selects, or a refusal that says why."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, query, xpath
from crm.plumbing import xml
from tests.kit.cib import LENIENT


def natively(root: etree._Element, expression: str) -> list[etree._Element]:
    """Select with libxml2 alone: the judge."""
    found = root.getroottree().xpath(expression)
    assert isinstance(found, list)
    elements = [each if isinstance(each, etree._Element) else each.getparent() for each in found]  # type: ignore[union-attr]
    return list(dict.fromkeys(elements))  # type: ignore[arg-type]


leaves = st.builds("<{0} x='{1}'/>".format, st.sampled_from("abc"), st.sampled_from("01"))
trees = st.recursive(
    leaves,
    lambda inside: st.builds(
        lambda tag, value, children: f"<{tag} x='{value}'>{''.join(children)}</{tag}>",
        st.sampled_from("abc"),
        st.sampled_from("01"),
        st.lists(inside, min_size=1, max_size=4),
    ),
    max_leaves=20,
)
conditions = st.sampled_from(["", "", "[@x='1']", "[1]", "[2]", "[last()]", "[a]", "[.//b]"])
steps = st.builds("{0}{1}".format, st.sampled_from(["a", "b", "c", "*"]), conditions)
paths = st.builds(
    lambda parts, end: "".join(slash + step for slash, step in parts) + end,
    st.lists(st.tuples(st.sampled_from(["/", "//", "//"]), steps), min_size=1, max_size=4),
    st.sampled_from(["", "", "", "/@x", "/..", "/../..", "//@x", "/@x/..", "/@x//a"]),
)
expressions = st.lists(paths, min_size=1, max_size=3).map("|".join)


@given(trees, expressions)
@example("<a x='0'><b x='1'><a x='1'/></b></a>", "//a//a")
@example("<a x='0'><a x='1'><b x='1'/></a></a>", "//a//b[1]/..")
@example("<a x='0'><b x='1'/></a>", "//a/@x//b")
def test_the_same_elements_are_selected_in_the_same_order(tree: str, expression: str) -> None:
    root = xml.parse(tree.encode())
    assert xpath.evaluate(root, expression) == natively(root, expression)


@pytest.mark.parametrize(
    "expression",
    ["//", "//a//", "//a///b", "//a[", "//a//b]", "a||b", "|//a", "//a//b[$x]", "\x00"],
)
def test_what_is_malformed_is_said_to_be(expression: str) -> None:
    with pytest.raises(etree.XPathError):
        xpath.evaluate(xml.parse(b"<a><b/></a>"), expression)


@pytest.mark.parametrize(
    "expression",
    [
        "//a[@x]=//b",
        "//a[@x]!=//b[@x='1']",
        "//a[b]<//b[1]//a",
        "//a[b]*//b//a",
        "//a[@x]and//b//a",
        "count(//a)=1",
        "//b[@x]//a/@x='1'",
    ],
)
def test_what_is_well_formed_and_no_selection_selects_nothing(expression: str) -> None:
    root = xml.parse(b"<a x='1'><b x='1'><a x='0'/></b></a>")
    assert not isinstance(root.getroottree().xpath(expression), list)
    assert xpath.evaluate(root, expression) == []


@pytest.mark.parametrize("expression", ["//*[@id]=//*", "//*[@id]//*=//*"])
def test_comparing_too_much_is_refused_as_any_other_work(expression: str) -> None:
    with pytest.raises(xpath.TooMuchWork):
        xpath.evaluate(large(), expression)


def large() -> etree._Element:
    """Make a CIB of 200 resources on 30 nodes, and of more than 12 000 elements."""
    entry = "<lrm_rsc_op id='o'/>"
    history = "".join(f"<lrm_resource id='r{n}'>{entry}</lrm_resource>" for n in range(200))
    inside = f"<lrm><lrm_resources>{history}</lrm_resources></lrm>"
    states = "".join(f"<node_state id='{n}'>{inside}</node_state>" for n in range(30))
    resources = "".join(
        f"<primitive id='p{n}'><operations><op id='p{n}-m'/></operations></primitive>"
        for n in range(200)
    )
    return xml.parse(
        f"<cib><configuration><resources>{resources}</resources></configuration>"
        f"<status>{states}</status></cib>".encode()
    )


class Counting(xpath._Tree):
    """Notes what libxml2 is asked."""

    asked: list[str]

    def _ask(self, text: str, below: etree._Element | None = None) -> object:
        self.asked.append(text if below is None else f"{below.tag}: {text}")
        return super()._ask(text, below)


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("//*//*//*", ["//*", "//*", "//*"]),
        ("//lrm_resource//lrm_rsc_op", ["//lrm_resource", "//lrm_rsc_op"]),
        ("//lrm_rsc_op/..", ["//lrm_rsc_op"]),
        (
            "/cib/status//lrm//*[@id='o']",
            ["/cib/status", "status: lrm", *["lrm: *[@id='o']"] * 30],
        ),
        ("//primitive[@id='p1']//op", ["//primitive[@id='p1']", "primitive: op"]),
        ("//primitive[.//op]", ["//primitive[.//op]"]),
        ("//*[.//op]", ["//*[.//op]"]),
        ("//lrm_rsc_op/ancestor::node_state", ["//lrm_rsc_op/ancestor::node_state"]),
        ("//lrm_rsc_op[ancestor::node_state[@id='1']]", None),
        ("(//primitive)[1]", None),
    ],
)
def test_each_part_is_asked_for_by_itself(expression: str, asked: list[str] | None) -> None:
    root = large()
    tree = Counting(root)
    tree.asked = []
    found = tree.path(expression, xpath._QUOTED.sub(lambda q: "_" * len(q.group()), expression))
    assert tree.asked == (asked or [expression])
    assert found
    assert found == xpath.evaluate(root, expression)


TOO_MUCH = [
    "//*[//*]",
    "//*[.//*[.//*]]",
    "//*[count(//*) > 1]",
    "(//*//*)[1]",
    "count(//*//*//*)",
    "/descendant::*/descendant::*",
    "//*/following::*",
    "//*[preceding::*]",
    "//*/ancestor::*",
    "/cib[.//*//*]",
    "//*[" * 4000 + "1" + "]" * 4000,
    "count(//status[@x]*1)*(//*)[//*]",
]


@pytest.mark.parametrize("expression", TOO_MUCH, ids=lambda text: text[:40])
def test_what_would_take_too_long_is_refused_before_it_is_asked(expression: str) -> None:
    tree = Counting(large())
    tree.asked = []
    with pytest.raises(xpath.TooMuchWork) as refusal:
        tree.path(expression, expression)
    assert tree.asked == []
    (problem,) = refusal.value.problems
    assert problem.code == "xpath-too-costly"
    assert expression[:200] in problem.message
    assert "by name or id" in problem.hint


def test_a_query_and_a_change_say_why_they_are_refused() -> None:
    root = large()
    root.set("epoch", "1")
    document = documents.Document(root)
    before = document.text()
    reply = query.answer_query(document, api.Query(1, xpath=TOO_MUCH[0]))
    assert reply.outcome is api.Outcome.ERROR
    assert [finding.code for finding in reply.findings] == ["xpath-too-costly"]
    step = api.XmlOperation(api.XmlTask.DELETE_ALL, xpath=TOO_MUCH[0])
    done = operations.carry_out(document, (step,), LENIENT)
    assert done.outcome is api.Outcome.ERROR
    assert [finding.code for finding in done.findings] == ["xpath-too-costly"]
    assert document.text() == before


def test_an_answer_that_is_longer_than_a_frame_is_refused() -> None:
    wide = "".join(f"<b x='{'x' * 60_000}'/>" for _ in range(300))
    text = f"<cib><status>{'<a>' * 30}{wide}{'</a>' * 30}</status></cib>"
    document = documents.Document(xml.parse(text.encode()))
    assert query.answer_query(document, api.Query(1, xpath="//a[b]")).outcome is api.Outcome.OK
    reply = query.answer_query(document, api.Query(1, xpath="//a"))
    assert reply.outcome is api.Outcome.ERROR
    assert [finding.code for finding in reply.findings] == ["answer-too-large"]
    assert reply.xml == b""
