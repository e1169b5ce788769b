"""Room on nodes limits what is placed there."""

from __future__ import annotations

from tests.kit.pengine import cib, decide, primitive


def _sized(key: str, amount: int) -> str:
    return primitive(
        key,
        more=f'<utilization id="{key}-u"><nvpair id="{key}-n" name="memory" value="{amount}"/>'
        "</utilization>",
    )


def _document(resources: str, strategy: str, sizes: dict[str, int], constraints: str = "") -> bytes:
    text = cib(
        resources, constraints=constraints, options={"placement-strategy": strategy}
    ).decode()
    for node, amount in sizes.items():
        text = text.replace(
            f'<node id="{node}" uname="{node}">',
            f'<node id="{node}" uname="{node}"><utilization id="{node}-u">'
            f'<nvpair id="{node}-n" name="memory" value="{amount}"/></utilization>',
        )
    return text.encode()


def test_nothing_is_placed_where_there_is_no_room() -> None:
    decision = decide(_document(_sized("a", 4), "utilization", {"node1": 2, "node2": 4}))
    assert decision.placement.node_of("a") == "node2"


def test_what_fits_nowhere_does_not_run() -> None:
    decision = decide(_document(_sized("a", 8), "utilization", {"node1": 2, "node2": 4}))
    assert decision.placement.node_of("a") is None


def test_room_does_not_matter_by_default() -> None:
    decision = decide(_document(_sized("a", 8), "default", {"node1": 2, "node2": 4}))
    assert decision.placement.node_of("a") is not None


def test_room_is_looked_for_all_that_must_be_together() -> None:
    together = '<rsc_colocation id="c" rsc="b" with-rsc="a" score="INFINITY"/>'
    both = _sized("a", 2) + _sized("b", 2)
    decision = decide(_document(both, "utilization", {"node1": 3, "node2": 4}, together))
    assert decision.placement.node_of("a") == decision.placement.node_of("b") == "node2"


def test_balanced_prefers_the_node_with_more_left() -> None:
    decision = decide(_document(_sized("a", 1), "balanced", {"node1": 2, "node2": 4}))
    assert decision.placement.node_of("a") == "node2"


def test_minimal_gathers_resources() -> None:
    both = _sized("a", 1) + _sized("b", 1)
    decision = decide(_document(both, "minimal", {"node1": 4, "node2": 4}))
    assert decision.placement.node_of("a") == decision.placement.node_of("b")
