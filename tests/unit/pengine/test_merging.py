"""How scores are merged between resources that belong together or apart."""

from __future__ import annotations

from crm.model import score
from tests.kit.pengine import cib, decide, group, primitive, ran, started, state, stopped


def _with(dependent: str, primary: str, amount: str, key: str = "", more: str = "") -> str:
    return (
        f'<rsc_colocation id="{key or f"{dependent}-with-{primary}"}" rsc="{dependent}"'
        f' with-rsc="{primary}" score="{amount}"{more}/>'
    )


def _prefers(rsc: str, node: str, amount: str, more: str = "") -> str:
    return f'<rsc_location id="{rsc}-{node}" rsc="{rsc}" node="{node}" score="{amount}"{more}/>'


def _clone(key: str, inner: str, *, meta: dict[str, str] | None = None) -> str:
    pairs = "".join(
        f'<nvpair id="{key}-{name}" name="{name}" value="{value}"/>'
        for name, value in (meta or {}).items()
    )
    attributes = f'<meta_attributes id="{key}-meta">{pairs}</meta_attributes>'
    return f'<clone id="{key}">{attributes}{inner}</clone>'


def _lines(document: bytes, resource: str) -> list[tuple[str, str]]:
    """List the scores with which one resource was placed, as often as it was tried."""
    return [
        (line.node, score.text(line.total))
        for line in decide(document).placement.table.lines
        if line.resource == resource and line.placed == "primitive"
    ]


def test_a_wish_is_weakened_by_each_tie_but_never_to_nothing() -> None:
    ties = _with("a", "b", "10") + _with("b", "c", "10")
    wish = _prefers("a", "node2", "1000")
    resources = primitive("c") + primitive("b") + primitive("a")
    assert _lines(cib(resources, constraints=ties + wish), "c") == [("node1", "0"), ("node2", "1")]


def test_a_dependent_written_for_an_inner_member_counts_what_its_group_prefers() -> None:
    constraints = _with("m2", "b", "INFINITY") + _prefers("g", "node2", "7")
    resources = primitive("b") + group("g", primitive("m1"), primitive("m2"))
    assert _lines(cib(resources, constraints=constraints), "b") == [("node1", "0"), ("node2", "7")]


def test_what_another_avoids_is_no_reason_to_go_there() -> None:
    constraints = _with("a", "b", "-100") + _prefers("a", "node2", "-50")
    resources = primitive("b") + primitive("a")
    nodes = ("node1", "node2", "node3")
    document = cib(resources, constraints=constraints, nodes=nodes)
    assert _lines(document, "b")[1] == ("node2", "0")


def test_dependents_of_one_rank_are_heard_in_the_order_of_their_names() -> None:
    ties = _with("a", "d", "INFINITY", "x") + _with("a", "c", "INFINITY", "y")
    decision = decide(cib(primitive("a") + primitive("c") + primitive("d"), constraints=ties))
    assert list(decision.placement.choices) == ["c", "d", "a"]


def test_a_tie_to_the_promoted_role_adds_the_score_of_who_leads() -> None:
    clone = _clone("cl", primitive("a"), meta={"promotable": "true"})
    tie = _with("b", "cl", "INFINITY", more=' with-rsc-role="Promoted"')
    status = state("node1", {"a": started()}, attributes={"master-a": "10"}) + state(
        "node2", {"a": started()}
    )
    found = _lines(cib(clone + primitive("b"), constraints=tie, status=status), "b")
    assert found == [("node1", "11"), ("node2", "-INFINITY")]


def test_a_finite_tie_to_the_promoted_role_adds_its_own_score() -> None:
    clone = _clone("cl", primitive("a"), meta={"promotable": "true"})
    tie = _with("b", "cl", "40", more=' with-rsc-role="Promoted"')
    status = state("node1", {"a": started()}, attributes={"master-a": "10"}) + state(
        "node2", {"a": started()}
    )
    found = _lines(cib(clone + primitive("b"), constraints=tie, status=status), "b")
    assert found == [("node1", "40"), ("node2", "0")]


def test_the_copy_that_would_lead_best_chooses_first() -> None:
    clone = _clone("cl", primitive("a"), meta={"promotable": "true", "clone-max": "1"})
    status = state("node1", attributes={"master-a": "5"}) + state(
        "node2", attributes={"master-a": "10"}
    )
    decision = decide(cib(clone, status=status))
    assert decision.placement.node_of("a:0") == "node2"


def test_nobody_leads_where_what_it_must_be_with_does_not_run() -> None:
    clone = _clone("cl", primitive("a"), meta={"promotable": "true"})
    tie = _with("cl", "b", "INFINITY", more=' rsc-role="Promoted"')
    status = state("node1", {"a": started()}, attributes={"master-a": "5"}) + state(
        "node2", {"a": started()}, attributes={"master-a": "5"}
    )
    stopped_b = primitive("b", meta={"target-role": "Stopped"})
    decision = decide(cib(clone + stopped_b, constraints=tie, status=status))
    assert {line.total for line in decision.placement.table.promotions} == {score.MINUS_INFINITY}


def test_a_clone_is_not_driven_away_but_what_was_wanted_counts_for_little() -> None:
    clone = _clone("cl", primitive("a"))
    constraints = (
        _with("b", "cl", "-INFINITY") + _prefers("b", "node1", "50") + _prefers("cl", "node1", "9")
    )
    decision = decide(cib(clone + primitive("b"), constraints=constraints))
    found = [line.total for line in decision.placement.table.lines if line.resource == "cl"]
    assert found == [1, 0]


def test_a_failed_attempt_to_stay_leaves_no_reasons_behind() -> None:
    clone = _clone("cl", primitive("a"), meta={"clone-max": "1"})
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    decision = decide(cib(clone, constraints=_prefers("cl", "node2", "100"), status=status))
    assert decision.placement.node_of("a:0") == "node2"
    about = [c for c in decision.placement.table.about("a:0") if c.stage == "clone"]
    assert about == []


def test_what_a_failure_blocks_is_held_where_it_is() -> None:
    failed = started() + ran("monitor", rc=1, call=3, interval_ms=10000)
    op = '<op id="op" name="monitor" interval="10s" on-fail="block"/>'
    status = state("node1", {"a": failed}) + state("node2")
    document = cib(primitive("a", ops=op), status=status)
    assert _lines(document, "a") == [("node1", "INFINITY"), ("node2", "0")]


def test_a_name_inside_a_clone_is_known_once_a_history_uses_it() -> None:
    clone = _clone("cl", primitive("a"))
    constraint = _prefers("a", "node2", "5")
    cold = decide(cib(clone, constraints=constraint))
    assert [p.code for p in cold.problems] == ["unknown-resource"]
    status = state("node1", {"a": started()}) + state("node2")
    warm = decide(cib(clone, constraints=constraint, status=status))
    totals = {x.node: x.total for x in warm.placement.table.lines if x.resource == "cl"}
    assert totals == {"node1": 0, "node2": 5}


def test_a_pattern_means_what_is_configured_by_itself() -> None:
    pattern = '<rsc_location id="l" rsc-pattern="^x" node="node2" score="5"/>'
    resources = group("g", primitive("x1")) + primitive("x2")
    decision = decide(cib(resources, constraints=pattern))
    found = {c.resource for c in decision.placement.table.contributions if c.source == "l"}
    assert found == {"x2"}


def test_two_templates_are_not_colocated_with_each_other() -> None:
    resources = (
        '<template id="t1" class="ocf" provider="pacekeeper" type="Dummy"/>'
        '<template id="t2" class="ocf" provider="pacekeeper" type="Dummy"/>'
        '<primitive id="a" template="t1"/><primitive id="b" template="t2"/>'
    )
    decision = decide(cib(resources, constraints=_with("t1", "t2", "INFINITY")))
    assert [p.code for p in decision.problems] == ["two-tags"]
    assert [decision.placement.node_of(r) for r in "ab"] == ["node1", "node2"]


def test_a_copy_is_tried_where_it_runs_only_if_there_is_room() -> None:
    def needs(amount: int, key: str) -> str:
        pair = f'<nvpair id="{key}-u-c" name="cpu" value="{amount}"/>'
        return f'<utilization id="{key}-u">{pair}</utilization>'

    clone = _clone("cl", primitive("a", more=needs(2, "a")), meta={"clone-max": "1"})
    big = primitive("b", meta={"priority": "9"}, more=needs(3, "b"))
    nodes = "".join(
        f'<node id="node{i}" uname="node{i}"><utilization id="node{i}-u">'
        f'<nvpair id="node{i}-c" name="cpu" value="{4}"/></utilization></node>'
        for i in (1, 2)
    )
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    document = cib(
        clone + big,
        constraints=_prefers("b", "node1", "INFINITY"),
        status=status,
        options={"placement-strategy": "utilization"},
    )
    start, end = document.index(b"<nodes>"), document.index(b"</nodes>")
    document = document[: start + 7] + nodes.encode() + document[end:]
    assert decide(document).placement.node_of("a:0") == "node2"


def test_members_of_a_group_that_is_not_together_are_placed_by_themselves() -> None:
    meta = '<meta_attributes id="gm"><nvpair id="gc" name="collocated" value="false"/>'
    resources = group("g", meta + "</meta_attributes>" + primitive("m1"), primitive("m2"))
    decision = decide(cib(resources, constraints=_prefers("g", "node1", "3")))
    assert {decision.placement.node_of(m) for m in ("m1", "m2")} == {"node1"}
    about = [c for c in decision.placement.table.about("m2") if c.stage == "colocation"]
    assert about == []


def test_in_maintenance_mode_nodes_keep_their_scores() -> None:
    resources = group("g", primitive("m1"), primitive("m2"))
    status = state("node1", {"m2": started()}) + state("node2")
    options = {"maintenance-mode": "true"}
    found = _lines(cib(resources, status=status, options=options), "m1")
    assert found == [("node1", "INFINITY"), ("node2", "0")]


def test_without_a_fence_device_what_runs_is_sticky_and_not_held() -> None:
    sticky = primitive("a", meta={"resource-stickiness": "7"})
    status = state("node1", {"a": started()}) + state("node2")
    document = cib(sticky, status=status, options={"stonith-enabled": "true"})
    assert _lines(document, "a") == [("node1", "7"), ("node2", "0")]


def test_what_is_banned_from_all_nodes_shows_it_in_an_opt_in_cluster() -> None:
    stopped_a = primitive("a", meta={"target-role": "Stopped"})
    document = cib(
        stopped_a,
        constraints=_prefers("a", "node1", "5"),
        options={"symmetric-cluster": "false"},
    )
    assert _lines(document, "a") == [("node1", "-INFINITY"), ("node2", "-INFINITY")]


def test_what_may_be_on_unhealthy_nodes_still_prefers_healthy_ones() -> None:
    status = state("node1", attributes={"#health-x": "20"}) + state(
        "node2", attributes={"#health-x": "-30"}
    )
    document = cib(
        primitive("a", meta={"allow-unhealthy-nodes": "true"}) + primitive("b"),
        status=status,
        options={"node-health-strategy": "progressive"},
    )
    assert _lines(document, "a") == [("node1", "20"), ("node2", "0")]
    assert _lines(document, "b") == [("node1", "20"), ("node2", "-30")]
