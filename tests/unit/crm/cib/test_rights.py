"""Rights to parts of the CIB that other daemons write or show."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib.rights import answer_rights

CIB = """<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config>
<cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="true"/>
</cluster_property_set></crm_config><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/>
<node id="3" uname="n3"/></nodes>
<resources><primitive id="fence1" class="stonith" type="x"/></resources><constraints/>
<acls><acl_role id="r">{}</acl_role><acl_target id="u"><role id="r"/></acl_target></acls>
</configuration><status><node_state id="1" uname="n1"><lrm id="1"><lrm_resources>
<lrm_resource id="p"><lrm_rsc_op id="p_start_0"/></lrm_resource><lrm_resource id="q"/>
</lrm_resources></lrm><transient_attributes id="1"><instance_attributes id="status-1">
<nvpair id="status-1-pingd" name="pingd" value="100"/></instance_attributes></transient_attributes>
</node_state><node_state id="2" uname="n2"/></status></cib>"""

PINGD = "//nvpair[@name='pingd']"


def document(*rights: str) -> documents.Document:
    """Make a CIB whose user u has these rights: `KIND XPATH`."""
    lines = []
    for at, right in enumerate(rights):
        kind, _, xpath = right.partition(" ")
        lines.append(f'<acl_permission id="right-{at}" kind="{kind}" xpath="{xpath}"/>')
    return documents.Document.parse(CIB.replace("\n", "").format("".join(lines)).encode())


def has(made: documents.Document, *needs: api.Need) -> list[bool]:
    before, digest = made.text(), made.digest()
    rights = answer_rights(made, api.AskRights(1, needs, "u"))
    assert (made.text(), made.digest()) == (before, digest)
    assert len(rights.denied) == len(rights.findings)
    return [place not in rights.denied for place in range(len(needs))]


def may_write(made: documents.Document, part: api.Part) -> bool:
    (answer,) = has(made, api.Need(part, write=True, throughout=True))
    return answer


@pytest.mark.parametrize(
    ("rights", "part", "allowed"),
    [
        (["write //status"], api.AttributePart("n1", "pingd"), True),
        (["write /cib"], api.AttributePart("n1", "pingd"), True),
        (["read /cib"], api.AttributePart("n1", "pingd"), False),
        ([], api.AttributePart("n1", "pingd"), False),
        ([f"write {PINGD}"], api.AttributePart("n1", "pingd"), True),
        ([f"write {PINGD}"], api.AttributePart("n1", "other"), False),
        ([f"write {PINGD}"], api.AttributePart("n2", "pingd"), True),
        ([f"write {PINGD}"], api.AttributePart("n3", "pingd"), True),
        ([f"write {PINGD}"], api.AttributePart("", "pingd"), True),
        ([f"write {PINGD}"], api.AttributePart("n1"), False),
        (["write //node_state[@uname='n1']"], api.AttributePart("n1", "new"), True),
        (["write //node_state[@uname='n1']"], api.AttributePart("n2", "new"), False),
        (["write //node_state[@uname='n1']"], api.AttributePart("", "pingd"), False),
        (["write //node_state[@id='3']"], api.AttributePart("n3", "new"), True),
        (["write //*[@id='status-2-new']"], api.AttributePart("n2", "new"), True),
        (["write //*[@id='mine-new']"], api.AttributePart("n2", "new", "mine"), True),
        (["write //status", f"deny {PINGD}"], api.AttributePart("n2", "pingd"), False),
        (["write //status", f"deny {PINGD}"], api.AttributePart("n1"), False),
        (["write //lrm_resource[@id='p']"], api.HistoryPart("n1", "p"), True),
        (["write //lrm_resource[@id='p']"], api.HistoryPart("n2", "p"), True),
        (["write //lrm_resource[@id='p']"], api.HistoryPart("", "p"), True),
        (["write //lrm_resource[@id='p']"], api.HistoryPart("n1", "q"), False),
        (["write //lrm_resource[@id='p']"], api.HistoryPart("n1"), False),
        (["write //lrm"], api.HistoryPart("n1"), True),
        (["write //lrm"], api.HistoryPart(), True),
        (["write //lrm", "deny //lrm_resource[@id='q']"], api.HistoryPart("n1"), False),
        (["write //lrm", "deny //lrm_rsc_op"], api.HistoryPart("n1", "p"), False),
        (["write /cib"], api.WholeCib(), True),
        (["write /cib/configuration", "write //status"], api.WholeCib(), False),
        (["write /cib", "deny //status"], api.WholeCib(), False),
        (["write //resources"], api.ObjectPart("fence1"), True),
        (["write /cib"], api.ObjectPart("unknown"), False),
    ],
)
def test_a_part_may_be_written_where_it_stands_or_would_stand(
    rights: list[str], part: api.Part, allowed: bool
) -> None:
    assert may_write(document(*rights), part) is allowed


def test_each_need_is_judged_by_itself() -> None:
    made = document("read //status", "deny //node_state[@id='2']")
    needs = [api.Need(api.AttributePart(node, "pingd")) for node in ("n1", "n2", "n3")]
    assert has(made, *needs, api.Need(api.ObjectPart("fence1"))) == [True, False, True, False]


def test_a_need_throughout_is_not_met_where_anything_inside_is_denied() -> None:
    made = document("write /cib", f"deny {PINGD}")
    whole = api.WholeCib()
    plain = api.Need(whole, write=True)
    assert has(made, plain, api.Need(whole), api.Need(whole, throughout=True)) == [
        True,
        True,
        False,
    ]


def test_a_refusal_names_user_place_and_permission() -> None:
    made = document("read /cib")
    need = api.Need(api.HistoryPart("n1", "p"), write=True)
    (finding,) = answer_rights(made, api.AskRights(1, (need,), "u")).findings
    assert finding.message == (
        "the user 'u' may not write /cib/status/node_state[@id='1']/lrm[@id='1']/lrm_resources"
        "/lrm_resource[@id='p']: the acl_permission 'right-0' lets the user read it only"
    )
    need = api.Need(api.WholeCib())
    (finding,) = answer_rights(document(), api.AskRights(1, (need,), "u")).findings
    assert finding.message == "the user 'u' may not read /cib: no acl_permission lets the user"
    assert "of the kind read" in finding.hint


@pytest.mark.parametrize("user", ["", "root", "hacluster", "owner"])
def test_root_and_the_daemons_users_need_no_right(user: str) -> None:
    need = api.Need(api.WholeCib(), write=True, throughout=True)
    asked = api.AskRights(7, (need,), user)
    assert answer_rights(document(), asked, own_user="owner") == api.Rights(7)


def test_groups_count() -> None:
    text = CIB.replace('<acl_target id="u">', '<acl_group id="staff">')
    text = text.replace("</acl_target>", "</acl_group>").replace("\n", "")
    permission = '<acl_permission id="x" kind="write" xpath="/cib"/>'
    made = documents.Document.parse(text.format(permission).encode())
    need = (api.Need(api.WholeCib(), write=True),)
    assert not answer_rights(made, api.AskRights(1, need, "any", ("staff",))).denied
    assert answer_rights(made, api.AskRights(1, need, "any", ("users",))).denied


@pytest.mark.parametrize(
    "part",
    [
        api.AttributePart("n3", "a\x01"),
        api.HistoryPart("n4", "\x00"),
        api.AttributePart("\x00", "a"),
    ],
)
def test_a_judgement_that_goes_wrong_leaves_nothing_behind(part: api.Part) -> None:
    made = document("write //lrm")
    before, digest = made.text(), made.digest()
    with pytest.raises(ValueError, match="XML compatible"):
        answer_rights(made, api.AskRights(1, (api.Need(part, write=True),), "u"))
    assert (made.text(), made.digest()) == (before, digest)
    assert made.node_state(name="n3") is None
