"""The CIB in hand: reading, the difference, committing, and somebody else in between."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli import edits, values
from cli.grammar.statements import parse
from cli.workspace import (
    CommitRefused,
    FileSource,
    LiveSource,
    Workspace,
    configuration_of,
    difference,
    open_source,
)
from crm.api.cib import XmlTask
from crm.model.configuration import Item
from crm.plumbing.errors import ConfigurationError, Problem, StaleVersion

CIB = """<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="7" num_updates="3">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="cib-bootstrap-options-stonith-enabled" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes><node id="1" uname="node1"/></nodes>
    <resources><primitive id="a" class="ocf" provider="pacemaker" type="Dummy"/></resources>
    <constraints/>
  </configuration>
  <status><node_state id="1" uname="node1"/></status>
</cib>
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "cib.xml"
    made.write_text(CIB)
    return made


def add(line: str) -> Callable[[Item], None]:
    def edit(configuration: Item) -> None:
        edits.add(configuration, parse(line), line.split()[0])

    return edit


def test_a_commit_raises_the_epoch_and_keeps_the_status(path: Path) -> None:
    Workspace(FileSource(path)).apply(add("primitive b ocf:pacemaker:Dummy"))
    again = FileSource(path).read()
    assert (again.get("epoch"), again.get("num_updates")) == ("8", "0")
    assert edits.find(configuration_of(again), "b") is not None
    assert again.first("status") == Workspace(FileSource(path)).document.first("status")


def test_nothing_changed_means_nothing_written(path: Path) -> None:
    Workspace(FileSource(path)).apply(lambda configuration: None)
    assert path.read_text() == CIB


def test_a_candidate_with_errors_is_refused_and_the_file_stays(path: Path) -> None:
    workspace = Workspace(FileSource(path))
    with pytest.raises(CommitRefused) as caught:
        workspace.apply(add("location l nowhere 100: node1"))
    assert any("nowhere" in str(problem) for problem in caught.value.problems)
    assert path.read_text() == CIB
    assert not workspace.is_changed


def test_force_does_not_let_a_broken_configuration_pass(path: Path) -> None:
    with pytest.raises(CommitRefused):
        Workspace(FileSource(path)).apply(add("location l nowhere 100: node1"), force=True)
    assert path.read_text() == CIB


def test_a_change_by_somebody_else_in_between_is_not_overwritten(path: Path) -> None:
    mine = Workspace(FileSource(path))
    add("primitive mine ocf:pacemaker:Dummy")(mine.configuration)
    Workspace(FileSource(path)).apply(add("primitive theirs ocf:pacemaker:Dummy"))
    with pytest.raises(StaleVersion):
        mine.commit()
    now = configuration_of(FileSource(path).read())
    assert edits.find(now, "theirs") is not None
    assert edits.find(now, "mine") is None


class Contested(FileSource):
    """A file that somebody else changes each time just before we write, `times` times."""

    times = 0

    def write(self, base: Item, candidate: Item, *, force: bool) -> list[Problem]:
        if Contested.times:
            Contested.times -= 1
            theirs = f"primitive theirs{Contested.times} ocf:pacemaker:Dummy"
            Workspace(FileSource(self.path)).apply(add(theirs))
        return super().write(base, candidate, force=force)


def test_a_small_change_is_made_again_on_top_of_theirs(path: Path) -> None:
    Contested.times = 2
    Workspace(Contested(path)).apply(add("primitive mine ocf:pacemaker:Dummy"))
    now = configuration_of(FileSource(path).read())
    names = {each.item.id for each in edits.objects(now)}
    assert {"mine", "theirs0", "theirs1"} <= names


def test_after_three_attempts_it_is_given_up(path: Path) -> None:
    Contested.times = 5
    with pytest.raises(StaleVersion):
        Workspace(Contested(path)).apply(add("primitive mine ocf:pacemaker:Dummy"))


@pytest.mark.parametrize("content", [b"", b"<cib", b"<other/>", b"\x00\xff", b"<cib>&x;</cib>"])
def test_a_file_that_is_no_cib_is_one_clear_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        FileSource(path).read()


HEARTBEAT_2 = """<cib admin_epoch="0" epoch="1" num_updates="0">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options"><attributes>
      <nvpair id="o1" name="stonith_enabled" value="false"/>
    </attributes></cluster_property_set></crm_config>
    <nodes><node id="1" uname="node1" type="normal"/></nodes>
    <resources><primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr">
      <instance_attributes id="ia"><attributes>
        <nvpair id="ip" name="ip" value="10.0.0.1"/>
      </attributes></instance_attributes>
    </primitive></resources>
    <constraints/>
  </configuration>
  <status/>
</cib>
"""


def test_a_file_in_the_dialect_of_heartbeat_2_is_upgraded_as_it_is_read(path: Path) -> None:
    path.write_text(HEARTBEAT_2)
    configuration = Workspace(FileSource(path)).configuration
    vip = edits.need_resource(configuration, "vip").item
    assert values.get_pair(vip, "instance_attributes", "ip") == "10.0.0.1"
    options = edits.section(configuration, "crm_config").children[0]
    assert values.get_pair(Item("x", {}, [options]), options.tag, "stonith-enabled") == "false"


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.xml"):
        FileSource(tmp_path / "nothing.xml").read()


def operations(before: str, after: list[str]) -> list[tuple[XmlTask, str, bytes]]:
    base, candidate = Item("configuration"), Item("configuration")
    for made, lines in ((base, before.splitlines()), (candidate, after)):
        for line in lines:
            add(line)(made)
    return [(each.task, each.section, each.xml) for each in difference(base, candidate)]


def test_the_difference_is_told_object_by_object() -> None:
    before = "primitive a ocf:x:T\nprimitive b ocf:x:T\nprimitive c ocf:x:T"
    after = ["primitive a ocf:x:T params q=1", "primitive b ocf:x:T", "primitive d ocf:x:T"]
    found = operations(before, after)
    assert [(task, section) for task, section, _xml in found] == [
        (XmlTask.DELETE, "resources"),
        (XmlTask.REPLACE, "resources"),
        (XmlTask.CREATE, "resources"),
    ]
    assert found[0][2] == b'<primitive id="c"/>'


def test_an_object_that_moves_is_deleted_before_it_is_made_again() -> None:
    before = "primitive a ocf:x:T\nprimitive b ocf:x:T"
    after = ["primitive a ocf:x:T", "primitive b ocf:x:T", "group g a b"]
    tasks = [task for task, _section, _xml in operations(before, after)]
    assert tasks == [XmlTask.DELETE, XmlTask.DELETE, XmlTask.CREATE]


def test_a_new_section_is_made_with_what_is_in_it() -> None:
    found = operations("primitive a ocf:x:T", ["primitive a ocf:x:T", "tag t a"])
    assert [(task, section) for task, section, _xml in found] == [(XmlTask.CREATE, "configuration")]
    assert b"<obj_ref" in found[0][2]


def test_equal_configurations_differ_in_nothing() -> None:
    assert operations("primitive a ocf:x:T", ["primitive a ocf:x:T"]) == []


def test_the_environment_chooses_the_cib(tmp_path: Path) -> None:
    assert isinstance(open_source(tmp_path, environment={}), LiveSource)
    file = open_source(tmp_path, environment={"CIB_file": "/x/cib.xml"})
    assert file == FileSource(Path("/x/cib.xml"))
    shadow = open_source(tmp_path, environment={"CIB_shadow": "s", "CIB_shadow_dir": "/d"})
    assert shadow == FileSource(Path("/d/shadow.s"))
