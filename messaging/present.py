"""The view a node is in, and on which of its members it can count in it.

Responsible for the seats of the present view, for who has kept one contact with us ever since it
came, and for what clients are told when it changes. Not responsible for how views are agreed upon
(`ccm`), nor for what makes a set of members quorate (`quorum`).

Who has broken the contact since the view came may be in another view: such a member counts for
nothing until the next one. Source: docs/protocol/membership.md, "The quorum lease" and "Events".
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from crm.api.membership import Member, View, ViewEvent
from crm.plumbing.machine import Note, debug, info
from messaging import frame
from messaging.quorum import Electorate
from messaging.verdict import cookie_of, leader_of


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell clients about the membership."""

    event: ViewEvent
    view: View


class Present:
    """The present view of a node; `contacts` are the peers in contact, as they come and go."""

    def __init__(
        self, node: str, *, incarnation: str, cluster: str, contacts: Container[str]
    ) -> None:
        self._node = node
        self._incarnation = incarnation
        self._cluster = cluster
        self._contacts = contacts
        self.view: View | None = None
        self.seats: tuple[frame.SeatOf, ...] = ()
        self.cookie = ""
        self.highest_id = 0
        """The highest number of a view that was heard of."""

        self.broken: set[str] = set()
        """The members whose contact has ended since the view came."""

        self._charter = ""
        self._last_quorum: Electorate | None = None
        """By what the last quorate view was counted."""

        self._in_flux = False

    @property
    def is_quorate(self) -> bool:
        """Whether there is a view, and it has quorum."""
        return self.view is not None and self.view.quorate

    @property
    def names(self) -> list[str]:
        """The members, in the order of their seats."""
        return [seat.name for seat in self.seats]

    def has_seat(self, name: str, incarnation: str) -> bool:
        """Whether this life of a node is a member."""
        return any(seat.name == name and seat.incarnation == incarnation for seat in self.seats)

    def counted(self) -> list[str]:
        """This node and the members in contact with us ever since the view came."""
        return [self._node, *(seat.name for seat in self.seats if self._is_unbroken(seat))]

    def counts_by(self, electorate: Electorate) -> bool:
        """Whether the present view was counted so."""
        return self._charter == electorate.charter

    def count_before(self, electorate: Electorate) -> tuple[tuple[str, int], ...] | None:
        """The votes of the last quorate view, if it was counted otherwise; () if there was none.

        None: it was counted so.
        """
        last = self._last_quorum
        if last is None:
            return ()
        return None if last.charter == electorate.charter else last.votes

    def lose(self, name: str) -> list[Announce]:
        """The contact with a peer has ended."""
        if name in self.names:
            self.broken.add(name)
        if self.view is None or name != self.view.leader or self._in_flux:
            return []
        self._in_flux = True
        return [Announce(ViewEvent.NOT_PRIMARY, self.view)]

    def renounce_quorum(self, electorate: Electorate) -> list[Announce | Note]:
        """Let go at once: what is left without us may agree on anything, but we may not wait."""
        seats = tuple(
            seat for seat in self.seats if seat.name == self._node or self._is_unbroken(seat)
        )
        view_id = self.highest_id + 1
        cookie = f"{cookie_of(view_id, seats)}-{self._incarnation}"
        leader = leader_of(seats)
        return self.take(seats, view_id, cookie, electorate, quorate=False, leader=leader)

    def take(
        self,
        seats: tuple[frame.SeatOf, ...],
        view_id: int,
        cookie: str,
        electorate: Electorate,
        *,
        quorate: bool,
        leader: str,
    ) -> list[Announce | Note]:
        """Make a view the present one and announce it."""
        previous = {(seat.name, seat.incarnation, seat.born) for seat in self.seats}
        following = {(seat.name, seat.incarnation, seat.born) for seat in seats}
        lost = {name for name, *_ in previous - following if name != self._node}
        nodes = sorted(electorate.nodes)
        view = View(
            id=view_id,
            members=tuple(
                Member(
                    name=seat.name,
                    uuid=seat.uuid,
                    index=nodes.index(seat.name),
                    born=seat.born,
                    incarnation=seat.incarnation,
                    votes=electorate.votes_of(seat.name),
                )
                for seat in seats
            ),
            quorate=quorate,
            new=tuple(sorted(name for name, *_ in following - previous)),
            lost=tuple(sorted(lost)),
            total_nodes=len(nodes),
            leader=leader,
            votes_needed=electorate.votes_needed,
        )
        self.view, self.seats, self.cookie = view, seats, cookie
        self._charter = electorate.charter
        self._last_quorum = electorate if quorate else self._last_quorum
        self.highest_id = max(self.highest_id, view_id)
        self.broken.clear()
        self._in_flux = False
        event = ViewEvent.NEW_MEMBERSHIP if quorate else ViewEvent.INVALID
        return [*self._debug_lines(electorate, quorate=quorate), Announce(event, view)]

    def restore(self) -> list[Announce]:
        """A round has confirmed the view we have."""
        if not self._in_flux or self.view is None:
            return []
        self._in_flux = False
        event = ViewEvent.PRIMARY_RESTORED if self.view.quorate else ViewEvent.INVALID
        return [Announce(event, self.view)]

    def step_aside(self) -> list[Announce | Note]:
        """The others form a view without us: there is none for us now."""
        left, self.view = self.view, None
        self.seats, self.cookie = (), ""
        self.broken.clear()
        self._in_flux = False
        if left is None:
            return []
        text = "this node was evicted from the membership"
        return [info("ccm", text), Announce(ViewEvent.EVICTED, left)]

    def _is_unbroken(self, seat: frame.SeatOf) -> bool:
        return seat.name in self._contacts and seat.name not in self.broken

    def _debug_lines(self, electorate: Electorate, *, quorate: bool) -> Sequence[Note]:
        _, asked = electorate.decide(self.names, holds_tie=quorate)
        lines = electorate.debug_lines(self.names, asked, self._cluster)
        return [debug("ccm", line) for line in lines]
