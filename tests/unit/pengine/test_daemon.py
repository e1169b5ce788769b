"""The machine in the scheduler's process, and the archive of its inputs."""

from __future__ import annotations

import bz2
from pathlib import Path

from crm.api.scheduler import FROM_PENGINE, Schedule, Scheduled
from crm.plumbing.machine import Exit, MessageArrived, StopRequested, Tell
from pengine.archive import SERIES, Series, load, next_number, store
from pengine.daemon import KeepInput, Scheduling
from tests.kit.pengine import NOW, cib, primitive


def machine(directory: Path) -> Scheduling:
    return Scheduling({name: Series(directory, name) for name in SERIES})


def ask(
    scheduling: Scheduling, document: bytes, request: int = 1
) -> tuple[Scheduled, list[KeepInput]]:
    message = Schedule(request, document, NOW.timestamp(), transition=7)
    first, *rest = scheduling.receive(MessageArrived("crmd", message), 0.0)
    assert isinstance(first, Tell)
    assert first.peer == "crmd"
    assert isinstance(first.message, Scheduled)
    return first.message, rest


def test_a_request_is_answered_before_the_input_is_kept(tmp_path: Path) -> None:
    reply, kept = ask(machine(tmp_path), cib(primitive("a")))
    assert (reply.request, reply.graph.transition, reply.failed) == (1, 7, False)
    assert reply.input_path == str(tmp_path / "pe-input-0.bz2")
    assert [k.kept.path.name for k in kept] == ["pe-input-0.bz2"]


def test_the_answer_survives_the_wire(tmp_path: Path) -> None:
    reply, _ = ask(machine(tmp_path), cib(primitive("a")))
    assert FROM_PENGINE.decode(FROM_PENGINE.encode(reply)) == reply


def test_the_classic_lines_are_in_the_answer(tmp_path: Path) -> None:
    reply, _ = ask(machine(tmp_path), cib(primitive("a")))
    texts = [line.text for line in reply.lines]
    assert "determine_online_status: Node node1 is online" in texts
    assert "a (pacekeeper::ocf:Dummy): Stopped" in texts
    assert "StartRsc: node1  Start a" in texts
    assert "stage8: Created transition graph 7." in texts


def test_garbage_is_answered_with_what_is_wrong(tmp_path: Path) -> None:
    reply, kept = ask(machine(tmp_path), b"<cib><broken")
    assert reply.failed
    assert reply.graph.synapses == ()
    assert "cannot be read" in reply.lines[0].text
    assert kept[0].kept.path.name == "pe-error-0.bz2"


def test_a_repeated_input_is_not_kept_again(tmp_path: Path) -> None:
    scheduling = machine(tmp_path)
    document = cib(primitive("a"))
    first, _ = ask(scheduling, document)
    second, kept = ask(scheduling, document, request=2)
    assert kept == []
    assert second.input_path == first.input_path


def test_a_series_goes_round_at_its_cap() -> None:
    series = Series(Path("/x"), "pe-input")
    names = [series.keep(bytes([n]), 2)[0].name for n in range(3)]
    assert names == ["pe-input-0.bz2", "pe-input-1.bz2", "pe-input-0.bz2"]


def test_a_cap_of_zero_keeps_nothing() -> None:
    assert Series(Path("/x"), "pe-input").keep(b"x", 0) == (Path(), None)


def test_what_was_stored_can_be_loaded_and_numbering_goes_on(tmp_path: Path) -> None:
    path, kept = Series(tmp_path / "pengine", "pe-warn", 4).keep(b"<cib/>", 10)
    assert kept is not None
    store(kept)
    assert load(path) == b"<cib/>"
    assert bz2.decompress(path.read_bytes()) == b"<cib/>"
    assert next_number(tmp_path / "pengine", "pe-warn") == 5
    assert next_number(tmp_path / "pengine", "pe-input") == 0


def test_a_request_to_stop_ends_the_process(tmp_path: Path) -> None:
    assert machine(tmp_path).receive(StopRequested(), 0.0) == [Exit(0)]
