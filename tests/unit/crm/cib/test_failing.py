"""Who is sent away for a broken disk: only where the others have quorum without it."""

from __future__ import annotations

import pytest

from crm.api.membership import LeaveCluster, Member, SendCluster, View
from crm.cib.failing import Failing
from crm.cib.outbox import Outbox
from crm.model.version import Reign
from crm.plumbing.machine import Tell


def view(votes: dict[str, int], needed: int) -> View:
    members = tuple(
        Member(name, f"uuid-{name}", number, 1, f"life-{name}", votes[name])
        for number, name in enumerate(sorted(votes))
    )
    return View(1, members, quorate=True, total_nodes=len(votes), votes_needed=needed)


def sent_away(votes: dict[str, int], needed: int, broken: str) -> list[str]:
    """Who is told to leave, seen from node a."""
    outbox = Outbox()
    failing = Failing(outbox, "a", Reign())
    failing.broken = set(broken)
    failing.dismiss(view(votes, needed), dict.fromkeys(broken, "no more writes"))
    found = []
    for told in outbox.take():
        assert isinstance(told, Tell)
        match told.message:
            case LeaveCluster():
                found.append("a")
            case SendCluster(to_node=node):
                found.append(node)
    return found


@pytest.mark.parametrize(
    ("votes", "needed", "broken", "expected"),
    [
        ({"a": 1, "b": 1, "c": 1}, 2, "b", ["b"]),
        ({"a": 1, "b": 1, "c": 1}, 2, "ab", []),
        ({"a": 1, "b": 1}, 1, "a", ["a"]),
        ({"a": 1, "b": 1}, 2, "a", []),
        ({"a": 300, "b": 100, "c": 100}, 251, "a", []),
        ({"a": 300, "b": 100, "c": 100}, 251, "bc", ["b", "c"]),
        ({"a": 1, "b": 1, "c": 1}, 0, "b", []),
    ],
    ids=[
        "others-are-enough",
        "too-many",
        "one-of-two",
        "two-with-an-arbitrator",
        "the-heaviest",
        "the-light-ones",
        "nobody-can-say",
    ],
)
def test_a_broken_disk_costs_its_node_the_membership_if_the_others_go_on(
    votes: dict[str, int], needed: int, broken: str, expected: list[str]
) -> None:
    assert sent_away(votes, needed, broken) == expected
