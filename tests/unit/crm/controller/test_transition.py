"""A run fires what its inputs allow, once, and ends."""

from hypothesis import given
from hypothesis import strategies as st

from crm.controller.transition import TransitionRun
from crm.model.graph import Action, ActionKind, Graph, Synapse


def act(number: int, kind: ActionKind = ActionKind.RESOURCE, node: str = "n") -> Action:
    return Action(number, kind, "start", f"r{number}_start_0", node=node)


def run(*synapses: Synapse, batch_limit: int = 0) -> TransitionRun:
    return TransitionRun(Graph(0, synapses, batch_limit=batch_limit), 0)


def ids(actions: list[Action]) -> list[int]:
    return [action.id for action in actions]


def test_a_synapse_waits_for_all_of_its_inputs() -> None:
    machine = run(Synapse(1, (act(1),)), Synapse(2, (act(2),)), Synapse(3, (act(3),), (1, 2)))
    assert ids(machine.fire(0)) == [1, 2]
    machine.confirm(1)
    assert ids(machine.fire(0)) == []
    machine.confirm(2)
    assert ids(machine.fire(0)) == [3]


def test_pseudo_actions_are_confirmed_as_they_fire() -> None:
    pseudo = act(1, ActionKind.PSEUDO)
    machine = run(Synapse(1, (pseudo,)), Synapse(2, (act(2),), (1,)))
    assert ids(machine.fire(0)) == [2]


def test_nothing_that_waits_for_a_failed_action_fires() -> None:
    machine = run(Synapse(1, (act(1),)), Synapse(2, (act(2),), (1,)))
    machine.fire(0)
    machine.fail(1)
    assert machine.fire(0) == []
    assert machine.is_over
    assert not machine.is_complete
    assert machine.incomplete_count == 1


def test_a_confirmation_counts_once() -> None:
    machine = run(Synapse(1, (act(1),)), Synapse(2, (act(2),), (1, 99)))
    machine.fire(0)
    assert machine.confirm(1)
    assert not machine.confirm(1)
    assert machine.fire(0) == []


def test_the_batch_limit_bounds_what_is_in_flight() -> None:
    machine = run(*(Synapse(n, (act(n),)) for n in range(1, 6)), batch_limit=2)
    assert ids(machine.fire(0)) == [1, 2]
    machine.confirm(1)
    assert ids(machine.fire(0)) == [3]


def test_after_an_abort_only_what_is_in_flight_is_waited_for() -> None:
    machine = run(Synapse(1, (act(1),)), Synapse(2, (act(2),), (1,)))
    machine.fire(0)
    machine.abort("view 7")
    machine.confirm(1)
    assert machine.fire(0) == []
    assert machine.is_over
    assert machine.abort_reason == "view 7"


def test_a_lost_node_fails_what_is_under_way_there() -> None:
    machine = run(Synapse(1, (act(1, node="a"),)), Synapse(2, (act(2, node="b"),)))
    machine.fire(0)
    assert ids(machine.lose_node("a")) == [1]
    assert ids(list(machine.in_flight.values())) == [2]


def test_an_action_is_overdue_after_its_timeout_and_the_cluster_delay() -> None:
    machine = run(Synapse(1, (act(1),)))
    machine.fire(100.0)
    assert machine.next_deadline() == 180.0
    assert machine.overdue(179.9) == []
    assert ids(machine.overdue(180.0)) == [1]


def test_a_graph_with_an_input_that_nothing_provides_ends_terminated() -> None:
    machine = run(Synapse(1, (act(1),), (42,)))
    assert machine.fire(0) == []
    assert machine.is_over
    assert not machine.is_complete


@given(
    st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_any_acyclic_graph_runs_in_an_order_that_its_inputs_allow(
    edges: list[set[int]], chance: st.DrawFn, batch_limit: int
) -> None:
    synapses = [
        Synapse(number, (act(number),), tuple(sorted(i for i in inputs if i < number)))
        for number, inputs in enumerate(edges)
    ]
    machine = run(*synapses, batch_limit=batch_limit)
    done: list[int] = []
    waiting = ids(machine.fire(0))
    while waiting:
        assert batch_limit == 0 or len(waiting) <= batch_limit
        number = waiting.pop(chance.randrange(len(waiting)))  # type: ignore[attr-defined]
        assert all(i in done for i in synapses[number].inputs)
        machine.confirm(number)
        done.append(number)
        waiting += ids(machine.fire(0))
    assert sorted(done) == list(range(len(edges)))
    assert machine.is_complete


def test_a_fencing_is_waited_for_as_long_as_the_fencing_timeout() -> None:
    action = Action(1, ActionKind.CLUSTER, "stonith", "stonith-n-reboot", node="n")
    graph = Graph(0, (Synapse(1, (action,)),), fencing_timeout_ms=600_000, cluster_delay_ms=1000)
    machine = TransitionRun(graph, 0)
    machine.fire(0)
    assert machine.next_deadline() == 601
