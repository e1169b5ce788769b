"""`crm_simulate`: its sources, its sections, its exit codes."""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import pytest

from cli.tools import crm_simulate
from crm.plumbing import xml
from tests.kit.pengine import cib, primitive, state, stopped


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "cib.xml"
    path.write_bytes(cib(primitive("a")))
    return path


def test_a_simulation_shows_before_what_is_done_and_after(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-S", "-x", str(document)]) == 0
    text = capsys.readouterr().out
    sections = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert sections == [
        "Current cluster status:",
        "Transition Summary:",
        "Executing Cluster Transition:",
        "Revised Cluster Status:",
    ]
    assert "  * Start      a    ( node1 )" in text
    assert "  * Resource action: a               start on node1" in text


def test_a_kept_input_is_read_as_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pe-input-3.bz2"
    path.write_bytes(bz2.compress(cib(primitive("a"))))
    assert crm_simulate.main(["-x", str(path), "-sQ"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pcmk__primitive_assign: a allocation score on node1: 0",
        "pcmk__primitive_assign: a allocation score on node2: 0",
    ]


def test_graph_and_dot_are_written(document: Path, tmp_path: Path) -> None:
    graph, dot = tmp_path / "g.xml", tmp_path / "g.dot"
    arguments = ["-x", str(document), "-Q", "-G", str(graph), "-D", str(dot)]
    assert crm_simulate.main(arguments) == 0
    assert b'operation_key="a_start_0"' in graph.read_bytes()
    assert '"a_monitor_0 node1" -> "a_start_0 node1" [ style = bold]' in dot.read_text()


def test_quorum_can_be_pretended_away(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_simulate.main(["-R", "-q", "false", "-x", str(document)]) == 0
    assert "due to no quorum (blocked)" in capsys.readouterr().out


def test_an_explanation_begins_with_its_sentence(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-x", str(document), "--explain", "a"]) == 0
    assert capsys.readouterr().out.startswith("a goes to node1 because ")
    assert crm_simulate.main(["-x", str(document), "--explain", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["resource"] == "a"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-x", "/nowhere/cib.xml", "-S"], crm_simulate.EXIT_NO_INPUT),
        (["-p", "-L"], crm_simulate.EXIT_USAGE),
        (["--frobnicate"], crm_simulate.EXIT_USAGE),
    ],
)
def test_wrong_calls_say_so(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(arguments) == code
    assert capsys.readouterr().err.startswith("crm_simulate: ")


def test_a_broken_file_and_an_unknown_resource_have_their_own_codes(
    document: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text("<cib><nodes>")
    assert crm_simulate.main(["-x", str(broken)]) == crm_simulate.EXIT_INVALID
    unknown = crm_simulate.main(["-x", str(document), "--explain", "nobody"])
    assert unknown == crm_simulate.EXIT_NO_SUCH


def test_scores_are_shown_without_headings(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-s", "-x", str(document)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == [
        "[ node1 node2 ]",
        "a\t(ocf:pacekeeper:Dummy):\t Stopped",
        "pcmk__primitive_assign: a allocation score on node1: 0",
        "pcmk__primitive_assign: a allocation score on node2: 0",
        "Start      a    ( node1 )",
    ]


def test_utilization_shows_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs = '<utilization id="a-u"><nvpair id="a-u-cpu" name="cpu" value="2"/></utilization>'
    path = tmp_path / "cib.xml"
    text = cib(primitive("a", more=needs), nodes=("node1",)).decode()
    offers = '<utilization id="n-u"><nvpair id="n-u-cpu" name="cpu" value="8"/></utilization>'
    path.write_text(
        text.replace("</instance_attributes></node>", f"</instance_attributes>{offers}</node>")
    )
    assert crm_simulate.main(["-U", "-Q", "-x", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Original: node1 capacity: cpu=8",
        "pcmk__finalize_assignment: a utilization on node1: cpu=2",
        "Remaining: node1 capacity: cpu=6",
    ]


def test_a_run_can_be_had_as_xml(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-x", str(document), "-S", "-d", "node2", "--output-as=xml"]
    assert crm_simulate.main(arguments) == 0
    root = xml.parse(capsys.readouterr().out.encode())
    assert [child.tag for child in root] == [
        "cluster_status",
        "modifications",
        "actions",
        "transition",
        "revised_cluster_status",
        "status",
    ]
    assert root.get("request") == f"crm_simulate {' '.join(arguments)}"
    start = root.find("actions/rsc_action")
    assert start is not None
    assert dict(start.attrib) == {"action": "start", "resource": "a", "node": "node1"}
    state = root.find("revised_cluster_status/resources/resource")
    assert state is not None
    assert (state.get("role"), state.get("nodes_running_on")) == ("Started", "1")


def test_a_wrong_call_is_answered_in_the_form_that_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert crm_simulate.main(["--frob", "--output-as=xml"]) == crm_simulate.EXIT_USAGE
    root = xml.parse(capsys.readouterr().out.encode())
    assert root.findtext("status/errors/error") == "crm_simulate: Unknown option --frob"


def test_a_run_can_be_had_as_json(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_simulate.main(["-S", "--json", "-x", str(document)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"][0]["verb"] == "Start"
    assert found["summary"][0]["to"] == "node1"
    assert [action["key"] for action in found["executed"]][-1] == "a_start_0"


def test_the_cib_afterwards_keeps_what_did_not_change(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.xml", tmp_path / "after.xml"
    arguments = ["-x", str(document), "-S", "-Q", "-I", str(before), "-O", str(after)]
    assert crm_simulate.main(arguments) == 0
    old, new = xml.parse(before.read_bytes()), xml.parse(after.read_bytes())
    assert int(new.get("num_updates", "0")) == int(old.get("num_updates", "0")) + 3
    entries = [(e.get("id"), e.get("operation")) for e in new.iter("lrm_rsc_op")]
    assert entries == [("a_last_0", "start"), ("a_last_0", "monitor")]
    assert crm_simulate.main(["-x", str(after), "-R"]) == 0
    assert "Start" not in capsys.readouterr().out.partition("Transition Summary:")[2]


def test_a_simulation_in_place_is_the_next_input(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-X", "-x", str(document)]) == 0
    assert "Started node1" in capsys.readouterr().out
    assert b'operation="start"' in document.read_bytes()
    assert crm_simulate.main(["-X", "-p"]) != 0


def test_the_file_that_stands_for_the_cluster_is_never_changed(
    document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIB_file", str(document))
    before = document.read_bytes()
    assert crm_simulate.main(["-X", "-L"]) == 0
    assert "Started node1" in capsys.readouterr().out
    assert document.read_bytes() == before


def test_attributes_have_a_title_only_where_there_are_any(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-A", "-x", str(document)]) == 0
    assert "Node Attributes" not in capsys.readouterr().out


def test_an_operation_told_to_fail_says_so(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-S", "-x", str(document), "-F", "a_start_0@node1=1"]) == 0
    text = capsys.readouterr().out
    assert "failed with rc=1" in text
    assert "  * Injecting attribute fail-count-a#start_0=value++ into /node_state 'node1'" in text


def test_what_is_no_operation_is_said_and_left_out(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-S", "-x", str(document), "-i", "bogus"]) == 0
    told = capsys.readouterr()
    assert "  * Injecting bogus into the configuration" in told.out
    assert told.err == "Invalid operation spec: bogus.  Only found 1 fields\n"


def test_the_time_that_was_asked_for_is_named_twice(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-S", "-t", "2026-01-01", "-x", str(document)]) == 0
    assert capsys.readouterr().out.count("Setting effective cluster time: 2026-01-01\n") == 2


def test_what_is_not_checked_is_said_and_what_is_no_cib_is_refused(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = document.read_text()
    document.write_text(text.replace('"pacemaker-3.0"', '"none"'))
    assert crm_simulate.main(["-x", str(document), "-Q"]) == 0
    assert capsys.readouterr().err.startswith("Schema validation of configuration is disabled")
    document.write_text(text.replace("<crm_config>", "<crm_config><frob/>"))
    assert crm_simulate.main(["-x", str(document), "-Q"]) == crm_simulate.EXIT_INVALID


def test_attributes_and_fail_counts_are_shown_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = {"fail-count-a#monitor_10000": "2", "ping": "1000"}
    status = state("node1", {"a": stopped()}, attributes=counted)
    path = tmp_path / "cib.xml"
    path.write_bytes(cib(primitive("a"), status=status, nodes=("node1",)))
    assert crm_simulate.main(["-A", "-c", "-x", str(path)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "* ping : 1000" in lines
    assert "* a: migration-threshold=1000000 fail-count=2" in lines
