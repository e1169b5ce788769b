"""Every statement: parsed, rendered, and parsed again to the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.grammar.statements import Surroundings, join, parse, render
from cli.grammar.tokens import StatementError
from crm.model.configuration import Item

AROUND = Surroundings(nodes=("node1", "node2"))

# Statements exactly as they are displayed, parts joined by one blank.
DISPLAYED = [
    "node node1",
    "node 1: node1 attributes rack=r1 utilization cpu=8",
    "node 2: node2:remote",
    "primitive p Dummy",
    "primitive p ocf:pacemaker:Dummy",
    "primitive p lsb:apache",
    "primitive p stonith:null params hostlist=\"node1 node2\"",
    "primitive p @tmpl",
    'primitive p Dummy description="My rsc" params fake="a b" nothing meta target-role=Stopped',
    "primitive p Dummy op start timeout=60s interval=0 op monitor interval=10s role=Promoted",
    "primitive p Dummy op monitor interval=60s op_params OCF_CHECK_LEVEL=10",
    "primitive p Dummy op monitor interval=6s op_params rule #uname eq n1 t=1 op_meta a=b",
    "primitive p Dummy params 10: fake=1 params 5: fake=2",
    "primitive p Dummy params rule #uname eq node1 fake=1 params $id-ref=q-instance_attributes",
    "primitive p Dummy params @pstate @other:fake",
    "primitive p Dummy operations $id=myops op monitor interval=10s",
    "rsc_template t ocf:pacemaker:Dummy op monitor interval=33s",
    "group g a b c meta target-role=Stopped",
    'group g a description="web stack"',
    "clone c p meta promotable=true",
    "tag t a b",
    "bundle b docker image=i replicas=3 network port-mapping id=w port=80 meta a=b primitive p",
    "bundle b podman image=i storage storage-mapping id=s source-dir=x target-dir=y options=rw",
    "primitive p Dummy params meta utilization cpu",
    "node 7: node7:member attributes",
    "location l p +inf: node1",
    "colocation c inf: ( a:Master ) ( b ) c",
    "role r read ref:p deny attr:uname type:node",
    'role r read description=d xpath:"//x[@id=\\"y\\"]"',
    'alert a "/p" to { r1 } to { r2 attributes x=1 } meta timeout=1s',
    'alert a "/p" select fencing attributes x=1 to r1',
    "location l p 100: node1",
    "location l p role=Promoted -inf: node1",
    "location l /p.*/ inf: node1",
    "location l { a b c } 100: node1",
    "location l { a:Master b } 100: node1",
    "location l p rule pingd: defined pingd",
    "location l p rule 50: #uname eq node1 and pingd gt 0 rule -inf: not_defined x or x lte 0",
    "location l p rule $role=Master 50: mem number:gte 2048",
    "location l p rule rack eq param{rack}",
    "location l p rule date lt 2030-01-01",
    "location l p rule date in start=2026-01-01 months=6",
    "location l p rule 50: date spec hours=9-17 weekdays=1-5",
    "colocation c inf: a b",
    "colocation c -inf: a:Started m:Promoted node-attribute=site",
    "colocation c 100: a b c",
    "colocation c inf: ( a b ) c",
    "colocation c inf: [ a b ] c:Master",
    "colocation c inf: _rsc_set_ a b",
    "order o Mandatory: a b",
    "order o Optional: m:promote a:start symmetrical=false",
    "order o Serialize: ( a b ) [ c d sequential=true ]",
    "rsc_ticket t ticketA: a loss-policy=stop",
    "rsc_ticket t ticketA: a b:Master",
    "fencing_topology node1: st1 st2 node2: st2,st3",
    'fencing_topology pattern:node.* st1',
    "property cib-bootstrap-options: stonith-enabled=false no-quorum-policy=ignore",
    "property nights: rule date spec hours=0-5 no-quorum-policy=ignore",
    "rsc_defaults rsc-options: resource-stickiness=100",
    "op_defaults op-options: timeout=60s",
    "role r read cib write meta:p1:target-role deny ref:p2",
    'role r read xpath:"//status//x" read attr:uname type:node',
    "acl_target alice r w",
    'alert a "/sh/al.sh" attributes k=v select nodes attributes { x y } to one meta timeout=5s',
]  # fmt: skip

SECTIONS = {"rsc_defaults": "rsc_defaults", "op_defaults": "op_defaults"}


def shown(item: Item, line: str) -> str:
    parts = render(item, AROUND, section=SECTIONS.get(line.split()[0], ""))
    assert parts is not None
    return " ".join(parts)


@pytest.mark.parametrize("line", DISPLAYED)
def test_what_is_displayed_is_understood_and_displayed_again_the_same(line: str) -> None:
    assert shown(parse(line, AROUND), line) == line


@pytest.mark.parametrize("line", DISPLAYED)
def test_the_parts_below_each_other_mean_the_same_as_in_one_line(line: str) -> None:
    item = parse(line, AROUND)
    parts = render(item, AROUND, section=SECTIONS.get(line.split()[0], ""))
    assert parts is not None
    assert parse(join(parts).replace(" \\\n\t", " "), AROUND) == item


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("PRIMITIVE p ocf:Dummy PARAMS a=1", "primitive p ocf:heartbeat:Dummy params a=1"),
        ("primitive id=p Dummy a=1", "primitive p Dummy params a=1"),
        ("location l p INFINITY: node1", "location l p mandatory: node1"),
        ("location l p $role=master 1: n", "location l p role=Master 1: n"),
        ("collocation c inf: (a b) c", "colocation c inf: ( a b ) c"),
        ("order o mandatory: a b", "order o inf: a b"),
        ("order o 0: a b", "order o Optional: a b"),
        ("order o Mandatory: a b symmetrical=no", "order o Mandatory: a b symmetrical=false"),
        ("order o Mandatory: a b c sequential=false", "order o Mandatory: ( a b c )"),
        ("property no-quorum-policy=stop", "property cib-bootstrap-options: no-quorum-policy=stop"),
        ("fencing_topology a b", "fencing_topology node1: a b node2: a b"),
    ],
)
def test_other_spellings_mean_the_same(written: str, meant: str) -> None:
    assert parse(written, AROUND) == parse(meant, AROUND)


@pytest.mark.parametrize(
    ("line", "wanted", "under"),
    [
        ("primitive p", "expected an id", "p"),
        ("primitive p Dummy op monitor trace=1 timeout=5s", "must stand before", "timeout=5s"),
        ("primitive p a:b:c:d", "is not [CLASS:[PROVIDER:]]TYPE", "a:b:c:d"),
        ("group g a a", "more than once", "a"),
        ("clone c a b", "one too many", ""),
        ("location l p node1", "expected SCORE: NODE or rule", "node1"),
        ("location l p 100:", "expected a node", ""),
        ("location l { a b 100: node1", "expected '}'", "100:"),
        ("location l p 1: n nonsense", "not understood", "nonsense"),
        ("location l p rule a eq 1 or b eq 2 and c eq 3", "cannot be mixed", "and"),
        ("location l p rule mem float:gte 5", "'float' is none of the types", "float:gte"),
        ("location l p rule date around x", "'around' is none of", "around"),
        ("colocation c a b", "expected SCORE:", "a"),
        ("colocation c inf: a:King b", "'King' is no role for 'a'", "a:King"),
        ("colocation c inf: ( a ( b ) )", "cannot be nested", "("),
        ("colocation c inf: ( a b", "is not closed", ""),
        ("colocation c inf: ( a b ]", "is closed by ')'", "]"),
        ("colocation c inf: a ( ) b", "is empty", ")"),
        ("colocation c inf: a b )", "closes nothing", ")"),
        ("order o Mandatory: a:jump b", "'jump' is no action for 'a'", "a:jump"),
        ("order o Whenever: a b", "'Whenever' is none of", "Whenever:"),
        ("property a=", "empty value", "a="),
        ("property", "expected at least one name=value", ""),
        ("role r admit cib", "'admit' is none of", "admit"),
        ("alert a /x select moons", "expected some of", "moons"),
        ("nonsense x", "there is no statement", "nonsense"),
    ],
)
def test_a_mistake_is_named_and_pointed_at(line: str, wanted: str, under: str) -> None:
    with pytest.raises(StatementError) as caught:
        parse(line, AROUND)
    (problem,) = caught.value.problems
    assert wanted in problem.message
    shown_line, caret = problem.hint.splitlines()
    if under:
        start = caret.index("^") - 8
        assert shown_line[start : start + caret.count("^")] == under


def test_a_nested_rule_is_beyond_the_language() -> None:
    item = parse("location l p rule a eq 1")
    item.children[0].children.append(Item("rule", {"id": "inner"}))
    assert render(item, AROUND) is None


def test_an_attribute_the_language_does_not_know_is_not_dropped_in_silence() -> None:
    item = parse("colocation c inf: a b")
    item.attributes["influence"] = "false"
    assert render(item, AROUND) is None


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("rule", "op", "params", "meta", "utilization", "operations")
)
values = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=10)


@given(st.lists(st.tuples(names, values), min_size=1, max_size=4))
def test_any_value_survives_being_shown_and_read(pairs: list[tuple[str, str]]) -> None:
    children = [Item("nvpair", {"name": name, "value": value}) for name, value in pairs]
    item = Item("primitive", {"id": "p", "class": "ocf", "provider": "x", "type": "T"})
    item.children.append(Item("instance_attributes", {}, children))
    assert parse(shown(item, "primitive"), AROUND) == item


groups = st.lists(
    st.tuples(st.sampled_from(["(", "[", "-"]), st.lists(names, min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)


@given(groups)
def test_resource_sets_survive_being_shown_and_read(sets: list[tuple[str, list[str]]]) -> None:
    words: list[str] = []
    for kind, members in sets:
        words += members if kind == "-" else [kind, *members, {"(": ")", "[": "]"}[kind]]
    if len(words) == 1:
        words.append("z")
    item = parse(f"colocation c inf: {' '.join(words)}")
    assert parse(shown(item, "colocation")) == item
