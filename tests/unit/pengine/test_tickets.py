"""What a missing ticket does to what depends on it."""

from __future__ import annotations

import pytest

from tests.kit.pengine import (
    actions,
    cib,
    decide,
    monitor,
    primitive,
    ran,
    started,
    state,
    stopped,
)


def _cluster(policy: str, tickets: str, *, running: bool = True) -> bytes:
    made = started() if running else stopped()
    text = cib(
        primitive("a"),
        constraints=f'<rsc_ticket id="t" ticket="T" rsc="a" loss-policy="{policy}"/>',
        status=state("node1", {"a": made}) + state("node2", {"a": stopped()}),
    ).decode()
    return text.replace("<status>", f"<status><tickets>{tickets}</tickets>").encode()


REVOKED = '<ticket_state id="T" granted="false"/>'
GRANTED = '<ticket_state id="T" granted="true"/>'
MONITORED = primitive("a", ops=monitor("a"))
STANDBY = '<ticket_state id="T" granted="true" standby="true"/>'


@pytest.mark.parametrize("policy", ["stop", "demote", "fence"])
def test_what_lost_its_ticket_stops(policy: str) -> None:
    assert actions(decide(_cluster(policy, REVOKED))) == ["a_stop_0@node1"]


def test_what_is_frozen_is_left_alone_when_its_ticket_is_lost() -> None:
    assert actions(decide(_cluster("freeze", REVOKED))) == []


def test_what_is_frozen_keeps_its_node_from_leaving() -> None:
    leaving = state("node1", {"a": started()}, attributes={"shutdown": "1700000000"})
    staying = state("node1", {"a": started()})
    document = _cluster("freeze", REVOKED).decode().replace(staying, leaving)
    assert leaving in document
    assert actions(decide(document.encode())) == []


def test_standby_stops_even_what_would_be_frozen() -> None:
    assert actions(decide(_cluster("freeze", STANDBY))) == ["a_stop_0@node1"]


def test_nothing_starts_before_its_ticket_was_ever_granted() -> None:
    assert actions(decide(_cluster("stop", "", running=False))) == []


def test_a_granted_ticket_lets_a_resource_start() -> None:
    found = actions(decide(_cluster("stop", GRANTED, running=False)))
    assert [key for key in found if key.startswith("a_start")]


def test_what_is_frozen_keeps_even_a_monitor_that_is_defined_otherwise() -> None:
    looked_at = started() + ran("monitor", call=3, interval_ms=10_000, op_digest="another")
    text = _cluster("freeze", REVOKED).decode().replace(primitive("a"), MONITORED)
    document = text.replace(started().replace("@", "a"), looked_at.replace("@", "a")).encode()
    assert actions(decide(document)) == []


def test_a_node_does_not_leave_with_what_is_frozen_on_it() -> None:
    leaving = state("node1", {"a": started()}, attributes={"shutdown": "1"})
    document = _cluster("freeze", REVOKED).replace(
        state("node1", {"a": started()}).encode(), leaving.encode()
    )
    assert leaving.encode() in document
    assert actions(decide(document)) == []


def _clone_needs(named: str, status: str = "") -> bytes:
    inner = f'<clone id="c">{primitive("a")}</clone>'
    needs = f'<rsc_ticket id="t" ticket="T" rsc="{named}"/>'
    return cib(inner, constraints=needs, status=status or None)


def test_a_ticket_of_what_is_in_a_clone_is_needed_once_a_history_knows_it() -> None:
    assert "c_start_0" not in actions(decide(_clone_needs("c")))
    assert "c_start_0" in actions(decide(_clone_needs("a")))
    known = state("node1", {"a": stopped()}) + state("node2", {"a": stopped()})
    assert "c_start_0" not in actions(decide(_clone_needs("a", known)))
