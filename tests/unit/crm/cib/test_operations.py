"""Operations on a document: what they do, what they count, and that a patch repeats them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import edits, elements, excerpt, operations, rules
from crm.model.version import Version
from crm.plumbing import errors, xml
from tests.kit.cib import LENIENT, create, document

Task = api.XmlTask
Xml = api.XmlOperation


def carry_out(
    copy: documents.Document, *steps: api.Operation, **options: bool
) -> operations.Carried:
    return operations.carry_out(copy, steps, LENIENT, **options)


def record(**changes: object) -> api.OperationRecord:
    plain = api.OperationRecord(
        node="n1",
        node_id="u1",
        resource="vip",
        agent_class="ocf",
        provider="heartbeat",
        type="IPaddr2",
        operation="start",
        interval_ms=0,
        call_id=3,
        rc=0,
        status=0,
        transition_key="4:1:0:uuid",
    )
    return msgspec.structs.replace(plain, **changes)


def entries(copy: documents.Document) -> dict[str, dict[str, str]]:
    return {
        entry.get("id", ""): elements.attributes_of(entry) for entry in copy.select("//lrm_rsc_op")
    }


def test_a_configuration_change_raises_the_epoch_and_begins_counting_updates_anew() -> None:
    copy = document()
    carry_out(copy, api.SetNodeState("n1", "u1", True))
    carried = carry_out(copy, create("a"))
    assert (carried.before, carried.after) == (Version(0, 0, 1), Version(0, 1, 0))
    assert carried.configuration


def test_a_status_change_counts_an_update() -> None:
    copy = document()
    carried = carry_out(copy, api.SetNodeAttribute("n1", "u1", "pingd", "100"))
    assert carried.after == Version(0, 0, 1)
    assert not carried.configuration


def test_a_change_that_changes_nothing_counts_nothing() -> None:
    copy = document()
    carry_out(copy, api.SetNodeAttribute("n1", "u1", "pingd", "100"))
    carried = carry_out(copy, api.SetNodeAttribute("n1", "u1", "pingd", "100"))
    assert carried.before == carried.after
    assert carried.patch == b""


def test_creating_what_exists_fails_with_a_report_and_leaves_all_as_it_was() -> None:
    copy = document()
    carry_out(copy, create("a"))
    before = copy.text()
    carried = carry_out(copy, create("b"), create("a"))
    assert carried.outcome is api.Outcome.EXISTS
    assert b"<failed_update" in carried.xml
    assert copy.text() == before
    assert copy.by_id("b") is None


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [
        (create("a", section=""), api.Outcome.NOT_FOUND),
        (create("a", section="nonsense"), api.Outcome.INVALID_XML),
        (Xml(Task.MODIFY, create("a").xml, may_create=True), api.Outcome.INVALID_XML),
    ],
)
def test_nothing_is_created_beside_configuration_and_status(
    operation: api.XmlOperation, outcome: api.Outcome
) -> None:
    copy = document()
    before = copy.text()
    carried = carry_out(copy, operation)
    assert (carried.outcome, carried.findings[0].code) == (outcome, "no-section")
    assert copy.text() == before


def test_what_has_no_id_is_created_once_in_its_place() -> None:
    copy = document()
    carry_out(copy, Xml(Task.CREATE, b"<tags/>", "configuration"))
    carried = carry_out(copy, Xml(Task.CREATE, b"<tags/>", "configuration"))
    assert carried.outcome is api.Outcome.EXISTS
    assert len(copy.select("//tags")) == 1


def test_modify_merges_by_kind_and_id_anywhere() -> None:
    copy = document()
    carry_out(copy, create("a"))
    carry_out(
        copy,
        Xml(
            Task.MODIFY,
            b'<primitive id="a"><meta_attributes id="m"><nvpair id="p" name="x" value="1"/>'
            b"</meta_attributes></primitive>",
        ),
    )
    carried = carry_out(copy, Xml(Task.MODIFY, b'<nvpair id="p" value="value++"/>'))
    pair = copy.by_id("p")
    assert pair is not None
    assert pair.get("value") == "2"
    assert carried.touched == (api.Touched("configuration", "a"),)


def test_modify_of_something_unknown_needs_leave_to_create() -> None:
    copy = document()
    given_xml = create("a").xml
    refused = carry_out(copy, Xml(Task.MODIFY, given_xml, "resources"))
    made = carry_out(copy, Xml(Task.MODIFY, given_xml, "resources", may_create=True))
    assert refused.outcome is api.Outcome.NOT_FOUND
    assert made.outcome is api.Outcome.OK
    assert copy.by_id("a") is not None


def test_replacing_a_section_deletes_what_is_not_in_it() -> None:
    copy = document()
    carry_out(copy, create("a"), create("b"))
    kept = copy.by_id("b")
    text = b'<resources><primitive id="b" class="ocf" provider="pacekeeper" type="Dummy"/>' + (
        b'<primitive id="c" class="lsb" type="x"/></resources>'
    )
    carry_out(copy, Xml(Task.REPLACE, text, "resources"))
    assert [e.get("id") for e in copy.select("//primitive")] == ["b", "c"]
    assert copy.by_id("b") is kept


def test_an_older_whole_cib_is_refused() -> None:
    copy = document()
    old = copy.text()
    carry_out(copy, create("a"))
    assert carry_out(copy, Xml(Task.REPLACE, old)).outcome is api.Outcome.OLD_DATA


def test_a_patch_for_another_version_is_refused() -> None:
    copy, other = document(), document()
    carried = carry_out(copy, create("a"))
    carry_out(other, create("b"))
    assert carry_out(other, Xml(Task.PATCH, carried.patch)).outcome is api.Outcome.OLD_DATA


def test_a_patch_that_leads_to_an_older_version_is_refused() -> None:
    copy = document()
    carry_out(copy, create("a"))
    version = (
        '<source admin_epoch="0" epoch="1" num_updates="0"/>'
        '<target admin_epoch="0" epoch="0" num_updates="9"/>'
    )
    text = f'<diff format="2"><version>{version}</version></diff>'
    assert carry_out(copy, Xml(Task.PATCH, text.encode())).outcome is api.Outcome.OLD_DATA


def test_a_replacement_with_a_newer_version_is_a_change_of_that_version() -> None:
    copy, other = document(), document()
    carry_out(other, create("a"), Xml(Task.MODIFY, b'<cib epoch="7"/>'))
    assert carry_out(copy, Xml(Task.REPLACE, other.text())).after == Version(0, 9, 0)


def test_a_bump_keeps_counting_the_updates() -> None:
    copy = document()
    carry_out(copy, api.SetNodeState("n1", "u1", True))
    assert carry_out(copy, Xml(Task.BUMP)).after == Version(0, 1, 2)


def test_delete_takes_the_first_match_and_is_content_with_none() -> None:
    copy = document()
    carry_out(copy, create("a"), create("b"))
    carry_out(copy, Xml(Task.DELETE, b'<primitive type="Dummy"/>', "resources"))
    assert copy.by_id("a") is None
    assert copy.by_id("b") is not None
    assert carry_out(copy, Xml(Task.DELETE, b'<primitive id="x"/>')).outcome is api.Outcome.OK


def test_the_two_halves_of_the_cib_cannot_be_deleted() -> None:
    copy = document()
    carried = carry_out(copy, Xml(Task.DELETE, xpath="/cib/configuration"))
    assert carried.outcome is api.Outcome.ERROR


def test_the_counters_of_the_classic_tool_for_bump_and_erase() -> None:
    copy = document()
    assert carry_out(copy, Xml(Task.BUMP)).after == Version(0, 1, 1)
    carry_out(copy, create("a"))
    assert carry_out(copy, Xml(Task.ERASE)).after == Version(1, 3, 0)
    assert copy.select("//primitive") == []


def test_a_version_never_goes_back() -> None:
    copy = document()
    carry_out(copy, create("a"))
    carried = carry_out(copy, Xml(Task.MODIFY, b'<cib epoch="0"/>'))
    assert carried.outcome is api.Outcome.OLD_DATA
    assert copy.version == Version(0, 1, 0)


@pytest.mark.parametrize("text", [b"<primitive", b"", b"\xff", b'<!DOCTYPE a><a id="b"/>'])
def test_unreadable_xml_is_refused(text: bytes) -> None:
    copy = document()
    carried = carry_out(copy, Xml(Task.CREATE, text, "resources"))
    assert carried.outcome in (api.Outcome.INVALID_XML, api.Outcome.NO_DATA)
    assert carried.findings


def test_a_change_that_breaks_the_rules_is_refused_with_its_findings() -> None:
    copy = document()
    dangling = b'<rsc_location id="l" rsc="nobody" node="n1" score="5"/>'
    carried = operations.carry_out(
        copy, [Xml(Task.CREATE, dangling, "constraints")], rules.STANDARD
    )
    assert carried.outcome is api.Outcome.INVALID_XML
    assert "nobody" in carried.findings[0].message
    assert copy.by_id("l") is None


def test_a_status_change_that_reaches_the_configuration_is_refused() -> None:
    copy = document()
    carried = carry_out(copy, create("a"), status_only=True)
    assert carried.outcome is api.Outcome.ERROR
    assert copy.by_id("a") is None


def test_a_dry_run_shows_the_result_and_keeps_the_old() -> None:
    copy = document()
    carried = carry_out(copy, create("a"), dry_run=True)
    assert b'id="a"' in carried.xml
    assert copy.by_id("a") is None


# --- histories -----------------------------------------------------------------------------------


def test_operations_that_do_not_recur_share_one_entry() -> None:
    copy = document()
    carry_out(copy, api.RecordOperations((record(), record(operation="stop", call_id=4))))
    assert list(entries(copy)) == ["vip_last_0"]
    assert entries(copy)["vip_last_0"]["operation_key"] == "vip_stop_0"
    assert entries(copy)["vip_last_0"]["transition-magic"] == "0:0;4:1:0:uuid"


def test_a_failed_recurring_operation_is_kept_as_the_last_failure_only() -> None:
    copy = document()
    monitor = record(operation="monitor", interval_ms=5000)
    failed = msgspec.structs.replace(monitor, rc=7, call_id=9)
    carry_out(copy, api.RecordOperations((monitor, failed)))
    assert entries(copy)["vip_monitor_5000"]["rc-code"] == "0"
    assert entries(copy)["vip_last_failure_0"]["rc-code"] == "7"


def test_a_probe_that_finds_a_clear_state_is_no_failure() -> None:
    copy = document()
    probe = record(operation="monitor", rc=0, transition_key="4:1:7:uuid")
    carry_out(copy, api.RecordOperations((probe,)))
    assert list(entries(copy)) == ["vip_last_0"]


def test_stopping_ends_the_recurring_entries_and_cancelling_ends_its_own() -> None:
    copy = document()
    five = record(operation="monitor", interval_ms=5000)
    nine = record(operation="monitor", interval_ms=9000)
    carry_out(copy, api.RecordOperations((five, nine)))
    carry_out(copy, api.RecordOperations((msgspec.structs.replace(five, status=1),)))
    assert list(entries(copy)) == ["vip_monitor_9000"]
    carry_out(copy, api.RecordOperations((record(operation="stop"),)))
    assert list(entries(copy)) == ["vip_last_0"]


def test_erasing_one_operation_takes_its_failure_with_it() -> None:
    copy = document()
    failed = record(operation="monitor", interval_ms=5000, rc=1)
    carry_out(copy, api.RecordOperations((record(), failed)))
    carry_out(copy, api.EraseHistory("n1", "vip", "monitor", 5000))
    assert list(entries(copy)) == ["vip_last_0"]


def test_a_node_that_returns_with_another_uuid_takes_its_state_over() -> None:
    copy = document()
    carry_out(copy, api.RecordOperations((record(),)))
    carry_out(copy, api.SetNodeState("n1", "u9", True, True, "member", "member"))
    states = copy.select("//node_state")
    assert [state.get("id") for state in states] == ["u9"]
    assert copy.history("u1", "vip") is None


def test_touched_names_the_attribute_with_its_value_and_node() -> None:
    copy = document()
    carried = carry_out(copy, api.SetNodeAttribute("n1", "u1", "pingd", "100"))
    assert api.Touched("attribute", "pingd", "n1", "100") in carried.touched
    gone = carry_out(copy, api.SetNodeAttribute("n1", "u1", "pingd"))
    assert gone.touched == (api.Touched("attribute", "pingd", "n1", ""),)


def test_an_attribute_that_goes_and_comes_back_stands_in_the_same_place_on_every_node() -> None:
    master, follower = document(), document()
    plain = '<primitive id="c" class="ocf" provider="pacekeeper" type="Dummy"/>'
    described = Xml(
        Task.MODIFY, b'<primitive id="c" description="1"/>', "resources", may_create=True
    )
    replaced = Xml(Task.REPLACE, f"<resources>{plain}</resources>".encode())
    for change in ([described], [replaced, described]):
        carried = operations.carry_out(master, change, LENIENT)
        operations.apply_patch(follower, carried.patch, carried.before, carried.after)
    assert follower.text() == master.text()


# --- properties ----------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from(["1", "2", "INFINITY", "ä & <'\">"])


@st.composite
def steps(draw: st.DrawFn) -> api.Operation:
    name, value = draw(NAMES), draw(VALUES)
    node = draw(st.sampled_from(["n1", "n2"]))
    kind = draw(st.integers(0, 11))
    if kind == 0:
        return create(name)
    if kind == 1:
        return Xml(Task.DELETE, f'<primitive id="{name}"/>'.encode())
    if kind == 2:
        root = document().root.makeelement("primitive", {"id": name, "description": value})
        return Xml(Task.MODIFY, xml.serialise(root), "resources", may_create=True)
    if kind == 3:
        text = f'<rsc_location id="l-{name}" rsc="{name}" node="{node}" score="5"/>'
        return Xml(Task.CREATE, text.encode(), "constraints")
    if kind == 4:
        order = draw(st.permutations(["a", "b", "c", "d"]))[: draw(st.integers(0, 4))]
        inner = "".join(create(each).xml.decode() for each in order)
        return Xml(Task.REPLACE, f"<resources>{inner}</resources>".encode())
    if kind == 5:
        return api.SetNodeAttribute(node, f"u-{node}", name, value if draw(st.booleans()) else None)
    if kind in (6, 7):
        rc = draw(st.sampled_from([0, 1, 7]))
        task, interval = draw(st.sampled_from([("start", 0), ("stop", 0), ("monitor", 5000)]))
        each = record(
            node=node,
            node_id=f"u-{node}",
            resource=name,
            operation=task,
            interval_ms=interval,
            rc=rc,
        )
        return api.RecordOperations((each,))
    if kind == 8:
        return api.ForgetNodeState(node, history=draw(st.booleans()))
    if kind == 9:
        return api.DescribeNodes(((draw(st.sampled_from(["u-n1", "u-n9"])), "n1"),))
    if kind == 10:
        return Xml(Task.CREATE, f'<tag id="t-{name}"><obj_ref id="{name}"/></tag>'.encode(), "tags")
    return api.EraseHistory(node, name)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps(), min_size=1, max_size=3), max_size=12))
def test_a_follower_that_repeats_the_patches_has_the_same_document(
    changes: list[list[api.Operation]],
) -> None:
    master, follower = document(), document()
    for change in changes:
        before = master.text()
        carried = operations.carry_out(master, change, LENIENT)
        if carried.outcome is not api.Outcome.OK:
            assert master.text() == before
            continue
        if carried.patch:
            operations.apply_patch(follower, carried.patch, carried.before, carried.after)
        assert follower.text() == master.text()
        fresh = documents.Document.parse(master.text())
        assert master.digest() == follower.digest() == fresh.digest()
        for name in ("a", "b", "c", "d", "l-a", "t-b"):
            assert (master.by_id(name) is None) == (fresh.by_id(name) is None)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=8))
def test_undoing_an_edit_leaves_no_trace(change: list[api.Operation]) -> None:
    copy = document()
    operations.carry_out(copy, [create("a"), api.RecordOperations((record(),))], LENIENT)
    before, digest = copy.text(), copy.digest()
    operations.carry_out(copy, change, LENIENT, dry_run=True)
    assert copy.text() == before
    assert copy.digest() == digest == documents.Document.parse(before).digest()
    assert copy.history("u1", "vip") is not None


@settings(max_examples=80, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=6))
def test_judging_the_excerpt_says_the_same_as_judging_the_whole(
    changes: list[api.Operation],
) -> None:
    quick, slow = document(), document()

    def judge_whole(root: object) -> list[errors.Problem]:
        if root is not slow.root:
            return [errors.error("excerpt", "cib", "look at the whole")]
        return rules.validate(slow.root)

    whole = operations.Rules(judge_whole, rules.modernise)
    for change in changes:
        one = operations.carry_out(quick, [change], rules.STANDARD)
        other = operations.carry_out(slow, [change], whole)
        assert one.outcome == other.outcome
        assert quick.text() == slow.text()


def test_an_edit_that_takes_something_away_has_no_excerpt() -> None:
    copy = document()
    carry_out(copy, create("a"))
    edit = edits.Edit(copy)
    element = copy.by_id("a")
    assert element is not None
    edit.remove(element)
    assert excerpt.of_edit(edit) is None


def test_a_version_raised_by_hand_counts_as_one_more_update() -> None:
    copy = documents.Document(documents.empty(epoch=4))
    text = b'<cib admin_epoch="admin_epoch+=2"/>'
    assert carry_out(copy, Xml(Task.MODIFY, text)).after == Version(2, 4, 1)


@pytest.mark.parametrize("xpath", ["//*/namespace::*", "//*[", "$x", "\x00", "//*[@id='\ud800']"])
def test_an_xpath_that_is_none_selects_nothing(xpath: str) -> None:
    assert document().select(xpath) == []


@pytest.mark.parametrize("name", ["admin_epoch", "epoch", "num_updates"])
def test_a_version_that_leaves_no_number_for_later_changes_is_refused(name: str) -> None:
    made = document()
    for number, outcome in ((2_147_483_648, api.Outcome.INVALID_XML), (99, api.Outcome.OK)):
        step = api.XmlOperation(api.XmlTask.MODIFY, f'<cib {name}="{number}"/>'.encode())
        carried = operations.carry_out(made, [step], LENIENT)
        assert carried.outcome is outcome
    assert int(made.root.get(name, "0")) in (99, 100)
