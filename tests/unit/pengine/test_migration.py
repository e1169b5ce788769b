"""Live migration: who may, what it waits for, and what half a migration means."""

from __future__ import annotations

from crm.model.status import HistoryEntry
from pengine.facts.migrations import conclude_migrations
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    moved,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

LOCATION = '<rsc_location id="l" rsc="a" node="node2" score="100"/>'
MIGRATES = {"allow-migrate": "true"}


def _moving(*resources: str, constraints: str = LOCATION, names: tuple[str, ...] = ("a",)) -> bytes:
    here = state("node1", {name: started() for name in names})
    there = state("node2", {name: stopped() for name in names})
    return cib("".join(resources), constraints=constraints, status=here + there)


def test_what_may_migrate_leaves_while_it_runs() -> None:
    decision = decide(_moving(primitive("a", meta=MIGRATES)))
    assert set(actions(decision)) == {
        "a_migrate_to_0@node1",
        "a_migrate_from_0@node2",
        "a_stop_0@node1",
        "a_start_0",
    }
    assert waits_for(decision, "a_stop_0@node1") == {"a_migrate_from_0@node2"}
    assert waits_for(decision, "a_migrate_from_0@node2") == {"a_migrate_to_0@node1"}


def test_what_stands_on_something_that_migrates_goes_on_running() -> None:
    order = '<rsc_order id="o" first="a" then="b"/>'
    decision = decide(
        _moving(
            primitive("a", meta=MIGRATES),
            primitive("b", meta={"resource-stickiness": "1"}),
            constraints=LOCATION + order,
            names=("a", "b"),
        )
    )
    assert not [key for key in actions(decision) if key.startswith("b_")]


def test_what_stands_on_something_that_restarts_cannot_migrate() -> None:
    order = '<rsc_order id="o" first="b" then="a"/>'
    more = '<rsc_location id="l2" rsc="b" node="node2" score="100"/>'
    decision = decide(
        _moving(
            primitive("a", meta=MIGRATES),
            primitive("b"),
            constraints=LOCATION + more + order,
            names=("a", "b"),
        )
    )
    assert "a_migrate_to_0@node1" not in actions(decision)
    assert waits_for(decision, "a_start_0@node2") >= {"a_stop_0@node1", "b_start_0@node2"}


def _entry(operation: str, call: int, rc: int = 0, at: int = 100) -> HistoryEntry:
    moves = operation.startswith("migrate")
    return HistoryEntry(
        f"a_{operation}_0",
        operation,
        0,
        call,
        rc,
        0,
        last_change_s=at,
        migrate_source="one" if moves else "",
        migrate_target="two" if moves else "",
    )


PROBED = _entry("monitor", 1, 7, at=50)
STARTED = _entry("start", 2, at=60)
LEFT = _entry("migrate_to", 3)


def test_a_departure_without_arrival_is_partial() -> None:
    found = conclude_migrations({"one": (STARTED, LEFT), "two": (PROBED,)}, ("one", "two"))
    assert found.partial == ("one", "two")
    assert found.also_active == {"one": ("two",)}


def test_an_arrival_without_stop_leaves_the_source_dangling() -> None:
    arrived = _entry("migrate_from", 2, at=110)
    found = conclude_migrations({"one": (STARTED, LEFT), "two": (PROBED, arrived)}, ("one", "two"))
    assert found.dangling == ("one",)
    assert found.partial is None


def test_a_failed_arrival_after_a_failed_departure_is_the_later_news() -> None:
    failed = _entry("migrate_to", 3, rc=1)
    arrived = _entry("migrate_from", 2, rc=1, at=110)
    histories = {"one": (STARTED, failed), "two": (PROBED, arrived)}
    found = conclude_migrations(histories, ("one", "two"))
    assert "one" not in found.also_active
    at_once = _entry("migrate_from", 2, rc=1, at=100)
    found = conclude_migrations({"one": (STARTED, failed), "two": (at_once,)}, ("one", "two"))
    assert found.also_active["one"] == ("two",)


def test_a_migration_that_was_tidied_up_means_nothing_more() -> None:
    stop = _entry("stop", 4, at=120)
    arrived = _entry("migrate_from", 2, at=110)
    histories = {"one": (STARTED, LEFT, stop), "two": (PROBED, arrived)}
    found = conclude_migrations(histories, ("one", "two"))
    assert (found.dangling, found.partial, found.also_active) == ((), None, {})


def test_a_target_that_remembers_nothing_is_looked_at_first() -> None:
    found = conclude_migrations({"one": (STARTED, LEFT)}, ("one", "two"))
    assert (found.partial, found.also_active, found.lost) == (None, {}, False)


def test_a_departure_to_a_node_that_is_gone_is_lost() -> None:
    found = conclude_migrations({"one": (STARTED, LEFT), "two": (PROBED,)}, ("one",))
    assert found.lost


def test_what_left_another_node_untidily_moves_the_ordinary_way() -> None:
    away = started() + moved("migrate_to", call=3)
    arrived = stopped() + moved("migrate_from", call=4)
    status = (
        state("node1", {"a": away})
        + state("node2", {"a": arrived})
        + state("node3", {"a": stopped()})
    )
    decision = decide(
        cib(
            primitive("a", meta=MIGRATES),
            constraints=LOCATION.replace("node2", "node3"),
            status=status,
            nodes=("node1", "node2", "node3"),
        )
    )
    assert set(actions(decision)) == {"a_stop_0@node1", "a_stop_0@node2", "a_start_0@node3"}


def test_what_no_history_calls_running_is_started_without_a_stop() -> None:
    failed = started() + moved("migrate_to", call=3, rc=1) + ran("stop", call=4)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    decision = decide(cib(primitive("a", meta=MIGRATES), constraints=LOCATION, status=status))
    assert decision.facts.activity["a"].nodes == ("node2",)
    assert actions(decision) == ["a_start_0@node2"]


def test_what_a_lost_node_was_sending_elsewhere_is_stopped_where_it_may_have_arrived() -> None:
    under_way = ran("migrate_to", call=-1, rc=193, status=-1).replace(
        "<lrm_rsc_op ", '<lrm_rsc_op migrate_source="node1" migrate_target="node2" '
    )
    lost = state("node1", {"a": started() + under_way}, online=False).replace(
        'join="down" expected="down"', 'join="down" expected="member"'
    )
    fence = '<primitive id="fence" class="stonith" type="fence_dummy"/>'
    decision = decide(
        cib(
            primitive("a", meta=MIGRATES) + fence,
            constraints=LOCATION.replace("node2", "node3"),
            status=lost + state("node2", {"a": stopped()}) + state("node3", {"a": stopped()}),
            nodes=("node1", "node2", "node3"),
            options={"stonith-enabled": "true"},
        )
    )
    assert {"a_stop_0", "a_stop_0@node2"} <= waits_for(decision, "a_start_0@node3")


def test_an_arrival_on_a_node_that_is_away_is_still_an_arrival() -> None:
    away = started() + moved("migrate_to", call=3)
    arrived = stopped() + moved("migrate_from", call=4)
    status = state("node1", {"a": away}) + state("node2", {"a": arrived}, online=False)
    decision = decide(cib(primitive("a", meta=MIGRATES), status=status))
    assert decision.facts.activity["a"].nodes == ()
    assert not decision.facts.activity["a"].failed
    assert "a_stop_0@node1" in actions(decision)
