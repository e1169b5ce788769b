"""`crm resource explain`, read by an administrator: the first sentence, and where to look."""

from __future__ import annotations

import pytest

from cli.view.explanation import NothingToExplain, explain_resource
from cli.workspace import parse_document

NODES = ("litsha21", "litsha22", "litsha23")
AGENTS = {
    "vip": 'class="ocf" provider="heartbeat" type="IPaddr2"',
    "web": 'class="ocf" provider="pacekeeper" type="webpage"',
}
KEY = "1:1:{rc}:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


def history(resource: str, *, runs: bool) -> str:
    operation, rc = ("start", 0) if runs else ("monitor", 7)
    key = KEY.format(rc=rc)
    return (
        f'<lrm_resource id="{resource}" {AGENTS[resource]}><lrm_rsc_op id="{resource}_last_0" '
        f'operation_key="{resource}_{operation}_0" operation="{operation}" interval="0" '
        f'call-id="1" rc-code="{rc}" op-status="0" transition-key="{key}" '
        'op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8" '
        f'transition-magic="0:{rc};{key}" last-rc-change="1700000000"/></lrm_resource>'
    )


def explained(
    resource: str = "vip",
    *,
    at: dict[str, str],
    constraints: str = "",
    standby: str = "",
    meta: str = "",
    counts: str = "",
    quorum: bool = True,
) -> str:
    """Explain a resource in a cluster of three nodes; `at` says where things run."""
    nodes = states = ""
    for number, name in enumerate(NODES, 1):
        own = "".join(history(each, runs=at.get(each) == name) for each in AGENTS)
        pairs = standby if name == "litsha21" else ""
        nodes += (
            f'<node id="{number}" uname="{name}"><instance_attributes id="n{number}">{pairs}'
            "</instance_attributes></node>"
        )
        transient = counts if name == "litsha21" else ""
        states += (
            f'<node_state id="{number}" uname="{name}" in_ccm="true" crmd="online" join="member" '
            f'expected="member"><lrm id="{number}"><lrm_resources>{own}</lrm_resources></lrm>'
            f'<transient_attributes id="{number}"><instance_attributes id="s{number}">{transient}'
            "</instance_attributes></transient_attributes></node_state>"
        )
    text = (
        f'<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0" '
        f'have-quorum="{int(quorum)}" dc-uuid="1"><configuration><crm_config>'
        '<cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/>'
        f"</cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>"
        f'<primitive id="vip" {AGENTS["vip"]}><meta_attributes id="vip-meta">{meta}'
        f'</meta_attributes></primitive><primitive id="web" {AGENTS["web"]}/></resources>'
        f"<constraints>{constraints}</constraints></configuration><status>{states}</status></cib>"
    )
    return explain_resource(parse_document(text.encode(), "test"), resource, None).as_text()


def first(text: str) -> str:
    return text.splitlines()[0]


def test_an_address_at_home_names_the_constraint_that_keeps_it_there() -> None:
    home = '<rsc_location id="vip-home" rsc="vip" node="litsha21" score="100"/>'
    text = explained(at={"vip": "litsha21"}, constraints=home)
    assert first(text) == (
        "vip stays on litsha21 because its score is the highest there (vip-home 100)"
    )
    assert (
        "  litsha21    100  online  chosen: its score is the highest there (vip-home 100)" in text
    )
    assert "  litsha22      0  online  litsha21 has the higher score (vip-home 100)\n" in text
    assert "  litsha21    100  location: vip-home\n" in text + "\n"


def test_a_node_in_standby_is_named_with_the_id_of_the_setting() -> None:
    standby = '<nvpair id="n1-standby" name="standby" value="on"/>'
    text = explained(at={"vip": "litsha21"}, standby=standby)
    assert first(text) == "vip goes to litsha22 because litsha21 is in standby"
    assert "  n1-standby  standby=on  litsha21" in text


def test_without_quorum_the_first_sentence_says_that_it_stops() -> None:
    text = explained(at={"vip": "litsha21"}, quorum=False)
    assert first(text) == "vip stops on litsha21 and may not start again: no quorum"


def test_what_is_stopped_and_waits_for_quorum_is_not_said_to_go_anywhere() -> None:
    text = explained(at={}, quorum=False)
    assert first(text) == "vip belongs on litsha21 but may not start: no quorum"


def test_a_leftover_ban_is_named() -> None:
    ban = (
        '<rsc_location id="cli-ban-vip-on-litsha21" rsc="vip" node="litsha21" '
        'score="-INFINITY" role="Started"/>'
    )
    text = explained(at={"vip": "litsha21"}, constraints=ban)
    assert first(text) == "vip goes to litsha22 because cli-ban-vip-on-litsha21 forbids litsha21"


def test_what_failed_too_often_shows_its_count_and_its_threshold() -> None:
    text = explained(
        at={"vip": "litsha21"},
        meta='<nvpair id="vip-limit" name="migration-threshold" value="3"/>',
        counts='<nvpair id="f1" name="fail-count-vip#monitor_10000" value="3"/>',
    )
    assert first(text).startswith("vip goes to litsha22 because on litsha21 it failed 3 times")
    assert "  vip-limit  migration-threshold=3           vip\n" in text
    assert "  f1         fail-count-vip#monitor_10000=3  litsha21" in text


def test_what_depends_on_a_stopped_resource_shows_what_stopped_that() -> None:
    text = explained(
        "web",
        at={"web": "litsha22"},
        meta='<nvpair id="vip-role" name="target-role" value="Stopped"/>',
        constraints='<rsc_colocation id="web-with-vip" rsc="web" with-rsc="vip" score="INFINITY"/>',
    )
    assert first(text) == (
        "web stops on litsha22 because no node may run it: vip does not run (web-with-vip)"
    )
    assert "  vip-role  target-role=Stopped  vip" in text


def test_an_unknown_resource_is_an_error() -> None:
    with pytest.raises(NothingToExplain):
        explained("nothing", at={})
