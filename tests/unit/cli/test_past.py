"""The history at a running cluster: what is asked, and that an undo is an ordinary change."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli import past
from cli.workspace import CommitRefused, LiveSource, Workspace, command_line
from crm.api import cib
from crm.cib import operations, revisions
from crm.cib.query import answer_query, answer_revisions
from crm.plumbing.errors import StaleVersion
from tests.kit.cib import LENIENT, create, document


class FakeCib:
    """Answers as the gate with a cib behind it."""

    def __init__(self) -> None:
        self.document = document()
        self.history = revisions.History()
        self.user = "root"
        self.asked: list[msgspec.Struct] = []
        self.between: list[cib.XmlOperation] = []

    def ask(self, _service: str, message: msgspec.Struct, **_: float) -> msgspec.Struct:
        self.asked.append(message)
        match message:
            case cib.AskRevisions():
                signed = msgspec.structs.replace(message, user=self.user)
                answer = answer_revisions(self.document, self.history.entries, signed)
                if self.between:
                    self.change(self.between.pop(), cib.Origin("other"))
                return answer
            case cib.Query():
                return answer_query(self.document, message)
            case cib.Change(operations=(operation,)):
                return self.change(operation, message.origin)
            case _:
                raise AssertionError(message)

    def change(self, operation: cib.Operation, origin: cib.Origin) -> cib.ChangeReply:
        carried = operations.carry_out(self.document, (operation,), LENIENT)
        assert carried.trace is not None, carried.findings
        entry = revisions.entry_of(
            carried.trace,
            carried.before,
            carried.after,
            digest=self.document.digest(),
            origin=origin,
            at=5.0,
        )
        self.history.append(entry)
        return cib.ChangeReply(0, carried.outcome, carried.after)


@pytest.fixture
def fake() -> FakeCib:
    made = FakeCib()
    made.change(create("a"), cib.Origin("crm"))
    made.change(create("b"), cib.Origin("crm"))
    return made


def at(fake: FakeCib) -> Workspace:
    source = LiveSource(Path("/"))
    source._session = fake  # type: ignore[assignment]  # it answers as one
    return Workspace(source)


def test_an_undo_is_a_change_based_on_what_was_read_with_its_reason(fake: FakeCib) -> None:
    workspace = at(fake)
    known = past.read(workspace)
    digest = fake.document.digest()
    past.take_back(workspace, known, known.find("0.1"), force=False)
    change = fake.asked[-1]
    assert isinstance(change, cib.Change)
    assert change.based_on == known.document.version
    assert change.based_digest == digest
    assert change.origin.reason == "undo 0.1: created a"
    assert fake.document.by_id("a") is None
    assert fake.document.by_id("b") is not None


def test_without_a_name_the_last_revision_is_meant(fake: FakeCib) -> None:
    known = past.read(at(fake))
    assert known.entries[known.find("")].name == "0.2"


def test_a_list_is_asked_for_without_patches(fake: FakeCib) -> None:
    (entry,) = past.entries_of(at(fake), 1)
    assert (entry.name, entry.backward) == ("0.2", b"")


def test_a_change_between_history_and_document_is_noticed_and_both_are_read_again(
    fake: FakeCib,
) -> None:
    fake.between = [create("c")]
    known = past.read(at(fake))
    assert known.entries[-1].name == "0.3"
    fake.between = [create(name) for name in "defg"]
    with pytest.raises(StaleVersion):
        past.read(at(fake))


def test_who_may_not_read_the_history_is_told_why(fake: FakeCib) -> None:
    acls = (
        b'<cluster_property_set id="o"><nvpair id="e" name="enable-acl" value="true"/>'
        b"</cluster_property_set>"
    )
    fake.change(cib.XmlOperation(cib.XmlTask.CREATE, acls, "crm_config"), cib.Origin("crm"))
    fake.user = "alice"
    with pytest.raises(CommitRefused, match="ACLs are in force") as refusal:
        past.read(at(fake))
    assert refusal.value.code == 4


def test_a_command_line_is_a_reason_without_its_passwords() -> None:
    line = ["/usr/sbin/crm", "configure", "primitive", "st", "params", "passwd=geheim", "a b"]
    assert command_line(line) == "crm configure primitive st params 'passwd=******' 'a b'"
    assert command_line(["crm"]) == ""
