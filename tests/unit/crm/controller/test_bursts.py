"""Changes of the configuration in a burst: planned for together, and never later than one alone."""

from __future__ import annotations

from crm.api import cib
from crm.controller.conductor import MAX_REST_S, REST_FACTOR
from crm.controller.core import Controller
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


def test_options_are_read_once_however_fast_they_change_and_again_after_the_last_change() -> None:
    crmd = Controller(new_uuid=lambda: "", wall=lambda: 0.0)
    (first,) = questions(crmd.receive(PeerConnected("cib"), 0.0))
    option = b'<diff><change path="/cib/configuration/crm_config"/></diff>'
    for epoch in range(5):
        assert questions(crmd.receive(told(epoch, option), 0.0)) == []
    answer = cib.QueryReply(first, cib.Outcome.OK, xml=b"<crm_config/>")
    (second,) = questions(crmd.receive(MessageArrived("cib", answer), 0.0))
    answer = cib.QueryReply(second, cib.Outcome.OK, xml=b"<crm_config/>")
    assert questions(crmd.receive(MessageArrived("cib", answer), 0.0)) == []


def test_options_are_not_read_again_for_a_change_of_a_resource() -> None:
    crmd = Controller(new_uuid=lambda: "", wall=lambda: 0.0)
    (first,) = questions(crmd.receive(PeerConnected("cib"), 0.0))
    answer = cib.QueryReply(first, cib.Outcome.OK, xml=b"<crm_config/>")
    crmd.receive(MessageArrived("cib", answer), 0.0)
    resource = b'<diff><change path="/cib/configuration/resources"/></diff>'
    assert questions(crmd.receive(told(1, resource), 0.0)) == []
