"""The verbs of the transition summary, and what is said with them."""

from __future__ import annotations

from cli.view import summary
from tests.kit.pengine import cib, decide, monitor, primitive, ran, started, state, stopped


def shown(document: bytes) -> list[str]:
    return [" ".join(line.split()) for line in summary.transition(decide(document))]


def promotable(promoted: str = "1") -> str:
    score = f'<nvpair id="c-{promoted}" name="promoted-max" value="{promoted}"/>'
    pairs = f'<nvpair id="c-p" name="promotable" value="true"/>{score}'
    child = primitive("a").replace('type="Dummy"', 'type="Stateful"')
    return f'<clone id="c"><meta_attributes id="c-m">{pairs}</meta_attributes>{child}</clone>'


def history(*, leads: bool = False) -> str:
    return started() + (ran("promote", call=3) if leads else "")


def both(one: str, other: str, score: str = "10") -> str:
    states = state("node1", {"a": one}, attributes={"master-a": score}) + state(
        "node2", {"a": other}
    )
    return states.replace('type="Dummy"', 'type="Stateful"')


def test_what_is_promoted_where_it_runs_names_both_roles() -> None:
    document = cib(promotable(), status=both(history(), history()))
    assert shown(document) == ["* Promote a:0 ( Unpromoted -> Promoted node1 )"]


def test_what_is_promoted_from_nothing_has_only_a_destination() -> None:
    document = cib(promotable(), status=both(stopped(), history()))
    assert "* Promote a:1 ( Stopped -> Promoted node1 )" in shown(document)


def test_what_may_lead_no_longer_is_demoted() -> None:
    document = cib(promotable("0"), status=both(history(leads=True), history()))
    assert shown(document) == ["* Demote a:0 ( Promoted -> Unpromoted node1 )"]


def test_a_move_shows_both_ends_and_a_recovery_says_nothing_of_why() -> None:
    standby = {"node1": {"standby": "true"}}
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    document = cib(primitive("a"), status=status, node_attributes=standby)
    assert shown(document) == ["* Move a ( node1 -> node2 )"]
    failed = started() + ran("monitor", call=3, interval_ms=10000, rc=1)
    status = state("node1", {"a": failed}) + state("node2", {"a": stopped()})
    found = cib(primitive("a", ops=monitor("a")), status=status)
    assert shown(found) == ["* Recover a ( node1 )"]


def test_what_is_active_twice_and_may_not_start_stops_once_in_words() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": started()})
    document = cib(primitive("a"), status=status, quorum=False)
    assert shown(document) == ["* Stop a ( node1 ) due to no quorum"]


def test_columns_are_as_wide_as_their_longest_text() -> None:
    lines = list(summary.transition(decide(cib(primitive("a") + primitive("much-longer")))))
    assert lines == [
        "  * Start      a              ( node1 )",
        "  * Start      much-longer    ( node2 )",
    ]
