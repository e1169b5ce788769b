from __future__ import annotations

import pytest
from lxml import etree

from crm.cib import semantics
from crm.plumbing.errors import Problem, Severity

A = '<primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2"/>'
NO_FENCING = (
    '<cluster_property_set id="s"><nvpair id="s1" name="stonith-enabled" value="false"/>'
    "</cluster_property_set>"
)


def cib(
    resources: str = A,
    constraints: str = "",
    *,
    options: str = NO_FENCING,
    nodes: str = "",
    rest: str = "",
) -> etree._Element:
    return etree.fromstring(
        f"<cib><configuration><crm_config>{options}</crm_config><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources><constraints>{constraints}</constraints>{rest}"
        "</configuration><status/></cib>"
    )


def the_problem(root: etree._Element) -> Problem:
    [problem] = semantics.check(root)
    return problem


def test_a_sound_configuration_gives_no_problem() -> None:
    root = cib(constraints='<rsc_location id="l" rsc="vip" node="n" score="1"/>')

    assert semantics.check(root) == []
    assert semantics.check_policy(root) == []


def test_an_id_used_twice_is_an_error_that_names_both_places() -> None:
    problem = the_problem(cib(A + '<group id="vip"/>'))

    assert (problem.code, problem.severity, problem.subject) == (
        "repeated-id",
        Severity.ERROR,
        "vip",
    )
    assert "<primitive>" in problem.message
    assert "<group>" in problem.message


def test_a_right_to_an_object_that_is_gone_is_refused() -> None:
    role = '<acl_role id="r"><acl_permission id="x" kind="write" reference="{}"/></acl_role>'
    acls = f"<acls>{role}</acls>"

    assert semantics.check(cib(rest=acls.format("vip"))) == []
    problem = the_problem(cib(rest=acls.format("vipp")))
    assert (problem.code, problem.severity, problem.subject) == (
        "unknown-object",
        Severity.ERROR,
        "x",
    )
    assert problem.message == "permission 'x' of role 'r' names 'vipp', which does not exist"
    assert problem.hint == "there is an object 'vip'"


def test_ids_of_nodes_users_and_references_are_not_ours_to_judge() -> None:
    root = cib(
        constraints='<rsc_order id="o"><resource_set id="s0"><resource_ref id="vip"/>'
        "</resource_set></rsc_order>",
        nodes='<node id="vip" uname="n"/>',
        rest='<tags><tag id="t"><obj_ref id="vip"/></tag></tags>',
    )

    assert semantics.check(root) == []


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="c" rsc="vipp" node="n" score="1"/>',
        '<rsc_colocation id="c" rsc="vip" with-rsc="vipp" score="1"/>',
        '<rsc_order id="c" first="vipp" then="vip"/>',
        '<rsc_ticket id="c" ticket="t" rsc="vipp"/>',
        '<rsc_order id="c"><resource_set id="s0"><resource_ref id="vipp"/></resource_set>'
        "</rsc_order>",
    ],
)
def test_a_constraint_about_nothing_names_the_nearest_resource(constraint: str) -> None:
    problem = the_problem(cib(constraints=constraint))

    assert (problem.code, problem.severity, problem.subject) == (
        "unknown-resource",
        Severity.ERROR,
        "c",
    )
    assert "names 'vipp', which does not exist" in problem.message
    assert problem.hint == "there is a resource 'vip'"


def test_constraints_may_name_tags_and_templates() -> None:
    root = cib(
        A + '<template id="tpl" class="lsb" type="x"/>',
        '<rsc_location id="c" rsc="tpl" node="n" score="1"/>'
        '<rsc_location id="d" rsc="t" node="n" score="1"/>',
        rest='<tags><tag id="t"><obj_ref id="vip"/></tag></tags>',
    )

    assert semantics.check(root) == []


def test_a_template_that_does_not_exist_is_an_error() -> None:
    root = cib('<template id="tpl" class="lsb" type="x"/><primitive id="a" template="tpll"/>')

    assert (the_problem(root).code, the_problem(root).hint) == (
        "unknown-template",
        "there is a template 'tpl'",
    )


def test_a_reference_to_a_set_that_does_not_exist_is_an_error() -> None:
    root = cib(
        A + '<primitive id="b" class="lsb" type="x"><meta_attributes id-ref="m"/></primitive>'
    )

    assert the_problem(root).code == "unknown-object"


def test_a_role_that_does_not_exist_is_an_error() -> None:
    root = cib(rest='<acls><acl_target id="u"><role id="r"/></acl_target></acls>')

    assert the_problem(root).code == "unknown-role"


def operation(**attributes: str) -> str:
    given = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return (
        '<primitive id="a" class="lsb" type="x"><operations>'
        f'<op id="o" name="monitor" {given}/></operations></primitive>'
    )


@pytest.mark.parametrize("name", ["interval", "timeout", "start_delay"])
def test_a_duration_that_is_none_is_an_error(name: str) -> None:
    problem = the_problem(cib(operation(**{"interval": "5s", name: "soon"})))

    assert (problem.code, problem.severity) == ("bad-duration", Severity.ERROR)
    assert "'soon'" in problem.message
    assert "'a'" in problem.message


def test_what_old_files_hold_is_only_warned_of() -> None:
    assert the_problem(cib(operation(interval="P5M"))).severity is Severity.WARNING


def test_an_operation_given_twice_is_warned_of() -> None:
    root = cib(
        '<primitive id="a" class="lsb" type="x"><operations>'
        '<op id="o1" name="monitor" interval="60s"/><op id="o2" name="monitor" interval="1min"/>'
        "</operations></primitive>"
    )

    assert (the_problem(root).code, the_problem(root).subject) == ("repeated-operation", "o2")


def properties(name: str, value: str) -> str:
    return NO_FENCING.replace("</cl", f'<nvpair id="s2" name="{name}" value="{value}"/></cl')


def test_a_misspelt_cluster_option_is_warned_of_with_the_right_name() -> None:
    problem = the_problem(cib(options=properties("no-quorom-policy", "stop")))

    assert (problem.code, problem.severity) == ("unknown-option", Severity.WARNING)
    assert problem.hint == "there is an option 'no-quorum-policy'"


def test_an_option_like_no_other_is_somebodys_own() -> None:
    assert semantics.check(cib(options=properties("redis_REPL_INFO", "x"))) == []


def test_an_impossible_value_is_warned_of_with_the_nearest_word() -> None:
    problem = the_problem(cib(options=properties("no-quorum-policy", "frieze")))

    assert (problem.code, problem.hint) == ("bad-option-value", "did you mean 'freeze'?")


def test_a_misspelt_node_is_warned_of_but_not_the_next_number() -> None:
    nodes = '<node id="1" uname="litsha21"/>'
    location = '<rsc_location id="l" rsc="vip" node="{}" score="1"/>'

    misspelt = the_problem(cib(constraints=location.format("listha21"), nodes=nodes))

    assert (misspelt.code, misspelt.hint) == ("unknown-node", "there is a node 'litsha21'")
    assert semantics.check(cib(constraints=location.format("litsha22"), nodes=nodes)) == []


def test_errors_come_before_warnings() -> None:
    root = cib(A + A, options=properties("no-quorom-policy", "stop"))

    assert [p.severity for p in semantics.check(root)] == [Severity.ERROR, Severity.WARNING]


# --- policy ---------------------------------------------------------------------------------


def test_fencing_without_a_device_keeps_resources_from_starting() -> None:
    texts = [problem.message for problem in semantics.check_policy(cib(options=""))]

    assert texts[0] == "Resource start-up disabled since no STONITH resources have been defined"
    assert semantics.check(cib(options="")) == []


def test_a_device_or_a_watchdog_is_enough() -> None:
    device = '<primitive id="d" class="stonith" type="null"/>'
    watchdog = (
        '<cluster_property_set id="s"><nvpair id="w" name="have-watchdog" value="true"/>'
        "</cluster_property_set>"
    )

    assert semantics.check_policy(cib(device, options="")) == []
    assert semantics.check_policy(cib(options=watchdog)) == []


def test_the_newer_name_of_the_option_counts() -> None:
    newer = NO_FENCING.replace("stonith-enabled", "fencing-enabled")

    assert semantics.check_policy(cib(options=newer)) == []


def test_an_init_script_cannot_be_promoted() -> None:
    clone = (
        '<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/>'
        '</meta_attributes><primitive id="a" class="lsb" type="x"/></clone>'
    )

    assert [p.code for p in semantics.check_policy(cib(clone))] == ["not-promotable"]
