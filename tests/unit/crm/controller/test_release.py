"""How long a member without quorum waits for a DC, by what the cluster layer promises."""

from __future__ import annotations

import pytest

from crm.api import membership
from crm.controller.core import Controller
from crm.controller.release import MAX_PATIENCE_S
from crm.plumbing.machine import MessageArrived, Note, PeerConnected


def without_quorum(margin_ms: int) -> Controller:
    """A crmd that was told a view without quorum at the moment 10, with no DC in it yet."""
    crmd = Controller(new_uuid=lambda: "uuid", wall=lambda: 0.0, pid=1)
    for peer in ("heartbeat", "cib", "lrmd"):
        crmd.receive(PeerConnected(peer), 10.0)
    members = tuple(membership.Member(name, name, 1, 3, "life") for name in "ab")
    view = membership.View(3, members, quorate=False)
    for message in (
        membership.SignedOn(
            "a", "1", "test", ("a", "b", "c", "d", "e"), "life", margin_ms=margin_ms
        ),
        membership.ClientChanged("b", "crmd", membership.ClientStatus.ONLINE),
        membership.ViewInstalled(membership.ViewEvent.INVALID, view),
    ):
        crmd.receive(MessageArrived("heartbeat", message), 10.0)
    return crmd


def lets_go_at(crmd: Controller, moment: float) -> bool:
    said = crmd.tick(moment)
    return any(isinstance(note, Note) and "letting go" in note.text for note in said)


@pytest.mark.parametrize(
    ("margin_ms", "patience_s"),
    [(400, 0.1), (4000, MAX_PATIENCE_S), (0, MAX_PATIENCE_S)],
    ids=["a-quarter-of-it", "at-most", "none-promised"],
)
def test_a_member_without_quorum_waits_for_a_part_of_its_margin(
    margin_ms: int, patience_s: float
) -> None:
    crmd = without_quorum(margin_ms)

    assert not lets_go_at(crmd, 10.0 + patience_s - 0.001)
    assert lets_go_at(crmd, 10.0 + patience_s)
