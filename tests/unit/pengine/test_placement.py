"""Where resources go: locations, stickiness, colocations, bans."""

from __future__ import annotations

import pytest

from tests.kit.pengine import (
    actions,
    cib,
    decide,
    group,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
)


def location(key: str, rsc: str, node: str, score: str) -> str:
    return f'<rsc_location id="{key}" rsc="{rsc}" node="{node}" score="{score}"/>'


def colocation(dependent: str, primary: str, score: str) -> str:
    return (
        f'<rsc_colocation id="{dependent}-with-{primary}" rsc="{dependent}"'
        f' with-rsc="{primary}" score="{score}"/>'
    )


def test_a_resource_goes_to_the_node_with_the_highest_score() -> None:
    decision = decide(cib(primitive("a"), constraints=location("l", "a", "node2", "50")))
    assert decision.placement.node_of("a") == "node2"


def test_equal_nodes_share_the_load_and_names_break_ties() -> None:
    decision = decide(cib(primitive("a") + primitive("b") + primitive("c")))
    assert [decision.placement.node_of(r) for r in "abc"] == ["node1", "node2", "node1"]


def test_a_ban_wins_over_infinite_preference() -> None:
    bans = location("l1", "a", "node1", "INFINITY") + location("l2", "a", "node1", "-INFINITY")
    decision = decide(cib(primitive("a"), constraints=bans))
    assert decision.placement.node_of("a") == "node2"


def test_in_an_opt_in_cluster_only_named_nodes_count() -> None:
    decision = decide(
        cib(
            primitive("a") + primitive("b"),
            constraints=location("l", "a", "node2", "0"),
            options={"symmetric-cluster": "false"},
        )
    )
    assert decision.placement.node_of("a") == "node2"
    assert decision.placement.node_of("b") is None


@pytest.mark.parametrize(("stickiness", "node"), [("100", "node1"), ("10", "node2")])
def test_stickiness_is_weighed_against_a_preference(stickiness: str, node: str) -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    decision = decide(
        cib(
            primitive("a", meta={"resource-stickiness": stickiness}),
            constraints=location("l", "a", "node2", "50"),
            status=status,
        )
    )
    assert decision.placement.node_of("a") == node


def test_a_rule_reads_node_attributes_and_score_attribute() -> None:
    rule = (
        '<rsc_location id="l" rsc="a"><rule id="r" score-attribute="pingd">'
        '<expression id="e" attribute="pingd" operation="defined"/></rule></rsc_location>'
    )
    status = state("node1", attributes={"pingd": "100"}) + state(
        "node2", attributes={"pingd": "200"}
    )
    decision = decide(cib(primitive("a"), constraints=rule, status=status))
    assert decision.placement.node_of("a") == "node2"


def test_a_rule_bans_nodes_without_connectivity() -> None:
    rule = (
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY" boolean-op="or">'
        '<expression id="e1" attribute="pingd" operation="not_defined"/>'
        '<expression id="e2" attribute="pingd" operation="lte" value="0"/></rule></rsc_location>'
    )
    status = state("node1", attributes={"pingd": "0"}) + state("node2", attributes={"pingd": "100"})
    decision = decide(cib(primitive("a"), constraints=rule, status=status))
    assert decision.placement.node_of("a") == "node2"


def test_a_mandatory_colocation_follows_the_primary() -> None:
    constraints = location("l", "b", "node2", "10") + colocation("a", "b", "INFINITY")
    decision = decide(cib(primitive("a") + primitive("b"), constraints=constraints))
    assert decision.placement.node_of("a") == decision.placement.node_of("b") == "node2"


def test_a_primary_is_pulled_to_where_its_dependent_must_be() -> None:
    constraints = location("l", "a", "node1", "-INFINITY") + colocation("a", "b", "INFINITY")
    decision = decide(cib(primitive("a") + primitive("b"), constraints=constraints))
    assert decision.placement.node_of("b") == "node2"


def test_an_anti_colocation_keeps_two_apart_or_stops_one() -> None:
    apart = colocation("a", "b", "-INFINITY")
    both = decide(cib(primitive("a") + primitive("b"), constraints=apart))
    assert both.placement.node_of("a") != both.placement.node_of("b")
    alone = decide(cib(primitive("a") + primitive("b"), constraints=apart, nodes=("node1",)))
    assert [alone.placement.node_of(r) for r in "ab"] == [None, "node1"]


def test_a_chain_of_colocations_stays_together() -> None:
    constraints = (
        location("l", "c", "node2", "INFINITY")
        + colocation("a", "b", "INFINITY")
        + colocation("b", "c", "INFINITY")
    )
    resources = primitive("a") + primitive("b") + primitive("c")
    decision = decide(cib(resources, constraints=constraints))
    assert {decision.placement.node_of(r) for r in "abc"} == {"node2"}


def test_a_loop_of_colocations_ends() -> None:
    constraints = colocation("a", "b", "INFINITY") + colocation("b", "a", "INFINITY")
    decision = decide(cib(primitive("a") + primitive("b"), constraints=constraints))
    assert decision.placement.node_of("a") == decision.placement.node_of("b") is not None


def test_a_group_goes_where_all_its_members_may_be() -> None:
    constraints = location("l", "b", "node1", "-INFINITY")
    decision = decide(cib(group("g", primitive("a"), primitive("b")), constraints=constraints))
    assert {decision.placement.node_of(r) for r in "ab"} == {"node2"}


def test_a_stopped_member_stops_the_later_ones_only() -> None:
    members = primitive("a"), primitive("b", meta={"target-role": "Stopped"}), primitive("c")
    decision = decide(cib(group("g", *members)))
    assert decision.placement.node_of("a") is not None
    assert [decision.placement.node_of(r) for r in "bc"] == [None, None]


def test_too_many_failures_ban_a_node() -> None:
    status = state(
        "node1", {"a": started()}, attributes={"fail-count-a#monitor_10000": "3"}
    ) + state("node2", {"a": stopped()})
    document = cib(primitive("a", meta={"migration-threshold": "3"}), status=status)
    assert decide(document).placement.node_of("a") == "node2"


def test_old_style_fail_counts_are_read_too() -> None:
    status = state("node1", {"a": started()}, attributes={"fail-count-a": "INFINITY"}) + state(
        "node2", {"a": stopped()}
    )
    assert decide(cib(primitive("a"), status=status)).placement.node_of("a") == "node2"


def test_expired_failures_neither_ban_nor_stay() -> None:
    attributes = {"fail-count-a#start_0": "INFINITY", "last-failure-a#start_0": "1000"}
    status = state(
        "node1", {"a": ran("start", last_rc_change="1000")}, attributes=attributes
    ) + state("node2", {"a": stopped()})
    decision = decide(cib(primitive("a", meta={"failure-timeout": "60s"}), status=status))
    assert decision.placement.node_of("a") == "node1"
    keys = [a.key for s in decision.graph.synapses for a in s.actions]
    assert keys == ["a_clear_failcount_0"]


def test_not_installed_bans_the_node_and_not_configured_every_node() -> None:
    status = state("node1", {"a": ran("start", rc=5)}) + state("node2", {"a": stopped()})
    assert decide(cib(primitive("a"), status=status)).placement.node_of("a") == "node2"
    status = state("node1", {"a": ran("start", rc=6)}) + state("node2", {"a": stopped()})
    assert decide(cib(primitive("a"), status=status)).placement.node_of("a") is None


@pytest.mark.parametrize(
    ("where", "attributes"),
    [("permanent", {"standby": "on"}), ("transient", {"standby": "true"})],
)
def test_a_standby_node_loses_its_resources(where: str, attributes: dict[str, str]) -> None:
    permanent = attributes if where == "permanent" else {}
    transient = attributes if where == "transient" else {}
    status = state("node1", {"a": started()}, attributes=transient) + state(
        "node2", {"a": stopped()}
    )
    decision = decide(cib(primitive("a"), status=status, node_attributes={"node1": permanent}))
    assert decision.placement.node_of("a") == "node2"


def test_what_is_not_managed_stays_where_it_is_and_attracts() -> None:
    status = state("node1", {"a": stopped()}) + state("node2", {"a": started()})
    resources = primitive("a", meta={"is-managed": "false"}) + primitive("b")
    constraints = location("l", "a", "node1", "INFINITY") + colocation("b", "a", "INFINITY")
    decision = decide(cib(resources, constraints=constraints, status=status))
    assert [decision.placement.node_of(r) for r in "ab"] == ["node2", "node2"]


def test_every_contribution_names_its_source() -> None:
    decision = decide(cib(primitive("a"), constraints=location("prefer-2", "a", "node2", "50")))
    found = [(c.node, c.amount, c.source) for c in decision.placement.table.about("a")]
    assert found == [("node2", 50, "prefer-2")]


def test_what_a_failure_blocks_is_held_where_it_is_but_not_what_is_active_twice() -> None:
    failed = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    status = state("node1", {"a": failed, "b": started()}) + state("node2", {"b": started()})
    blocking = primitive("a", ops=monitor("a", on_fail="block"))
    twice = primitive("b", meta={"multiple-active": "block"})
    made = decide(cib(blocking + twice, status=status)).placement
    assert made.choices["a"].final_scores["node1"] == 1000000
    assert made.choices["b"].final_scores["node1"] == 0


def test_failures_of_an_anonymous_copy_count_for_the_clone_whatever_its_number() -> None:
    options = '<nvpair id="c-t" name="migration-threshold" value="1"/>'
    meta = f'<meta_attributes id="c-m">{options}</meta_attributes>'
    failed = started() + ran("monitor", rc=1, interval_ms=10000, call=3)
    counts = {"fail-count-a#monitor_10000": "1"}
    status = state("node1", {"a": failed}, attributes=counts) + state("node2", {"a": stopped()})
    child = primitive("a", ops=monitor("a", on_fail="block"))
    made = decide(cib(f'<clone id="c">{meta}{child}</clone>', status=status)).placement
    assert made.choices["a:1"].final_scores["node1"] == -1000000


def test_a_negative_stickiness_drives_nothing_away() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    document = cib(primitive("a", meta={"resource-stickiness": "-5"}), status=status)
    assert decide(document).placement.node_of("a") == "node1"


def test_a_wish_for_where_something_is_stopped_keeps_it_from_nowhere() -> None:
    def ban(role: str) -> bytes:
        place = f'<rsc_location id="l" rsc="a" node="node1" score="-INFINITY" role="{role}"/>'
        return cib(primitive("a"), constraints=place, nodes=("node1",))

    assert "a_start_0@node1" in actions(decide(ban("Stopped")))
    assert "a_start_0@node1" not in actions(decide(ban("Started")))
