"""Cleaning up a group or a clone at the running cluster: everything in it is told, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main as crm
from cli.tools import crm_failcount
from crm.api.attributes import UpdateAttribute
from crm.api.controller import CleanUp
from crm.cib import document as documents
from tests.kit.cluster_at_gate import ClusterAtTheGate

DUMMY = 'class="ocf" provider="heartbeat" type="Dummy"'
CIB = f"""<cib epoch="1" num_updates="0" admin_epoch="0" validate-with="pacemaker-3.9"
 crm_feature_set="3.16.1" have-quorum="1" dc-uuid="uuid-1"><configuration><crm_config/>
<nodes><node id="uuid-1" uname="node1"/><node id="uuid-2" uname="node2"/></nodes><resources>
<group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/></group>
<clone id="c"><primitive id="web" {DUMMY}/></clone>
<clone id="u"><meta_attributes id="um"><nvpair id="umg" name="globally-unique" value="true"/>
<nvpair id="umn" name="clone-node-max" value="2"/><nvpair id="umm" name="clone-max" value="2"/>
</meta_attributes><primitive id="ip" {DUMMY}/></clone></resources><constraints/></configuration>
<status><node_state id="uuid-1" uname="node1" in_ccm="true" crmd="online" join="member"
 expected="member"><transient_attributes id="uuid-1"><instance_attributes id="s">
<nvpair id="f1" name="fail-count-a#start_0" value="3"/>
<nvpair id="f2" name="fail-count-b#monitor_10000" value="2"/>
<nvpair id="f3" name="fail-count-web#start_0" value="1"/>
</instance_attributes></transient_attributes></node_state></status></cib>"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    made.document = documents.Document.parse(CIB.encode())
    yield made
    made.close()


def cleaned(served: ClusterAtTheGate) -> list[tuple[str, str, bool]]:
    told = [each for each in served.told if isinstance(each, CleanUp)]
    return [(each.resource, each.node, each.failures_only) for each in told]


@pytest.mark.parametrize("verb", ["cleanup", "refresh"])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("g", ["a", "b"]),
        ("a", ["a", "b"]),
        ("a force", ["a"]),
        ("c", ["web"]),
        ("web", ["web"]),
        ("u", ["ip:0", "ip:1"]),
        ("ip:1", ["ip:0", "ip:1"]),
        ("ip:1 force", ["ip:1"]),
        ("", [""]),
    ],
)
def test_all_that_is_in_a_resource_is_cleaned_up(
    served: ClusterAtTheGate, verb: str, words: str, names: list[str]
) -> None:
    assert crm.main(["resource", verb, *words.split()]) == 0
    assert cleaned(served) == [(name, "", verb == "cleanup") for name in names]


def test_a_node_can_be_named(served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm.main(["resource", "cleanup", "g", "node1"]) == 0
    assert cleaned(served) == [("a", "node1", True), ("b", "node1", True)]
    assert capsys.readouterr().out == "Cleaned up a on node1\nCleaned up b on node1\n"


def test_an_unknown_resource_is_named_and_nothing_is_told(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm.main(["resource", "cleanup", "gg"]) != 0
    assert cleaned(served) == []
    assert "'gg'" in capsys.readouterr().err


def test_the_fail_counts_of_a_group_are_those_of_its_members(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm.main(["resource", "failcount", "g", "show", "node1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "scope=status  name=fail-count-a value=3",
        "scope=status  name=fail-count-b value=2",
    ]
    assert crm.main(["resource", "failcount", "g", "delete", "node1"]) == 0
    told = [each for each in served.told if isinstance(each, UpdateAttribute)]
    assert [(each.name, each.value, each.node) for each in told] == [
        ("fail-count-a#start_0", None, "node1"),
        ("fail-count-b#monitor_10000", None, "node1"),
    ]


def test_the_fail_count_of_a_clone_is_that_of_what_it_copies(served: ClusterAtTheGate) -> None:
    assert crm.main(["resource", "failcount", "c", "set", "node1", "4", "start"]) == 0
    (told,) = served.told
    assert isinstance(told, UpdateAttribute)
    assert (told.name, told.value) == ("fail-count-web#start_0", "4")


def test_the_fail_count_of_a_group_cannot_be_set(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm.main(["resource", "failcount", "g", "set", "node1", "4"]) != 0
    assert served.told == []
    assert "what is in it has: a, b" in capsys.readouterr().err


def test_the_tool_for_fail_counts_cleans_up_all_members(served: ClusterAtTheGate) -> None:
    assert crm_failcount.main(["-r", "g", "-N", "node1", "-D"]) == 0
    assert cleaned(served) == [("a", "node1", True), ("b", "node1", True)]
