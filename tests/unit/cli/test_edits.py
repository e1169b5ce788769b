"""Changes of a configuration, and what follows them."""

import pytest

from cli import edits, removals, renaming, values
from cli.grammar.statements import parse
from cli.view.configuration import show
from cli.workspace import parse_document
from crm.model.configuration import Item, own_ids

BASE = """
node node1
node node2
primitive a ocf:pacemaker:Dummy
primitive b ocf:pacemaker:Dummy
primitive c ocf:pacemaker:Dummy
"""


def configuration(text: str = "") -> Item:
    made = Item("configuration")
    for line in (BASE + text).strip().splitlines():
        add(made, line)
    return made


def add(made: Item, line: str) -> None:
    edits.add(made, parse(line), line.split()[0])


def display(made: Item, *names: str) -> list[str]:
    chosen = [edits.need(made, name) for name in names]
    return show(made, chosen).replace(" \\\n\t", " ").splitlines()


def test_a_part_without_an_id_gets_the_classic_one() -> None:
    made = configuration(
        "primitive p Dummy params x=1 params y=2 op monitor interval=10s T=1\n"
        "location l p rule #uname eq node1 and date spec hours=1 rule a eq b\n"
        "colocation s inf: ( a b ) c"
    )
    assert own_ids(made) >= {
        "p-instance_attributes", "p-instance_attributes-x", "p-instance_attributes-0",
        "p-instance_attributes-0-y", "p-monitor-10s", "p-monitor-10s-instance_attributes-T",
        "l-rule", "l-rule-expression", "l-rule-expression-0-date_spec", "l-rule-0",
        "l-rule-0-expression", "s-0", "s-1",
    }  # fmt: skip


def test_a_group_takes_its_members_in_and_speaks_for_them() -> None:
    made = configuration("location l a 100: node1\ngroup g a b")
    assert display(made, "g", "l") == ["group g a b", "location l g 100: node1"]
    assert [item.id for item in edits.section(made, "resources").children] == ["c", "g"]


def test_a_deleted_group_gives_its_members_back() -> None:
    made = configuration("group g a b\nlocation l g 100: node1")
    notes = removals.delete(made, "g")
    assert notes == ["modified location:l from g to a"]
    assert display(made, "a", "b", "l")[-1] == "location l a 100: node1"


def test_deleting_a_cloned_group_removes_the_clone_as_well() -> None:
    made = configuration("group g a b\nclone cl g")
    removals.delete(made, "g")
    assert edits.find(made, "cl") is None
    assert {"a", "b"} <= {each.item.id for each in edits.objects(made)}


def test_a_constraint_goes_when_nothing_is_left_of_it() -> None:
    made = configuration("order o Mandatory: a b\nlocation l a 1: node1\ntag t a")
    notes = removals.delete(made, "a")
    assert notes == [
        "hanging order:o deleted",
        "hanging location:l deleted",
        "hanging tag:t deleted",
    ]


def test_a_set_of_three_becomes_the_simple_form_when_one_goes() -> None:
    made = configuration("order o Mandatory: a b c")
    assert removals.delete(made, "b") == ["constraint order:o updated"]
    assert display(made, "o") == ["order o Mandatory: a c"]


def test_the_last_member_takes_the_group_along() -> None:
    made = configuration("group g a")
    assert removals.delete(made, "a") == ["hanging group:g deleted"]
    assert edits.find(made, "g") is None


def test_options_merge_into_the_set_of_the_same_name() -> None:
    made = configuration("property x=1 y=2\nproperty x=3 z=4\nproperty own: x=9")
    assert display(made, "cib-bootstrap-options", "own") == [
        "property cib-bootstrap-options: x=3 y=2 z=4",
        "property own: x=9",
    ]


def test_a_node_given_again_keeps_its_id() -> None:
    made = configuration()
    add(made, "node 7: node7")
    add(made, "node node7 attributes rack=r1")
    assert display(made, "node7") == ["node 7: node7 attributes rack=r1"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("primitive a Dummy", "id-taken"),
        ("primitive 1p Dummy", "invalid-id"),
        ("primitive a:b Dummy", "invalid-id"),
        ("primitive p @nowhere", "unknown-template"),
        ("group g a nowhere", "unknown-resource"),
        ("group g2 b c", "member-taken"),
        ("group g2 g1 c", "not-a-primitive"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_touched(line: str, code: str) -> None:
    made = configuration("group g1 b")
    before = made.copy()
    with pytest.raises(edits.EditRefused) as caught:
        add(made, line)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert made == before


def test_a_name_that_was_nearly_right_is_hinted_at() -> None:
    with pytest.raises(edits.EditRefused) as caught:
        edits.need_node(configuration(), "node3")
    assert caught.value.problems[0].hint in ("there is a node 'node1'", "there is a node 'node2'")


def test_a_reference_to_an_object_means_its_set() -> None:
    made = configuration("primitive p Dummy params x=1\nprimitive q Dummy params $id-ref=p")
    assert display(made, "q") == ["primitive q Dummy params $id-ref=p-instance_attributes"]


def test_renaming_reaches_every_mention() -> None:
    made = configuration("order o Mandatory: a b c\nlocation l a 1: node1\ntag t a")
    renaming.rename(made, "a", "z")
    assert display(made, "o", "l", "t") == [
        "tag t z",
        "location l z 1: node1",
        "order o Mandatory: z b c",
    ]
    assert edits.find(made, "a") is None


def test_a_taken_name_is_not_given_twice() -> None:
    made = configuration()
    with pytest.raises(edits.EditRefused):
        renaming.rename(made, "a", "b")


@pytest.mark.parametrize(
    ("right", "renamed"),
    [
        ('reference="a"', 'reference="z"'),
        ('reference="ab"', 'reference="ab"'),
        ("xpath=\"//primitive[@id='a']/meta_attributes\"",
         "xpath=\"//primitive[@id='z']/meta_attributes\""),
        ("xpath='//*[@id = \"a\"]'", "xpath='//*[@id = \"z\"]'"),
        ("xpath=\"//*[@id='ab' or @name='a']\"", "xpath=\"//*[@id='ab' or @name='a']\""),
    ],
)  # fmt: skip
def test_rights_to_an_object_go_with_its_new_name(right: str, renamed: str) -> None:
    text = (
        '<cib><configuration><resources><primitive id="a"/></resources><acls><acl_role id="r">'
        '<acl_permission id="x" kind="write" {}/></acl_role></acls></configuration></cib>'
    )
    made, wanted = (
        parse_document(text.format(each).encode(), "x").children[0] for each in (right, renamed)
    )
    renaming.rename(made, "a", "z")
    assert made.first("acls") == wanted.first("acls")


def test_members_are_moved_in_and_out_of_a_group() -> None:
    made = configuration("group g a b")
    edits.change_group(made, ["g", "add", "c", "before", "b"])
    assert display(made, "g") == ["group g a c b"]
    edits.change_group(made, ["g", "remove", "a"])
    assert display(made, "g") == ["group g c b"]


def test_a_new_form_of_a_group_rearranges_its_members() -> None:
    made = configuration("group g a b")
    edits.put_in_place(made, edits.need(made, "g"), parse("group g c a"))
    assert display(made, "g") == ["group g c a"]
    assert edits.find(made, "b") is not None


def test_setting_a_value_changes_what_is_there_and_nothing_else() -> None:
    made = configuration("primitive p Dummy params x=1 op monitor interval=10s timeout=20s")
    values.set_value(made, "p.x", "2")
    values.set_value(made, "p.monitor.timeout", "30s")
    assert display(made, "p") == [
        "primitive p Dummy params x=2 op monitor interval=10s timeout=30s"
    ]
    with pytest.raises(edits.EditRefused):
        values.set_value(made, "p.nothing", "1")


def test_an_order_that_lost_members_becomes_the_simple_form() -> None:
    made = configuration("order o Optional: ( a b ) c:promote")
    removals.delete(made, "a")
    assert display(made, "o") == ["order o Optional: b c:promote"]
