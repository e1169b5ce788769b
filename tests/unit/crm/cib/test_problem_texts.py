"""Every text of a refusal or a warning about a CIB, on one page to be read as a set.

`problem_texts.txt` is that page; `BLESS=1` writes it anew. A text names the object, says what is
wrong with it and, as a hint, what to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from crm.api import cib as api
from crm.cib import acl, operations, query, rules, schema, semantics, upgrade
from crm.cib import document as documents
from crm.plumbing import errors, xml
from crm.plumbing.errors import ConfigurationError, Problem

PAGE = Path(__file__).with_name("problem_texts.txt")
ROOT = Path(__file__).parents[4]
COVERED = (
    "crm/cib/schema.py",
    "crm/cib/grammar.py",
    "crm/cib/semantics*.py",
    "crm/cib/operations.py",
    "crm/cib/xml_operations.py",
    "crm/cib/counting.py",
    "crm/cib/patch.py",
    "crm/cib/acl.py",
    "crm/cib/document.py",
    "crm/cib/growth.py",
    "crm/cib/query.py",
    "crm/cib/xpath.py",
    "crm/cib/upgrade*.py",
    "crm/plumbing/xml.py",
)
CODE = re.compile(
    r"(?:errors\.error|errors\.warning|\berror|_warn|_refused|_unknown|_unfit|report)"
    r'\(\s*"([a-z0-9-]+)"'
)
NOT_SHOWN = {
    "schema": "the validator's own words, for what no text of ours explains",
    "invalid-xml": "the words of whatever was raised without a problem",
    "not-status": "a bug of a daemon of ours, no text for people",
}
"""Codes without a place on the page, and why."""

VIP = '<primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2"/>'
WEB = '<primitive id="web" class="systemd" type="nginx"/>'
SETUP = '<nvpair id="fencing" name="stonith-enabled" value="false"/>'


def cib(
    resources: str = VIP + WEB,
    constraints: str = "",
    *,
    options: str = SETUP,
    nodes: str = '<node id="1" uname="atlantis"/><node id="2" uname="beta"/>',
    rest: str = "",
    version: str = "pacemaker-3.9",
) -> str:
    return (
        f'<cib validate-with="{version}" admin_epoch="0" epoch="5" num_updates="0">'
        f'<configuration><crm_config><cluster_property_set id="options">{options}'
        f"</cluster_property_set></crm_config><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources><constraints>{constraints}</constraints>{rest}"
        "</configuration><status/></cib>"
    )


def judged(text: str) -> list[Problem]:
    """Judge a document as `crm_verify` does, without stopping at errors of the semantics."""
    upgraded = upgrade.upgrade(xml.parse(text.encode()))
    found = schema.check(upgraded.root)
    if not errors.has_errors(found):
        for question in (semantics.check, semantics.check_policy, semantics.check_relations):
            found += question(upgraded.root)
    return [*upgraded.problems, *found]


def parsed(data: bytes, **limits: int) -> list[Problem]:
    with pytest.raises(ConfigurationError) as refusal:
        xml.parse(data, xml.Limits(**limits))
    return list(refusal.value.problems)


def changed(*steps: api.Operation, user: str = "", acls: str = "") -> list[Problem]:
    on = '<nvpair id="acls-on" name="enable-acl" value="true"/>' if acls else ""
    text = cib(options=SETUP + on, rest=f"<acls>{acls}</acls>")
    copy = documents.Document(xml.parse(text.encode()))
    guard = acl.guard_of(copy.root, user) if user else None
    return list(operations.carry_out(copy, steps, rules.STANDARD, guard=guard).findings)


def unfit(data: bytes) -> list[Problem]:
    with pytest.raises(ConfigurationError) as refusal:
        documents.Document(xml.parse(data))
    return list(refusal.value.problems)


def xml_step(task: str, text: str = "", **more: object) -> api.XmlOperation:
    return api.XmlOperation(api.XmlTask(task), text.encode(), **more)


def without_ids() -> list[Problem]:
    """Delete every second of many objects that have no ids."""
    text = cib().replace("<status/>", f"<status>{'<lrm/>' * 6_000}</status>")
    step = xml_step("delete-all", xpath="//lrm[position() mod 2 = 1]")
    copy = documents.Document(xml.parse(text.encode()))
    return list(operations.carry_out(copy, (step,), rules.STANDARD).findings)


def too_long() -> list[Problem]:
    """Ask for a large CIB, level by level."""
    wide = "".join(f"<b x='{'x' * 60_000}'/>" for _ in range(300))
    text = cib().replace("<status/>", f"<status>{'<a>' * 30}{wide}{'</a>' * 30}</status>")
    question = api.Query(1, xpath="//a")
    reply = query.answer_query(documents.Document(xml.parse(text.encode())), question)
    return list(api.problems_of(reply.findings))


def denied(acls: str) -> list[Problem]:
    step = xml_step("modify", '<primitive id="vip" description="mine"/>', section="resources")
    return changed(step, user="joe", acls=acls)


def with_op(attributes: str) -> str:
    operation = f'<operations><op id="vip-op" {attributes}/></operations>'
    return cib(VIP.replace("/>", f">{operation}</primitive>"))


def with_meta(name: str, value: str) -> str:
    pair = f'<nvpair id="vip-{name}" name="{name}" value="{value}"/>'
    return cib(VIP.replace("/>", f'><meta_attributes id="m">{pair}</meta_attributes></primitive>'))


def clone(name: str, agent: str = 'class="lsb"') -> str:
    return (
        f'<clone id="c"><meta_attributes id="m"><nvpair id="n" name="{name}" value="true"/>'
        f'</meta_attributes><primitive id="d" {agent} type="drbd"/></clone>'
    )


def option(name: str, value: str) -> str:
    return cib(options=f'{SETUP}<nvpair id="o-{name}" name="{name}" value="{value}"/>')


def located(content: str, attributes: str = "") -> str:
    return cib(constraints=f'<rsc_location id="where" {attributes}>{content}</rsc_location>')


def rule(content: str, attributes: str = "") -> str:
    return located(f'<rule id="when" score="5" {attributes}>{content}</rule>', 'rsc="vip"')


def order(identity: str, first: str, then: str, more: str = "") -> str:
    return f'<rsc_order id="{identity}" first="{first}" then="{then}" {more}/>'


def together(identity: str, score: str, more: str = "") -> str:
    return f'<rsc_colocation id="{identity}" rsc="vip" with-rsc="web" score="{score}" {more}/>'


def old(resources: str, options: str = "") -> str:
    pairs = (
        f'<cluster_property_set id="o"><attributes>{options}</attributes></cluster_property_set>'
    )
    return (
        f'<cib admin_epoch="0" epoch="1" num_updates="0" have_quorum="true"><configuration>'
        f"<crm_config>{pairs}</crm_config><nodes/><resources>{resources}</resources>"
        "<constraints/></configuration><status/></cib>"
    )


LEVEL = (
    '<fencing-topology><fencing-level id="l1" target="{}" index="1" devices="{}"/>'
    "</fencing-topology>"
)
USES_ATTRIBUTE = '<expression id="e" attribute="x" operation="defined"/>'

GRAMMAR: dict[str, Callable[[], list[Problem]]] = {
    "another document": lambda: schema.check(etree.fromstring("<html/>")),
    "a schema nobody knows": lambda: judged(cib(version="pacemaker-9.9")),
    "a misspelt attribute": lambda: judged(cib(VIP.replace("type=", "typ="))),
    "an attribute like no other": lambda: judged(cib(VIP.replace("type=", "colour="))),
    "a misspelt word": lambda: judged(cib(WEB.replace("systemd", "sytemd"))),
    "a word like no other": lambda: judged(cib(WEB.replace("systemd", "x"))),
    "a score that is none": lambda: judged(cib(constraints=together("c", "lots"))),
    "an id with a space": lambda: judged(cib(VIP.replace('"vip"', '"my vip"'))),
    "devices with a space": lambda: judged(cib(rest=LEVEL.format("atlantis", "a, b"))),
    "an agent without provider": lambda: judged(cib(VIP.replace('provider="heartbeat"', ""))),
    "an agent without class": lambda: judged(cib('<primitive id="vip"/>')),
    "a node and no score": lambda: judged(located("", 'rsc="vip" node="atlantis"')),
    "score and kind": lambda: judged(
        cib(constraints=order("o", "vip", "web", 'score="1" kind="Optional"'))
    ),
    "a date without bounds": lambda: judged(rule('<date_expression id="d" operation="in_range"/>')),
    "an empty set": lambda: judged(
        cib(constraints='<rsc_order id="o"><resource_set id="s"/></rsc_order>')
    ),
    "a tag of nothing": lambda: judged(cib(rest='<tags><tag id="t"/></tags>')),
    "a node without a name": lambda: judged(cib(nodes='<node id="1"/>')),
    "a group of nothing": lambda: judged(cib('<group id="g"/>')),
    "an element in the wrong place": lambda: judged(
        cib(WEB.replace("/>", '><op id="o" name="stop" interval="0"/></primitive>'))
    ),
    "a misspelt element": lambda: judged(cib('<primitve id="p" class="lsb" type="x"/>')),
    "an element like no other": lambda: judged(cib("<frobs/>")),
    "two where one may be": lambda: judged(cib(f'<clone id="c">{VIP}{WEB}</clone>')),
    "text between elements": lambda: judged(cib("hello")),
    "old forms in a new document": lambda: judged(
        cib(f'<master id="ms">{VIP}</master>', version="pacemaker-4.0")
    ),
}

OBJECTS: dict[str, Callable[[], list[Problem]]] = {
    "an id used twice": lambda: judged(cib(f'{VIP}<group id="g">{VIP}</group>')),
    "a resource that is near": lambda: judged(cib(constraints=order("o", "vpi", "web"))),
    "a resource that is not there": lambda: judged(cib(constraints=order("o", "database", "web"))),
    "a template that is not there": lambda: judged(cib('<primitive id="p" template="tpl"/>')),
    "a role that is not there": lambda: judged(
        cib(rest='<acls><acl_target id="joe"><role id="admins"/></acl_target></acls>')
    ),
    "a right to nothing": lambda: judged(
        cib(
            rest='<acls><acl_role id="r"><acl_permission id="p" kind="read" reference="gone"/>'
            "</acl_role></acls>"
        )
    ),
    "another's set that is not there": lambda: judged(
        cib(VIP.replace("/>", '><meta_attributes id-ref="m"/></primitive>'))
    ),
    "a duration that is none": lambda: judged(with_op('name="monitor" interval="soon"')),
    "an old slip": lambda: judged(with_op('name="monitor" interval="P5M"')),
    "a negative timeout": lambda: judged(with_op('name="start" interval="0" timeout="-5s"')),
    "a repeated start": lambda: judged(with_op('name="start" interval="10s"')),
    "a misspelt operation": lambda: judged(with_op('name="moniter" interval="10s"')),
    "two monitors of one interval": lambda: judged(
        with_op('name="monitor" interval="10s"/><op id="more" name="monitor" interval="10"')
    ),
    "two starts": lambda: judged(
        with_op('name="start" interval="0"/><op id="more" name="start" interval="0s"')
    ),
    "a misspelt option": lambda: judged(option("no-quorom-policy", "stop")),
    "a word that is none of the option's": lambda: judged(option("no-quorum-policy", "wait")),
    "a misspelt word of an option": lambda: judged(option("no-quorum-policy", "frieze")),
    "a boolean that is none": lambda: judged(option("symmetric-cluster", "perhaps")),
    "a duration option that is none": lambda: judged(option("cluster-delay", "long")),
    "a percentage that is none": lambda: judged(option("load-threshold", "much")),
    "a count that is negative": lambda: judged(cib(clone("clone-max").replace("true", "-1"))),
    "an integer that is none": lambda: judged(with_meta("remote-port", "x")),
    "a resource's option at the cluster": lambda: judged(option("target-role", "Started")),
    "a cluster's option at a resource": lambda: judged(with_meta("no-quorum-policy", "stop")),
    "an option twice in a set": lambda: judged(option("stonith-enabled", "true")),
    "a role that is none": lambda: judged(rule(USES_ATTRIBUTE, 'role="Boss"')),
    "a pattern that is none": lambda: judged(
        located("", 'rsc-pattern="web(" node="atlantis" score="1"')
    ),
    "an option 4.0 took away": lambda: judged(
        option("remove-after-stop", "true").replace("-3.9", "-4.0")
    ),
    "a word 4.0 took away": lambda: judged(
        option("stonith-action", "poweroff").replace("-3.9", "-4.0")
    ),
    "a resource option 4.0 took away": lambda: judged(
        with_meta("restart-type", "restart").replace("-3.9", "-4.0")
    ),
}

WHOLE: dict[str, Callable[[], list[Problem]]] = {
    "orders that go round": lambda: judged(
        cib(constraints=order("o1", "vip", "web") + order("o2", "web", "vip"))
    ),
    "an order against a group's": lambda: judged(
        cib(f'<group id="g">{VIP}{WEB}</group>', order("o", "web", "vip"))
    ),
    "together and apart": lambda: judged(
        cib(constraints=together("near", "INFINITY") + together("far", "-INFINITY"))
    ),
    "apart in one group": lambda: judged(
        cib(f'<group id="g">{VIP}{WEB}</group>', together("far", "-INFINITY"))
    ),
    "here and not here": lambda: judged(
        cib(
            constraints='<rsc_location id="yes" rsc="vip" node="atlantis" score="INFINITY"/>'
            '<rsc_location id="no" rsc="vip" node="atlantis" score="-INFINITY"/>'
        )
    ),
    "a set of one": lambda: judged(
        cib(
            constraints='<rsc_order id="o"><resource_set id="s"><resource_ref id="vip"/>'
            "</resource_set></rsc_order>"
        )
    ),
    "an order with itself": lambda: judged(
        cib(constraints=order("o", "vip", "vip", 'kind="Optional"'))
    ),
    "a misspelt node": lambda: judged(located("", 'rsc="vip" node="altantis" score="1"')),
    "a misspelt node of a level": lambda: judged(cib(rest=LEVEL.format("altantis", "vip"))),
    "a level without its device": lambda: judged(cib(rest=LEVEL.format("atlantis", "ipmi"))),
    "two nodes of one name": lambda: judged(
        cib(nodes='<node id="1" uname="atlantis"/><node id="2" uname="atlantis"/>')
    ),
    "a tag of what is not there": lambda: judged(
        cib(rest='<tags><tag id="t"><obj_ref id="wbe"/></tag></tags>')
    ),
    "no fencing device": lambda: judged(cib(options="")),
    "fencing required while off": lambda: judged(with_meta("requires", "fencing")),
    "fencing on failure while off": lambda: judged(
        with_op('name="start" interval="0" on-fail="fence"')
    ),
    "an impossible consequence of a stop": lambda: judged(
        with_op('name="stop" interval="0" on-fail="stop"')
    ),
    "a demotion of what is not promoted": lambda: judged(
        with_op('name="monitor" interval="10s" on-fail="demote"')
    ),
    "an init script that is promotable": lambda: judged(cib(clone("promotable"))),
    "an init script that is unique": lambda: judged(cib(clone("globally-unique"))),
    "promoted without a clone": lambda: judged(with_meta("target-role", "Promoted")),
    "an influence that is none": lambda: judged(
        cib(constraints=together("c", "5", 'influence="maybe"'))
    ),
    "two tags together": lambda: judged(
        cib(
            constraints='<rsc_colocation id="c" rsc="t1" with-rsc="t2" score="5"/>',
            rest='<tags><tag id="t1"><obj_ref id="vip"/></tag><tag id="t2"><obj_ref id="web"/>'
            "</tag></tags>",
        )
    ),
    "a symmetry that is ignored": lambda: judged(
        cib(constraints=order("o", "vip", "web", 'kind="Serialize" symmetrical="true"'))
    ),
    "an unordered group": lambda: judged(
        cib(
            '<group id="g"><meta_attributes id="m"><nvpair id="n" name="ordered" value="false"/>'
            f"</meta_attributes>{VIP}</group>"
        )
    ),
    "require-all of an order": lambda: judged(
        cib(constraints=order("o", "vip", "web", 'require-all="false"'))
    ),
    "a lifetime": lambda: judged(
        cib(
            constraints=order("o", "vip", "web").replace(
                "/>", f'><lifetime><rule id="r">{USES_ATTRIBUTE}</rule></lifetime></rsc_order>'
            )
        )
    ),
}

XML: dict[str, Callable[[], list[Problem]]] = {
    "nothing at all": lambda: parsed(b""),
    "no XML": lambda: parsed(b"<cib>\n  <a></b>\n</cib>"),
    "a document type": lambda: parsed(b"<!DOCTYPE cib><cib/>"),
    "another encoding": lambda: parsed("<cib/>".encode("utf-16")),
    "another encoding that is declared": lambda: parsed(
        '<?xml version="1.0" encoding="ISO-8859-1"?><cib a="ü"/>'.encode()
    ),
    "a zero byte": lambda: parsed(b"<cib>\x00</cib>"),
    "too many bytes": lambda: parsed(b"<cib>     </cib>", total_bytes=10),
    "too many elements": lambda: parsed(b"<a><b/><c/></a>", elements=2),
    "too deep": lambda: parsed(b"<a><b><c/></b></a>", depth=2),
    "too many attributes": lambda: parsed(b'<a b="1" c="2"/>', attributes=1),
    "too long a value": lambda: parsed(b'<a b="12345"/>', attribute_chars=4),
}

CHANGES: dict[str, Callable[[], list[Problem]]] = {
    "nothing given": lambda: changed(xml_step("create")),
    "created beside everything": lambda: changed(xml_step("create", VIP, section="frobs")),
    "created again": lambda: changed(xml_step("create", VIP, section="resources")),
    "changed and not there": lambda: changed(
        xml_step("modify", VIP.replace('"vip"', '"vpi"'), section="resources")
    ),
    "deleted by an xpath that finds nothing": lambda: changed(
        xml_step("replace", VIP, xpath="//primitive[@id='x']")
    ),
    "a section that must stay": lambda: changed(xml_step("delete", xpath="//resources")),
    "the configuration deleted": lambda: changed(xml_step("delete", xpath="//configuration")),
    "an older document": lambda: changed(
        xml_step("replace", cib().replace('epoch="5"', 'epoch="4"'))
    ),
    "more than is read": lambda: changed(
        *(
            xml_step(
                "create",
                f'<node_state id="{number}">{"<lrm/>" * 120_000}</node_state>',
                section="status",
            )
            for number in range(2)
        )
    ),
    "higher than is read": lambda: changed(
        xml_step(
            "create",
            f'<node_state id="1">{"<lrm>" * 40}<a id="a"/>{"</lrm>" * 40}</node_state>',
            section="status",
        ),
        xml_step("modify", f'<a id="a">{"<lrm>" * 40}{"</lrm>" * 40}</a>'),
    ),
    "many without ids": without_ids,
    "an XPath that looks at too much": lambda: changed(
        *(
            xml_step(
                "create", f'<node_state id="1">{"<lrm/>" * 5_000}</node_state>', section="status"
            ),
            xml_step("delete-all", xpath="//*[//*]"),
        )
    ),
    "a question whose answer is too long": too_long,
    "a version that leaves no number": lambda: changed(
        xml_step("modify", '<cib epoch="2147483648"/>')
    ),
    "a patch of another version": lambda: changed(
        xml_step(
            "patch",
            '<diff format="2"><version><source admin_epoch="0" epoch="3" num_updates="0"/>'
            '<target admin_epoch="0" epoch="4" num_updates="0"/></version></diff>',
        )
    ),
    "a patch without a version that fits": lambda: changed(
        xml_step(
            "patch",
            '<diff format="2"><version><source admin_epoch="x" epoch="3" num_updates="0"/>'
            '<target admin_epoch="0" epoch="4" num_updates="0"/></version></diff>',
        )
    ),
    "a patch of what is not there": lambda: changed(
        xml_step(
            "patch",
            '<diff format="2"><change operation="delete" path="/cib/configuration/frobs"/></diff>',
        )
    ),
    "another document": lambda: unfit(b"<html/>"),
    "an attribute that is the cluster's": lambda: changed(api.SetCibAttributes({"epoch": "9"})),
    "no patch": lambda: changed(xml_step("patch", "<cib/>")),
    "a version that is none": lambda: changed(xml_step("modify", '<cib epoch="x"/>')),
    "a change that is not valid": lambda: changed(
        xml_step("create", order("o", "vip", "wbe"), section="constraints")
    ),
    "no right at all": lambda: denied('<acl_role id="r"/>'),
    "a right to read": lambda: denied(
        '<acl_role id="r"><acl_permission id="p" kind="read" xpath="/cib"/></acl_role>'
        '<acl_target id="joe"><role id="r"/></acl_target>'
    ),
    "a denial": lambda: denied(
        '<acl_role id="r"><acl_permission id="q" kind="deny" reference="vip"/>'
        '<acl_permission id="p" kind="write" xpath="/cib"/></acl_role>'
        '<acl_target id="joe"><role id="r"/></acl_target>'
    ),
}

UPGRADES: dict[str, Callable[[], list[Problem]]] = {
    "a master": lambda: judged(cib(f'<master id="ms">{VIP}</master>', version="pacemaker-3.0")),
    "an id with a colon": lambda: judged(
        old('<primitive id="my:vip" class="ocf" provider="heartbeat" type="IPaddr"/>')
    ),
    "a clone without a word": lambda: judged(
        old('<clone id="c"><primitive id="d" class="ocf" provider="heartbeat" type="x"/></clone>')
    ),
    "options of old": lambda: judged(
        old(
            '<primitive id="p" class="ocf" provider="heartbeat" type="x" restart_type="restart">'
            '<instance_attributes id="i"><attributes><nvpair id="n" name="priority" value="5"/>'
            "</attributes></instance_attributes></primitive>"
        )
    ),
    "failures that lowered scores": lambda: judged(
        old("", '<nvpair id="n" name="default_resource_failure_stickiness" value="-5"/>')
    ),
    "an option in two places": lambda: judged(
        old(
            '<primitive id="p" class="ocf" provider="heartbeat" type="x" is_managed="false">'
            '<meta_attributes id="m"><attributes><nvpair id="n" name="is_managed" value="true"/>'
            "</attributes></meta_attributes></primitive>"
        )
    ),
    "an attribute of the root": lambda: judged(
        old("").replace('have_quorum="true"', 'have_quorum="true" colour="red"')
    ),
    "a ping node": lambda: judged(
        old("").replace("<nodes/>", '<nodes><node id="1" uname="router" type="ping"/></nodes>')
    ),
    "a clone with parameters": lambda: judged(
        old(
            '<clone id="c"><instance_attributes id="i"><attributes><nvpair id="n" name="ip" '
            'value="x"/></attributes></instance_attributes><primitive id="d" class="ocf" '
            'provider="heartbeat" type="x"/></clone>'
        )
    ),
    "a default of a guarded set": lambda: judged(
        cib(
            options=f'<rule id="r"><date_expression id="d" operation="gt" start="2030-01-01"/>'
            f'</rule>{SETUP}<nvpair id="n" name="default-resource-stickiness" value="5"/>',
            version="pacemaker-2.0",
        )
    ),
    "an option stated twice": lambda: judged(
        cib(
            options=f'{SETUP}<nvpair id="n" name="default-resource-stickiness" value="5"/>',
            rest='<rsc_defaults><meta_attributes id="rd"><nvpair id="rd1" '
            'name="resource-stickiness" value="7"/></meta_attributes></rsc_defaults>',
            version="pacemaker-2.0",
        )
    ),
    "a right that moved": lambda: judged(
        cib(
            VIP.replace(
                "/>",
                '><meta_attributes id="m"><nvpair id="n" name="requires" value="quorum"/>'
                '</meta_attributes><operations><op id="o" name="start" interval="0" '
                'requires="nothing"/></operations></primitive>',
            ),
            version="pacemaker-2.0",
        )
    ),
}

CHAPTERS = {
    "The language": GRAMMAR,
    "One object": OBJECTS,
    "The whole configuration": WHOLE,
    "XML": XML,
    "Changes": CHANGES,
    "Old dialects": UPGRADES,
}


def page() -> Iterator[str]:
    for title, scenes in CHAPTERS.items():
        yield f"# {title}\n"
        for scene, make in scenes.items():
            yield f"\n## {scene}\n"
            for problem in make():
                yield f"\n{problem.severity.value}[{problem.code}] about {problem.subject}\n"
                yield f"    {problem.message}\n"
                yield f"    hint: {problem.hint}\n"
        yield "\n"


ALL = [
    pytest.param(make, id=f"{title}-{scene}")
    for title, scenes in CHAPTERS.items()
    for scene, make in scenes.items()
]


@pytest.mark.parametrize("make", ALL)
def test_each_names_object_cause_and_remedy(make: Callable[[], list[Problem]]) -> None:
    problems = make()

    assert problems
    for problem in problems:
        assert problem.subject
        assert problem.hint, problem.message
        assert not problem.message.endswith(".")
        assert not problem.hint.endswith(".")
        assert "\n" not in problem.message + problem.hint
        named = re.findall(r"'[^']*'|<[\w-]+>|\d+", problem.message)
        assert named or problem.code in {"xml-empty", "xml-doctype"}, problem.message


def test_the_page_is_as_it_was_reviewed() -> None:
    now = "".join(page())
    if os.environ.get("BLESS"):
        PAGE.write_text(now)

    assert now == PAGE.read_text()


def test_no_code_is_missing_on_the_page() -> None:
    used = {
        code
        for pattern in COVERED
        for path in sorted(ROOT.glob(pattern))
        for code in CODE.findall(path.read_text())
    }
    shown = set(re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", "".join(page())))

    assert used - shown - NOT_SHOWN.keys() == set()
    assert shown & NOT_SHOWN.keys() == set()
