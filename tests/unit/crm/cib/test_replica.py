"""Three replicas on a slow network: nothing acknowledged is lost, nothing forks."""

from __future__ import annotations

import itertools
import random

import pytest

from crm.api import cib as api
from crm.api import membership
from crm.cib import document as documents
from crm.cib import wire
from crm.cib.disk import KeepPromise, Persisted
from crm.cib.replica import Replica
from crm.cib.warrants import Standing, Warrant
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.codec import Message
from crm.plumbing.machine import Exit, MessageArrived, Note, PeerLost, StopRequested
from tests.kit.cib import LENIENT, Network, create, document

NAMES = ("n1", "n2", "n3")


def together(seed: int = 0) -> Network:
    network = Network(3, seed)
    network.partition(NAMES)
    network.elect()
    network.run(1.0)
    return network


def outcome(network: Network, name: str, request: int) -> api.Outcome | None:
    reply = network.outcomes.get((name, request))
    return None if reply is None else reply.outcome


def said_to(network: Network, name: str, request: int) -> str:
    return " ".join(f.message for f in network.outcomes[name, request].findings)


def test_a_write_at_the_master_reaches_every_disk_before_it_is_answered() -> None:
    network = together()
    request = network.change("n1", create("a"))
    while outcome(network, "n1", request) is None:
        network.run(0.001)
    assert outcome(network, "n1", request) is api.Outcome.OK
    for node in network.nodes.values():
        assert b'id="a"' in (node.disk.data or b"")


def test_a_write_at_a_follower_goes_to_the_master_and_back() -> None:
    network = together()
    request = network.change("n3", create("a"))
    network.run(1.0)
    assert outcome(network, "n3", request) is api.Outcome.OK
    assert all(network.replica(n).document.by_id("a") is not None for n in NAMES)


def test_every_copy_has_the_same_digest_and_text() -> None:
    network = together()
    network.change("n1", create("a"))
    network.change("n2", api.SetNodeAttribute("n2", "uuid-n2", "pingd", "100"))
    network.run(1.0)
    texts = {network.replica(n).document.text() for n in NAMES}
    assert len(texts) == 1


def test_a_partition_without_quorum_refuses_configuration_changes() -> None:
    network = together()
    network.partition(("n1",), ("n2", "n3"))
    network.elect()
    network.run(2.0)
    refused = network.change("n1", create("a"))
    made = network.change("n2", create("b"))
    network.run(5.0)
    assert outcome(network, "n1", refused) is api.Outcome.NO_QUORUM
    assert outcome(network, "n2", made) is api.Outcome.OK


def test_force_changes_the_configuration_without_quorum() -> None:
    network = together()
    network.partition(("n1",), ("n2", "n3"))
    network.elect()
    network.run(2.0)
    request = network.change("n1", create("a"), force=True)
    network.run(1.0)
    assert outcome(network, "n1", request) is api.Outcome.OK


def test_status_changes_need_no_quorum() -> None:
    network = together()
    network.partition(("n1",), ("n2", "n3"))
    network.elect()
    network.run(2.0)
    request = network.change("n1", api.SetNodeAttribute("n1", "uuid-n1", "pingd", "0"))
    network.run(1.0)
    assert outcome(network, "n1", request) is api.Outcome.OK


def test_a_master_left_alone_writes_the_status_at_once() -> None:
    network = together()
    network.crash("n2")
    network.crash("n3")
    network.rule("n1", ())
    network.partition(("n1",))
    network.run(0.1)
    request = network.change("n1", api.SetNodeAttribute("n1", "uuid-n1", "pingd", "0"))
    network.run(0.3)
    assert outcome(network, "n1", request) is api.Outcome.OK


def test_a_write_in_flight_when_quorum_is_lost_has_an_unknown_outcome() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]  # the wire is cut before the views say so
    request = network.change("n1", create("a"))
    network.run(0.05)
    assert outcome(network, "n1", request) is None
    network.partition(("n1",), ("n2", "n3"))
    network.run(0.1)
    assert outcome(network, "n1", request) is api.Outcome.UNKNOWN_OUTCOME


def test_what_an_isolated_master_wrote_alone_gives_way_to_what_was_acknowledged() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    for number in range(3):
        network.change("n1", create(f"lost-{number}"))
    network.run(0.5)
    network.partition(("n1",), ("n2", "n3"))
    network.elect()
    network.run(2.0)
    request = network.change("n2", create("kept"))
    network.run(2.0)
    assert outcome(network, "n2", request) is api.Outcome.OK
    network.heal()
    for name in NAMES:
        copy = network.replica(name).document
        assert copy.by_id("kept") is not None
        assert copy.by_id("lost-2") is None
    assert any("lost against" in a.reason for a in network.nodes["n1"].disk.archived)


def test_a_raised_admin_epoch_wins_whatever_the_reigns_say() -> None:
    network = together()
    network.change("n2", create("a"))
    network.run(1.0)
    network.crash("n1")
    data = network.nodes["n1"].disk.data
    assert data is not None
    network.nodes["n1"].disk.data = data.replace(b'admin_epoch="0"', b'admin_epoch="7"')
    network.partition(("n2", "n3"))
    network.elect()
    network.run(2.0)
    network.heal()
    assert {network.replica(n).document.version.admin_epoch for n in NAMES} == {7}


def test_before_it_is_known_whose_copy_wins_no_base_is_called_stale() -> None:
    network = together()
    network.nodes["n1"].disk.broken = True
    network.elect()  # a promise must be kept, and cannot be
    network.run(0.1)
    base = Version(9, 9, 9)
    early = network.change("n1", create("a"), based_on=base)
    network.run(1.0)
    assert outcome(network, "n1", early) is api.Outcome.NOT_DURABLE
    network.nodes["n1"].disk.broken = False
    network.run(10.0)
    late = network.change("n1", create("b"), based_on=base)
    network.run(1.0)
    assert outcome(network, "n1", late) is api.Outcome.CONFLICT


def test_a_full_disk_at_a_follower_refuses_and_later_recovers() -> None:
    network = together()
    network.nodes["n2"].disk.broken = True
    first = network.change("n1", create("a"))
    network.run(1.0)
    second = network.change("n1", create("b"))
    network.run(1.0)
    # The first was made before anybody knew, the second certainly is not.
    assert outcome(network, "n1", first) is api.Outcome.UNKNOWN_OUTCOME
    assert "n2: No space left on device" in said_to(network, "n1", first)
    assert outcome(network, "n1", second) is api.Outcome.NOT_DURABLE
    assert "n2: No space left on device" in said_to(network, "n1", second)
    assert network.replica("n1").document.by_id("b") is None
    network.nodes["n2"].disk.broken = False
    network.run(10.0)
    third = network.change("n1", create("c"))
    network.run(1.0)
    assert outcome(network, "n1", third) is api.Outcome.OK


@pytest.mark.parametrize("where", ["n1", "n2"], ids=["the master", "a follower"])
def test_a_full_disk_under_a_new_reign_is_named_at_once_and_later_recovers(where: str) -> None:
    network = together()
    network.nodes[where].disk.broken = True
    network.elect()  # a promise must be kept, and cannot be
    network.run(0.1)
    waiting = network.change("n3", create("a"))
    network.run(1.0)
    late = network.change("n1", create("b"))
    network.run(1.0)
    for name, request in (("n3", waiting), ("n1", late)):
        assert outcome(network, name, request) is api.Outcome.NOT_DURABLE
        (finding,) = network.outcomes[name, request].findings
        assert f"{where}: " in finding.message
    assert network.replica("n1").document.by_id("a") is None, "nothing was begun"
    network.nodes[where].disk.broken = False
    network.run(10.0)
    third = network.change("n3", create("c"))
    network.run(1.0)
    assert outcome(network, "n3", third) is api.Outcome.OK


def test_a_node_whose_disk_refuses_to_write_can_be_stopped() -> None:
    network = together()
    network.nodes["n2"].disk.broken = True
    network.change("n1", create("a"))
    network.run(1.0)
    effects = network.replica("n2").receive(StopRequested(), network.now)
    assert Exit(0) in effects
    said = [effect.text for effect in effects if isinstance(effect, Note)]
    assert any("is not on this disk" in text for text in said)


def test_a_stale_base_is_a_conflict() -> None:
    network = together()
    base = network.replica("n1").document.version
    network.change("n1", create("a"), based_on=base)
    network.run(1.0)
    late = network.change("n1", create("b"), based_on=base)
    network.run(1.0)
    assert outcome(network, "n1", late) is api.Outcome.CONFLICT
    assert "since then came 0.1 (created a)" in said_to(network, "n1", late)


def test_a_base_with_the_number_of_another_configuration_is_a_conflict() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    network.change("n1", create("lost"))
    network.run(0.5)
    read = network.replica("n1").document
    base, digest = read.version, read.digest()
    network.partition(("n1",), ("n2", "n3"))
    network.elect()
    network.run(2.0)
    network.change("n2", create("kept"))
    network.run(2.0)
    network.heal()
    agreed = network.replica("n1").document
    assert (agreed.version.epoch, agreed.digest() == digest) == (base.epoch, False)
    late = network.change("n1", create("b"), based_on=base, based_digest=digest)
    again = network.change("n1", create("c"), based_on=base, based_digest=agreed.digest())
    network.run(1.0)
    assert outcome(network, "n1", late) is api.Outcome.CONFLICT
    assert "another 0.1.0 than the one that was agreed on" in said_to(network, "n1", late)
    assert outcome(network, "n1", again) is api.Outcome.OK


def test_without_a_master_a_change_is_refused_after_a_while_and_never_made() -> None:
    network = Network(3)
    network.partition(NAMES)
    request = network.change("n1", create("a"))
    network.run(11.0)
    assert outcome(network, "n1", request) is api.Outcome.NOT_READY
    network.elect()
    network.run(5.0)
    assert network.replica("n1").document.by_id("a") is None


def test_a_change_before_there_is_a_master_is_made_once_there_is_one() -> None:
    network = Network(3)
    network.partition(NAMES)
    request = network.change("n3", create("a"))
    network.elect()
    network.run(2.0)
    assert outcome(network, "n3", request) is api.Outcome.OK


def test_subscribers_hear_each_version_in_order() -> None:
    network = together()
    for number in range(20):
        network.change(f"n{number % 3 + 1}", create(f"r{number}"))
        network.change("n2", api.SetNodeAttribute("n2", "uuid-n2", "x", str(number)))
    network.run(2.0)
    for node in network.nodes.values():
        told = [m for m in node.told if isinstance(m, api.CibChanged)]
        assert len(told) == 40
        for one, other in itertools.pairwise(told):
            assert one.after == other.before


@pytest.mark.parametrize("node", NAMES)
def test_a_subscriber_hears_of_the_sections_it_asked_for(node: str) -> None:
    network = together()
    network.give(node, _from_crmd(api.Subscribe(("resources",))))
    network.change("n1", create("a"))
    network.change("n2", api.SetNodeAttribute("n2", "uuid-n2", "x", "1"))
    option = (
        '<cluster_property_set id="o"><nvpair id="o-1" name="n" value="v"/></cluster_property_set>'
    )
    section = "crm_config"
    network.change("n1", api.XmlOperation(api.XmlTask.CREATE, option.encode(), section=section))
    network.run(1.0)
    touched = [m.touched for m in network.nodes[node].told if isinstance(m, api.CibChanged)]
    assert [each.subject for change in touched for each in change] == ["a"]


def test_who_subscribes_again_hears_what_it_asked_for_last() -> None:
    network = together()
    network.give("n1", _from_crmd(api.Subscribe(())))
    network.change("n1", create("a"))
    network.run(1.0)
    assert not [m for m in network.nodes["n1"].told if isinstance(m, api.CibChanged)]
    network.give("n1", _from_crmd(api.Subscribe()))
    network.change("n1", create("b"))
    network.run(1.0)
    assert len([m for m in network.nodes["n1"].told if isinstance(m, api.CibChanged)]) == 1


def test_sync_and_fetch_answer_when_the_copies_are_there() -> None:
    network = together()
    network.give("n1", _from_crmd(api.SyncTo(5, NAMES)))
    network.give("n1", _from_crmd(api.FetchFrom(6, "n2")))
    network.run(1.0)
    done = {m.request: m for m in network.nodes["n1"].told if isinstance(m, api.SyncDone)}
    assert done[5].outcome is api.Outcome.OK
    assert done[6].outcome is api.Outcome.OK


def test_sync_names_who_is_missing() -> None:
    network = together()
    network.crash("n3")
    network.partition(("n1", "n2"))
    network.run(0.5)
    network.give("n1", _from_crmd(api.SyncTo(5, NAMES)))
    network.run(1.0)
    done = [m for m in network.nodes["n1"].told if isinstance(m, api.SyncDone)]
    assert done[-1].missing == ("n3",)


def test_a_follower_that_restarts_gets_the_document_again() -> None:
    network = together()
    network.crash("n2")
    network.partition(("n1", "n3"))
    network.run(0.5)
    network.change("n1", create("a"))
    network.run(1.0)
    network.start("n2")
    network.partition(NAMES)
    network.rule("n1", ())
    network.run(2.0)
    assert network.replica("n2").document.by_id("a") is not None


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_what_was_acknowledged_stays(seed: int) -> None:
    dice = random.Random(seed)
    network = Network(3, seed, loss=dice.choice((0.0, 0.0, 0.1)))
    network.partition(NAMES)
    network.elect()
    for step in range(40):
        _trouble(network, dice)
        for number in range(dice.randrange(4)):
            if network.alive():
                network.change(dice.choice(network.alive()), create(f"t{seed}-{step}-{number}"))
        network.run(dice.choice((0.002, 0.01, 0.02, 0.05, 0.5, 3.0)))
    first = dice.choice(NAMES)  # who rules in the end must not matter
    network.heal()
    network.rule(first, NAMES)
    network.run(30.0)
    for name in NAMES:
        assert network.missing(name) == []
    assert len({network.replica(name).document.digest() for name in NAMES}) == 1


def _trouble(network: Network, dice: random.Random) -> None:
    """Do one bad (or good) thing to the cluster."""
    alone = dice.choice(NAMES)
    others = tuple(n for n in NAMES if n != alone)
    match dice.randrange(20):
        case 0:
            network.crash(alone)
            network.partition(*network.groups)
        case 1:
            _start_all(network)
        case 2:
            network.partition((alone,), others)
            network.elect()
        case 3 | 4:
            network.partition(NAMES)
            network.elect()
        case 5:
            network.elect()
        case 6:
            node = network.nodes[alone]
            node.disk.broken = not node.disk.broken
        case 7 if network.alive():
            network.rule(dice.choice(network.alive()), ())
        case 8 | 9:  # the wire is cut, and nobody knows it yet
            network.groups = [(alone,), others]
        case 10 | 11:  # the power fails everywhere
            for name in NAMES:
                network.crash(name)
            _start_all(network)
            network.rule(alone, NAMES)
        case _:
            pass


def _start_all(network: Network) -> None:
    down = [n for n in NAMES if n not in network.alive()]
    for name in down:
        network.start(name)
    network.partition(NAMES, lost=down)
    network.elect()


def _from_crmd(message: Message) -> MessageArrived:
    return MessageArrived("crmd", message)


def alone(*, in_view: tuple[str, ...] = ("n1", "n2")) -> Replica:
    """The replica of n1, in a view, with nothing around it."""
    replica = Replica(document(), rules=LENIENT, node="n1")
    members = tuple(membership.Member(name, f"uuid-{name}", 0, 1) for name in in_view)
    view = membership.View(id=1, members=members, quorate=True)
    installed = membership.ViewInstalled(membership.ViewEvent.NEW_MEMBERSHIP, view)
    replica.receive(MessageArrived("heartbeat", installed), 0.0)
    return replica


def said(node: str, message: Message) -> MessageArrived:
    payload = wire.PEERS.encode(message)
    return MessageArrived("heartbeat", membership.ClusterMessage(node, "cib", payload))


def hail(node: str, number: int) -> MessageArrived:
    return said(node, wire.Hail(Reign(number, node)))


def promises(effects: list[object]) -> list[KeepPromise]:
    return [effect for effect in effects if isinstance(effect, KeepPromise)]


def test_only_the_cib_of_a_peer_speaks_for_it() -> None:
    replica = alone()
    payload = wire.PEERS.encode(wire.Hail(Reign(1, "n2")))
    message = membership.ClusterMessage("n2", "spy", payload)

    effects = replica.receive(MessageArrived("heartbeat", message), 0.0)

    assert [effect.text for effect in effects if isinstance(effect, Note)] == [
        "dropped a message of client spy at n2: not its cib"
    ]
    assert promises(effects) == []


def test_a_slow_disk_is_asked_for_the_last_promise_only() -> None:
    replica = alone()
    (first,) = promises(replica.receive(hail("n2", 1), 0.0))
    assert first.reign == Reign(1, "n2")
    for number in range(2, 300):
        assert promises(replica.receive(hail("n2", number), 0.1)) == []
    (last,) = promises(replica.receive(Persisted(first.ticket, True), 3.0))
    assert last.reign == Reign(299, "n2")
    assert promises(replica.receive(Persisted(last.ticket, True), 6.0)) == []


def test_a_reign_that_ended_ours_is_promised_when_it_hails_us() -> None:
    replica = alone()
    begun = replica.receive(MessageArrived("crmd", api.BecomeMaster(1, Reign(1, "n1"))), 0.0)
    for promise in promises(begun):
        replica.receive(Persisted(promise.ticket, True), 0.1)
    standing = Standing(Warrant(), 0, 1, 0, "")
    told = wire.Present(Reign(1, "n1"), Reign(6, "n2"), standing)
    replica.receive(said("n2", told), 1.0)
    assert not replica.is_master
    (promise,) = promises(replica.receive(hail("n2", 6), 2.0))
    assert promise.reign == Reign(6, "n2")


def test_a_master_whose_crmd_is_gone_rules_no_more() -> None:
    replica = alone()
    replica.receive(MessageArrived("crmd", api.BecomeMaster(1, Reign(1, "n1"))), 0.0)
    assert replica.is_master
    replica.receive(PeerLost("crmd"), 1.0)
    assert not replica.is_master
    replica.receive(hail("n2", 9), 2.0)
    replica.tick(5.0)
    assert not replica.is_master


def test_a_reign_is_not_ended_from_outside_the_view() -> None:
    replica = alone(in_view=("n1",))
    replica.receive(MessageArrived("crmd", api.BecomeMaster(1, Reign(1, "n1"))), 0.0)
    replica.receive(hail("n2", 9), 1.0)
    assert replica.is_master


def test_a_hail_that_was_faster_than_the_view_is_heard_with_the_view() -> None:
    replica = alone(in_view=("n1",))
    assert promises(replica.receive(hail("n2", 9), 1.0)) == []
    members = tuple(membership.Member(name, f"uuid-{name}", 0, 1) for name in ("n1", "n2"))
    view = membership.View(id=2, members=members, quorate=True, new=("n2",))
    installed = membership.ViewInstalled(membership.ViewEvent.NEW_MEMBERSHIP, view)
    (promise,) = promises(replica.receive(MessageArrived("heartbeat", installed), 1.1))
    assert promise.reign == Reign(9, "n2")


def test_a_change_that_came_before_its_master_ruled_is_sent_again_when_he_does() -> None:
    network = Network(3)
    network.partition(NAMES)
    network.give("n2", MessageArrived("crmd", api.BecomeFollower("n1")))
    request = network.change("n2", create("a"))
    network.run(0.5)
    network.rule("n1", ())
    network.run(3.0)
    assert outcome(network, "n2", request) is api.Outcome.OK


def left(network: Network) -> list[str]:
    """Name the nodes that were told to leave the cluster."""
    leave = membership.LeaveCluster
    nodes = network.nodes.values()
    return [n.name for n in nodes if any(isinstance(told, leave) for told in n.told)]


@pytest.mark.parametrize("where", ["n1", "n2"], ids=["the master", "a follower"])
@pytest.mark.parametrize("when", ["a write", "a promise"])
def test_a_node_whose_disk_is_broken_for_good_leaves(where: str, when: str) -> None:
    network = together()
    network.nodes[where].disk.worn_out = True
    if when == "a promise":
        network.elect()
    request = network.change("n3", create("a"))
    network.run(3.0)
    assert left(network) == [], "it may get well"
    assert outcome(network, "n3", request) is not api.Outcome.OK
    network.run(15.0)
    assert left(network) == [where]


def test_a_full_disk_is_no_reason_to_leave() -> None:
    network = together()
    network.nodes["n2"].disk.broken = True
    network.change("n1", create("a"))
    network.run(60.0)
    assert left(network) == []


def test_nobody_leaves_where_too_many_disks_are_broken() -> None:
    network = together()
    for name in ("n1", "n2"):
        network.nodes[name].disk.worn_out = True
    network.change("n3", create("a"))
    network.run(60.0)
    assert left(network) == []
    request = network.change("n3", api.SetNodeAttribute("n3", "uuid-n3", "pingd", "1"))
    network.run(1.0)
    assert outcome(network, "n3", request) is api.Outcome.OK, "what runs goes on"


def test_of_two_contents_with_one_version_the_same_one_wins_whoever_rules() -> None:
    """Fault 41: the loser is archived, and told of."""
    winners = set()
    for first in NAMES:
        network = Network(3)
        for name in NAMES:
            network.crash(name)
            copy = document()
            inner = f'<primitive id="of-{name}" class="ocf" provider="pacekeeper" type="Dummy"/>'
            parent = copy.section("resources")
            assert parent is not None
            parent.append(xml.parse(inner.encode()))
            network.nodes[name].disk.data = documents.Document(copy.root).configuration_text()
            network.start(name)
        network.partition(NAMES)
        network.rule(first, NAMES)
        network.run(5.0)
        kept = {network.replica(name).document.digest() for name in NAMES}
        assert len(kept) == 1
        winners |= kept
        archived = [a for node in network.nodes.values() for a in node.disk.archived]
        assert len(archived) >= 2, "both losers are kept"
        assert all("lost against 0.0.0" in archive.reason for archive in archived)
    assert len(winners) == 1
