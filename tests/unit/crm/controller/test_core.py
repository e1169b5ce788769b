"""Controllers in conversation: from the first view to an idle cluster, through what may happen."""

import pytest

from crm.api import cib, controller, membership, peers
from crm.api.membership import SendCluster
from crm.controller.history import resource_of_attribute
from crm.model.graph import Action, ActionKind, Graph, Synapse
from crm.model.version import Reign, Version
from crm.plumbing.machine import PeerConnected, PeerLost, StopRequested
from tests.kit.controller import ControllerCluster, cib_with, fail_count, tool_wait, update

ALL = ("litsha21", "litsha22", "litsha23")


def three() -> ControllerCluster:
    cluster = ControllerCluster(*ALL)
    cluster.world.preferences["vip"] = ["litsha21"]
    return cluster


def started() -> ControllerCluster:
    cluster = three()
    cluster.start_all()
    assert cluster.where("vip") == ["litsha21"]
    cluster.world.log.clear()
    return cluster


def assert_settled(cluster: ControllerCluster) -> None:
    """One DC, idle; every other member under it."""
    assert len(cluster.dcs) == 1, cluster.states
    for name, state in cluster.states.items():
        assert state == ("S_IDLE" if name in cluster.dcs else "S_NOT_DC"), cluster.states


# --- start --------------------------------------------------------------------------------


def test_three_nodes_that_start_together_elect_one_dc_and_come_to_rest() -> None:
    cluster = three()
    cluster.start_all()
    assert cluster.dcs == ["litsha21"]
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha21"]
    assert cluster.now == 0.0, "no timer was needed"


def test_probe_start_and_monitor_take_one_transition() -> None:
    cluster = three()
    cluster.start_all()
    assert len(cluster.graphs) == 1
    operations = [order.operation for order in cluster["litsha21"].lrmd.seen]
    assert operations == ["monitor", "start", "monitor"]


def test_the_nodes_section_is_filled_once() -> None:
    cluster = started()
    assert set(cluster.document().nodes) == set(ALL)
    epoch = cluster.document().version.epoch
    cluster.crash("litsha23")
    cluster.run()
    cluster.revive("litsha23")
    cluster.run()
    assert cluster.document().version.epoch == epoch


def test_a_node_whose_crmd_does_not_come_up_delays_the_election_by_dc_deadtime_alone() -> None:
    cluster = three()
    cluster["litsha21"].start()
    cluster["litsha22"].start()
    cluster.install(ALL)
    cluster.run()
    assert cluster.dcs == []
    cluster.pass_time(19.0)
    assert cluster.dcs == []
    cluster.pass_time(1.5)
    assert cluster.dcs == ["litsha21"]


def test_a_lone_node_without_quorum_is_dc_and_starts_nothing() -> None:
    cluster = three()
    cluster["litsha22"].start()
    cluster.install(["litsha22"])
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert cluster.document().root["have-quorum"] == "0"
    assert cluster.where("vip") == []


# --- who is DC ------------------------------------------------------------------------------------


def test_the_older_member_is_dc_although_its_name_is_greater() -> None:
    cluster = started()
    cluster.crash("litsha21")
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    cluster.revive("litsha21")
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert_settled(cluster)


def test_among_members_of_equal_age_the_smaller_name_is_dc() -> None:
    cluster = ControllerCluster("b", "c", "a")
    cluster.start_all()
    assert cluster.dcs == ["a"]


def test_a_node_that_joins_does_not_disturb_the_dc() -> None:
    cluster = three()
    cluster["litsha22"].start()
    cluster["litsha23"].start()
    cluster.install(["litsha22", "litsha23"])
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    reign = cluster["litsha22"].crmd.reign
    cluster["litsha21"].start()
    cluster.install(ALL)
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert cluster["litsha22"].crmd.reign == reign
    assert_settled(cluster)


def test_members_may_join_one_after_the_other() -> None:
    cluster = started()
    for _ in range(3):
        for name in ("litsha22", "litsha23"):
            cluster.crash(name)
            cluster.run()
            cluster.revive(name)
            cluster.run()
            assert_settled(cluster)
    cluster.stop("litsha21")
    cluster.run()
    assert cluster["litsha21"].exit_codes == [0]


def test_each_reign_is_greater_than_the_one_before() -> None:
    cluster = started()
    first = cluster["litsha22"].crmd.reign
    cluster.crash("litsha21")
    cluster.run()
    assert cluster["litsha22"].crmd.reign > first
    assert cluster["litsha23"].lrmd.reign == cluster["litsha22"].crmd.reign


def test_two_partitions_that_meet_keep_one_dc() -> None:
    cluster = started()
    cluster.cut(["litsha21"], ["litsha22", "litsha23"])
    cluster.run()
    assert sorted(cluster.dcs) == ["litsha21", "litsha22"]
    assert cluster["litsha21"].crmd.state == "S_IDLE"
    cluster.heal()
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert_settled(cluster)
    reigns = {cluster[name].crmd.reign for name in ALL}
    assert len(reigns) == 1
    assert cluster.where("vip") == ["litsha21"]
    assert cluster.now == 0.0, "no timer was needed"


# --- losses -------------------------------------------------------------------------------


def test_a_crashed_member_is_replaced_without_a_new_join() -> None:
    cluster = started()
    cluster.world.preferences["vip"] = ["litsha22", "litsha21"]
    cluster.change_configuration("litsha21")
    cluster.run()
    assert cluster.where("vip") == ["litsha22"]
    before = cluster.now
    cluster["litsha21"].notes.clear()
    cluster.crash("litsha22")
    cluster.run()
    assert cluster.where("vip") == ["litsha21"]
    assert cluster.now == before, "no timer was needed"
    assert not [line for line in cluster["litsha21"].notes if "S_INTEGRATION" in line]
    assert cluster.document().states["litsha22"]["in_membership"] is False


def test_a_crashed_dc_is_succeeded_at_once() -> None:
    cluster = started()
    cluster.crash("litsha21")
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert cluster.where("vip") == ["litsha22"]
    assert cluster.now == 0.0, "no timer was needed"
    warning = "check_dead_member: Our DC node (litsha21) left the cluster"
    assert warning in cluster["litsha22"].notes


def test_the_last_node_without_quorum_lets_go() -> None:
    cluster = started()
    cluster.crash("litsha21")
    cluster.run()
    cluster.crash("litsha23")
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert cluster.where("vip") == []
    cluster.revive("litsha21")
    cluster.run()
    assert cluster.dcs == ["litsha22"]
    assert len(cluster.where("vip")) == 1


def test_a_member_that_restarted_faster_than_it_was_missed_is_probed() -> None:
    cluster = started()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.change_configuration("litsha21")
    cluster.run()
    assert cluster.where("vip") == ["litsha22"]
    node = cluster["litsha22"]
    cluster.world.active["litsha22"] = set()
    cluster.kill_crmd("litsha22")
    node.attrd = None
    node.clients.clear()
    node.lrmd = type(node.lrmd)("litsha22-again")
    node.start()
    cluster.install(ALL, reborn=["litsha22"])
    cluster.run()
    assert_settled(cluster)
    assert [order.operation for order in node.lrmd.seen][:1] == ["monitor"]
    assert len(cluster.where("vip")) == 1


def test_what_runs_on_a_member_that_restarts_is_not_started_elsewhere() -> None:
    cluster = started()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.change_configuration("litsha21")
    cluster.run()
    node = cluster["litsha22"]
    cluster.kill_crmd("litsha22")
    node.attrd = None
    node.clients.clear()
    node.lrmd = type(node.lrmd)("litsha22-again")
    cluster.install(ALL, reborn=["litsha22"])
    cluster.run()
    assert cluster.where("vip") == ["litsha22"], "its crmd is still starting"
    node.start()
    cluster.run()
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha22"]
    assert {order.operation for order in node.lrmd.seen} == {"monitor"}


def test_the_dc_that_restarted_faster_than_it_was_missed_is_succeeded() -> None:
    cluster = started()
    node = cluster["litsha21"]
    cluster.world.active["litsha21"] = set()
    cluster.kill_crmd("litsha21")
    node.attrd = None
    node.clients.clear()
    node.lrmd = type(node.lrmd)("litsha21-again")
    node.cib = type(node.cib)("litsha21")
    node.start()
    cluster.install(ALL, reborn=["litsha21"])
    cluster.run()
    assert_settled(cluster)
    assert cluster.dcs == ["litsha22"]
    assert cluster.where("vip") == ["litsha21"]


def test_losing_a_node_during_its_start_operation_starts_elsewhere() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster["litsha22"].lrmd.is_holding = True
    cluster.start_all()
    assert cluster.states["litsha21"] == "S_TRANSITION_ENGINE"
    cluster.crash("litsha22")
    cluster.run()
    assert_settled(cluster)
    assert len(cluster.where("vip")) == 1


def test_an_evicted_dc_gives_up_its_office() -> None:
    cluster = started()
    cluster.evict("litsha21")
    cluster.run()
    assert cluster.dcs == []
    assert cluster.states["litsha21"] == "S_PENDING"


def test_an_evicted_node_lets_go_of_everything_in_reverse_order() -> None:
    cluster = three()
    cluster.world.preferences = {"a": ["litsha22"], "b": ["litsha22"], "c": ["litsha23"]}
    cluster.start_all()
    assert cluster.world.active["litsha22"] == {"a", "b"}
    started = [name for node, name, _ in cluster.world.log if node == "litsha22"]
    cluster.world.log.clear()
    cluster.evict("litsha22")
    cluster.run()
    assert cluster.world.active["litsha22"] == set()
    assert [entry[1] for entry in cluster.world.log] == started[::-1]


def test_an_evicted_node_stops_what_was_just_being_started() -> None:
    cluster = three()
    cluster["litsha21"].lrmd.is_holding = True
    cluster.start_all()
    cluster.release_one("litsha21")
    cluster.run()
    cluster.evict("litsha21")
    cluster.run()
    cluster.release("litsha21")
    cluster.run()
    assert cluster.where("vip") == []


def test_a_member_that_loses_quorum_alone_lets_go_soon() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.start_all()
    cluster.lose_quorum_alone("litsha22")
    cluster.run()
    assert cluster.where("vip") == ["litsha22"]
    cluster.pass_time(0.3)
    assert cluster.where("vip") == []
    cluster.pass_time(5)
    assert cluster.where("vip") == []
    assert len(cluster.graphs) < 12, "an order given back is not repeated at once"
    cluster.install(ALL)
    cluster.run()
    cluster.pass_time(2)
    assert cluster.where("vip") == ["litsha22"]


@pytest.mark.parametrize("happens", ["lose_quorum_alone", "evict"])
def test_a_node_that_lets_go_leaves_alone_what_is_unmanaged(happens: str) -> None:
    cluster = three()
    cluster.world.preferences = {"vip": ["litsha22"], "db": ["litsha22"]}
    cluster.world.cib = cib_with(
        '<primitive id="vip" class="ocf" provider="pacekeeper" type="Dummy"/>'
        '<primitive id="db" class="ocf" provider="pacekeeper" type="Dummy">'
        '<meta_attributes id="m"><nvpair id="n" name="is-managed" value="false"/>'
        "</meta_attributes></primitive>"
    )
    cluster.start_all()
    getattr(cluster, happens)("litsha22")
    cluster.run()
    cluster.pass_time(0.5)
    assert cluster.world.active["litsha22"] == {"db"}


def test_a_node_whose_cib_is_gone_lets_go_without_asking() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.start_all()
    cluster["litsha22"].to("crmd", PeerLost("cib"))
    cluster.evict("litsha22")
    cluster.run()
    assert cluster.where("vip") == []


def test_a_member_whose_dc_sees_to_the_loss_of_quorum_leaves_it_to_the_dc() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.start_all()
    cluster.quorum_of = lambda members: False
    cluster.install(ALL)
    cluster.run()
    assert cluster.where("vip") == []
    assert not [line for line in cluster["litsha22"].notes if "letting go" in line]
    cluster.pass_time(1)
    assert not [line for line in cluster["litsha22"].notes if "letting go" in line]


# --- daemons that die ---------------------------------------------------------------------


@pytest.mark.parametrize("victim", ALL)
def test_a_killed_crmd_restarts_no_resource(victim: str) -> None:
    cluster = started()
    cluster.kill_crmd(victim)
    cluster.run()
    cluster.pass_time(0.5)
    cluster[victim].start_crmd()
    cluster.run()
    assert_settled(cluster)
    assert cluster.world.log == []
    assert cluster.where("vip") == ["litsha21"]


def _start_held_at(cluster: ControllerCluster, name: str) -> None:
    """Start everybody, with the start of vip at a node held back by its executor."""
    cluster[name].lrmd.is_holding = True
    cluster.start_all()
    cluster.release_one(name)
    cluster.run()
    assert [order.operation for order in cluster[name].lrmd.held] == ["start"]


@pytest.mark.parametrize("holder", ["litsha21", "litsha22"])
def test_what_a_crmd_did_not_live_to_report_is_not_started_elsewhere(holder: str) -> None:
    cluster = three()
    cluster.world.preferences["vip"] = [holder]
    _start_held_at(cluster, holder)
    cluster.world.preferences["vip"] = ["litsha23"]
    cluster.kill_crmd(holder)
    cluster.release(holder)
    cluster.run()
    cluster.pass_time(5)
    assert cluster.where("vip") == [holder], "its crmd is away: nobody knows what runs there"
    cluster[holder].start_crmd()
    cluster.run()
    assert cluster.where("vip") == ["litsha23"]
    assert_settled(cluster)


def test_a_member_in_doubt_is_waited_for_no_longer_than_for_any_other() -> None:
    cluster = three()
    _start_held_at(cluster, "litsha21")
    cluster.kill_crmd("litsha21")
    cluster.run()
    cluster.pass_time(29)
    assert cluster.where("vip") == []
    cluster.pass_time(2)
    assert cluster.where("vip") == ["litsha22"]


@pytest.mark.parametrize("victim", ALL)
def test_a_killed_executor_restarts_no_resource_and_is_probed(victim: str) -> None:
    cluster = started()
    cluster.restart_lrmd(victim)
    cluster.run()
    assert_settled(cluster)
    assert cluster.world.log == []
    assert cluster[victim].lrmd.seen[0].operation == "monitor"
    assert ("vip", "monitor", 5000) in cluster["litsha21"].lrmd.results


def test_a_member_that_loses_cib_and_executor_joins_again_when_both_are_back() -> None:
    cluster = started()
    node = cluster["litsha22"]
    node.to("crmd", PeerLost("cib"))
    node.to("crmd", PeerLost("lrmd"))
    cluster.run()
    node.to("crmd", PeerConnected("cib"))
    cluster.run()
    node.to("crmd", PeerConnected("lrmd"))
    cluster.run()
    assert_settled(cluster)
    assert cluster.world.log == []
    assert cluster.now == 0.0, "no timer was needed"


def test_an_executor_lost_in_mid_flight_is_waited_for_and_asked() -> None:
    cluster = three()
    cluster["litsha21"].lrmd.is_holding = True
    cluster.start_all()
    cluster["litsha21"].to("crmd", PeerLost("lrmd"))
    cluster.run()
    cluster.restart_lrmd("litsha21")
    cluster.run()
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha21"]


def test_a_crmd_that_does_not_come_back_is_written_down_as_offline() -> None:
    cluster = started()
    cluster.kill_crmd("litsha22")
    cluster.run()
    assert cluster.document().states["litsha22"]["crmd_online"] is True
    cluster.pass_time(31)
    assert cluster.document().states["litsha22"]["crmd_online"] is False


def test_a_killed_cib_of_the_dc_leads_to_a_new_reign_with_the_newest_document() -> None:
    cluster = started()
    node = cluster["litsha21"]
    before = node.crmd.reign
    node.to("crmd", PeerLost("cib"))
    cluster.run()
    node.cib = type(node.cib)("litsha21")
    node.to("crmd", PeerConnected("cib"))
    cluster.run()
    assert_settled(cluster)
    assert node.crmd.reign > before
    assert node.cib.document.version >= Version(0, 2, 0)
    assert cluster.world.log == []


def test_the_newest_cib_wins_even_if_it_is_not_the_dc_s() -> None:
    cluster = three()
    cluster["litsha23"].cib.document.version = Version(0, 77, 0)
    cluster.start_all()
    assert cluster.dcs == ["litsha21"]
    assert cluster.document().version.epoch >= 77


def test_a_joining_node_with_a_newer_cib_makes_everybody_join_anew() -> None:
    cluster = started()
    cluster.crash("litsha23")
    cluster.run()
    cluster["litsha23"].cib.document.version = Version(0, 99, 0)
    cluster.revive("litsha23")
    cluster.run()
    assert_settled(cluster)
    assert cluster.document().version.epoch >= 99
    assert cluster.document().states["litsha22"]["join"] == "member"
    assert cluster.where("vip") == ["litsha21"]


# --- failures -----------------------------------------------------------------------------


def test_a_monitor_that_fails_is_counted_before_the_recovery() -> None:
    cluster = started()
    cluster.world.active["litsha21"].clear()
    cluster.monitor_finds("litsha21", "vip", 7)
    cluster.run()
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha21"]
    values = cluster.document().attributes["litsha21"]
    assert values[fail_count("vip", "monitor", 5000)] == "1"
    assert values["last-failure-vip#monitor_5000"] == "1000"


def test_a_failure_on_another_node_than_the_dc_is_counted_there() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha23"]
    cluster.start_all()
    for _ in range(2):
        cluster.world.active["litsha23"].clear()
        cluster.monitor_finds("litsha23", "vip", 7)
        cluster.run()
    values = cluster.document().attributes["litsha23"]
    assert values[fail_count("vip", "monitor", 5000)] == "2"


def test_a_failed_start_moves_the_resource_and_is_tried_once() -> None:
    cluster = three()
    cluster.world.failing[("litsha21", "vip", "start")] = 1
    cluster.start_all()
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha22"]
    starts = [entry for entry in cluster.world.log if entry == ("litsha21", "vip", "start")]
    assert len(starts) == 1
    values = cluster.document().attributes["litsha21"]
    assert values[fail_count("vip", "start")] == "INFINITY"


def test_a_probe_that_finds_the_resource_running_is_no_failure() -> None:
    cluster = three()
    cluster.world.active["litsha21"] = {"vip"}
    cluster.start_all()
    assert_settled(cluster)
    assert cluster.world.log == []
    assert cluster.document().attributes.get("litsha21", {}) == {}


def test_a_change_of_the_configuration_aborts_and_waits_for_what_is_in_flight() -> None:
    cluster = three()
    cluster["litsha21"].lrmd.is_holding = True
    cluster.start_all()
    assert cluster.states["litsha21"] == "S_TRANSITION_ENGINE"
    cluster.world.preferences["vip"] = ["litsha22"]
    cluster.change_configuration("litsha22")
    cluster.run()
    assert cluster.states["litsha21"] == "S_TRANSITION_ENGINE"
    assert len(cluster.graphs) == 1
    cluster.release("litsha21")
    cluster.run()
    assert_settled(cluster)
    assert cluster.where("vip") == ["litsha22"]
    assert ("litsha21", "vip", "start") not in cluster.world.log


def test_an_operation_that_never_ends_is_given_up() -> None:
    cluster = three()
    cluster["litsha22"].lrmd.is_holding = True
    cluster.start_all()
    assert cluster.states["litsha21"] == "S_TRANSITION_ENGINE"
    cluster.pass_time(79)
    assert len(cluster.graphs) == 1
    cluster.pass_time(2)
    assert len(cluster.graphs) == 2


def test_the_recheck_timer_schedules_again() -> None:
    cluster = started()
    count = len(cluster.graphs)
    cluster.pass_time(901)
    assert len(cluster.graphs) == count + 1
    assert_settled(cluster)


# --- the way out --------------------------------------------------------------------------


def test_a_member_that_stops_has_its_resources_moved_first() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha23"]
    cluster.start_all()
    cluster.stop("litsha23")
    cluster.run()
    assert cluster["litsha23"].exit_codes == [0]
    assert cluster.world.active["litsha23"] == set()
    assert len(cluster.where("vip")) == 1
    assert cluster.document().states["litsha23"]["crmd_online"] is False


def test_a_member_whose_disk_takes_no_configuration_is_let_go_all_the_same() -> None:
    cluster = three()
    cluster.start_all()
    cluster.crash("litsha23")
    cluster.run()
    cluster.revive("litsha23")
    cluster["litsha23"].cib.cannot_write = True
    cluster.run()
    cluster.stop("litsha23")
    cluster.run()
    cluster.pass_time(30)
    assert cluster["litsha23"].exit_codes == [0]


def test_the_dc_that_stops_is_succeeded_and_its_resource_moves() -> None:
    cluster = started()
    cluster.stop("litsha21")
    cluster.run()
    assert cluster["litsha21"].exit_codes == [0]
    assert cluster.dcs == ["litsha22"]
    assert cluster.where("vip") == ["litsha22"]
    assert cluster.now == 0.0, "no timer was needed"


def test_all_three_can_stop_at_once() -> None:
    cluster = started()
    for name in ALL:
        cluster.stop(name)
    cluster.run()
    cluster.pass_time(12)
    assert [cluster[name].exit_codes for name in ALL] == [[0], [0], [0]]
    assert cluster.where("vip") == []


def test_a_lone_node_stops_its_own_resources() -> None:
    cluster = ControllerCluster("only")
    cluster.world.preferences["vip"] = ["only"]
    cluster.start_all()
    assert cluster.where("vip") == ["only"]
    cluster.stop("only")
    cluster.run()
    assert cluster.where("vip") == []
    assert cluster["only"].exit_codes == [0]


def test_without_a_dc_the_stop_is_not_waited_for_longer_than_the_escalation() -> None:
    cluster = three()
    cluster["litsha21"].start()
    cluster.install(ALL)
    cluster["litsha21"].lrmd.is_holding = True
    cluster.run()
    cluster.stop("litsha21")
    cluster.run()
    cluster.pass_time(1201)
    assert cluster["litsha21"].exit_codes == [0]


def test_a_stop_before_anything_was_begun_ends_at_once() -> None:
    cluster = three()
    node = cluster["litsha21"]
    node.start()
    cluster.queue.clear()
    node.to("crmd", StopRequested())
    cluster.run()
    assert node.exit_codes == [0]


def test_a_shutdown_is_asked_for_again_when_the_dc_dies() -> None:
    cluster = three()
    cluster.world.preferences["vip"] = ["litsha23"]
    cluster.start_all()
    cluster["litsha23"].lrmd.is_holding = True
    cluster.stop("litsha23")
    cluster.run()
    assert cluster["litsha23"].exit_codes == []
    cluster.crash("litsha21")
    cluster.run()
    cluster.release("litsha23")
    cluster.run()
    cluster.pass_time(2)
    assert cluster["litsha23"].exit_codes == [0]
    assert cluster.where("vip") == ["litsha22"]


# --- fencing ------------------------------------------------------------------------------


def fence_once(cluster: ControllerCluster, _document: object, transition: int) -> Graph:
    """A plan that fences litsha23 and does nothing else."""
    action = Action(1, ActionKind.CLUSTER, "stonith", "stonith-litsha23-reboot", node="litsha23")
    return Graph(transition, (Synapse(1, (action,)),))


def test_a_fencing_daemon_that_dies_in_the_middle_is_not_waited_for() -> None:
    cluster = ControllerCluster(*ALL, policy=fence_once)
    cluster["litsha21"].start()
    cluster["litsha21"].to("crmd", PeerConnected("stonithd"))
    cluster["litsha22"].start()
    cluster["litsha23"].start()
    cluster.install(ALL)
    cluster.run()
    assert [type(message).__name__ for message in cluster.fencing] == ["Fence"]
    cluster["litsha21"].to("crmd", PeerLost("stonithd"))
    cluster.run()
    assert cluster.states["litsha21"] == "S_IDLE"
    cluster["litsha21"].to("crmd", PeerConnected("stonithd"))
    cluster.run()
    cluster.pass_time(6)
    assert len(cluster.fencing) == 2, "it is tried again, after a pause"


def test_a_tool_is_told_that_the_fencing_daemon_died_in_the_middle() -> None:
    cluster = started()
    cluster["litsha21"].to("crmd", PeerConnected("stonithd"))
    cluster.ask("litsha21", controller.FenceNode(9, "litsha23"))
    cluster.run()
    cluster["litsha21"].to("crmd", PeerLost("stonithd"))
    cluster.run()
    (answer,) = cluster.answers
    assert isinstance(answer, controller.ControllerReply)
    assert (answer.request, answer.code) == (9, 1)


# --- joins that go wrong ------------------------------------------------------------------


def test_a_dc_whose_own_cib_was_mute_for_too_long_joins_itself_again() -> None:
    cluster = started()
    cluster.crash("litsha23")
    cluster.run()
    cluster["litsha21"].cib.is_mute = True
    cluster.revive("litsha23")
    cluster.run()
    cluster.pass_time(179)
    cluster["litsha21"].cib.is_mute = False
    cluster.pass_time(60)
    assert_settled(cluster)


# --- tools --------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["litsha21", "litsha22"])
def test_a_tool_that_waits_is_answered_when_the_cluster_is_idle(asked: str) -> None:
    cluster = three()
    cluster["litsha21"].lrmd.is_holding = True
    cluster.start_all()
    cluster.ask(asked, tool_wait(17))
    cluster.run()
    assert cluster.answers == []
    cluster.release("litsha21")
    cluster.run()
    assert cluster.answers == [controller.ControllerReply(17)]


def test_a_clean_up_forgets_the_failures_and_probes_again() -> None:
    cluster = three()
    cluster.world.failing[("litsha21", "vip", "start")] = 1
    cluster.start_all()
    cluster.world.failing.clear()
    cluster.world.active["litsha21"].clear()
    cluster.ask("litsha22", controller.CleanUp(5, resource="vip"))
    cluster.run()
    assert cluster.answers == [controller.ControllerReply(5)]
    assert cluster.document().attributes["litsha21"] == {}
    assert cluster.where("vip") == ["litsha21"]
    assert_settled(cluster)


FAILURES_OF_COPIES = tuple(
    f"{kind}-{copy}#start_0"
    for copy in ("web", "web:0", "web:1", "web:10", "webs")
    for kind in ("fail-count", "last-failure")
)


@pytest.mark.parametrize("failures_only", [False, True])
@pytest.mark.parametrize(
    ("asked", "cleared"),
    [("web:1", {"web:1"}), ("web", {"web"}), ("", {"web", "web:0", "web:1", "web:10", "webs"})],
)
def test_a_clean_up_forgets_the_failures_of_the_asked_copy_only(
    asked: str, cleared: set[str], failures_only: bool
) -> None:
    cluster = started()
    for name in FAILURES_OF_COPIES:
        cluster["litsha22"].tell("attrd", "tool", update(name, "3"))
    cluster.run()
    assert len(cluster.document().attributes["litsha22"]) == len(FAILURES_OF_COPIES)
    cluster.ask("litsha21", controller.CleanUp(5, asked, "litsha22", failures_only))
    cluster.run()
    left = {name for name in FAILURES_OF_COPIES if resource_of_attribute(name) not in cleared}
    assert set(cluster.document().attributes["litsha22"]) == left


def test_fencing_is_refused_clearly_while_nobody_can_fence() -> None:
    cluster = started()
    cluster.ask("litsha21", controller.FenceNode(9, "litsha23"))
    cluster.run()
    (answer,) = cluster.answers
    assert isinstance(answer, controller.ControllerReply)
    assert answer.code == 102
    assert "fencing daemon" in answer.message


def test_the_description_names_state_and_dc() -> None:
    cluster = started()
    cluster.ask("litsha22", controller.AskController(3))
    cluster.run()
    (answer,) = cluster.answers
    assert isinstance(answer, controller.ControllerDescription)
    assert (answer.state, answer.dc, answer.feature_set) == ("S_NOT_DC", "litsha21", "3.0.1")


# --- what must not do harm ----------------------------------------------------------------


def test_garbage_from_a_peer_is_dropped_and_noted() -> None:
    cluster = started()
    before = cluster.states
    cluster._told(cluster["litsha23"], "crmd", "heartbeat", SendCluster("crmd", b"\xff\x00garbage"))
    cluster.run()
    assert cluster.states == before
    assert any("dropped a message" in line for line in cluster["litsha21"].notes)


def test_orders_of_an_earlier_reign_are_not_carried_out() -> None:
    cluster = started()
    seen = len(cluster["litsha22"].lrmd.seen)
    stale = peers.ShutdownOrder(Reign(0, "ghost"))
    payload = peers.PEERS.encode(stale)
    cluster._told(
        cluster["litsha23"], "crmd", "heartbeat", SendCluster("crmd", payload, "litsha22")
    )
    cluster.run()
    assert cluster["litsha22"].exit_codes == []
    assert len(cluster["litsha22"].lrmd.seen) == seen


def test_a_status_change_that_is_refused_leads_to_a_new_join() -> None:
    cluster = started()
    cluster["litsha21"].cib.outcome = cib.Outcome.NOT_READY
    cluster.crash("litsha23")
    cluster.run()
    cluster["litsha21"].cib.outcome = cib.Outcome.OK
    cluster.pass_time(3)
    assert_settled(cluster)
    assert cluster.document().states["litsha23"]["in_membership"] is False


def test_an_attribute_that_changes_has_the_plan_made_anew() -> None:
    cluster = started()
    count = len(cluster.graphs)
    cluster["litsha22"].tell("attrd", "pingd", update("pingd", "100"))
    cluster.run()
    assert cluster.document().attributes["litsha22"]["pingd"] == "100"
    assert len(cluster.graphs) == count + 1


# --- reigns and views that overlap --------------------------------------------------------


def offered(cluster: ControllerCluster, to: str, dc: str, reign: Reign) -> None:
    """Have a crmd hear an offer of another one, out of turn."""
    payload = peers.PEERS.encode(peers.JoinOffer(9, reign, "3.0.1"))
    cluster[to].tell("crmd", "heartbeat", membership.ClusterMessage(dc, "crmd", payload))
    cluster.run()


def test_only_the_crmd_of_a_peer_speaks_for_it() -> None:
    cluster = started()
    before = len(cluster["litsha22"].notes)
    payload = peers.PEERS.encode(peers.JoinOffer(9, Reign(99, "litsha23"), "3.0.1"))
    message = membership.ClusterMessage("litsha23", "spy", payload)
    cluster["litsha22"].tell("crmd", "heartbeat", message)
    cluster.run()

    assert cluster["litsha22"].notes[before:] == [
        "crmd_ha_msg_callback: dropped a message of client spy at litsha23: not its crmd"
    ]


def test_a_dc_is_not_disturbed_by_the_offer_of_a_dc_outside_its_view() -> None:
    cluster = started()
    cluster.cut(["litsha21"], ["litsha22", "litsha23"])
    cluster.run()
    reign = cluster["litsha21"].crmd.reign
    offered(cluster, "litsha21", "litsha22", cluster["litsha22"].crmd.reign)
    assert cluster["litsha21"].crmd.reign == reign
    assert cluster["litsha21"].crmd.state == "S_IDLE"


def test_an_offer_under_a_smaller_reign_of_the_same_number_is_not_accepted() -> None:
    cluster = started()
    reign = cluster["litsha22"].crmd.reign
    offered(cluster, "litsha22", "litsha21", Reign(reign.number, "litsha20"))
    assert cluster["litsha22"].crmd.reign >= reign
    assert_settled(cluster)
