"""What is said about a decision."""

from __future__ import annotations

import json

from tests.kit.pengine import (
    NOW,
    cib,
    decide,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
)

BAN = '<rsc_location id="never-1" rsc="a" node="node1" score="-INFINITY"/>'


def test_the_sentence_names_node_and_reason() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a")
    assert found.sentence == (
        "a goes to node2 because no other node may run it: never-1 forbids node1"
    )


def test_a_resource_that_runs_nowhere_names_the_ban() -> None:
    decision = decide(cib(primitive("a"), constraints=BAN, nodes=("node1",)))
    (found,) = decision.explain("a")
    assert found.sentence == "a runs nowhere because no node may run it: never-1 forbids node1"


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


def test_actions_say_what_they_wait_for() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a")
    start = next(row for row in found.actions if row.action == "a_start_0")
    assert start.after == ("a_monitor_0 on node1, node2 (probe before start)",)


def test_an_explanation_can_be_limited_to_one_node() -> None:
    (found,) = decide(cib(primitive("a"), constraints=BAN)).explain("a", "node2")
    assert [row.node for row in found.nodes] == ["node2"]
    assert found.scores == ()


def test_an_explanation_is_plain_data() -> None:
    (found,) = decide(cib(primitive("a"))).explain("a")
    assert json.loads(json.dumps(found.as_value()))["resource"] == "a"


def test_nobody_explains_what_does_not_exist() -> None:
    assert decide(cib(primitive("a")), NOW).explain("b") == ()


def test_every_node_says_why_here_or_why_not_there() -> None:
    home = '<rsc_location id="home" rsc="a" node="node2" score="50"/>'
    (found,) = decide(cib(primitive("a"), constraints=home)).explain("a")
    assert [row.why for row in found.nodes] == [
        "node2 has the higher score (home 50)",
        "chosen: its score is the highest there (home 50)",
    ]


def test_a_restart_says_what_failed() -> None:
    failed = started() + ran("monitor", rc=7, interval_ms=10000, call=3)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    (found,) = decide(cib(primitive("a", ops=monitor("a")), status=status)).explain("a")
    assert found.sentence == "a restarts on node1, where it stays, because it failed"


def test_a_start_that_cannot_be_done_is_not_promised() -> None:
    (found,) = decide(cib(primitive("a"), quorum=False)).explain("a")
    assert found.sentence == "a belongs on node1 but may not start: no quorum"


def test_a_mandatory_companion_is_named() -> None:
    constraints = (
        '<rsc_colocation id="both" rsc="b" with-rsc="a" score="INFINITY"/>'
        '<rsc_location id="home" rsc="a" node="node2" score="50"/>'
    )
    (found,) = decide(cib(primitive("a") + primitive("b"), constraints=constraints)).explain("b")
    assert found.nodes[0].why == "both keeps it where a is, not on node1"


def test_what_stops_says_where() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    stop = primitive("a", meta={"target-role": "Stopped"})
    (found,) = decide(cib(stop, status=status)).explain("a")
    assert found.sentence == "a stops on node1 because its target-role is Stopped"


def test_of_many_nodes_a_sentence_names_two_and_counts_the_rest() -> None:
    bans = "".join(
        f'<rsc_location id="no-{n}" rsc="a" node="node{n}" score="-INFINITY"/>' for n in range(1, 5)
    )
    nodes = tuple(f"node{n}" for n in range(1, 5))
    (found,) = decide(cib(primitive("a"), constraints=bans, nodes=nodes)).explain("a")
    assert found.sentence == (
        "a runs nowhere because no node may run it: "
        "no-1 forbids node1; no-2 forbids node2; and 2 more nodes"
    )


def test_what_a_lost_quorum_demotes_says_so() -> None:
    meta = '<meta_attributes id="c-m"><nvpair id="c-p" name="promotable" value="true"/>'
    clone = f'<clone id="c">{meta}</meta_attributes>{primitive("a")}</clone>'
    status = state("node1", {"a": started()})
    options = {"no-quorum-policy": "demote"}
    scores = {"node1": {"master-a": "10"}}
    made = cib(clone, status=status, options=options, node_attributes=scores, quorum=False)
    assert (
        decide(made)
        .explain("c")[0]
        .sentence.endswith(
            "; it does not lead because there is no quorum (no-quorum-policy=demote)"
        )
    )


def test_a_cluster_in_which_nothing_is_allowed_unasked_names_the_other_nodes() -> None:
    home = '<rsc_location id="home" rsc="a" node="node1" score="5"/>'
    made = cib(primitive("a"), constraints=home, options={"symmetric-cluster": "false"})
    (found,) = decide(made).explain("a")
    assert found.sentence == (
        "a goes to node1 because no other node may run it: "
        "no location constraint allows it on node2 (symmetric-cluster is false)"
    )


def test_who_is_to_keep_off_is_not_said_to_be_kept_there() -> None:
    constraints = (
        '<rsc_colocation id="apart" rsc="b" with-rsc="a" score="-INFINITY"/>'
        '<rsc_location id="home" rsc="a" node="node2" score="50"/>'
    )
    (found,) = decide(cib(primitive("a") + primitive("b"), constraints=constraints)).explain("b")
    assert found.nodes[1].why == "apart keeps it off node2, where a is"
