from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api.lrm import (
    Cancel,
    DescribeExecutor,
    Execute,
    ExecutorDescription,
    Forget,
    OperationFinished,
    RaiseReign,
)
from crm.model.outcomes import OperationStatus
from crm.plumbing.machine import Exit, PeerConnected, PeerLost, StopRequested
from lrmd.operations import KILL_PATIENCE_S, WatchTripped
from lrmd.resources import MAX_WAITING
from tests.kit.lrmd import WALL_AT_ZERO, Desk, order, reign, status_of


def described(desk: Desk) -> ExecutorDescription:
    desk.say(DescribeExecutor(request=7))
    answer = desk.told[-1].message
    assert isinstance(answer, ExecutorDescription)
    return answer


def test_an_order_runs_at_once_and_its_result_is_told() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start", parameters={"ip": "10.0.0.1"}, meta={"timeout": "20000"})
    start = desk.started[0]
    assert (start.resource, start.operation, start.timeout_ms) == ("vip", "start", 20_000)
    assert start.parameters == {"ip": "10.0.0.1"}
    desk.now += 0.25
    desk.end(start.run, 0)
    answer = desk.answers[0]
    assert (answer.call_id, answer.key, answer.rc, answer.status) == (1, "1:key", 0, 0)
    assert answer.exec_ms == 250
    assert answer.last_run == answer.last_rc_change == WALL_AT_ZERO + 100


def test_operations_of_one_resource_wait_for_each_other_in_order() -> None:
    desk = Desk()
    for call_id, operation in enumerate(("start", "promote", "stop"), start=1):
        desk.ask(call_id, "vip", operation)
    assert desk.running() == ["vip:start"]
    desk.now += 1
    desk.end(1)
    assert desk.running() == ["vip:start", "vip:promote"]
    desk.end(2)
    assert desk.running()[-1] == "vip:stop"
    assert desk.answers[-1].queue_ms == 1000


def test_different_resources_run_side_by_side_up_to_the_limit() -> None:
    desk = Desk(at_once=2)
    for call_id, resource in enumerate("abcd", start=1):
        desk.ask(call_id, resource, "start")
    assert desk.running() == ["a:start", "b:start"]
    desk.end(2)
    assert desk.running() == ["a:start", "b:start", "c:start"]


def test_an_order_goes_before_a_repetition_when_places_are_short() -> None:
    desk = Desk(at_once=1)
    desk.ask(1, "a", "monitor", interval_ms=1000)
    desk.end(1)
    desk.ask(2, "b", "start")
    desk.run_until(desk.now + 2)
    desk.ask(3, "c", "start")
    desk.end(2)
    assert desk.running()[-1] == "c:start"
    desk.end(3)
    assert desk.running()[-1] == "a:monitor"


def test_a_recurring_operation_runs_an_interval_after_the_end_of_the_last() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=5000)
    desk.now += 2
    desk.end(1)
    assert desk.operations.next_deadline() == 107.0
    desk.run_until(106.9)
    assert len(desk.started) == 1
    desk.run_until(107.0)
    assert len(desk.started) == 2


def test_a_recurring_operation_reports_first_result_changes_and_failures() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    for rc in (0, 0, 7, 7, 0, 0):
        desk.end(desk.started[-1].run, rc)
        desk.run_until(desk.now + 1)
    assert [answer.rc for answer in desk.answers] == [0, 7, 7, 0]
    assert [answer.last_rc_change - WALL_AT_ZERO for answer in desk.answers] == [100, 102, 102, 104]
    assert desk.answers[2].last_run == WALL_AT_ZERO + 103


def test_a_recurring_result_that_was_expected_is_not_a_failure() -> None:
    desk = Desk()
    desk.ask(1, "db", "monitor", interval_ms=1000, expected_rc=8)
    for rc in (8, 8, 0):
        desk.end(desk.started[-1].run, rc)
        desk.run_until(desk.now + 1)
    assert [answer.rc for answer in desk.answers] == [8, 0]


def test_cancelling_a_repetition_ends_it_and_is_confirmed() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    desk.end(1)
    desk.say(Cancel(2, "2:key", "vip", "monitor", 1000))
    assert status_of(desk.answers[-1]) is OperationStatus.CANCELLED
    assert (desk.answers[-1].call_id, desk.answers[-1].key) == (2, "2:key")
    desk.run_until(desk.now + 10)
    assert len(desk.started) == 1
    assert described(desk).operations == ()


def test_cancelling_while_it_runs_drops_the_result() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    desk.say(Cancel(2, "2:key", "vip", "monitor", 1000))
    desk.end(1, 7)
    assert [status_of(answer) for answer in desk.answers] == [OperationStatus.CANCELLED]
    desk.run_until(desk.now + 10)
    assert len(desk.started) == 1


def test_cancelling_what_is_unknown_is_confirmed_too() -> None:
    desk = Desk()
    desk.say(Cancel(2, "2:key", "vip", "monitor", 1000))
    assert status_of(desk.answers[-1]) is OperationStatus.CANCELLED


def test_a_stop_ends_the_repetitions_of_its_resource_only() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    desk.ask(2, "web", "monitor", interval_ms=1000)
    desk.end(1)
    desk.end(2)
    desk.ask(3, "vip", "stop")
    desk.end(3)
    desk.run_until(desk.now + 1)
    assert desk.running()[3:] == ["web:monitor"]
    assert [result.call_id for result in described(desk).operations] == [2, 3]


def test_a_stop_waits_for_the_monitor_at_work_and_drops_later_ones() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start")
    desk.ask(2, "vip", "monitor", interval_ms=1000)
    desk.ask(3, "vip", "stop")
    assert [answer.call_id for answer in desk.answers] == [2]
    assert status_of(desk.answers[0]) is OperationStatus.CANCELLED
    desk.end(1)
    assert desk.running() == ["vip:start", "vip:stop"]


def test_a_monitor_ordered_after_a_restart_survives_its_stop() -> None:
    desk = Desk()
    for call_id, operation, interval_ms in ((1, "stop", 0), (2, "start", 0), (3, "monitor", 500)):
        desk.ask(call_id, "vip", operation, interval_ms=interval_ms)
    desk.end(1)
    desk.end(2)
    desk.end(3)
    desk.run_until(desk.now + 0.5)
    assert desk.running() == ["vip:stop", "vip:start", "vip:monitor", "vip:monitor"]


def test_a_newer_order_of_the_same_monitor_replaces_the_older() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    desk.end(1)
    desk.ask(2, "vip", "monitor", interval_ms=1000, parameters={"ip": "10.0.0.2"})
    desk.end(2)
    desk.run_until(desk.now + 1)
    assert [dict(start.parameters) for start in desk.started] == [
        {},
        {"ip": "10.0.0.2"},
        {"ip": "10.0.0.2"},
    ]


def test_an_agent_that_takes_too_long_is_killed_and_reported_when_gone() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start", timeout_ms=3000)
    desk.ask(2, "vip", "stop")
    desk.run_until(102.9)
    assert desk.killed == []
    desk.run_until(103.0)
    assert desk.killed == [1]
    assert desk.running() == ["vip:start"]
    desk.now = 103.5
    desk.end(1, 143)
    assert status_of(desk.answers[0]) is OperationStatus.TIMEOUT
    assert "3000 ms" in desk.answers[0].exit_reason
    assert desk.running() == ["vip:start", "vip:stop"]


def test_an_agent_that_cannot_be_killed_is_given_up() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start", timeout_ms=1000)
    desk.ask(2, "vip", "stop")
    desk.run_until(101.0 + KILL_PATIENCE_S)
    assert status_of(desk.answers[0]) is OperationStatus.TIMEOUT
    assert desk.running() == ["vip:start", "vip:stop"]
    desk.end(1, 0)
    assert len(desk.answers) == 1


def test_a_start_delay_does_not_hold_up_others() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000, start_delay_ms=60_000)
    desk.ask(2, "vip", "start")
    assert desk.running() == ["vip:start"]
    desk.end(1)
    desk.run_until(159.9)
    assert desk.running() == ["vip:start"]
    desk.run_until(160.0)
    assert desk.running() == ["vip:start", "vip:monitor"]
    desk.end(2)
    assert desk.answers[-1].queue_ms == 0


def test_an_order_of_an_older_reign_is_refused() -> None:
    desk = Desk()
    desk.say(RaiseReign(reign(5)))
    desk.ask(1, "vip", "start", reign=reign(4))
    assert desk.started == []
    assert status_of(desk.answers[0]) is OperationStatus.CANCELLED
    assert "4@litsha21" in desk.answers[0].exit_reason
    assert "5@litsha21" in desk.answers[0].exit_reason


def test_an_order_of_a_newer_reign_deposes_waiting_orders() -> None:
    desk = Desk()
    desk.ask(1, "vip", "stop", reign=reign(4))
    desk.ask(2, "vip", "start", reign=reign(4))
    desk.ask(3, "web", "start", reign=reign(5))
    assert [(answer.call_id, answer.status) for answer in desk.answers] == [
        (2, OperationStatus.CANCELLED)
    ]
    desk.end(1)
    assert desk.running() == ["vip:stop", "web:start"]


def test_the_name_of_the_dc_breaks_a_tie_between_reigns() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start", reign=reign(5, "litsha22"))
    desk.ask(2, "web", "start", reign=reign(5, "litsha21"))
    assert desk.running() == ["vip:start"]


def test_a_key_that_comes_twice_is_executed_once() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start", key="same")
    desk.ask(2, "vip", "start", key="same")
    desk.end(1, 0)
    assert len(desk.started) == 1
    desk.ask(3, "vip", "start", key="same")
    assert len(desk.started) == 1
    assert [(answer.call_id, answer.rc) for answer in desk.answers] == [(1, 0), (3, 0)]


def test_orders_without_a_key_are_always_executed() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", key="")
    desk.end(1)
    desk.ask(2, "vip", "monitor", key="")
    assert len(desk.started) == 2


def test_waiting_orders_of_a_lost_asker_are_dropped_and_results_kept() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start")
    desk.ask(2, "vip", "promote")
    desk.receive(PeerLost("crmd"))
    desk.end(1)
    assert desk.told == []
    assert desk.running() == ["vip:start"]
    desk.receive(PeerConnected("crmd"))
    assert [result.call_id for result in described(desk).operations] == [1]


def test_forgetting_a_resource_ends_its_repetitions_and_its_record() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    desk.end(1)
    desk.ask(2, "web", "start")
    desk.end(2)
    desk.say(Forget("vip"))
    desk.run_until(desk.now + 5)
    assert desk.running() == ["vip:monitor", "web:start"]
    assert [result.resource for result in described(desk).operations] == ["web"]
    desk.say(Forget())
    assert described(desk).operations == ()


def test_the_description_names_life_results_and_who_is_busy() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start")
    desk.end(1)
    desk.ask(2, "web", "start")
    desk.ask(3, "web", "monitor", key="", interval_ms=500)
    answer = described(desk)
    assert (answer.request, answer.incarnation) == (7, "life-1")
    assert [(result.resource, result.operation) for result in answer.operations] == [
        ("vip", "start")
    ]
    assert answer.busy == ("2:key", "web_monitor_500")


def test_a_tripped_watch_runs_the_monitor_at_once() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=10_000)
    desk.end(1)
    desk.now += 1
    desk.receive(WatchTripped("vip", "address gone"))
    assert len(desk.started) == 2
    desk.end(2, 7)
    assert desk.answers[-1].rc == 7
    assert any("address gone" in line for line in desk.log)


def test_a_watch_that_trips_while_the_monitor_runs_makes_it_run_again() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=10_000)
    desk.receive(WatchTripped("vip"))
    desk.end(1, 0)
    assert len(desk.started) == 2
    desk.end(2, 0)
    desk.run_until(desk.now + 9)
    assert len(desk.started) == 2


def test_a_watch_on_an_unmonitored_resource_does_nothing() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start")
    desk.receive(WatchTripped("vip"))
    assert desk.running() == ["vip:start"]


def test_too_many_waiting_orders_are_refused() -> None:
    desk = Desk()
    for call_id in range(1, MAX_WAITING + 3):
        desk.ask(call_id, "vip", "monitor")
    assert len(desk.answers) == 1
    assert "wait already" in desk.answers[0].exit_reason


def test_what_an_agent_says_reaches_the_log() -> None:
    desk = Desk()
    desk.ask(1, "IPaddr_1", "stop")
    desk.end(1, 0, errors="SIOCDELRT: No such process\nINFO: IP Address 10.0.0.1 released\n")
    assert "RA output: (IPaddr_1:stop:stderr) SIOCDELRT: No such process" in desk.log
    assert "IP Address 10.0.0.1 released" in desk.log


def test_an_exit_reason_travels_with_the_result() -> None:
    desk = Desk()
    desk.ask(1, "vip", "start")
    desk.end(1, 5, errors="ocf-exit-reason:there is no interface 'eth9'\n")
    assert desk.answers[0].exit_reason == "there is no interface 'eth9'"


def test_a_stop_request_ends_the_process_and_touches_no_resource() -> None:
    desk = Desk()
    desk.ask(1, "vip", "monitor", interval_ms=1000)
    effects = desk.operations.receive(StopRequested(), desk.now)
    assert effects[-1] == Exit(0)
    assert len(desk.started) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from("abc"),
            st.sampled_from(["start", "stop", "promote", "monitor", "monitor_1000"]),
            st.integers(0, 3),
        ),
        st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from([0, 1, 7])),
        st.tuples(st.just("pass"), st.sampled_from([0.1, 0.7, 2.5])),
        st.tuples(st.just("trip"), st.sampled_from("abc")),
        st.tuples(st.just("cancel"), st.sampled_from("abc")),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_the_rules_of_the_executor_hold(steps: list[tuple[object, ...]]) -> None:
    desk = Desk(at_once=2)
    open_runs: dict[int, str] = {}
    accepted: list[Execute] = []
    once_answers: dict[int, list[OperationFinished]] = {}
    greatest = 0
    seen_starts = seen_answers = seen_lines = 0

    def check() -> None:
        nonlocal seen_starts, seen_answers, seen_lines
        for line in desk.log[seen_lines:]:
            # What cannot be killed is given up in the end: it counts as gone.
            if "cannot be killed" in line:
                name = line.partition(" of ")[2].partition(" ")[0]
                del open_runs[next(run for run, of in open_runs.items() if of == name)]
        seen_lines = len(desk.log)
        for start in desk.started[seen_starts:]:
            assert start.resource not in open_runs.values(), "two agents for one resource"
            open_runs[start.run] = start.resource
        seen_starts = len(desk.started)
        assert len(open_runs) <= 2
        for answer in desk.answers[seen_answers:]:
            once_answers.setdefault(answer.call_id, []).append(answer)
        seen_answers = len(desk.answers)

    for call_id, step in enumerate(steps, start=1):
        match step:
            case ("order", str(resource), str(word), int(number)):
                operation, _, interval = word.partition("_")
                asked = order(
                    call_id,
                    resource,
                    operation,
                    interval_ms=int(interval or 0),
                    reign=reign(number),
                    timeout_ms=2000,
                )
                if number >= greatest:
                    greatest = number
                accepted.append(asked)
                desk.say(asked)
            case ("end", int(index), int(rc)) if open_runs:
                run = sorted(open_runs)[index % len(open_runs)]
                del open_runs[run]
                desk.end(run, rc)
            case ("pass", float(seconds)):
                desk.run_until(desk.now + seconds)
            case ("trip", str(resource)):
                desk.receive(WatchTripped(resource))
            case ("cancel", str(resource)):
                desk.say(
                    Cancel(10_000 + call_id, "", resource, "monitor", 1000, reign=reign(greatest))
                )
        check()
    for _ in range(500):
        if not open_runs:
            break
        run = min(open_runs)
        del open_runs[run]
        desk.end(run, 0)
        check()
    once = [asked for asked in accepted if not asked.interval_ms]
    assert all(len(once_answers.get(asked.call_id, [])) == 1 for asked in once)
    desk.run_until(desk.now)
    deadline = desk.operations.next_deadline()
    assert deadline is None or deadline > desk.now
