"""The step over version 2: what moves, what is called otherwise, what is lost and said to be."""

from __future__ import annotations

import pytest
from lxml import etree

from crm.cib import schema, semantics, upgrade
from crm.cib.upgrade import Upgrade

DUMMY = 'class="ocf" provider="pacemaker" type="Dummy"'


def document(
    *,
    crm_config: str = "",
    nodes: str = "",
    resources: str = "",
    constraints: str = "",
    more: str = "",
    schema_name: str = "pacemaker-2.10",
) -> etree._Element:
    return etree.fromstring(
        f'<cib validate-with="{schema_name}" admin_epoch="0" epoch="1" num_updates="0">'
        f"<configuration><crm_config>{crm_config}</crm_config><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources><constraints>{constraints}</constraints>{more}"
        "</configuration><status/></cib>"
    )


def options(*pairs: tuple[str, str], guard: str = "") -> str:
    inner = "".join(
        f'<nvpair id="s-{number}" name="{name}" value="{value}"/>'
        for number, (name, value) in enumerate(pairs)
    )
    return f'<cluster_property_set id="s">{guard}{inner}</cluster_property_set>'


def primitive(inner: str, identity: str = "a") -> str:
    return f'<primitive id="{identity}" {DUMMY}>{inner}</primitive>'


def pairs(root: etree._Element, path: str) -> dict[str | None, str | None]:
    return {pair.get("name"): pair.get("value") for pair in root.iterfind(f".//{path}/nvpair")}


def codes(result: Upgrade) -> list[str]:
    return [problem.code for problem in result.problems]


def upgraded(root: etree._Element) -> Upgrade:
    """Upgrade; the result must be valid, and upgrading it again must change nothing."""
    result = upgrade.upgrade(root)
    assert [p.message for p in schema.check(result.root)] == []
    assert [p for p in semantics.check(result.root) if p.severity.value == "error"] == []
    again = upgrade.upgrade(result.root)
    assert etree.tostring(again.root) == etree.tostring(result.root)
    assert again.problems == []
    return result


# --- options of the cluster -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "place", "today"),
    [
        ("default-resource-stickiness", "7", "rsc_defaults", {"resource-stickiness": "7"}),
        ("default_resource_stickiness", "7", "rsc_defaults", {"resource-stickiness": "7"}),
        ("is-managed-default", "false", "rsc_defaults", {"is-managed": "false"}),
        ("is_managed_default", "false", "rsc_defaults", {"is-managed": "false"}),
        ("default-migration-threshold", "3", "rsc_defaults", {"migration-threshold": "3"}),
        (
            "default-resource-failure-stickiness",
            "-INFINITY",
            "rsc_defaults",
            {"migration-threshold": "1"},
        ),
        ("default-action-timeout", "9s", "op_defaults", {"timeout": "9s"}),
        ("default_action_timeout", "9s", "op_defaults", {"timeout": "9s"}),
        ("transition-idle-timeout", "5min", "cluster_property_set", {"cluster-delay": "5min"}),
        ("no_quorum_policy", "ignore", "cluster_property_set", {"no-quorum-policy": "ignore"}),
        ("stonith_action", "poweroff", "cluster_property_set", {"stonith-action": "off"}),
        (
            "crmd-transition-delay",
            "1s",
            "cluster_property_set",
            {"transition-delay": "1s"},
        ),
        ("something_else", "1", "cluster_property_set", {"something_else": "1"}),
        ("cluster-infrastructure", "cman", "cluster_property_set", {}),
        (
            "cluster-infrastructure",
            "corosync",
            "cluster_property_set",
            {"cluster-infrastructure": "corosync"},
        ),
        ("expected-quorum-votes", "2", "cluster_property_set", {}),
        ("short-resource-names", "true", "cluster_property_set", {}),
    ],
)
def test_a_cluster_option_stands_where_it_stands_today(
    name: str, value: str, place: str, today: dict[str, str]
) -> None:
    result = upgraded(document(crm_config=options((name, value))))

    path = place if place == "cluster_property_set" else f"{place}/meta_attributes"
    assert pairs(result.root, path) == today
    assert len(list(result.root.iter("nvpair"))) == len(today)
    assert result.problems == []


def test_an_option_in_two_spellings_counts_once_and_the_loss_is_said() -> None:
    both = options(("no-quorum-policy", "stop"), ("no_quorum_policy", "ignore"))

    result = upgraded(document(crm_config=both))

    assert pairs(result.root, "cluster_property_set") == {"no-quorum-policy": "stop"}
    assert codes(result) == ["option-overruled"]
    assert "'no_quorum_policy=ignore'" in result.problems[0].message


def test_pairs_that_are_borrowed_by_their_id_stay() -> None:
    lending = (
        '<cluster_property_set id="s"><nvpair id="a" name="batch-limit" value="3"/>'
        '<nvpair id="b" name="dc-deadtime" value="9s"/></cluster_property_set>'
    )
    borrowing = (
        '<cluster_property_set id="t"><nvpair id-ref="a"/><nvpair id-ref="b"/>'
        "</cluster_property_set>"
    )

    result = upgraded(document(crm_config=lending + borrowing))

    borrowed = result.root.findall(".//cluster_property_set[@id='t']/nvpair")
    assert [pair.get("id-ref") for pair in borrowed] == ["a", "b"]


def test_defaults_that_stand_already_win_over_options_that_move() -> None:
    result = upgraded(
        document(
            crm_config=options(("default-resource-stickiness", "7"), ("is-managed-default", "no")),
            more='<rsc_defaults><meta_attributes id="r"><nvpair id="r-1" '
            'name="resource-stickiness" value="99"/></meta_attributes></rsc_defaults>',
        )
    )

    assert pairs(result.root, "rsc_defaults/meta_attributes") == {
        "resource-stickiness": "99",
        "is-managed": "no",
    }
    assert codes(result) == ["option-overruled"]


def test_an_option_does_not_move_into_a_set_that_holds_only_sometimes() -> None:
    result = upgraded(
        document(
            crm_config=options(("is-managed-default", "no")),
            more='<rsc_defaults><meta_attributes id="r" score="5"><nvpair id="r-1" '
            'name="priority" value="1"/></meta_attributes></rsc_defaults>',
        )
    )

    sets = result.root.findall(".//rsc_defaults/meta_attributes")
    assert [pair_set.get("id") for pair_set in sets] == ["r", "rsc-options"]
    assert pairs(sets[1].getparent(), "meta_attributes[@id='rsc-options']") == {"is-managed": "no"}


def test_an_option_that_moves_out_of_a_guarded_set_is_warned_of() -> None:
    guard = (
        '<rule id="ru" score="0"><date_expression id="d" operation="gt" start="2020-01-01"/></rule>'
    )

    result = upgraded(document(crm_config=options(("is-managed-default", "no"), guard=guard)))

    assert codes(result) == ["guard-lost"]


@pytest.mark.parametrize("name", ["notification-agent", "notification-recipient"])
def test_notifications_are_lost_and_the_cure_is_said(name: str) -> None:
    result = upgraded(document(crm_config=options((name, "/x"))))

    assert pairs(result.root, "cluster_property_set") == {}
    assert codes(result) == ["option-dropped"]
    assert "alert" in result.problems[0].hint


# --- resources ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ({"isolation-wrapper": "x"}, {"target-role": "Stopped"}),
        ({"isolation": "true", "isolation-host": "h"}, {"target-role": "Stopped"}),
        ({"isolation": "false", "isolation-host": "h"}, {}),
        ({"target-role": "Started", "isolation": "true"}, {"target-role": "Started"}),
    ],
)
def test_what_ran_in_a_container_is_kept_stopped_until_somebody_decides(
    given: dict[str, str], today: dict[str, str]
) -> None:
    inner = "".join(
        f'<nvpair id="m-{number}" name="{name}" value="{value}"/>'
        for number, (name, value) in enumerate(given.items())
    )

    result = upgraded(
        document(resources=primitive(f'<meta_attributes id="m">{inner}</meta_attributes>'))
    )

    assert pairs(result.root, "meta_attributes") == today
    assert [(p.code, p.subject) for p in result.problems] == [("option-dropped", "a")]
    assert "bundle" in result.problems[0].hint


def test_a_borrowed_pair_about_a_container_keeps_its_borrower_stopped_too() -> None:
    lender = (
        '<meta_attributes id="m"><nvpair id="m-1" name="isolation" value="true"/></meta_attributes>'
    )
    borrower = '<meta_attributes id="n"><nvpair id-ref="m-1" name="isolation"/></meta_attributes>'

    result = upgraded(document(resources=primitive(lender) + primitive(borrower, "b")))

    for identity in ("a", "b"):
        path = f"primitive[@id='{identity}']/meta_attributes"
        assert pairs(result.root, path) == {"target-role": "Stopped"}


@pytest.mark.parametrize(
    ("value", "today", "said"),
    [
        ("-INFINITY", {"migration-threshold": "1"}, []),
        ("-inf", {"migration-threshold": "1"}, []),
        ("0", {}, []),
        ("-100", {}, ["option-dropped"]),
    ],
)
def test_failure_stickiness_becomes_a_threshold_where_it_can(
    value: str, today: dict[str, str], said: list[str]
) -> None:
    inner = (
        f'<meta_attributes id="m"><nvpair id="m-1" name="resource-failure-stickiness" '
        f'value="{value}"/></meta_attributes>'
    )

    result = upgraded(document(resources=primitive(inner)))

    assert pairs(result.root, "meta_attributes") == today
    assert codes(result) == said


@pytest.mark.parametrize("verb", ["list", "monitor", "off", "on", "reboot", "status"])
def test_commands_of_fencing_devices_are_actions(verb: str) -> None:
    inner = (
        f'<instance_attributes id="i"><nvpair id="i-1" name="pcmk_{verb}_cmd" value="x"/>'
        "</instance_attributes>"
    )

    result = upgraded(document(resources=primitive(inner)))

    assert pairs(result.root, "instance_attributes") == {f"pcmk_{verb}_action": "x"}


@pytest.mark.parametrize(
    ("value", "today", "said"),
    [
        ("port:plug", {"pcmk_host_argument": "plug"}, []),
        ("port:a:b", {"pcmk_host_argument": "a:b"}, []),
        ("uname:plug", {}, ["option-dropped"]),
        ("port:a,uname:b", {}, ["option-dropped"]),
    ],
)
def test_an_argument_map_survives_as_far_as_it_can(
    value: str, today: dict[str, str], said: list[str]
) -> None:
    inner = (
        f'<instance_attributes id="i"><nvpair id="i-1" name="pcmk_arg_map" value="{value}"/>'
        "</instance_attributes>"
    )

    result = upgraded(document(resources=primitive(inner)))

    assert pairs(result.root, "instance_attributes") == today
    assert codes(result) == said


# --- operations -----------------------------------------------------------------------------


def operations(*ops: str, identity: str = "ops") -> str:
    return f'<operations id="{identity}">{"".join(ops)}</operations>'


def test_requirements_leave_all_places_an_operation_could_state_them_in() -> None:
    start = (
        '<op id="o" name="start" interval="0"><{0} id="x"><nvpair id="x-1" name="requires" '
        'value="nothing"/></{0}></op>'
    )
    for place in ("meta_attributes", "instance_attributes"):
        result = upgraded(document(resources=primitive(operations(start.format(place)))))

        assert pairs(result.root, "primitive/meta_attributes") == {"requires": "nothing"}
        assert pairs(result.root, f"op/{place}") == {}


def test_what_a_monitor_requires_never_meant_anything() -> None:
    monitor = '<op id="o" name="monitor" interval="9" requires="fencing"/>'

    result = upgraded(document(resources=primitive(operations(monitor))))

    assert pairs(result.root, "primitive/meta_attributes") == {}
    assert result.root.find(".//op").get("requires") is None


def test_a_second_requirement_is_reported() -> None:
    both = operations(
        '<op id="o1" name="start" interval="0" requires="nothing"/>',
        '<op id="o2" name="promote" interval="0" requires="quorum"/>',
    )

    result = upgraded(document(resources=primitive(both)))

    assert pairs(result.root, "primitive/meta_attributes") == {"requires": "nothing"}
    assert codes(result) == ["option-overruled"]


def test_a_requirement_does_not_slip_into_a_set_that_others_share() -> None:
    start = operations('<op id="o" name="start" interval="0" requires="nothing"/>')
    shared = (
        '<meta_attributes id="m"><nvpair id="m-1" name="priority" value="1"/></meta_attributes>'
    )
    borrowed = operations(
        '<op id="p" name="start" interval="0" requires="quorum"/>', identity="more"
    )

    result = upgraded(
        document(
            resources=primitive(shared + start)
            + primitive('<meta_attributes id-ref="m"/>' + borrowed, "b")
        )
    )

    assert pairs(result.root, "primitive[@id='a']/meta_attributes") == {
        "priority": "1",
        "requires": "nothing",
    }
    assert pairs(result.root, "meta_attributes[@id='m']") == {"priority": "1"}
    assert pairs(result.root, "primitive[@id='b']/meta_attributes") == {"requires": "quorum"}


def test_operations_that_are_borrowed_require_what_they_require_where_they_stand() -> None:
    start = operations('<op id="o" name="start" interval="0" requires="nothing"/>')

    result = upgraded(
        document(resources=primitive(start) + primitive('<operations id-ref="ops"/>', "b"))
    )

    for identity in ("a", "b"):
        path = f"primitive[@id='{identity}']/meta_attributes"
        assert pairs(result.root, path) == {"requires": "nothing"}


def test_options_among_an_operations_parameters_become_its_options() -> None:
    start = (
        '<op id="o" name="start" interval="0"><instance_attributes id="i" score="3">'
        '<nvpair id="i-1" name="on-fail" value="block"/>'
        '<nvpair id="i-2" name="OCF_CHECK_LEVEL" value="10"/></instance_attributes></op>'
    )

    result = upgraded(document(resources=primitive(operations(start))))

    assert pairs(result.root, "op/meta_attributes") == {"on-fail": "block"}
    assert pairs(result.root, "op/instance_attributes") == {"OCF_CHECK_LEVEL": "10"}
    assert result.root.find(".//op/meta_attributes").get("score") == "3"


def test_an_option_the_operation_states_itself_wins_over_its_parameters() -> None:
    start = (
        '<op id="o" name="start" interval="0" timeout="5s"><instance_attributes id="i">'
        '<nvpair id="i-1" name="timeout" value="9s"/></instance_attributes></op>'
    )

    result = upgraded(document(resources=primitive(operations(start))))

    assert pairs(result.root, "op/meta_attributes") == {}
    assert codes(result) == ["option-overruled"]


# --- nodes, constraints, rules --------------------------------------------------------------


@pytest.mark.parametrize("schema_name", ["pacemaker-1.0", "pacemaker-2.0", "pacemaker-2.10"])
def test_normal_nodes_are_members(schema_name: str) -> None:
    nodes = '<node id="1" uname="n" type="normal"/>'

    result = upgraded(document(nodes=nodes, schema_name=schema_name))

    assert result.root.find(".//node").get("type") == "member"


@pytest.mark.parametrize("name", ["score-attribute", "score-attribute-mangle"])
def test_a_colocation_by_attribute_loses_it_and_says_so(name: str) -> None:
    constraint = f'<rsc_colocation id="c" rsc="a" with-rsc="b" {name}="x"/>'

    result = upgraded(
        document(resources=primitive("") + primitive("", "b"), constraints=constraint)
    )

    assert result.root.find(".//rsc_colocation").get(name) is None
    assert ("option-dropped", "c") in [(p.code, p.subject) for p in result.problems]


@pytest.mark.parametrize("schema_name", ["pacemaker-1.2", "pacemaker-2.10", "pacemaker-3.5"])
@pytest.mark.parametrize(
    ("word", "today"),
    [("master", "Promoted"), ("SLAVE", "Unpromoted"), ("Master", "Master"), ("started", "Started")],
)
def test_roles_of_rules_are_spelled_one_way(schema_name: str, word: str, today: str) -> None:
    location = (
        f'<rsc_location id="l" rsc="a"><rule id="r" score="1" role="{word}"><expression id="e" '
        'attribute="#uname" operation="eq" value="n"/></rule></rsc_location>'
    )

    result = upgraded(
        document(
            resources=f'<clone id="c">{primitive("")}</clone>',
            constraints=location.replace('rsc="a"', 'rsc="c"'),
            schema_name=schema_name,
        )
    )

    assert result.root.find(".//rule").get("role") == today


# --- promotable resources -------------------------------------------------------------------


def test_a_master_does_not_make_others_promotable_through_a_set_they_share() -> None:
    shared = (
        '<meta_attributes id="m"><nvpair id="m-1" name="clone-max" value="1"/></meta_attributes>'
    )
    resources = (
        f'<master id="x">{shared}{primitive("")}</master>'
        f'<clone id="y"><meta_attributes id-ref="m"/>{primitive("", "b")}</clone>'
    )

    result = upgraded(document(resources=resources))

    assert pairs(result.root, "clone[@id='x']/meta_attributes") == {
        "promotable": "true",
        "clone-max": "1",
    }
    assert pairs(result.root, "meta_attributes[@id='m']") == {"clone-max": "1"}


def test_a_master_is_promotable_always_and_not_only_while_a_rule_holds() -> None:
    guarded = (
        '<meta_attributes id="m"><rule id="r" score="0"><date_expression id="d" operation="gt" '
        'start="2020-01-01"/></rule><nvpair id="m-1" name="clone-max" value="1"/></meta_attributes>'
    )

    result = upgraded(document(resources=f'<master id="x">{guarded}{primitive("")}</master>'))

    assert pairs(result.root, "meta_attributes[@id='m']") == {"clone-max": "1"}
    assert pairs(result.root, "clone/meta_attributes")["promotable"] == "true"


# --- access lists of version 1 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "today"),
    [
        ('xpath="/cib"', {"xpath": "/cib"}),
        ('xpath="/cib" attribute="epoch"', {"xpath": "/cib[@epoch]"}),
        ('xpath="//a | //b" attribute="x"', {"xpath": "(//a | //b)[@x]"}),
        ('ref="a"', {"reference": "a"}),
        ('ref="a" attribute="class"', {"xpath": "//*[@id='a'][@class]"}),
        ('ref="a" tag="primitive"', {"xpath": "//primitive[@id='a']"}),
        (
            'ref="a" tag="primitive" attribute="class"',
            {"xpath": "//primitive[@id='a'][@class]"},
        ),
        ('tag="nvpair"', {"object-type": "nvpair"}),
        ('tag="nvpair" attribute="value"', {"object-type": "nvpair", "attribute": "value"}),
    ],
)
def test_a_right_of_version_1_means_the_same_as_a_permission(
    right: str, today: dict[str, str]
) -> None:
    acls = f'<acls><acl_role id="r"><write id="w" {right}/></acl_role></acls>'

    result = upgraded(document(resources=primitive(""), more=acls, schema_name="pacemaker-1.2"))

    [permission] = result.root.iter("acl_permission")
    assert dict(permission.attrib) == {"id": "w", "kind": "write", **today}


def test_the_role_made_for_a_users_rights_has_a_valid_and_free_id() -> None:
    acls = (
        '<acls><acl_role id="auto-dom-joe"><read id="x" xpath="/cib"/></acl_role>'
        '<acl_user id="dom\\joe"><write id="w" xpath="/cib"/></acl_user></acls>'
    )

    result = upgraded(document(more=acls, schema_name="pacemaker-1.2"))

    assert [role.get("id") for role in result.root.iter("role")] == ["auto-dom-joe-2"]
    assert [target.get("id") for target in result.root.iter("acl_target")] == ["dom\\joe"]
