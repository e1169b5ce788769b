"""The graph as a drawing."""

from __future__ import annotations

from cli.view import dot
from tests.kit.pengine import cib, decide, group, primitive, started, state, stopped


def test_what_waits_is_drawn_behind_what_it_waits_for() -> None:
    standby = {"standby": "on"}
    status = state("node1", {"a": started()}, attributes=standby)
    drawn = list(dot.lines(decide(cib(primitive("a"), status=status + state("node2")))))
    assert '"a_stop_0 node1" [ style=bold color="green" fontcolor="black"]' in drawn
    assert '"a_stop_0 node1" -> "a_start_0 node2" [ style = bold]' in drawn


def test_what_is_done_by_nobody_has_another_colour() -> None:
    status = state("node1", {"a": stopped()})
    drawn = list(dot.lines(decide(cib(group("g", primitive("a")), status=status))))
    assert '"g_start_0" [ style=bold color="green" fontcolor="orange"]' in drawn


def test_what_cannot_be_done_is_red_and_nothing_waits_for_it() -> None:
    found = primitive("a", meta={"target-role": "Stopped"}) + primitive("b")
    order = '<rsc_order id="o" first="a" then="b"/>'
    status = state("node1", {"a": started(), "b": started()})
    drawn = list(dot.lines(decide(cib(found, constraints=order, status=status))))
    assert '"b_start_0 node1" [ style=dashed color="red" fontcolor="black"]' in drawn
    assert '"b_stop_0 node1" -> "b_start_0 node1" [ style = dashed]' in drawn


def test_what_need_not_be_done_is_drawn_on_demand() -> None:
    decision = decide(cib(primitive("a"), status=state("node1", {"a": started()})))
    blue = '"a_stop_0 node1" [ style=dashed color="blue" fontcolor="black"]'
    assert blue not in list(dot.lines(decision))
    assert blue in list(dot.lines(decision, everything=True))


def test_a_shutdown_is_named_after_its_node() -> None:
    status = state("node1", {"a": started()}, attributes={"shutdown": "1"}) + state("node2")
    drawn = list(dot.lines(decide(cib(primitive("a"), status=status))))
    assert '"a_stop_0 node1" -> "do_shutdown node1" [ style = bold]' in drawn
