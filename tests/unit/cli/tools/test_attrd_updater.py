"""attrd_updater at the gate of a running cluster, and without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.tools import attrd_updater
from crm.api.attributes import AttributeValue, UpdateAttribute
from crm.model.exit_codes import Exit
from tests.kit.cluster_at_gate import ClusterAtTheGate


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    monkeypatch.delenv("OCF_RESKEY_CRM_meta_on_node", raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    # A file has no attrd: it is the cluster that is asked.
    monkeypatch.setenv("CIB_file", str(tmp_path / "cib.xml"))
    made = ClusterAtTheGate(tmp_path)
    yield made
    made.close()


def run(line: str) -> int:
    return attrd_updater.main(line.split())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-n pingd -U 100", UpdateAttribute("pingd", "100", "node1")),
        ("-n pingd -v 100", UpdateAttribute("pingd", "100", "node1")),
        ("-n pingd -U 100 -d 5 -s set", UpdateAttribute("pingd", "100", "node1", 5000, "set")),
        ("-n pingd -B 1 -d 500ms -N node2", UpdateAttribute("pingd", "1", "node2", 500)),
        ("-n pingd -D", UpdateAttribute("pingd", None, "node1")),
        ("-n pingd -U -INFINITY", UpdateAttribute("pingd", "-INFINITY", "node1")),
        ("-n load -Y -d 7", UpdateAttribute("load", "3", "node1", 7000)),
    ],
)
def test_attrd_is_told(served: ClusterAtTheGate, line: str, told: UpdateAttribute) -> None:
    served.attributes = [AttributeValue("node1", "load", "3")]
    assert run(line) == 0
    assert [msgspec.structs.replace(each, request=0) for each in served.told] == [told]


def test_a_refresh_needs_no_name(served: ClusterAtTheGate) -> None:
    assert run("-R") == 0
    assert served.refreshed.wait(20)


def test_values_are_shown_of_this_node_or_of_all(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.attributes = [AttributeValue("node1", "a", "1"), AttributeValue("node2", "a", "2")]
    assert run("-n a") == 0
    assert run("-n a -Q -q -N node2") == 0
    assert run("-n a -Q -A") == 0
    assert capsys.readouterr().out.splitlines() == [
        'name="a" host="node1" value="1"',
        "2",
        'name="a" host="node1" value="1"',
        'name="a" host="node2" value="2"',
    ]


def test_private_attributes_are_refused(served: ClusterAtTheGate) -> None:
    assert run("-n a -U 1 -p") == Exit.UNIMPLEMENTED
    assert served.told == []


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("-U 1", Exit.USAGE, "attrd_updater: Command requires --name argument"),
        ("-n a -U 1 -d soon", Exit.USAGE, "'soon' is no delay"),
        ("-n a -U 1", Exit.NOT_CONNECTED, "Could not update a=1: Connection refused (111)"),
        ("-n a -D", Exit.NOT_CONNECTED, "Could not update a=(null): Connection refused (111)"),
        ("-n a -U {0}", Exit.NOT_CONNECTED, "Could not update a={0}:"),
        ("-n a", Exit.NOT_CONNECTED, "Could not connect to attrd: Connection refused"),
    ],
)
def test_without_a_cluster(
    line: str,
    code: Exit,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    assert run(line) == code
    assert text in capsys.readouterr().err
