"""The journal of the history beside cib.xml: a write interrupted after any step loses nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.api import cib as api
from crm.cib import copies, operations, revisions, rules, store
from crm.cib import document as documents
from crm.cib.disk import Journal
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from tests.kit.cib import LENIENT, create, document

NINE = Warrant(0, Reign(9, "n1"))


class PowerCut(Exception):
    """Nothing after this happened."""


class Interrupted(store.Store):
    """A store whose process dies after a number of steps of a write."""

    def __init__(self, directory: Path, steps: int) -> None:
        super().__init__(directory)
        self._left = steps

    def _step(self, action: Callable[[], None]) -> None:
        if self._left == 0:
            raise PowerCut
        self._left -= 1
        action()

    def _note(self, journal: Journal) -> None:
        self._step(lambda: super(Interrupted, self)._note(journal))

    def _back_up(self) -> None:
        self._step(super()._back_up)

    def _write_hint(self, name: str, text: str) -> None:
        self._step(lambda: super(Interrupted, self)._write_hint(name, text))


def changed(copy: documents.Document, history: revisions.History, identity: str) -> None:
    carried = operations.carry_out(copy, (create(identity),), LENIENT)
    assert carried.trace is not None
    history.append(
        revisions.entry_of(
            carried.trace,
            carried.before,
            carried.after,
            digest=copy.digest(),
            origin=api.Origin("crm", "n1", "root"),
            at=7.0,
        )
    )


def loaded(directory: Path) -> tuple[documents.Document, revisions.History]:
    files = store.Store(directory)
    found = files.load(rules.STANDARD).document
    history, _ = revisions.restore(files.read_journal(), found)
    return found, history


def names(history: revisions.History) -> list[str]:
    return [entry.name for entry in history.entries if entry.is_known]


@pytest.mark.parametrize("steps", range(6))
def test_after_a_power_cut_at_any_step_the_history_ends_with_the_version_that_is_there(
    tmp_path: Path, steps: int
) -> None:
    copy, history = document(), revisions.History()
    changed(copy, history, "a")
    store.Store(tmp_path).write(copy.configuration_text(), NINE, history.take())
    changed(copy, history, "b")
    changed(copy, history, "c")
    try:
        Interrupted(tmp_path, steps).write(copy.configuration_text(), NINE, history.take())
    except PowerCut:
        assert steps < 5
    found, known = loaded(tmp_path)
    is_new = found.by_id("c") is not None
    assert names(known) == (["0.1", "0.2", "0.3"] if is_new else ["0.1"])
    revisions.at(found.root, known.entries, "0.0")
    # Life goes on: what was dropped never comes back.
    changed(found, known, "d")
    store.Store(tmp_path).write(found.configuration_text(), NINE, known.take())
    again, after = loaded(tmp_path)
    assert names(after) == (["0.1", "0.2", "0.3", "0.4"] if is_new else ["0.1", "0.2"])
    assert revisions.at(again.root, after.entries, "0.0").find(".//primitive") is None


def test_a_torn_entry_spoils_no_later_one(tmp_path: Path) -> None:
    copy, history = document(), revisions.History()
    changed(copy, history, "a")
    files = store.Store(tmp_path)
    files.write(copy.configuration_text(), NINE, history.take())
    with (tmp_path / copies.REVISIONS).open("ab") as file:
        file.write(b'0badc0de {"type":"Revis')
    changed(copy, history, "b")
    files.write(copy.configuration_text(), NINE, history.take())
    assert names(loaded(tmp_path)[1]) == ["0.1", "0.2"]


def test_a_history_that_cannot_be_written_does_not_keep_a_change_back(tmp_path: Path) -> None:
    (tmp_path / copies.REVISIONS).mkdir()
    files = store.Store(tmp_path)
    copy, history = document(), revisions.History()
    changed(copy, history, "a")
    files.write(copy.configuration_text(), NINE, history.take())
    assert os.strerror(errno.EISDIR) in files.journal_problem
    (tmp_path / copies.REVISIONS).rmdir()
    changed(copy, history, "b")
    files.write(copy.configuration_text(), NINE, history.take())
    assert files.journal_problem == ""
    found, known = loaded(tmp_path)
    assert found.by_id("b") is not None
    assert names(known) == ["0.1", "0.2"]


def test_a_history_that_is_not_ours_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"secret\n")
    (tmp_path / copies.REVISIONS).symlink_to(tmp_path / "elsewhere")
    assert store.Store(tmp_path).read_journal() == b""
    assert (tmp_path / f"{copies.REVISIONS}-1").is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"secret\n"


def test_a_journal_written_anew_replaces_the_old_one(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    copy, history = document(), revisions.History()
    changed(copy, history, "a")
    files.write(copy.configuration_text(), NINE, history.take())
    before = (tmp_path / copies.REVISIONS).read_bytes()
    anew = revisions.History(history.entries, whole=True)
    files.write(copy.configuration_text(), NINE, anew.take())
    assert (tmp_path / copies.REVISIONS).read_bytes() == before
