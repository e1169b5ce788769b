"""The history on several nodes: everybody notes what he saw, also through crashes and merges."""

from __future__ import annotations

import random

import pytest

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import revisions
from crm.plumbing.machine import MessageArrived
from tests.kit.cib import Network, create

ALL = ("n1", "n2", "n3")


def ruled(seed: int = 1) -> Network:
    network = Network(3, seed)
    network.partition(ALL)
    network.run(1.0)
    network.elect()
    network.run(3.0)
    return network


def history(network: Network, name: str, *, user: str = "root", newest: int = 0) -> api.Revisions:
    question = api.AskRevisions(0, newest=newest, patches=True, user=user)
    network.give(name, MessageArrived("reader", question))
    answer = network.nodes[name].told[-1]
    assert isinstance(answer, api.Revisions)
    return answer


def check_way_back(network: Network, name: str) -> int:
    """Go back as far as is known: each version is the one its entry says. Tells how far."""
    root = network.replica(name).document.root
    entries = history(network, name).revisions
    reached = 0
    for place, entry in enumerate(entries):
        try:
            there = revisions.at(root, entries[: len(entries)], entry.name)
        except revisions.UnknownRevision:
            continue
        last = [e for e in entries if e.name == entry.name][-1]
        if place == len(entries) - 1 or last is entry:
            assert documents.Document(there).digest() == entry.digest, (name, entry)
            reached += 1
    return reached


def test_every_member_notes_a_change_with_who_asked_for_it_where() -> None:
    network = ruled()
    network.change("n3", create("vip"))
    network.run(1.0)
    for name in ALL:
        (entry,) = history(network, name).revisions
        assert entry.summary == "created vip"
        assert (entry.client, entry.node) == ("test", "n1")
        assert 1000.0 < entry.at < 1010.0


def test_the_newest_are_told_when_no_more_are_asked_for() -> None:
    network = ruled()
    for name in "abc":
        network.change("n1", create(name))
    network.run(1.0)
    assert [e.summary for e in history(network, "n2", newest=2).revisions] == [
        "created b",
        "created c",
    ]


def test_where_acls_are_in_force_the_history_is_for_those_they_do_not_bind() -> None:
    network = ruled()
    text = (
        b'<cluster_property_set id="o"><nvpair id="e" name="enable-acl" value="true"/>'
        b"</cluster_property_set>"
    )
    network.change("n1", api.XmlOperation(api.XmlTask.CREATE, text, "crm_config"))
    network.run(1.0)
    assert history(network, "n1", user="alice").outcome is api.Outcome.DENIED
    assert history(network, "n1", user="alice").revisions == ()
    assert history(network, "n1", user="root").outcome is api.Outcome.OK


def names(network: Network, name: str) -> list[tuple[str, str]]:
    return [(entry.name, entry.summary) for entry in history(network, name).revisions]


def test_a_member_that_was_away_is_told_each_change_it_missed() -> None:
    network = ruled()
    network.change("n1", create("a"))
    network.run(1.0)
    network.crash("n3")
    network.partition(("n1", "n2"), lost=("n3",))
    network.run(1.0)
    for name in "bc":
        network.change("n1", create(name))
    network.run(1.0)
    network.start("n3")
    network.partition(ALL)
    network.elect()
    network.run(5.0)
    assert names(network, "n3") == names(network, "n1")
    assert [entry.client for entry in history(network, "n3").revisions] == ["test"] * 3
    for name in ALL:
        assert check_way_back(network, name) == 3


def test_a_member_that_joins_late_knows_all_that_was() -> None:
    network = Network(3, 1)
    network.crash("n3")
    network.partition(("n1", "n2"))
    network.elect()
    network.run(3.0)
    for name in "ab":
        network.change("n2", create(name))
    network.run(1.0)
    network.start("n3")
    network.partition(ALL)
    network.run(3.0)
    assert (
        names(network, "n3") == names(network, "n1") == [("0.1", "created a"), ("0.2", "created b")]
    )
    assert check_way_back(network, "n3") == 2
    network.crash("n3")
    network.start("n3")
    assert check_way_back(network, "n3") == 2, "it is on its disk as well"


def test_a_master_that_takes_over_the_better_copy_is_told_how_it_came_about() -> None:
    network = ruled()
    network.change("n1", create("a"))
    network.run(1.0)
    network.crash("n1")
    network.partition(("n2", "n3"), lost=("n1",))
    network.elect()
    network.run(3.0)
    network.change("n3", create("b"))
    network.run(1.0)
    network.start("n1")
    network.partition(ALL)
    network.rule("n1", ALL)
    network.run(3.0)
    assert names(network, "n1") == names(network, "n3")
    assert check_way_back(network, "n1") == 2


def test_what_a_minority_wrote_and_lost_is_archived_with_its_author_and_no_history_has_it() -> None:
    network = ruled()
    network.change("n1", create("a"))
    network.run(1.0)
    network.partition(("n1", "n2"), ("n3",), lost=("n3",))
    network.elect()
    network.run(3.0)
    network.change("n3", create("lonely"), force=True)
    network.change("n1", create("b"))
    network.run(3.0)
    network.partition(ALL)
    network.rule("n1", ALL)
    network.run(5.0)
    assert names(network, "n3") == names(network, "n1")
    assert check_way_back(network, "n3") == 2
    (lost,) = network.nodes["n3"].disk.archived
    assert b'id="lonely"' in lost.data
    assert "its last change: " in lost.reason
    assert "created lonely" in lost.reason


@pytest.mark.parametrize("seed", range(12))
def test_through_crashes_at_any_moment_the_way_back_is_right_or_said_to_be_unknown(
    seed: int,
) -> None:
    rng = random.Random(seed)
    network = ruled(seed)
    for round_ in range(6):
        for number in range(rng.randrange(1, 5)):
            up = network.alive()
            network.change(rng.choice(up), create(f"r{round_}-{number}"))
            network.run(rng.random() * 0.05)
        victim = rng.choice(ALL)
        network.crash(victim)
        rest = tuple(network.alive())
        network.partition(rest, lost=(victim,))
        network.elect()
        network.run(rng.random() * 2)
        network.start(victim)
        network.partition(ALL)
        network.elect()
        network.run(5.0)
        for name in ALL:
            check_way_back(network, name)
    network.change("n1", create("last"))
    network.run(2.0)
    assert names(network, "n1") == names(network, "n2") == names(network, "n3")
    for name in ALL:
        assert history(network, name).revisions[-1].summary == "created last"
        assert check_way_back(network, name) > 0
