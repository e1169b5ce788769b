"""Where rules stand, and when the decision is due again because of them."""

from __future__ import annotations

from datetime import timedelta

from tests.kit.pengine import NOW, actions, cib, decide, monitor, primitive


def dated(operation: str, **bounds: timedelta) -> str:
    """Write a rule on the time, bounds relative to now."""
    ends = "".join(f' {name}="{(NOW + by).isoformat()}"' for name, by in bounds.items())
    return f'<rule id="r" score="0"><date_expression id="d" operation="{operation}"{ends}/></rule>'


def test_a_location_by_parameter_looks_at_the_parameter_of_each_node() -> None:
    parameters = (
        '<instance_attributes id="i2" score="2"><rule id="r2" score="0"><expression id="e2"'
        ' attribute="#uname" operation="eq" value="node2"/></rule>'
        '<nvpair id="x2" name="room" value="south"/></instance_attributes>'
        '<instance_attributes id="i1" score="1"><nvpair id="x1" name="room" value="north"/>'
        "</instance_attributes>"
    )
    constraint = (
        '<rsc_location id="l" rsc="a"><rule id="r" score="INFINITY"><expression id="e"'
        ' attribute="room" operation="eq" value="room" value-source="param"/></rule></rsc_location>'
    )
    document = cib(
        primitive("a", more=parameters),
        constraints=constraint,
        node_attributes={"node1": {"room": "south"}, "node2": {"room": "south"}},
    )
    assert decide(document).placement.node_of("a") == "node2"


def test_a_pattern_lends_what_it_matched_to_the_rule() -> None:
    constraint = (
        '<rsc_location id="l" rsc-pattern="web(.)"><rule id="r" score="INFINITY">'
        '<expression id="e" attribute="runs-%1" operation="defined"/></rule></rsc_location>'
    )
    document = cib(
        primitive("web1") + primitive("web2"),
        constraints=constraint,
        node_attributes={"node1": {"runs-2": "yes"}, "node2": {"runs-1": "yes"}},
    )
    placement = decide(document).placement
    assert (placement.node_of("web1"), placement.node_of("web2")) == ("node2", "node1")


def test_dates_of_meta_attributes_say_when_to_look_again() -> None:
    hour = timedelta(hours=1)
    meta = (
        f'<meta_attributes id="m">{dated("lt", end=hour)}'
        '<nvpair id="t" name="target-role" value="Stopped"/></meta_attributes>'
    )
    decision = decide(cib(primitive("a", more=meta)))
    assert decision.placement.node_of("a") is None
    assert decision.graph.recheck_at == (NOW + hour).timestamp()


def test_dates_that_are_over_change_nothing() -> None:
    constraint = (
        f'<rsc_location id="l" rsc="a">{dated("gt", start=-timedelta(hours=1))}</rsc_location>'
    )
    assert decide(cib(primitive("a"), constraints=constraint)).graph.recheck_at is None


def test_a_node_without_the_attribute_that_holds_the_score_is_banned() -> None:
    constraint = (
        '<rsc_location id="l" rsc="a"><rule id="r" score-attribute="weight"><expression id="e"'
        ' attribute="#uname" operation="defined"/></rule></rsc_location>'
    )
    document = cib(
        primitive("a"), constraints=constraint, node_attributes={"node2": {"weight": "-5"}}
    )
    assert decide(document).placement.node_of("a") is None


def test_only_the_operation_itself_can_be_disabled() -> None:
    defaults = (
        '<op_defaults><meta_attributes id="od"><nvpair id="odn" name="enabled" value="false"/>'
        "</meta_attributes></op_defaults>"
    )
    document = cib(primitive("a", ops=monitor("a")), nodes=("node1",))
    document = document.replace(b"</configuration>", f"{defaults}</configuration>".encode())
    assert "a_monitor_10000@node1" in actions(decide(document))
