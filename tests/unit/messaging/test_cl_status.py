from __future__ import annotations

from pathlib import Path

import pytest

from cli.tools import cl_status
from cli.tools.cl_status import NoSuchThing, Question, answer, parse
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
        ("nodestatus -m -v a", "The cluster node a is active", 0),
        ("nodestatus router", "ping", 0),
        ("nodetype A", "normal", 0),
        ("nodetype -m A", "The node a's type: normal", 0),
        ("nodetype ping", "router", 0),
        ("nodeweight a", "100", 0),
        ("listhblinks b", "\teth1\n\teth2", 0),
        ("listhblinks -v b", "\teth1\tdead\n\teth2\tup", 0),
        ("listhblinks -m b", "\tthis node has the following heartbeat links:\n\teth1\n\teth2", 0),
        ("listnodes -v -p", "\nrouter\tping\t(nodetype: ping)", 0),
        (
            "listnodes -v -n",
            "\na\tactive\t(nodetype: normal)\n"
            "\nb\tdead\t(nodetype: normal)\n\teth1\tdead\n\teth2\tup",
            0,
        ),
        ("hblinkstatus b eth1", "dead", 1),
        ("hblinkstatus b eth2", "up", 0),
        ("hblinkstatus -m b eth2", "The node b's heartbeat link eth2 is up", 0),
        ("clientstatus a crmd", "online", 0),
        ("clientstatus b crmd 100", "offline", 1),
        ("hbparameter -p keepalive", "3000", 0),
        ("hbparameter -m -p keepalive", "Heartbeat parameter keepalive's value: 3000", 0),
        ("parameter -p nothing", "", 1),
    ],
)
def test_questions_are_answered(call: str, text: str, code: int) -> None:
    _, subcommand, question = parse(call.split())

    found = answer(CLUSTER, subcommand, question)

    assert (found.text, found.code) == (text, code)


@pytest.mark.parametrize(
    "call", ["nodestatus", "nodestatus x", "nodetype x", "hbparameter", "listnodes a"]
)
def test_a_question_that_makes_no_sense_is_refused(call: str) -> None:
    _, subcommand, question = parse(call.split())

    with pytest.raises(UsageError):
        answer(CLUSTER, subcommand, question)


@pytest.mark.parametrize(
    "call", ["hblinkstatus b eth9", "hblinkstatus x eth1", "listhblinks x", "clientstatus x crmd"]
)
def test_what_a_node_has_not_is_no_fault_of_the_call(call: str) -> None:
    _, subcommand, question = parse(call.split())

    with pytest.raises(NoSuchThing):
        answer(CLUSTER, subcommand, question)


def test_a_site_that_nobody_named_is_an_empty_line() -> None:
    _, subcommand, question = parse(["nodesite", "a"])

    assert answer(CLUSTER, subcommand, question) == ("", 0, True)


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


@pytest.mark.parametrize("question", ["listnodes", "rscstatus"])
def test_other_questions_fail_when_nothing_runs(
    question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cl_status.main(["--root", str(tmp_path), question]) == 1
    assert capsys.readouterr().err.count("cl_status: ") == 1


@pytest.mark.parametrize("arguments", [["frobnicate"], ["--root"], ["listnodes", "-x"]])
def test_a_wrong_call_ends_with_eleven(arguments: list[str]) -> None:
    assert cl_status.main(arguments) == 11


def test_without_words_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cl_status.main([]) == 0
    assert "hblinkstatus NODE LINK" in capsys.readouterr().out
