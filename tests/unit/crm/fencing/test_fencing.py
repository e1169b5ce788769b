from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from crm.api import cib, fencing, membership
from crm.fencing.fencing import CANNOT_RUN, RC_ALIVE, RC_CANNOT_RUN, RC_NO_DEVICE, Fencing
from crm.model.version import Version
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
)

ONE_DEVICE = (
    b'<resources><primitive id="dev" class="stonith" type="ssh"><instance_attributes id="i">'
    b'<nvpair id="n" name="hostlist" value="node1"/></instance_attributes></primitive></resources>'
)


def told(effects: Sequence[Any]) -> list[tuple[str, msgspec.Struct]]:
    return [(effect.peer, effect.message) for effect in effects if isinstance(effect, Tell)]


def with_resources(xml: bytes = ONE_DEVICE) -> Fencing:
    machine = Fencing(pid=1)
    machine.receive(PeerConnected("cib"), 0)
    machine.receive(MessageArrived("cib", cib.QueryReply(1, cib.Outcome.OK, Version(), xml)), 0)
    return machine


def order(machine: Fencing, node: str) -> fencing.Fenced:
    effects = machine.receive(MessageArrived("crmd", fencing.Fence(7, node)), 0)
    [(peer, reply)] = told(effects)
    assert peer == "crmd"
    assert isinstance(reply, fencing.Fenced)
    assert reply.request == 7
    return reply


def hear(machine: Fencing, node: str, status: membership.NodeStatus) -> None:
    change = membership.NodeChanged(node, membership.NodeKind.NORMAL, status)
    machine.receive(MessageArrived("heartbeat", change), 0)


def confirm(machine: Fencing, node: str) -> fencing.Fenced:
    word = fencing.ConfirmDown(3, node, "root")
    [(_, reply)] = told(machine.receive(MessageArrived("mgmtd", word), 0))
    assert isinstance(reply, fencing.Fenced)
    return reply


def test_it_signs_on_at_heartbeat() -> None:
    effects = Fencing(pid=42).receive(PeerConnected("heartbeat"), 0)

    assert told(effects) == [("heartbeat", membership.SignOn("stonithd", 42))]


def test_it_asks_a_new_cib_for_the_resources_and_for_changes_of_them_alone() -> None:
    effects = Fencing(pid=1).receive(PeerConnected("cib"), 0)

    assert told(effects) == [
        ("cib", cib.Subscribe(("resources",))),
        ("cib", cib.Query(1, section="resources")),
    ]


def test_an_order_before_the_cib_answered_is_refused_with_that_reason() -> None:
    reply = order(Fencing(pid=1), "node1")

    assert reply.rc != 0
    assert "the cib has not answered" in reply.reason


def test_an_order_without_any_device_says_so() -> None:
    reply = order(with_resources(b"<resources/>"), "node1")

    assert (reply.rc, reply.reason) == (RC_NO_DEVICE, "no fencing device is configured")


def test_an_order_for_a_node_no_device_reaches_names_the_devices() -> None:
    reply = order(with_resources(), "node9")

    assert reply.rc == RC_NO_DEVICE
    assert "dev" in reply.reason


def test_a_device_that_could_is_named_and_never_claims_success() -> None:
    reply = order(with_resources(), "node1")

    assert (reply.rc, reply.device) == (RC_CANNOT_RUN, "dev")
    assert CANNOT_RUN in reply.reason


def test_a_change_of_the_configuration_makes_it_ask_again() -> None:
    machine = with_resources()
    changed = cib.CibChanged(
        Version(), Version(), (cib.Touched("configuration"),), cib.Origin("crm")
    )

    effects = machine.receive(MessageArrived("cib", changed), 0)

    assert told(effects) == [("cib", cib.Query(2, section="resources"))]


def test_changes_while_a_question_is_open_lead_to_one_more_question() -> None:
    machine = with_resources()
    replaced = MessageArrived("cib", cib.CibReplaced(Version()))
    machine.receive(replaced, 0)

    during = machine.receive(replaced, 0) + machine.receive(replaced, 0)
    after = machine.receive(
        MessageArrived("cib", cib.QueryReply(2, cib.Outcome.OK, Version(), ONE_DEVICE)), 0
    )

    assert during == []
    assert told(after) == [("cib", cib.Query(3, section="resources"))]


def test_an_old_answer_is_ignored() -> None:
    machine = with_resources()
    stale = cib.QueryReply(99, cib.Outcome.OK, Version(), b"<resources/>")
    machine.receive(MessageArrived("cib", stale), 0)

    assert order(machine, "node1").device == "dev"


def test_unreadable_resources_keep_the_devices_known_before() -> None:
    machine = with_resources()
    machine.receive(MessageArrived("cib", cib.CibReplaced(Version())), 0)

    effects = machine.receive(
        MessageArrived("cib", cib.QueryReply(2, cib.Outcome.OK, Version(), b"<resources")), 0
    )

    assert [type(effect) for effect in effects] == [Note]
    assert order(machine, "node1").device == "dev"


def test_devices_are_listed_for_a_node() -> None:
    machine = with_resources()

    effects = machine.receive(MessageArrived("mgmtd", fencing.AskDevices(5, "node1")), 0)

    assert told(effects) == [("mgmtd", fencing.Devices(5, ("dev",)))]


def test_a_person_may_confirm_a_dead_node() -> None:
    machine = with_resources()
    hear(machine, "node1", membership.NodeStatus.DEAD)

    assert (confirm(machine, "node1").rc, confirm(machine, "node1").device) == (0, "manual")


def test_a_node_that_is_heard_cannot_be_confirmed_as_down() -> None:
    machine = with_resources()
    hear(machine, "node1", membership.NodeStatus.ACTIVE)

    assert confirm(machine, "node1").rc == RC_ALIVE


def test_an_unknown_node_cannot_be_confirmed_as_down() -> None:
    machine = with_resources()
    hear(machine, "node1", membership.NodeStatus.DEAD)

    assert confirm(machine, "nod1").rc == RC_NO_DEVICE


def test_without_heartbeat_nobody_is_confirmed_as_down() -> None:
    machine = with_resources()
    hear(machine, "node1", membership.NodeStatus.DEAD)
    machine.receive(PeerLost("heartbeat"), 0)

    assert confirm(machine, "node1").rc != 0


def test_it_ends_when_told_to() -> None:
    assert Fencing(pid=1).receive(StopRequested(), 0)[-1] == Exit(0)
