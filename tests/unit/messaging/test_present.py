"""The present view of a node: whom it counts, and what clients are told of it."""

from __future__ import annotations

from crm.api.membership import ViewEvent
from messaging.present import Announce, Present
from messaging.quorum import Electorate
from tests.kit.messaging import seats

ABC = Electorate(tuple("abc"))


def in_view(contacts: set[str]) -> Present:
    """Node a in a quorate view of abc whose leader is c."""
    present = Present("a", incarnation="life-a", cluster="lab", contacts=contacts)
    present.take(seats("abc"), 4, "cookie", ABC, quorate=True, leader="c")
    return present


def events(effects: list[object]) -> list[ViewEvent]:
    return [effect.event for effect in effects if isinstance(effect, Announce)]


def test_who_broke_the_contact_does_not_count_until_the_next_view() -> None:
    contacts = {"b", "c"}
    present = in_view(contacts)
    contacts.remove("b")
    present.lose("b")
    contacts.add("b")
    assert present.counted() == ["a", "c"]

    present.take(seats("abc"), 5, "another", ABC, quorate=True, leader="c")
    assert present.counted() == ["a", "b", "c"]


def test_the_view_is_in_doubt_once_when_the_leader_is_lost() -> None:
    present = in_view({"b", "c"})

    assert events([*present.lose("b")]) == []
    assert events([*present.lose("c")]) == [ViewEvent.NOT_PRIMARY]
    assert events([*present.lose("c")]) == []
    assert events([*present.restore()]) == [ViewEvent.PRIMARY_RESTORED]
    assert events([*present.restore()]) == []


def test_who_renounces_quorum_keeps_those_it_counts() -> None:
    present = in_view({"b", "c"})
    present.lose("c")

    assert events([*present.renounce_quorum(ABC)]) == [ViewEvent.INVALID]

    assert present.view is not None and not present.is_quorate
    assert (present.view.id, present.names, present.view.lost) == (5, ["a", "b"], ("c",))


def test_who_steps_aside_says_so_if_it_was_in_a_view() -> None:
    present = in_view({"b", "c"})

    assert events([*present.step_aside()]) == [ViewEvent.EVICTED]
    assert present.view is None and present.names == [] and present.step_aside() == []


def test_it_knows_by_what_count_it_last_had_quorum() -> None:
    present = Present("a", incarnation="life-a", cluster="lab", contacts=set())
    other = Electorate(tuple("abcd"))
    assert present.count_before(ABC) == ()

    present.take(seats("abc"), 4, "cookie", ABC, quorate=True, leader="c")
    present.take(seats("abc"), 5, "another", other, quorate=False, leader="c")

    assert present.counts_by(other) and not present.counts_by(ABC)
    assert present.count_before(ABC) is None
    assert present.count_before(other) == ABC.votes
