"""The states of a crmd and what moves it from one to the next, as a table.

Responsible for the classic names, the table and the log line of a change; not for what is done in
a state: the controller acts, and tells the table which input its act amounts to.

Theory of operation: `NEXT[input][state]` is the next state. A pair that is absent leaves the state
as it is. The states from S_INTEGRATION to S_IDLE are those of a DC; every way out of them that is
not a step of its work goes through S_ELECTION, S_RELEASE_DC or S_STOPPING, so whoever watches the
state knows when the office was given up.

Source: the published transition table of the classic crmd; docs/protocol/transition.md, "States".
"""

from __future__ import annotations

import enum

from crm.plumbing.machine import Note, info


class State(enum.Enum):
    """What a crmd is doing."""

    STARTING = "S_STARTING"
    PENDING = "S_PENDING"
    NOT_DC = "S_NOT_DC"
    ELECTION = "S_ELECTION"
    INTEGRATION = "S_INTEGRATION"
    FINALIZE_JOIN = "S_FINALIZE_JOIN"
    POLICY_ENGINE = "S_POLICY_ENGINE"
    TRANSITION_ENGINE = "S_TRANSITION_ENGINE"
    IDLE = "S_IDLE"
    RELEASE_DC = "S_RELEASE_DC"
    RECOVERY = "S_RECOVERY"
    STOPPING = "S_STOPPING"
    TERMINATE = "S_TERMINATE"
    HALT = "S_HALT"


class Input(enum.Enum):
    """What happened, in the words of the table."""

    CIB_UPDATE = "I_CIB_UPDATE"
    DC_TIMEOUT = "I_DC_TIMEOUT"
    ELECTION = "I_ELECTION"
    PE_CALC = "I_PE_CALC"
    RELEASE_DC = "I_RELEASE_DC"
    ELECTION_DC = "I_ELECTION_DC"
    ERROR = "I_ERROR"
    FAIL = "I_FAIL"
    INTEGRATED = "I_INTEGRATED"
    FINALIZED = "I_FINALIZED"
    NODE_JOIN = "I_NODE_JOIN"
    NOT_DC = "I_NOT_DC"
    RECOVERED = "I_RECOVERED"
    RELEASE_FAIL = "I_RELEASE_FAIL"
    RELEASE_SUCCESS = "I_RELEASE_SUCCESS"
    TE_SUCCESS = "I_TE_SUCCESS"
    SHUTDOWN = "I_SHUTDOWN"
    STOP = "I_STOP"
    TERMINATE = "I_TERMINATE"
    STARTUP = "I_STARTUP"
    PE_SUCCESS = "I_PE_SUCCESS"
    JOIN_OFFER = "I_JOIN_OFFER"
    JOIN_REQUEST = "I_JOIN_REQUEST"
    JOIN_RESULT = "I_JOIN_RESULT"
    PENDING = "I_PENDING"
    HALT = "I_HALT"


class Cause(enum.Enum):
    """Where an input came from."""

    STARTUP = "C_STARTUP"
    INTERNAL = "C_FSA_INTERNAL"
    IPC_MESSAGE = "C_IPC_MESSAGE"
    HA_MESSAGE = "C_HA_MESSAGE"
    CCM_CALLBACK = "C_CCM_CALLBACK"
    LRM_CALLBACK = "C_LRM_OP_CALLBACK"
    TIMER = "C_TIMER_POPPED"
    SHUTDOWN = "C_SHUTDOWN"
    SUBSYSTEM = "C_SUBSYSTEM_CONNECT"
    CRMD_STATUS = "C_CRMD_STATUS_CALLBACK"


_S = State
_JOINING = (_S.INTEGRATION, _S.FINALIZE_JOIN)
_WORKING = (_S.POLICY_ENGINE, _S.TRANSITION_ENGINE, _S.IDLE)
DC_STATES = (*_JOINING, *_WORKING)
"""The states of a crmd that is DC."""


def _all(states: tuple[State, ...], following: State) -> dict[State, State]:
    return dict.fromkeys(states, following)


NEXT: dict[Input, dict[State, State]] = {
    Input.CIB_UPDATE: _all((_S.STARTING, _S.PENDING, _S.NOT_DC), _S.RECOVERY),
    Input.DC_TIMEOUT: {
        **_all((_S.PENDING, _S.NOT_DC, _S.HALT), _S.ELECTION),
        **_all((*_JOINING, *_WORKING, _S.RELEASE_DC), _S.RECOVERY),
    },
    Input.ELECTION: _all((_S.PENDING, _S.NOT_DC, *DC_STATES), _S.ELECTION),
    Input.PE_CALC: {
        _S.STARTING: _S.RECOVERY,
        _S.TRANSITION_ENGINE: _S.POLICY_ENGINE,
        _S.IDLE: _S.POLICY_ENGINE,
    },
    Input.RELEASE_DC: {
        _S.STARTING: _S.RECOVERY,
        **_all((_S.ELECTION, *DC_STATES), _S.RELEASE_DC),
    },
    Input.ELECTION_DC: {
        _S.STARTING: _S.RECOVERY,
        **_all((_S.NOT_DC, _S.ELECTION, _S.FINALIZE_JOIN, *_WORKING), _S.INTEGRATION),
    },
    Input.ERROR: {
        **_all(
            (_S.STARTING, _S.PENDING, _S.NOT_DC, _S.RELEASE_DC, _S.ELECTION, *DC_STATES, _S.HALT),
            _S.RECOVERY,
        ),
        _S.STOPPING: _S.TERMINATE,
    },
    Input.FAIL: {
        **_all((_S.STARTING, _S.PENDING), _S.STOPPING),
        **_all((_S.NOT_DC, _S.IDLE), _S.RECOVERY),
        **_all((_S.ELECTION, _S.HALT), _S.RELEASE_DC),
        **_all((_S.FINALIZE_JOIN, _S.POLICY_ENGINE), _S.INTEGRATION),
        _S.TRANSITION_ENGINE: _S.POLICY_ENGINE,
    },
    Input.INTEGRATED: {
        **_all((_S.STARTING, _S.PENDING), _S.RECOVERY),
        _S.INTEGRATION: _S.FINALIZE_JOIN,
    },
    Input.FINALIZED: {
        **_all((_S.STARTING, _S.PENDING), _S.RECOVERY),
        _S.FINALIZE_JOIN: _S.POLICY_ENGINE,
    },
    Input.NODE_JOIN: {
        _S.STARTING: _S.RECOVERY,
        **_all((_S.FINALIZE_JOIN, *_WORKING), _S.INTEGRATION),
    },
    Input.NOT_DC: {
        _S.STARTING: _S.RECOVERY,
        _S.PENDING: _S.NOT_DC,
        **_all(DC_STATES, _S.RECOVERY),
    },
    Input.RECOVERED: {_S.FINALIZE_JOIN: _S.INTEGRATION, _S.RECOVERY: _S.PENDING},
    Input.RELEASE_FAIL: {
        _S.STARTING: _S.RECOVERY,
        **_all((_S.ELECTION, *DC_STATES, _S.RELEASE_DC, _S.RECOVERY), _S.STOPPING),
    },
    Input.RELEASE_SUCCESS: {
        **_all((_S.STARTING, *DC_STATES), _S.RECOVERY),
        _S.RELEASE_DC: _S.PENDING,
    },
    Input.TE_SUCCESS: {_S.STARTING: _S.RECOVERY, _S.TRANSITION_ENGINE: _S.IDLE},
    Input.SHUTDOWN: {
        **_all((_S.STARTING, _S.RECOVERY), _S.STOPPING),
        **_all((_S.TRANSITION_ENGINE, _S.IDLE), _S.POLICY_ENGINE),
        _S.HALT: _S.ELECTION,
    },
    Input.STOP: _all(
        (
            _S.STARTING,
            _S.PENDING,
            _S.NOT_DC,
            _S.ELECTION,
            *DC_STATES,
            _S.RELEASE_DC,
            _S.RECOVERY,
            _S.HALT,
        ),
        _S.STOPPING,
    ),
    Input.TERMINATE: _all(
        tuple(state for state in State if state is not _S.TERMINATE), _S.TERMINATE
    ),
    Input.STARTUP: _all((_S.NOT_DC, _S.ELECTION, *DC_STATES), _S.RECOVERY),
    Input.PE_SUCCESS: {
        _S.STARTING: _S.RECOVERY,
        _S.POLICY_ENGINE: _S.TRANSITION_ENGINE,
    },
    Input.JOIN_OFFER: {_S.NOT_DC: _S.PENDING},
    Input.JOIN_REQUEST: _all((_S.FINALIZE_JOIN, *_WORKING), _S.INTEGRATION),
    Input.JOIN_RESULT: {_S.NOT_DC: _S.PENDING, **_all(_WORKING, _S.INTEGRATION)},
    Input.PENDING: _all((_S.STARTING, _S.NOT_DC, _S.ELECTION, *DC_STATES), _S.PENDING),
    Input.HALT: _all((_S.PENDING, _S.NOT_DC, _S.ELECTION, *DC_STATES), _S.HALT),
}


class StateMachine:
    """Holds the state of one crmd and says each change in the classic words."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.node = ""

    @property
    def is_dc(self) -> bool:
        """Tell whether the state is one of a DC."""
        return self.state in DC_STATES

    def apply(self, happened: Input, cause: Cause, origin: str) -> list[Note]:
        """Move as the table says; return the log line of a change, nothing without one."""
        before = self.state
        after = NEXT[happened].get(before, before)
        if after is before:
            return []
        self.state = after
        return [
            info(
                "crmd",
                f"do_state_transition: {self.node}: State transition {before.value} ->"
                f" {after.value} [ input={happened.value} cause={cause.value} origin={origin} ]",
            )
        ]
