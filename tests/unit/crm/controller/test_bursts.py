"""Changes of the configuration in a burst: planned for together, and never later than one alone."""

from __future__ import annotations

from crm.api import cib
from crm.controller.conductor import (
    BURST_FACTOR,
    BURST_PAUSE_S,
    MAX_BURST_S,
    MAX_REST_S,
    MAX_STALE_S,
    REST_FACTOR,
)
from crm.controller.core import SETTINGS_PAUSE_S, Controller
from crm.model.version import Version
from crm.plumbing.machine import MessageArrived, PeerConnected, Tell
from tests.kit.controller import ControllerCluster

ALL = ("litsha21", "litsha22", "litsha23")


def settled() -> ControllerCluster:
    """A cluster at rest, whose scheduler needs time from now on."""
    cluster = ControllerCluster(*ALL)
    cluster.world.preferences["vip"] = ["litsha21"]
    cluster.start_all()
    cluster.is_scheduler_busy = True
    cluster.graphs.clear()
    return cluster


def after_a_round(seconds: float) -> ControllerCluster:
    """A cluster that has just planned for a change, which took so long."""
    cluster = settled()
    cluster.change_configuration("litsha22")
    cluster.run()
    cluster.conclude(seconds)
    assert len(cluster.graphs) == 1
    return cluster


def change(cluster: ControllerCluster, times: int) -> None:
    for _ in range(times):
        cluster.change_configuration("litsha22")
        cluster.run()


def test_a_lone_change_is_planned_for_at_once() -> None:
    cluster = settled()
    before = cluster.now
    change(cluster, 1)
    assert len(cluster.graphs) == 1
    assert cluster.now == before


def test_changes_that_follow_a_round_are_planned_for_together_when_the_scheduler_has_rested() -> (
    None
):
    cluster = after_a_round(0.02)
    ended = cluster.now
    change(cluster, 5)
    assert len(cluster.graphs) == 1
    assert cluster["litsha21"].crmd is not None
    assert cluster["litsha21"].crmd.next_deadline() == ended + REST_FACTOR * 0.02
    cluster.pass_time(REST_FACTOR * 0.02)
    assert len(cluster.graphs) == 2
    cluster.conclude(0.02)
    assert cluster.states["litsha21"] == "S_IDLE"


def test_a_change_after_the_rest_is_planned_for_at_once() -> None:
    cluster = after_a_round(0.02)
    cluster.pass_time(REST_FACTOR * 0.02)
    before = cluster.now
    change(cluster, 1)
    assert len(cluster.graphs) == 2
    assert cluster.now == before


def rained_upon(cluster: ControllerCluster, every_s: float, seconds: float) -> int:
    """Change something again and again for so long; tell how many rounds began."""
    before = len(cluster.graphs)
    for _ in range(round(seconds / every_s)):
        change(cluster, 1)
        cluster.pass_time(every_s)
    return len(cluster.graphs) - before


def test_a_round_waits_for_the_end_of_a_burst() -> None:
    cluster = after_a_round(0.02)
    assert rained_upon(cluster, BURST_PAUSE_S / 2, 0.3) == 0
    cluster.pass_time(BURST_PAUSE_S / 2)
    assert len(cluster.graphs) == 2


def test_a_burst_that_does_not_end_is_planned_for_all_the_same() -> None:
    cluster = after_a_round(0.02)
    assert rained_upon(cluster, BURST_PAUSE_S / 2, BURST_FACTOR * 0.02 + BURST_PAUSE_S) == 1


def test_however_long_a_round_takes_the_wait_for_the_end_of_a_burst_has_a_bound() -> None:
    cluster = after_a_round(30.0)
    assert rained_upon(cluster, BURST_PAUSE_S / 2, MAX_BURST_S - BURST_PAUSE_S) == 0
    assert rained_upon(cluster, BURST_PAUSE_S / 2, 2 * BURST_PAUSE_S) == 1


def test_changes_at_the_pace_of_a_person_are_no_burst() -> None:
    cluster = after_a_round(0.02)
    cluster.pass_time(REST_FACTOR * 0.02)
    assert rained_upon(cluster, 2 * BURST_PAUSE_S, 2 * BURST_PAUSE_S) == 1


def test_a_plan_is_carried_out_though_changes_never_stop() -> None:
    cluster = after_a_round(1.0)
    notes = cluster.nodes["litsha21"].notes
    notes.clear()
    began = cluster.now
    while not any("do_te_invoke: Processing graph" in text for text in notes):
        rained_upon(cluster, BURST_PAUSE_S / 2, 0.3)
        cluster.conclude(0.0)
        assert cluster.now - began < MAX_STALE_S + 2 * MAX_BURST_S
    assert cluster.now - began >= MAX_STALE_S


def test_however_long_a_round_takes_the_rest_has_a_bound() -> None:
    cluster = after_a_round(30.0)
    change(cluster, 1)
    cluster.pass_time(MAX_REST_S)
    assert len(cluster.graphs) == 2


def test_what_happens_to_nodes_waits_for_no_rest() -> None:
    cluster = after_a_round(0.02)
    change(cluster, 3)
    before = cluster.now
    cluster.crash("litsha23")
    cluster.run()
    assert len(cluster.graphs) == 2
    assert cluster.now == before


def test_a_burst_while_the_scheduler_thinks_costs_one_more_round() -> None:
    cluster = settled()
    change(cluster, 10)
    assert len(cluster.graphs) == 1
    cluster.conclude(0.02)
    change(cluster, 10)
    cluster.pass_time(1.0)
    assert len(cluster.graphs) == 2
    cluster.conclude(0.02)
    cluster.pass_time(1.0)
    assert len(cluster.graphs) == 2
    assert cluster.states["litsha21"] == "S_IDLE"


def questions(effects: list[object]) -> list[int]:
    return [
        effect.message.request
        for effect in effects
        if isinstance(effect, Tell) and isinstance(effect.message, cib.Query)
    ]


def told(epoch: int, patch: bytes) -> MessageArrived:
    touched = (cib.Touched("configuration", "cib-bootstrap-options"),)
    versions = Version(0, epoch), Version(0, epoch + 1)
    return MessageArrived("cib", cib.CibChanged(*versions, touched, cib.Origin("crm"), patch))


def test_options_are_read_a_few_times_however_fast_they_change_and_after_the_last_change() -> None:
    crmd = Controller(new_uuid=lambda: "", wall=lambda: 0.0)
    (first,) = questions(crmd.receive(PeerConnected("cib"), 0.0))
    option = b'<diff><change path="/cib/configuration/crm_config/p[@name="dc-deadtime"]"/></diff>'
    for epoch in range(5):
        assert questions(crmd.receive(told(epoch, option), 0.0)) == []
    answer = cib.QueryReply(first, cib.Outcome.OK, xml=b"<crm_config/>")
    assert questions(crmd.receive(MessageArrived("cib", answer), 0.1)) == []
    assert crmd.next_deadline() == SETTINGS_PAUSE_S
    (second,) = questions(crmd.tick(SETTINGS_PAUSE_S))
    answer = cib.QueryReply(second, cib.Outcome.OK, xml=b"<crm_config/>")
    assert questions(crmd.receive(MessageArrived("cib", answer), 0.5)) == []
    assert crmd.next_deadline() is None
    assert questions(crmd.receive(told(9, option), 0.5)) != []


def test_options_are_not_read_again_for_a_change_of_a_resource() -> None:
    crmd = Controller(new_uuid=lambda: "", wall=lambda: 0.0)
    (first,) = questions(crmd.receive(PeerConnected("cib"), 0.0))
    answer = cib.QueryReply(first, cib.Outcome.OK, xml=b"<crm_config/>")
    crmd.receive(MessageArrived("cib", answer), 0.0)
    resource = b'<diff><change path="/cib/configuration/resources"/></diff>'
    assert questions(crmd.receive(told(1, resource), 0.0)) == []
