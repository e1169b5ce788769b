"""Who is in the cluster: members that start, and members that come back from another partition."""

from __future__ import annotations

from crm.api.membership import Member, View, ViewEvent, ViewInstalled
from crm.controller.roster import Roster


def view(number: int, *members: tuple[str, str], new: tuple[str, ...] = ()) -> ViewInstalled:
    """A view of members given as (name, incarnation)."""
    listed = tuple(Member(name, f"uuid-{name}", 0, 1, life) for name, life in members)
    return ViewInstalled(ViewEvent.NEW_MEMBERSHIP, View(number, listed, True, new=new))


def test_a_member_of_another_partition_is_known_by_its_life() -> None:
    roster = Roster()
    roster.install(view(1, ("a", "a1"), ("b", "b1"), new=("a", "b")))
    assert list(roster.returned) == []
    roster.install(view(2, ("a", "a1")))
    roster.install(view(3, ("a", "a1"), ("b", "b1"), new=("b",)))
    assert list(roster.returned) == ["b"]
    roster.install(view(4, ("a", "a1"), ("b", "b1")))
    assert list(roster.returned) == []


def test_a_node_that_was_started_anew_has_not_returned() -> None:
    roster = Roster()
    roster.install(view(1, ("a", "a1"), ("b", "b1"), new=("a", "b")))
    roster.install(view(2, ("a", "a1")))
    roster.install(view(3, ("a", "a1"), ("b", "b2"), new=("b",)))
    assert list(roster.returned) == []
