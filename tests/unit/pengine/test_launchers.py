"""Resources that live inside another one (meta attribute `container`)."""

from __future__ import annotations

from pengine import Decision
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

RESOURCES = primitive("box") + primitive("a", meta={"container": "box"}, ops=monitor("a"))


def decided(histories: dict[str, str], counts: dict[str, str] | None = None) -> Decision:
    """Decide about a box with something inside, of which node1 has histories."""
    status = state("node1", histories, attributes=counts or {})
    return decide(cib(RESOURCES, status=status + state("node2", {"box": stopped()})))


def test_what_is_inside_starts_after_its_container_and_is_not_looked_for() -> None:
    decision = decide(cib(RESOURCES, nodes=("node1",)))
    assert set(actions(decision)) == {
        "box_monitor_0@node1",
        "box_start_0@node1",
        "a_start_0@node1",
        "a_monitor_10000@node1",
    }
    assert waits_for(decision, "a_start_0@node1") == {"box_start_0@node1"}


def test_a_failure_inside_restarts_the_container() -> None:
    failed = started() + ran("monitor", rc=1, call=3, interval_ms=10_000)
    decision = decided({"box": started(), "a": failed})
    assert {"box_stop_0@node1", "box_start_0@node1"} <= set(actions(decision))
    assert waits_for(decision, "box_stop_0@node1") == {"a_stop_0@node1"}


def test_what_did_not_stop_inside_stops_with_the_container() -> None:
    failed = started() + ran("stop", rc=1, call=3)
    found = actions(decided({"box": started(), "a": failed}))
    assert "a_stop_0@node1" not in found
    assert {"box_stop_0@node1", "box_start_0@node1", "a_start_0@node1"} <= set(found)


def test_a_container_answers_for_the_failures_inside() -> None:
    resources = RESOURCES.replace(
        '<primitive id="box" class="ocf" provider="pacekeeper" type="Dummy">',
        '<primitive id="box" class="ocf" provider="pacekeeper" type="Dummy">'
        '<meta_attributes id="b"><nvpair id="bm" name="migration-threshold" value="3"/>'
        "</meta_attributes>",
    )
    counts = {"fail-count-box#monitor_0": "1", "fail-count-a#monitor_10000": "2"}
    status = state("node1", {"box": started(), "a": started()}, attributes=counts)
    document = cib(resources, status=status + state("node2", {"box": stopped()}))
    assert decide(document).placement.node_of("box") == "node2"


def test_a_resource_is_not_inside_itself() -> None:
    decision = decide(cib(primitive("box", meta={"container": "box"}), nodes=("node1",)))
    assert "box_monitor_0@node1" in actions(decision)


def test_what_may_not_be_touched_does_not_hold_its_container() -> None:
    resources = primitive("box") + primitive("a", meta={"container": "box", "is-managed": "false"})
    status = state("node1", {"box": started(), "a": started()})
    document = cib(
        resources,
        status=status + state("node2", {"box": stopped()}),
        constraints='<rsc_location id="l" rsc="box" node="node2" score="5"/>',
    )
    assert decide(document).placement.node_of("box") == "node2"
