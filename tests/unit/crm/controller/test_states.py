"""The state table: the usual paths, and the line of a change."""

import pytest

from crm.controller.states import DC_STATES, NEXT, Cause, Input, State, StateMachine


def walk(*inputs: Input) -> list[str]:
    machine = StateMachine()
    states = []
    for happened in inputs:
        machine.apply(happened, Cause.INTERNAL, "test")
        states.append(machine.state.value)
    return states


def test_the_first_node_goes_the_usual_way() -> None:
    assert walk(
        Input.PENDING,
        Input.ELECTION,
        Input.ELECTION_DC,
        Input.INTEGRATED,
        Input.FINALIZED,
        Input.PE_SUCCESS,
        Input.TE_SUCCESS,
    ) == [
        "S_PENDING",
        "S_ELECTION",
        "S_INTEGRATION",
        "S_FINALIZE_JOIN",
        "S_POLICY_ENGINE",
        "S_TRANSITION_ENGINE",
        "S_IDLE",
    ]


def test_the_line_of_a_change_is_the_classic_one() -> None:
    machine = StateMachine()
    machine.node = "litsha22"
    machine.state = State.PENDING
    (note,) = machine.apply(Input.NOT_DC, Cause.HA_MESSAGE, "do_cl_join_finalize_respond")
    assert note.text == (
        "do_state_transition: litsha22: State transition S_PENDING -> S_NOT_DC"
        " [ input=I_NOT_DC cause=C_HA_MESSAGE origin=do_cl_join_finalize_respond ]"
    )


def test_what_the_table_does_not_list_changes_and_says_nothing() -> None:
    machine = StateMachine()
    machine.state = State.IDLE
    assert machine.apply(Input.TE_SUCCESS, Cause.INTERNAL, "test") == []
    assert machine.state is State.IDLE


@pytest.mark.parametrize("state", DC_STATES)
def test_a_dc_can_always_be_released(state: State) -> None:
    assert NEXT[Input.RELEASE_DC][state] is State.RELEASE_DC


@pytest.mark.parametrize("state", [s for s in State if s not in (State.STOPPING, State.TERMINATE)])
def test_every_state_has_a_way_out(state: State) -> None:
    assert NEXT[Input.STOP][state] is State.STOPPING
    assert NEXT[Input.TERMINATE][State.STOPPING] is State.TERMINATE
