"""Changes that are durable before cib.xml says them: whatever happens, none of them is lost."""

from __future__ import annotations

import errno
import hashlib
import random
from pathlib import Path

import msgspec
import pytest

from crm.api import cib as api
from crm.cib import ahead, operations, revisions, rules, store, wire
from crm.cib import document as documents
from crm.cib.disk import MAX_AHEAD_BYTES, Append, Disk, Persist, Persisted
from crm.cib.keeper import Keeper
from crm.cib.localcopy import LocalCopy
from crm.cib.warrants import Warrant
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.errors import has_errors
from tests.kit.cib import LENIENT, create
from tests.kit.frail_disk import FOLDER, FrailDisk, Interrupted

NINE = Warrant(0, Reign(9, "n1"))
CHANCES = 6
MOST_CALLS = 80


class Life:
    """One life of a cib that is alone: its copy, and its files on a disk."""

    def __init__(self, disk: FrailDisk, most_ahead_bytes: int = MAX_AHEAD_BYTES) -> None:
        self.now = 0.0
        self.store = store.Store(FOLDER, kernel=disk)
        self.loaded = self.store.load(rules.STANDARD)
        history, self.damage = revisions.restore(self.store.read_journal(), self.loaded.document)
        self.copy = LocalCopy(
            self.loaded.document, LENIENT, self.loaded.warrant or NINE, history=history
        )
        self.writes = Disk(most_ahead_bytes)
        self._keeper = Keeper(self.store, print)
        if self.loaded.fresh:
            self.writes.want()

    def change(self, identity: str, *more: api.Operation) -> None:
        """Make a change; it is durable when `settle` returns."""
        self.carry_out(create(identity), *more)

    def carry_out(self, *made: api.Operation) -> None:
        document = self.copy.document
        carried = operations.carry_out(document, made, LENIENT)
        assert carried.outcome is api.Outcome.OK
        if not carried.configuration:
            return
        self.copy.warrant = NINE
        origin = api.Origin("test", "n1")
        change = wire.Replicated(carried.before, carried.after, carried.patch, (), origin)
        self.copy.note(carried.trace, change, document.digest(), "n1", NINE)
        self.writes.want()

    def next_write(self) -> Persist | Append | None:
        mark = (NINE.written, 0)
        return self.writes.write(
            lambda: self.copy.content(mark), lambda: self.copy.steps(mark), self.now
        )

    def settle(self) -> list[str]:
        """Write what is wanted, until all is durable; names the ways it was tried."""
        ways = []
        while not self.writes.is_durable:
            order = self.next_write()
            assert order is not None, self.writes.problem
            ways.append(type(order).__name__)
            ended = self._keeper.carry_out(order)
            assert ended is not None
            self.writes.finished(ended, self.now)
        return ways

    def rewrite(self) -> None:
        """Have cib.xml say all there is."""
        self.writes.hurry()
        order = self.next_write()
        if order is not None:
            ended = self._keeper.carry_out(order)
            assert ended is not None
            self.writes.finished(ended, self.now)

    def names(self) -> list[str]:
        return [str(each.get("id")) for each in self.copy.document.root.iter("primitive")]


def ahead_of(disk: FrailDisk) -> bytes:
    return disk.files()[store.AHEAD]


def begun(*names: str) -> tuple[FrailDisk, Life]:
    """A life whose cib.xml is written, with these changes ahead of it."""
    disk = FrailDisk()
    life = Life(disk)
    life.settle()
    for name in names:
        life.change(name)
        assert life.settle() == ["Append"]
    return disk, life


def calls(action: str) -> int:
    disk, life = begun("a", "b")
    before = len(disk.calls)
    act(life, action)
    return len(disk.calls) - before


def act(life: Life, action: str) -> None:
    if action == "append":
        life.change("c")
        life.settle()
    else:
        life.rewrite()


def test_a_change_is_durable_ahead_of_a_cib_xml_that_does_not_say_it() -> None:
    disk, life = begun("a", "b")
    assert b'id="a"' not in disk.files()[store.FILE]
    disk.cut_power(random.Random(1))
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert again.copy.document.digest() == life.copy.document.digest()
    assert again.copy.document.version == life.copy.document.version
    assert again.loaded.warrant == NINE
    assert again.loaded.problems == []


def test_an_append_syncs_one_file_once() -> None:
    disk, life = begun("a")
    before = len(disk.calls)
    act(life, "append")
    assert [call for call in disk.calls[before:] if "sync" in call] == ["fsync"]


@pytest.mark.parametrize("action", ["append", "rewrite"])
@pytest.mark.parametrize("seed", range(CHANCES))
def test_a_power_cut_at_any_call_loses_nothing_that_was_durable(action: str, seed: int) -> None:
    chance = random.Random(seed)
    for step in range(calls(action) + 1):
        disk, life = begun("a", "b")
        disk.interrupt_after = step
        acknowledged = ["a", "b"]
        try:
            act(life, action)
            acknowledged += ["c"] if action == "append" else []
        except Interrupted:
            pass
        disk.cut_power(chance)
        again = Life(disk)
        assert again.names()[: len(acknowledged)] == acknowledged, f"after {step} calls"
        assert not has_errors(again.loaded.problems)
        again.change("d")
        again.settle()
        disk.cut_power(chance)
        assert Life(disk).names() == again.names()


@pytest.mark.parametrize("action", ["append", "rewrite"])
def test_a_process_killed_at_any_call_loses_nothing_that_was_durable(action: str) -> None:
    for step in range(calls(action)):
        disk, life = begun("a", "b")
        disk.interrupt_after = step
        with pytest.raises(Interrupted):
            act(life, action)
        disk.restart_process()
        assert Life(disk).names()[:2] == ["a", "b"], f"after {step} calls"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_what_cannot_be_appended_is_written_as_a_whole_at_once(call: str, number: int) -> None:
    disk, life = begun("a")
    life.change("b")
    disk.fail(call, number)
    assert life.settle() == ["Append", "Persist"]
    assert life.writes.problem == ""
    life.change("c")
    assert life.settle() == ["Append"]
    disk.cut_power(random.Random(3))
    assert Life(disk).names() == ["a", "b", "c"]


def test_a_file_that_lost_something_in_a_sync_is_never_used_again() -> None:
    """Its next sync would report success, and what was lost would still be lost."""
    for seed in range(CHANCES):
        disk, life = begun("a")
        disk.fail("fsync", errno.EIO)
        for name in ("b", "c", "d"):
            life.change(name)
            life.settle()
        disk.cut_power(random.Random(seed))
        assert Life(disk).names() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("call", ["truncate", "write"])
def test_without_a_file_to_append_to_every_change_is_written_as_a_whole(call: str) -> None:
    disk, life = begun("a")
    # The last of these calls of a whole write is that for the file ahead.
    trial, twin = begun("a")
    before = len(trial.calls)
    twin.rewrite()
    after = trial.calls[before:].count(call) - 1
    disk.fail(call, errno.EIO, after=after)
    life.rewrite()
    life.change("b")
    assert life.settle() == ["Persist"]
    life.change("c")
    assert life.settle() == ["Append"]
    disk.cut_power(random.Random(4))
    assert Life(disk).names() == ["a", "b", "c"]


def test_a_torn_end_is_a_change_nobody_was_told_of() -> None:
    disk, _ = begun("a", "b")
    whole = ahead_of(disk)
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole) - 1):
        disk.put(store.AHEAD, whole[:length])
        life = Life(disk)
        assert life.names() == ["a"]
        assert life.loaded.problems == []
    disk.put(store.AHEAD, whole[:-1])
    assert Life(disk).names() == ["a", "b"]


def test_what_follows_a_torn_end_is_not_spoilt() -> None:
    disk, life = begun("a")
    disk.put(store.AHEAD, ahead_of(disk) + b'0badc0de {"torn')
    again = Life(disk)
    again.settle()
    again.change("b")
    again.settle()
    disk.cut_power(random.Random(2))
    assert Life(disk).names() == ["a", "b"]
    assert life.names() == ["a"]


def test_damage_before_whole_lines_is_an_error_and_the_file_is_kept() -> None:
    disk, _ = begun("a", "b", "c")
    data = bytearray(ahead_of(disk))
    lines = bytes(data).split(b"\n")
    place = len(lines[0]) + 1 + len(lines[1]) + 1 + 20
    data[place] ^= 1
    disk.put(store.AHEAD, bytes(data))
    life = Life(disk)
    assert life.names() == ["a"]
    (found,) = life.loaded.problems
    assert found.code == "ahead-unused"
    assert disk.files()[f"{store.AHEAD}-1"] == bytes(data)


def not_to_be_repeated(disk: FrailDisk) -> bytes:
    """Write a change that does not fit where it is to go, and damage behind it."""
    lines = ahead_of(disk).splitlines(keepends=True)
    data = lines[0] + lines[2] + b"0badc0de {}\n0badc0de {}\n"
    disk.put(store.AHEAD, data)
    return data


def test_a_file_that_is_wrong_in_two_ways_is_set_aside_once() -> None:
    disk, _ = begun("a", "b")
    data = not_to_be_repeated(disk)
    (found,) = Life(disk).loaded.problems
    assert found.code == "ahead-unused"
    assert "cannot be repeated" in found.message
    assert found.message.endswith(f"kept as {store.AHEAD}-1")
    kept = {name: text for name, text in disk.files().items() if name.startswith(store.AHEAD)}
    assert kept == {f"{store.AHEAD}-1": data}


def test_a_file_that_cannot_be_set_aside_is_said_to_be_lost() -> None:
    disk, _ = begun("a", "b")
    not_to_be_repeated(disk)
    disk.fail("rename", errno.EIO)
    (found,) = Life(disk).loaded.problems
    assert "could not be kept as cib.ahead-1 (Input/output error)" in found.message


def test_a_file_whose_first_line_is_damaged_is_kept_and_reported() -> None:
    disk, _ = begun("a", "b")
    data = ahead_of(disk).replace(b"goes_on_from", b"goes_on_fro_")
    disk.put(store.AHEAD, data)
    (found,) = Life(disk).loaded.problems
    assert "does not say which cib.xml" in found.message
    assert disk.files()[f"{store.AHEAD}-1"] == data


def test_changes_that_go_on_from_another_file_are_kept_and_reported() -> None:
    disk, _ = begun("a", "b")
    by_hand = disk.files()[store.FILE].replace(b"<resources/>", b'<resources><template id="t"/>')
    assert by_hand != disk.files()[store.FILE]
    disk.put(store.FILE, by_hand.replace(b'<template id="t"/>', b"</resources>"))
    disk.remove(store.SIGNATURE)
    life = Life(disk)
    assert life.names() == []
    assert [found.code for found in life.loaded.problems] == ["ahead-unused", "cib-edited"]
    assert f"{store.AHEAD}-1" in disk.files()


def test_changes_ahead_of_a_file_whose_admin_epoch_was_raised_by_hand_are_kept_and_reported() -> (
    None
):
    disk, _ = begun("a", "b")
    by_hand = disk.files()[store.FILE].replace(b'admin_epoch="0"', b'admin_epoch="5"', 1)
    assert by_hand != disk.files()[store.FILE]
    disk.put(store.FILE, by_hand)
    disk.remove(store.SIGNATURE)
    life = Life(disk)
    assert life.loaded.warrant.decided == 5
    assert [found.code for found in life.loaded.problems] == ["ahead-unused", "cib-edited"]
    assert f"{store.AHEAD}-1" in disk.files()


def test_changes_that_a_file_of_an_earlier_release_says_already_are_old_news() -> None:
    disk, life = begun("a", "b")
    head, *steps = ahead_of(disk).splitlines(keepends=True)
    life.rewrite()
    data, _, _ = disk.files()[store.FILE].rpartition(b"<!--")
    data += b'<!-- pacekeeper reign="9" dc="n1" '
    seal = f'digest="{hashlib.sha256(data).hexdigest()}" -->\n'
    disk.put(store.FILE, data + seal.encode())
    read = ahead.decode(head + b"".join(steps)).steps
    assert read
    old = [msgspec.structs.replace(step, warrant=None, written=NINE.written) for step in read]
    disk.put(store.AHEAD, head + b"".join(map(ahead.encode, old)))
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert again.loaded.problems == []


def test_changes_that_a_newer_file_says_already_are_old_news() -> None:
    disk, life = begun("a", "b")
    old = ahead_of(disk)
    life.rewrite()
    disk.put(store.AHEAD, old)
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert again.loaded.problems == []
    assert not again.loaded.fresh


def test_a_file_that_is_not_ours_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / store.AHEAD).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"secret\n")
    files = store.Store(tmp_path)
    found = files.load(rules.STANDARD)
    assert [each.code for each in found.problems] == ["ahead-unused", "cib-missing"]
    assert (tmp_path / f"{store.AHEAD}-1").is_symlink()
    files.write(found.document.configuration_text(), NINE)
    assert files.may_append
    assert (tmp_path / "elsewhere").read_bytes() == b"secret\n"


def test_a_folder_of_an_earlier_version_is_read_as_before() -> None:
    disk, life = begun("a", "b")
    life.rewrite()
    disk.remove(store.AHEAD)
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert again.loaded.problems == []
    assert not again.loaded.fresh


def test_the_history_of_what_is_ahead_is_known_and_told_once() -> None:
    disk, _ = begun("a", "b")
    disk.cut_power(random.Random(1))
    again = Life(disk)
    assert [entry.name for entry in again.copy.history.entries if entry.is_known] == ["0.1", "0.2"]
    again.settle()
    again.change("c")
    again.settle()
    third = Life(disk)
    assert [entry.name for entry in third.copy.history.entries] == ["0.1", "0.2", "0.3"]
    third.settle()
    disk.cut_power(random.Random(1))
    assert [entry.name for entry in Life(disk).copy.history.entries] == ["0.1", "0.2", "0.3"]


def test_a_change_of_the_status_as_well_is_repeated_as_far_as_cib_xml_keeps_it() -> None:
    disk, life = begun("a")
    life.carry_out(api.SetNodeAttribute("n1", "uuid-1", "colour", "red"))
    state = api.XmlOperation(
        api.XmlTask.MODIFY, b'<node_state id="uuid-1" crmd="online"/>', "status"
    )
    life.change("b", state)
    assert life.settle() == ["Append"]
    disk.cut_power(random.Random(1))
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert len(again.copy.document.status) == 0


def test_status_changes_counted_before_a_change_do_not_keep_it_from_being_repeated() -> None:
    disk, life = begun("a")
    for value in ("1", "2", "3"):
        life.carry_out(api.SetNodeAttribute("n1", "uuid-1", "load", value))
    life.rewrite()
    life.carry_out(api.SetNodeAttribute("n1", "uuid-1", "load", "4"))
    life.change("b")
    assert life.settle() == ["Append"]
    disk.cut_power(random.Random(1))
    again = Life(disk)
    assert again.names() == ["a", "b"]
    assert again.copy.document.version == life.copy.document.version


def test_another_document_is_written_as_a_whole() -> None:
    _, life = begun("a")
    other = documents.Document(xml.parse(life.copy.document.text()))
    operations.carry_out(other, (create("of-another-node"),), LENIENT)
    life.copy.adopt(other, NINE, giver="n2")
    life.writes.want()
    assert life.settle() == ["Persist"]


def test_a_document_without_a_section_that_readers_put_in_is_written_as_a_whole() -> None:
    disk, life = begun("a")
    life.carry_out(api.XmlOperation(api.XmlTask.DELETE, b"<constraints/>"))
    assert life.settle() == ["Persist"]
    disk.cut_power(random.Random(1))
    assert Life(disk).names() == ["a"]


@pytest.mark.parametrize("seed", range(40))
def test_through_crashes_and_failing_calls_nothing_durable_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    disk = FrailDisk()
    durable: list[str] = []
    life = Life(disk)
    for number in range(60):
        try:
            _trouble(disk, chance)
            for more in range(chance.randrange(3)):
                life.change(f"r{number}-{more}")
            life.now += chance.choice((0.01, 0.6, 6.0))
            if chance.random() < 0.2:
                life.rewrite()
            if not life.writes.problem:
                life.settle()
                durable = life.names()
        except (Interrupted, AssertionError) as end:
            assert isinstance(end, Interrupted) or life.writes.problem
            disk.repair()
            if chance.random() < 0.5:
                disk.cut_power(chance)
            else:
                disk.restart_process()
            life = Life(disk)
            assert life.names()[: len(durable)] == durable
            assert not has_errors(life.loaded.problems)
            life.settle()
            durable = life.names()


def _trouble(disk: FrailDisk, chance: random.Random) -> None:
    match chance.randrange(8):
        case 0:
            disk.interrupt_after = chance.randrange(MOST_CALLS)
        case 1:
            call = chance.choice(("fsync", "write", "open", "truncate", "create", "rename"))
            disk.fail(call, chance.choice((errno.EIO, errno.ENOSPC)), after=chance.randrange(4))
        case 2:
            disk.repair()


# --- when what is written -----------------------------------------------------------------------


def told(life: Life) -> str:
    order = life.next_write()
    return type(order).__name__


def test_a_lone_change_is_in_cib_xml_right_after_it_is_durable() -> None:
    _, life = begun()
    life.now = 10.0
    life.change("a")
    assert life.settle() == ["Append"]
    assert life.writes.next_deadline() is not None
    assert life.writes.next_deadline() <= 10.0  # type: ignore[operator]
    assert told(life) == "Persist"


def test_while_changes_follow_each_other_cib_xml_is_written_twice_a_second() -> None:
    _, life = begun("a")
    life.now = 10.0
    life.rewrite()
    for name in ("b", "c"):
        life.now += 0.1
        life.change(name)
        assert life.settle() == ["Append"]
        assert told(life) == "NoneType"
    assert life.writes.next_deadline() == 10.5
    life.now = 10.5
    assert told(life) == "Persist"


def test_changes_that_leave_no_pause_do_not_keep_cib_xml_from_being_written() -> None:
    disk, life = begun("a")
    life.now = 10.0
    life.rewrite()
    ways: list[str] = []
    for number in range(60):
        life.now += 0.05
        life.change(f"b{number}")
        ways += life.settle()
    assert ways.count("Persist") in (2, 3)
    assert b'id="b30"' in disk.files()[store.FILE]


def test_a_change_waits_for_no_rewriting_of_what_is_durable() -> None:
    _, life = begun("a")
    order = None
    life.writes.hurry()
    order = life.next_write()
    assert isinstance(order, Persist)
    assert life.writes.is_durable
    life.change("b")
    assert not life.writes.is_durable
    life.writes.finished(Persisted(order.ticket, True, may_append=True), 0.0)
    assert life.settle() == ["Append"]


def test_a_cib_that_ends_waits_until_cib_xml_says_all() -> None:
    _, life = begun("a")
    assert not life.writes.may_be_left
    life.rewrite()
    assert life.writes.may_be_left


def test_a_rewriting_that_fails_is_a_problem_and_tried_again() -> None:
    disk, life = begun("a")
    disk.fail("create", errno.ENOSPC, times=9)
    life.rewrite()
    assert life.writes.problem == "", "it is tried once more first"
    life.rewrite()
    assert "No space" in life.writes.problem
    assert life.writes.is_durable
    assert life.writes.next_deadline() == 5.0
    life.now = 5.0
    assert told(life) == "Persist"


def test_a_write_that_fails_once_is_made_again_at_once_and_troubles_nobody() -> None:
    disk, life = begun("a")
    life.change("b")
    disk.fail("fsync", errno.EIO)
    assert life.settle() == ["Append", "Persist"]
    life.writes.want()
    assert life.writes.problem == ""


def test_what_is_ahead_has_a_bound() -> None:
    life = Life(FrailDisk(), most_ahead_bytes=2000)
    ways = []
    for number in range(8):
        life.change(f"b{number}")
        ways += life.settle()
    assert ways[:2] == ["Persist", "Append"]
    assert ways.count("Persist") > 1


def test_a_version_that_does_not_follow_is_not_repeated() -> None:
    disk, life = begun("a")
    before = life.copy.document.version
    assert before == Version(0, 1, 0)
    life.carry_out(api.XmlOperation(api.XmlTask.BUMP))
    assert life.settle() == ["Append"]
    disk.cut_power(random.Random(1))
    assert Life(disk).copy.document.version == life.copy.document.version
