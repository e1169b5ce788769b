"""Values in a file: which are meant, where new ones go, and what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.tools import crm_attribute
from crm.model.exit_codes import Exit
from crm.plumbing import xml

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="0" epoch="1"'
    ' num_updates="5"><configuration><crm_config><cluster_property_set id="other">'
    '<nvpair id="other-cluster-name" name="cluster-name" value="demo"/></cluster_property_set>'
    '</crm_config><nodes><node id="1" uname="node1"><instance_attributes id="a">'
    '<nvpair id="a-rack" name="rack" value="r1"/></instance_attributes></node></nodes>'
    "<resources/><constraints/></configuration><status>"
    '<node_state id="1" uname="node1"><transient_attributes id="1"><instance_attributes id="t">'
    '<nvpair id="t-one" name="one" value="1"/><nvpair id="t-two" name="two" value="2"/>'
    "</instance_attributes></transient_attributes></node_state></status></cib>"
)


@pytest.fixture
def cib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cib.xml"
    path.write_text(CIB)
    monkeypatch.setenv("CIB_file", str(path))
    return path


def values(path: Path) -> dict[str, str]:
    root = xml.parse(path.read_bytes())
    return {str(pair.get("id")): str(pair.get("value")) for pair in root.iter("nvpair")}


def run(line: str) -> int:
    return crm_attribute.main(line.split())


def test_an_option_that_is_set_already_keeps_its_set(cib: Path) -> None:
    assert run("-n cluster-name -v new") == 0
    assert values(cib)["other-cluster-name"] == "new"


def test_a_new_option_goes_into_the_usual_set(cib: Path) -> None:
    assert run("-n stonith-enabled -v false") == 0
    assert values(cib)["cib-bootstrap-options-stonith-enabled"] == "false"


def test_a_new_attribute_of_a_node_is_named_by_the_id_of_the_node(cib: Path) -> None:
    assert run("-N node1 -n a#b -v 1") == 0
    assert values(cib)["nodes-1-a.b"] == "1"


def test_names_of_nodes_are_found_in_any_case(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-N NODE1 -n rack -G") == 0
    assert capsys.readouterr().out == "scope=nodes  name=rack value=r1\n"


def test_counting_on_from_nothing_gives_one(cib: Path) -> None:
    assert run("-N node1 -n tries -v value++") == 0
    assert values(cib)["nodes-1-tries"] == "1"


def test_a_pattern_changes_every_transient_attribute_that_fits(cib: Path) -> None:
    assert run("-t status -N node1 -P o -v 9") == 0
    assert (values(cib)["t-one"], values(cib)["t-two"]) == ("9", "9")


@pytest.mark.parametrize("action", ["-v 3", "-D"])
def test_a_pattern_changes_nothing_that_lasts(cib: Path, action: str) -> None:
    assert run(f"-t nodes -N node1 -P ra {action}") == Exit.USAGE
    assert cib.read_text() == CIB


def test_a_pattern_that_is_none_is_refused(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-P ( -G") == Exit.USAGE
    assert "'(' is no regular expression" in capsys.readouterr().err


def test_of_several_actions_the_last_one_counts(cib: Path) -> None:
    assert run("-n cluster-name -v 3 -G") == 0
    assert cib.read_text() == CIB
    assert run("-G -D -n cluster-name") == 0
    assert "other-cluster-name" not in values(cib)


def test_deleting_without_a_name_is_refused(cib: Path) -> None:
    assert run("-D") == Exit.USAGE
    assert cib.read_text() == CIB


def test_a_score_below_zero_is_a_value_and_no_option(cib: Path) -> None:
    assert run("-N node1 -p db -v -INFINITY") == 0
    assert values(cib)["status-1-master-db"] == "-INFINITY"


def test_an_agent_need_not_name_its_resource(cib: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("-N node1 -v 1 -p") == Exit.USAGE
    monkeypatch.setenv("OCF_RESOURCE_INSTANCE", "db")
    assert run("-N node1 -v 1 -p") == 0
    assert values(cib)["status-1-master-db"] == "1"


def test_the_answer_can_be_json(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-n cluster-name -G --json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"] == [
        {"kind": "attribute", "name": "cluster-name", "value": "demo", "scope": "crm_config"}
    ]
    assert answer["status"]["code"] == 0


def test_what_went_wrong_is_json_as_well(cib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--frob --json") == Exit.USAGE
    said = capsys.readouterr()
    assert json.loads(said.out)["status"]["errors"] == ["crm_attribute: Unknown option --frob"]
    assert said.err == ""


def test_the_known_options_are_listed_without_any_cib(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list-options=cluster") == 0
    text = capsys.readouterr().out
    assert "* no-quorum-policy: " in text
    assert "cluster-infrastructure" not in text
    assert run("--list-options=cluster --all --output-as=xml") == 0
    root = xml.parse(capsys.readouterr().out.encode())
    names = {str(each.get("name")): each for each in root.iter("parameter")}
    assert names["cluster-infrastructure"].get("generated") == "1"
    words = [str(word.get("value")) for word in names["no-quorum-policy"].iter("option")]
    assert words[:2] == ["stop", "freeze"]


def test_a_value_is_changed_by_its_id_alone(cib: Path) -> None:
    assert run("-i other-cluster-name -v new") == 0
    assert values(cib)["other-cluster-name"] == "new"
    assert run("-i nothing -v new") == Exit.NO_SUCH_OBJECT


def test_a_pattern_that_fits_nothing_shows_nothing_and_sets_nothing(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-P none.* -G") == 0
    assert capsys.readouterr().out == ""
    assert run("-P none.* -v 1 -N node1 -l reboot") == Exit.NO_SUCH_OBJECT


def test_a_node_without_a_status_holds_nothing_until_a_reboot(cib: Path) -> None:
    cib.write_text(CIB.replace("</nodes>", '<node id="2" uname="node2"/></nodes>'))
    before = cib.read_bytes()
    assert run("-N node2 -n a -v 1 -l reboot") == Exit.NO_SUCH_OBJECT
    assert cib.read_bytes() == before


def test_utilization_until_a_reboot_stands_in_the_status(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-N node1 -z -n cpu -v 2 -l reboot") == 0
    assert values(cib)["status-1-utilization-cpu"] == "2"
    assert run("-N node1 -z -n cpu -v 3 -l reboot") == 0
    assert run("-N node1 -z -n cpu -G -l reboot") == 0
    assert capsys.readouterr().out == "scope=status  name=cpu value=3\n"
    assert run("-N node1 -z -n cpu -D -l reboot") == 0
    assert "status-1-utilization-cpu" not in values(cib)


def test_an_unknown_section_is_told_after_an_unknown_node(cib: Path) -> None:
    assert run("-t nonsense -n a -G -N node9") == Exit.NO_SUCH_OBJECT
    assert run("-t nonsense -n a -G -N node1") == Exit.PROTOCOL


def test_an_unknown_form_of_answer_is_refused(
    cib: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-n cluster-name -G --output-as=html") == Exit.ERROR
    assert "Unknown output format" in capsys.readouterr().err
