"""Which copies are promoted, and what a change of role takes."""

from __future__ import annotations

from crm.model.roles import Role
from tests.kit.pengine import actions, cib, decide, monitor, primitive, ran, started, state, stopped


def _clone(meta: str = "") -> str:
    pairs = f'<nvpair id="p" name="promotable" value="true"/>{meta}'
    return (
        f'<clone id="cl"><meta_attributes id="m">{pairs}</meta_attributes>{primitive("a")}</clone>'
    )


def _roles(document: bytes) -> dict[str, Role]:
    decision = decide(document)
    return {
        choice.node: choice.role
        for choice in decision.placement.choices.values()
        if choice.node is not None
    }


def _states(first: str, second: str, scores: tuple[str, str]) -> str:
    return state("node1", {"a": first}, attributes={"master-a": scores[0]}) + state(
        "node2", {"a": second}, attributes={"master-a": scores[1]}
    )


def test_the_copy_with_the_best_score_is_promoted() -> None:
    document = cib(_clone(), status=_states(started(), started(), ("5", "10")))
    assert _roles(document) == {"node1": Role.UNPROMOTED, "node2": Role.PROMOTED}


def test_nothing_is_promoted_without_a_score() -> None:
    document = cib(_clone(), status=state("node1", {"a": started()}) + state("node2"))
    assert Role.PROMOTED not in _roles(document).values()


def test_a_location_for_the_role_stands_in_for_a_score() -> None:
    location = (
        '<rsc_location id="l" rsc="cl"><rule id="r" score="10" role="Promoted">'
        '<expression id="e" attribute="#uname" operation="eq" value="node1"/></rule></rsc_location>'
    )
    status = state("node1", {"a": started()}) + state("node2", {"a": started()})
    assert _roles(cib(_clone(), constraints=location, status=status))["node1"] is Role.PROMOTED


def test_the_promoted_copy_stays_when_scores_are_equal() -> None:
    leading = started() + ran("promote", call=3)
    document = cib(_clone(), status=_states(started(), leading, ("5", "5")))
    assert _roles(document)["node2"] is Role.PROMOTED


def test_a_change_of_leader_demotes_before_it_promotes() -> None:
    leading = started() + ran("promote", call=3)
    decision = decide(cib(_clone(), status=_states(leading, started(), ("5", "10"))))
    found = [key for key in actions(decision) if "mote" in key]
    assert sorted(found) == [
        "a_demote_0@node1",
        "a_promote_0@node2",
        "cl_demote_0",
        "cl_demoted_0",
        "cl_promote_0",
        "cl_promoted_0",
    ]


def test_a_promoted_copy_is_demoted_before_it_stops() -> None:
    leading = started() + ran("promote", call=3)
    meta = '<nvpair id="t" name="target-role" value="Stopped"/>'
    decision = decide(cib(_clone(meta), status=_states(leading, stopped(), ("5", "0"))))
    ids = {a.key: a.id for s in decision.graph.synapses for a in s.actions}
    stop = next(s for s in decision.graph.synapses if s.actions[0].key == "a_stop_0")
    assert ids["a_demote_0"] in stop.inputs


def test_a_monitor_for_role_started_is_not_for_what_is_unpromoted() -> None:
    child = primitive("a", ops=monitor("a", role="Started") + monitor("a", "20s", timeout="9s"))
    pairs = '<nvpair id="p" name="promotable" value="true"/>'
    document = cib(
        f'<clone id="cl"><meta_attributes id="m">{pairs}</meta_attributes>{child}</clone>'
    )
    keys = actions(decide(document))
    assert "a:0_monitor_20000@node1" in keys
    assert not any("_monitor_10000" in key for key in keys)


def test_without_quorum_policy_demote_keeps_roles_but_the_promoted_one() -> None:
    leading = started() + ran("promote", call=3)
    status = _states(leading, started(), ("10", "5"))
    options = {"no-quorum-policy": "demote"}
    decision = decide(cib(_clone(), status=status, options=options, quorum=False))
    keys = actions(decision)
    assert "a_demote_0@node1" in keys
    assert not any("_stop_" in key for key in keys)


def test_the_monitor_of_another_role_is_left_if_it_is_defined_otherwise_by_now() -> None:
    child = primitive("a", ops=monitor("a", role="Promoted"))
    pairs = '<nvpair id="p" name="promotable" value="true"/>'
    meta = f'<meta_attributes id="m">{pairs}</meta_attributes>'
    document = f'<clone id="cl">{meta}{child}</clone>'
    for was, found in (("4811cef7f7f94e3a35a70be7916cb2fd", True), ("0", False)):
        watched = ran("monitor", call=3, interval_ms=10000, op_digest=was)
        status = _states(started() + watched, started(), ("-1", "-1"))
        keys = actions(decide(cib(document, status=status)))
        assert ("a_monitor_10000@node1" in keys) is found


def test_what_has_no_roles_and_is_promoted_starts_anew() -> None:
    status = state("node1", {"a": ran("monitor", rc=8, expected=7)}) + state(
        "node2", {"a": stopped()}
    )
    found = actions(decide(cib(primitive("a"), status=status)))
    assert set(found) == {"a_demote_0@node1", "a_stop_0@node1", "a_start_0@node1"}


def test_what_starts_anew_for_another_role_has_no_monitor_cancelled() -> None:
    ops = monitor("a", "10s", role="Unpromoted") + monitor("a", "11s", role="Promoted")
    clone = _clone().replace(primitive("a"), primitive("a", ops=ops))
    watched = started() + ran("monitor", call=3, interval_ms=10_000)
    failed = watched + ran("monitor", rc=1, call=4, interval_ms=10_000)
    for history, cancels in ((watched, 1), (failed, 0)):
        status = state("node1", {"a": history}, attributes={"master-a": "10"}) + state("node2")
        graph = decide(cib(clone, status=status)).graph
        tasks = [action.task for synapse in graph.synapses for action in synapse.actions]
        assert "promote" in tasks
        assert tasks.count("cancel") == cancels
