"""The table of one round: when it is complete, and what it says of leases."""

from __future__ import annotations

import msgspec

from messaging.quorum import Electorate
from messaging.round import Round
from messaging.verdict import judge
from tests.kit.messaging import join, seats


def test_it_is_complete_when_everybody_has_spoken_whom_somebody_names() -> None:
    here = Round(1)
    here.say(join("a", "b"), {})
    assert here.complete_table("a") is None
    here.hear(join("b", "ac"), 0.0)
    assert here.complete_table("a") is None, "b names c"
    here.hear(join("d", ""), 0.0)
    here.hear(join("c", "b"), 0.0)

    assert list(here.complete_table("a") or ()) == ["a", "b", "c"]
    assert list(here.complete_table("d") or ()) == ["d"]


def test_the_members_to_be_wait_for_what_each_of_them_said_of_others() -> None:
    here = Round(2)
    whole = {"members": seats("abc"), "view_id": 4, "quorate": True}
    here.say(join("a", "b", **whole), {("c", "life-c"): 5.0, ("b", "old-life"): 9.0})  # type: ignore[arg-type]
    said = join("b", "a", **whole)  # type: ignore[arg-type]
    here.hear(msgspec.structs.replace(said, leases=(("c", "life-c", 700),)), 5.0)
    assert here.members_to_be == [] and list(here.leases_left(())) == []

    here.verdict = judge(here.table, Electorate(tuple("abc")))

    assert here.members_to_be == ["a", "b"]
    assert sorted(here.leases_left(())) == [5.0, 5.7], "b is in the view, whatever its life"
    let_go = {("c", "life-c")}
    assert sorted(here.leases_left(let_go)) == [5.0, 5.7], "nobody knows what c did since"
    here.hear(join("c", "c"), 5.0)
    assert list(here.leases_left(let_go)) == []
