"""A change that is too large for one turn: made on a copy, slice by slice, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api import cib as api
from crm.cib import acl, document, drafts, operations, rules
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import LocalAsker
from crm.cib.warrants import Warrant
from crm.plumbing.machine import MessageArrived
from tests.kit import any_cib
from tests.kit.cib import LENIENT, NAP_S, Network, create

OK = api.Outcome.OK
NODES = ("n1", "n2", "n3")
STAMP = {"update-client": "test"}


def replacement(text: bytes) -> api.XmlOperation:
    return api.XmlOperation(api.XmlTask.REPLACE, text)


def drafted(text: bytes, change: api.Change, judged: operations.Rules) -> drafts.Draft:
    """Make a change on a copy in the smallest slices."""
    copy = LocalCopy(document.Document.parse(text), judged, Warrant(), "hacluster")
    before = copy.document.text()
    draft = drafts.Draft(LocalAsker("tool", 1), change, copy, stamp=STAMP, until=0.0)
    while not draft.advance(1):
        assert copy.document.text() == before
    assert copy.document.text() == before
    return draft


@settings(deadline=None)
@given(any_cib.documents(), any_cib.documents(), st.booleans(), st.sampled_from(api.XmlTask))
def test_it_comes_to_what_it_comes_to_at_once(
    old: bytes, new: bytes, dry_run: bool, task: api.XmlTask
) -> None:
    step = api.XmlOperation(task, new, may_create=True)
    change = api.Change(1, (step,), api.Origin("test"), dry_run=dry_run)
    twin = document.Document.parse(old)
    wanted = operations.carry_out(twin, (step,), rules.STANDARD, stamp=STAMP, dry_run=dry_run)

    draft = drafted(old, change, rules.STANDARD)

    assert draft.carried == wanted
    if wanted.patch:
        made = draft.take()
        assert made.text() == twin.text()
        assert made.version == twin.version
        assert made.digest() == twin.digest()
        assert made.has_all_sections == twin.has_all_sections
    assert sum(1 for _ in draft.taken_apart()) < 10_000


def test_a_copy_lacks_the_sections_that_its_original_lacks() -> None:
    text = any_cib.from_seed(3)
    original = document.Document.parse(text)
    operations.carry_out(
        original, (api.XmlOperation(api.XmlTask.DELETE, b"<constraints/>"),), LENIENT
    )
    copy = LocalCopy(original, LENIENT, Warrant())
    change = api.Change(1, (create("a"),), api.Origin("test"))
    draft = drafts.Draft(LocalAsker("tool", 1), change, copy, stamp={}, until=0.0)
    while not draft.advance(1):
        pass
    assert b"<constraints" not in draft.take().text()


def test_the_rights_of_the_writer_are_those_in_the_copy() -> None:
    options = b'<cluster_property_set id="cib-bootstrap-options">'
    enabled = options + b'<nvpair id="e" name="enable-acl" value="true"/>'
    text = any_cib.from_seed(3).replace(options, enabled, 1)
    change = api.Change(1, (create("a"),), api.Origin("test", user="eve"))
    assert acl.is_restricted(document.Document.parse(text).root, "eve")
    assert drafted(text, change, LENIENT).carried.outcome is api.Outcome.DENIED


# --- in a cluster ------------------------------------------------------------------------------


def cluster(seed: int = 1) -> Network:
    """Three nodes, n1 rules; a replacement takes longer than any message."""
    network = Network(3, seed)
    network.slice_bytes = 1
    for name in NODES:
        network.crash(name)
        network.start(name)
    network.partition(NODES)
    network.rule("n1", NODES)
    network.run(1.0)
    states = [api.SetNodeState(f"n{n}", str(n), crmd_online=True) for n in range(1, 101)]
    network.change("n1", *states)
    network.run(1.0)
    return network


def whole(network: Network, *names: str, node: str = "n1") -> bytes:
    """Write what a tool replaces the present document with: some resources more."""
    copy = document.Document.parse(network.replica(node).document.text())
    operations.carry_out(copy, tuple(map(create, names)), LENIENT)
    return copy.text()


def answer(network: Network, request: int, node: str = "n1") -> api.Outcome | None:
    reply = network.outcomes.get((node, request))
    return None if reply is None else reply.outcome


def under_way(network: Network, *names: str) -> int:
    """Begin to replace all with a document that holds these as well; stop half way."""
    request = network.change("n1", replacement(whole(network, *names)))
    network.run(10 * NAP_S)
    assert answer(network, request) is None
    return request


def assert_alike(network: Network) -> None:
    texts = {network.replica(name).document.text() for name in network.alive()}
    assert len(texts) == 1


def test_reads_see_the_old_document_and_writers_follow_in_their_order() -> None:
    network = cluster()
    large = under_way(network, "large")
    before = network.replica("n1").document.version
    small = [network.change("n1", create(f"r{number}")) for number in range(3)]
    load = network.change("n1", api.SetNodeAttribute("n1", "1", "load", "7"))
    network.give("n1", MessageArrived("tool", api.Query(1)))

    seen = [told for told in network.nodes["n1"].told if isinstance(told, api.QueryReply)]
    assert len(seen) == 1
    assert b"large" not in seen[0].xml
    assert network.replica("n1").document.version == before
    network.run(2.0)

    assert [answer(network, each) for each in (large, *small, load)] == [OK] * 5
    versions = [network.outcomes["n1", each].version for each in (large, *small)]
    assert versions == sorted(versions)
    assert network.missing("n3") == []
    assert_alike(network)


def test_what_is_too_much_to_repeat_is_taken_as_a_whole_by_the_members() -> None:
    network = cluster()
    names = [f"r{number}" for number in range(30)]
    large = network.change("n1", replacement(whole(network, *names)))
    for number in range(5):
        network.change("n1", api.SetNodeAttribute("n1", "1", "load", str(number)))
        network.change("n1", create(f"s{number}"))
    network.run(3.0)

    assert answer(network, large) is OK
    assert_alike(network)
    for name in ("n2", "n3"):
        notes = network.nodes[name].notes
        assert any("Replaced" in note for note in notes)
        assert not any("lost step" in note or "Archived" in note for note in notes)
    history = network.replica("n2")._copy.history
    assert history.entries[-6].after == network.outcomes["n1", large].version


def large_status(value: str) -> api.XmlOperation:
    """A change of nothing but the status, too large to be repeated in one turn."""
    pairs = "".join(f'<nvpair id="a{n}" name="a{n}" value="{value}"/>' for n in range(100))
    text = (
        '<status><node_state id="1" uname="n1"><transient_attributes id="1">'
        f'<instance_attributes id="s1">{pairs}</instance_attributes></transient_attributes>'
        "</node_state></status>"
    )
    return api.XmlOperation(api.XmlTask.MODIFY, text.encode(), "status", may_create=True)


@pytest.mark.parametrize("seed", range(1, 7))
def test_who_is_answered_at_another_node_finds_a_large_status_change_there(seed: int) -> None:
    network = cluster(seed)
    request = network.change("n2", large_status("7"))
    while answer(network, request, "n2") is None:
        network.run(NAP_S)

    assert answer(network, request, "n2") is OK
    assert _has_it(network, "n2")


def test_who_has_not_got_his_large_status_change_when_the_master_dies_is_not_told_ok() -> None:
    network = cluster()
    request = network.change("n2", large_status("7"))
    while not _has_it(network, "n1"):
        network.run(NAP_S)
    network.run(0.011)  # the answer has come
    assert not _has_it(network, "n2")
    network.crash("n1")
    network.partition(("n2", "n3"), lost=("n1",))
    network.elect()
    network.run(2.0)

    assert answer(network, request, "n2") is api.Outcome.UNKNOWN_OUTCOME
    assert not _has_it(network, "n2")


def _has_it(network: Network, node: str) -> bool:
    return b'name="a99" value="7"' in network.replica(node).document.text()


def test_it_is_refused_with_everything_as_it_was() -> None:
    network = cluster()
    before = network.replica("n1").document.text()
    network.change("n1", create("meanwhile"))
    network.run(1.0)
    after = network.replica("n1").document.text()
    stale = network.change("n1", replacement(before))
    broken = network.change("n1", replacement(before[:-3]), force=True)
    network.run(1.0)

    assert answer(network, stale) is api.Outcome.OLD_DATA
    assert answer(network, broken) is api.Outcome.INVALID_XML
    assert network.replica("n1").document.text() == after


def test_a_dry_run_shows_the_result_and_changes_nothing() -> None:
    network = cluster()
    before = network.replica("n1").document.text()
    request = network.change("n1", replacement(whole(network, "x")), dry_run=True)
    network.run(1.0)
    assert answer(network, request) is OK
    assert b'id="x"' in network.outcomes["n1", request].xml
    assert network.replica("n1").document.text() == before


@pytest.mark.parametrize("turns", range(0, 700, 29))
def test_a_crash_at_any_turn_leaves_all_or_nothing(turns: int) -> None:
    network = cluster()
    before = network.replica("n2").document.digest()
    request = network.change("n2", replacement(whole(network, "large")))
    network.run(0.01 + turns * NAP_S)
    network.crash("n1")
    network.partition(("n2", "n3"), lost=("n1",))
    network.rule("n2", ("n2", "n3"))
    network.run(5.0)

    outcome = answer(network, request, "n2")
    assert outcome in (OK, api.Outcome.UNKNOWN_OUTCOME)
    there = network.replica("n2").document.by_id("large") is not None
    assert there or (outcome is not OK and network.replica("n2").document.digest() == before)
    network.heal()
    assert_alike(network)


def test_when_another_takes_over_it_was_never_begun_and_goes_to_him() -> None:
    network = cluster()
    request = under_way(network, "large")
    behind = network.change("n1", create("behind"))
    network.rule("n2", NODES)
    network.run(3.0)

    assert network.replica("n2").is_master
    assert [answer(network, each) for each in (request, behind)] == [OK, OK]
    assert_alike(network)


def test_without_quorum_at_its_end_it_is_not_made() -> None:
    network = cluster()
    before = network.replica("n1").document.text()
    request = under_way(network, "large")
    network.partition(("n1",), ("n2", "n3"))
    network.run(3.0)

    assert answer(network, request) is api.Outcome.NO_QUORUM
    assert network.replica("n1").document.text() == before


def test_a_member_who_comes_meanwhile_is_waited_for() -> None:
    network = cluster()
    network.crash("n3")
    network.partition(("n1", "n2"), lost=("n3",))
    network.run(1.0)
    request = under_way(network, "large")
    network.start("n3")
    network.partition(NODES)
    network.run(5.0)

    assert answer(network, request) is OK
    assert network.replica("n3").document.by_id("large") is not None
    assert_alike(network)


def test_a_better_copy_that_comes_meanwhile_is_what_it_is_made_on() -> None:
    network = cluster()
    network.partition(("n1", "n2"), ("n3",))
    network.rule("n3", ("n3",))
    network.run(1.0)
    step = api.XmlOperation(api.XmlTask.MODIFY, b'<cib admin_epoch="7"/>')
    network.change("n3", step, create("theirs"), force=True)
    network.run(1.0)
    given = whole(network, "large").replace(b'admin_epoch="0"', b'admin_epoch="9"')
    network.rule("n1", ("n1", "n2", "n3"))
    network.partition(NODES)
    network.run(0.005)
    request = network.change("n1", replacement(given))
    network.run(5.0)

    assert answer(network, request) is OK
    assert any("Took the CIB of n3" in note for note in network.nodes["n1"].notes)
    assert network.replica("n1").document.by_id("large") is not None
    assert network.replica("n1").document.by_id("theirs") is None
    assert_alike(network)


def test_a_disk_that_breaks_meanwhile_is_a_reason_not_to_make_it() -> None:
    network = cluster()
    network.nodes["n1"].disk.broken = True
    network.change("n1", create("first"))
    request = network.change("n1", replacement(whole(network, "large")))
    network.run(3.0)

    assert answer(network, request) is api.Outcome.NOT_DURABLE
    assert network.replica("n1").document.by_id("large") is None


def test_subscribers_hear_of_a_replacement_when_its_writer_has_his_answer() -> None:
    network = cluster()
    copy = document.Document.parse(network.replica("n1").document.text())
    values = [
        api.SetNodeAttribute(f"n{node}", str(node), f"a{number}", "1")
        for node in range(1, 101)
        for number in range(21)
    ]
    operations.carry_out(copy, (*values, create("large")), LENIENT)
    request = network.change("n1", replacement(copy.text()))
    behind = network.change("n1", create("behind"))
    while answer(network, request) is None:
        assert not any(isinstance(t, api.CibReplaced) for t in network.nodes["n1"].told)
        network.run(0.001)
    network.run(3.0)

    assert [answer(network, request), answer(network, behind)] == [OK, OK]
    told = [t for t in network.nodes["n1"].told if isinstance(t, api.CibReplaced | api.CibChanged)]
    assert isinstance(told[-2], api.CibReplaced)
    assert isinstance(told[-1], api.CibChanged)
    assert_alike(network)
