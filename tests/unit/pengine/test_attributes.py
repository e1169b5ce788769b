"""What goes with the actions of a graph, for agents and tools."""

from __future__ import annotations

from crm.model.graph import Action
from pengine import Decision
from tests.kit.pengine import cib, decide, group, monitor, primitive, ran, started, state, stopped


def action(decision: Decision, key: str, node: str = "") -> Action:
    """Find one action of the graph."""
    found = [
        a for s in decision.graph.synapses for a in s.actions if (a.key, a.node) == (key, node)
    ]
    assert len(found) == 1, [(a.key, a.node) for s in decision.graph.synapses for a in s.actions]
    return found[0]


def priority(decision: Decision, key: str) -> int:
    """Say how important an action of the graph is."""
    return next(s.priority for s in decision.graph.synapses if s.actions[0].key == key)


def clone(inner: str, **meta: str) -> str:
    pairs = "".join(
        f'<nvpair id="cl-{name}" name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in meta.items()
    )
    return f'<clone id="cl"><meta_attributes id="m">{pairs}</meta_attributes>{inner}</clone>'


ONE_STARTS = state("node1", {"a": started()}) + state("node2", {"a": stopped()})


def test_an_agent_is_told_what_clone_it_is_a_copy_of() -> None:
    found = clone(primitive("a"), promotable="true", promoted_max="2")
    decision = decide(cib(found, status=ONE_STARTS))
    meta = action(decision, "a_start_0", "node2").meta
    assert meta["clone"] == "1"
    assert meta["clone_max"] == "2"
    assert meta["promoted_max"] == meta["master_max"] == "2"
    assert action(decision, "cl_start_0").meta["clone_node_max"] == "1"


def test_what_a_clone_has_done_comes_first() -> None:
    decision = decide(cib(clone(primitive("a")), status=ONE_STARTS))
    assert priority(decision, "cl_running_0") == 1_000_000
    assert priority(decision, "cl_start_0") == 0


def test_a_notice_names_who_starts_and_who_runs() -> None:
    decision = decide(cib(clone(primitive("a"), notify="true"), status=ONE_STARTS))
    meta = action(decision, "a_post_notify_start_0", "node1").meta
    assert (meta["notify_type"], meta["notify_operation"]) == ("post", "start")
    assert (meta["notify_key_type"], meta["notify_key_operation"]) == ("post", "running")
    assert meta["notify_start_resource"] == "a:1"
    assert meta["notify_start_uname"] == "node2"
    assert meta["notify_active_resource"] == "a:0"
    assert meta["notify_inactive_resource"] == "a:1"
    assert meta["notify_available_uname"] == meta["notify_all_uname"] == "node1 node2"


def test_a_list_of_nobody_is_a_blank() -> None:
    decision = decide(cib(clone(primitive("a"), notify="true"), status=ONE_STARTS))
    assert action(decision, "a_post_notify_start_0", "node1").meta["notify_stop_uname"] == " "


def test_the_step_itself_knows_who_takes_it_but_is_no_notice() -> None:
    decision = decide(cib(clone(primitive("a"), notify="true"), status=ONE_STARTS))
    meta = action(decision, "a_start_0", "node2").meta
    assert meta["notify_start_resource"] == "a:1"
    assert "notify_type" not in meta


def test_both_names_of_a_role_are_given() -> None:
    inner = primitive("a")
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    decision = decide(cib(clone(inner, notify="true", promotable="true"), status=status))
    meta = action(decision, "a_start_0", "node2").meta
    assert meta["notify_unpromoted_resource"] == meta["notify_slave_resource"] == "a:0"
    assert meta["notify_promoted_resource"] == meta["notify_master_resource"] == " "


def test_a_copy_known_without_number_says_which_it_is() -> None:
    standby = {"standby": "on"}
    status = state("node1", {"a": started()}, attributes=standby)
    decision = decide(cib(clone(primitive("a")), status=status + state("node2", {"a": stopped()})))
    assert action(decision, "a_stop_0", "node1").full_key == "a:0_stop_0"


def test_a_cancelled_monitor_is_described_as_it_was_configured() -> None:
    inner = primitive("a", ops=monitor("a", "10s", timeout="33s"))
    status = state("node1", {"a": started() + ran("monitor", call=3, interval_ms=10_000)})
    decision = decide(cib(inner, status=status, options={"maintenance-mode": "true"}))
    meta = action(decision, "a_monitor_10000", "node1").meta
    assert meta["timeout"] == "33000"
    assert meta["call_id"] == "3"


def test_a_group_as_a_whole_follows_the_defaults_of_operations() -> None:
    found = group("g", primitive("a"))
    decision = decide(cib(found, status=state("node1", {"a": stopped()})))
    assert action(decision, "g_start_0").meta == {"timeout": "20000"}
