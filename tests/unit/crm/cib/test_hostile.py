"""Whatever XML a change brings: it is refused by name, and the document stays as it was."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, rules
from tests.kit import hostile

QUICK = ("bomb of entities", "external entity", "300000 attributes", "depth of 10000", "UTF-16")
TASKS = (
    api.XmlTask.CREATE,
    api.XmlTask.MODIFY,
    api.XmlTask.REPLACE,
    api.XmlTask.DELETE,
    api.XmlTask.PATCH,
)


def carried(operation: api.Operation) -> tuple[operations.Carried, bool]:
    """Carry an operation out on an empty CIB; tells also whether that stayed as it was."""
    copy = documents.Document(documents.empty(epoch=5))
    before = copy.digest()
    return operations.carry_out(copy, [operation], rules.STANDARD), copy.digest() == before


@pytest.mark.parametrize("name", [name for name in hostile.REFUSED if name != "nothing"])
def test_a_hostile_object_is_not_created(name: str) -> None:
    given = api.XmlOperation(api.XmlTask.CREATE, hostile.REFUSED[name](), "resources")
    done, unchanged = carried(given)

    assert done.outcome is api.Outcome.INVALID_XML
    assert [problem.code.startswith("xml-") for problem in done.findings] == [True]
    assert unchanged


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", QUICK)
def test_no_task_takes_a_hostile_document(task: api.XmlTask, name: str) -> None:
    done, unchanged = carried(api.XmlOperation(task, hostile.REFUSED[name]()))

    assert done.outcome is api.Outcome.INVALID_XML
    assert unchanged


@pytest.mark.parametrize("name", ["gigantic ids", "attributes that are unknown"])
def test_a_strange_configuration_is_refused_with_few_words(name: str) -> None:
    newer = hostile.STRANGE[name]().replace(b'epoch="1"', b'epoch="9"', 1)
    done, unchanged = carried(api.XmlOperation(api.XmlTask.REPLACE, newer))

    assert done.outcome is api.Outcome.INVALID_XML
    assert 0 < len(done.findings) <= 100
    assert sum(len(str(problem)) for problem in done.findings) < 200_000
    assert unchanged


@pytest.mark.parametrize(
    "xpath",
    [
        "//*[" * 5000,
        "(" * 5000 + "/" + ")" * 5000,
        "//" + "a" * 1_000_000,
        "count(//*)",
        "//*[local-name()=string(document('file:///etc/passwd'))]",
        "\x00",
    ],
    ids=["brackets", "towers", "long", "number", "document", "zero"],
)
def test_a_hostile_xpath_finds_nothing(xpath: str) -> None:
    done, unchanged = carried(api.XmlOperation(api.XmlTask.DELETE, b"", xpath=xpath))

    assert done.outcome in {api.Outcome.NOT_FOUND, api.Outcome.OK, api.Outcome.ERROR}
    assert unchanged
