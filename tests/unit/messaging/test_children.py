from __future__ import annotations

import signal

import pytest

from messaging.children import (
    PAUSE_S,
    STOP_LIMIT_S,
    ChildEnded,
    ChildPlan,
    Children,
    ChildrenGone,
    ChildStarted,
    Effect,
    SignalChild,
    StartChild,
    VitalChildFailed,
)

PLANS = [
    ChildPlan("cib", "cib", is_vital=True),
    ChildPlan("crmd", "crmd", is_vital=True),
    ChildPlan("mgmtd", "mgmtd", is_vital=True),
    ChildPlan("pingd-1", "/usr/lib/heartbeat/pingd -m 100"),
    ChildPlan("guard-2", "/bin/guard", is_failfast=True),
]


def started() -> Children:
    children = Children(PLANS)
    children.start(0.0)
    for number, plan in enumerate(PLANS):
        children.receive(ChildStarted(plan.name, 100 + number), 0.0)
    return children


def names(effects: list[Effect], kind: type) -> list[str]:
    return [effect.name for effect in effects if isinstance(effect, kind)]  # type: ignore[union-attr]


def test_children_start_in_the_order_of_the_list() -> None:
    effects = Children(PLANS).start(0.0)

    assert names(effects, StartChild) == ["cib", "crmd", "mgmtd", "pingd-1", "guard-2"]


def test_a_child_that_ran_long_starts_again_at_once() -> None:
    effects = started().receive(ChildEnded("cib", 1), 31.0)

    assert names(effects, StartChild) == ["cib"]


def test_a_child_that_ran_short_starts_again_after_the_pause() -> None:
    children = started()

    assert names(children.receive(ChildEnded("cib", 0, 9), 5.0), StartChild) == []
    assert children.next_deadline() == 5.0 + PAUSE_S
    assert names(children.tick(5.0 + PAUSE_S), StartChild) == ["cib"]


def test_exit_code_100_ends_a_child_for_good() -> None:
    children = started()

    assert names(children.receive(ChildEnded("pingd-1", 100), 5.0), StartChild) == []
    assert children.next_deadline() is None


def test_a_vital_child_that_cannot_start_makes_the_node_leave() -> None:
    children = started()
    effects = children.receive(ChildEnded("cib", 100), 5.0)
    assert names(effects, StartChild) == []
    assert names(effects, VitalChildFailed) == ["cib"]


def test_more_than_ten_short_runs_make_the_node_leave_when_the_child_is_vital() -> None:
    children = started()
    now = 0.0
    for _ in range(10):
        now += 0.1
        assert names(children.receive(ChildEnded("cib", 1), now), VitalChildFailed) == []
        now += PAUSE_S
        children.tick(now)

    assert names(children.receive(ChildEnded("cib", 1), now + 0.1), VitalChildFailed) == ["cib"]


def test_a_long_run_sets_the_count_of_short_runs_back() -> None:
    children = started()
    now = 0.0
    for turn in range(30):
        now += 31.0 if turn % 9 == 0 else 0.1
        assert names(children.receive(ChildEnded("cib", 1), now), VitalChildFailed) == []
        now += PAUSE_S
        children.tick(now)


def test_a_failfast_child_takes_the_node_with_it() -> None:
    assert names(started().receive(ChildEnded("guard-2", 1), 50.0), VitalChildFailed) == ["guard-2"]


def test_the_controller_stops_first_and_the_others_in_reverse_one_by_one() -> None:
    children = started()
    order = names(children.stop(1.0), SignalChild)
    gone = False
    while not gone:
        effects = children.receive(ChildEnded(order[-1], 0), 2.0)
        order += names(effects, SignalChild)
        gone = any(isinstance(effect, ChildrenGone) for effect in effects)

    assert order == ["crmd", "guard-2", "pingd-1", "mgmtd", "cib"]


def test_a_child_that_does_not_stop_is_killed_after_twenty_minutes() -> None:
    children = started()
    children.stop(1.0)

    assert children.next_deadline() == 1.0 + STOP_LIMIT_S
    killed = [
        effect for effect in children.tick(1.0 + STOP_LIMIT_S) if isinstance(effect, SignalChild)
    ]

    assert {effect.signal for effect in killed} == {int(signal.SIGKILL)}
    assert len(killed) == len(PLANS)


def test_with_nothing_running_the_stop_is_done_at_once() -> None:
    assert any(isinstance(effect, ChildrenGone) for effect in Children(PLANS).stop(0.0))


def stopped(children: Children, ends: dict[str, ChildEnded]) -> list[bool]:
    """Stop all; each ends as `ends` says, or with code 0. Gives whether that was in order."""
    effects = children.stop(1.0)
    while order := names(effects, SignalChild):
        effects = children.receive(ends.get(order[-1], ChildEnded(order[-1], 0)), 2.0)
    return [effect.in_order for effect in effects if isinstance(effect, ChildrenGone)]


def test_an_end_as_asked_is_in_order() -> None:
    assert stopped(started(), {}) == [True]


@pytest.mark.parametrize("end", [ChildEnded("crmd", 0, 9), ChildEnded("crmd", 1)])
def test_a_vital_child_that_fails_while_it_stops_is_no_end_in_order(end: ChildEnded) -> None:
    assert stopped(started(), {"crmd": end}) == [False]


def test_a_respawned_program_that_fails_while_it_stops_does_no_harm() -> None:
    assert stopped(started(), {"guard-2": ChildEnded("guard-2", 0, 15)}) == [True]


def test_a_vital_child_that_is_down_when_the_node_stops_is_no_end_in_order() -> None:
    children = started()
    children.receive(ChildEnded("crmd", 0, 11), 0.9)

    assert stopped(children, {}) == [False]


def test_a_vital_child_that_never_ran_holds_nothing() -> None:
    children = Children(PLANS)
    children.start(0.0)

    assert stopped(children, {"crmd": ChildEnded("crmd", 127)}) == [True]
