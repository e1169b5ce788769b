"""Stacks that break one promise each: a suite that does not notice them is decoration.

A plant stands between the machine of the second stack and its clients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from crm.api import membership as api
from crm.api.membership import ClientStatus, ViewEvent
from crm.plumbing.machine import MessageArrived, Tell
from tests.contract import judge
from tests.contract.stage import Stage
from tests.kit.closed_group import ClosedGroup
from tests.sim.plants import Planted


class Plant(Planted):
    """A machine of the second stack that says something else to its clients."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(ClosedGroup(*arguments, **named))
        self.count = 0
        self.kept: list[Tell] = []

    def out(self, effect: Any, now: float) -> list[Any]:
        if not isinstance(effect, Tell):
            return [effect]
        self.count += 1
        return self.tell(effect)

    def tell(self, effect: Tell) -> list[Any]:
        """What is told in the place of this."""
        return [effect]


class NamesItselfLast(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        if isinstance(effect.message, api.SignedOn):
            self.kept.append(effect)
            return []
        kept, self.kept = self.kept, []
        return [effect, *kept]


class ForgetsANode(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        is_it = isinstance(effect.message, api.NodeChanged) and effect.message.node == "n1"
        return [] if is_it else [effect]


class SaysItTwice(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        is_message = isinstance(effect.message, api.ClusterMessage)
        return [effect, effect] if is_message and self.count % 9 == 0 else [effect]


class Overtakes(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        if isinstance(effect.message, api.ClusterMessage) and not self.kept:
            self.kept.append(effect)
            return []
        kept, self.kept = self.kept, []
        return [effect, *kept]


class Loses(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        is_message = isinstance(effect.message, api.ClusterMessage)
        return [] if is_message and self.count % 9 == 0 else [effect]


class LosesTheFirst(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        if isinstance(effect.message, api.ClusterMessage) and not self.kept:
            self.kept.append(effect)
            return []
        return [effect]


class HidesWhoJoins(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        said = effect.message
        is_join = isinstance(said, api.ClientChanged) and said.status is ClientStatus.JOIN
        return [] if is_join else [effect]


class HidesWhoLeaves(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        said = effect.message
        is_leave = isinstance(said, api.ClientChanged) and said.status is ClientStatus.LEAVE
        return [] if is_leave else [effect]


class SaysLeaveAfterTheView(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        said = effect.message
        if isinstance(said, api.ClientChanged) and said.status is ClientStatus.LEAVE:
            self.kept.append(effect)
            return []
        if not isinstance(said, api.ViewInstalled):
            return [effect]
        due = [each for each in self.kept if each.peer == effect.peer]
        self.kept = [each for each in self.kept if each.peer != effect.peer]
        return [effect, *due]


class TellsOneClientLate(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        if effect.peer == "attrd" and isinstance(effect.message, api.ViewInstalled):
            self.kept.append(effect)
            return []
        if effect.peer != "attrd" or not isinstance(effect.message, api.ClusterMessage):
            return [effect]
        kept, self.kept = self.kept, []
        return [effect, *kept]


class Views(Plant):
    """Says something else of views."""

    def tell(self, effect: Tell) -> list[Any]:
        if not isinstance(effect.message, api.ViewInstalled):
            return [effect]
        return [Tell(effect.peer, self.view(effect.message))]

    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        return said

    def changed(self, said: api.ViewInstalled, **fields: Any) -> api.ViewInstalled:
        return msgspec.structs.replace(said, view=msgspec.structs.replace(said.view, **fields))


class KnowsOthersWrongly(Views):
    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        other = msgspec.structs.replace(said.view.members[0], incarnation=self.inner.incarnation)
        return self.changed(said, members=(other, *said.view.members[1:]))


class CountsDown(Views):
    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        return self.changed(said, id=10_000 - said.view.id)


class LosesNobody(Views):
    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        return self.changed(said, lost=())


class AlwaysHasQuorum(Views):
    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        changed = self.changed(said, quorate=True)
        return msgspec.structs.replace(changed, event=ViewEvent.NEW_MEMBERSHIP)


class SaysTheWrongWord(Views):
    def view(self, said: api.ViewInstalled) -> api.ViewInstalled:
        return msgspec.structs.replace(said, event=ViewEvent.INVALID)


class DoesNotWait(Plant):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.inner = ClosedGroup(*arguments, **{**named, "margin_s": 0.0, "settle_s": 0.0})

    def tell(self, effect: Tell) -> list[Any]:
        if isinstance(effect.message, api.SignedOn):
            return [Tell(effect.peer, msgspec.structs.replace(effect.message, margin_ms=2000))]
        return [effect]


class KeepsTheNameWithTheFirst(Plant):
    def into(self, event: object) -> object | None:
        if isinstance(event, MessageArrived) and isinstance(event.message, api.SignOn):
            self.count += 1
            if event.message.pid == 2:
                return None
        return event


class HearsItsOwn(Plant):
    def into(self, event: object) -> object | None:
        if isinstance(event, MessageArrived) and isinstance(event.message, api.SendCluster):
            wish = event.message
            own = api.ClusterMessage("n1", event.peer, wish.payload)
            self.kept.append(Tell(wish.to_client, own))
        return event

    def tell(self, effect: Tell) -> list[Any]:
        kept, self.kept = self.kept, []
        return [*kept, effect]


class SwallowsAll(Plant):
    def into(self, event: object) -> object | None:
        is_wish = isinstance(event, MessageArrived) and isinstance(event.message, api.SendCluster)
        return None if is_wish else event


class AnswersWithAnotherNumber(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        said = effect.message
        if isinstance(said, api.ClusterDescription | api.KeyRotated | api.NodesReply):
            return [Tell(effect.peer, msgspec.structs.replace(said, request=0))]
        return [effect]


class RemembersTheDead(Plant):
    def tell(self, effect: Tell) -> list[Any]:
        if not isinstance(effect.message, api.ClusterMessage):
            return [effect]
        source = (effect.peer, effect.message.from_node, effect.message.from_client)
        known = [each for each in self.kept if source == _source(each)]
        self.kept.append(effect)
        return [effect, known[0]] if len(known) % 9 == 8 else [effect]


def _source(told: Tell) -> tuple[str, str, str]:
    assert isinstance(told.message, api.ClusterMessage)
    return told.peer, told.message.from_node, told.message.from_client


JUDGED: tuple[tuple[type[Plant], Callable[[Stage], None]], ...] = (
    (NamesItselfLast, judge.first_is_who_we_are),
    (ForgetsANode, judge.the_present_state_comes_in_order),
    (SaysItTwice, judge.messages_keep_their_order_and_come_once),
    (Overtakes, judge.messages_keep_their_order_and_come_once),
    (Loses, judge.nothing_is_missing_while_both_stay),
    (HidesWhoJoins, judge.nobody_is_heard_who_is_not_here),
    (HidesWhoLeaves, judge.nobody_is_heard_who_is_not_here),
    (SaysLeaveAfterTheView, judge.clients_of_a_lost_node_leave_before_the_view),
    (TellsOneClientLate, judge.messages_and_views_come_in_one_order),
    (KnowsOthersWrongly, judge.views_with_quorum_are_the_same_for_all),
    (CountsDown, judge.numbers_of_views_grow),
    (LosesNobody, judge.new_and_lost_are_what_has_changed),
    (AlwaysHasQuorum, judge.whoever_is_left_out_has_its_margin),
    (SaysTheWrongWord, judge.every_view_has_its_word),
    (DoesNotWait, judge.whoever_is_left_out_has_its_margin),
    (TellsOneClientLate, judge.the_clients_of_a_node_see_one_order),
    (RemembersTheDead, judge.an_earlier_life_is_not_heard_after_a_later_one),
)
"""Which judge has to notice which plant."""
