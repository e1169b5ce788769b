"""The dialect of Heartbeat 2, sentence by sentence: what each construct becomes, and what is said.

Each line of a table is an old fragment and the fragment of today.
"""

from __future__ import annotations

import pytest
from lxml import etree

from crm.cib import schema, upgrade
from crm.cib.upgrade import Dialect, Upgrade

LSB = 'class="lsb" type="x"'


def document(**sections: str) -> etree._Element:
    body = "".join(
        f"<{name}>{sections.get(name, '')}</{name}>"
        for name in ("crm_config", "nodes", "resources", "constraints")
    )
    return etree.fromstring(f'<cib have_quorum="true"><configuration>{body}</configuration></cib>')


def upgraded(root: etree._Element) -> Upgrade:
    """Upgrade; the result must be valid, and upgrading it again must change nothing."""
    result = upgrade.upgrade(root)
    assert [p.message for p in schema.check(result.root)] == []
    assert etree.tostring(upgrade.upgrade(result.root).root) == etree.tostring(result.root)
    assert all(p.subject and p.message and p.hint for p in result.problems)
    return result


def codes(result: Upgrade) -> list[str]:
    return [problem.code for problem in result.problems]


def attributes(element: etree._Element | None) -> dict[str, str]:
    assert element is not None
    return {str(name): str(value) for name, value in element.attrib.items() if name != "id"}


def pairs(root: etree._Element, path: str) -> dict[str | None, str | None]:
    return {pair.get("name"): pair.get("value") for pair in root.iterfind(f".//{path}/nvpair")}


def options(**values: str) -> str:
    inner = "".join(
        f'<nvpair id="o-{name}" name="{name}" value="{value}"/>' for name, value in values.items()
    )
    return f"<attributes>{inner}</attributes>"


# --- which dialect --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<cib num_peers="2"><configuration><nodes/></configuration></cib>',
        '<cib cib_feature_revision="1.3"><configuration/></cib>',
        "<cib><configuration><crm_config>"
        '<nvpair id="n" name="stonith_enabled" value="true"/></crm_config></configuration></cib>',
        '<cib><configuration><resources><primitive id="a" class="lsb" type="x" is_managed="true"/>'
        '</resources><rsc_defaults><meta_attributes id="m"><nvpair id="n" name="a" value="b"/>'
        "</meta_attributes></rsc_defaults></configuration></cib>",
        '<cib><configuration><resources><primitive id="a" class="lsb" type="x"><operations>'
        '<op id="o" name="start" prereq="nothing"/></operations><instance_attributes id="i">'
        '<nvpair id="n" name="a" value="b"/></instance_attributes></primitive></resources>'
        "</configuration></cib>",
        '<cib validate-with="pacemaker-0.6" have-quorum="1"><configuration/></cib>',
        '<cib validate-with="transitional-0.6"><configuration/></cib>',
    ],
)
def test_a_document_of_heartbeat_2_is_known_by_what_only_it_wrote(text: str) -> None:
    assert upgrade.dialect_of(etree.fromstring(text)) is Dialect.HEARTBEAT_2


# --- the root -------------------------------------------------------------------------------


def test_the_root_keeps_the_version_and_renames_what_has_another_name() -> None:
    root = etree.fromstring(
        '<cib admin_epoch="1" epoch="2" num_updates="3" have_quorum="false" dc_uuid="u" '
        'remote_access_port="99" crm_feature_set="2.0" num_peers="2" ccm_transition="4" '
        'generated="true" cib_feature_revision="1.3" ignore_dtd="false" '
        'cib-last-written="Mon"><configuration/></cib>'
    )

    result = upgraded(root)

    assert attributes(result.root) == {
        "validate-with": "pacemaker-3.9",
        "crm_feature_set": "2.0",
        "admin_epoch": "1",
        "epoch": "2",
        "num_updates": "3",
        "have-quorum": "0",
        "dc-uuid": "u",
        "remote-tls-port": "99",
    }
    assert result.problems == []


def test_an_unknown_attribute_of_the_root_is_named() -> None:
    root = etree.fromstring('<cib have_quorum="true" colour="blue"><configuration/></cib>')

    result = upgraded(root)

    assert codes(result) == ["attribute-dropped"]
    assert "'colour=blue'" in result.problems[0].message


# --- options of the cluster -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "place", "today"),
    [
        ("symmetric_cluster", "true", "crm_config", {"symmetric-cluster": "true"}),
        ("no_quorum_policy", "stop", "crm_config", {"no-quorum-policy": "stop"}),
        ("startup_fencing", "true", "crm_config", {"startup-fencing": "true"}),
        ("stop_orphan_resources", "true", "crm_config", {"stop-orphan-resources": "true"}),
        ("stop_orphan_actions", "true", "crm_config", {"stop-orphan-actions": "true"}),
        ("remove_after_stop", "false", "crm_config", {"remove-after-stop": "false"}),
        ("cluster_delay", "60s", "crm_config", {"cluster-delay": "60s"}),
        ("dc_deadtime", "20s", "crm_config", {"dc-deadtime": "20s"}),
        ("cluster_recheck_interval", "0", "crm_config", {"cluster-recheck-interval": "0"}),
        ("election_timeout", "2min", "crm_config", {"election-timeout": "2min"}),
        ("shutdown_escalation", "20min", "crm_config", {"shutdown-escalation": "20min"}),
        ("batch_limit", "30", "crm_config", {"batch-limit": "30"}),
        ("pe_error_series_max", "-1", "crm_config", {"pe-error-series-max": "-1"}),
        ("pe_warn_series_max", "-1", "crm_config", {"pe-warn-series-max": "-1"}),
        ("pe_input_series_max", "-1", "crm_config", {"pe-input-series-max": "-1"}),
        ("stonith_action", "poweroff", "crm_config", {"stonith-action": "off"}),
        ("stonith_action", "reboot", "crm_config", {"stonith-action": "reboot"}),
        ("transition_idle_timeout", "5min", "crm_config", {"cluster-delay": "5min"}),
        ("my_own", "x", "crm_config", {"my_own": "x"}),
        ("default_resource_stickiness", "5", "rsc_defaults", {"resource-stickiness": "5"}),
        ("is_managed_default", "false", "rsc_defaults", {"is-managed": "false"}),
        ("default_migration_threshold", "3", "rsc_defaults", {"migration-threshold": "3"}),
        (
            "default_resource_failure_stickiness",
            "-INFINITY",
            "rsc_defaults",
            {"migration-threshold": "1"},
        ),
        ("default_action_timeout", "20s", "op_defaults", {"timeout": "20s"}),
    ],
)
@pytest.mark.parametrize("spelling", ["_", "-"])
def test_an_option_of_the_cluster(
    name: str, value: str, place: str, today: dict[str, str], spelling: str
) -> None:
    if name == "my_own" and spelling == "-":
        today = {"my-own": "x"}
    given = {"stonith_enabled": "true", name.replace("_", spelling): value}

    result = upgraded(
        document(
            crm_config=f'<cluster_property_set id="s">{options(**given)}</cluster_property_set>'
        )
    )

    path = "cluster_property_set" if place == "crm_config" else f"{place}/meta_attributes"
    found = pairs(result.root, path)
    found.pop("stonith-enabled", None)
    assert found == today
    assert result.problems == []


def test_options_without_a_set_get_one() -> None:
    result = upgraded(
        document(
            crm_config='<nvpair id="a" name="no_quorum_policy" value="ignore"/>'
            '<nvpair id="b" name="stonith_enabled" value="true"/>'
        )
    )

    [pair_set] = result.root.iter("cluster_property_set")
    assert pair_set.get("id") == "cib-bootstrap-options"
    assert pairs(result.root, "cluster_property_set") == {
        "no-quorum-policy": "ignore",
        "stonith-enabled": "true",
    }


@pytest.mark.parametrize("identity", ["cib-bootstrap-options", "other"])
def test_that_nodes_are_not_fenced_is_written_where_nothing_was_said(identity: str) -> None:
    result = upgraded(
        document(
            crm_config=f'<cluster_property_set id="{identity}">'
            f"{options(batch_limit='3')}</cluster_property_set>"
        )
    )

    path = "cluster_property_set[@id='cib-bootstrap-options']"
    assert pairs(result.root, path)["stonith-enabled"] == "false"


def test_what_is_written_to_hold_always_does_not_go_into_a_set_with_a_rule() -> None:
    guarded = (
        '<cluster_property_set id="cib-bootstrap-options"><rule id="r"><date_expression id="d" '
        f'operation="gt" start="2007-01-01"/></rule>{options(batch_limit="3")}'
        "</cluster_property_set>"
    )

    result = upgraded(document(crm_config=guarded))

    [stated] = [p for p in result.root.iter("nvpair") if p.get("name") == "stonith-enabled"]
    assert stated.getparent().find("rule") is None


def test_what_later_releases_wrote_into_the_root_stays() -> None:
    root = etree.fromstring(
        '<cib validate-with="transitional-0.6" have-quorum="1" dc-uuid="u" remote-tls-port="9" '
        'remote-clear-port="8" update-origin="n"><configuration/></cib>'
    )

    result = upgraded(root)

    kept = ("have-quorum", "dc-uuid", "remote-tls-port", "remote-clear-port", "update-origin")
    assert [result.root.get(name) for name in kept] == ["1", "u", "9", "8", "n"]
    assert result.problems == []


def test_the_first_of_several_sets_wins_for_an_option_that_moves() -> None:
    sets = "".join(
        f'<cluster_property_set id="s{number}"><attributes><nvpair id="n{number}" '
        f'name="is_managed_default" value="{value}"/></attributes></cluster_property_set>'
        for number, value in ((1, "true"), (2, "false"))
    )

    result = upgraded(document(crm_config=sets))

    assert pairs(result.root, "rsc_defaults/meta_attributes") == {"is-managed": "true"}
    assert codes(result) == ["option-overruled"]


# --- nodes ----------------------------------------------------------------------------------


def test_nodes_keep_what_they_are_and_ping_nodes_are_named_when_they_go() -> None:
    nodes = (
        '<node id="9-uuid" uname="a" type="normal" description="d"><instance_attributes id="n">'
        f"{options(standby='on')}</instance_attributes></node>"
        '<node id="p" uname="10.0.0.1" type="ping"/>'
    )

    result = upgraded(document(nodes=nodes))

    [node] = result.root.iter("node")
    assert (node.get("id"), node.get("type"), node.get("description")) == ("9-uuid", "member", "d")
    assert pairs(result.root, "node/instance_attributes") == {"standby": "on"}
    assert [(p.code, p.subject) for p in result.problems] == [("node-dropped", "10.0.0.1")]


# --- options of resources -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "today", "said"),
    [
        ({"is_managed": "false"}, {"is-managed": "false"}, []),
        ({"is_managed": "default"}, {}, []),
        ({"target_role": "started"}, {"target-role": "Started"}, []),
        ({"target_role": "STOPPED"}, {"target-role": "Stopped"}, []),
        ({"target_role": "master"}, {"target-role": "Promoted"}, []),
        ({"target_role": "Slave"}, {"target-role": "Unpromoted"}, []),
        ({"target_role": "default"}, {}, []),
        ({"target_role": "#default"}, {}, []),
        ({"resource_stickiness": "INFINITY"}, {"resource-stickiness": "INFINITY"}, []),
        ({"resource_failure_stickiness": "-INFINITY"}, {"migration-threshold": "1"}, []),
        ({"resource_failure_stickiness": "0"}, {}, []),
        ({"resource_failure_stickiness": "-50"}, {}, ["option-dropped"]),
        ({"priority": "5"}, {"priority": "5"}, []),
        ({"multiple_active": "block"}, {"multiple-active": "block"}, []),
        ({"restart_type": "restart"}, {}, ["option-dropped"]),
    ],
)
@pytest.mark.parametrize("place", ["attribute", "meta_attributes", "instance_attributes"])
def test_an_option_of_a_resource_in_each_of_its_places(
    given: dict[str, str], today: dict[str, str], said: list[str], place: str
) -> None:
    [(name, value)] = given.items()
    if place == "attribute":
        resource = f'<primitive id="a" {LSB} {name}="{value}"/>'
    else:
        resource = (
            f'<primitive id="a" {LSB}><{place} id="s">{options(**given)}</{place}></primitive>'
        )

    result = upgraded(document(resources=resource))

    assert pairs(result.root, "primitive/meta_attributes") == today
    assert pairs(result.root, "primitive/instance_attributes") == {}
    assert codes(result) == said


def test_what_the_stronger_place_states_is_kept_and_the_weaker_named() -> None:
    resource = (
        f'<primitive id="a" {LSB} is_managed="true"><instance_attributes id="i">'
        f"{options(is_managed='false', priority='3')}</instance_attributes>"
        f'<meta_attributes id="m">{options(priority="4")}</meta_attributes></primitive>'
    )

    result = upgraded(document(resources=resource))

    sets = result.root.findall(".//primitive/meta_attributes")
    assert [pair.get("value") for pair_set in sets for pair in pair_set] == ["true", "4"]
    assert codes(result) == ["option-overruled", "option-overruled"]


@pytest.mark.parametrize(("value", "said"), [("7", []), ("8", ["stated-twice"])])
def test_an_option_that_another_set_wins_today_is_named(value: str, said: list[str]) -> None:
    resource = (
        f'<primitive id="a" {LSB} priority="7"><meta_attributes id="m">'
        f"{options(priority=value)}</meta_attributes></primitive>"
    )

    result = upgraded(document(resources=resource))

    assert codes(result) == said


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ('ordered="true" collocated="true"', {}),
        ('ordered="false"', {"ordered": "false"}),
        ('collocated="false"', {"collocated": "false"}),
    ],
)
def test_a_group_states_only_what_is_not_the_default(given: str, today: dict[str, str]) -> None:
    group = f'<group id="g" {given}><primitive id="a" {LSB}/></group>'

    assert pairs(upgraded(document(resources=group)).root, "group/meta_attributes") == today


def test_options_of_a_clone_from_all_places() -> None:
    clone = (
        '<clone id="c" notify="true" ordered="true" interleave="true" globally_unique="false">'
        f'<instance_attributes id="i">{options(clone_max="2", clone_node_max="1")}'
        f'</instance_attributes><primitive id="a" {LSB}/></clone>'
    )

    result = upgraded(document(resources=clone))

    assert pairs(result.root, "clone/meta_attributes") == {
        "notify": "true",
        "ordered": "true",
        "interleave": "true",
        "globally-unique": "false",
        "clone-max": "2",
        "clone-node-max": "1",
    }
    assert result.problems == []


@pytest.mark.parametrize(
    "given",
    [
        f'<instance_attributes id="i">{options(master_max="1", master_node_max="2")}'
        "</instance_attributes>",
        f'<meta_attributes id="i">{options(**{"master-max": "1", "master-node-max": "2"})}'
        "</meta_attributes>",
    ],
)
def test_a_master_slave_is_a_promotable_clone(given: str) -> None:
    master = (
        f'<master_slave id="m" globally_unique="false">{given}<primitive id="a" {LSB}/>'
        "</master_slave>"
    )

    result = upgraded(document(resources=master))

    values = pairs(result.root, "clone/meta_attributes")
    assert next(iter(values)) == "promotable"
    assert values == {
        "promotable": "true",
        "globally-unique": "false",
        "promoted-max": "1",
        "promoted-node-max": "2",
    }


def test_attributes_of_early_releases_find_their_names() -> None:
    master = (
        '<master_slave id="m" globally_unique="false" max_masters="2" max_node_masters="1">'
        f'<primitive id="a" {LSB} start_prereq="quorum"/></master_slave>'
    )

    result = upgraded(document(resources=master))

    assert pairs(result.root, "clone/meta_attributes")["promoted-max"] == "2"
    assert pairs(result.root, "clone/meta_attributes")["promoted-node-max"] == "1"
    assert pairs(result.root, "primitive/meta_attributes") == {"requires": "quorum"}


def test_a_provider_is_written_only_where_there_are_several() -> None:
    resources = (
        '<primitive id="a" class="ocf" provider="heartbeat" type="x"/>'
        '<primitive id="b" class="lsb" provider="heartbeat" type="x"/>'
    )

    result = upgraded(document(resources=resources))

    assert [p.get("provider") for p in result.root.iter("primitive")] == ["heartbeat", None]


# --- operations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ("", {"interval": "0"}),
        ('interval="5s" timeout="9s"', {"interval": "5s", "timeout": "9s"}),
        ('start_delay="5s"', {"start-delay": "5s", "interval": "0"}),
        ('disabled="true"', {"enabled": "false", "interval": "0"}),
        ('disabled="yes"', {"enabled": "false", "interval": "0"}),
        ('disabled="no"', {"enabled": "true", "interval": "0"}),
        ('on_fail="nothing"', {"on-fail": "ignore", "interval": "0"}),
        ('on_fail="ignore"', {"on-fail": "ignore", "interval": "0"}),
        ('on_fail="block"', {"on-fail": "block", "interval": "0"}),
        ('on_fail="stop"', {"on-fail": "stop", "interval": "0"}),
        ('on_fail="restart"', {"on-fail": "restart", "interval": "0"}),
        ('on_fail="fence"', {"on-fail": "fence", "interval": "0"}),
        ('role="Master"', {"role": "Promoted", "interval": "0"}),
        ('role="slave"', {"role": "Unpromoted", "interval": "0"}),
        ('prereq="fencing"', {"interval": "0"}),
        ('description="d"', {"description": "d", "interval": "0"}),
    ],
)
def test_an_attribute_of_an_operation(given: str, today: dict[str, str]) -> None:
    resource = (
        f'<primitive id="a" {LSB}><operations><op id="o" name="monitor" {given}/></operations>'
        "</primitive>"
    )

    result = upgraded(document(resources=resource))

    assert attributes(result.root.find(".//op")) == {"name": "monitor", **today}
    assert result.problems == []


def test_what_start_needs_is_what_the_resource_requires_and_a_second_need_is_named() -> None:
    resource = (
        f'<primitive id="a" {LSB}><operations><op id="o" name="promote" prereq="quorum"/>'
        '<op id="p" name="start" prereq="nothing"/></operations></primitive>'
    )

    result = upgraded(document(resources=resource))

    assert pairs(result.root, "primitive/meta_attributes") == {"requires": "quorum"}
    assert codes(result) == ["option-overruled"]
    assert "'prereq=nothing'" in result.problems[0].message


def test_rules_in_the_sets_of_an_operation_are_converted() -> None:
    inner = (
        '<{0} id="{0}"><rule id="r-{0}" boolean_op="or" score_attribute="x"><expression '
        'id="e-{0}" attribute="y" operation="defined"/></rule>'
        '<attributes><nvpair id="n-{0}" name="a" value="b"/></attributes></{0}>'
    )
    resource = (
        f'<primitive id="a" {LSB}><operations><op id="o" name="monitor">'
        f"{inner.format('meta_attributes')}{inner.format('instance_attributes')}</op>"
        "</operations></primitive>"
    )

    result = upgraded(document(resources=resource))

    assert [rule.get("boolean-op") for rule in result.root.iter("rule")] == ["or", "or"]


# --- rules and locations --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ('score="100"', {"score": "100"}),
        ('score="10.75"', {"score": "10"}),
        ('score="-10.75"', {"score": "-10"}),
        ('score="infinity"', {"score": "INFINITY"}),
        ('score="-Infinity"', {"score": "-INFINITY"}),
        ('score="+INFINITY"', {"score": "INFINITY"}),
        ('score_attribute="pingd"', {"score-attribute": "pingd"}),
        ("", {"score": "0"}),
        ('score="1" boolean_op="or"', {"score": "1", "boolean-op": "or"}),
        ('score="1" role="master"', {"score": "1", "role": "Promoted"}),
        ('score="1" role="Slave"', {"score": "1", "role": "Unpromoted"}),
        ('score="1" role="started"', {"score": "1", "role": "Started"}),
    ],
)
def test_an_attribute_of_a_rule(given: str, today: dict[str, str]) -> None:
    location = (
        f'<rsc_location id="l" rsc="a"><rule id="r" {given}><expression id="e" '
        'attribute="#uname" operation="eq" value="n"/></rule></rsc_location>'
    )

    result = upgraded(document(resources=f'<primitive id="a" {LSB}/>', constraints=location))

    assert attributes(result.root.find(".//rule")) == today
    assert result.problems == []


def test_a_rule_without_conditions_holds_everywhere() -> None:
    location = '<rsc_location id="l" rsc="a"><rule id="r" score="1"/></rsc_location>'

    result = upgraded(document(constraints=location))

    assert attributes(result.root.find(".//expression")) == {
        "attribute": "#uname",
        "operation": "defined",
    }


def test_a_rule_with_both_a_score_and_an_attribute_keeps_the_score_and_says_so() -> None:
    location = (
        '<rsc_location id="l" rsc="a"><rule id="r" score="1" score_attribute="pingd"/>'
        "</rsc_location>"
    )

    result = upgraded(document(constraints=location))

    assert attributes(result.root.find(".//rule")) == {"score": "1"}
    assert codes(result) == ["option-overruled"]


@pytest.mark.parametrize(
    ("given", "today", "said"),
    [
        ('node="n"', {"node": "n", "score": "0"}, []),
        ('node="n" score="5.5"', {"node": "n", "score": "5"}, []),
    ],
)
def test_a_location_without_rules(given: str, today: dict[str, str], said: list[str]) -> None:
    result = upgraded(document(constraints=f'<rsc_location id="l" rsc="a" {given}/>'))

    assert attributes(result.root.find(".//rsc_location")) == {"rsc": "a", **today}
    assert codes(result) == said


@pytest.mark.parametrize("given", ['node="n" score="5"', 'score="5"'])
def test_what_a_location_says_beside_its_rules_is_named(given: str) -> None:
    location = f'<rsc_location id="l" rsc="a" {given}><rule id="r" score="1"/></rsc_location>'

    result = upgraded(document(constraints=location))

    assert attributes(result.root.find(".//rsc_location")) == {"rsc": "a"}
    assert codes(result) == ["option-dropped"]


# --- orders and colocations -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ("", {"first": "b", "first-action": "start", "then": "a", "then-action": "start"}),
        (
            'type="after" action="promote"',
            {"first": "b", "first-action": "promote", "then": "a", "then-action": "promote"},
        ),
        (
            'type="after" action="start" to_action="promote"',
            {"first": "b", "first-action": "promote", "then": "a", "then-action": "start"},
        ),
        (
            'to_action="stop"',
            {"first": "b", "first-action": "stop", "then": "a", "then-action": "start"},
        ),
        ('type="before"', {"first": "a", "then": "b"}),
        (
            'type="before" action="stop"',
            {"first": "a", "first-action": "stop", "then": "b"},
        ),
        (
            'type="before" action="stop" to_action="start"',
            {"first": "a", "first-action": "stop", "then": "b", "then-action": "start"},
        ),
        ('type="before" score="0"', {"first": "a", "then": "b", "kind": "Optional"}),
        ('type="before" score="-5"', {"first": "a", "then": "b", "kind": "Mandatory"}),
        ('type="before" score="INFINITY"', {"first": "a", "then": "b", "kind": "Mandatory"}),
        (
            'type="before" symmetrical="false"',
            {"first": "a", "then": "b", "symmetrical": "false"},
        ),
    ],
)
def test_an_order(given: str, today: dict[str, str]) -> None:
    result = upgraded(document(constraints=f'<rsc_order id="o" from="a" to="b" {given}/>'))

    assert attributes(result.root.find(".//rsc_order")) == today
    assert result.problems == []


def test_an_unknown_attribute_of_an_order_is_named() -> None:
    result = upgraded(document(constraints='<rsc_order id="o" from="a" to="b" colour="blue"/>'))

    assert codes(result) == ["attribute-dropped"]


@pytest.mark.parametrize(
    ("given", "today", "said"),
    [
        ('score="INFINITY"', {"score": "INFINITY"}, []),
        ('score="-infinity"', {"score": "-INFINITY"}, []),
        ('score="3.9"', {"score": "3"}, []),
        (
            'score="1" from_role="Master" to_role="slave"',
            {"score": "1", "rsc-role": "Promoted", "with-rsc-role": "Unpromoted"},
            [],
        ),
        ('score="1" node_attribute="site"', {"score": "1", "node-attribute": "site"}, []),
        ('score="1" symmetrical="false"', {"score": "1"}, []),
        ('score="1" symmetrical="true"', {"score": "1"}, ["option-dropped"]),
    ],
)
def test_a_colocation(given: str, today: dict[str, str], said: list[str]) -> None:
    result = upgraded(document(constraints=f'<rsc_colocation id="c" from="a" to="b" {given}/>'))

    assert attributes(result.root.find(".//rsc_colocation")) == {
        "rsc": "a",
        "with-rsc": "b",
        **today,
    }
    assert codes(result) == said


# --- the status -----------------------------------------------------------------------------


def test_the_status_is_empty_as_the_cluster_writes_it_anew() -> None:
    root = etree.fromstring(
        '<cib have_quorum="true"><configuration/><status><node_state id="x" ha="active">'
        '<lrm id="x"/></node_state></status></cib>'
    )

    assert len(upgraded(root).root.find("status")) == 0
