"""Editing with the eyes and the rights of a user whom access lists restrict."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import edits, past
from cli.grammar.statements import parse
from cli.partial import difference
from cli.workspace import (
    CommitRefused,
    FileSource,
    Workspace,
    configuration_of,
    open_source,
    parse_document,
)
from crm.api.cib import Outcome, XmlTask
from crm.api.gateclient import Denied
from crm.cib.document import Document
from crm.cib.operations import carry_out
from crm.model.configuration import Item
from tests.kit.cib import LENIENT

CIB = """<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="7" num_updates="3"
 crm_feature_set="3.16.1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o-f" name="stonith-enabled" value="false"/>
<nvpair id="o-acl" name="enable-acl" value="true"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="node1"/></nodes><resources><group id="g">
<primitive id="a" class="ocf" provider="pacemaker" type="Dummy"><meta_attributes id="a-m">
<nvpair id="a-m-r" name="target-role" value="Started"/></meta_attributes>
<instance_attributes id="a-i"><nvpair id="a-i-s" name="passwd" value="secret"/>
</instance_attributes><operations><op id="a-o" name="monitor" interval="10s"/></operations>
</primitive>
<primitive id="b" class="ocf" provider="pacemaker" type="Dummy"/></group></resources>
<constraints><rsc_location id="l" rsc="g" node="node1" score="1"/></constraints>
<acls><acl_role id="r">{}</acl_role><acl_target id="u"><role id="r"/></acl_target></acls>
</configuration><status/></cib>"""
LOOK = ("read /cib", "deny //nvpair[@name='passwd']")


def write(tmp_path: Path, *rights: str) -> Path:
    lines = []
    for at, right in enumerate(rights):
        kind, _, xpath = right.partition(" ")
        lines.append(f'<acl_permission id="x{at}" kind="{kind}" xpath="{xpath}"/>')
    made = tmp_path / "cib.xml"
    made.write_text(CIB.format("".join(lines)).replace("\n", " "))
    return made


def workspace(path: Path, told: list[str] | None = None) -> Workspace:
    warn = None if told is None else told.append
    return Workspace(FileSource(path, "u"), warn=warn)


def set_pair(configuration: Item, identity: str, value: str) -> None:
    (pair,) = [each for each in configuration.walk() if each.id == identity]
    pair.attributes["value"] = value


def test_what_is_hidden_is_not_in_hand_and_is_said_once(tmp_path: Path) -> None:
    told: list[str] = []
    made = workspace(write(tmp_path, *LOOK), told)
    assert not any(each.get("name") == "passwd" for each in made.document.walk())
    made.refresh()
    assert made.document.get("epoch") == "7"
    (words,) = told
    assert words.startswith("access lists hide a part of the CIB from user '")


def test_who_sees_everything_is_told_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    made = workspace(write(tmp_path, "read /cib"), told)
    assert any(each.get("name") == "passwd" for each in made.document.walk())
    assert not told


def test_who_may_see_nothing_is_told_so(tmp_path: Path) -> None:
    made = workspace(write(tmp_path))
    with pytest.raises(Denied, match=r"let user '.*' see nothing") as caught:
        made.document  # noqa: B018
    assert caught.value.code == 4


def test_what_may_be_written_is_written_and_what_is_hidden_stays(tmp_path: Path) -> None:
    path = write(tmp_path, *LOOK, "write //meta_attributes")
    workspace(path).apply(lambda configuration: set_pair(configuration, "a-m-r", "Stopped"))
    text = path.read_text()
    assert 'value="Stopped"' in text
    assert 'value="secret"' in text
    assert 'epoch="8"' in text


def test_the_root_may_be_hidden_and_the_version_still_holds(tmp_path: Path) -> None:
    path = write(tmp_path, "write //meta_attributes")
    made = workspace(path)
    assert made.document.get("epoch") == "7"
    made.apply(lambda configuration: set_pair(configuration, "a-m-r", "Stopped"))
    assert 'value="Stopped"' in path.read_text()


def test_what_may_not_be_written_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, *LOOK)
    before = path.read_text()
    with pytest.raises(CommitRefused) as caught:
        workspace(path).apply(lambda configuration: set_pair(configuration, "a-m-r", "Stopped"))
    assert caught.value.code == 4
    assert "may not change 'value' of <nvpair id='a-m-r'>" in str(caught.value.problems[0])
    assert path.read_text() == before


def test_a_part_is_not_judged_as_if_it_were_the_whole(tmp_path: Path) -> None:
    made = workspace(write(tmp_path, "read //constraints"))
    (problem,) = made.check()
    assert (problem.code, problem.severity.value) == ("partial-cib", "warning")


def test_the_whole_is_judged_when_a_part_is_changed(tmp_path: Path) -> None:
    path = write(tmp_path, "write //constraints")
    with pytest.raises(CommitRefused) as caught:
        workspace(path).apply(
            lambda configuration: edits.add(
                configuration, parse("location l2 nowhere 1: node1"), "location"
            )
        )
    assert "nowhere" in str(caught.value.problems)


def test_a_file_is_opened_for_the_user_that_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, *LOOK)
    source = open_source(tmp_path, environment={"CIB_file": str(path), "CIB_user": "u"})
    assert source == FileSource(path, "u")
    for user in ("root", "hacluster", ""):
        source = open_source(tmp_path, environment={"CIB_file": str(path), "CIB_user": user})
        assert source == FileSource(path)


@pytest.mark.parametrize("rights", [LOOK, ("read //constraints",), ()])
def test_the_history_beside_a_file_is_kept_from_them_as_well(
    tmp_path: Path, rights: tuple[str, ...]
) -> None:
    made = workspace(write(tmp_path, *rights))
    for read in (past.read, lambda each: past.entries_of(each, 5)):
        with pytest.raises(CommitRefused) as caught:
            read(made)
        assert "the history, which shows everything" in str(caught.value.problems[0])
    assert past.read(workspace(write(tmp_path, "read /cib"))).document.version.epoch == 7


# --- the difference ------------------------------------------------------------------------------


def steps(old: str, new: str) -> list[tuple[XmlTask, str]]:
    """Tell the steps, which lead to what is wanted."""
    text = '<cib epoch="1"><configuration><resources>{}</resources></configuration></cib>'
    base, candidate = (
        parse_document(text.format(part).encode(), "x").children[0] for part in (old, new)
    )
    found = difference(base, candidate)
    made = Document.parse(text.format(old).encode())
    assert carry_out(made, found, LENIENT).outcome is Outcome.OK
    result = configuration_of(parse_document(made.text(), "x"))
    assert result.first("resources") == candidate.first("resources")
    return [(step.task, step.xml.decode()) for step in found]


def primitive(inner: str, attributes: str = "") -> str:
    return f'<primitive id="a"{attributes}>{inner}</primitive>'


PAIRS = '<meta_attributes id="m">{}</meta_attributes>'
PAIR = '<nvpair id="{0}" value="{1}"/>'
OPERATIONS = "<operations>{}</operations>"
OPERATION = '<op id="{0}" interval="{1}"/>'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (primitive(""), primitive(""), []),
        (
            primitive(PAIRS.format(PAIR.format("p", 1)), ' class="ocf"'),
            primitive(PAIRS.format(PAIR.format("p", 2)), ' class="ocf"'),
            [(XmlTask.MODIFY, primitive(PAIRS.format('<nvpair id="p" value="2"/>')))],
        ),
        (
            primitive(PAIRS.format(PAIR.format("p", 1))),
            primitive(PAIRS.format(PAIR.format("p", 1) + PAIR.format("q", 2))),
            [(XmlTask.MODIFY, primitive(PAIRS.format(PAIR.format("q", 2))))],
        ),
        (
            primitive(PAIRS.format(PAIR.format("p", 1))),
            primitive(PAIRS.format("")),
            [(XmlTask.DELETE, '<nvpair id="p"/>')],
        ),
        (
            primitive(OPERATIONS.format(OPERATION.format("o", 1))),
            primitive(OPERATIONS.format(OPERATION.format("o", 2))),
            [(XmlTask.MODIFY, primitive(OPERATIONS.format(OPERATION.format("o", 2))))],
        ),
        (
            primitive(PAIRS.format('<nvpair id="p" name="n" value="1"/>')),
            primitive(PAIRS.format('<nvpair id="p" name="n"/>')),
            [(XmlTask.REPLACE, '<nvpair id="p" name="n"/>')],
        ),
        (
            primitive(OPERATIONS.format(OPERATION.format("o", 1)), ' type="x"'),
            primitive("", ' type="x"'),
            [(XmlTask.REPLACE, '<primitive id="a" type="x"/>')],
        ),
        (
            '<group id="g"><primitive id="a"/><primitive id="b"/></group>',
            '<group id="g"><primitive id="b"/><primitive id="a"/></group>',
            [(XmlTask.REPLACE, '<group id="g"><primitive id="b"/><primitive id="a"/></group>')],
        ),
        (
            '<group id="g"><primitive id="a"/><primitive id="b"/></group>',
            '<group id="g"><primitive id="a"/></group><primitive id="b"/>',
            [(XmlTask.DELETE, '<primitive id="b"/>'), (XmlTask.CREATE, '<primitive id="b"/>')],
        ),
        ("", primitive(""), [(XmlTask.CREATE, '<primitive id="a"/>')]),
        (primitive(""), "", [(XmlTask.DELETE, '<primitive id="a"/>')]),
    ],
)
def test_only_what_differs_is_touched(
    old: str, new: str, expected: list[tuple[XmlTask, str]]
) -> None:
    assert steps(old, new) == expected
