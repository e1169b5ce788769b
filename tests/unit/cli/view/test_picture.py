"""Nodes and resources as they are, in the words users of `crm_simulate` know."""

from __future__ import annotations

from cli.view import picture
from tests.kit.pengine import cib, decide, monitor, primitive, ran, started, state, stopped

_THREE = ("node1", "node2", "node3")


def shown(document: bytes) -> list[str]:
    return [line.strip() for line in picture.status(decide(document).facts) if line.strip()]


def clone(child: str, **meta: str) -> str:
    pairs = "".join(
        f'<nvpair id="c-{name}" name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in meta.items()
    )
    return f'<clone id="c"><meta_attributes id="c-meta">{pairs}</meta_attributes>{child}</clone>'


def failed() -> str:
    return started() + ran("monitor", call=3, interval_ms=10000, rc=1)


def test_a_failed_copy_does_not_count_as_one_of_those_that_are_up() -> None:
    child = primitive("a", ops=monitor("a"))
    status = state("node1", {"a": failed()}) + state("node2", {"a": started()}) + state("node3")
    found = shown(cib(clone(child, clone_max="2"), status=status, nodes=_THREE))
    assert found[-3:] == [
        "* a\t(ocf:pacekeeper:Dummy):\t FAILED node1",
        "* Started: [ node2 ]",
        "* Stopped: [ node3 ]",
    ]


def test_a_clone_that_may_not_be_promoted_is_disabled_and_says_why() -> None:
    text = clone(primitive("a"), promotable="true", target_role="Unpromoted")
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    document = cib(text, status=status)
    assert shown(document)[-3:] == [
        "* Clone Set: c [a] (promotable, disabled):",
        "* Unpromoted (target-role): [ node1 ]",
        "* Stopped: [ node2 ]",
    ]
    assert picture.headline(decide(document).facts).startswith("2 of 2 resource instances DISABLED")


def test_a_copy_too_many_stands_with_its_clone() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": started()})
    found = shown(cib(clone(primitive("a"), clone_max="1"), status=status))
    assert found[-3:] == [
        "* Clone Set: c [a]:",
        "* a\t(ocf:pacekeeper:Dummy):\t ORPHANED Started node2",
        "* Started: [ node1 ]",
    ]


def test_maintenance_of_the_cluster_is_said_first_and_that_of_a_node_at_the_node() -> None:
    document = cib(
        primitive("a"),
        options={"maintenance-mode": "true"},
        node_attributes={"node2": {"maintenance": "true"}},
    )
    assert "Resource management is DISABLED" in picture.notice(decide(document).facts)
    assert shown(document)[1:3] == ["* Node node2: maintenance", "* Online: [ node1 ]"]


def test_an_unhealthy_node_on_standby_says_both() -> None:
    document = cib(
        primitive("a"),
        options={"node-health-strategy": "only-green"},
        node_attributes={"node1": {"standby": "true", "#health-disk": "red"}},
    )
    assert shown(document)[1] == "* Node node1: standby (health is RED)"


def test_what_keeps_the_copies_of_a_clone_down_is_said_where_they_are_missing() -> None:
    child = primitive("a", meta={"target-role": "Stopped"})
    assert "* Stopped (disabled): [ node1 node2 ]" in shown(cib(clone(child)))


def test_what_is_under_way_is_said_even_where_nothing_runs_yet() -> None:
    pending = ran("stop", rc=193, call=-1, status=-1)
    document = cib(primitive("a"), status=state("node1", {"a": pending}) + state("node2"))
    assert "* a\t(ocf:pacekeeper:Dummy):\t Stopping node1" in shown(document)


def test_what_keeps_a_copy_off_a_node_is_said_of_plain_copies_only() -> None:
    absent = ran("monitor", rc=5, expected=7)
    group = f'<group id="g">{primitive("a")}</group>'
    status = state("node1", {"a": absent}) + state("node2")
    assert "* Stopped (Not installed): [ node1 ]" in shown(
        cib(clone(primitive("a")), status=status)
    )
    assert "* Stopped: [ node1 node2 ]" in shown(cib(clone(group), status=status))


def test_a_copied_group_that_may_not_be_promoted_is_disabled() -> None:
    inner = (
        '<group id="g"><meta_attributes id="gm"><nvpair id="gm1" name="target-role"'
        f' value="Unpromoted"/></meta_attributes>{primitive("a")}</group>'
    )
    text = clone(inner, promotable="true", globally_unique="true", clone_max="1")
    assert "* Resource Group: g:0 (disabled):" in shown(cib(text))


def test_a_cluster_without_resources_says_so() -> None:
    assert shown(cib(""))[-2:] == ["* Full List of Resources:", "* No resources"]
