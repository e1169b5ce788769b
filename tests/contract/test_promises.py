"""The promises of docs/protocol/cluster-layer.md, one test for each number, for every stack.

Those about order and agreement are judged over lives in which everything goes wrong
(`torment`, `judge`); the others have a story of their own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.api import membership as api
from crm.api.membership import Capability, ClientStatus, NodeStatus
from tests.contract import judge
from tests.contract.stage import QUIET, STACKS, Stage, of
from tests.contract.torment import torment

SEEDS = (1, 5, 6, 9, 97, 177)
PAGE = Path(__file__).parents[2] / "docs/protocol/cluster-layer.md"
MOST_AHEAD_MIB = 128
tormented = functools.cache(torment)

MakeStage = Callable[..., Stage]
"""Makes a stage for a number of nodes, on the stack that is looked at."""


@pytest.fixture(params=STACKS)
def make(request: pytest.FixtureRequest) -> MakeStage:
    """Stages on each stack in turn."""
    return functools.partial(Stage, request.param)


def judged(*judges: Callable[[Stage], None]) -> Callable[[str, int], None]:
    """Make the test of a promise that is judged over tormented lives."""

    @pytest.mark.parametrize("stack", STACKS)
    @pytest.mark.parametrize("seed", SEEDS)
    def test(stack: str, seed: int) -> None:
        for each in judges:
            each(tormented(stack, seed))

    test.__dict__["judges"] = judges
    return test


test_p01_a_client_is_told_first_who_and_where_it_is = judged(judge.first_is_who_we_are)
test_p02_then_the_present_state_in_a_fixed_order = judged(judge.the_present_state_comes_in_order)
test_p05_messages_of_a_client_arrive_in_order_and_once = judged(
    judge.messages_keep_their_order_and_come_once
)
test_p06_no_message_is_missing_while_both_ends_stay = judged(
    judge.nothing_is_missing_while_both_stay
)
test_p11_a_client_is_heard_between_join_and_leave = judged(
    judge.nobody_is_heard_who_is_not_here,
    judge.an_earlier_life_is_not_heard_after_a_later_one,
)
test_p12_clients_of_a_lost_node_leave_before_the_view = judged(
    judge.clients_of_a_lost_node_leave_before_the_view
)
test_p13_the_clients_of_a_node_see_one_order = judged(
    judge.the_clients_of_a_node_see_one_order, judge.messages_and_views_come_in_one_order
)
test_p15_members_of_a_view_with_quorum_know_the_same = judged(
    judge.views_with_quorum_are_the_same_for_all
)
test_p16_numbers_of_views_grow = judged(judge.numbers_of_views_grow)
test_p17_new_and_lost_are_what_has_changed = judged(judge.new_and_lost_are_what_has_changed)
test_p19_the_word_of_a_view_says_whether_it_has_quorum = judged(judge.every_view_has_its_word)
test_p20_others_go_on_a_margin_after_who_is_left_out_was_told = judged(
    judge.whoever_is_left_out_has_its_margin
)


def test_p03_a_name_belongs_to_who_signed_on_last(make: MakeStage) -> None:
    stage = make().started()
    before = len(stage.ear("n2").told)

    stage.say("n1", api.SignOn("crmd", 2))
    stage.run(1.0)

    assert len(stage.ear("n1").signed_on) == 2
    told = of(stage.ear("n2").told[before:], api.ClientChanged)
    assert [(said.node, said.client, said.status) for said in told] == [
        ("n1", "crmd", ClientStatus.LEAVE),
        ("n1", "crmd", ClientStatus.JOIN),
    ]


@pytest.mark.parametrize("how", ["says so", "ends"])
def test_p04_who_signs_off_or_ends_has_left_for_everybody(make: MakeStage, how: str) -> None:
    stage = make().started()
    ear = stage.ear("n1", "attrd")
    others = [stage.ear(node) for node in stage.names]
    before = {id(other): len(other.told) for other in others}

    if how == "ends":
        stage.nodes["n1"].kill("attrd")
    else:
        stage.say("n1", api.SignOff(), client="attrd")
    stage.run(0.1)
    count = len(ear.told)
    stage.send("n2", to_client="attrd", to="n1")
    stage.run(0.5)

    for other in others:
        (said,) = of(other.told[before[id(other)] :], api.ClientChanged)
        assert (said.node, said.client, said.status) == ("n1", "attrd", ClientStatus.LEAVE)
    assert len(ear.told) == count


def test_p07_who_hears_of_a_client_reaches_it(make: MakeStage) -> None:
    stage = make()
    stage.greets = True
    stage.start("n1", "n2")
    stage.run(12.0)
    stage.start("n3")
    stage.agree(*stage.names)
    stage.run(1.0)

    for ear in (stage.ear(node, client) for node in stage.names for client in ("crmd", "attrd")):
        hellos = [
            (said.from_node, said.from_client)
            for said in of(ear.told, api.ClusterMessage)
            if said.payload.startswith(b"hello")
        ]
        others = [node for node in stage.names if node != ear.node]
        assert sorted(hellos) == [(node, ear.client) for node in others]


def test_p08_a_message_to_all_goes_to_all_others_and_one_to_a_node_to_that(make: MakeStage) -> None:
    stage = make().started()

    to_all = stage.send("n1")
    to_one = stage.send("n1", to="n2")
    to_own = stage.send("n1", client="attrd", to="n1")
    stage.run(1.0)

    assert stage.ear("n1").texts() == [to_own]
    assert stage.ear("n2").texts() == [to_all, to_one]
    assert stage.ear("n3").texts() == [to_all]
    (own,) = of(stage.ear("n1").told, api.ClusterMessage)
    assert (own.from_node, own.from_client) == ("n1", "attrd")
    assert not stage.ear("n2", "attrd").texts()


def test_p09_what_is_said_to_who_is_not_there_is_not_kept(make: MakeStage) -> None:
    stage = make().started()

    stage.send("n1", to_client=QUIET)
    stage.send("n1", to_client=QUIET, to="n2")
    stage.run(1.0)
    stage.say("n2", api.SignOn(QUIET, 1), client=QUIET)
    stage.run(1.0)
    later = stage.send("n1", to_client=QUIET, to="n2")
    stage.run(1.0)

    assert stage.ear("n2", QUIET).texts() == [later]


def test_p10_a_large_message_arrives_as_it_was(make: MakeStage) -> None:
    stage = make().started()
    payload = stage.engine.random.randbytes(1_000_000)

    stage.say("n1", api.SendCluster("crmd", payload))
    after = stage.send("n1")
    stage.await_(lambda: len(list(of(stage.ear("n3").told, api.ClusterMessage))) == 2, "both")

    first, second = of(stage.ear("n3").told, api.ClusterMessage)
    assert (first.payload, second.payload) == (payload, after.encode())


def test_p14_a_node_that_is_gone_or_back_is_told_of(make: MakeStage) -> None:
    stage = make().started()

    def status() -> object:
        news = of(stage.ear("n2").told, api.NodeChanged)
        return [said.status for said in news if said.node == "n1"][-1]

    assert status() is NodeStatus.ACTIVE
    stage.nodes["n1"].crash()
    stage.agree("n2", "n3")
    stage.run(1.0)
    assert status() is NodeStatus.DEAD
    stage.start("n1")
    stage.agree("n1", "n2", "n3")
    assert status() is NodeStatus.ACTIVE


def test_p18_a_life_that_comes_back_is_another(make: MakeStage) -> None:
    stage = make().started()
    before = stage.view("n2")

    stage.nodes["n1"].crash()
    stage.run(0.3)  # long before anybody misses it
    stage.start("n1")
    stage.await_(lambda: stage.view("n2") not in (before, None), "another view")
    stage.agree(*stage.names)

    after = stage.view("n2")
    assert before is not None and after is not None
    seats = {member.name: member for member in after.members}
    for member in before.members:
        assert (seats[member.name] == member) is (member.name != "n1")
    assert seats["n1"].born == after.id
    views = [said.view for said in of(stage.ear("n2").told, api.ViewInstalled)]
    assert any("n1" in view.lost for view in views) and "n1" in after.new


def test_p21_only_one_side_of_a_partition_has_quorum_and_all_come_together(make: MakeStage) -> None:
    stage = make(5).started()

    stage.split("n1 n2", "n3 n4 n5")
    stage.agree("n3", "n4", "n5")
    stage.run(10.0)
    minority = [stage.view("n1"), stage.view("n2")]
    majority = stage.view("n3")

    assert majority is not None and majority.quorate
    assert all(view is None or not view.quorate for view in minority)
    assert majority.total_nodes == 5
    assert sum(member.votes for member in majority.members) >= majority.votes_needed > 0
    for view in filter(None, minority):
        assert sum(member.votes for member in view.members) < view.votes_needed
    stage.network.heal()
    stage.agree(*stage.names)
    whole = stage.view("n1")
    assert whole is not None and whole.quorate


@pytest.mark.parametrize("by", ["an administrator", "a client"])
def test_p22_a_node_that_leaves_in_order_is_not_waited_for(make: MakeStage, by: str) -> None:
    stage = make(5).started()
    begun_at = stage.engine.now

    if by == "a client":
        stage.say("n1", api.LeaveCluster("its disk is broken"))
    else:
        stage.nodes["n1"].leave()
    stage.agree("n2", "n3", "n4", "n5")

    assert stage.engine.now - begun_at < 1.0
    stage.await_(lambda: not stage.nodes["n1"].is_up, "the end of n1")
    assert stage.ear("n1").ended_at < stage.engine.now


def test_p23_a_question_is_answered_with_its_number(make: MakeStage) -> None:
    stage = make().started()

    found = stage.answer("n1", api.AskCluster(41), api.ClusterDescription, "mgmtd")

    assert (found.request, found.node, found.view) == (41, "n1", stage.view("n1"))
    assert sorted(node.node for node in found.nodes) == stage.names
    for node in found.nodes:
        assert node.status is NodeStatus.ACTIVE and node.uuid
        assert node.clients == ("attrd", "crmd", "mgmtd")
    programs = {name.partition("-")[0] for name in found.children}
    assert programs == {"attrd", "crmd", "mgmtd", QUIET}


def test_p24_what_a_stack_lacks_it_says_and_refuses(make: MakeStage) -> None:
    stage = make().started()
    found = stage.answer("n1", api.AskCluster(1), api.ClusterDescription, "mgmtd")

    has_links = any(node.links for node in found.nodes)
    rotated = stage.answer("n1", api.RotateKey(2), api.KeyRotated, "mgmtd")
    changed = stage.answer("n1", api.ChangeNodes(3, add="n4"), api.NodesReply, "mgmtd")

    assert all(found.lacks.values()) and found.stack
    assert has_links is (Capability.LINKS not in found.lacks)
    assert bool(found.counters) is (Capability.PACKET_COUNTERS not in found.lacks)
    assert bool(found.parameters) is (Capability.PARAMETERS not in found.lacks)
    assert (rotated.request, changed.request) == (2, 3)
    assert bool(rotated.problem) is (Capability.KEY_ROTATION in found.lacks)
    assert bool(changed.problem) is (Capability.NODE_CHANGES in found.lacks)
    assert ("n4" in changed.nodes) is (Capability.NODE_CHANGES not in found.lacks)


def test_p25_only_the_gate_changes_keys_and_nodes(make: MakeStage) -> None:
    stage = make().started()
    count = len(stage.ear("n1").told)

    stage.say("n1", api.RotateKey(2))
    stage.say("n1", api.ChangeNodes(3, add="n4"))
    stage.run(1.0)

    assert len(stage.ear("n1").told) == count


def test_p26_who_sends_faster_than_a_peer_takes_is_hung_up_on(make: MakeStage) -> None:
    stage = make().started()
    ear, other = stage.ear("n1"), stage.ear("n1", "attrd")
    stage.split("n1", "n2 n3")
    payload = stage.engine.random.randbytes(2**20)

    for _ in range(MOST_AHEAD_MIB):
        if not ear.is_connected:
            break
        stage.say("n1", api.SendCluster("crmd", payload))
        stage.run(0.001)
    assert not ear.is_connected, f"{MOST_AHEAD_MIB} MiB wait"
    stage.run(0.2)

    assert len(ear.signed_on) == 2, "it may sign on again"
    assert len(other.signed_on) == 1, "nobody else has to suffer for it"


def test_every_promise_of_the_page_has_its_test() -> None:
    promised = {int(found) for found in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)}
    tested = {int(name[6:8]) for name in globals() if re.match(r"test_p\d\d_", name)}

    assert promised == tested == set(range(1, max(tested) + 1))
