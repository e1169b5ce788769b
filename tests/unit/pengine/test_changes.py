"""What follows when the configuration changes while something runs."""

from __future__ import annotations

from pengine import Decision
from pengine.facts.changes import operation_digest
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

NEW = (
    '<instance_attributes id="ia"><nvpair id="x" name="state" value="new"/>'
    '<nvpair id="y" name="level" value="2"/></instance_attributes>'
)
"""The parameters today."""


def digest(**parameters: str) -> str:
    """Digest the parameters of a start."""
    return operation_digest(parameters, 0, 0)


def decided(entries: str, *, resource: str = "", **attributes: dict[str, str]) -> Decision:
    """Decide about `a`, which runs on node1 with a history."""
    status = state("node1", {"a": entries}, **attributes) + state("node2", {"a": stopped()})  # type: ignore[arg-type]
    return decide(cib(resource or primitive("a", more=NEW), status=status))


def reloadable(**parameters: str) -> str:
    """Write a start whose agent takes over every parameter but `state` without a restart."""
    return ran(
        "start",
        call=2,
        op_digest=digest(**parameters),
        op_restart_digest=digest(state=parameters["state"]),
        op_force_restart=" state ",
    )


def test_digests_are_those_the_history_holds() -> None:
    assert operation_digest({}, 0, 20_000) == "f2317cad3d54cec5d7d7aa7d0bf35cf8"
    assert operation_digest({}, 10_000, 20_000) == "4811cef7f7f94e3a35a70be7916cb2fd"


def test_changed_parameters_restart() -> None:
    old = ran("start", call=2, op_digest=digest(state="old", level="2"))
    assert set(actions(decided(old))) == {"a_stop_0@node1", "a_start_0@node1"}
    new = ran("start", call=2, op_digest=digest(state="new", level="2"))
    assert actions(decided(new)) == []


def test_what_was_started_with_unknown_parameters_restarts() -> None:
    assert set(actions(decided(ran("start", call=2, op_digest="")))) == {
        "a_stop_0@node1",
        "a_start_0@node1",
    }


def test_an_agent_that_can_reloads_and_is_watched_anew() -> None:
    watched = primitive("a", more=NEW, ops=monitor("a", "5s"))
    monitored = operation_digest({"state": "new", "level": "2"}, 5000, 20_000)
    entries = reloadable(state="new", level="1") + ran(
        "monitor", interval_ms=5000, call=3, op_digest=monitored
    )
    decision = decided(entries, resource=watched)
    assert set(actions(decision)) == {"a_reload-agent_0@node1", "a_monitor_5000@node1"}
    assert waits_for(decision, "a_monitor_5000@node1") == {"a_reload-agent_0@node1"}


def test_a_parameter_that_needs_a_restart_is_never_reloaded() -> None:
    found = actions(decided(reloadable(state="old", level="1")))
    assert set(found) == {"a_stop_0@node1", "a_start_0@node1"}


def test_what_has_to_stop_is_not_reloaded() -> None:
    resource = primitive("a", more=NEW, meta={"target-role": "Stopped"})
    found = actions(decided(reloadable(state="new", level="1"), resource=resource))
    assert found == ["a_stop_0@node1"]


def test_own_parameters_of_the_start_turn_a_reload_into_a_restart() -> None:
    start = (
        '<op id="a-start" name="start" interval="0"><instance_attributes id="s">'
        '<nvpair id="z" name="extra" value="1"/></instance_attributes></op>'
    )
    found = actions(
        decided(reloadable(state="new", level="1"), resource=primitive("a", more=NEW, ops=start))
    )
    assert set(found) == {"a_stop_0@node1", "a_start_0@node1"}


def test_a_start_under_way_is_repeated_rather_than_reloaded() -> None:
    begun = reloadable(state="new", level="1").replace('call-id="2"', 'call-id="-1"')
    found = actions(decided(begun.replace('op-status="0"', 'op-status="-1"')))
    assert set(found) == {"a_stop_0@node1", "a_start_0@node1"}


def test_another_agent_stops_what_runs_and_forgets_it() -> None:
    entries = started()
    status = state("node1", {"a": entries}).replace('type="Dummy"', 'type="Other"')
    decision = decide(cib(primitive("a"), status=status + state("node2", {"a": stopped()})))
    assert waits_for(decision, "a_delete_0@node1") == {"a_stop_0@node1"}
    assert waits_for(decision, "a_start_0@node1") == {"a_stop_0@node1", "a_delete_0@node1"}


def test_failures_of_what_is_defined_otherwise_now_are_cleared() -> None:
    old = ran("start", call=2, op_digest=digest(state="old", level="2"))
    found = actions(decided(old, attributes={"fail-count-a#start_0": "1"}))
    assert "a_clear_failcount_0@node1" in found


def test_what_another_agent_left_under_the_name_of_a_copy_is_forgotten() -> None:
    clone = (
        f'<clone id="c">{primitive("a")}<meta_attributes id="cm">'
        '<nvpair id="cx" name="clone-max" value="1"/></meta_attributes></clone>'
    )
    left = state("node2", {"a:0": stopped()}).replace('type="Dummy"', 'type="Other"')
    decision = decide(cib(clone, status=state("node1", {"a:0": started()}) + left))
    assert actions(decision) == ["a:0_delete_0@node2"]


def test_a_value_that_says_default_counts_as_none() -> None:
    more = NEW.replace('value="2"', 'value="#default"')
    entries = ran("start", call=2, op_digest=digest(state="new"))
    assert actions(decided(entries, resource=primitive("a", more=more))) == []
