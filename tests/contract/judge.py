"""Judges what all clients of a tormented cluster were told, one function for a promise.

Each looks at every time in which a client was signed on, from `SignedOn` to the next, or the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from crm.api import membership as api
from crm.api.membership import ClientStatus, ViewEvent
from tests.contract.stage import WORDS_OF_A_VIEW, Ear, Stage, Told, of

HERE = (ClientStatus.JOIN, ClientStatus.ONLINE)
BUS_S = 0.002
"""What the bus of a node may add to a moment, at most."""


class Number(NamedTuple):
    """A numbered message: whose life, to which destination, which."""

    life: int
    to: str
    number: int


def numbered(message: api.ClusterMessage) -> Number:
    life, to, number = message.payload.decode().split()
    return Number(int(life), to, int(number))


def times(stage: Stage) -> Iterator[tuple[Ear, list[Told]]]:
    """Every client, and every time in which it was signed on."""
    for ear in stage.ears:
        for told in ear.signed_on:
            yield ear, told


def first_is_who_we_are(stage: Stage) -> None:
    for ear in stage.ears:
        assert not ear.told or isinstance(ear.told[0].message, api.SignedOn)
    for ear, told in times(stage):
        said = told[0].message
        assert isinstance(said, api.SignedOn)
        assert (said.node, set(said.nodes)) == (ear.node, set(stage.names))
        assert said.uuid and said.incarnation


def the_present_state_comes_in_order(stage: Stage) -> None:
    order = (api.NodeChanged, api.ClientChanged, api.ViewInstalled)
    for ear, told in times(stage):
        if told[-1].at - told[0].at < BUS_S:
            continue  # its end came in between
        state = [each.message for each in told[1:] if each.at - told[0].at < BUS_S]
        nodes = list(itertools.takewhile(lambda said: isinstance(said, order[0]), state))
        assert sorted(said.node for said in nodes) == stage.names  # type: ignore[attr-defined]
        rest = state[len(nodes) :]
        clients = itertools.takewhile(
            lambda said: isinstance(said, order[1]) and said.status is ClientStatus.ONLINE, rest
        )
        named = [(said.node, said.client) for said in clients]  # type: ignore[attr-defined]
        assert len(named) == len(set(named))
        assert (ear.node, ear.client) in named
        first = next(of(told, api.ViewInstalled), None)
        if first is not None:
            assert first.event in WORDS_OF_A_VIEW
            assert set(first.view.new) == {member.name for member in first.view.members}
            assert not first.view.lost


def messages_keep_their_order_and_come_once(stage: Stage) -> None:
    for ear in stage.ears:
        last: dict[tuple[int, str], int] = {}
        for message in of(ear.told, api.ClusterMessage):
            life, to, number = numbered(message)
            assert number > last.get((life, to), 0), f"{ear.node} {ear.client}: {message.payload!r}"
            last[life, to] = number


def nothing_is_missing_while_both_stay(stage: Stage) -> None:
    """What one life of a client says to one client arrives without gaps until one of them goes.

    What it says to the other client of this node in between is counted there.
    """
    sent: dict[tuple[int, str, str], list[int]] = {}
    for ear in stage.ears:
        for (to, to_client), numbers in stage.sent.get(id(ear), {}).items():
            sent[stage.ears.index(ear), to, to_client] = numbers
    for ear, told in times(stage):
        last: dict[tuple[int, str], int] = {}
        for each in told:
            match each.message:
                case api.ClientChanged(node, client, ClientStatus.LEAVE):
                    lives = {key for key in last if stage.ears[key[0]].node == node}
                    for key in lives:
                        if stage.ears[key[0]].client == client:
                            del last[key]
                case api.ClusterMessage() as message:
                    life, to, number = numbered(message)
                    numbers = sent[life, to, ear.client]
                    place = numbers.index(number)
                    before = last.get((life, to))
                    if before is not None:
                        assert numbers[place - 1] == before, f"{ear.node}: {message.payload!r}"
                    last[life, to] = number


def nobody_is_heard_who_is_not_here(stage: Stage) -> None:
    for ear, told in times(stage):
        here: set[tuple[str, str]] = set()
        for each in told:
            match each.message:
                case api.ClientChanged(node, client, status) if status in HERE:
                    assert (node, client) not in here, f"{node} {client} joins twice"
                    here.add((node, client))
                case api.ClientChanged(node, client):
                    assert (node, client) in here, f"{node} {client} leaves without being here"
                    here.discard((node, client))
                case api.ClusterMessage(node, client):
                    assert (node, client) in here, f"{ear.node} hears {client} of {node}"


def an_earlier_life_is_not_heard_after_a_later_one(stage: Stage) -> None:
    for _, told in times(stage):
        heard: dict[tuple[str, str], int] = {}
        for message in of(told, api.ClusterMessage):
            who, life = (message.from_node, message.from_client), numbered(message).life
            assert life >= heard.get(who, life), f"{message.payload!r} comes after a later life"
            heard[who] = life


def clients_of_a_lost_node_leave_before_the_view(stage: Stage) -> None:
    """Of one that has ended: one that is only left out may go on being heard."""
    for _, told in times(stage):
        staying: set[tuple[str, str]] = set()  # those here at the last view that have not left
        here: set[tuple[str, str]] = set()
        for each in told:
            match each.message:
                case api.ClientChanged(node, client, status) if status in HERE:
                    here.add((node, client))
                case api.ClientChanged(node, client):
                    here.discard((node, client))
                    staying.discard((node, client))
                case api.ViewInstalled(event, view) if event in WORDS_OF_A_VIEW:
                    lost = set(view.lost) - {member.name for member in view.members}
                    gone = {name for name in lost if not _runs(stage, name, each.at)}
                    assert not {node for node, _ in staying} & gone, f"view {view.id}"
                    staying = set(here)


def _runs(stage: Stage, node: str, at: float) -> bool:
    return any(ear.node == node and ear.began_at <= at < ear.ended_at for ear in stage.ears)


def the_clients_of_a_node_see_one_order(stage: Stage) -> None:
    """News: the later client's is a piece of the earlier one's, from where it signed on."""
    kinds = (api.NodeChanged, api.LinkChanged, api.ViewInstalled, api.ClientChanged)

    def news(ear: Ear, told: list[Told], since: float) -> list[Told]:
        return [
            each
            for each in told
            if isinstance(each.message, kinds)
            and not (isinstance(each.message, api.ClientChanged) and each.message.node == ear.node)
            and each.at > since
        ]

    for (ear, told), (other, heard) in itertools.combinations(times(stage), 2):
        until = min(told[-1].at, heard[-1].at) - 2 * BUS_S
        if ear.node != other.node or max(told[0].at, heard[0].at) >= until:
            continue
        together = _quiet_moment(max(told[0].at, heard[0].at), [*told, *heard])
        one, two = news(ear, told, together), news(other, heard, together)
        sure = [each.message for each in one if each.at < until]
        assert sure == [each.message for each in two][: len(sure)]


def _quiet_moment(after: float, told: list[Told]) -> float:
    """A moment near which nothing is told, so that all have been told the same before it."""
    moments = sorted(each.at for each in told if each.at > after)
    for moment in moments:
        if moment - after > 2 * BUS_S:
            break
        after = moment
    return after + BUS_S


def messages_and_views_come_in_one_order(stage: Stage) -> None:
    """If an earlier message came after a view at one client, a later one did so at the other."""
    came: dict[tuple[str, int, str], list[tuple[int, int]]] = {}
    for _, told in times(stage):
        hello = told[0].message
        assert isinstance(hello, api.SignedOn)
        view: int | None = None  # who signs on at a node that was thrown out is told none
        for each in told:
            match each.message:
                case api.ViewInstalled(event, now) if event in WORDS_OF_A_VIEW:
                    view = now.id
                case api.ClusterMessage() as message if view is not None:
                    life, to, number = numbered(message)
                    seen = came.setdefault((hello.incarnation, life, to), [])
                    seen.append((number, view))
    for stream, seen in came.items():
        views = [view for _, view in sorted(seen)]
        assert views == sorted(views), f"stream {stream}"


def every_view_has_its_word(stage: Stage) -> None:
    for _, told in times(stage):
        for event, view in ((said.event, said.view) for said in of(told, api.ViewInstalled)):
            if event in (ViewEvent.NEW_MEMBERSHIP, ViewEvent.PRIMARY_RESTORED):
                assert view.quorate
            if event is ViewEvent.INVALID:
                assert not view.quorate


def views_with_quorum_are_the_same_for_all(stage: Stage) -> None:
    """Of one number, where they share a member: a cluster that ended as a whole begins anew."""
    known: dict[int, list[set[api.Member]]] = {}
    for _, told in times(stage):
        for said in of(told, api.ViewInstalled):
            view = said.view
            assert len({member.name for member in view.members}) == len(view.members)
            assert all(0 < member.born <= view.id for member in view.members)
            assert all(member.uuid and member.incarnation for member in view.members)
            if not view.quorate or len(stage.names) == 2:  # each of two may go on alone
                continue
            members = set(view.members)
            others = known.setdefault(view.id, [])
            assert all(members == other for other in others if members & other), f"view {view.id}"
            others.append(members)


def numbers_of_views_grow(stage: Stage) -> None:
    for _, told in times(stage):
        views = [said.view for said in of(told, api.ViewInstalled) if said.event in WORDS_OF_A_VIEW]
        for before, after in itertools.pairwise(views):
            is_same = (before.members, before.quorate) == (after.members, after.quorate)
            assert after.id > before.id or (is_same and after.id == before.id)


def new_and_lost_are_what_has_changed(stage: Stage) -> None:
    for ear, told in times(stage):
        before: set[tuple[str, str, int]] | None = None
        known = 0
        for said in of(told, api.ViewInstalled):
            view = said.view
            if said.event is ViewEvent.EVICTED:
                before = set()  # it has no view: in the next one everybody is new
            if said.event not in WORDS_OF_A_VIEW or view.id == known:
                continue
            seats = {(each.name, each.incarnation, each.born) for each in view.members}
            if before is not None:
                assert set(view.new) == {name for name, *_ in seats - before}, f"view {view.id}"
                lost = {name for name, *_ in before - seats} - {ear.node}
                assert set(view.lost) == lost, f"view {view.id}"
            before, known = seats, view.id


def whoever_is_left_out_has_its_margin(stage: Stage) -> None:
    """Who is told that it has quorum knows that no other side has been told so a margin ago."""
    if len(stage.names) == 2:
        return  # each of two goes on alone, and needs fencing
    spells = [spell for ear, told in times(stage) for spell in _spells_with_quorum(ear, told)]
    for begin, _, ear, view in spells:
        lives = {member.incarnation for member in view.members}
        for from_, until, other, theirs in spells:
            if other.life in lives or theirs.id > view.id or from_ > begin:
                continue
            assert until <= begin + 2 * BUS_S, (
                f"{ear.node} is told view {view.id} at {begin:.3f}, {other.node} acts until"
                f" {until:.3f} on view {theirs.id}"
            )


class _Who(NamedTuple):
    node: str
    life: str


def _spells_with_quorum(
    ear: Ear, told: list[Told]
) -> Iterator[tuple[float, float, _Who, api.View]]:
    """From when a client takes its node for one with quorum, and until when it may still act so.

    That is a margin longer than it believes it, unless it ends: then nothing is left to be done.
    """
    hello = told[0].message
    assert isinstance(hello, api.SignedOn)
    who = _Who(ear.node, hello.incarnation)
    begin: float | None = None
    view: api.View | None = None
    for each in told:
        said = each.message
        if not isinstance(said, api.ViewInstalled) or said.event is ViewEvent.NOT_PRIMARY:
            continue
        if begin is not None and view is not None:
            yield begin, min(each.at + hello.margin_ms / 1000, ear.ended_at), who, view
        begin, view = None, said.view
        if said.view.quorate and said.event is not ViewEvent.EVICTED:
            begin = each.at
    if begin is not None and view is not None:
        yield begin, ear.ended_at, who, view
