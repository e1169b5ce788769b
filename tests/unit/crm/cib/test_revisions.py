"""The history of the configuration: back to any version, and by exactly one change."""

from __future__ import annotations

import random

import pytest
from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, revisions
from crm.cib.localcopy import LocalCopy
from crm.cib.warrants import Warrant
from crm.model.version import Reign, Version
from crm.plumbing import xml
from tests.kit.cib import LENIENT, create, document

Task = api.XmlTask
Xml = api.XmlOperation


class Told:
    """A document whose changes are noted."""

    def __init__(self, copy: documents.Document | None = None) -> None:
        self.document = copy or document()
        self.history = revisions.History()
        self.texts = {self._name(): self.text()}

    def change(self, *steps: api.Operation, reason: str = "") -> api.Revision:
        carried = operations.carry_out(self.document, steps, LENIENT)
        assert carried.outcome is api.Outcome.OK, carried.findings
        assert carried.trace is not None
        entry = revisions.entry_of(
            carried.trace,
            carried.before,
            carried.after,
            digest=self.document.digest(),
            origin=api.Origin("crm", "n1", "root", reason),
            at=1000.0 + len(self.texts),
        )
        self.history.append(entry)
        self.texts[self._name()] = self.text()
        return entry

    def undo(self, name: str) -> api.Revision:
        place = revisions.find(self.history.entries, name, self.document.version)
        patch = revisions.undo(self.document.root, self.history.entries, place)
        return self.change(Xml(Task.PATCH, patch))

    def text(self) -> bytes:
        return canonical(self.document.root)

    def _name(self) -> str:
        version = self.document.version
        return f"{version.admin_epoch}.{version.epoch}"


def canonical(root: etree._Element) -> bytes:
    part = root.find("configuration")
    assert part is not None
    return etree.tostring(part, method="c14n")


def xml_operation(task: api.XmlTask, text: str, section: str = "resources") -> api.XmlOperation:
    return Xml(task, text.encode(), section)


GROUP = (
    '<group id="g"><primitive id="a" class="ocf" provider="p" type="Dummy"/>'
    '<primitive id="b" class="ocf" provider="p" type="Dummy"/>'
    '<primitive id="c" class="ocf" provider="p" type="Dummy"/></group>'
)
OPTION = (
    '<cluster_property_set id="o"><nvpair id="o-{name}" name="{name}" value="{value}"/>'
    "</cluster_property_set>"
)


def option(name: str, value: str) -> api.XmlOperation:
    text = OPTION.format(name=name, value=value).encode()
    return Xml(Task.MODIFY, text, "crm_config", may_create=True)


def codes(refusal: pytest.ExceptionInfo[revisions.UndoConflict]) -> list[str]:
    return [problem.subject for problem in refusal.value.problems]


# --- entries ------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_and_why_in_one_line() -> None:
    told = Told()
    entry = told.change(create("vip"), create("web"), reason="crm configure load x")
    assert (entry.name, entry.user, entry.node, entry.client) == ("0.1", "root", "n1", "crm")
    assert entry.summary == "created vip, web"
    assert entry.objects == ("vip", "web")
    assert entry.reason == "crm configure load x"


def test_a_summary_names_options_but_never_their_values() -> None:
    told = Told()
    told.change(option("stonith-enabled", "true"))
    entry = told.change(option("stonith-enabled", "secret"), option("maintenance-mode", "true"))
    assert entry.summary == "changed o (stonith-enabled, maintenance-mode)"


def test_a_summary_tells_what_was_deleted_and_what_a_group_lost() -> None:
    told = Told()
    told.change(xml_operation(Task.CREATE, GROUP))
    entry = told.change(xml_operation(Task.DELETE, '<primitive id="b"/>'))
    assert entry.summary == "changed g (without b)"
    entry = told.change(xml_operation(Task.MODIFY, '<primitive id="a" type="Other"/>'))
    assert entry.summary == "changed g (a type)"
    assert told.change(xml_operation(Task.DELETE, '<group id="g"/>')).summary == "deleted g"


def test_an_object_that_becomes_another_one_counts_as_changed() -> None:
    told = Told()
    told.change(create("a"))
    entry = told.change(xml_operation(Task.DELETE, '<primitive id="a"/>'), create("a"))
    assert entry.summary == "changed a"


def test_a_bump_changes_nothing_but_the_version() -> None:
    told = Told()
    assert told.change(Xml(Task.BUMP)).summary == "nothing but the version"


# --- back to a version --------------------------------------------------------------------------


def test_every_version_can_be_reached_from_the_present_one() -> None:
    told = Told()
    told.change(create("a"))
    told.change(xml_operation(Task.CREATE, GROUP.replace('"a"', '"a2"')))
    told.change(option("stonith-enabled", "true"))
    told.change(xml_operation(Task.DELETE, '<primitive id="b"/>'))
    told.change(Xml(Task.ERASE))
    told.change(create("z"))
    for name, text in told.texts.items():
        there = revisions.at(told.document.root, told.history.entries, name)
        assert canonical(there) == text, name


@pytest.mark.parametrize("seed", range(30))
def test_random_changes_lead_back_to_each_version_and_are_undone_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    told = Told()
    for _ in range(12):
        told.change(_any_change(rng, told))
    for name, text in told.texts.items():
        assert canonical(revisions.at(told.document.root, told.history.entries, name)) == text
    for entry in reversed(told.history.entries):
        if entry.summary != "nothing but the version":
            told.undo(entry.name)
    assert told.text() == told.texts["0.0"]


def _any_change(rng: random.Random, told: Told) -> api.XmlOperation:
    ids = [e.get("id", "") for e in told.document.select("//resources/*")]
    name = rng.choice(ids) if ids else ""
    new = f"r{len(told.texts)}"
    kind = rng.choice(["create", "option", "delete", "replace"] if ids else ["create"])
    match kind:
        case "option":
            return option(rng.choice(["one", "two"]), str(rng.random()))
        case "delete":
            return Xml(Task.DELETE, b"", xpath=f"//*[@id='{name}']")
        case "replace":
            members = rng.sample(ids, len(ids))
            text = "".join(f'<primitive id="{m}" class="ocf" type="T{new}"/>' for m in members)
            comment = f"<!-- {new} -->"
            return Xml(Task.REPLACE, f"<resources>{comment}{text}</resources>".encode())
        case _:
            return create(new)


def test_a_version_before_the_history_is_not_known() -> None:
    told = Told(document(b'<cib epoch="7" num_updates="0" admin_epoch="0"/>'))
    told.change(create("a"))
    assert revisions.at(told.document.root, told.history.entries, "7") is not None
    with pytest.raises(revisions.UnknownRevision, match=r"0\.6") as refusal:
        revisions.at(told.document.root, told.history.entries, "6")
    assert refusal.value.problems[0].hint.startswith("0.7 to 0.8")


def test_what_is_no_revision_is_refused() -> None:
    with pytest.raises(revisions.UnknownRevision, match="yesterday"):
        revisions.parse_name("yesterday", Version())


# --- undo ---------------------------------------------------------------------------------------


def test_undo_takes_back_the_change_and_nothing_that_came_later() -> None:
    told = Told()
    told.change(create("a"))
    told.change(option("one", "1"))
    told.change(create("b"))
    undone = told.undo("0.2")
    assert undone.name == "0.4"
    assert told.document.by_id("o") is None
    assert told.document.by_id("b") is not None


def test_an_undo_can_be_undone() -> None:
    told = Told()
    told.change(create("a"))
    before = told.text()
    told.undo("0.1")
    told.undo("0.2")
    assert told.text() == before


def test_what_was_changed_since_stands_in_the_way_and_is_named_with_who_did_it() -> None:
    told = Told()
    told.change(option("one", "1"))
    told.change(option("one", "2"))
    told.change(option("one", "3"))
    with pytest.raises(revisions.UndoConflict) as refusal:
        told.undo("0.2")
    (problem,) = refusal.value.problems
    assert problem.subject == "o"
    assert "value was changed since" in problem.message
    assert "0.3 (changed o (one))" in problem.message
    assert problem.hint == "undo 0.3 first, or make the change by hand"


def test_a_resource_that_was_changed_since_is_not_removed_by_undoing_its_creation() -> None:
    told = Told()
    told.change(create("a"))
    told.change(xml_operation(Task.MODIFY, '<primitive id="a" type="Other"/>'))
    with pytest.raises(revisions.UndoConflict) as refusal:
        told.undo("0.1")
    assert codes(refusal) == ["a"]


def test_what_exists_again_is_not_restored_over_it() -> None:
    told = Told()
    told.change(create("a"))
    told.change(xml_operation(Task.DELETE, '<primitive id="a"/>'))
    told.change(create("a"))
    with pytest.raises(revisions.UndoConflict) as refusal:
        told.undo("0.2")
    assert "there is an object 'a' again" in refusal.value.problems[0].message


def test_every_object_in_the_way_is_named() -> None:
    told = Told()
    told.change(create("a"), create("b"), create("c"))
    told.change(
        xml_operation(Task.MODIFY, '<primitive id="a" type="Other"/>'),
        xml_operation(Task.DELETE, '<primitive id="c"/>'),
    )
    with pytest.raises(revisions.UndoConflict) as refusal:
        told.undo("0.1")
    assert sorted(codes(refusal)) == ["a", "c"]
    assert told.document.by_id("b") is not None


def test_a_member_comes_back_beside_its_neighbours_when_others_left() -> None:
    told = Told()
    told.change(xml_operation(Task.CREATE, GROUP))
    told.change(xml_operation(Task.DELETE, '<primitive id="b"/>'))
    told.change(xml_operation(Task.DELETE, '<primitive id="a"/>'))
    told.undo("0.2")
    group = told.document.by_id("g")
    assert group is not None
    assert [member.get("id") for member in group] == ["b", "c"]


def test_a_change_of_the_version_alone_has_nothing_to_undo() -> None:
    told = Told()
    told.change(Xml(Task.BUMP))
    with pytest.raises(revisions.UndoConflict, match="nothing but the version"):
        told.undo("0.1")


def test_an_upgrade_is_undone_with_the_name_of_its_schema() -> None:
    told = Told()
    told.document.root.set("validate-with", "pacemaker-2.0")
    told.change(Xml(Task.MODIFY, b'<cib validate-with="pacemaker-3.9"/>'))
    assert told.history.entries[-1].summary == "changed validate-with"
    told.undo("0.1")
    assert told.document.schema == "pacemaker-2.0"


# --- keeping them -------------------------------------------------------------------------------


def entry(epoch: int, at: float = 1.0, size: int = 0) -> api.Revision:
    blob = random.Random(epoch).randbytes(size)
    return api.Revision(Version(0, epoch - 1), Version(0, epoch), f"d{epoch}", at, backward=blob)


def names(history: revisions.History) -> list[str]:
    return [each.name for each in history.entries]


def test_the_oldest_go_when_there_are_too_many() -> None:
    history = revisions.History()
    for epoch in range(1, revisions.MAX_REVISIONS + 4):
        history.append(entry(epoch))
    assert len(history.entries) == revisions.MAX_REVISIONS
    assert names(history)[0] == "0.4"


def test_the_oldest_go_when_they_are_too_large_together() -> None:
    history = revisions.History()
    for epoch in range(1, 12):
        history.append(entry(epoch, size=1_000_000))
    total = sum(len(revisions.encode(each)) for each in history.entries)
    assert total <= revisions.MAX_BYTES < total + 1_400_000


def test_the_oldest_go_when_they_are_too_old() -> None:
    history = revisions.History()
    history.append(entry(1, at=1000.0))
    history.append(entry(2, at=2000.0))
    history.append(entry(3, at=1000.5 + revisions.MAX_AGE_S))
    assert names(history) == ["0.2", "0.3"]


def test_each_entry_is_written_once_and_the_journal_anew_when_much_was_dropped() -> None:
    history = revisions.History()
    written: list[bytes] = []
    for epoch in range(1, revisions.MAX_REVISIONS + 2 * revisions.MAX_USELESS):
        history.append(entry(epoch))
        journal = history.take()
        if journal.whole:
            written.clear()
        written += journal.lines
        assert len(written) <= revisions.MAX_REVISIONS + revisions.MAX_USELESS + 1
    kept, bad = revisions.decode(b"".join(written))
    assert kept[-revisions.MAX_REVISIONS :] == list(history.entries)
    assert bad == 0
    assert history.take().lines == ()


# --- a journal and the configuration it is found beside -----------------------------------------


def journal_of(told: Told) -> bytes:
    return b"".join(told.history.take().lines)


def test_a_journal_is_read_as_it_was_written() -> None:
    told = Told()
    told.change(create("a"))
    told.change(create("b"))
    history, problems = revisions.restore(journal_of(told), told.document)
    assert history.entries == told.history.entries
    assert problems == []
    assert history.take().lines == ()


def test_an_entry_whose_version_never_became_durable_is_dropped() -> None:
    told = Told()
    told.change(create("a"))
    durable = documents.Document(xml.parse(told.document.text()))
    told.change(create("b"))
    history, problems = revisions.restore(journal_of(told), durable)
    assert names(history) == ["0.1"]
    assert problems == []
    journal = history.take()
    assert journal.whole
    assert len(journal.lines) == 1


def test_a_version_without_an_entry_is_shown_as_unknown() -> None:
    told = Told()
    told.change(create("a"))
    journal = journal_of(told)
    told.change(create("b"))
    history, _ = revisions.restore(journal, told.document)
    assert [(each.name, each.is_known) for each in history.entries] == [
        ("0.1", True),
        ("0.2", False),
    ]
    with pytest.raises(revisions.UnknownRevision, match=r"0\.2 was made is not recorded"):
        revisions.at(told.document.root, history.entries, "0.1")
    with pytest.raises(revisions.UnknownRevision, match=r"0\.2 was made is not recorded"):
        revisions.undo(told.document.root, history.entries, 1)


def test_a_file_edited_by_hand_under_the_same_version_is_noticed() -> None:
    told = Told()
    told.change(create("a"))
    told.change(create("b"))
    edited = documents.Document(xml.parse(told.document.text().replace(b"Dummy", b"Other")))
    history, _ = revisions.restore(journal_of(told), edited)
    assert [(each.name, each.is_known) for each in history.entries] == [
        ("0.1", True),
        ("0.2", False),
    ]


def test_a_journal_cut_off_anywhere_loses_what_was_cut_and_nothing_else() -> None:
    told = Told()
    told.change(create("a"))
    told.change(create("b"))
    data = journal_of(told)
    first = data.index(b"\n") + 1
    for length in range(len(data)):
        history, _ = revisions.restore(data[:length], told.document)
        known = [each.name for each in history.entries if each.is_known]
        whole = length == len(data) - 1  # only the line break is missing
        assert known == (["0.1", "0.2"] if whole else ["0.1"] if length >= first - 1 else [])


def test_a_damaged_line_in_the_middle_breaks_the_way_back_there() -> None:
    told = Told()
    for name in "abc":
        told.change(create(name))
    lines = journal_of(told).splitlines(keepends=True)
    lines[1] = lines[1].replace(b"created", b"creeted")
    history, problems = revisions.restore(b"".join(lines), told.document)
    assert [problem.code for problem in problems] == ["history-damaged"]
    assert names(history) == ["0.1", "0.3"]
    assert revisions.at(told.document.root, history.entries, "0.2") is not None
    with pytest.raises(revisions.UnknownRevision, match=r"0\.2 was made is not recorded"):
        revisions.at(told.document.root, history.entries, "0.1")


def test_a_copy_that_is_taken_over_is_one_entry_that_leads_back() -> None:
    told = Told()
    told.change(create("a"))
    before = told.text()
    other = documents.Document(xml.parse(told.document.text()))
    for name in "bc":
        operations.carry_out(other, (create(name),), LENIENT)
    made = revisions.of_takeover(told.document, other, giver="n2", at=5.0)
    assert (made.name, made.summary, made.node) == ("0.3", "created b, c", "n2")
    assert "took over the copy of n2" in made.reason
    told.history.append(made)
    there = revisions.at(other.root, told.history.entries, "0.1")
    assert canonical(there) == before


def test_what_was_written_twice_by_an_interrupted_write_is_told_once() -> None:
    told = Told()
    told.change(create("a"))
    told.change(create("b"))
    lines = [revisions.encode(entry) for entry in told.history.entries]
    entries, bad = revisions.decode(b"".join([*lines, *lines]))
    assert [entry.name for entry in entries] == ["0.1", "0.2"]
    assert bad == 0


# --- restore ------------------------------------------------------------------------------------


def restored(told: Told, name: str) -> None:
    patch = revisions.back_to(told.document.root, told.history.entries, name)
    told.change(Xml(Task.PATCH, patch))


@pytest.mark.parametrize("seed", range(20))
def test_restoring_makes_everything_as_it_was_and_can_be_restored_from(seed: int) -> None:
    rng = random.Random(seed)
    told = Told()
    for _ in range(10):
        told.change(_any_change(rng, told))
    present = told.document.version
    for name in rng.sample(sorted(told.texts), 3):
        if told.texts[name] != told.text():
            restored(told, name)
            assert told.text() == told.texts[name], name
    newest = f"{present.admin_epoch}.{present.epoch}"
    if told.texts[newest] != told.text():
        restored(told, newest)
    assert told.text() == told.texts[newest]


def test_restoring_leaves_the_nodes_that_there_are_but_takes_back_what_is_said_of_them() -> None:
    told = Told()
    standby = '<node id="1" uname="n1"><instance_attributes id="i"/></node>'
    told.change(xml_operation(Task.CREATE, '<node id="1" uname="n1"/>', "nodes"))
    told.change(xml_operation(Task.CREATE, '<node id="2" uname="n2"/>', "nodes"))
    told.change(create("a"))
    told.change(xml_operation(Task.REPLACE, standby, "nodes"))
    told.change(xml_operation(Task.DELETE, '<node id="2"/>', "nodes"))
    told.change(xml_operation(Task.CREATE, '<node id="3" uname="n3"/>', "nodes"))
    restored(told, "0.2")
    nodes = told.document.select("//nodes/node")
    assert [(node.get("id"), len(node)) for node in nodes] == [("1", 0), ("3", 0)]
    assert told.document.by_id("a") is None


def test_restoring_what_is_there_already_is_refused() -> None:
    told = Told()
    told.change(create("a"))
    with pytest.raises(revisions.UndoConflict, match=r"as it was at revision 0\.1"):
        revisions.back_to(told.document.root, told.history.entries, "0.1")


# --- words --------------------------------------------------------------------------------------


def test_a_node_is_called_by_its_name_and_an_attribute_set_by_what_is_in_it() -> None:
    told = Told()
    entry = told.change(xml_operation(Task.CREATE, '<node id="4711" uname="n1"/>', "nodes"))
    assert (entry.summary, entry.objects) == ("created node n1", ("4711",))
    attributes = (
        '<node id="4711"><instance_attributes id="i">'
        '<nvpair id="p" name="standby" value="on"/></instance_attributes></node>'
    )
    entry = told.change(xml_operation(Task.MODIFY, attributes, "nodes"))
    assert entry.summary == "changed node n1 (standby)"
    entry = told.change(xml_operation(Task.DELETE, '<nvpair id="p"/>', "nodes"))
    assert entry.summary == "changed node n1 (standby)"
    entry = told.change(xml_operation(Task.DELETE, '<node id="4711"/>', "nodes"))
    assert entry.summary == "deleted node n1"


def test_a_new_set_of_options_says_which() -> None:
    told = Told()
    assert told.change(option("maintenance-mode", "true")).summary == "created o (maintenance-mode)"


# --- taking over what another node knows --------------------------------------------------------


def shared(told: Told) -> Told:
    """Another node with the same document and history."""
    other = Told(documents.Document.parse(told.document.text()))
    other.history = revisions.History(told.history.entries)
    return other


def since(giver: Told, own: Told) -> tuple[api.Revision, ...]:
    version = own.document.version
    there = (version.admin_epoch, version.epoch)
    return revisions.since(giver.history.entries, there, own.document.digest())


def test_a_history_goes_on_with_what_was_missed() -> None:
    giver = Told()
    giver.change(create("a"))
    own = shared(giver)
    giver.change(create("b"))
    told = since(giver, own)
    assert [entry.name for entry in told] == ["0.1", "0.2"], "the last common one and what is new"
    joined = revisions.joined(own.history, own.document, told, giver.document)
    assert joined is not None
    assert joined.entries == giver.history.entries


def test_what_was_changed_on_this_side_alone_is_no_part_of_the_common_history() -> None:
    giver = Told()
    giver.change(create("a"))
    own = shared(giver)
    giver.change(create("b"))
    own.change(create("lonely"))
    own.change(create("lonelier"))
    joined = revisions.joined(own.history, own.document, since(giver, own), giver.document)
    assert joined is not None
    assert joined.entries == giver.history.entries


def test_histories_that_do_not_meet_or_lead_elsewhere_are_not_joined() -> None:
    giver = Told()
    giver.change(create("a"))
    own = shared(giver)
    giver.change(create("b"))
    giver.change(create("c"))
    entries = giver.history.entries
    cut = entries[2:]
    assert revisions.joined(own.history, own.document, cut, giver.document) is None
    assert revisions.joined(own.history, own.document, entries[:2], giver.document) is None
    assert revisions.joined(own.history, own.document, (), giver.document) is None


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_who_knows_nothing_takes_all_that_is_told(epoch: int) -> None:
    giver = Told()
    giver.change(create("a"))
    giver.change(create("b"))
    own = Told(documents.Document(documents.empty(epoch)))
    joined = revisions.joined(own.history, own.document, since(giver, own), giver.document)
    assert joined is not None
    assert joined.entries == giver.history.entries


def test_no_more_is_told_than_a_message_may_hold() -> None:
    giver = Told()
    for number in range(50):
        noise = random.Random(number).randbytes(30_000).hex()
        giver.change(option("filler", noise))
    told = since(giver, Told())
    assert 1 < len(told) < 50
    assert told[-1] == giver.history.entries[-1]
    size = sum(len(entry.backward) for entry in told)
    assert size <= revisions.MAX_TOLD_BYTES


def test_a_copy_that_comes_without_its_history_is_one_entry_for_all_that_differs() -> None:
    giver = Told()
    giver.change(create("a"))
    own = shared(giver)
    giver.change(create("b"))
    giver.change(create("c"))
    copy = LocalCopy(own.document, LENIENT, Warrant(0, Reign(1, "n1")), history=own.history)
    copy.adopt(shared(giver).document, Warrant(0, Reign(2, "n1")), giver="n1", at=7.0)
    *_, last = copy.history.entries
    assert last.summary == "created b, c"
    assert last.reason.startswith("took over the copy of n1")
    back = revisions.at(copy.document.root, copy.history.entries, "0.1")
    assert canonical(back) == giver.texts["0.1"]
