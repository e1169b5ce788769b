"""`crm_resource` with a file and at a gate: what a name means, what changes, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tools import crm_resource
from crm.api import attributes, controller
from crm.cib import document as documents
from crm.model.exit_codes import Exit
from crm.plumbing import xml
from tests.kit.cluster_at_gate import ClusterAtTheGate

DUMMY = 'class="ocf" provider="pacekeeper" type="Dummy"'


def started(resource: str, rc: int = 0, operation: str = "start") -> str:
    return (
        f'<lrm_resource id="{resource}" {DUMMY}><lrm_rsc_op id="{resource}_last_0"'
        f' operation_key="{resource}_{operation}_0" operation="{operation}" interval="0"'
        f' call-id="3" rc-code="{rc}" op-status="0" transition-key="1:1:{rc}:x"'
        ' exec-time="5" last-rc-change="1700000000"/></lrm_resource>'
    )


def state(number: int, *histories: str) -> str:
    return (
        f'<node_state id="{number}" uname="n{number}" in_ccm="true" crmd="online" join="member"'
        f' expected="member"><lrm id="{number}"><lrm_resources>{"".join(histories)}'
        "</lrm_resources></lrm></node_state>"
    )


CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5" have-quorum="1"><configuration><crm_config><cluster_property_set id="o">'
    '<nvpair id="o-s" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>'
    '<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources>'
    f'<primitive id="web" {DUMMY}><instance_attributes id="web-odd">'
    '<nvpair id="web-odd-state" name="state" value="/x"/></instance_attributes></primitive>'
    f'<group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}><meta_attributes'
    ' id="b-m"><nvpair id="b-m-t" name="target-role" value="Stopped"/></meta_attributes>'
    f'</primitive></group><clone id="c"><primitive id="ping" {DUMMY}/></clone></resources>'
    '<constraints><rsc_colocation id="together" rsc="g" with-rsc="web" score="INFINITY"/>'
    "</constraints></configuration><status>"
    + state(1, started("web"), started("a"), started("ping"))
    + state(2, started("web", 7, "monitor"), started("ping"))
    + "</status></cib>"
)


@pytest.fixture
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


def values(path: Path, name: str) -> dict[str, str]:
    """Map the ids of the pairs of a name to their values."""
    root = xml.parse(path.read_bytes())
    found = (each for each in root.iter("nvpair") if each.get("name") == name)
    return {str(each.get("id")): str(each.get("value")) for each in found}


# --- what there is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("-W -r web", ["resource web is running on: n1"]),
        ("-W -r ping", ["resource ping is running on: n2", "resource ping is running on: n1"]),
        ("-W -r ping:0 -Q", ["n1"]),
        ("-l", ["web", "a", "b", "ping:0", "ping:1"]),
        ("--why -r b", ["Resource b is not running"]),
        ("-g state -r web", ["/x"]),
        ("-m -g target-role -r b", ["Stopped"]),
        ("-G type -r web", ["Dummy"]),
        ("-a -r a", ["Resources g is colocated with:", "  * web (score=INFINITY, id=together)"]),
    ],
)
def test_a_question_is_answered_in_the_classic_words(
    words: str, lines: list[str], cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_resource.main(words.split()) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_the_configuration_says_why_something_stays_stopped(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cib.write_text(CIB.replace('<group id="g">', '<group id="g"><meta_attributes id="g-m">'
                   '<nvpair id="g-m-t" name="target-role" value="Stopped"/></meta_attributes>'
                   ))  # fmt: skip
    assert crm_resource.main(["--why", "-r", "b"]) == 0
    assert "Configuration specifies 'g' should remain stopped" in capsys.readouterr().out


def test_only_the_operations_since_the_last_start_count(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = started("web", 0, "stop").replace('call-id="3"', 'call-id="4"')
    stop = stop.replace("web_last_0", "web_stop_0")
    cib.write_text(CIB.replace("</lrm_resource>", stop[stop.index("<lrm_rsc_op") :], 1))
    crm_resource.main(["-o", "-r", "web", "-N", "n1"])
    assert [line.split(": ")[1].split()[0] for line in _lines(capsys)] == [
        "web_start_0", "web_stop_0",
    ]  # fmt: skip
    crm_resource.main(["-O", "-r", "web", "-N", "n1"])
    assert _lines(capsys) == []


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


# --- setting and deleting -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "after"),
    [
        ("-r web -p state -v /y", "state", {"web-odd-state": "/y"}),
        ("-r web -p fake -v 1", "fake", {"web-instance_attributes-fake": "1"}),
        ("-r web -p fake -v 1 -s web-odd", "fake", {"web-odd-fake": "1"}),
        ("-r ping -m -p k -v 1", "k", {"c-meta_attributes-k": "1"}),
        ("-r ping -m -p k -v 1 --force", "k", {"ping-meta_attributes-k": "1"}),
        (
            "-r g -m -p target-role -v Started",
            "target-role",
            {"b-m-t": "Started", "g-meta_attributes-target-role": "Started"},
        ),
        ("-r g -m -d target-role", "target-role", {}),
        (
            "-r web -m -p k -v 1 --recursive",
            "k",
            {"web-meta_attributes-k": "1", "g-meta_attributes-k": "1"},
        ),
    ],
)
def test_a_value_is_set_where_it_belongs(
    words: str, name: str, after: dict[str, str], cib: Path
) -> None:
    assert crm_resource.main(words.split()) == 0
    assert values(cib, name) == after


def test_a_value_that_stands_in_two_sets_is_not_guessed(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = '<instance_attributes id="w2"><nvpair id="w2-s" name="state" value="/z"/>'
    before = CIB.replace("</primitive><group", f"{second}</instance_attributes></primitive><group")
    cib.write_text(before)
    assert crm_resource.main(["-r", "web", "-p", "state", "-v", "1"]) == Exit.MULTIPLE
    assert "Value: /z \t(id=w2-s)" in capsys.readouterr().out
    assert cib.read_text() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("-r nosuch -W", Exit.NO_SUCH_OBJECT),
        ("-r web -M -N nosuch", Exit.NO_SUCH_OBJECT),
        ("-r web -M -N n1", Exit.EXISTS),
        ("-r c -B", Exit.USAGE),
        ("-r ping:0 -B -N n1", Exit.INVALID_PARAMETER),
        ("-r web -M -N n2 -u soon", Exit.USAGE),
        ("-r web -p x", Exit.USAGE),
        ("-p x -v 1", Exit.USAGE),
        ("-r web -D", Exit.NO_SUCH_OBJECT),
        ("-r web -D -t primitive", Exit.INVALID_CONFIGURATION),
        ("-r web -D -t <primitive", Exit.USAGE),
        ("-r web -S type -v x -t group", Exit.NO_SUCH_OBJECT),
        ("-r web -L foo", Exit.USAGE),
        ("--digests -r web", Exit.USAGE),
        ("--digests -r g -N n1", Exit.UNIMPLEMENTED),
        ("--validate -r g", Exit.UNIMPLEMENTED),
        ("--wait -T never", Exit.USAGE),
        ("--restart -r b", Exit.NO_SUCH_OBJECT),
        ("--restart -r web", Exit.NOT_CONNECTED),
        ("-C -r web", Exit.NOT_CONNECTED),
        ("-R", Exit.NOT_CONNECTED),
        ("-F -r web -N n1", Exit.NOT_CONNECTED),
        ("--list-options nosuch", Exit.USAGE),
        ("--show-metadata ocf:Dummy", Exit.NO_SUCH_OBJECT),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    words: str, code: Exit, cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_resource.main(words.split()) == code
    assert capsys.readouterr().err.strip()
    assert cib.read_text() == CIB


def test_a_forced_move_also_bans_from_where_the_resource_is(cib: Path) -> None:
    assert crm_resource.main(["-r", "web", "-M", "-N", "n2", "--force"]) == 0
    root = xml.parse(cib.read_bytes())
    assert [each.get("id") for each in root.iter("rsc_location")] == [
        "cli-prefer-web", "cli-ban-web-on-n1",
    ]  # fmt: skip
    assert crm_resource.main(["-r", "web", "-U"]) == 0
    assert list(xml.parse(cib.read_bytes()).iter("rsc_location")) == []


def test_a_ban_that_is_there_already_changes_nothing(cib: Path) -> None:
    assert crm_resource.main(["-r", "web", "-B", "-N", "n2"]) == 0
    before = cib.read_text()
    assert crm_resource.main(["-r", "web", "-B", "-N", "n2"]) == 0
    assert cib.read_text() == before


def test_waiting_for_a_file_names_what_nobody_will_do(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_resource.main(["--wait"]) == Exit.TIMEOUT
    assert "a_monitor_0\ton n2" in capsys.readouterr().out


# --- running an agent by hand -------------------------------------------------------------------


def test_an_agent_is_run_by_hand_and_its_end_is_that_of_the_command(
    cib: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--root", str(tmp_path), "-r", "web", f"state={tmp_path}/dummy.state"]
    assert crm_resource.main([*base, "--force-check"]) == 7
    assert crm_resource.main([*base, "--force-start"]) == 0
    assert crm_resource.main([*base, "--force-check"]) == 0
    assert crm_resource.main([*base, "--force-stop"]) == 0
    assert crm_resource.main([*base, "--force-check"]) == 7
    assert "force-start for web (ocf:pacekeeper:Dummy) returned 0 (ok)" in capsys.readouterr().out


# --- at the gate --------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    monkeypatch.delenv("CIB_file", raising=False)
    monkeypatch.delenv("CIB_shadow", raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    made.document = documents.Document.parse(CIB.encode())
    yield made
    made.close()


def test_cleaning_up_a_member_cleans_up_its_group(served: ClusterAtTheGate) -> None:
    assert crm_resource.main(["-C", "-r", "a", "-N", "n1"]) == 0
    told = [each for each in served.told if isinstance(each, controller.CleanUp)]
    assert [(each.resource, each.node, each.failures_only) for each in told] == [
        ("a", "n1", True), ("b", "n1", True),
    ]  # fmt: skip


def target_roles(data: bytes) -> list[str]:
    return [str(e.get("value")) for e in xml.parse(data).iter("nvpair") if e.get("id") == ROLE]


ROLE = "web-meta_attributes-target-role"


def test_a_restart_stops_waits_starts_and_waits(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_resource.main(["--restart", "-r", "web"]) == 0
    assert [target_roles(each) for each in served.waited] == [["Stopped"], []]
    assert "Waiting for web to stop on n1" in capsys.readouterr().err


def test_a_restart_that_fails_leaves_the_target_role_as_it_was(served: ClusterAtTheGate) -> None:
    served.unrest = controller.ControllerReply(0, int(Exit.ERROR), "there is no DC")
    assert crm_resource.main(["--restart", "-r", "web"]) == Exit.ERROR
    assert target_roles(served.waited[0]) == ["Stopped"]
    assert target_roles(served.document.text()) == []


def test_waiting_ends_when_the_cluster_is_at_rest(served: ClusterAtTheGate) -> None:
    assert crm_resource.main(["--wait"]) == 0
    assert len(served.waited) == 1


def test_a_failure_is_counted_and_recorded_where_the_resource_is(served: ClusterAtTheGate) -> None:
    assert crm_resource.main(["-F", "-r", "web", "-N", "n1"]) == 0
    told = [each for each in served.told if isinstance(each, attributes.UpdateAttribute)]
    assert (told[0].name, told[0].value, told[0].node) == ("fail-count-web#monitor_0", "1", "n1")
    entry = served.document.root.find(".//lrm_rsc_op[@id='web_last_failure_0']")
    assert entry is not None
    assert (entry.get("rc-code"), entry.get("call-id")) == ("1", "4")
    assert crm_resource.main(["-F", "-r", "web", "-N", "n2"]) == Exit.NO_SUCH_OBJECT


def test_a_wait_ends_when_its_time_is_over(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.is_restless = True
    assert crm_resource.main(["--wait", "-T", "200ms"]) == Exit.TIMEOUT
    assert "still has something to do" in capsys.readouterr().err
