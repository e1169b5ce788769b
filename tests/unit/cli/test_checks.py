"""What the shell checks beyond the CIB itself."""

from pathlib import Path

import pytest

from cli import edits
from cli.checks import check
from cli.grammar.statements import parse
from crm.model.configuration import Item
from crm.plumbing.errors import Severity


def configuration(*lines: str) -> Item:
    made = Item("configuration")
    for line in lines:
        edits.add(made, parse(line), line.split()[0])
    return made


def codes(root: Path, *lines: str) -> list[tuple[str, str]]:
    found = check(configuration(*lines), Item("configuration"), root)
    return [(problem.code, problem.severity.value) for problem in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("primitive p ocf:heartbeat:IPaddr2 ip=10.0.0.1", []),
        ("primitive p ocf:heartbeat:IPaddr2", [("parameter-missing", "error")]),
        (
            "primitive p ocf:heartbeat:IPaddr2 ip=10.0.0.1 ipp=1",
            [("unknown-parameter", "error")],
        ),
        ("primitive p ocf:heartbeat:IPaddr2 params $id-ref=other", []),
        ("primitive p ocf:nobody:Nothing x=1", [("unknown-agent", "warning")]),
        ("primitive p abc:Dummy", [("unknown-class", "error")]),
        ("primitive p lsb:nothing", [("unknown-agent", "warning")]),
    ],
)
def test_an_agent_and_its_parameters_are_checked(
    tmp_path: Path, line: str, expected: list[tuple[str, str]]
) -> None:
    other = "primitive o ocf:pacekeeper:Dummy params $id=other state=/x"
    assert codes(tmp_path, other, line) == expected


def test_a_pattern_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    assert codes(tmp_path, "location l /p[/ 1: n") == [("invalid-pattern", "error")]


def test_a_constraint_on_an_instance_of_a_clone_is_ambiguous(tmp_path: Path) -> None:
    lines = ("primitive a ocf:pacekeeper:Dummy", "clone c a", "location l a 1: n")
    assert codes(tmp_path, *lines) == [("member-ambiguous", "error")]


def test_a_colocation_with_a_member_of_a_group_is_warned_about(tmp_path: Path) -> None:
    lines = (
        "primitive a ocf:pacekeeper:Dummy",
        "primitive b ocf:pacekeeper:Dummy",
        "group g a",
        "colocation c inf: a b",
    )
    assert codes(tmp_path, *lines) == [("member-constrained", "warning")]


def test_values_of_properties_matter_once_there_is_a_resource(tmp_path: Path) -> None:
    wrong = "property no-quorum-policy=whatever"
    assert codes(tmp_path, wrong) == []
    primitive = "primitive a ocf:pacekeeper:Dummy"
    assert codes(tmp_path, primitive, wrong) == [("invalid-value", "error")]


def test_what_was_there_before_is_not_complained_about_again(tmp_path: Path) -> None:
    made = configuration("primitive p ocf:heartbeat:IPaddr2")
    assert check(made, made.copy(), tmp_path) == []
    assert all(each.severity is Severity.ERROR for each in check(made, Item("c"), tmp_path))
