"""The files of the CIB on a frail disk: whatever call is the last one, a whole copy is left."""

from __future__ import annotations

import errno
import random

import pytest

from crm.cib import backups, rules, store
from crm.cib import document as documents
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from tests.kit.frail_disk import FOLDER, FrailDisk, Interrupted

NINE = Warrant(0, Reign(9, "n1"))
MAX_CALLS = 60
CHANCES = 8
CALLS = ("create", "write", "fsync", "chmod", "rename", "sync_folder", "link", "unlink")


def text(epoch: int) -> bytes:
    return documents.Document(documents.empty(epoch)).configuration_text()


def written(*epochs: int) -> FrailDisk:
    disk = FrailDisk()
    for epoch in epochs:
        store.Store(FOLDER, kernel=disk).write(text(epoch), NINE)
    return disk


def epoch_on(disk: FrailDisk) -> int:
    return store.Store(FOLDER, kernel=disk).load(rules.STANDARD).document.version.epoch


def calls_of_a_write() -> int:
    disk = written(1, 2)
    before = len(disk.calls)
    store.Store(FOLDER, kernel=disk).write(text(3), NINE)
    return len(disk.calls) - before


@pytest.mark.parametrize("seed", range(CHANCES))
def test_a_power_cut_at_any_call_leaves_the_old_copy_or_the_new_one(seed: int) -> None:
    chance = random.Random(seed)
    for step in range(calls_of_a_write() + 1):
        disk = written(1, 2)
        disk.interrupt_after = step
        acknowledged = True
        try:
            store.Store(FOLDER, kernel=disk).write(text(3), NINE)
        except Interrupted:
            acknowledged = False
        disk.cut_power(chance)
        assert epoch_on(disk) in ((3,) if acknowledged else (2, 3)), f"after {step} calls"


def test_a_process_killed_at_any_call_leaves_the_old_copy_or_the_new_one() -> None:
    for step in range(calls_of_a_write()):
        disk = written(1, 2)
        disk.interrupt_after = step
        with pytest.raises(Interrupted):
            store.Store(FOLDER, kernel=disk).write(text(3), NINE)
        disk.restart_process()
        assert epoch_on(disk) in (2, 3), f"after {step} calls"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_anywhere_is_refused_or_durable_and_the_next_one_is_made(
    call: str, number: int
) -> None:
    chance = random.Random(5)
    for after in range(4):
        disk = written(1, 2)
        disk.fail(call, number, after=after)
        files = store.Store(FOLDER, kernel=disk)
        try:
            files.write(text(3), NINE)
            made = 3
        except OSError as problem:
            assert problem.errno == number
            made = 2
        disk.repair()
        files.write(text(4), NINE)
        disk.cut_power(chance)
        assert epoch_on(disk) == 4, f"after {after} {call}, {made} was durable"


@pytest.mark.parametrize("call", ["fsync", "sync_folder"])
def test_what_a_failed_sync_has_lost_is_written_anew_as_another_file(call: str) -> None:
    """A second fsync of the same file reports success although the data are gone."""
    for seed in range(CHANCES):
        disk = written(1, 2)
        disk.fail(call, errno.EIO)
        files = store.Store(FOLDER, kernel=disk)
        with pytest.raises(OSError, match="Input/output error"):
            files.write(text(3), NINE)
        files.write(text(3), NINE)
        disk.cut_power(random.Random(seed))
        assert epoch_on(disk) == 3


def test_a_folder_that_cannot_be_synced_does_not_use_up_the_backups() -> None:
    disk = written(1, 2)
    named = {name: data for name, data in disk.files().items() if name.endswith(".raw")}
    files = store.Store(FOLDER, kernel=disk)
    disk.fail("sync_folder", errno.EIO, times=3 * backups.MAX_BACKUPS)
    for _ in range(2 * backups.MAX_BACKUPS):
        with pytest.raises(OSError, match="Input/output error"):
            files.write(text(3), NINE)
    assert named.items() <= disk.files().items()


def test_what_an_interrupted_write_left_behind_is_removed_at_the_start() -> None:
    disk = written(1)
    disk.interrupt_after = 5
    with pytest.raises(Interrupted):
        store.Store(FOLDER, kernel=disk).write(text(2), NINE)
    disk.restart_process()
    assert [name for name in disk.files() if name.startswith(".cib")]
    assert epoch_on(disk) == 1
    assert [name for name in disk.files() if name.startswith(".cib")] == []
