"""`crm_simulate`: its sources, its sections, its exit codes."""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import pytest

from cli.tools import crm_simulate
from tests.kit.pengine import cib, primitive


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
