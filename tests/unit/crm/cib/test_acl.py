"""Access lists: what a user sees, what a user may change, and what the refusal says."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.cib import acl, operations, query, xpath
from crm.cib import document as documents
from crm.plumbing import xml
from tests.kit.cib import LENIENT

Task = api.XmlTask
ALL = "read xpath=/cib"
STOP = '<nvpair id="m-role" value="Stopped"/>'

CIB = """
<cib admin_epoch="0" epoch="5" num_updates="0" validate-with="pacemaker-3.9">
  <configuration>
    <crm_config><cluster_property_set id="options">
      <nvpair id="enable" name="enable-acl" value="{enabled}"/>
    </cluster_property_set></crm_config>
    <nodes/>
    <resources>
      <group id="g">
        <primitive id="p" class="ocf" provider="pacekeeper" type="Dummy">
          <meta_attributes id="m">
            <nvpair id="m-role" name="target-role" value="Started"/>
          </meta_attributes>
          <instance_attributes id="i">
            <nvpair id="i-fake" name="fake" value="1"/>
            <nvpair id="i-secret" name="passwd" value="x"/>
          </instance_attributes>
        </primitive>
        <primitive id="q" class="ocf" provider="pacekeeper" type="Dummy"/>
      </group>
    </resources>
    <constraints><rsc_location id="l" rsc="p" node="n1" score="10"/></constraints>
    <acls>{acls}</acls>
  </configuration>
  <status/>
</cib>
"""


USER = '<acl_role id="r">{}</acl_role><acl_target id="u"><role id="r"/></acl_target>'
SHOWN = ("g", "p", "m-role", "i", "i-fake", "i-secret", "q", "l")


def document(*rights: str, enabled: str = "true", acls: str = "") -> documents.Document:
    """Make a CIB whose user u has these rights: `KIND ATTRIBUTE=VALUE …`."""
    permissions = [_permission(f"right-{number}", right) for number, right in enumerate(rights)]
    text = CIB.format(acls=acls or USER.format("".join(permissions)), enabled=enabled)
    return documents.Document.parse(text.replace("\n", " ").encode())


def _permission(name: str, right: str) -> str:
    kind, *words = right.split()
    pairs = "".join(
        f' {key}="{value}"' for key, _, value in (word.partition("=") for word in words)
    )
    return f'<acl_permission id="{name}" kind="{kind}"{pairs}/>'


def seen(made: documents.Document, **options: object) -> str:
    """Write the ids of what user u sees, in short; `-` marks that nothing but the id is left."""
    asked = api.Query(0, user="u", **options)  # type: ignore[arg-type]
    reply = query.answer_query(made, asked)
    if reply.outcome is not api.Outcome.OK:
        return reply.outcome.name
    items = [item for item in xml.parse(reply.xml).iter() if item.get("id") in SHOWN]
    bare = {item.get("id") for item in items if len(item.attrib) == 1} - {"g", "i"}
    return " ".join(f"{name}-" if (name := item.get("id")) in bare else f"{name}" for item in items)


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        ([ALL], "g p m-role i i-fake i-secret q l"),
        (["read reference=l"], "l"),
        (["read xpath=//instance_attributes"], "g p- i i-fake i-secret"),
        ([ALL, "deny xpath=//nvpair[@name='passwd']"], "g p m-role i i-fake q l"),
        (
            [ALL, "deny xpath=//instance_attributes", "read reference=i-fake"],
            "g p m-role i i-fake q l",
        ),
        (["deny xpath=/cib", "read xpath=//primitive"], "g p m-role i i-fake i-secret q"),
        (["read object-type=nvpair attribute=value"], "g p- m-role i i-fake i-secret"),
        (["write reference=q"], "g q"),
        ([ALL, "read reference=i", "deny reference=i"], "g p m-role q l"),
        ([ALL, "deny reference=i", "read reference=i"], "g p m-role q l"),
        (["read xpath=//primitive["], "DENIED"),
        ([ALL, "deny xpath=//primitive["], "DENIED"),
        (["deny xpath=//nvpair"], "DENIED"),
        ([], "DENIED"),
    ],
)
def test_what_may_not_be_seen_leaves_and_its_parents_keep_their_ids(
    rights: list[str], shown: str
) -> None:
    assert seen(document(*rights)) == shown


def test_the_tree_is_what_it_was_when_it_has_been_looked_at() -> None:
    made = document("read xpath=//nvpair", "deny reference=i-secret", "read reference=q")
    made.root.find(".//group").text = "t"  # type: ignore[union-attr]
    made.root.find(".//primitive").tail = "u"  # type: ignore[union-attr]
    before = xml.serialise(made.root)
    elements = list(made.root.iter())
    access = acl.Access(made.root, acl.permissions_of(made.root, acl.Subject("u")))
    with pytest.raises(KeyError), access.only_visible() as sight:
        shown = xml.serialise(made.root)
        raise KeyError
    assert sight == acl.Sight(made.root, is_partial=True)
    assert b"i-secret" not in shown
    assert b">t<" not in shown
    assert b">u<" not in shown
    assert xml.serialise(made.root) == before
    assert all(one is other for one, other in zip(elements, made.root.iter(), strict=True))


@pytest.mark.parametrize(
    ("rights", "partial"),
    [
        ([ALL], False),
        (["read xpath=//*"], False),
        ([ALL, "deny xpath=//nothing"], False),
        ([ALL, "deny reference=i-secret"], True),
        (["read xpath=/cib/configuration"], True),
        (["read xpath=/cib/*", "read xpath=/cib", "write reference=p"], False),
    ],
)
def test_an_answer_tells_whether_something_is_hidden(rights: list[str], partial: bool) -> None:
    assert query.answer_query(document(*rights), api.Query(0, user="u")).is_partial is partial


@pytest.mark.parametrize(
    ("expression", "quick"),
    [
        ("//nvpair[@name='passwd']", "/descendant::nvpair[@name='passwd']"),
        ("//*[@id='a']/meta_attributes", "/descendant::*[@id='a']/meta_attributes"),
        ("//nvpair[1]", "//nvpair[1]"),
        ("//nvpair[@value=1]", "//nvpair[@value=1]"),
        ("//primitive//nvpair", "//primitive//nvpair"),
        ("//a | //b", "//a | //b"),
        ("/cib", "/cib"),
    ],
)
def test_only_xpaths_that_do_not_count_are_hastened(expression: str, quick: str) -> None:
    assert xpath.hastened(expression) == quick


def test_a_question_for_what_is_hidden_is_answered_as_if_it_were_not_there() -> None:
    made = document("read reference=l")
    assert seen(made, section="resources") == "NOT_FOUND"
    assert seen(made, xpath="//primitive") == "NOT_FOUND"
    assert seen(made, xpath="//rsc_location") == "l"


def test_reading_leaves_the_document_alone() -> None:
    made = document("read reference=l")
    before = made.text()
    seen(made)
    assert made.text() == before


@pytest.mark.parametrize("user", ["", "root", "hacluster", "owner"])
def test_root_the_daemons_and_their_user_are_not_restricted(user: str) -> None:
    made = document()
    reply = query.answer_query(made, api.Query(0, user=user), own_user="owner")
    assert reply.xml == made.text()


@pytest.mark.parametrize(
    ("value", "held"),
    [("true", True), ("ON", True), ("1", True), ("false", False), ("maybe", False)],
)
def test_access_lists_hold_only_when_they_are_enabled(value: str, held: bool) -> None:
    assert acl.is_restricted(document(enabled=value).root, "u") is held


ROLE = '<acl_role id="r"><acl_permission id="x" kind="read" reference="l"/></acl_role>'


@pytest.mark.parametrize(
    ("acls", "groups", "held"),
    [
        (ROLE + '<acl_target id="u"><role id="r"/></acl_target>', (), True),
        (ROLE + '<acl_target id="t" name="u"><role id="r"/></acl_target>', (), True),
        (ROLE + '<acl_target id="u" name="other"><role id="r"/></acl_target>', (), False),
        (ROLE + '<acl_group id="staff"><role id="r"/></acl_group>', ("staff", "users"), True),
        (ROLE + '<acl_group id="staff"><role id="r"/></acl_group>', ("users",), False),
        (ROLE + '<acl_group id="u"><role id="r"/></acl_group>', (), False),
        (ROLE + '<acl_target id="u"><role id="gone"/></acl_target>', (), False),
        ('<acl_user id="u"><read id="x" ref="l"/></acl_user>', (), True),
        (
            '<acl_role id="r"><read id="x" tag="rsc_location" attribute="rsc"/></acl_role>'
            '<acl_user id="u"><role_ref id="r"/></acl_user>',
            (),
            True,
        ),
        (
            '<acl_role id="r"><read id="x" xpath="//rsc_location"/></acl_role>'
            '<acl_target id="u"><role id="r"/></acl_target>',
            (),
            True,
        ),
    ],
)  # fmt: skip
def test_rights_come_by_name_or_group_and_in_every_dialect(
    acls: str, groups: tuple[str, ...], held: bool
) -> None:
    made = document(acls=acls)
    assert seen(made, groups=groups) == ("l" if held else "DENIED")
    assert made.root.find("configuration/acls/acl_user") is None or "acl_user" in acls


# --- changes -----------------------------------------------------------------------------------


def change(
    made: documents.Document, task: Task, text: str = "", **options: object
) -> operations.Carried:
    guard = acl.guard_of(made.root, "u")
    dry_run = bool(options.pop("dry_run", False))
    operation = api.XmlOperation(task, text.encode(), **options)  # type: ignore[arg-type]
    return operations.carry_out(made, [operation], LENIENT, guard=guard, dry_run=dry_run)


READ_ROLE = "read reference=m-role"
NEW = '<primitive id="n" class="ocf" provider="pacekeeper" type="Dummy"/>'
SHELLS = '<primitive id="q"><meta_attributes id="qm">{}</meta_attributes></primitive>'
PAIR = '<nvpair id="qm-1" name="{}" value="false"/>'
WRITE_RESOURCES = "write xpath=//resources"
WRITE_MANAGED = "write xpath=//nvpair[@name='is-managed']"


@pytest.mark.parametrize(
    ("rights", "task", "text", "allowed"),
    [
        ([ALL], Task.MODIFY, STOP, False),
        ([ALL, "write reference=p"], Task.MODIFY, STOP, True),
        (["write reference=p"], Task.MODIFY, STOP, True),
        ([ALL, "write reference=p", "read xpath=//nvpair"], Task.MODIFY, STOP, True),
        ([ALL, "write reference=p", "deny reference=m"], Task.MODIFY, STOP, False),
        (["write reference=p", "deny reference=m", READ_ROLE], Task.MODIFY, STOP, False),
        ([ALL, "write reference=m-role", "deny reference=p"], Task.MODIFY, STOP, True),
        ([ALL, "write reference=m-role", "deny reference=m-role"], Task.MODIFY, STOP, False),
        ([ALL, "write xpath=//nvpair[@value='Stopped']"], Task.MODIFY, STOP, False),
        ([ALL], Task.MODIFY, STOP.replace("Stopped", "Started"), True),
        ([ALL, "write xpath=//meta_attributes"], Task.DELETE, '<nvpair id="m-role"/>', True),
        ([ALL, "write reference=l"], Task.DELETE, '<rsc_location id="l"/>', True),
        ([ALL, "write reference=p"], Task.DELETE, '<rsc_location id="l"/>', False),
        ([ALL], Task.DELETE, '<rsc_location id="unknown"/>', True),
        ([ALL, WRITE_RESOURCES], Task.CREATE, NEW, True),
        ([ALL, "write reference=n"], Task.CREATE, NEW, True),
        ([ALL, WRITE_RESOURCES, "deny reference=n"], Task.CREATE, NEW, False),
        ([ALL], Task.CREATE, NEW, False),
        ([ALL], Task.MODIFY, SHELLS.format(""), True),
        ([ALL, WRITE_MANAGED], Task.MODIFY, SHELLS.format(PAIR.format("is-managed")), True),
        ([ALL, WRITE_MANAGED], Task.MODIFY, SHELLS.format(PAIR.format("target-role")), False),
        ([ALL], Task.CREATE, '<acl_target id="friend"/>', False),
        ([ALL], Task.REPLACE, '<rsc_location id="l" rsc="p" node="n1" score="20"/>', False),
        ([ALL], Task.REPLACE, '<rsc_location id="l" rsc="p" node="n1" score="10"/>', True),
        (["write reference=l"], Task.REPLACE, '<rsc_location id="l" rsc="p" node="n1"/>', True),
        ([ALL], Task.BUMP, "", False),
        ([ALL, "write xpath=/cib/configuration"], Task.BUMP, "", False),
        (["write xpath=/cib"], Task.BUMP, "", True),
        ([ALL], Task.ERASE, "", False),
        (["write xpath=/cib"], Task.ERASE, "", True),
        (["write xpath=/cib", "deny reference=l"], Task.ERASE, "", False),
    ],
)  # fmt: skip
def test_a_change_is_judged_by_what_it_comes_to(
    rights: list[str], task: Task, text: str, allowed: bool
) -> None:
    made = document(*rights)
    before = made.text()
    places = {'<primitive id="n"': "resources", "<acl_target": "acls"}
    section = next((place for start, place in places.items() if text.startswith(start)), "")
    carried = change(made, task, text, section=section)
    expected = api.Outcome.OK if allowed else api.Outcome.DENIED
    assert carried.outcome is expected, carried.findings
    if not allowed:
        assert made.text() == before
        assert carried.patch == b""


def test_a_replacement_that_loses_what_is_denied_is_refused() -> None:
    made = document(ALL, "write reference=i", "deny reference=i-secret")
    kept = '<nvpair id="i-fake" name="fake" value="2"/>'
    secret = '<nvpair id="i-secret" name="passwd" value="x"/>'
    text = '<instance_attributes id="i">{}</instance_attributes>'
    assert change(made, Task.REPLACE, text.format(kept)).outcome is api.Outcome.DENIED
    assert change(made, Task.REPLACE, text.format(kept + secret)).outcome is api.Outcome.OK


def test_a_whole_cib_may_be_replaced_by_who_may_write_what_is_different() -> None:
    made = document(ALL, "write reference=l")
    text = (
        made.text().decode().replace('score="10"', 'score="20"').replace('epoch="5"', 'epoch="6"')
    )
    assert change(made, Task.REPLACE, text.replace('rsc="p"', 'rsc="q"')).outcome is api.Outcome.OK
    raised = made.text().decode().replace('admin_epoch="0"', 'admin_epoch="1"')
    assert change(made, Task.REPLACE, raised).outcome is api.Outcome.DENIED


def test_another_order_of_a_group_needs_the_right_to_write_its_members() -> None:
    text = document(ALL).text().decode()
    start, middle, end = (
        text.index('<primitive id="p"'),
        text.index('<primitive id="q"'),
        text.index("</group>"),
    )
    swapped = text[:start] + text[middle:end] + text[start:middle] + text[end:]
    assert change(document(ALL), Task.REPLACE, swapped).outcome is api.Outcome.DENIED


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ([], "no acl_permission lets the user"),
        ([ALL], "the acl_permission 'right-0' lets the user read it only"),
        ([ALL, "deny xpath=//meta_attributes"], "the acl_permission 'right-1' denies it"),
    ],
)
def test_a_refusal_names_user_object_attribute_and_permission(
    rights: list[str], words: str
) -> None:
    problem = change(document(*rights), Task.MODIFY, STOP).findings[0]
    assert problem.code == "access-denied"
    assert problem.subject == "m-role"
    said = f"the user 'u' may not change 'value' of <nvpair id='m-role'>: {words}"
    assert problem.message == said
    assert "acl_permission" in problem.hint


def test_who_has_no_right_at_all_gets_a_report_of_a_creation() -> None:
    carried = change(document(), Task.CREATE, NEW, section="resources")
    assert b'id="n" object_type="primitive"' in carried.xml
    assert b'reason="Permission denied"' in carried.xml
    assert change(document(ALL), Task.CREATE, NEW, section="resources").xml == b""


def test_a_dry_run_shows_only_what_its_user_may_see() -> None:
    carried = change(document("write reference=l"), Task.DELETE, xpath="//none", dry_run=True)
    assert b"rsc_location" in carried.xml
    assert b"passwd" not in carried.xml
    text = '<rsc_location id="l" score="20"/>'
    carried = change(document("write reference=l"), Task.MODIFY, text, dry_run=True)
    assert b'score="20"' in carried.xml
    assert b"passwd" not in carried.xml


def test_a_candidate_that_is_not_valid_is_not_shown_to_a_restricted_user() -> None:
    made = document(ALL, WRITE_RESOURCES, "deny reference=i-secret")
    strict = operations.Rules(
        lambda _root: [operations.errors.error("no", "n", "no")], LENIENT.upgrade
    )
    operation = api.XmlOperation(Task.CREATE, NEW.encode(), "resources")
    guard = acl.guard_of(made.root, "u")
    carried = operations.carry_out(made, [operation], strict, guard=guard)
    assert (carried.outcome, carried.xml) == (api.Outcome.INVALID_XML, b"")


# --- the history ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ([ALL], ""),
        (["read xpath=/cib/configuration"], ""),
        (["write xpath=/cib"], ""),
        ([], "no acl_permission lets the user"),
        (["read xpath=//resources", "read xpath=//constraints"], "no acl_permission"),
        ([ALL, "deny reference=i-secret"], "the acl_permission 'right-1' denies it"),
        ([ALL, "deny xpath=//nothing"], "the acl_permission 'right-1' denies it"),
    ],
)
def test_the_history_is_for_those_to_whom_nothing_is_denied(rights: list[str], words: str) -> None:
    entry = api.Revision(api.Version(0, 4, 0), api.Version(0, 5, 0), summary="created p")
    asked = api.AskRevisions(0, user="u")
    reply = query.answer_revisions(document(*rights), (entry,), asked)
    if not words:
        assert reply.revisions == (entry,)
        return
    assert (reply.outcome, reply.revisions) == (api.Outcome.DENIED, ())
    (finding,) = reply.findings
    assert words in finding.message
    assert "everything the configuration ever held" in finding.message


def test_access_lists_hold_as_the_scheduler_reads_their_option() -> None:
    sets = (
        '<cluster_property_set id="{0}" score="{1}">'
        '<nvpair id="{0}-acl" name="enable-acl" value="{2}"/></cluster_property_set>'
    )

    def is_enabled(*stated: tuple[str, int, str]) -> bool:
        options = "".join(sets.format(*each) for each in stated)
        text = f"<cib><configuration><crm_config>{options}</crm_config></configuration></cib>"
        return acl.is_enabled(xml.parse(text.encode()))

    assert is_enabled(("a", 0, "false"), ("b", 100, "true"))
    assert is_enabled(("a", 0, "false"), ("b", 0, "true")), "of equal sets the last counts"
    assert not is_enabled(("cib-bootstrap-options", 0, "false"), ("b", 100, "true"))
