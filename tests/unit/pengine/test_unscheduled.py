"""What is configured but of a kind that is not scheduled is left alone."""

from __future__ import annotations

from tests.kit.pengine import actions, cib, decide, primitive, started, state, stopped

BUNDLE = '<bundle id="b"><podman image="x" replicas="1"/>' + primitive("inner") + "</bundle>"


def test_the_parts_of_a_bundle_are_never_taken_for_leftovers() -> None:
    histories = {"b-podman-0": started(), "b-0": started(), "inner": started(), "a": stopped()}
    document = cib(
        BUNDLE + primitive("a", meta={"target-role": "Stopped"}),
        nodes=("node1",),
        status=state("node1", histories),
    )
    assert actions(decide(document)) == []


def test_what_nothing_configures_is_still_stopped() -> None:
    document = cib(primitive("a"), nodes=("node1",), status=state("node1", {"c": started()}))
    assert "c_stop_0@node1" in actions(decide(document))
