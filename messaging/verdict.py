"""Who belongs to the next view: the answer to a complete table of Joins, the same for everybody.

Responsible for the largest fully connected subset, for the numbers of views, the "born" of members
and the leader. Not responsible for how the table comes about, nor for when a view is installed
(`ccm`).

Born and numbers: the *base* is the quorate view with the highest number any Join comes from (else
the highest at all). Members of the base keep their born; all others, and members whose contact
was interrupted, are born in the new view. The number is one above the highest ever heard of.

Source: docs/protocol/membership.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from messaging import frame
from messaging.quorum import Electorate

MAX_EXACT_NODES = 32
"""Above so many nodes a good subset is found instead of the largest."""


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
    clique = largest_clique(_neighbours(table), leader, electorate.strength_of)
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


def largest_clique(
    neighbours: Mapping[str, frozenset[str]],
    leader: str,
    strength_of: Callable[[str], int] = lambda _: 1,
) -> frozenset[str]:
    """The strongest fully connected subset; with the leader, then with smaller names, on a tie.

    With nodes of equal strength it is the largest. A strength is at least 1.
    """
    names = sorted(neighbours)
    if all(len(neighbours[name]) == len(names) - 1 for name in names):
        return frozenset(names)
    if len(names) > MAX_EXACT_NODES:
        return _shrink_to_clique(neighbours)
    bits = {name: 1 << index for index, name in enumerate(names)}
    adjacent = [sum(bits[other] for other in neighbours[name]) for name in names]
    strengths = [strength_of(name) for name in names]
    left = (1 << len(names)) - 1
    lacking = _clique_strength(adjacent, strengths, left)
    chosen: set[str] = set()
    for name in [leader, *names]:
        if name in chosen or not bits.get(name, 0) & left:
            continue
        index = names.index(name)
        rest, needed = left & adjacent[index], lacking - strengths[index]
        if _clique_strength(adjacent, strengths, rest, needed - 1) >= needed:
            chosen.add(name)
            left, lacking = rest, needed
    return frozenset(chosen)


def _clique_strength(
    adjacent: Sequence[int], strengths: Sequence[int], among: int, known: int = 0
) -> int:
    """How strong the strongest clique in a set (bits) is, or `known` if that is more.

    Branch and bound: nodes that one colour can paint are not connected, so a clique has at most one
    of each colour, the strongest. Source: Tomita and Seki, DMTCS 2003, "MCQ".
    """
    painted: list[tuple[int, int]] = []
    uncoloured, bound, known = among, 0, max(known, 0)
    while uncoloured:
        free, colour = uncoloured, []
        while free:
            bit = free & -free
            colour.append(bit)
            uncoloured ^= bit
            free &= ~(bit | adjacent[bit.bit_length() - 1])
        bound += max(strengths[bit.bit_length() - 1] for bit in colour)
        painted += [(bit, bound) for bit in colour]
    for bit, most in reversed(painted):
        if most <= known:
            return known
        index = bit.bit_length() - 1
        own = strengths[index]
        known = own + _clique_strength(adjacent, strengths, among & adjacent[index], known - own)
        among ^= bit
    return known


def _shrink_to_clique(neighbours: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Drop the least connected node until all are connected (large clusters only)."""
    left = set(neighbours)
    while True:
        degrees = {name: len(neighbours[name] & left) for name in sorted(left)}
        if all(degree == len(left) - 1 for degree in degrees.values()):
            return frozenset(left)
        worst = min(
            sorted(left, reverse=True),
            key=lambda name: (
                degrees[name],
                sum(degrees[other] for other in neighbours[name] & left),
            ),
        )
        left.remove(worst)


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
