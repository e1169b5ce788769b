"""Copies meet: what was acknowledged stays, and what was changed without asking is not lost idly.

In most of these scenes the master lives through it all and goes on in the same reign.
"""

from __future__ import annotations

import itertools
import random

import pytest

from crm.api import cib as api
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing.machine import MessageArrived
from tests.kit.cib import Network, create, document

ALL = ("n1", "n2", "n3")
OK = api.Outcome.OK


def together(seed: int = 0, size: int = 3) -> Network:
    """A cluster with n1 as its master, and one change acknowledged."""
    network = Network(size, seed)
    network.partition(network.nodes)
    network.elect()
    network.run(1.0)
    assert made(network, "n1", "first") is OK
    return network


def made(network: Network, node: str, name: str, *, force: bool = False) -> api.Outcome | None:
    request = network.change(node, create(name), force=force)
    network.run(1.0)
    reply = network.outcomes.get((node, request))
    return None if reply is None else reply.outcome


def raised(network: Network, node: str, number: int, *, force: bool = False) -> int:
    step = api.XmlOperation(api.XmlTask.MODIFY, f'<cib admin_epoch="{number}"/>'.encode())
    return network.change(node, step, force=force)


def outcome(network: Network, node: str, request: int) -> api.Outcome | None:
    reply = network.outcomes.get((node, request))
    return None if reply is None else reply.outcome


def cut_off(network: Network, *alone: str) -> None:
    """The majority keeps its master, the minority gets one of its own."""
    others = tuple(name for name in network.nodes if name not in alone)
    network.partition(others, alone)
    network.rule(alone[0], alone)
    network.run(1.0)


def rejoin(network: Network) -> None:
    """The crmd of n1 goes on, those of the others follow it."""
    network.partition(network.nodes)
    follow(network, "n1", *network.nodes)
    network.run(5.0)


def follow(network: Network, master: str, *names: str) -> None:
    for name in names:
        if name != master:
            network.give(name, MessageArrived("crmd", api.BecomeFollower(master)))


def has(network: Network, name: str) -> list[bool]:
    return [network.replica(n).document.by_id(name) is not None for n in network.alive()]


def warrant(network: Network, node: str) -> Warrant:
    return network.replica(node).warrant


def archived(network: Network, node: str) -> list[bytes]:
    return [archive.data for archive in network.nodes[node].disk.archived]


def edited(network: Network, node: str, name: str, epoch: int = 1) -> None:
    """Somebody puts a resource into the file of a node that is down (as the tools do)."""
    disk = network.nodes[node].disk
    copy, mark = disk.read()
    parent = copy.section("resources")
    assert parent is not None
    operation = create(name)
    parent.append(parent.makeelement("primitive", {"id": name, "class": "ocf", "type": "Dummy"}))
    assert operation.xml is not None
    copy.root.set("epoch", str(copy.version.epoch + epoch))
    disk.data, disk.warrant, disk.ahead = copy.text(), mark, b""


# --- an admin_epoch that nobody acknowledged ----------------------------------------------------


def test_an_admin_epoch_raised_by_a_master_that_is_cut_off_beats_nothing_acknowledged() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]  # the wire is cut, and n1 does not know it yet
    request = raised(network, "n1", 5)
    network.run(0.5)
    network.partition(("n1",), ("n2", "n3"))
    network.rule("n2", ("n3",))
    network.run(2.0)
    assert outcome(network, "n1", request) is api.Outcome.UNKNOWN_OUTCOME
    assert made(network, "n2", "kept") is OK
    network.heal()
    assert all(has(network, "kept"))
    assert {network.replica(n).document.version.admin_epoch for n in ALL} == {0}
    assert archived(network, "n1")


def test_an_admin_epoch_that_nobody_acknowledged_stays_if_nothing_else_was() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    raised(network, "n1", 5)
    network.run(0.5)
    network.partition(ALL)
    network.run(8.0)  # the members are hailed again, because they acknowledged nothing
    assert {network.replica(n).document.version.admin_epoch for n in ALL} == {5}
    assert {warrant(network, n).decided for n in ALL} == {5}


def test_an_acknowledged_admin_epoch_has_been_decided_on_every_disk() -> None:
    network = together()
    request = raised(network, "n1", 5)
    while outcome(network, "n1", request) is None:
        network.run(0.001)
    assert outcome(network, "n1", request) is OK
    assert {node.disk.read()[1].decided for node in network.nodes.values()} == {5}


@pytest.mark.parametrize(("own", "theirs"), [(5, 5), (5, 4), (5, 6)])
def test_the_greater_of_two_decided_admin_epochs_wins_and_of_equal_ones_the_later_reign(
    own: int, theirs: int
) -> None:
    network = together()
    cut_off(network, "n3")
    request = raised(network, "n3", theirs, force=True)
    mine = raised(network, "n1", own)
    network.run(1.0)
    assert outcome(network, "n3", request) is outcome(network, "n1", mine) is OK
    assert made(network, "n1", "acknowledged") is OK
    assert made(network, "n3", "forced", force=True) is OK
    rejoin(network)
    assert all(has(network, "acknowledged")) is (theirs <= own)
    assert all(has(network, "forced")) is (theirs > own)
    assert {network.replica(n).document.version.admin_epoch for n in ALL} == {max(own, theirs)}


def test_while_a_raised_admin_epoch_does_not_decide_yet_other_changes_wait() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    raised(network, "n1", 5)
    waiting = network.change("n1", create("b"))
    network.run(0.5)
    assert network.replica("n1").document.by_id("b") is None
    network.groups = [ALL]
    network.run(8.0)  # the members are hailed again, because they acknowledged nothing
    assert outcome(network, "n1", waiting) is OK


def test_an_admin_epoch_that_stands_open_decides_when_it_is_forced() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    raised(network, "n1", 5)
    network.run(0.3)
    network.partition(("n1",), ("n2", "n3"))
    network.rule("n2", ("n3",))
    network.run(1.0)
    assert warrant(network, "n1").decided == 0
    request = raised(network, "n1", 5, force=True)
    network.run(1.0)
    assert outcome(network, "n1", request) is OK
    assert network.nodes["n1"].disk.read()[1].decided == 5
    assert made(network, "n2", "x") is OK
    rejoin(network)
    assert {network.replica(n).document.version.admin_epoch for n in ALL} == {5}


def test_who_waits_for_an_admin_epoch_is_told_whose_disk_it_waits_for() -> None:
    network = together()
    network.groups = [("n1", "n2"), ("n3",)]
    raised(network, "n1", 5)
    waiting = network.change("n2", create("b"))
    network.run(12.0)
    assert outcome(network, "n2", waiting) is api.Outcome.NOT_READY
    (problem,) = network.outcomes["n2", waiting].findings
    assert "admin_epoch" in problem.message and "n3" in problem.message


# --- without quorum -----------------------------------------------------------------------------


def test_what_was_forced_in_a_minority_loses_against_what_the_master_acknowledged() -> None:
    network = together()
    reign = warrant(network, "n1").written
    cut_off(network, "n3")
    for number in range(5):
        assert made(network, "n3", f"forced-{number}", force=True) is OK
    assert made(network, "n1", "acknowledged") is OK
    assert warrant(network, "n1").written == reign, "it is the same reign"
    rejoin(network)
    assert all(has(network, "acknowledged"))
    assert not any(has(network, "forced-4"))
    (lost,) = archived(network, "n3")
    assert b'id="forced-4"' in lost


def test_what_was_forced_in_a_minority_stays_if_nothing_was_acknowledged_since() -> None:
    network = together()
    cut_off(network, "n3")
    assert made(network, "n3", "forced", force=True) is OK
    rejoin(network)
    assert all(has(network, "forced"))
    assert made(network, "n2", "next") is OK


@pytest.mark.parametrize("count", [1, 2, 5])
def test_with_the_policy_ignore_a_minority_does_not_beat_what_was_acknowledged(count: int) -> None:
    network = together()
    text = (
        b'<cluster_property_set id="o"><nvpair id="p" name="no-quorum-policy" value="ignore"/>'
        b"</cluster_property_set>"
    )
    network.change("n1", api.XmlOperation(api.XmlTask.CREATE, text, "crm_config"))
    network.run(1.0)
    cut_off(network, "n3")
    for number in range(count):
        inner = create(f"ignored-{number}").xml
        assert inner is not None
        text = b"<resources>" + inner + b"</resources>"
        asked = network.change("n3", api.XmlOperation(api.XmlTask.MODIFY, text, "resources"))
        network.run(0.5)
        assert outcome(network, "n3", asked) is OK, "not forced, and no quorum"
    assert made(network, "n1", "acknowledged") is OK
    rejoin(network)
    assert all(has(network, "acknowledged"))


def test_a_master_that_was_forced_and_regains_quorum_takes_what_was_forced_along() -> None:
    network = together()
    network.partition(("n1",), ("n2",), ("n3",))
    network.run(0.5)
    assert made(network, "n1", "forced", force=True) is OK
    network.partition(("n1", "n2"), ("n3",))  # n2 has followed nobody in between
    network.run(2.0)
    assert made(network, "n1", "acknowledged") is OK
    network.crash("n1")
    network.partition(("n2", "n3"))
    network.rule("n3", ("n2",))
    network.run(2.0)
    assert all(has(network, "forced"))
    assert all(has(network, "acknowledged"))


def test_what_was_answered_ok_because_it_was_so_already_is_stamped_if_it_had_been_forced() -> None:
    network = together()
    network.partition(("n1",), ("n2",), ("n3",))
    network.run(0.5)
    assert made(network, "n1", "forced", force=True) is OK
    network.partition(("n1", "n2"), ("n3",))
    network.run(2.0)
    xml = create("forced").xml
    same = api.XmlOperation(api.XmlTask.MODIFY, xml, "resources")
    request = network.change("n1", same)
    network.run(1.0)
    assert outcome(network, "n1", request) is OK
    version = network.replica("n1").document.version
    for node in ("n1", "n2"):
        assert warrant(network, node).settled == (version.admin_epoch, version.epoch)
        assert network.nodes[node].disk.read()[1] == warrant(network, "n1")


def test_what_was_answered_ok_because_it_was_so_already_outranks_what_nobody_was_told_of() -> None:
    network = together()
    network.groups = [("n1",), ("n2", "n3")]
    unknown = network.change("n1", create("wanted"))  # reaches the disk of n1 only
    network.run(0.5)
    network.partition(("n1",), ("n2", "n3"))
    network.rule("n2", ("n3",))
    network.run(1.0)
    assert outcome(network, "n1", unknown) is api.Outcome.UNKNOWN_OUTCOME
    network.groups = [("n1",), ("n2",), ("n3",)]
    network.change("n2", create("other"))  # reaches the disk of n2 only, in a later reign
    network.run(0.5)
    network.crash("n2")
    network.partition(("n1", "n3"), lost=("n2",))
    network.rule("n1", ("n1", "n3"))
    network.run(2.0)
    # Who was told "unknown" looks, as he was advised to, and asks again for what he wants.
    again = api.XmlOperation(api.XmlTask.MODIFY, create("wanted").xml, "resources")
    request = network.change("n1", again)
    network.run(2.0)
    assert outcome(network, "n1", request) is OK
    network.start("n2")
    network.partition(ALL)
    network.run(8.0)
    assert all(has(network, "wanted"))


def test_what_a_crmd_says_again_at_an_election_does_not_outrank_an_edit_of_a_file() -> None:
    network = together()
    nodes = api.DescribeNodes((("uuid-n1", "n1"),))
    network.change("n1", nodes)
    network.run(1.0)
    network.crash("n3")
    network.partition(("n1", "n2"), lost=("n3",))
    edited(network, "n3", "edit")
    network.rule("n1", ("n2",))
    network.run(1.0)
    request = network.change("n1", nodes)
    network.run(1.0)
    assert outcome(network, "n1", request) is OK
    network.start("n3")
    network.partition(ALL)
    network.run(8.0)
    assert has(network, "edit") == [True] * 3


# --- the better of several copies ---------------------------------------------------------------


@pytest.mark.parametrize("silent_s", [0.0, 7.0])
@pytest.mark.parametrize("seed", range(3))
def test_of_two_that_hold_the_better_copy_the_other_is_asked_when_the_one_that_was_is_gone(
    seed: int, silent_s: float
) -> None:
    network = together(seed)
    network.crash("n1")
    network.partition(("n2", "n3"), lost=("n1",))
    network.rule("n2", ("n3",))
    network.run(2.0)
    assert made(network, "n2", "kept") is OK
    network.start("n1")
    network.partition(ALL)
    network.rule("n1", ALL)
    asked = _asked_for_its_copy(network)
    (other,) = {"n2", "n3"} - {asked}
    network.groups = [("n1", other)]  # what was asked for never comes
    network.run(0.2 + silent_s)
    network.crash(asked)
    network.partition(("n1", other), lost=(asked,))
    request = network.change("n1", create("next"))
    network.run(15.0)
    assert outcome(network, "n1", request) is OK
    assert has(network, "kept") == [True] * 2


def _asked_for_its_copy(network: Network) -> str:
    """Let time pass until n1 rules and has asked a member for its copy."""
    for _ in range(10_000):
        mastery = network.replica("n1")._mastery
        if mastery is not None and mastery._better.awaited:
            return mastery._better.awaited
        network.run(0.0001)
    raise AssertionError("n1 never asked")


# --- in the file of a stopped node --------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(ALL)))
def test_an_edit_of_one_file_of_a_stopped_cluster_stays_whoever_starts_first(
    order: tuple[str, ...],
) -> None:
    network = together()
    for name in ALL:
        network.crash(name)
    edited(network, "n2", "edit")
    for count in range(1, 4):
        network.start(order[count - 1])
        network.partition(order[:count])
        if count == 1:
            network.rule(order[0], ())
        follow(network, order[0], *order[:count])
        network.run(3.0)
    assert has(network, "edit") == [True] * 3
    assert made(network, "n1", "next") is OK


@pytest.mark.parametrize("edits", [1, 2, 9])
def test_an_edit_of_a_file_loses_against_what_was_acknowledged_since_and_is_kept(
    edits: int,
) -> None:
    network = together()
    network.crash("n3")
    network.partition(("n1", "n2"), lost=("n3",))
    network.run(1.0)
    edited(network, "n3", "edit", edits)
    assert made(network, "n1", "acknowledged") is OK
    network.start("n3")
    network.partition(ALL)
    network.run(5.0)
    assert all(has(network, "acknowledged"))
    assert not any(has(network, "edit"))
    (lost,) = archived(network, "n3")
    assert b'id="edit"' in lost


def test_a_node_that_was_away_and_changed_nothing_leaves_nothing_to_be_kept() -> None:
    network = together()
    network.crash("n3")
    network.partition(("n1", "n2"), lost=("n3",))
    for name in "abc":
        assert made(network, "n1", name) is OK
    network.start("n3")
    network.partition(ALL)
    network.run(5.0)
    assert all(has(network, "c"))
    assert [archived(network, name) for name in ALL] == [[], [], []]


def test_a_copy_with_the_lesser_version_is_kept_too_if_what_won_did_not_come_from_it() -> None:
    network = together()
    cut_off(network, "n3")
    assert made(network, "n3", "forced", force=True) is OK
    for name in "abc":
        assert made(network, "n1", name) is OK
    assert network.replica("n3").document.version < network.replica("n1").document.version
    rejoin(network)
    (lost,) = archived(network, "n3")
    assert b'id="forced"' in lost
    assert any("lost against 0.4.0 of n1" in note for note in network.nodes["n3"].notes)


def test_a_node_with_the_file_that_all_began_with_leaves_nothing_to_be_kept() -> None:
    network = Network(3)
    for name in ALL:
        network.crash(name)
        copy = document()
        copy.root.set("epoch", "7")
        network.nodes[name].disk.data = copy.text()  # put there by hand: no history tells of it
    for name in ("n1", "n2"):
        network.start(name)
    network.partition(("n1", "n2"))
    network.elect()
    network.run(2.0)
    assert made(network, "n1", "a") is OK
    network.start("n3")
    network.partition(ALL)
    network.run(5.0)
    assert all(has(network, "a"))
    assert archived(network, "n3") == []


def test_a_file_that_began_otherwise_is_kept_when_its_node_comes() -> None:
    network = Network(3)
    network.crash("n3")
    other = document()
    other.root.set("num_updates", "5")
    parent = other.section("resources")
    assert parent is not None
    parent.append(parent.makeelement("primitive", {"id": "other", "class": "lsb", "type": "x"}))
    network.nodes["n3"].disk.data = other.text()
    network.partition(("n1", "n2"))
    network.elect()
    network.run(2.0)
    assert made(network, "n1", "a") is OK
    network.start("n3")
    network.partition(ALL)
    network.run(5.0)
    (lost,) = archived(network, "n3")
    assert b'id="other"' in lost


# --- any of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(80))
def test_whatever_meets_what_was_acknowledged_stays(seed: int) -> None:
    dice = random.Random(seed)
    network = together(seed, size=dice.choice((3, 3, 5)))
    network.loss = dice.choice((0.0, 0.0, 0.01, 0.1))
    names = tuple(network.nodes)
    top = 0
    for step in range(40):
        _part_or_meet(network, dice)
        down = [n for n in names if n not in network.alive() and network.nodes[n].disk.data]
        if down and dice.random() < 0.2:
            edited(network, dice.choice(down), f"edit{step}", dice.choice((1, 1, 4)))
        for number in range(dice.randrange(4)):
            if not network.alive():
                continue
            where = dice.choice(network.alive())
            if dice.random() < 0.2:
                top += dice.choice((1, 1, 2))
                raised(network, where, top)
            elif dice.random() < 0.3:  # it may be so already, which must stay so as well
                again = create(f"t{dice.randrange(step + 1)}-0").xml
                network.change(where, api.XmlOperation(api.XmlTask.MODIFY, again, "resources"))
            else:
                network.change(where, create(f"t{step}-{number}"), force=dice.random() < 0.3)
        network.run(dice.choice((0.002, 0.01, 0.02, 0.05, 0.5, 3.0)))
    network.heal()
    assert made(network, "n1", "last") is OK
    assert {name: network.missing(name) for name in names} == {name: [] for name in names}
    assert len({network.replica(name).document.digest() for name in names}) == 1


def _part_or_meet(network: Network, dice: random.Random) -> None:
    """Cut the network, join it, stop or start a node; masters mostly go on where they are."""
    names = list(network.nodes)
    match dice.randrange(12):
        case 0 | 1 | 2:
            dice.shuffle(names)
            place = dice.randrange(1, len(names))
            network.partition(names[:place], names[place:])
        case 3 | 4 | 5:
            network.partition(names)
        case 6:  # the wire is cut, and nobody knows it yet
            dice.shuffle(names)
            place = dice.randrange(1, len(names))
            network.groups = [tuple(names[:place]), tuple(names[place:])]
        case 7:
            victim = dice.choice(names)
            network.crash(victim)
            if dice.random() < 0.5:  # else the others are told with the next view
                network.partition(*network.groups, lost=(victim,))
        case 8:
            down = [name for name in names if name not in network.alive()]
            for name in down:
                network.start(name)
            network.partition(*network.groups, lost=down)
        case 9:
            for group in network.groups:
                members = [name for name in group if name in network.alive()]
                if members:
                    network.rule(dice.choice(members), members)
        case 10 if network.alive():
            network.rule(dice.choice(network.alive()), ())
        case _:
            network.elect()


def test_a_reign_is_later_than_another_whatever_was_settled() -> None:
    earlier = Warrant(3, Reign(4, "n1"), (3, 90))
    assert Warrant(3, Reign(5, "n1"), (3, 7)) > earlier
    assert Warrant(4, Reign(), (0, 0)) > earlier
