"""What `crm cluster health` says of nodes, links and the view."""

from __future__ import annotations

import msgspec
import pytest

from cli.view import health
from crm.api.membership import (
    ClusterDescription,
    LinkDescription,
    LinkStatus,
    Member,
    NodeDescription,
    NodeKind,
    NodeStatus,
    QuorumRule,
    QuorumVerdict,
    View,
)

UP = LinkDescription("eth1", LinkStatus.UP, 40)
DOWN = LinkDescription("eth2", LinkStatus.DEAD, 5200)
NEVER = LinkDescription("eth1", LinkStatus.DEAD, -1)
VIEW = View(
    12,
    tuple(Member(name, f"uuid-{name}", index, 1) for index, name in enumerate("ab")),
    quorate=True,
    total_nodes=3,
)


def node(name: str, status: NodeStatus = NodeStatus.ACTIVE, **more: object) -> NodeDescription:
    return NodeDescription(name, NodeKind.NORMAL, status, **more)  # type: ignore[arg-type]


def cluster(*others: NodeDescription) -> ClusterDescription:
    return ClusterDescription(1, "a", (node("a"), *others), view=VIEW)


def test_all_that_is_known_is_shown() -> None:
    silent = node("c", NodeStatus.DEAD, trouble="silent for 1000 ms, to b as well")
    router = NodeDescription("gw", NodeKind.PING, NodeStatus.PING)

    text = health.as_text(cluster(node("b", links=(UP, DOWN)), silent, router))

    assert text.splitlines() == [
        "Cluster layer as node a sees it:",
        "  a (this node): active",
        "  b: active",
        "    eth1: up, heard 40 ms ago",
        "    eth2: dead, heard 5200 ms ago",
        "  c: dead: silent for 1000 ms, to b as well",
        "  ping node gw: ping",
        "  membership 12, quorum, 2 of 3: a b",
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (node("b", links=(UP,)), []),
        (node("b", links=(UP, DOWN)), ["node b is not heard over eth2"]),
        (
            node("b", trouble="is not heard here for 900 ms, but by c"),
            ["node b is active: is not heard here for 900 ms, but by c"],
        ),
        (
            node("b", NodeStatus.DEAD, links=(NEVER,)),
            ["node b is dead: never heard since heartbeat was started here"],
        ),
        (
            NodeDescription("gw", NodeKind.PING, NodeStatus.DEAD, links=(DOWN,)),
            ["ping node gw is dead"],
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_each(other: NodeDescription, said: list[str]) -> None:
    assert health.wrong(cluster(other)) == said


def test_a_partition_without_quorum_is_wrong_and_so_is_no_membership() -> None:
    whole = cluster()
    halves = msgspec.structs.replace(whole, view=msgspec.structs.replace(VIEW, quorate=False))
    assert health.wrong(halves) == ["this partition has no quorum"]
    alone = msgspec.structs.replace(whole, view=None)
    assert health.wrong(alone) == ["node a is in no membership"]
    assert health.as_text(alone).endswith("in no membership")


HALF = QuorumRule("majority", QuorumVerdict.TIE, 2, 4)


@pytest.mark.parametrize(
    ("rules", "is_quorate", "said"),
    [
        (
            [QuorumRule("majority", QuorumVerdict.YES, 3, 4), QuorumRule("quorumd", server="qs")],
            True,
            "quorum: 3 of 4 nodes are a majority",
        ),
        (
            [QuorumRule("weight", QuorumVerdict.NO, 300, 700), QuorumRule("twonodes")],
            False,
            "no quorum: 300 of 700 votes are less than half",
        ),
        (
            [QuorumRule("majority", QuorumVerdict.TIE, 1, 2),
             QuorumRule("twonodes", QuorumVerdict.YES, 1, 2)],
            True,
            "quorum: 1 of 2 nodes are half of them, one of two nodes goes on by itself, and fencing"
            " keeps them apart",
        ),
        (
            [HALF, QuorumRule("twonodes", QuorumVerdict.NO, 2, 4)],
            False,
            "no quorum: 2 of 4 nodes are half of them, which is enough in a cluster of two nodes"
            " only",
        ),
        (
            [HALF, QuorumRule("quorumd", QuorumVerdict.YES, server="qs", held_ms=12_345)],
            True,
            "quorum: 2 of 4 nodes are half of them, the tie is held from quorum server qs for 12 s",
        ),
        (
            [HALF, QuorumRule("quorumd", QuorumVerdict.NO, server="qs", trouble="refuses: c d may"
                              " go on")],
            False,
            "no quorum: 2 of 4 nodes are half of them, quorum server qs refuses: c d may go on",
        ),
        (
            [HALF, QuorumRule("ping", QuorumVerdict.NO), QuorumRule("quorumd", server="qs")],
            False,
            "no quorum: 2 of 4 nodes are half of them, no ping node answers",
        ),
        (
            [HALF],
            False,
            "no quorum: 2 of 4 nodes are half of them, no rule decides that",
        ),
        (
            [QuorumRule("majority", QuorumVerdict.YES, 2, 3),
             QuorumRule("agreement", QuorumVerdict.NO, trouble="c in contact counts otherwise")],
            False,
            "no quorum: 2 of 3 nodes are a majority, but c in contact counts otherwise",
        ),
    ],
)  # fmt: skip
def test_it_is_said_by_which_rules_there_is_quorum_or_none(
    rules: list[QuorumRule], is_quorate: bool, said: str
) -> None:
    view = msgspec.structs.replace(VIEW, quorate=is_quorate)
    told = msgspec.structs.replace(cluster(), view=view, quorum=tuple(rules))

    assert health.as_text(told).splitlines()[-1] == f"  {said}"
    lacking = [f"this partition has {said}"]
    assert health.wrong(told) == ([] if is_quorate else lacking)


def test_a_server_that_is_silent_is_told_of_before_it_is_needed() -> None:
    rules = (
        QuorumRule("majority", QuorumVerdict.YES, 3, 4),
        QuorumRule("quorumd", server="qs", trouble="does not answer"),
    )
    told = msgspec.structs.replace(cluster(), quorum=rules)

    assert health.wrong(told) == ["quorum server qs does not answer"]
