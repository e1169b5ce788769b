"""Which copy of a clone a history is about, and what happens to those there are too many of."""

from __future__ import annotations

from cli.view import picture
from pengine import Decision
from tests.kit.pengine import cib, decide, group, primitive, ran, started, state, stopped


def clone(key: str, child: str, options: dict[str, str] | None = None) -> str:
    """Write a clone."""
    pairs = "".join(
        f'<nvpair id="{key}-{name}" name="{name}" value="{value}"/>'
        for name, value in (options or {}).items()
    )
    meta = f'<meta_attributes id="{key}-meta">{pairs}</meta_attributes>'
    return f'<clone id="{key}">{meta}{child}</clone>'


def places(made: Decision) -> dict[str, tuple[str, ...]]:
    """Say where every instance is active."""
    return {i.id: made.facts.activity[i.id].nodes for i in made.facts.instances()}


def test_copies_are_numbered_in_the_order_of_the_status() -> None:
    status = state("node2", {"a": started()}) + state("node1", {"a": started()})
    made = decide(cib(clone("c", primitive("a")), status=status))
    assert places(made) == {"a:0": ("node2",), "a:1": ("node1",)}


def test_a_copy_that_is_stopped_somewhere_leaves_its_number() -> None:
    status = state("node1", {"a": stopped()}) + state("node2", {"a": started()})
    made = decide(cib(clone("c", primitive("a")), status=status))
    assert places(made) == {"a:0": ("node2",), "a:1": ()}


def test_a_copy_that_is_about_to_start_keeps_its_number() -> None:
    pending = ran("demote", rc=193, call=-1, status=-1)
    status = state("node1", {"a": pending}) + state("node2", {"a": started()})
    made = decide(cib(clone("c", primitive("a")), status=status))
    assert places(made) == {"a:0": (), "a:1": ("node2",)}


def test_members_of_one_copy_of_a_group_share_a_number() -> None:
    status = state("node1", {"a": stopped(), "b": started()})
    status += state("node2", {"b": started(), "a": started()})
    made = decide(cib(clone("c", group("g", primitive("a"), primitive("b"))), status=status))
    assert places(made) == {"a:0": (), "b:0": ("node1",), "a:1": ("node2",), "b:1": ("node2",)}


def test_a_second_history_of_one_clone_on_one_node_is_a_copy_too_many() -> None:
    status = state("node1", {"a:0": started(), "a:1": started()}) + state("node2", {})
    made = decide(cib(clone("c", primitive("a")), status=status))
    assert places(made) == {"a:0": ("node1",), "a:1": (), "a:2": ("node1",)}
    assert any(line.strip().startswith("* a\t") for line in picture.status(made.facts))
    assert made.placement.node_of("a:1") == "node2"
    assert made.placement.node_of("a:2") is None


def test_a_clone_of_no_copies_still_knows_what_runs() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    made = decide(cib(clone("c", primitive("a"), {"clone-max": "0"}), status=status))
    assert places(made) == {"a:0": ("node1",), "a:1": ()}
    assert [s.actions[0].key for s in made.graph.synapses if s.actions[0].node] == ["a_stop_0"]


def test_agents_that_cannot_tell_copies_apart_make_a_clone_anonymous() -> None:
    service = '<primitive id="a" class="lsb" type="web"/>'
    options = {"globally-unique": "true", "clone-max": "9", "clone-node-max": "4"}
    made = decide(cib(clone("c", service, options)))
    assert sorted(i.id for i in made.facts.instances()) == ["a:0", "a:1"]
    assert not any(i.is_unique for i in made.facts.instances())


def test_what_is_removed_is_not_shown_with_scores() -> None:
    status = state("node1", {"a:0": started(), "a:1": started()}) + state("node2", {})
    made = decide(cib(clone("c", primitive("a")), status=status))
    assert {line.resource for line in made.placement.table.lines} == {"c", "a:0", "a:1"}


def test_a_removed_resource_does_not_act_for_the_clone_that_bears_its_name() -> None:
    status = state("node1", {"c": started() + ran("stop", call=3)}) + state("node2")
    made = decide(cib(clone("c", primitive("a")), status=status))
    keys = [s.actions[0].key for s in made.graph.synapses]
    assert "c_delete_0" in keys
    assert "c_stop_0" not in keys


def test_the_copy_that_was_looked_for_is_the_one_that_is_looked_for_again() -> None:
    child = group("g", primitive("a"), primitive("b"))
    status = state("node1", {"a": stopped()}) + state("node2", {"a": started(), "b": started()})
    made = decide(cib(clone("c", child), status=status))
    probes = [a for a in made.plan.actions.values() if a.is_probe]
    assert [(p.owner, p.node) for p in probes] == [("b:0", "node1")]
    assert made.placement.node_of("b:1") == "node1"


def test_a_unique_clone_of_no_copies_still_knows_its_first() -> None:
    options = {"clone-max": "0", "globally-unique": "true"}
    status = state("node1", {"a:0": started()}) + state("node2", {})
    made = decide(cib(clone("c", primitive("a"), options), status=status))
    assert places(made) == {"a:0": ("node1",)}
    assert "c_stop_0" in [s.actions[0].key for s in made.graph.synapses]


def test_a_copy_keeps_the_plain_name_once_a_node_has_used_it() -> None:
    status = state("node1", {"a": stopped()}) + state("node2", {"a:0": started()})
    made = decide(cib(clone("c", primitive("a"), {"target-role": "Stopped"}), status=status))
    assert "a_stop_0" in [s.actions[0].key for s in made.graph.synapses]
