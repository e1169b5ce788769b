"""Who belongs to the next view: the answer to a complete table of Joins, the same for everybody.

Responsible for which fully connected subset goes on, for the numbers of views, the "born" of its
members and the leader. Not responsible for finding such subsets (`clique`), for how the table comes
about, nor for when a view is installed (`ccm`).

Born and numbers: the *base* is the quorate view with the highest number any Join comes from (else
the highest at all). Members of the base keep their born; all others, and members whose contact
was interrupted, are born in the new view. The number is one above the highest ever heard of.

Source: docs/protocol/membership.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from messaging import frame
from messaging.clique import largest_clique
from messaging.quorum import Electorate


@dataclass(frozen=True)
class Verdict:
    """What a complete table says. `unchanged` means that all come from this very view."""

    members: tuple[frame.SeatOf, ...]
    view_id: int
    cookie: str
    quorate: bool
    leader: str
    must_let_go: tuple[str, ...]
    unchanged: bool


def judge(
    table: Mapping[str, frame.Join], electorate: Electorate, *, is_counted: bool = True
) -> Verdict:
    """Compute the view of a complete table; every holder of the table gets the same.

    `is_counted` tells whether the speaker's present view counts as is counted now. A view that
    counts otherwise is never unchanged. Members that all come from one view have one and the same.
    """
    base = _choose_base(table.values())
    seats = {
        seat.name: seat
        for seat in (base.members if base else ())
        if seat.name in table and _continues(table[seat.name], seat)
    }
    leader = leader_of(seats.values()) or max(table)
    ties = Counter(frozenset(join.tie) for join in table.values() if join.tie)
    clique = largest_clique(_neighbours(table), leader, electorate.strength_of, ties=ties)
    quorate = _has_quorum(table, clique, electorate, was_quorate=bool(base and base.quorate))
    view_id = max(join.highest_id for join in table.values()) + 1
    kept = {name: seat for name, seat in seats.items() if name in clique}
    for name in _interrupted(kept, table):
        del kept[name]
    members = tuple(
        kept.get(name)
        or frame.SeatOf(name, table[name].incarnation, table[name].uuid, born=view_id)
        for name in sorted(clique)
    )
    origins = {(table[name].view_id, table[name].cookie) for name in clique}
    unchanged = base is not None and origins == {(base.view_id, base.cookie)}
    if base is not None and base.quorate is not quorate:
        unchanged = False
    if unchanged and base is not None and members == base.members and is_counted:
        view_id, cookie = base.view_id, base.cookie
    else:
        unchanged, cookie = False, cookie_of(view_id, members)
    return Verdict(
        members=members,
        view_id=view_id,
        cookie=cookie,
        quorate=quorate,
        leader=leader_of(members),
        must_let_go=tuple(
            name for name in sorted(table) if name not in clique and table[name].view_id > 0
        ),
        unchanged=unchanged,
    )


def _has_quorum(
    table: Mapping[str, frame.Join],
    members: frozenset[str],
    electorate: Electorate,
    *,
    was_quorate: bool,
) -> bool:
    """Whether these members may act.

    While somebody who counts otherwise is in contact with them, quorum can be kept, not gained:
    nobody knows who counts right, and the other may have it by its own count. The tie is theirs if
    each of them holds it: each has to know by itself when it is over.

    A list of nodes that nobody of them has seen in a quorate view may have a rival elsewhere: the
    first view by it has to have quorum by the count before as well, so that one of them has it.
    """
    joins = [table[name] for name in sorted(members)]
    if any(join.disputes for join in joins) and not was_quorate:
        return False
    holds_tie = all(frozenset(join.tie) == members for join in joins)
    reaches_out = any(join.reaches_out for join in joins)
    is_new = not any(join.is_counted for join in joins)
    befores = {join.before for join in joins if join.before} if is_new else set()
    return all(
        count.has_quorum(
            members.intersection(count.nodes), holds_tie=holds_tie, reaches_out=reaches_out
        )
        for count in (electorate, *map(electorate.with_votes, befores))
    )


def _continues(join: frame.Join, seat: frame.SeatOf) -> bool:
    """Whether the speaker still holds the seat: the same life, and never told to let go since."""
    return join.incarnation == seat.incarnation and join.view_id > 0


def is_mutual(table: Mapping[str, frame.Join]) -> bool:
    """Whether everybody who is named names back: if not, somebody has news to come."""
    reach = {name: dict(join.reach) for name, join in table.items()}
    return all(
        reach[other].get(name) == table[name].incarnation
        and reach[name][other] == table[other].incarnation
        for name in table
        for other in reach[name]
    )


def _choose_base(joins: Iterable[frame.Join]) -> frame.Join | None:
    """The view whose members keep their born: quorate before not, then the highest number."""
    with_view = [join for join in joins if join.view_id > 0]
    return max(with_view, key=lambda join: (join.quorate, join.view_id, join.cookie), default=None)


def leader_of(seats: Iterable[frame.SeatOf]) -> str:
    """The member with the smallest born; the larger name among equals."""
    leader = ""
    born = 0
    for seat in seats:
        if not leader or seat.born < born or (seat.born == born and seat.name > leader):
            leader, born = seat.name, seat.born
    return leader


def _neighbours(table: Mapping[str, frame.Join]) -> dict[str, frozenset[str]]:
    """Who is connected to whom: each must name the other's present life."""
    reach = {name: dict(join.reach) for name, join in table.items()}
    return {
        name: frozenset(
            other
            for other in table
            if other != name
            and reach[name].get(other) == table[other].incarnation
            and reach[other].get(name) == table[name].incarnation
        )
        for name in sorted(table)
    }


def _interrupted(seats: Mapping[str, frame.SeatOf], table: Mapping[str, frame.Join]) -> list[str]:
    """The fewest members that must be born again so that no interrupted pair remains."""
    pairs = {
        frozenset((name, other))
        for name in seats
        for other in table[name].broken
        if other in seats and other != name
    }
    reborn: list[str] = []
    while pairs:
        counts = {name: sum(name in pair for pair in pairs) for name in sorted(seats)}
        worst = max(sorted(seats), key=lambda name: (counts[name], seats[name].born, name))
        reborn.append(worst)
        pairs = {pair for pair in pairs if worst not in pair}
    return reborn


def cookie_of(view_id: int, members: Iterable[frame.SeatOf]) -> str:
    """Make the word by which two views of the same number are told apart."""
    text = f"{view_id} " + " ".join(f"{seat.incarnation}:{seat.born}" for seat in members)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
