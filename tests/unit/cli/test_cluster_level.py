"""`crm cluster`: a new key, what became of the packets, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main as crm
from crm.api import membership
from tests.kit.cluster_at_gate import ClusterAtTheGate


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    yield made
    made.close()


def test_a_new_key_is_asked_for_once_and_told(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm.main(["cluster", "rotate-key"]) == 0

    assert [type(each) for each in served.told] == [membership.RotateKey]
    assert capsys.readouterr().out == "key 2 is now the only one in authkeys on every node\n"


def test_what_stopped_a_rotation_is_told_with_what_to_do(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.rotated = membership.KeyRotated(0, problem="node n3 is away")

    assert crm.main(["cluster", "rotate-key"]) == 1

    told = capsys.readouterr().err
    assert "error[key-not-rotated]: no new key: node n3 is away" in told
    assert "hint: the same command begins anew" in told


def test_packets_are_counted_by_reason(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.counters = {"sent": 12, "dropped-bad-signature": 3, "dropped-strange": 1}

    assert crm.main(["cluster", "packets"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Packets of node1:",
        "          12 sent                         sent",
        "           3 dropped-bad-signature        sealed with another key, or damaged",
        "           1 dropped-strange",
    ]
    assert crm.main(["--json", "cluster", "packets"]) == 0
    assert json.loads(capsys.readouterr().out)["packets"] == served.counters


def test_health_tells_whose_fault_it_is_and_ends_with_1(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    away = membership.NodeDescription(
        "node2",
        membership.NodeKind.NORMAL,
        membership.NodeStatus.DEAD,
        trouble="is heard, but does not hear this node",
    )
    served.nodes = (away,)

    assert crm.main(["cluster", "health"]) == 1

    said = capsys.readouterr()
    assert "  node2: dead: is heard, but does not hear this node" in said.out.splitlines()
    assert "error[cluster-unwell]: node node2 is dead: is heard, but does not" in said.err
    assert crm.main(["--json", "cluster", "health"]) == 1
    assert json.loads(capsys.readouterr().out)["nodes"][0]["trouble"] == away.trouble
