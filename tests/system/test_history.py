"""The history of the configuration on a live cluster: who, when, why, and back, on every node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

NODES = ("node1", "node2", "node3")

Entry = dict[str, Any]  # Any: a JSON object


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes of three, so that one can join late."""
    plan = make_plan(3, keepalive_ms=250, deadtime_ms=2000, with_router=False)
    lab = Lab.up(plan, tmp_path_factory.mktemp("history") / "lab")
    try:
        lab.start("node1", "node2")
        await_online(lab, "node2", "node1 node2")
        yield lab
    finally:
        lab.down()


def await_online(lab: Lab, node: str, names: str) -> None:
    await_answer(
        lab, node, ["crm_mon", "-1"], lambda text: f"Online: [ {names} ]" in text, limit_s=60
    )


def history(lab: Lab, node: str, *words: str) -> list[Entry]:
    done = lab.run(node, "crm", "--json", "configure", "log", "100", *words)
    assert done.returncode == 0, done.stderr
    entries: list[Entry] = json.loads(done.stdout)
    return entries


def await_same_history(lab: Lab) -> list[Entry]:
    """Wait until every node tells what node1 tells: who restarts is told when it joins."""
    wanted = history(lab, "node1")
    for node in NODES[1:]:
        await_answer(
            lab,
            node,
            ["crm", "--json", "configure", "log", "100"],
            lambda text: bool(text) and json.loads(text) == wanted,
            limit_s=30,
        )
    return wanted


def done_well(lab: Lab, node: str, *command: str) -> None:
    done = lab.run(node, *command)
    assert done.returncode == 0, done.stderr


def test_changes_of_every_tool_on_every_node_are_told_with_their_authors(lab: Lab) -> None:
    done_well(lab, "node1", "crm", "configure", "primitive", "d", "ocf:pacekeeper:Dummy")
    text = "property maintenance-mode=false\ncommit -m 'as agreed on Monday'\n"
    assert lab.run("node2", "crm", "configure", stdin=text).returncode == 0
    pair = '<nvpair id="x" name="stop-all-resources" value="false"/>'
    options = f'<cluster_property_set id="cib-bootstrap-options">{pair}</cluster_property_set>'
    done_well(
        lab, "node2", "env", "CIB_user=alice",
        "cibadmin", "-M", "-c", "-o", "crm_config", "-X", options,
    )  # fmt: skip
    done_well(lab, "node1", "crm_attribute", "-N", "node2", "-n", "site", "-v", "north")
    newest = [(e["node"], e["user"], e["client"], e["summary"]) for e in history(lab, "node1")[:4]]
    assert newest == [
        ("node1", "root", "crm_attribute", "changed node node2 (site)"),
        ("node2", "alice", "cibadmin", "changed cib-bootstrap-options (stop-all-resources)"),
        ("node2", "root", "crm", "changed cib-bootstrap-options (maintenance-mode)"),
        ("node1", "root", "crm", "created d"),
    ]
    reasons = [entry["reason"] for entry in history(lab, "node2")[:4]]
    assert reasons[0] == "crm_attribute -N node2 -n site -v north"
    assert reasons[1].startswith("cibadmin -M -c -o crm_config -X")
    assert reasons[2:] == [
        "as agreed on Monday",
        "crm configure primitive d ocf:pacekeeper:Dummy",
    ]


def test_one_command_tells_who_changed_what_when_and_how_to_go_back(lab: Lab) -> None:
    (entry,) = history(lab, "node1", "node2")[:1]
    done = lab.run("node2", "crm", "configure", "log", str(entry["revision"]))
    assert done.returncode == 0, done.stderr
    for part in (
        "who:   root@node1 with crm_attribute",
        "what:  changed node node2 (site)",
        f"crm configure undo {entry['revision']}",
    ):
        assert part in done.stdout, done.stdout
    done_well(lab, "node2", "crm", "configure", "undo", str(entry["revision"]))
    newest = history(lab, "node1")[0]
    assert newest["reason"] == f"undo {entry['revision']}: changed node node2 (site)"
    query = lab.run("node1", "crm_attribute", "-N", "node2", "-n", "site", "-G")
    assert query.returncode != 0, "it is gone again"


def test_a_node_that_joins_late_tells_the_same(lab: Lab) -> None:
    lab.start("node3")
    await_online(lab, "node3", "node1 node2 node3")
    assert len(await_same_history(lab)) >= 5


def test_the_history_outlives_a_restart_of_everything_and_an_absence(lab: Lab) -> None:
    before = await_same_history(lab)
    lab.stop("node3")
    await_online(lab, "node1", "node1 node2")
    done_well(lab, "node1", "crm", "configure", "tag", "while-away", "d")
    lab.stop("node1", "node2")
    lab.start()
    await_online(lab, "node3", "node1 node2 node3")
    after = await_same_history(lab)
    assert [entry["reason"] for entry in after[:1]] == ["crm configure tag while-away d"]
    assert after[1:] == before


def test_a_change_in_the_file_of_a_stopped_node_beats_nothing_acknowledged(lab: Lab) -> None:
    path = lab.root("node3") / "var/lib/heartbeat/crm/cib.xml"
    running = lab.run("node3", "env", f"CIB_file={path}", "crm", "configure", "tag", "o", "d")
    assert running.returncode == 1
    assert "belongs to the cib that runs on this node" in running.stderr
    lab.stop("node3")
    await_online(lab, "node1", "node1 node2")
    done_well(lab, "node1", "crm", "configure", "tag", "meanwhile", "d")
    before = history(lab, "node1")
    edit = lab.run("node3", "env", f"CIB_file={path}", "crm", "configure", "tag", "offline", "d")
    assert edit.returncode == 0, edit.stderr
    assert "it loses if the other nodes have acknowledged a change" in edit.stderr
    told = lab.run("node3", "env", f"CIB_file={path}", "crm", "configure", "log", "1")
    assert "created offline" in told.stdout, told.stdout + told.stderr
    lab.start("node3")
    await_online(lab, "node3", "node1 node2 node3")
    assert await_same_history(lab) == before
    (lost,) = path.parent.glob("cib.xml.lost-*")
    text = lost.read_text()
    assert 'id="offline"' in text
    assert "created offline" in text, "the last line tells who had made it"


def test_restoring_goes_back_to_a_whole_configuration(lab: Lab) -> None:
    entries = history(lab, "node1")
    first = next(entry for entry in entries if entry["summary"] == "created d")
    done = lab.run("node2", "crm", "configure", "restore", str(first["revision"]))
    assert done.returncode == 0, done.stderr
    shown = lab.run("node3", "crm", "configure", "show").stdout
    assert "primitive d" in shown
    assert "while-away" not in shown
    assert all(f" {node}" in shown for node in NODES), "the nodes stay"
