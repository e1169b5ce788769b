"""attrd: dampened together, owned by one, restored after a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.api import attributes, cib, membership
from crm.attrd.attributes import Attributes, evaluate
from crm.attrd.wire import WIRE, Answer, Flush, Held, Instruction, Question, Written
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
)
from tests.kit.controller import ControllerCluster, update

ALL = ("a", "b", "c")


def started() -> ControllerCluster:
    cluster = ControllerCluster(*ALL)
    cluster.start_all()
    return cluster


def value(cluster: ControllerCluster, node: str, name: str) -> str | None:
    return cluster.document().attributes.get(node, {}).get(name)


# --- alone: one machine and what it says ------------------------------------------------------


def alone() -> Attributes:
    machine = Attributes(pid=7)
    machine.receive(PeerConnected("heartbeat"), 0)
    said = membership.SignedOn("a", "uuid-a", "test", ALL, "life")
    machine.receive(MessageArrived("heartbeat", said), 0)
    machine.receive(PeerConnected("cib"), 0)
    return machine


def changes(effects: list[object]) -> list[cib.Change]:
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Tell) and isinstance(effect.message, cib.Change)
    ]


def broadcasts(effects: list[object]) -> list[object]:
    return [
        WIRE.decode(effect.message.payload)
        for effect in effects
        if isinstance(effect, Tell) and isinstance(effect.message, membership.SendCluster)
    ]


def ask(machine: Attributes, now: float, **more: object) -> list[object]:
    wanted = update(str(more.pop("name", "pingd")), more.pop("value", "100"), **more)  # type: ignore[arg-type]
    return list(machine.receive(MessageArrived("pingd", wanted), now))


def test_a_value_without_dampening_is_written_at_once() -> None:
    (change,) = changes(ask(alone(), 0))
    assert change.operations == (cib.SetNodeAttribute("a", "uuid-a", "pingd", "100"),)
    assert change.origin == cib.Origin(client="attrd", node="a")


def test_the_first_change_starts_the_timer_and_the_newest_value_is_written() -> None:
    machine = alone()
    assert changes(ask(machine, 10.0, dampen_ms=5000)) == []
    assert changes(ask(machine, 14.0, value="0", dampen_ms=5000)) == []
    assert machine.next_deadline() == 15.0
    effects = list(machine.tick(15.0))
    (change,) = changes(effects)
    assert change.operations[0].value == "0"
    assert Flush("pingd") in broadcasts(effects)
    assert machine.next_deadline() is None


def test_a_flush_of_another_node_writes_the_current_value_now() -> None:
    machine = alone()
    ask(machine, 0, dampen_ms=5000)
    flush = membership.ClusterMessage("b", "attrd", WIRE.encode(Flush("pingd")))
    (change,) = changes(list(machine.receive(MessageArrived("heartbeat", flush), 1)))
    assert change.operations[0].value == "100"
    assert machine.next_deadline() is None


def test_an_unchanged_value_does_nothing() -> None:
    machine = alone()
    (change,) = changes(ask(machine, 0))
    machine.receive(MessageArrived("cib", cib.ChangeReply(change.request, cib.Outcome.OK)), 0)
    assert ask(machine, 1) == []


def test_an_update_is_acknowledged_once_it_is_written() -> None:
    machine = alone()
    effects = ask(machine, 0, request=5)
    (change,) = changes(effects)
    answer = Tell("pingd", attributes.AttributeValues(5))
    assert answer not in effects
    reply = cib.ChangeReply(change.request, cib.Outcome.OK)
    assert answer in machine.receive(MessageArrived("cib", reply), 0)


def test_a_refused_write_is_repeated_a_second_later() -> None:
    machine = alone()
    (change,) = changes(ask(machine, 0))
    reply = cib.ChangeReply(change.request, cib.Outcome.NOT_READY)
    machine.receive(MessageArrived("cib", reply), 0)
    assert machine.next_deadline() == 1.0
    (again,) = changes(list(machine.tick(1.0)))
    assert again.operations == change.operations


def test_refusals_are_not_repeated_for_ever() -> None:
    machine = alone()
    now = 0.0
    pending = changes(ask(machine, now))
    rounds = 0
    while pending:
        rounds += 1
        reply = cib.ChangeReply(pending[0].request, cib.Outcome.NOT_READY)
        machine.receive(MessageArrived("cib", reply), now)
        deadline = machine.next_deadline()
        if deadline is None:
            break
        now = deadline
        pending = changes(list(machine.tick(now)))
    assert rounds == 31


def test_a_value_that_came_without_a_cib_is_written_when_the_cib_is_there() -> None:
    machine = alone()
    machine.receive(PeerLost("cib"), 0)
    assert changes(ask(machine, 0)) == []
    (change,) = changes(list(machine.receive(PeerConnected("cib"), 1)))
    assert change.operations[0].value == "100"


def test_an_update_for_an_attrd_that_goes_away_is_not_waited_for() -> None:
    machine = alone()
    members = tuple(membership.Member(n, f"uuid-{n}", i, 1) for i, n in enumerate(("a", "b")))
    view = membership.View(1, members, True)
    event = membership.ViewEvent.NEW_MEMBERSHIP
    there = membership.ClientChanged("b", "attrd", membership.ClientStatus.ONLINE)
    gone = membership.ClientChanged("b", "attrd", membership.ClientStatus.LEAVE)
    machine.receive(MessageArrived("heartbeat", membership.ViewInstalled(event, view)), 0)
    machine.receive(MessageArrived("heartbeat", there), 0)
    effects = ask(machine, 0, node="b", request=4)
    assert any(isinstance(said, Instruction) for said in broadcasts(effects))
    told = [Tell("pingd", attributes.AttributeValues(4))]
    assert machine.receive(MessageArrived("heartbeat", gone), 1) == told


def test_a_write_for_another_node_is_not_waited_for_when_the_cib_goes_away() -> None:
    machine = alone()
    assert len(changes(ask(machine, 0, node="b", request=4))) == 1
    assert machine.receive(PeerLost("cib"), 1) == [Tell("pingd", attributes.AttributeValues(4))]


def test_garbage_from_a_peer_is_dropped() -> None:
    machine = alone()
    message = membership.ClusterMessage("b", "attrd", b"\x81nonsense")
    effects = list(machine.receive(MessageArrived("heartbeat", message), 0))
    assert [type(effect).__name__ for effect in effects] == ["Note"]


def test_only_the_attrd_of_a_peer_speaks_for_it() -> None:
    machine = alone()
    payload = WIRE.encode(Instruction("fail-count-x", "value++", token=9))
    message = membership.ClusterMessage("b", "spy", payload)

    (note,) = machine.receive(MessageArrived("heartbeat", message), 0)

    assert isinstance(note, Note)
    assert note.text == "dropped a message of client spy at b: not its attrd"


def test_an_instruction_with_a_token_is_answered_when_written() -> None:
    machine = alone()
    wanted = Instruction("fail-count-x", "value++", token=9)
    message = membership.ClusterMessage("b", "attrd", WIRE.encode(wanted))
    (change,) = changes(list(machine.receive(MessageArrived("heartbeat", message), 0)))
    assert change.operations[0].value == "1"
    reply = cib.ChangeReply(change.request, cib.Outcome.OK)
    assert Written(9) in broadcasts(list(machine.receive(MessageArrived("cib", reply), 0)))


def test_a_new_attrd_takes_its_own_values_back_from_the_others() -> None:
    machine = alone()
    answer = Answer((Held("pingd", "100"),), (Held("pingd", "50"), Held("x", "1")))
    message = membership.ClusterMessage("b", "attrd", WIRE.encode(answer))
    (change,) = changes(list(machine.receive(MessageArrived("heartbeat", message), 0)))
    assert {o.name: o.value for o in change.operations} == {"pingd": "50", "x": "1"}


def test_a_question_is_answered_with_what_is_held() -> None:
    machine = alone()
    ask(machine, 0)
    message = membership.ClusterMessage("b", "attrd", WIRE.encode(Question()))
    (answer,) = broadcasts(list(machine.receive(MessageArrived("heartbeat", message), 0)))
    assert answer == Answer((Held("pingd", "100"),), ())


def test_it_ends_in_order() -> None:
    assert alone().receive(StopRequested(), 0)[-1] == Exit(0)


@pytest.mark.parametrize(
    ("wanted", "current", "result"),
    [
        ("value++", None, "1"),
        ("value++", "4", "5"),
        ("value+=3", "4", "7"),
        ("value++", "INFINITY", "INFINITY"),
        ("value++", "many", "1"),
        ("value+=much", "1", "value+=much"),
        ("plain", "1", "plain"),
        (None, "1", None),
    ],
)
def test_values_may_count_on(wanted: str | None, current: str | None, result: str | None) -> None:
    assert evaluate(wanted, current) == result


# --- together: three nodes ---------------------------------------------------------------------


def test_a_value_for_another_node_is_set_by_its_owner() -> None:
    cluster = started()
    cluster["a"].tell("attrd", "crmd", update("x", "1", node="c"))
    cluster.run()
    assert value(cluster, "c", "x") == "1"


def test_a_value_for_a_node_whose_attrd_is_gone_is_written_in_its_place() -> None:
    cluster = started()
    cluster["c"].attrd = None
    cluster._client_gone(cluster["c"], "attrd")
    cluster.run()
    cluster["a"].tell("attrd", "crmd", update("x", "1", node="c"))
    cluster.run()
    assert value(cluster, "c", "x") == "1"


def test_values_survive_a_restart_of_attrd() -> None:
    cluster = started()
    cluster["b"].tell("attrd", "pingd", update("pingd", "100", dampen_ms=5000))
    cluster.run()
    cluster["b"].attrd = None
    cluster._client_gone(cluster["b"], "attrd")
    cluster.run()
    cluster["b"].start_attrd()
    cluster.run()
    assert value(cluster, "b", "pingd") == "100"


def test_a_lone_node_takes_its_values_back_from_its_cib() -> None:
    cluster = ControllerCluster("only")
    cluster.start_all()
    cluster["only"].tell("attrd", "pingd", update("pingd", "100"))
    cluster.run()
    cluster["only"].attrd = None
    cluster["only"].start_attrd()
    cluster.run()
    cluster["only"].tell("attrd", "mgmtd", attributes.AskAttributes(1))
    cluster.run()
    wanted = attributes.AttributeValue("only", "pingd", "100")
    assert cluster.answers == [attributes.AttributeValues(1, (wanted,))]


def test_values_do_not_survive_the_node() -> None:
    cluster = started()
    cluster["c"].tell("attrd", "pingd", update("pingd", "100"))
    cluster.run()
    cluster.crash("c")
    cluster.run()
    assert value(cluster, "c", "pingd") is None
    cluster.revive("c")
    cluster.run()
    assert value(cluster, "c", "pingd") is None


def test_any_attrd_can_say_the_values_of_all() -> None:
    cluster = started()
    for name in ALL:
        cluster[name].tell("attrd", "pingd", update("pingd", f"of-{name}"))
    cluster.run()
    cluster["b"].tell("attrd", "mgmtd", attributes.AskAttributes(4, name="pingd"))
    cluster.run()
    (answer,) = cluster.answers
    assert isinstance(answer, attributes.AttributeValues)
    assert [(held.node, held.value) for held in answer.values] == [
        (name, f"of-{name}") for name in ALL
    ]


def test_when_one_timer_fires_all_nodes_write_together() -> None:
    cluster = started()
    for name in ALL:
        cluster[name].tell("attrd", "pingd", update("pingd", "100", dampen_ms=5000))
        cluster.run()
        cluster.pass_time(1)
    assert [value(cluster, name, "pingd") for name in ALL] == [None, None, None]
    cluster.pass_time(2.01)
    assert [value(cluster, name, "pingd") for name in ALL] == ["100", "100", "100"]


@given(
    st.lists(
        st.tuples(st.sampled_from(ALL), st.sampled_from(["x", "y"]), st.integers(0, 3)),
        max_size=12,
    )
)
def test_in_the_end_the_cib_has_the_last_value_of_each(
    updates: list[tuple[str, str, int]],
) -> None:
    cluster = started()
    last: dict[tuple[str, str], str] = {}
    for node, name, number in updates:
        cluster["a"].tell("attrd", "crmd", update(name, str(number), node=node))
        cluster.run()
        last[(node, name)] = str(number)
    assert all(value(cluster, *key) == wanted for key, wanted in last.items())
