"""What orderings mean: need and inability spread, marks answer for their parts."""

from __future__ import annotations

from pengine import Decision
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    group,
    primitive,
    ran,
    started,
    state,
    stopped,
    waits_for,
)

_OFF = {"target-role": "Stopped"}


def clone(key: str, inner: str, **meta: str) -> str:
    """Write a clone; underscores in names become hyphens."""
    pairs = "".join(
        f'<nvpair id="{key}-{name}" name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in meta.items()
    )
    return (
        f'<clone id="{key}"><meta_attributes id="{key}-m">{pairs}</meta_attributes>{inner}</clone>'
    )


def order(first: str, then: str, **more: str) -> str:
    """Write an order constraint; underscores in names become hyphens."""
    given = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<rsc_order id="{first}-{then}" first="{first}" then="{then}"{given}/>'


def reason(decision: Decision, key: str) -> str:
    """Give the reason that is shown for an action."""
    found = [a for a in decision.plan.actions.values() if a.id[0] == key]
    return next((r for a in found for r in a.reasons), "")


def both(*names: str) -> str:
    """Everything named runs on node1, and node2 was looked at."""
    return state("node1", {n: started() for n in names}) + state(
        "node2", {n: stopped() for n in names}
    )


FAILED = started() + ran("monitor", rc=7, interval_ms=5000, call=3)


def test_a_member_restarts_because_of_the_one_before_it() -> None:
    members = {"a": FAILED, "b": started(), "c": started()}
    status = state("node1", members) + state("node2", {n: stopped() for n in members})
    resources = group("g", primitive("a"), primitive("b"), primitive("c"))
    decision = decide(cib(resources, status=status))
    assert reason(decision, "b_start_0") == "required a start"
    assert reason(decision, "c_start_0") == "required b start"


def test_what_waits_for_something_that_will_not_start_stops() -> None:
    resources = primitive("a", meta=_OFF) + primitive("b")
    decision = decide(cib(resources, constraints=order("a", "b"), status=both("a", "b")))
    assert "b_stop_0@node1" in actions(decision)
    assert "b_stop_0@node1" in waits_for(decision, "a_stop_0@node1")
    assert reason(decision, "b_start_0") == "required a start"


def test_a_one_way_order_leaves_alone_what_runs() -> None:
    resources = primitive("a", meta=_OFF) + primitive("b")
    constraint = order("a", "b", symmetrical="false")
    decision = decide(cib(resources, constraints=constraint, status=both("a", "b")))
    assert actions(decision) == ["a_stop_0@node1"]


def test_the_first_of_two_orders_of_the_same_steps_is_the_one_that_counts() -> None:
    known = state("node1", {"a": stopped(), "b": started()})
    serialized = order("a", "b", kind="Serialize").replace('id="a-b"', 'id="first"')
    constraints = serialized + order("a", "b")
    resources = primitive("a") + primitive("b")
    document = cib(resources, constraints=constraints, status=known, nodes=("node1",))
    assert "b_stop_0@node1" not in actions(decide(document))


def test_what_waits_for_a_clone_waits_for_all_its_copies() -> None:
    resources = clone("cl", primitive("a")) + primitive("b")
    status = state("node1", {"a": stopped(), "b": stopped()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    decision = decide(cib(resources, constraints=order("cl", "b"), status=status))
    (start,) = [key for key in actions(decision) if key.startswith("b_start_0")]
    assert waits_for(decision, start) == {"cl_running_0"}


def test_enough_copies_are_enough() -> None:
    ban = '<rsc_location id="l" rsc="cl" node="node2" score="-INFINITY"/>'
    resources = clone("cl", primitive("a"), clone_min="1") + primitive("b")
    status = state("node1", {"a": stopped(), "b": stopped()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    decision = decide(cib(resources, constraints=order("cl", "b") + ban, status=status))
    (start,) = [key for key in actions(decision) if key.startswith("b_start_0")]
    assert waits_for(decision, start) == {"clone-one-or-more:cl-b"}


def test_too_few_copies_are_not_enough() -> None:
    ban = '<rsc_location id="l" rsc="cl" node="node2" score="-INFINITY"/>'
    resources = clone("cl", primitive("a"), clone_min="2") + primitive("b")
    status = state("node1", {"a": stopped(), "b": stopped()}) + state(
        "node2", {"a": stopped(), "b": stopped()}
    )
    decision = decide(cib(resources, constraints=order("cl", "b") + ban, status=status))
    assert not [key for key in actions(decision) if key.startswith("b_start_0")]
    assert reason(decision, "b_start_0") == "unrunnable clone-one-or-more:cl-b"


def test_interleaved_copies_wait_only_for_their_neighbours() -> None:
    resources = clone("ca", primitive("a")) + clone("cb", primitive("b"), interleave="true")
    status = state("node1", {"a": stopped(), "b": stopped()}) + state(
        "node2", {"a": started(), "b": stopped()}
    )
    decision = decide(cib(resources, constraints=order("ca", "cb"), status=status))
    (start,) = [k for k in actions(decision) if k.startswith("b") and k.endswith("start_0@node2")]
    assert not {key for key in waits_for(decision, start) if key.startswith("a")}


def test_a_copy_without_a_neighbour_may_not_run() -> None:
    ban = '<rsc_location id="l" rsc="ca" node="node2" score="-INFINITY"/>'
    resources = clone("ca", primitive("a")) + clone("cb", primitive("b"), interleave="true")
    status = state("node1", {"a": started(), "b": started()}) + state(
        "node2", {"a": stopped(), "b": started()}
    )
    decision = decide(cib(resources, constraints=order("ca", "cb") + ban, status=status))
    assert [key for key in actions(decision) if key.endswith("stop_0@node2")]
    assert not [key for key in actions(decision) if key.endswith("stop_0@node1")]


def test_a_probe_comes_before_the_restart_it_may_cause() -> None:
    resources = primitive("a") + primitive("b")
    status = state("node1", {"b": FAILED}) + state("node2", {"a": stopped(), "b": stopped()})
    decision = decide(cib(resources, constraints=order("a", "b"), status=status))
    assert "a_monitor_0@node1" in waits_for(decision, "b_stop_0@node1")


def test_what_must_be_with_something_that_cannot_start_is_blocked() -> None:
    together = '<rsc_colocation id="c" rsc="b" with-rsc="a" score="INFINITY"/>'
    resources = primitive("z", meta=_OFF) + primitive("a") + primitive("b")
    constraints = order("z", "a") + together
    decision = decide(cib(resources, constraints=constraints))
    assert not [key for key in actions(decision) if "_start_0" in key]
    assert reason(decision, "b_start_0") == "colocation with a"


def test_the_copies_of_an_ordered_clone_start_each_after_all_before_it() -> None:
    names = ("node1", "node2", "node3")
    status = "".join(state(name, {"a": stopped()}) for name in names)
    resources = clone("cl", primitive("a"), ordered="true")
    decision = decide(cib(resources, status=status, nodes=names))
    starts = {key for key in actions(decision) if "_start_0@" in key}
    assert sorted(len(waits_for(decision, key) & starts) for key in starts) == [0, 1, 2]


def test_what_has_no_roles_any_more_leaves_its_role_by_a_restart() -> None:
    promoted = started() + ran("promote", call=3)
    status = state("node1", {"a": promoted}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(primitive("a"), status=status)))
    assert {"a_demote_0@node1", "a_stop_0@node1", "a_start_0@node1"} <= set(found)


def test_a_monitor_no_longer_configured_does_not_hold_up_a_promotion() -> None:
    history = started() + ran("monitor", interval_ms=5000, call=3)
    resources = clone("cl", primitive("a"), promotable="true")
    status = state("node1", {"a": history}, attributes={"master-a": "10"}) + state(
        "node2", {"a": stopped()}
    )
    decision = decide(cib(resources, status=status))
    assert "a_monitor_5000@node1" in actions(decision)
    assert "a_monitor_5000@node1" not in waits_for(decision, "a_promote_0@node1")


def test_without_quorum_nothing_recurs_on_what_is_not_managed() -> None:
    ops = '<op id="m" name="monitor" interval="5s"/>'
    resource = primitive("a", meta={"is-managed": "false"}, ops=ops)
    assert actions(decide(cib(resource, status=both("a")))) == ["a_monitor_5000@node1"]
    assert actions(decide(cib(resource, status=both("a"), quorum=False))) == []


def test_what_stops_for_good_has_nothing_cancelled() -> None:
    history = started() + ran("monitor", interval_ms=5000, call=3)
    status = state("node1", {"a": history}) + state("node2", {"a": stopped()})
    assert actions(decide(cib(primitive("a", meta=_OFF), status=status))) == ["a_stop_0@node1"]
