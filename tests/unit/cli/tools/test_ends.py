"""The tools at the running cluster: a gate with a cib of one document behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.tools import (
    crm_attribute,
    crm_failcount,
    crm_node,
    crm_shadow,
    crm_standby,
    crm_ticket,
    crmadmin,
)
from crm.api.attributes import UpdateAttribute
from crm.api.controller import CleanUp
from crm.model.exit_codes import Exit
from tests.kit.cluster_at_gate import ClusterAtTheGate


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    monkeypatch.setenv("CIB_shadow_dir", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    yield made
    made.close()


def test_a_ticket_is_granted_in_the_running_cluster(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_ticket.main(["-t", "A", "-g", "-f"]) == 0
    assert crm_ticket.main(["-t", "A", "-G", "granted"]) == 0
    assert capsys.readouterr().out == "true\n"


def test_a_shadow_of_the_running_cluster_is_committed_to_it(
    served: ClusterAtTheGate, tmp_path: Path
) -> None:
    assert crm_shadow.main(["-b", "-c", "s1"]) == 0
    path = tmp_path / "shadow.s1"
    node = '<nodes><node id="1" uname="node1"/></nodes>'
    path.write_text(path.read_text().replace("<nodes/>", node))
    assert crm_shadow.main(["-C", "s1", "-f"]) == 0
    assert served.document.by_id("1") is not None
    assert served.document.version.epoch == 2


def _with_nodes(served: ClusterAtTheGate) -> None:
    nodes = '<nodes><node id="uuid-1" uname="node1"/><node id="uuid-2" uname="node2"/></nodes>'
    text = served.document.text().replace(b"<nodes/>", nodes.encode())
    served.document = type(served.document).parse(text)


def _numberless(told: list[msgspec.Struct]) -> list[msgspec.Struct]:
    return [msgspec.structs.replace(message, request=0) for message in told]


def test_what_lasts_until_a_reboot_is_told_to_attrd(served: ClusterAtTheGate) -> None:
    _with_nodes(served)
    assert crm_attribute.main(["-N", "node1", "-p", "db", "-v", "value++"]) == 0
    assert crm_standby.main(["-N", "node2", "-v", "on", "-l", "reboot"]) == 0
    assert _numberless(served.told) == [
        UpdateAttribute("master-db", "value++", "node1"),
        UpdateAttribute("standby", "on", "node2"),
    ]


def test_what_lasts_is_written_into_the_cib(served: ClusterAtTheGate) -> None:
    _with_nodes(served)
    assert crm_attribute.main(["-N", "node1", "-n", "rack", "-v", "r1"]) == 0
    (pair,) = served.document.configuration.iter("nvpair")
    assert (pair.get("id"), pair.get("value")) == ("nodes-uuid-1-rack", "r1")
    assert served.told == []


def test_failures_are_forgotten_by_the_controller(served: ClusterAtTheGate) -> None:
    _with_nodes(served)
    assert crm_failcount.main(["-r", "p1", "-N", "node2", "-D"]) == 0
    assert _numberless(served.told) == [CleanUp(0, "p1", "node2", failures_only=True)]


def test_failures_of_one_operation_are_forgotten_by_attrd(served: ClusterAtTheGate) -> None:
    _with_nodes(served)
    assert crm_failcount.main(["-r", "p1", "-N", "node2", "-n", "monitor", "-I", "10s", "-D"]) == 0
    assert [message.name for message in served.told if isinstance(message, UpdateAttribute)] == [
        "fail-count-p1#monitor_10000",
        "last-failure-p1#monitor_10000",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("-l", "uuid-1 node1 member\nuuid-2 node2 lost\n"),
        ("-p", "node1\n"),
        ("-q", "0\n"),
        ("-n", "node1\n"),
        ("-i", "uuid-1\n"),
        ("-e", "1\n"),
        ("-N uuid-2", "node2\n"),
    ],
)
def test_the_cluster_layer_is_asked_for_nodes(
    served: ClusterAtTheGate, words: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_node.main(words.split()) == 0
    assert capsys.readouterr().out == text


def test_nodes_are_shown_as_json(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_node.main(["-l", "--json"]) == 0
    (nodes,) = json.loads(capsys.readouterr().out)["result"]
    assert [(node["name"], node["state"]) for node in nodes["items"]] == [
        ("node1", "member"),
        ("node2", "lost"),
    ]


def test_only_a_node_that_left_is_removed(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_nodes(served)
    assert crm_node.main(["-R", "node2"]) == Exit.USAGE
    assert crm_node.main(["-R", "node1", "-f"]) == Exit.ERROR
    assert "node 'node1' is in the membership" in capsys.readouterr().err
    assert crm_node.main(["-R", "node2", "-f"]) == 0
    assert served.document.by_id("uuid-2") is None
    assert crm_node.main(["-R", "node2", "-f"]) == Exit.NO_SUCH_OBJECT


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("-D", "Designated Controller is: node1\n"),
        ("-D -q", "node1\n"),
        ("-S node1", "Controller on node1 in state S_IDLE: ok\n"),
        ("-P -q", "running\n"),
        ("-N", "cluster node: node1 (uuid-1)\ncluster node: node2 (uuid-2)\n"),
        ("-N guest", "No nodes configured\n"),
    ],
)
def test_the_controller_says_who_leads(
    served: ClusterAtTheGate, words: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_nodes(served)
    assert crmadmin.main(words.split()) == 0
    assert capsys.readouterr().out == text


def test_the_controller_of_another_node_is_not_asked_here(served: ClusterAtTheGate) -> None:
    assert crmadmin.main(["-S", "node2"]) == Exit.UNIMPLEMENTED


def test_without_a_cluster_the_tools_are_not_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIB_file", raising=False)
    assert crm_ticket.main(["-l", "--root", str(tmp_path)]) == Exit.NOT_CONNECTED
