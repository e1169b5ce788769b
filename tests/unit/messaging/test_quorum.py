from __future__ import annotations

import pytest

from messaging import quorum


@pytest.mark.parametrize(
    ("members", "total", "expected", "asked"),
    [
        (1, 1, True, ["majority"]),
        (1, 2, True, ["majority", "twonodes"]),
        (2, 2, True, ["majority"]),
        (1, 3, False, ["majority"]),
        (2, 3, True, ["majority"]),
        (2, 4, False, ["majority", "twonodes"]),
        (3, 4, True, ["majority"]),
        (3, 6, False, ["majority", "twonodes"]),
    ],
)
def test_the_chain_of_plugins_decides(
    members: int, total: int, expected: bool, asked: list[str]
) -> None:
    assert quorum.decide(members, total) == (expected, asked)


def test_at_most_one_of_two_partitions_has_quorum_unless_there_are_two_nodes() -> None:
    for total in range(3, 20):
        for members in range(1, total):
            assert not (
                quorum.has_quorum(members, total) and quorum.has_quorum(total - members, total)
            )


def test_the_debug_lines_are_those_of_the_tutorial() -> None:
    assert quorum.debug_lines(2, 3, "linux-ha") == [
        "quorum plugin: majority",
        "cluster:linux-ha, member_count=2, member_quorum_votes=200",
        "total_node_count=3, total_quorum_votes=300",
    ]
