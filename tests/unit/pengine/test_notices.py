"""Who is told of what a clone does."""

from __future__ import annotations

from tests.kit.pengine import (
    actions,
    cib,
    decide,
    primitive,
    started,
    state,
    stopped,
    waits_for,
)

NOTIFYING = (
    '<clone id="cl"><meta_attributes id="m"><nvpair id="n" name="notify" value="true"/>'
    f"</meta_attributes>{primitive('a')}</clone>"
)


def test_a_copy_that_runs_is_told_before_and_after_another_starts() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(NOTIFYING, status=status)))
    assert "a_pre_notify_start_0@node1" in found
    assert "a_post_notify_start_0@node1" in found


def test_a_copy_that_starts_is_told_only_afterwards() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": stopped()})
    found = actions(decide(cib(NOTIFYING, status=status)))
    assert "a_post_notify_start_0@node2" in found or "a:1_post_notify_start_0@node2" in found
    assert not [key for key in found if "pre_notify" in key and key.endswith("@node2")]


def test_a_copy_that_stopped_is_not_told_that_it_did() -> None:
    standby = {"standby": "on"}
    status = state("node1", {"a": started()}) + state("node2", {"a": started()}, attributes=standby)
    found = actions(decide(cib(NOTIFYING, status=status)))
    assert "a_pre_notify_stop_0@node2" in found
    assert "a_post_notify_stop_0@node2" not in found


def test_nobody_is_told_when_nothing_happens() -> None:
    status = state("node1", {"a": started()}) + state("node2", {"a": started()})
    assert actions(decide(cib(NOTIFYING, status=status))) == []


def test_copies_are_told_right_after_fencing_what_it_ended() -> None:
    device = '<primitive id="dev" class="stonith" type="fence_dummy"/>'
    lost = state("node2", {"a": started()}, online=False)
    lost = lost.replace('expected="down"', 'expected="member"')
    status = state("node1", {"a": started(), "dev": started()}) + lost
    decision = decide(cib(device + NOTIFYING, status=status, options={"stonith-enabled": "true"}))
    told = [key for key in actions(decision) if key.endswith("_notified_0")]
    assert len(told) == 1
    owner = told[0].removesuffix("_notified_0")
    before = waits_for(decision, told[0])
    assert f"{owner}_post_notify_stop_0" in before
    assert {key for key in before if key.endswith("_post_notify_stop_0@node1")}
