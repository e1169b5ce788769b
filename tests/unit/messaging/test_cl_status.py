from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import cl_status
from cli.tools.cl_status import Question, answer, parse
from crm.api.membership import (
    ClusterDescription,
    LinkDescription,
    LinkStatus,
    NodeDescription,
    NodeKind,
    NodeStatus,
)
from crm.plumbing.errors import UsageError

CLUSTER = ClusterDescription(
    request=1,
    node="a",
    nodes=(
        NodeDescription("a", NodeKind.NORMAL, NodeStatus.ACTIVE, clients=("crmd",)),
        NodeDescription(
            "b",
            NodeKind.NORMAL,
            NodeStatus.DEAD,
            trouble="silent for 1000 ms, to c as well",
            links=(
                LinkDescription("eth1", LinkStatus.DEAD, 9000),
                LinkDescription("eth2", LinkStatus.UP, 3),
            ),
        ),
        NodeDescription("router", NodeKind.PING, NodeStatus.PING),
    ),
    parameters={"keepalive": "3000"},
)


@pytest.mark.parametrize(
    ("call", "text", "code"),
    [
        ("listnodes", "a\nb\nrouter", 0),
        ("listnodes -n", "a\nb", 0),
        ("listnodes -p", "router", 0),
        ("nodestatus a", "active", 0),
        ("nodestatus b", "dead", 1),
        ("nodestatus b -v", "dead (silent for 1000 ms, to c as well)", 1),
        ("nodestatus a -v", "active", 0),
        ("nodestatus -m -v a", "The cluster node a is active.", 0),
        ("nodestatus router", "ping", 0),
        ("nodetype A", "normal", 0),
        ("nodetype ping", "router", 0),
        ("nodeweight a", "100", 0),
        ("listhblinks b", "\teth1\n\teth2", 0),
        ("hblinkstatus b eth1", "dead", 1),
        ("hblinkstatus b eth2", "up", 0),
        ("clientstatus a crmd", "online", 0),
        ("clientstatus b crmd 100", "offline", 1),
        ("hbparameter -p keepalive", "3000", 0),
        ("parameter -p nothing", "", 1),
    ],
)
def test_questions_are_answered(call: str, text: str, code: int) -> None:
    _, subcommand, question = parse(call.split())

    assert answer(CLUSTER, subcommand, question) == (text, code)


@pytest.mark.parametrize(
    "call", ["nodestatus", "nodestatus x", "hblinkstatus b eth9", "hbparameter", "listnodes a"]
)
def test_a_question_that_makes_no_sense_is_refused(call: str) -> None:
    _, subcommand, question = parse(call.split())

    with pytest.raises(UsageError):
        answer(CLUSTER, subcommand, question)


def test_the_root_may_stand_anywhere() -> None:
    assert parse(["nodestatus", "--root", "/x", "a"]) == (
        "/x",
        "nodestatus",
        Question(("a",), frozenset()),
    )


def test_hbstatus_works_when_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cl_status.main(["--root", str(tmp_path), "hbstatus"]) == 1
    assert capsys.readouterr().out == "Heartbeat is stopped on this machine.\n"


def test_other_questions_fail_when_nothing_runs(tmp_path: Path) -> None:
    assert cl_status.main(["--root", str(tmp_path), "listnodes"]) == 1


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["--root"]])
def test_a_wrong_call_ends_with_two(arguments: list[str]) -> None:
    assert cl_status.main(arguments) == 2
