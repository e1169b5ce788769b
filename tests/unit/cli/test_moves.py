"""The constraints of move, ban and clear."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli import moves
from crm.model.configuration import Item

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def constraints(*made: Item) -> Item:
    return Item("constraints", {}, list(made))


def ids(found: list[Item]) -> list[str]:
    return [each.id for each in found]


def test_a_constraint_for_ever_names_its_node_and_one_with_a_lifetime_has_a_rule() -> None:
    assert moves.ban("web", "n1").attributes == {
        "id": "cli-ban-web-on-n1", "rsc": "web", "role": "Started", "node": "n1",
        "score": "-INFINITY",
    }  # fmt: skip
    (rule,) = moves.preference("web", "n1", until="2026-11-28 12:00:00Z").children
    assert rule.id == "cli-prefer-rule-web"
    assert [part.id for part in rule.children] == [
        "cli-prefer-expr-web", "cli-prefer-lifetime-end-web",
    ]  # fmt: skip


def test_a_move_overrules_the_last_move_and_a_ban_from_its_node_only() -> None:
    kept = moves.ban("web", "n2")
    known = constraints(moves.preference("web", "n2"), moves.ban("web", "n1"), kept)
    assert ids(moves.overruled(known, "web", "n1")) == ["cli-prefer-web", "cli-ban-web-on-n1"]


@pytest.mark.parametrize(
    ("resource", "node", "wherever", "left"),
    [
        ("web", "", False, ["cli-ban-web-on-n1", "cli-prefer-web"]),
        ("web", "n1", False, ["cli-ban-web-on-n1"]),
        ("web", "n1", True, ["cli-ban-web-on-n1", "cli-prefer-web"]),
        ("web", "n2", False, ["cli-prefer-web"]),
        ("", "", False, ["cli-ban-web-on-n1", "cli-prefer-web", "cli-ban-web-on-on-n1"]),
    ],
)
def test_what_is_left_over_is_told_by_resource_and_node(
    resource: str, node: str, wherever: bool, left: list[str]
) -> None:
    other = moves.ban("web-on", "n1")  # not one of `web`, though its id begins like one
    by_hand = Item("rsc_location", {"id": "prefer", "rsc": "web", "node": "n1", "score": "5"})
    until = "2027-01-01 00:00:00Z"
    known = constraints(
        moves.ban("web", "n1"), moves.preference("web", "n2", until=until), other, by_hand
    )
    assert ids(list(moves.left_over(known, resource, node, wherever=wherever))) == left


def test_only_a_lifetime_that_is_over_has_expired() -> None:
    assert not moves.has_expired(moves.ban("web", "n1"), NOW)
    for until, is_over in (("2026-11-28 11:59:59Z", True), ("2026-11-28 12:00:01Z", False)):
        assert moves.has_expired(moves.ban("web", "n1", until=until), NOW) is is_over


def test_a_lifetime_is_counted_by_the_calendar() -> None:
    assert moves.end_of_lifetime("P1M", NOW) == "2026-12-28 12:00:00Z"
    with pytest.raises(ValueError, match="no duration"):
        moves.end_of_lifetime("soon", NOW)
