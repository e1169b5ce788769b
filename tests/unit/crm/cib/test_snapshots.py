"""A whole copy on its way in pieces: read slice by slice, complete or not at all."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.cib import operations, wire
from crm.cib.document import Document
from crm.cib.snapshots import Reading
from crm.model.version import Reign
from crm.plumbing.errors import ConfigurationError, CrmError, RemoteProtocolError
from tests.kit.cib import LENIENT, Network, create, document

REIGN = Reign(3, "n1")
NODES = tuple(str(number) for number in range(1, 8))


def grown(*resources: str, nodes: tuple[str, ...] = NODES) -> Document:
    copy = document()
    for node in nodes:
        state = api.SetNodeState(f"n{node}", node, crmd_online=True)
        operations.carry_out(copy, (state,), LENIENT)
    operations.carry_out(copy, tuple(map(create, resources)), LENIENT)
    return copy


def sent(copy: Document) -> wire.Snapshot:
    pieces = None
    while pieces is None:
        pieces = copy.packed_pieces(1)
    return wire.Snapshot(REIGN, 1, REIGN, pieces)


def read(snapshot: wire.Snapshot, own: Document) -> tuple[Document | None, int]:
    """Read all of it in the smallest slices; says how many it took."""
    reading = Reading(snapshot, own)
    slices = 1
    while not reading.advance(1):
        slices += 1
    return reading.document, slices


def test_what_is_read_in_slices_is_what_was_sent() -> None:
    copy = grown("a", "b")
    arrived, slices = read(sent(copy), document())
    assert arrived is not None
    assert arrived.text() == copy.text()
    assert arrived.version == copy.version
    assert arrived.digest() == copy.digest()
    assert arrived.by_id("b") is not None
    assert slices > len(NODES)


def test_packing_takes_as_many_calls_as_there_are_cold_pieces_and_then_one() -> None:
    copy = grown("a")
    calls = 1
    while copy.packed_pieces(1) is None:
        calls += 1
    assert calls == len(NODES)
    assert copy.packed_pieces(1) is not None
    operations.carry_out(copy, (api.SetNodeState("n1", "1", crmd_online=False),), LENIENT)
    assert copy.packed_pieces(1) is not None


def test_a_copy_like_our_own_is_not_read() -> None:
    arrived, _ = read(sent(grown("a")), grown("a"))
    assert arrived is None


@pytest.mark.parametrize("other", [grown("b"), grown("a", nodes=NODES[:-1]), grown("a", "b")])
def test_any_difference_makes_it_another_copy(other: Document) -> None:
    arrived, _ = read(sent(grown("a")), other)
    assert arrived is not None
    assert arrived.text() == grown("a").text()


def test_an_older_one_of_fewer_nodes_is_another_copy_too() -> None:
    arrived, _ = read(sent(grown("a", nodes=NODES[:-1])), grown("a"))
    assert arrived is not None
    assert len(arrived.status) == len(NODES) - 1


@pytest.mark.parametrize("place", [0, 1, len(NODES)])
@pytest.mark.parametrize("damage", [b"", b"no zlib", wire.pack(b"<not-closed>")])
def test_a_damaged_piece_is_an_error_and_nothing_is_there(place: int, damage: bytes) -> None:
    good = sent(grown("a"))
    pieces = (*good.pieces[:place], damage, *good.pieces[place + 1 :])
    reading = Reading(wire.Snapshot(REIGN, 1, REIGN, pieces), document())
    with pytest.raises((RemoteProtocolError, ConfigurationError)):
        while not reading.advance(1):
            pass
    assert reading.document is None


def test_no_piece_at_all_is_an_error() -> None:
    with pytest.raises(CrmError):
        read(wire.Snapshot(REIGN, 1, REIGN, ()), document())


def test_a_status_that_is_not_as_it_should_goes_in_one_piece() -> None:
    copy = Document.parse(
        b'<cib admin_epoch="0" epoch="1" num_updates="0"><configuration/>'
        b'<status><node_state id="1"/><!-- by hand --></status></cib>'
    )
    assert len(sent(copy).pieces) == 1
    arrived, _ = read(sent(copy), document())
    assert arrived is not None
    assert arrived.text() == copy.text()


def test_a_document_is_taken_apart_to_the_last_node() -> None:
    copy = grown("a")
    assert sum(1 for _ in copy.taken_apart()) == len(NODES)
    assert len(copy.status) == 0


def test_changes_made_while_a_member_reads_are_made_there_right_after() -> None:
    network = Network(3, 1)
    network.slice_bytes = 1
    names = ("n1", "n2")
    network.crash("n3")
    network.partition(names)
    network.rule("n1", names)
    network.run(1.0)
    for node in NODES:
        network.change("n1", api.SetNodeState(f"n{node}", node, crmd_online=True))
    network.run(1.0)
    network.start("n3")
    network.partition(("n1", "n2", "n3"))
    network.rule("n1", ("n1", "n2", "n3"))
    for step in range(60):
        network.change("n1", api.SetNodeAttribute("n1", "1", "load", str(step)))
        network.change("n1", create(f"r{step}"))
        network.run(0.003)
    network.run(5.0)
    last = network.replica("n1").document
    assert network.replica("n3").document.text() == last.text()
    assert last.by_id("r59") is not None
    assert not [note for note in network.nodes["n3"].notes if "lost step" in note]
