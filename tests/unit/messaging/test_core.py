from __future__ import annotations

import random
from dataclasses import replace

import pytest

from crm.api import membership as api
from crm.api.membership import ClientStatus, NodeKind, NodeStatus, ViewEvent
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import MessageArrived, PeerLost
from messaging import children, complaints, departure, events, frame, pings
from messaging.children import ChildPlan
from tests.kit.messaging import LINK, TIMING, Network, Watch, join

D = TIMING.deadtime_s
ROUND = 0.02


def agreed(nodes: int = 3, seed: int = 0) -> Network:
    network = Network(nodes, seed=seed)
    network.start()
    names = "".join(network.settings.nodes)
    assert network.run(1.0, until=lambda: network.is_agreed(names)) < 0.1
    network.run(0.5)
    return network


def view_events(network: Network, name: str) -> list[ViewEvent]:
    return [
        message.event
        for message in network.lives[name].messages()
        if isinstance(message, api.ViewInstalled)
    ]


def test_a_quiet_cluster_says_nothing_but_heartbeats() -> None:
    network = agreed()
    before = network.packets
    network.run(20.0)
    heartbeats = 20.0 / TIMING.keepalive_s * 3 * 2
    assert network.packets - before == pytest.approx(heartbeats, abs=6)


# --- start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 7])
def test_nodes_that_start_together_agree_within_milliseconds(nodes: int) -> None:
    network = agreed(nodes)

    assert all(view is not None and view.quorate for view in network.views().values())
    assert {tuple(view_events(network, name)) for name in network.lives} == {
        (ViewEvent.NEW_MEMBERSHIP,)
    }


def test_no_node_forms_a_view_of_its_own_while_others_are_starting() -> None:
    network = Network(4, seed=3)
    for name in network.settings.nodes:
        network.start(name)
        network.run(0.3)
    network.run(1.0, until=lambda: network.is_agreed("abcd"))

    assert {view.id for view in network.views().values() if view} == {1}


def test_a_missing_node_is_waited_for_until_initdead() -> None:
    network = Network(3)
    network.start("a", "b")

    waited = network.run(5.0, until=lambda: network.is_agreed("ab"))

    assert TIMING.initdead_s <= waited < TIMING.initdead_s + ROUND
    assert "node c: is dead" in network.lives["a"].texts()


def test_a_node_that_joins_a_quorate_cluster_does_not_wait_for_a_dead_one() -> None:
    network = agreed(3)
    network.crash("a")
    network.crash("b")
    network.run(2 * D)
    network.start("b")
    network.run(5.0, until=lambda: network.is_agreed("bc"))
    network.crash("b")
    network.run(2 * D)
    network.start("a", "b")

    assert network.run(1.0, until=lambda: network.is_agreed("abc")) < 0.1


def test_a_node_that_returns_to_a_survivor_without_quorum_waits_for_a_deadtime() -> None:
    network = agreed(3)
    network.crash("a")
    network.crash("b")
    network.run(2 * D)
    network.start("b")

    waited = network.run(5.0, until=lambda: network.is_agreed("bc"))

    assert D <= waited < D + ROUND < TIMING.initdead_s


def test_the_log_tells_the_classic_story_of_a_start() -> None:
    texts = agreed(3).lives["a"].texts()

    for text in (
        "heartbeat: version 3.0.6",
        "Local status now set to: 'up'",
        "Link b:eth1 up.",
        "Status update for node b: status up",
        "Comm_now_up(): updating status to active",
        "Local status now set to: 'active'",
        "Status update for node b: status active",
        "quorum plugin: majority",
        "cluster:linux-ha, member_count=3, member_quorum_votes=300",
    ):
        assert text in texts


@pytest.mark.parametrize("mode", ["crm", "haresources"])
def test_in_haresources_mode_the_log_tells_who_takes_and_gives_up_resources(mode: str) -> None:
    network = Network(2)
    network.settings = replace(network.settings, crm=mode == "crm")
    network.start("a", "b")
    network.run(5.0, until=lambda: network.is_agreed("ab"))
    life = network.lives["b"]

    network.stop("b")
    network.run(5.0, until=lambda: network.is_agreed("a"))

    own = [text for text in life.texts() if "HA resources" in text]
    taken = [text for text in network.lives["a"].texts() if "being acquired" in text]
    said = (own, taken) != ([], [])
    assert said is (mode == "haresources")
    if said:
        assert own == ["Giving up all HA resources.", "All HA resources relinquished."]
        assert taken == ["Resources being acquired from b."]


# --- crash, restart, leave ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_survivors_agree_within_the_deadtime_and_one_message_round(seed: int) -> None:
    network = agreed(3, seed=seed)
    victim = random.Random(seed).choice("abc")
    network.run(random.Random(seed).uniform(0, 0.3))
    network.crash(victim)

    took = network.run(5.0, until=lambda: network.is_agreed("abc".replace(victim, "")))

    assert D - TIMING.keepalive_s - 0.05 <= took <= D + ROUND


def test_a_survivor_logs_the_death_as_ever() -> None:
    network = agreed(3)
    network.crash("b")
    network.run(2 * D)

    texts = network.lives["a"].texts()
    assert "node b: is dead" in texts and "Link b:eth1 dead." in texts
    assert "Status update for node b: status dead" in texts


def test_a_restart_faster_than_detection_is_noticed_and_the_node_is_lost_and_new() -> None:
    network = agreed(3)
    before = network.lives["a"].machine.view
    assert before is not None
    network.crash("b")
    network.run(0.05)
    network.start("b")

    took = network.run(2.0, until=lambda: network.is_agreed("abc"))

    after = network.lives["a"].machine.view
    assert after is not None and took < 0.5 * D
    assert "Heartbeat restart on node b" in network.lives["a"].texts()
    own = {member.name: member for member in after.members}
    old = {member.name: member for member in before.members}
    assert own["b"].born > old["b"].born and own["b"].incarnation != old["b"].incarnation
    assert own["a"].born == old["a"].born
    told = [m for m in network.lives["a"].messages() if isinstance(m, api.ViewInstalled)][1:]
    assert [("b" in m.view.lost, "b" in m.view.new) for m in told] == [(True, True)]


def test_an_orderly_leave_is_agreed_at_once() -> None:
    network = agreed(3)
    network.stop("c")

    assert network.run(1.0, until=lambda: network.is_agreed("ab")) < ROUND
    network.run(ROUND)
    assert network.past[0].exit_code == 0
    assert "Received shutdown notice from 'c'." in network.lives["a"].texts()
    assert "node c: is dead" not in network.lives["a"].texts()


# --- partitions -----------------------------------------------------------------------------


def test_the_minority_lets_go_before_the_majority_goes_on() -> None:
    network = agreed(3)
    Watch(network)
    network.partition("a", "bc")
    cut_at = network.now

    let_go = network.run(
        5.0,
        until=lambda: (view := network.lives["a"].machine.view) is None or not view.quorate,
    )
    network.run(5.0, until=lambda: network.is_agreed("bc"))

    assert let_go <= TIMING.lease_s
    assert network.now - cut_at - let_go >= TIMING.margin_s - TIMING.keepalive_s
    assert network.now - cut_at <= D + ROUND


def test_a_node_cut_off_and_back_is_born_again_and_the_others_are_not() -> None:
    network = agreed(3)
    network.partition("a", "bc")
    network.run(3 * D)
    network.heal()

    took = network.run(2 * D, until=lambda: network.is_agreed("abc"))

    view = network.lives["b"].machine.view
    assert view is not None and took < 2 * TIMING.keepalive_s
    born = {member.name: member.born for member in view.members}
    assert born["a"] == view.id and born["b"] == born["c"] == 1
    assert "Cluster node a returning after partition." in network.lives["b"].texts()


def test_two_halves_of_four_have_no_quorum_and_merge() -> None:
    network = agreed(4)
    network.partition("ab", "cd")
    network.run(2 * D)
    assert network.is_agreed("ab", "cd")
    assert all(view is not None and not view.quorate for view in network.views().values())

    network.heal()

    assert network.run(2 * D, until=lambda: network.is_agreed("abcd")) < D


def test_a_node_that_is_not_heard_but_hears_lets_go_in_time() -> None:
    network = agreed(3)
    Watch(network)
    network.cut(("a", "b"), ("a", "c"), one_way=True)

    network.run(2 * D, until=lambda: network.is_agreed("bc"))
    network.run(D)

    view = network.lives["a"].machine.view
    assert view is not None and not view.quorate
    assert network.is_agreed("bc")


def test_a_node_that_is_heard_but_hears_nothing_is_left_out() -> None:
    network = agreed(3)
    Watch(network)
    network.cut(("b", "a"), ("c", "a"), one_way=True)

    assert network.run(3 * D, until=lambda: network.is_agreed("bc")) <= D + TIMING.keepalive_s
    view = network.lives["a"].machine.view
    assert view is not None and not view.quorate


def test_a_bridge_keeps_one_neighbour_and_the_other_is_told_first() -> None:
    network = agreed(3)
    Watch(network)
    network.cut(("a", "b"))

    network.run(3 * D)

    assert network.is_agreed("bc") or network.is_agreed("ac")
    out = "a" if network.is_agreed("bc") else "b"
    assert ViewEvent.EVICTED in view_events(network, out)
    assert network.lives[out].machine.view is None
    network.heal()
    assert network.run(2 * D, until=lambda: network.is_agreed("abc")) < D


def test_twenty_percent_loss_kills_nobody() -> None:
    network = agreed(3, seed=5)
    network.loss = 0.2

    network.run(300 * TIMING.keepalive_s)

    assert network.is_agreed("abc")
    view = network.lives["a"].machine.view
    assert view is not None and view.id == 1


def test_a_frozen_process_that_goes_on_learns_first_that_it_is_late() -> None:
    network = agreed(3)
    Watch(network)
    network.freeze("a")
    network.run(3 * D)
    assert network.is_agreed("bc")
    network.send("a", b"from the past", to="a")
    network.thaw("a")

    network.run(2 * D, until=lambda: network.is_agreed("abc"))

    assert network.is_agreed("abc")
    told = network.lives["a"].told
    lost_at = next(
        index
        for index, (_, _, message) in enumerate(told)
        if isinstance(message, api.ViewInstalled) and message.event is ViewEvent.INVALID
    )
    later = [message for _, _, message in told[lost_at:]]
    assert api.ClusterMessage("a", "crmd", b"from the past") in later


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_one_quorate_partition_acts_and_all_agree_in_the_end(seed: int) -> None:
    rng = random.Random(seed)
    network = Network(rng.randint(3, 7), seed=seed)
    names = network.settings.nodes
    network.start()
    Watch(network)
    network.duplication = 0.05
    for _ in range(12):
        network.loss = rng.choice((0.0, 0.0, 0.1, 0.2))
        _one_fault(network, rng)
        network.run(rng.choice((0.01, 0.1, 0.4, D, 1.5 * D)))
    network.heal()
    network.loss = 0.0
    for name in list(network.frozen):
        network.thaw(name)
    network.run(1.1)  # whoever was leaving has left
    network.start(*(name for name in names if name not in network.lives))

    took = network.run(6 * D, until=lambda: network.is_agreed("".join(names)))

    assert network.is_agreed("".join(names)), network.views()
    assert took <= 2 * D


def _one_fault(network: Network, rng: random.Random) -> None:
    names = network.settings.nodes
    alive = [name for name in names if name in network.lives and name not in network.frozen]
    dead = [name for name in names if name not in network.lives]
    match rng.randrange(8):
        case 0 if alive:
            network.crash(rng.choice(alive))
        case 1 | 2 if dead:
            network.start(rng.choice(dead))
        case 3:
            network.heal()
        case 4:
            side = {name for name in names if rng.random() < 0.5}
            network.cut(*((a, b) for a in names for b in names if a in side and b not in side))
        case 5:
            network.cut(tuple(rng.sample(names, 2)), one_way=rng.random() < 0.5)  # type: ignore[arg-type]
        case 6 if alive:
            network.stop(rng.choice(alive))
        case 7 if alive:
            if network.frozen:
                network.thaw(next(iter(network.frozen)))
            else:
                network.freeze(rng.choice(alive))
        case _:
            pass


# --- clients --------------------------------------------------------------------------------


def test_a_client_is_told_the_state_in_the_promised_order() -> None:
    network = agreed(2)
    network.feed("a", MessageArrived("cib", api.SignOn("cib", 5)))

    kinds = [type(message).__name__ for message in network.lives["a"].messages("cib")]

    order = ["SignedOn", "NodeChanged", "ClientChanged", "ViewInstalled"]
    assert kinds == sorted(kinds, key=order.index)
    assert kinds[0] == "SignedOn" and kinds[-1] == "ViewInstalled"


def test_a_message_to_all_reaches_every_other_node_once() -> None:
    network = agreed(3)
    network.send("a", b"hello")
    network.run(0.1)

    assert network.lives["a"].payloads() == []
    for name in "bc":
        assert network.lives[name].payloads() == [("a", b"hello")]


def test_a_message_to_one_node_reaches_only_that_node() -> None:
    network = agreed(3)
    network.send("a", b"to b", to="b")
    network.send("a", b"to self", to="a")
    network.run(0.1)

    assert network.lives["a"].payloads() == [("a", b"to self")]
    assert network.lives["b"].payloads() == [("a", b"to b")]
    assert network.lives["c"].payloads() == []


def test_messages_stay_in_order_under_loss_and_duplication() -> None:
    network = agreed(3)
    network.loss, network.duplication = 0.2, 0.2
    for number in range(200):
        network.send("abc"[number % 3], str(number).encode())
        network.run(0.002)
    network.run(5.0)

    for name in "abc":
        for sender in range(3):
            got = [data for node, data in network.lives[name].payloads() if node == "abc"[sender]]
            sent = [str(number).encode() for number in range(sender, 200, 3)]
            assert got == ([] if name == "abc"[sender] else sent)


def test_a_client_that_sends_too_fast_loses_its_connection_and_nobody_else_anything() -> None:
    network = Network(3, clients=("crmd", "cib"))
    network.start()
    network.run(3.0, until=lambda: network.is_agreed("abc"))
    network.run(0.5)
    views = network.views()
    told = {name: len(life.messages("cib")) for name, life in network.lives.items()}

    data = random.Random(1).randbytes(2**20)
    for _ in range(135):
        network.send("a", data)
    network.send("a", b"of another client", client="cib")
    network.run(60.0, until=lambda: len(network.lives["c"].payloads("cib")) == 1)
    network.run(0.1)

    assert network.views() == views
    for name in "bc":
        assert network.lives[name].machine.nodes == network.lives["a"].machine.nodes
        left = api.ClientChanged("a", "crmd", ClientStatus.LEAVE)
        assert network.lives[name].messages("cib")[told[name] :] == [
            left,
            api.ClusterMessage("a", "cib", b"of another client"),
        ]
        arrived = network.lives[name].payloads("crmd")
        assert arrived and all(each == ("a", data) for each in arrived)
    (line,) = (text for text in network.lives["a"].texts() if "sends faster than" in text)
    assert line.startswith("client crmd sends faster than node b can take it")


def test_a_client_that_leaves_is_announced_after_its_last_message() -> None:
    network = agreed(2)
    network.send("a", b"last words")
    network.feed("a", PeerLost("crmd"))
    network.run(0.1)

    told = network.lives["b"].messages()
    left = told.index(api.ClientChanged("a", "crmd", ClientStatus.LEAVE))
    assert told.index(api.ClusterMessage("a", "crmd", b"last words")) < left


def test_the_clients_of_a_lost_node_leave_before_the_view_without_it() -> None:
    network = agreed(3)
    network.crash("c")
    network.run(2 * D)

    told = network.lives["a"].messages()
    left = told.index(api.ClientChanged("c", "crmd", ClientStatus.LEAVE))
    view = next(
        index
        for index, message in enumerate(told)
        if isinstance(message, api.ViewInstalled) and "c" in message.view.lost
    )
    assert left < view


def test_a_message_of_somebody_who_did_not_sign_on_is_not_sent() -> None:
    network = agreed(2)
    network.feed("a", MessageArrived("stranger", api.SendCluster("crmd", b"x")))
    network.run(0.1)

    assert network.lives["b"].payloads() == []


def test_the_cluster_layer_describes_itself() -> None:
    network = agreed(2)
    network.feed("a", MessageArrived("mgmtd", api.AskCluster(7)))

    answer = network.lives["a"].messages("mgmtd")[-1]

    assert isinstance(answer, api.ClusterDescription) and answer.request == 7
    peer = next(node for node in answer.nodes if node.node == "b")
    assert (peer.status, peer.clients) == (NodeStatus.ACTIVE, ("crmd",))
    assert peer.links[0].status is api.LinkStatus.UP
    assert answer.counters["received"] > 0


# --- hostile input --------------------------------------------------------------------------


def test_garbage_and_recordings_change_nothing() -> None:
    network = agreed(3)
    rng = random.Random(1)
    before = network.views()
    tape = [data for _, data in network.tap]
    for number in range(2000):
        data = bytearray(rng.choice(tape))
        if number % 3 == 0:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif number % 3 == 1:
            data = bytearray(rng.randbytes(rng.randrange(300)))
        network.feed("a", events.DatagramArrived("eth1", "evil", bytes(data)))
    network.run(2 * D)

    assert network.views() == before
    counters = network.lives["a"].machine.counters
    dropped = sum(count for name, count in counters.items() if name.startswith("dropped-"))
    assert dropped >= 1950


def test_a_recording_of_a_dead_nodes_life_does_not_bring_it_back() -> None:
    network = agreed(3)
    tape = [data for name, data in network.tap if name == "b"]
    network.crash("b")
    network.run(2 * D)
    for data in tape:
        for name in "ac":
            network.feed(name, events.DatagramArrived("eth1", "b", data))
        network.run(0.001)

    assert network.is_agreed("ac")
    assert "Cluster node b returning after partition." not in network.lives["a"].texts()


# --- children and the end -------------------------------------------------------------------


def test_children_start_when_the_node_is_active_and_stop_before_it_leaves() -> None:
    plans = tuple(ChildPlan(name, name, is_vital=True) for name in ("cib", "crmd", "mgmtd"))
    network = Network(2, child_plans=plans)
    network.start("a")
    assert network.lives["a"].started == []
    network.start("b")
    network.run(0.5)
    life = network.lives["a"]
    assert life.started == ["cib", "crmd", "mgmtd"]

    network.stop("a")
    for name in ("crmd", "mgmtd", "cib"):
        assert life.signals[-1][0] == name and life.exit_code is None
        network.feed("a", children.ChildEnded(name, 0))
    network.run(0.1)

    assert life.exit_code == 0
    assert life.texts()[-1] == "a Heartbeat shutdown complete."


def test_a_node_without_a_vital_child_leaves_the_cluster() -> None:
    network = Network(2, child_plans=(ChildPlan("cib", "cib", is_vital=True),))
    network.start()
    network.run(0.5)
    for _ in range(11):
        network.feed("a", children.ChildEnded("cib", 1))
        network.run(1.1)

    assert network.past[0].exit_code == 1
    assert "Received shutdown notice from 'a'." in network.lives["b"].texts()


def test_a_client_can_have_its_node_leave_the_cluster_in_order() -> None:
    network = Network(2, child_plans=(ChildPlan("cib", "cib", is_vital=True),))
    network.start()
    network.run(0.5)
    life = network.lives["a"]
    asked = MessageArrived("cib", api.LeaveCluster("the disk is broken"))
    network.feed("a", MessageArrived("cib", api.SignOn("cib", 1)))
    network.feed("a", asked)
    network.feed("a", asked)
    assert [name for name, _ in life.signals] == ["cib"], "as an administrator would stop it"
    network.feed("a", children.ChildEnded("cib", 0))
    network.run(0.1)

    assert life.exit_code == departure.EXIT_STAY_DOWN, (
        "else it would be back at once, as broken as before"
    )
    assert life.texts().count("cib: the disk is broken: leaving the cluster") == 1


def test_ping_nodes_are_shown_when_they_answer_and_when_they_stop() -> None:
    network = Network(1)
    settings = network.settings
    from dataclasses import replace

    from messaging.cluster_settings import PingTarget

    network.settings = replace(settings, pings=(PingTarget("router", ("router",)),))
    network.start()
    life = network.lives["a"]
    sent: list[bytes] = []
    original = network._carry_out

    def catch(name: str, owner: object, effects: list[events.Effect]) -> None:
        sent.extend(e.token for e in effects if isinstance(e, pings.SendEcho))
        original(name, owner, effects)  # type: ignore[arg-type]

    network._carry_out = catch  # type: ignore[assignment,method-assign]
    network.run(0.25)
    network.feed("a", pings.EchoArrived("elsewhere", sent[-1]))
    network.feed("a", pings.EchoArrived("router", b"wrong"))
    shown = api.NodeChanged("router", NodeKind.PING, NodeStatus.PING)
    assert shown not in life.messages()

    network.feed("a", pings.EchoArrived("router", sent[-1]))
    assert shown in life.messages()
    network.run(2 * D)

    assert api.NodeChanged("router", NodeKind.PING, NodeStatus.DEAD) in life.messages()


# --- junk and strangers ---------------------------------------------------------------------


def test_a_flood_that_the_kernel_drops_is_counted_and_told_once_a_minute() -> None:
    network = agreed(2)
    for _ in range(3):
        network.feed("a", events.PacketsDropped(complaints.FLOOD))
    network.feed("a", events.PacketsDropped(1))

    assert network.lives["a"].machine.counters["dropped-by-kernel"] == 3 * complaints.FLOOD + 1
    assert [text for text in network.lives["a"].texts() if "flood" in text] == [
        f"a flood: {complaints.FLOOD} datagrams that are none of ours in a second"
    ]


def test_a_challenge_goes_to_all_and_never_to_the_source_a_packet_claims() -> None:
    network = agreed(2)
    packet = next(data for name, data in reversed(network.tap) if name == "b")
    network.crash("b")
    network.start("b")
    network.run(0.5)

    effects = network.lives["a"].machine.receive(
        events.DatagramArrived(LINK, "192.0.2.66:694", packet), network.now
    )

    sent = [effect for effect in effects if isinstance(effect, events.SendDatagram)]
    assert [effect.destination for effect in sent] == [""]


@pytest.mark.parametrize("number", [-1, 2**62 + 1, 2**64 - 1])
def test_a_number_that_cannot_be_counted_on_from_is_unreadable(number: int) -> None:
    wild = join("a", "b", view_id=number)

    with pytest.raises(RemoteProtocolError):
        frame.MEMBERSHIP_MESSAGES.decode(frame.MEMBERSHIP_MESSAGES.encode(wild))


def test_a_node_that_no_line_names_is_told_of_with_its_address() -> None:
    network = agreed(2)
    stranger = Network(("a", "z"), seed=5)
    stranger.start("z")
    packet = stranger.tap[0][1]

    for _ in range(5):
        network.feed("a", events.DatagramArrived(LINK, "192.0.2.7:694", packet))

    said = [text for text in network.lives["a"].texts() if "192.0.2.7" in text]
    assert said == [
        "packets from 192.0.2.7:694 are of this cluster, but of no node that ha.cf names"
    ]
    assert network.lives["a"].machine.counters["dropped-unknown-sender"] == 5
