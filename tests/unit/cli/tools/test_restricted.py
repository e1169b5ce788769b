"""The tools for a user whom access lists restrict: they say so, and draw no conclusions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main as crm
from cli.tools import crm_attribute, crm_mon, crm_shadow, crm_simulate, crm_verify
from crm.cib.document import Document
from tests.kit.cluster_at_gate import ClusterAtTheGate

CIB = """<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="7" num_updates="3"
 crm_feature_set="3.16.1" have-quorum="1" dc-uuid="1"><configuration><crm_config>
<cluster_property_set id="o"><nvpair id="o-f" name="stonith-enabled" value="false"/>
<nvpair id="o-acl" name="enable-acl" value="true"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="node1"/></nodes><resources>
<primitive id="p" class="ocf" provider="pacemaker" type="Dummy"><meta_attributes id="m">
<nvpair id="m-r" name="target-role" value="Started"/></meta_attributes>
<instance_attributes id="i"><nvpair id="i-s" name="passwd" value="topsecret"/>
</instance_attributes></primitive></resources>
<constraints><rsc_location id="l" rsc="p" node="node1" score="1"/></constraints><acls>
<acl_role id="secrets"><acl_permission id="s1" kind="read" xpath="/cib"/>
<acl_permission id="s2" kind="deny" xpath="//nvpair[@name='passwd']"/></acl_role>
<acl_role id="constraints"><acl_permission id="c1" kind="read" xpath="//constraints"/></acl_role>
<acl_role id="nodes"><acl_permission id="n1" kind="read" xpath="//nodes"/></acl_role>
<acl_role id="all"><acl_permission id="a1" kind="read" xpath="/cib"/></acl_role>
<acl_target id="veiled"><role id="secrets"/></acl_target>
<acl_target id="narrow"><role id="constraints"/><role id="nodes"/></acl_target>
<acl_target id="reader"><role id="all"/></acl_target></acls></configuration>
<status><node_state id="1" uname="node1" in_ccm="true" crmd="online" join="member"/></status>
</cib>""".replace("\n", " ")


@pytest.fixture(params=["file", "live"])
def cib(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Put the CIB into a file, or behind a gate."""
    for name in ("CIB_file", "CIB_shadow", "CIB_user"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CIB_shadow_dir", str(tmp_path))
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    if request.param == "file":
        path = tmp_path / "cib.xml"
        path.write_text(CIB)
        monkeypatch.setenv("CIB_file", str(path))
        yield
        return
    served = ClusterAtTheGate(tmp_path)
    served.document = Document.parse(CIB.encode())
    yield
    served.close()


pytestmark = pytest.mark.usefixtures("cib")
HIDES = "access lists hide a part of the CIB from user"


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name: str = request.param
    monkeypatch.setenv("CIB_user", name)
    return name


def as_user(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("user", names, indirect=True)


@as_user("veiled", "narrow")
def test_the_picture_says_that_something_is_hidden(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_mon.main(["-1", "-A"]) == 0
    shown = capsys.readouterr()
    assert f"{HIDES} '{user}'" in shown.err
    assert "*** Access lists hide a part of the cluster" in shown.out
    assert "topsecret" not in shown.out


@as_user("narrow")
def test_a_state_that_is_hidden_is_not_taken_for_a_failure(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_mon.main(["-1"]) == 0
    shown = capsys.readouterr().out
    assert "Current DC: not shown" in shown
    assert "Node node1: not shown" in shown
    assert "OFFLINE" not in shown
    assert crm_mon.main(["-s"]) == 3
    assert capsys.readouterr().out.startswith("CLUSTER UNKNOWN")
    assert crm_mon.main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["partial"], told["quorum"]) == (True, None)


@as_user("reader")
def test_who_sees_everything_is_told_nothing(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_mon.main(["-1"]) == 0
    assert crm_verify.main(["-L", "-V"]) == 0
    assert crm_simulate.main(["-L", "-S"]) == 0
    shown = capsys.readouterr()
    assert "hide" not in shown.err + shown.out
    assert "Current DC: node1" in shown.out


@as_user("veiled", "narrow")
def test_a_part_is_not_verified(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_verify.main(["-L"]) == 4
    assert "a part of a configuration cannot be verified by itself" in capsys.readouterr().err


@as_user("veiled")
def test_what_can_be_simulated_is_with_a_word_of_warning(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_simulate.main(["-L", "-S"]) == 0
    shown = capsys.readouterr()
    assert HIDES in shown.err
    assert "Start      p" in shown.out


@as_user("narrow")
def test_what_is_no_whole_is_not_simulated(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_simulate.main(["-L", "-S"]) == 4
    assert "no whole that could be simulated" in capsys.readouterr().err


@as_user("nobody")
def test_who_may_see_nothing_is_told_so(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_mon.main(["-1"]) == 4
    assert crm_verify.main(["-L"]) == 4
    assert crm_simulate.main(["-L", "-S"]) == 4
    assert crm_attribute.main(["-n", "stonith-enabled", "-G"]) == 4
    assert crm_shadow.main(["-b", "-c", "x"]) == 4
    assert crm.main(["configure", "show"]) == 1
    said = capsys.readouterr().err
    assert said.count("let user 'nobody' see nothing of it") >= 3
    assert said.count("Permission denied") >= 2


@as_user("veiled")
def test_the_shell_shows_what_may_be_seen(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm.main(["configure", "show", "p"]) == 0
    shown = capsys.readouterr()
    assert "primitive p ocf:pacemaker:Dummy" in shown.out
    assert "passwd" not in shown.out
    assert HIDES in shown.err


@as_user("narrow")
def test_a_tool_that_finds_nothing_says_that_something_is_hidden(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_attribute.main(["-n", "stonith-enabled", "-G"]) == 105
    assert HIDES in capsys.readouterr().err
