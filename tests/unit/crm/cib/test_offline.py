"""The cib.xml of a stopped node, changed by a tool or by hand: believed, and in the history."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.api import cib as api
from crm.cib import ahead, copies, folder, offline, operations, revisions, rules, store
from crm.cib import document as documents
from crm.cib.disk import Journal
from crm.cib.localcopy import LocalCopy
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.settings import Paths
from tests.kit.cib import create

NINE = Warrant(0, Reign(9, "n1"), (0, 2))
TEN = Warrant(0, NINE.written, (0, 3))
ME = api.Origin("cibadmin", "n1", "horms", "cibadmin -C ...")


class Node:
    """A stopped node's folder, with a configuration that its cib wrote."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.folder = self.paths.cib_dir
        self.folder.mkdir(parents=True)
        self.store = store.Store(self.folder)
        self.store.keep_promise(NINE.written)
        self.document = documents.Document(documents.empty(epoch=1))
        carried, entry = self.change("a")
        assert carried.outcome is api.Outcome.OK
        journal = Journal((revisions.encode(entry),))
        self.store.write(self.document.configuration_text(), NINE, journal)

    def change(self, name: str) -> tuple[operations.Carried, api.Revision]:
        carried = operations.carry_out(self.document, (create(name),), rules.STANDARD)
        assert carried.trace is not None
        entry = revisions.entry_of(
            carried.trace,
            carried.before,
            carried.after,
            digest=self.document.digest(),
            origin=api.Origin("crm", "n1", "root"),
            at=5.0,
        )
        return carried, entry

    def start(self) -> tuple[store.Loaded, tuple[api.Revision, ...]]:
        """What the cib finds when it starts."""
        files = store.Store(self.folder)
        loaded = files.load(rules.STANDARD)
        journal = files.read_journal()
        history, _ = revisions.restore(journal, loaded.document, edited=loaded.edited)
        return loaded, history.entries


def changed_by_a_tool(path: Path, name: str) -> list[str]:
    """Make a change; tells the codes of what is said about it."""
    return kept(opened(path), name)


def opened(path: Path) -> offline.OwnFile:
    own = offline.OwnFile.open(path)
    assert own is not None
    return own


def kept(own: offline.OwnFile, name: str) -> list[str]:
    carried = operations.carry_out(own.document, (create(name),), rules.STANDARD)
    own.keep(carried, ME)
    return [problem.code for problem in own.warnings_about(carried)]


def test_a_change_by_a_tool_is_believed_at_the_start_and_stands_in_the_history(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    changed_by_a_tool(node.paths.cib_xml, "b")
    loaded, entries = node.start()
    assert loaded.problems == []
    assert loaded.document.by_id("b") is not None
    assert loaded.warrant == NINE
    assert [(e.summary, e.user, e.client) for e in entries] == [
        ("created a", "root", "crm"),
        ("created b", "horms", "cibadmin"),
    ]
    back = revisions.at(loaded.document.root, entries, "0.1")
    assert documents.Document(back).by_id("a") is None


def test_what_is_ahead_of_the_file_is_read_and_kept(tmp_path: Path) -> None:
    node = Node(tmp_path)
    carried, entry = node.change("crashed-here")
    node.store.append((ahead.encode(ahead.Step(entry, carried.patch, TEN)),))
    changed_by_a_tool(node.paths.cib_xml, "b")
    loaded, entries = node.start()
    assert loaded.problems == []
    assert loaded.document.by_id("crashed-here") is not None
    assert loaded.document.by_id("b") is not None
    assert [e.summary for e in entries] == ["created a", "created crashed-here", "created b"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"0badc0de {}\n0badc0de {}\n",
        lambda data: b"not a line of ours\n" + data,
        lambda data: data.replace(b"goes_on_from", b"goes_on_for"),
    ],
    ids=["damaged at its end", "foreign", "without a beginning"],
)
def test_changes_that_cannot_be_read_are_kept_and_told_of(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    node = Node(tmp_path)
    carried, entry = node.change("crashed-here")
    node.store.append((ahead.encode(ahead.Step(entry, carried.patch, NINE)),))
    path = node.folder / store.AHEAD
    spoilt = spoil(path.read_bytes())
    path.write_bytes(spoilt)
    own = opened(node.paths.cib_xml)
    assert [problem.code for problem in own.problems] == ["ahead-unused"]
    assert path.read_bytes() == spoilt, "reading changes nothing"
    assert kept(own, "b") == ["ahead-unused"]
    assert (node.folder / "cib.ahead-1").read_bytes() == spoilt
    assert not (node.folder / "cib.ahead-2").exists()


def test_what_goes_on_from_another_file_but_leads_further_is_kept_and_told_of(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    carried, entry = node.change("acknowledged")
    node.store.append((ahead.encode(ahead.Step(entry, carried.patch, NINE)),))
    found = (node.folder / store.AHEAD).read_bytes()
    other = documents.Document(documents.empty(epoch=1))
    node.paths.cib_xml.write_bytes(other.text())
    (node.folder / store.SIGNATURE).unlink()
    assert changed_by_a_tool(node.paths.cib_xml, "b") == ["ahead-unused"]
    assert (node.folder / "cib.ahead-1").read_bytes() == found


def test_a_file_that_was_changed_since_it_was_read_is_not_written_over(tmp_path: Path) -> None:
    node = Node(tmp_path)
    mine, yours = opened(node.paths.cib_xml), opened(node.paths.cib_xml)
    kept(yours, "b")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        kept(mine, "c")
    assert opened(node.paths.cib_xml).document.by_id("b") is not None
    assert kept(yours, "d") == []


def test_a_cib_that_is_starting_keeps_its_folder(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = node.paths.cib_xml.read_bytes()
    lock = folder.lock(node.folder, shared=True)
    assert lock is not None
    with pytest.raises(ConfigurationError, match="is in use"):
        changed_by_a_tool(node.paths.cib_xml, "b")
    assert node.paths.cib_xml.read_bytes() == before
    os.close(lock)
    changed_by_a_tool(node.paths.cib_xml, "b")


def test_nobody_else_writes_while_a_change_is_kept(tmp_path: Path) -> None:
    node = Node(tmp_path)
    own = opened(node.paths.cib_xml)
    carried = operations.carry_out(own.document, (create("b"),), rules.STANDARD)
    seen: list[int | None] = []

    class Spy(documents.Document):
        def text(self, *, pretty: bool = False) -> bytes:
            seen.append(folder.lock(node.folder, shared=False))
            return super().text(pretty=pretty)

    own.document.__class__ = Spy
    own.keep(carried, ME)
    assert seen == [None]


def test_a_history_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    node = Node(tmp_path)
    own = opened(node.paths.cib_xml)
    carried = operations.carry_out(own.document, (create("b"),), rules.STANDARD)

    class FullDisk(store.Store):
        def _note(self, journal: Journal) -> None:
            self.journal_problem = f"{copies.REVISIONS}: No space left on device"

    own._folder.__class__ = FullDisk
    own.keep(carried, ME)
    (problem,) = own.warnings_about(carried)
    assert problem.code == "not-in-history"
    assert copies.REVISIONS in problem.message
    assert opened(node.paths.cib_xml).document.by_id("b") is not None


def test_while_the_cib_runs_its_file_is_not_changed(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = node.paths.cib_xml.read_bytes()
    node.paths.bus_dir.mkdir(parents=True)
    with (node.paths.bus_dir / "cib.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="belongs to the cib that runs") as refusal:
            changed_by_a_tool(node.paths.cib_xml, "b")
        assert "unset CIB_file" in refusal.value.problems[0].hint
    assert node.paths.cib_xml.read_bytes() == before
    changed_by_a_tool(node.paths.cib_xml, "b")


def test_a_cib_xml_without_company_is_an_ordinary_file(tmp_path: Path) -> None:
    path = tmp_path / "cib.xml"
    path.write_bytes(documents.Document(documents.empty()).text())
    assert offline.OwnFile.open(path) is None
    assert offline.OwnFile.open(tmp_path / "missing.xml") is None


def test_an_edit_by_hand_counts_as_the_next_version_and_is_told(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path = node.paths.cib_xml
    path.write_bytes(path.read_bytes().replace(b'id="a"', b'id="z"'))
    (node.folder / "cib.xml.sig").unlink()
    loaded, entries = node.start()
    assert loaded.document.by_id("z") is not None
    assert (loaded.document.version.epoch, loaded.fresh) == (3, True)
    assert [problem.code for problem in loaded.problems] == ["cib-edited"]
    assert [(e.name, e.is_known, e.reason) for e in entries] == [
        ("0.2", True, ""),
        ("0.3", False, revisions.EDITED),
    ]


@pytest.mark.parametrize("by_hand", [False, True], ids=["by a tool", "by hand"])
def test_what_was_changed_in_a_file_wins_where_it_goes_on_from_and_loses_against_what_came_since(
    tmp_path: Path, by_hand: bool
) -> None:
    node = Node(tmp_path)
    others = LocalCopy(documents.Document.parse(node.document.text()), rules.STANDARD, NINE)
    later = LocalCopy(documents.Document.parse(node.document.text()), rules.STANDARD, TEN)
    if by_hand:
        path = node.paths.cib_xml
        path.write_bytes(path.read_bytes().replace(b'id="a"', b'id="z"'))
        (node.folder / "cib.xml.sig").unlink()
    else:
        changed_by_a_tool(node.paths.cib_xml, "b")
    loaded, entries = node.start()
    copy = LocalCopy(
        loaded.document, rules.STANDARD, loaded.warrant, history=revisions.History(entries)
    )
    assert others.standing() < copy.standing() < later.standing()


def test_a_change_that_raises_admin_epoch_wins_and_needs_no_warning(tmp_path: Path) -> None:
    node = Node(tmp_path)
    own = offline.OwnFile.open(node.paths.cib_xml)
    assert own is not None
    nodes = b'<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>'
    step = api.XmlOperation(api.XmlTask.REPLACE, nodes, "nodes")
    carried = operations.carry_out(own.document, (step,), rules.STANDARD)
    (told,) = own.warnings_about(carried)
    assert "it loses if the other nodes have" in told.message
    raised = api.XmlOperation(api.XmlTask.MODIFY, b'<cib admin_epoch="1"/>')
    carried = operations.carry_out(own.document, (raised, create("b")), rules.STANDARD)
    assert own.warnings_about(carried) == []
