"""Changes that are small enough one by one do not make the CIB larger together than is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import growth, operations, rules, store
from crm.cib.disk import Persist
from crm.cib.keeper import Keeper
from crm.cib.texts import Measure
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
from tests.kit import hostile
from tests.kit.cib import LENIENT


def carried(
    document: documents.Document, given: str, task: api.XmlTask = api.XmlTask.CREATE, **more: str
) -> operations.Carried:
    operation = api.XmlOperation(task, given.encode(), **more)  # type: ignore[arg-type]
    return operations.carry_out(document, (operation,), LENIENT)


def full(document: documents.Document, each: str, size: int) -> operations.Carried:
    """Create objects of this content until one is refused; never without end."""
    for number in range(10_000):
        done = carried(document, f'<p id="p{number}">{each * size}</p>', section="resources")
        if done.outcome is not api.Outcome.OK:
            return done
    raise AssertionError("everything was taken")


def readable(document: documents.Document) -> None:
    """Whoever reads the document takes it."""
    xml.parse(document.text(), growth.LIMITS)
    xml.parse(document.configuration_text())


@pytest.mark.parametrize(
    ("each", "size", "limit"),
    [
        ("<a/>", 40_000, "at most 200000 are read"),
        (f'<a b="{"x" * 60_000}"/>', 40, f"at most {growth.LIMITS.total_bytes} are read"),
        ('<n:a xmlns:n="u"/>', 5, "16 namespaces"),
        ('<a b="xmlns"/>', 5, "16 namespaces"),
    ],
    ids=["elements", "bytes", "namespaces", "words that look like one"],
)
def test_what_would_be_too_large_together_is_refused(each: str, size: int, limit: str) -> None:
    document = documents.Document(documents.empty())
    done = full(document, each, size)
    (finding,) = done.findings
    assert done.outcome is api.Outcome.INVALID_XML
    assert finding.code == "xml-too-large"
    assert limit in finding.message
    assert "delete" in finding.hint
    assert document.version.epoch > 1, "something was taken before"
    readable(document)


def test_what_takes_away_is_taken_by_a_cib_that_is_full() -> None:
    document = documents.Document(documents.empty())
    full(document, "<a/>", 40_000)
    assert carried(document, '<p id="p0"/>', api.XmlTask.DELETE).outcome is api.Outcome.OK
    assert carried(document, '<q id="q"/>', section="resources").outcome is api.Outcome.OK
    readable(document)


def test_a_cib_that_grew_too_large_elsewhere_can_be_made_smaller() -> None:
    too_many = hostile.cib("<a/>" * 150_000 + '<p id="big">' + "<a/>" * 100_000 + "</p>")
    limits = dataclasses.replace(xml.ORDINARY, elements=1_000_000)
    document = documents.Document(xml.parse(too_many, limits))
    assert carried(document, "<b/>", section="resources").findings[0].code == "xml-too-large"
    assert carried(document, '<p id="big"/>', api.XmlTask.DELETE).outcome is api.Outcome.OK
    readable(document)


def test_small_objects_inside_each_other_are_not_piled_too_high() -> None:
    document = documents.Document(documents.empty())
    outcomes = [carried(document, '<p id="0"/>', section="resources")]
    tower = "<p>" * 20 + '<p id="{}"/>' + "</p>" * 20
    for number in range(1, 6):
        given = tower.format(number)
        outcomes.append(carried(document, given, xpath=f"//p[@id='{number - 1}']"))
    codes = [outcome.findings[0].code for outcome in outcomes if outcome.findings]
    assert codes == ["xml-too-large", "not-found", "not-found"]
    assert "64 levels deep" in outcomes[3].findings[0].message
    readable(document)


def test_attributes_are_not_gathered_beyond_what_is_read() -> None:
    document = documents.Document(documents.empty())
    carried(document, '<p id="p"/>', section="resources")
    refused = []
    for start in range(0, 100, 20):
        names = " ".join(f'a{n}="1"' for n in range(start, start + 20))
        done = carried(document, f'<p id="p" {names}/>', api.XmlTask.MODIFY)
        refused += [finding.message for finding in done.findings]
    assert len(refused) == 2
    assert "resources/p[@id='p']' has more than 64 attributes" in refused[0]
    readable(document)


def test_a_value_that_a_daemon_writes_is_not_longer_than_is_read() -> None:
    document = documents.Document(documents.empty())
    order = api.SetNodeAttribute("n1", "1", "a", "x" * 100_000)
    done = operations.carry_out(document, (order,), LENIENT)
    assert [finding.code for finding in done.findings] == ["xml-too-large"]
    assert len(document.status) == 0
    readable(document)


def test_a_dry_run_tells_of_it_too() -> None:
    document = documents.Document(documents.empty())
    full(document, "<a/>", 40_000)
    before = document.text()
    operation = api.XmlOperation(
        api.XmlTask.CREATE, b'<p id="x">' + b"<a/>" * 50_000 + b"</p>", "resources"
    )
    done = operations.carry_out(document, (operation,), LENIENT, dry_run=True)
    assert [finding.code for finding in done.findings] == ["xml-too-large"]
    assert document.text() == before


def test_the_whole_is_measured_once_and_not_at_each_change() -> None:
    document = documents.Document(documents.empty())
    texts = 0
    write = document.text

    def counting(*, pretty: bool = False) -> bytes:
        nonlocal texts
        texts += 1
        return write(pretty=pretty)

    document.text = counting  # type: ignore[method-assign]
    for number in range(200):
        assert carried(document, f'<p id="p{number}"/>', section="resources").patch
    assert texts == 1
    assert document.measure is not None
    exact = Measure.of(document.text())
    assert document.measure.size_bytes >= exact.size_bytes
    assert document.measure.elements >= exact.elements


def test_what_was_read_is_measured_before_the_first_change(tmp_path: Path) -> None:
    text = documents.Document(documents.empty()).configuration_text()
    (tmp_path / store.FILE).write_bytes(text)
    loaded = store.Store(tmp_path).load(rules.STANDARD).document
    for document in (loaded, documents.Document.parse(text)):
        assert document.measure is not None
        assert document.measure.elements >= Measure.of(document.text()).elements


def test_a_follower_takes_into_account_what_the_master_judged() -> None:
    master = documents.Document(documents.empty())
    follower = documents.Document(documents.empty())
    follower.measure = Measure.of(follower.text())
    for number in range(3):
        given = f'<p id="p{number}">{"<a/>" * 60_000}</p>'
        done = carried(master, given, section="resources")
        operations.apply_patch(follower, done.patch, done.before, done.after)
    refused = carried(follower, f'<p id="q">{"<a/>" * 60_000}</p>', section="resources")
    assert [finding.code for finding in refused.findings] == ["xml-too-large"]


def test_a_file_that_is_too_large_is_not_given_up_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / store.FILE
    path.write_bytes(hostile.cib("<a/>" * 250_000))
    with pytest.raises(ConfigurationError, match="250007 elements"):
        store.Store(tmp_path).load(rules.STANDARD)
    assert path.exists()


def test_a_text_that_cannot_be_written_is_an_answer_and_not_the_end_of_the_writer(
    tmp_path: Path,
) -> None:
    keeper = Keeper(store.Store(tmp_path), lambda _: None)
    too_many = hostile.cib("<!-- -->" + "<a/>" * 250_000)
    done = keeper.carry_out(Persist(2, too_many, Version(0, 1, 0), Reign()))
    assert done is not None
    assert not done.ok
    assert "at most 200000 are read" in done.reason
