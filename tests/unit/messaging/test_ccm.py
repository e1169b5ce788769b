"""Rounds, views and letting go: one machine at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm.api.membership import View, ViewEvent
from messaging import ccm, frame
from messaging.ccm import Activated, Announce, Heard, PeerActivated, PeerAppeared, PeerVanished
from messaging.frame import Join, SeatOf
from messaging.quorum import Rulings
from messaging.verdict import cookie_of
from tests.kit import messaging as kit
from tests.kit.messaging import join


class Node:
    """One machine, with what it says and announces."""

    def __init__(self, name: str, nodes: int = 3, server: str = "") -> None:
        settings = replace(kit.settings(nodes), quorum_server=server)
        self.machine = ccm.Ccm(settings, node=name, incarnation=f"life-{name}", uuid="u", now=0.0)
        self.said: list[tuple[tuple[str, ...], Join | frame.LetGo]] = []
        self.announced: list[tuple[ViewEvent, View]] = []

    def feed(self, event: ccm.Event, now: float = 0.0) -> None:
        self._keep(self.machine.receive(event, now))

    def tick(self, now: float) -> None:
        self._keep(self.machine.tick(now))

    def _keep(self, effects: list[ccm.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ccm.Speak):
                self.said.append((effect.peers, effect.message))
            elif isinstance(effect, Announce):
                self.announced.append((effect.event, effect.view))


def in_view_of_three() -> Node:
    node = Node("a")
    for peer in "bc":
        node.feed(PeerAppeared(peer, f"life-{peer}"))
        node.feed(PeerActivated(peer))
    node.feed(Activated())
    for peer in "bc":
        node.feed(Heard(peer, join(peer, "abc", number=1)))
    assert [event for event, _ in node.announced] == [ViewEvent.NEW_MEMBERSHIP]
    return node


def current(node: Node, name: str, reach: str, number: int, **more: object) -> Join:
    """The word of a peer that comes from the view `node` is in."""
    view = node.machine.view
    assert view is not None
    seated = tuple(SeatOf(m.name, m.incarnation, m.uuid, m.born) for m in view.members)
    said = join(name, reach, members=seated, view_id=view.id, quorate=True, number=number)
    own = next(m for _, m in reversed(node.said) if isinstance(m, Join) and m.origin == "a")
    fields = {field: getattr(said, field) for field in said.__struct_fields__}
    return Join(**{**fields, "cookie": own.cookie, "highest_id": view.id, **more})


def test_a_starter_waits_for_peers_that_are_about_to_be_active() -> None:
    node = Node("a")
    node.feed(PeerAppeared("b", "life-b"))
    node.feed(Activated())

    assert node.announced == []
    node.feed(PeerActivated("b"))
    node.feed(Heard("b", join("b", "a", number=2)))

    assert [event for event, _ in node.announced] == [ViewEvent.NEW_MEMBERSHIP]


def test_a_starter_goes_on_alone_when_initdead_has_passed() -> None:
    node = Node("a")
    node.feed(PeerAppeared("b", "life-b"))
    node.feed(Activated())
    now = 0.0
    while not node.announced and now < 10:
        due = node.machine.next_deadline()
        assert due is not None and due > now
        now = due
        node.tick(now)

    assert now == kit.TIMING.initdead_s
    assert [event for event, _ in node.announced] == [ViewEvent.INVALID]


def test_the_death_of_the_leader_puts_the_membership_in_flux() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("c"), 5.0)
    assert node.announced[-1][0] is ViewEvent.NOT_PRIMARY

    node.feed(Heard("b", current(node, "b", "a", 2)), 5.0)

    event, view = node.announced[-1]
    assert event is ViewEvent.NEW_MEMBERSHIP
    assert (view.id, view.lost, view.new) == (2, ("c",), ())


def test_the_death_of_another_member_goes_without_flux() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    node.feed(Heard("c", current(node, "c", "a", 2)), 5.0)

    assert [event for event, _ in node.announced[1:]] == [ViewEvent.NEW_MEMBERSHIP]


def test_without_quorum_the_list_is_given_as_invalid() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    node.feed(PeerVanished("c"), 5.0)

    event, view = node.announced[-1]
    assert event is ViewEvent.INVALID
    assert [member.name for member in view.members] == ["a"]


def test_a_node_left_out_tells_its_clients_then_the_others() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("c"), 5.0)
    node.feed(Heard("b", current(node, "b", "ac", 2)), 5.0)
    node.feed(Heard("b", current(node, "c", "b", 2)), 5.0)

    assert node.announced[-1][0] is ViewEvent.EVICTED
    assert node.machine.view is None
    assert isinstance(node.said[-1][1], frame.LetGo)


def test_the_others_wait_until_it_has_let_go_and_for_the_margin() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    count = len(node.announced)
    node.feed(Heard("c", current(node, "c", "ab", 2)), 5.0)
    node.feed(Heard("c", current(node, "b", "c", 2)), 5.0)
    assert len(node.announced) == count

    node.feed(Heard("c", frame.LetGo(2, "b", "life-b")), 5.5)
    due = node.machine.next_deadline()
    assert due == 5.5 + kit.TIMING.margin_s
    assert len(node.announced) == count
    node.tick(due)

    event, view = node.announced[-1]
    assert event is ViewEvent.NEW_MEMBERSHIP
    assert [member.name for member in view.members] == ["a", "c"]


def test_a_new_round_does_not_shorten_the_margin() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    count = len(node.announced)
    node.feed(Heard("c", current(node, "c", "ab", 2)), 5.0)
    node.feed(Heard("c", current(node, "b", "c", 2)), 5.0)
    node.feed(Heard("c", frame.LetGo(2, "b", "life-b")), 5.5)

    evicted = join("b", "c", number=3)
    node.feed(Heard("c", current(node, "c", "ab", 3)), 5.6)
    node.feed(Heard("c", evicted), 5.6)

    assert len(node.announced) == count
    assert node.machine.next_deadline() == 5.5 + kit.TIMING.margin_s


def test_nobody_goes_on_before_the_lease_of_whom_it_gave_up_is_over() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b", free_at=5.7), 5.0)
    count = len(node.announced)
    node.feed(Heard("c", current(node, "c", "a", 2)), 5.0)

    assert len(node.announced) == count
    assert node.machine.next_deadline() == 5.7
    node.tick(5.7)

    event, view = node.announced[-1]
    assert (event, view.lost) == (ViewEvent.NEW_MEMBERSHIP, ("b",))


def test_a_join_tells_how_long_the_others_have_to_wait() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    count = len(node.announced)
    leases = (("b", "life-b", 300),)
    node.feed(Heard("c", current(node, "c", "a", 2, leases=leases)), 5.0)

    assert len(node.announced) == count
    assert node.machine.next_deadline() == 5.3


def test_a_join_says_of_whom_the_speaker_gave_up_what_is_left() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b", free_at=5.7004), 5.0)
    _, said = node.said[-1]

    assert isinstance(said, Join) and said.leases == (("b", "life-b", 701),)


@pytest.mark.parametrize("life", ["life-b", "another life"])
def test_a_lease_is_void_once_a_node_has_left_or_started_anew(life: str) -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b", free_at=9.0), 5.0)
    node.feed(PeerAppeared("b", life), 5.1)
    node.feed(PeerVanished("b"), 5.2)
    node.feed(Heard("c", current(node, "c", "a", 3)), 5.2)

    assert node.machine.view is not None
    assert [member.name for member in node.machine.view.members] == ["a", "c"]


def test_a_new_contact_with_the_same_life_does_not_shorten_its_time_to_stop() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b", free_at=9.0), 5.0)
    node.feed(PeerAppeared("b", "life-b"), 5.1)
    count = len(node.announced)
    node.feed(Heard("c", current(node, "c", "a", 2)), 5.2)

    assert len(node.announced) == count, "b may be letting go, and is not in this view yet"
    assert node.machine.next_deadline() == 9.0


def test_without_quorum_nobody_waits_for_a_lease() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b", free_at=9.0), 5.0)
    node.feed(PeerVanished("c", free_at=9.0), 5.0)

    event, view = node.announced[-1]
    assert (event, view.lost) == (ViewEvent.INVALID, ("b", "c"))
    assert node.machine.next_deadline() is None


def test_a_member_whose_contact_broke_counts_for_no_quorum_until_the_next_view() -> None:
    node = in_view_of_three()
    node.feed(PeerVanished("b"), 5.0)
    node.feed(PeerAppeared("b", "life-b"), 5.0)
    assert node.machine.view is not None and node.machine.view.quorate

    node.feed(PeerVanished("c"), 5.0)

    assert not node.machine.view.quorate


def test_a_node_with_another_idea_of_the_clusters_size_takes_no_part() -> None:
    node = in_view_of_three()
    view = node.machine.view

    node.feed(Heard("b", join("b", "ac", nodes=5, number=2)), 5.0)
    node.feed(Heard("c", current(node, "c", "a", 2)), 5.0)

    assert node.machine.view is not view
    assert node.machine.view is not None
    assert [member.name for member in node.machine.view.members] == ["a", "c"]


def test_a_join_is_passed_on_to_whom_its_origin_does_not_reach() -> None:
    node = Node("b")
    for peer in "ac":
        node.feed(PeerAppeared(peer, f"life-{peer}"))
        node.feed(PeerActivated(peer))
    node.feed(Activated())

    said = join("a", "b", number=1)
    node.feed(Heard("a", said))

    assert (("c",), said) in node.said


def test_a_tie_that_ended_while_a_view_waited_gives_quorum_when_it_is_given_again() -> None:
    node = Node("a", nodes=2, server="qs")
    node.feed(Activated())
    node.feed(PeerAppeared("b", "life-b"), 1.0)
    node.feed(PeerActivated("b"), 1.0)
    node.feed(ccm.Ruled(Rulings(frozenset("a"), tie_until=3.0)), 1.1)
    node.feed(PeerVanished("b", free_at=9.0), 1.2)
    assert node.machine.next_deadline() == 9.0, "b may rely on this node until then"
    node.tick(9.0)
    assert node.machine.view is not None and not node.machine.view.quorate

    said = node.said[-1][1]
    assert isinstance(said, Join) and said.tie == (), "the others relied on what was said before"
    node.feed(ccm.Ruled(Rulings(frozenset("a"), tie_until=12.0)), 9.5)
    assert node.machine.view.quorate


def test_a_half_without_the_tie_is_one_view_to_all_its_members() -> None:
    node = Node("a", nodes=2, server="qs")
    node.feed(Activated())
    node.feed(PeerAppeared("b", "life-b"), 1.0)
    node.feed(PeerActivated("b"), 1.0)

    said = node.said[-1][1]
    assert isinstance(said, Join) and said.cookie == cookie_of(said.view_id, said.members)


def evicting(node: Node) -> None:
    """A round at 1.0 in which b is left out, as it does not hear c; it lets go at once."""
    node.feed(Heard("b", current(node, "b", "a", 2)), 1.0)
    node.feed(Heard("c", current(node, "c", "a", 2)), 1.0)
    node.feed(Heard("b", frame.LetGo(2, "b", "life-b")), 1.0)
    assert node.machine.next_deadline() == 1.0 + kit.TIMING.margin_s


def test_who_let_go_and_is_heard_no_more_has_its_margin_still() -> None:
    node = in_view_of_three()
    evicting(node)
    node.feed(PeerVanished("b", free_at=1.01), 1.01)
    node.feed(Heard("c", current(node, "c", "a", 3)), 1.02)

    assert len(node.announced) == 1
    node.tick(1.0 + kit.TIMING.margin_s)
    assert [len(view.members) for _, view in node.announced] == [3, 2]


def test_who_let_go_has_its_margin_still_when_this_node_lost_its_quorum_meanwhile() -> None:
    node = in_view_of_three()
    evicting(node)
    view_of_three = current(node, "c", "a", 2).members
    for peer in "bc":
        node.feed(PeerVanished(peer, free_at=1.01), 1.01)
    assert [event for event, _ in node.announced][-1] is ViewEvent.INVALID
    node.feed(PeerAppeared("c", "life-c"), 1.02)
    node.feed(PeerActivated("c"), 1.02)
    number = max(said.round for _, said in node.said)
    node.feed(Heard("c", current(node, "c", "a", number, members=view_of_three)), 1.03)

    assert node.machine.view is not None and not node.machine.view.quorate
    node.tick(1.0 + kit.TIMING.margin_s)
    assert node.machine.view is not None and node.machine.view.quorate


def test_to_have_let_go_once_is_not_to_let_go_again() -> None:
    """It was in the next view that this node has not come to, and is left out of the one after."""
    node = in_view_of_three()
    evicting(node)
    node.feed(Heard("c", current(node, "c", "ab", 3)), 1.01)
    node.feed(Heard("c", current(node, "c", "a", 4)), 1.02)
    node.feed(Heard("b", current(node, "b", "a", 4, view_id=2)), 1.02)
    node.tick(1.0 + kit.TIMING.margin_s)
    assert len(node.announced) == 1

    node.feed(Heard("b", frame.LetGo(4, "b", "life-b")), 2.0)
    assert node.machine.next_deadline() == 2.0 + kit.TIMING.margin_s
