"""A text of statements as the new form of objects: what goes, what comes, and what keeps its id."""

import pytest

from cli import edits, rewriting
from cli.edits import EditRefused
from cli.grammar.statements import Surroundings, parse
from cli.view.configuration import show
from crm.model.configuration import Item, own_ids

AROUND = Surroundings()


def configuration(*lines: str) -> Item:
    made = Item("configuration")
    for line in ("primitive a Dummy", "primitive b Dummy", *lines):
        edits.add(made, parse(line), line.split()[0])
    return made


def display(made: Item) -> list[str]:
    return show(made, list(edits.objects(made))).replace(" \\\n\t", " ").splitlines()


def rewrite(made: Item, text: str, *names: str) -> None:
    chosen = [edits.need(made, name) for name in names] or list(edits.objects(made))
    rewriting.rewrite(made, chosen, text, AROUND, "text")


def test_a_group_may_stand_before_its_members() -> None:
    made = configuration()
    rewriting.load(made, "group g x y\nprimitive x Dummy\nprimitive y Dummy", AROUND, "f")
    assert "group g x y" in display(made)


def test_what_a_text_leaves_out_is_deleted_and_the_rest_is_kept() -> None:
    made = configuration("group g a b", "location l a 5: n1")
    rewrite(made, "primitive a Dummy params fake=1", "a", "l")
    assert display(made) == ["primitive a Dummy params fake=1", "primitive b Dummy", "group g a b"]


def test_parts_that_are_alike_keep_their_ids() -> None:
    made = configuration("location l a rule $id=r1 -inf: not_defined w rule $id=r2 w: defined w")
    text = "location l a rule -inf: not_defined w or m lte 0 rule -inf: x eq y rule w: defined w"
    rewrite(made, text, "l")
    assert [rule.id for rule in edits.need(made, "l").item.children] == ["r1", "l-rule", "r2"]
    assert {"r1-expression", "r1-expression-0", "r2-expression"} <= own_ids(made)


def test_an_edited_set_of_options_is_what_the_text_says_and_a_loaded_one_is_merged() -> None:
    made = configuration("property a=1 b=2")
    rewrite(made, "property cib-bootstrap-options: b=3", "cib-bootstrap-options")
    assert display(made)[-1] == "property cib-bootstrap-options: b=3"
    rewriting.load(made, "property c=4", AROUND, "f")
    assert display(made)[-1] == "property cib-bootstrap-options: b=3 c=4"


def test_a_pushed_text_deletes_all_it_does_not_name() -> None:
    made = configuration("fencing_topology n1: a", "property a=1")
    rewriting.push(made, list(edits.objects(made)), "primitive b Dummy\nproperty b=2", AROUND, "f")
    assert display(made) == ["primitive b Dummy", "property cib-bootstrap-options: a=1 b=2"]


def test_comments_inside_a_statement_go_with_it() -> None:
    made = configuration()
    rewriting.load(made, "# why\nlocation l a \\\n# why\n\trule 5: x eq y", AROUND, "f")
    assert display(made)[-2:] == ["# why", "location l a rule 5: x eq y"]


def test_every_line_that_cannot_be_carried_out_is_named() -> None:
    with pytest.raises(EditRefused) as caught:
        rewriting.load(configuration(), "group g nowhere\nclone c a\nfrob x", AROUND, "f")
    assert [problem.subject for problem in caught.value.problems] == ["f:3"]
    with pytest.raises(EditRefused) as caught:
        rewriting.load(configuration(), "group g nowhere\nclone c nothing", AROUND, "f")
    assert [problem.subject for problem in caught.value.problems] == ["f:1", "f:2"]


def test_a_swap_of_members_is_refused_as_long_as_one_is_taken() -> None:
    made = configuration("primitive x Dummy", "group g a x", "group h b")
    with pytest.raises(EditRefused):
        rewrite(made, "group g b x\ngroup h a", "g", "h")
