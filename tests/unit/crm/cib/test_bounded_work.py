"""Changes of many objects at once: the work is counted, and grows with what there is to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, xml_operations
from crm.plumbing import xml
from tests.kit.cib import LENIENT


def with_status(inside: str) -> documents.Document:
    text = f"<cib epoch='1'><configuration/><status>{inside}</status></cib>"
    return documents.Document(xml.parse(text.encode()))


def deleted(document: documents.Document, xpath: str) -> operations.Carried:
    step = api.XmlOperation(api.XmlTask.DELETE_ALL, xpath=xpath)
    return operations.carry_out(document, (step,), LENIENT)


def test_what_has_no_ids_among_many_is_refused_before_it_takes_long() -> None:
    document = with_status("<a/><a x='1'/>" * 3_000)
    before = document.text()
    done = deleted(document, "//a[@x]")
    assert done.outcome is api.Outcome.INVALID_XML
    (finding,) = done.findings
    assert finding.code == "too-many-without-id"
    assert "replace" in finding.hint
    assert document.text() == before


@pytest.mark.parametrize(
    ("inside", "xpath", "count"),
    [
        ("<a/><a x='1'/>" * 300, "//a[@x]", 300),
        ("<a/>" * 20_000, "//a", 20_000),
        ("<b/>" * 20_000 + "<a/>", "//a", 1),
        ("".join(f"<a id='{n}' x='{n % 2}'/>" for n in range(20_000)), "//a[@x='1']", 10_000),
    ],
    ids=["some", "all", "one of its kind", "with ids"],
)
def test_what_can_be_named_is_deleted(inside: str, xpath: str, count: int) -> None:
    document = with_status(inside)
    there = len(document.status)
    assert deleted(document, xpath).outcome is api.Outcome.OK
    assert len(document.status) == there - count


def test_a_follower_repeats_what_its_master_was_allowed() -> None:
    master, follower = (with_status("<a/><a x='1'/>" * 600) for _ in range(2))
    done = deleted(master, "//a[@x]")
    assert done.outcome is api.Outcome.OK
    operations.apply_patch(follower, done.patch, done.before, done.after)
    assert follower.text() == master.text()


class Counted:
    """Children that are read one by one, and counted."""

    def __init__(self, parent: etree._Element) -> None:
        self.read = 0
        self._children = parent.iterchildren(etree.Element)

    def __iter__(self) -> Iterator[etree._Element]:
        return self

    def __next__(self) -> etree._Element:
        child = next(self._children)
        self.read += 1
        return child


def test_children_are_read_once_however_many_are_merged() -> None:
    target = xml.parse(("<r>" + "".join(f"<p id='{n}'/>" for n in range(500)) + "</r>").encode())
    unread = Counted(target)
    known: dict[tuple[str, str | None], etree._Element] = {}
    for number in reversed(range(1_000)):
        wanted = etree.Element("p", id=str(number))
        found = xml_operations._child_like(wanted, known, unread)
        assert (None if found is None else found.get("id")) == (
            str(number) if number < 500 else None
        )
    assert unread.read == 500


def test_merging_finds_the_first_of_a_kind_where_no_id_is_given() -> None:
    document = with_status("<n id='1'><a id='x' v='0'/><a v='0'/><b/></n>")
    given = b"<n id='1'><a v='1'/><c id='k' v='1'/><c v='2'/><b id='new'/></n>"
    step = api.XmlOperation(api.XmlTask.MODIFY, given)
    assert operations.carry_out(document, (step,), LENIENT).outcome is api.Outcome.OK
    assert xml.serialise(document.status[0]) == (
        b'<n id="1"><a id="x" v="1"/><a v="0"/><b/><c id="k" v="2"/><b id="new"/></n>'
    )
