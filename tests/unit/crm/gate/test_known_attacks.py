"""Attacks on other cluster managers that became known, tried here; named as they are listed.

CVE-2018-16877 (a tool that trusts whoever serves the socket) is tried in the tests of the client
(`tests/unit/crm/api`), CVE-2013-0281 (a connection that never speaks) in those of the gate.
"""

from __future__ import annotations

import msgspec
import pytest

from crm.api import attributes, cib, controller, fencing, gate, lrm
from crm.cib import acl, operations, query
from crm.cib import document as documents
from crm.cib.rights import answer_rights
from crm.gate.authorisation import Identity, Role
from crm.gate.gate import CallerArrived, Effect
from tests.kit.cib import LENIENT
from tests.kit.gate import GateBench, hung_up, refusals, sent, told, unwrap

CIB = b"""<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config>
<cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="true"/>
</cluster_property_set></crm_config><nodes><node id="1" uname="n1"/></nodes><resources>
<primitive id="p" class="ocf" type="Dummy"><instance_attributes id="i">
<nvpair id="i-secret" name="passwd" value="topsecret"/></instance_attributes></primitive>
</resources><constraints/><acls>
<acl_role id="look"><acl_permission id="l1" kind="read" xpath="/cib"/>
<acl_permission id="l2" kind="deny" xpath="//nvpair[@name='passwd']"/></acl_role>
<acl_role id="all"><acl_permission id="a1" kind="write" xpath="/cib"/></acl_role>
<acl_target id="eve"><role id="look"/></acl_target></acls></configuration><status/></cib>"""

EVE = Identity(1000, 4711, "eve", Role.ADMINISTRATOR, ("haclient",))
"""A member of the group that may do everything, whom access lists let read only."""


def stand(identity: Identity = EVE) -> GateBench:
    bench = GateBench()
    bench.gate.receive(CallerArrived(1, identity), bench.now)
    return bench


def say(bench: GateBench, service: str, message: object) -> list[Effect]:
    """Let the caller say something, with the real judge of rights behind the gate."""
    bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="evil"))
    document = documents.Document.parse(CIB)
    effects = bench.say(1, service, message)  # type: ignore[arg-type]
    for tell in told(effects):
        if isinstance(tell.message, cib.AskRights):
            effects = bench.answer("cib", answer_rights(document, tell.message))
    return effects


def test_cve_2016_7035_who_may_not_use_the_cluster_is_not_listened_to() -> None:
    bench = stand(Identity(1000, 4711, "mallory", Role.STRANGER, ("users",)))
    effects = bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="evil"))
    assert [refusal.code for refusal in refusals(effects)] == [4]
    assert hung_up(effects) == [1]
    assert not bench.say(1, "cib", cib.Query(request=1))


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("stonithd", fencing.Fence(1, "n1")),
        ("stonithd", fencing.ConfirmDown(1, "n1", "root")),
        ("crmd", controller.FenceNode(1, "n1")),
        ("crmd", controller.CleanUp(1, "p", "n1")),
        ("attrd", attributes.UpdateAttribute("terminate", "true", "n1", request=1)),
        ("attrd", attributes.UpdateAttribute("fail-count-p", "INFINITY", "n1")),
        ("attrd", attributes.ClearNode("n1")),
        ("lrmd", lrm.DescribeExecutor(1)),
        (
            "lrmd",
            lrm.Execute(1, "k", "p", lrm.ResourceAgent("lsb", "evil"), "start"),
        ),
        ("cib", cib.BecomeFollower("elsewhere")),
    ],
)
def test_cve_2020_25654_other_daemons_are_no_way_round_the_access_lists(
    service: str, message: object
) -> None:
    effects = say(stand(), service, message)
    assert not told(effects)
    assert [refusal.code for refusal in refusals(effects)] == [4]


def test_cve_2020_25654_nor_is_another_name_in_the_message() -> None:
    asked = cib.Change(1, (), cib.Origin("crmd", "n1", "root"))
    (tell,) = told(say(stand(), "cib", asked))
    assert isinstance(tell.message, cib.Change)
    assert (tell.message.origin.user, tell.message.origin.groups) == ("eve", ("haclient",))


def test_what_daemons_remember_of_secrets_stays_with_them() -> None:
    bench = stand()
    say(bench, "attrd", attributes.AskAttributes(1))
    effects = bench.answer(
        "attrd",
        attributes.AttributeValues(1, (attributes.AttributeValue("n1", "a", "1"),)),
    )
    (asked,) = told(effects)
    assert isinstance(asked.message, cib.AskRights)
    (frame,) = sent(bench.answer("cib", cib.Rights(asked.message.request, (0,))))
    assert unwrap(frame) == attributes.AttributeValues(1)


def carried(*steps: cib.XmlOperation) -> tuple[cib.Outcome, bytes]:
    document = documents.Document.parse(CIB)
    before = document.text()
    done = operations.carry_out(document, steps, LENIENT, guard=acl.guard_of(document.root, "eve"))
    assert document.text() == before
    return done.outcome, done.xml


@pytest.mark.parametrize(
    "text",
    [
        '<acl_target id="eve"><role id="all"/></acl_target>',
        '<acls><acl_target id="eve2"/></acls>',
        '<acl_role id="look"><acl_permission id="l3" kind="write" xpath="/cib"/></acl_role>',
        '<acls><acl_group id="haclient"><role id="all"/></acl_group></acls>',
        '<nvpair id="o-acl" value="false"/>',
    ],
)
def test_cve_2015_1867_who_may_read_only_takes_no_role(text: str) -> None:
    step = cib.XmlOperation(cib.XmlTask.MODIFY, text.encode(), may_create=True)
    assert carried(step)[0] is cib.Outcome.DENIED
    step = cib.XmlOperation(cib.XmlTask.CREATE, text.encode(), "acls")
    assert carried(step)[0] in (cib.Outcome.DENIED, cib.Outcome.EXISTS)


@pytest.mark.parametrize(
    "text", ['<cib epoch="2147483647"/>', '<cib epoch="2"/>', '<cib num_updates="2147483647"/>']
)
def test_who_may_read_only_uses_up_no_versions(text: str) -> None:
    step = cib.XmlOperation(cib.XmlTask.MODIFY, text.encode())
    assert carried(step)[0] is cib.Outcome.DENIED
    assert carried(cib.XmlOperation(cib.XmlTask.BUMP))[0] is cib.Outcome.DENIED


def test_a_refusal_and_a_dry_run_tell_no_secret() -> None:
    document = documents.Document.parse(CIB)
    for dry_run in (False, True):
        for step in (
            cib.XmlOperation(cib.XmlTask.MODIFY, b'<nvpair id="i-secret" name="passwd"/>'),
            cib.XmlOperation(cib.XmlTask.DELETE, b'<nvpair id="i-secret"/>'),
            cib.XmlOperation(cib.XmlTask.MODIFY, b'<primitive id="p" type="Other"/>'),
        ):
            done = operations.carry_out(
                document,
                (step,),
                LENIENT,
                guard=acl.guard_of(document.root, "eve"),
                dry_run=dry_run,
            )
            assert b"topsecret" not in done.xml
            assert "topsecret" not in str(done.findings)


@pytest.mark.parametrize(
    "asked",
    [
        cib.Query(1),
        cib.Query(1, "resources"),
        cib.Query(1, "configuration"),
        cib.Query(1, xpath="//resources"),
        cib.Query(1, xpath="//resources | //constraints"),
    ],
)
def test_what_was_written_for_one_user_is_not_kept_for_another(asked: cib.Query) -> None:
    document = documents.Document.parse(CIB)
    whole = query.answer_query(document, asked)
    part = query.answer_query(document, msgspec.structs.replace(asked, user="eve"))
    assert b"topsecret" in whole.xml
    assert b"topsecret" not in part.xml
    assert query.answer_query(document, asked) == whole
    document = documents.Document.parse(CIB)
    assert query.answer_query(document, msgspec.structs.replace(asked, user="eve")) == part
    assert query.answer_query(document, asked) == whole


@pytest.mark.parametrize(
    "xpath",
    ["//nvpair[@value='topsecret']", "//primitive[.//@value='topsecret']", "//@value", "//*",
     "//primitive[starts-with(.//nvpair/@value, 't')]", "id('i-secret')", "//nvpair/namespace::*"],
)  # fmt: skip
def test_no_question_tells_whether_a_guess_of_a_secret_is_right(xpath: str) -> None:
    document = documents.Document.parse(CIB)
    other = documents.Document.parse(CIB.replace(b"topsecret", b"different"))
    asked = cib.Query(1, xpath=xpath, user="eve")
    answers = {
        (reply.outcome, reply.xml)
        for reply in (query.answer_query(each, asked) for each in (document, other))
    }
    assert len(answers) == 1
    assert not any(b"topsecret" in text for _outcome, text in answers)


@pytest.mark.parametrize(
    "xpath", ["//nvpair/namespace::*", "//*[", "\x00", "//*[@id='\x01']", "//*[@id='\ud800']", "$x"]
)
def test_an_odd_xpath_selects_nothing_and_ends_no_daemon(xpath: str) -> None:
    document = documents.Document.parse(CIB)
    for user in ("", "eve"):
        reply = query.answer_query(document, cib.Query(1, xpath=xpath, user=user))
        assert reply.outcome is cib.Outcome.NOT_FOUND
    step = cib.XmlOperation(cib.XmlTask.DELETE, xpath=xpath)
    assert carried(step)[0] is cib.Outcome.OK


@pytest.mark.parametrize("text", ["\x00", "a\x01b", "\x1b[31m", "\ufffe"])
def test_text_that_no_xml_can_hold_gets_no_further_than_the_gate(text: str) -> None:
    root = Identity(0, 4711, "root", Role.ADMINISTRATOR, (), is_trusted=True)
    messages = [
        ("attrd", attributes.UpdateAttribute("a", text, "n1", request=1)),
        ("crmd", controller.CleanUp(1, text)),
        ("cib", cib.Change(1, (cib.SetNodeAttribute("n1", "1", text, "x"),), cib.Origin("x"))),
        ("cib", cib.Change(1, (cib.SetCibAttributes({text: "x"}),), cib.Origin("x"))),
    ]
    for service, message in messages:
        effects = say(stand(root), service, message)
        assert not told(effects)
        (refusal,) = refusals(effects)
        assert (refusal.code, refusal.request) == (65, 1)
        assert "U+" in refusal.message
