"""What `crm_simulate` pretends before the scheduler runs."""

from __future__ import annotations

import pytest

from crm.model.cluster import Cluster
from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import inject, schedule
from tests.kit.pengine import NOW, actions, cib, primitive, started, state, stopped

NOW_S = int(NOW.timestamp())


def _cluster() -> Cluster:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    found, _ = reading.read(xml.parse(cib(primitive("a"), status=status)))
    return found


def test_a_node_that_goes_gives_its_resources_to_another() -> None:
    changed = inject.take_down(_cluster(), "node1")
    assert actions(schedule(changed, NOW)) == ["a_start_0@node2"]


def test_a_node_nobody_knew_is_looked_at_when_it_comes_up() -> None:
    changed = inject.bring_up(_cluster(), "node3")
    assert actions(schedule(changed, NOW)) == ["a_monitor_0@node3"]


def test_a_failed_node_did_not_leave_in_good_order() -> None:
    states = {s.name: s for s in inject.fail(_cluster(), "node1").status}
    assert (states["node1"].in_membership, states["node1"].expected) == (False, "member")


def test_an_injected_failure_is_counted_and_recovered() -> None:
    outcome = inject.parse_outcome("a_monitor_10000@node1=1")
    changed, lines = inject.inject(_cluster(), outcome, NOW_S)
    assert (
        lines[0]
        == "Injecting attribute fail-count-a#monitor_10000=value++ into /node_state 'node1'"
    )
    assert "a_stop_0@node1" in actions(schedule(changed, NOW))


def test_a_probe_that_finds_nothing_is_no_failure() -> None:
    outcome = inject.parse_outcome("a_monitor_0@node2=7")
    assert inject.inject(_cluster(), outcome, NOW_S)[1] == ()


def test_what_is_not_there_is_named() -> None:
    for text in ("b_monitor_0@node1=1", "a_monitor_0@node9=1"):
        with pytest.raises(ValueError, match=r"Invalid (resource|node) name: (b|node9)"):
            inject.inject(_cluster(), inject.parse_outcome(text), NOW_S)


def test_an_injected_start_failure_counts_once_as_the_tool_does() -> None:
    outcome = inject.parse_outcome("a_start_0@node2=1")
    changed, _ = inject.inject(_cluster(), outcome, NOW_S)
    node2 = next(state for state in changed.status if state.name == "node2")
    assert ("fail-count-a#start_0", "1") in node2.attributes[0].values


@pytest.mark.parametrize("text", ["bogus", "a_monitor_x@n=1", "a_monitor_0@n", "a_monitor_0=1"])
def test_what_is_no_operation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid operation spec"):
        inject.parse_outcome(text)


def test_migrations_are_read_with_their_whole_name() -> None:
    assert inject.parse_outcome("my_vm_migrate_to_0@n=1").task == "migrate_to"


def test_tickets_change_one_thing_at_a_time() -> None:
    granted = inject.change_ticket(_cluster(), "t", granted=True)
    waiting = inject.change_ticket(granted, "t", standby=True)
    assert [(t.granted, t.standby) for t in waiting.tickets] == [(True, True)]
