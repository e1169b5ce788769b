"""What is said about a decision."""

from __future__ import annotations

import json

from tests.kit.pengine import NOW, cib, decide, primitive, started, state, stopped

BAN = '<rsc_location id="never-1" rsc="a" node="node1" score="-INFINITY"/>'


def test_the_sentence_names_node_and_reason() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a")
    assert found.sentence == "a goes to node2 because no other node may run it"


def test_a_resource_that_runs_nowhere_names_the_ban() -> None:
    decision = decide(cib(primitive("a"), constraints=BAN, nodes=("node1",)))
    (found,) = decision.explain("a")
    assert found.sentence == "a runs nowhere because no node may run it: never-1"


def test_target_role_is_named() -> None:
    (found,) = decide(cib(primitive("a", meta={"target-role": "Stopped"}))).explain("a")
    assert found.sentence == "a runs nowhere because its target-role is Stopped"


def test_a_move_says_what_is_wrong_with_the_old_node() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    decision = decide(
        cib(primitive("a"), status=status, node_attributes={"node1": {"standby": "on"}})
    )
    assert decision.sentence == "a moves from node1 to node2 because node1 is in standby"


def test_the_table_lists_every_contribution_with_its_id() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a")
    assert [(row.node, row.score, row.source) for row in found.scores] == [
        ("node1", "-INFINITY", "never-1")
    ]
    assert "never-1" in found.as_text()


def test_actions_say_what_they_wait_for() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a")
    start = next(row for row in found.actions if row.action == "a_start_0")
    assert start.after == (
        "a_monitor_0 on node1 (probe before start)",
        "a_monitor_0 on node2 (probe before start)",
    )


def test_an_explanation_can_be_limited_to_one_node() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a", "node2")
    assert [row.node for row in found.nodes] == ["node2"]
    assert found.scores == ()


def test_an_explanation_is_plain_data() -> None:
    (found,) = decide(cib(primitive("a"))).explain("a")
    assert json.loads(json.dumps(found.as_value()))["resource"] == "a"


def test_nobody_explains_what_does_not_exist() -> None:
    assert decide(cib(primitive("a")), NOW).explain("b") == ()
