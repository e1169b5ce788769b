from __future__ import annotations

import pytest
from lxml import etree

from crm.cib import semantics
from crm.plumbing import xml
from crm.plumbing.errors import Problem, Severity
from tests.kit import hostile

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
    assert problem.hint.startswith("there is an option 'no-quorum-policy': what a partition")


def test_an_option_like_no_other_is_somebodys_own() -> None:
    assert semantics.check(cib(options=properties("redis_REPL_INFO", "x"))) == []


def test_an_impossible_value_is_warned_of_with_the_nearest_word() -> None:
    problem = the_problem(cib(options=properties("no-quorum-policy", "frieze")))

    assert (problem.code, problem.hint) == ("bad-option-value", "did you mean 'freeze'?")


def test_a_misspelt_node_is_warned_of_but_not_the_next_number() -> None:
    nodes = '<node id="1" uname="litsha21"/>'
    location = '<rsc_location id="l" rsc="vip" node="{}" score="1"/>'

    [misspelt] = semantics.check_relations(
        cib(constraints=location.format("listha21"), nodes=nodes)
    )

    assert (misspelt.code, misspelt.hint) == ("unknown-node", "there is a node 'litsha21'")
    assert (
        semantics.check_relations(cib(constraints=location.format("litsha22"), nodes=nodes)) == []
    )


def test_errors_come_before_warnings() -> None:
    root = cib(A + A, options=properties("no-quorom-policy", "stop"))

    assert [p.severity for p in semantics.check(root)] == [Severity.ERROR, Severity.WARNING]


@pytest.mark.parametrize("name", hostile.STRANGE)
def test_documents_made_to_hurt_are_judged_all_the_same_and_told_of_briefly(name: str) -> None:
    """Work that grows with the square of a document would not end here."""
    root = xml.parse(hostile.STRANGE[name]())

    for question in (semantics.check, semantics.check_relations, semantics.check_policy):
        problems = question(root)
        assert len(problems) <= 100
        assert all(len(str(problem)) < 4000 for problem in problems)


# --- policy ---------------------------------------------------------------------------------


def test_fencing_without_a_device_keeps_resources_from_starting() -> None:
    [problem] = semantics.check_policy(cib(options=""))

    assert (problem.code, problem.severity) == ("no-fencing-device", Severity.ERROR)
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


def clone_of(agent_class: str, option: str, operations: str = "") -> str:
    return (
        f'<clone id="c"><meta_attributes id="m"><nvpair id="p" name="{option}" value="true"/>'
        f'</meta_attributes><primitive id="a" class="{agent_class}" provider="x" type="x">'
        f"<operations>{operations}</operations></primitive></clone>"
    )


def op(name: str, **attributes: str) -> str:
    given = " ".join(f'{key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<op id="o" name="{name}" interval="0" {given}/>'


def policy_codes(root: etree._Element) -> list[str]:
    return [problem.code for problem in semantics.check_policy(root)]


def test_an_init_script_cannot_tell_its_instances_apart() -> None:
    assert policy_codes(cib(clone_of("lsb", "globally-unique"))) == ["not-unique"]
    assert policy_codes(cib(clone_of("ocf", "globally-unique"))) == []


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        (op("stop", on_fail="stop"), ["bad-on-fail"]),
        (op("stop", on_fail="block"), []),
        (op("start", on_fail="demote"), ["bad-on-fail"]),
        (op("promote", on_fail="demote"), []),
        (op("monitor", on_fail="demote", role="Promoted"), []),
        (op("monitor", on_fail="demote"), ["bad-on-fail"]),
        (op("start", on_fail="fence"), ["needs-fencing"]),
    ],
)
def test_what_a_failure_cannot_lead_to_is_named(operation: str, codes: list[str]) -> None:
    assert policy_codes(cib(clone_of("ocf", "promotable", operation))) == codes


def meta(name: str, value: str, resource: str = "primitive") -> str:
    return A.replace(
        "/>",
        f'><meta_attributes id="m"><nvpair id="n" name="{name}" value="{value}"/>'
        "</meta_attributes></primitive>",
    )


def test_what_needs_fencing_is_named_while_fencing_is_off() -> None:
    device = '<primitive id="d" class="stonith" type="null"/>'

    assert policy_codes(cib(meta("requires", "fencing"))) == ["needs-fencing"]
    assert policy_codes(cib(device + meta("requires", "fencing"), options="")) == []


@pytest.mark.parametrize("role", ["Promoted", "Master", "Unpromoted"])
def test_only_promotable_clones_have_a_promoted_role(role: str) -> None:
    [problem] = semantics.check_policy(cib(meta("target-role", role)))

    assert problem.code == "bad-target-role"
    assert problem.message.startswith(f"'vip' is to be {role}")
    promotable = clone_of("ocf", "promotable").replace(
        "<operations>",
        f"{meta('target-role', role)[len(A) - 1 : -len('</primitive>')]}<operations>",
    )
    assert policy_codes(cib(promotable.replace('id="m"', 'id="m2"', 1))) == []


@pytest.mark.parametrize(
    ("constraint", "code", "said"),
    [
        (
            '<rsc_colocation id="c" rsc="vip" with-rsc="b" score="5" influence="maybe"/>',
            "bad-value",
            "'maybe' is no value of 'influence'",
        ),
        (
            '<rsc_colocation id="c" rsc="t1" with-rsc="t2" score="5"/>',
            "two-tags",
            "'t1' and 't2' are both tags",
        ),
        (
            '<rsc_order id="c" first="vip" then="b" kind="Serialize" symmetrical="true"/>',
            "bad-value",
            "symmetrical=true is ignored",
        ),
        (
            '<rsc_order id="c" first="vip" then="b" require-all="false"/>',
            "deprecated",
            "require-all",
        ),
    ],
)
def test_what_a_constraint_says_in_vain_is_named(constraint: str, code: str, said: str) -> None:
    tags = "".join(f'<tag id="{tag}"><obj_ref id="vip"/></tag>' for tag in ("t1", "t2"))
    [problem] = semantics.check_policy(cib(constraints=constraint, rest=f"<tags>{tags}</tags>"))

    assert (problem.code, problem.subject) == (code, "c")
    assert said in problem.message


def test_groups_are_only_warned_of_where_they_are_no_groups() -> None:
    def group(value: str) -> str:
        return (
            '<group id="g"><meta_attributes id="m"><nvpair id="n" name="ordered" '
            f'value="{value}"/></meta_attributes>{A}</group>'
        )

    assert policy_codes(cib(group("false"))) == ["deprecated"]
    assert policy_codes(cib(group("true"))) == []


# --- more values ------------------------------------------------------------------------------


def with_operation(attributes: str) -> etree._Element:
    return cib(A.replace("/>", f'><operations><op id="o" {attributes}/></operations></primitive>'))


@pytest.mark.parametrize(
    ("root", "code", "message", "hint"),
    [
        (
            with_operation('name="start" interval="10s"'),
            "bad-interval",
            "cannot be repeated every '10s'",
            "interval=0",
        ),
        (
            with_operation('name="moniter" interval="10s"'),
            "unknown-operation",
            "no operation is called 'moniter'",
            "did you mean 'monitor'?",
        ),
        (
            cib(options=properties("target-role", "Stopped")),
            "misplaced-option",
            "'target-role' is an option of resources",
            "<rsc_defaults>",
        ),
        (
            cib(meta("no-quorum-policy", "stop")),
            "misplaced-option",
            "'no-quorum-policy' is an option of the cluster",
            "<crm_config>",
        ),
        (
            cib(meta("priority", "lots")),
            "bad-option-value",
            "'lots' is no score",
            "INFINITY",
        ),
        (
            cib(options=properties("stonith-enabled", "true")),
            "repeated-option",
            "gives 'stonith-enabled' twice, as 'false' and as 'true'",
            "'s2'",
        ),
        (
            cib(
                constraints='<rsc_location id="l" rsc="vip"><rule id="r" score="1" role="Boss">'
                '<expression id="e" attribute="x" operation="defined"/></rule></rsc_location>'
            ),
            "bad-role",
            "'Boss' is no role",
            "Promoted",
        ),
        (
            cib(constraints='<rsc_location id="l" rsc-pattern="a(" node="n" score="1"/>'),
            "invalid-pattern",
            "'a(' is no regular expression",
            "web.*",
        ),
    ],
)
def test_a_value_that_means_nothing_is_named_with_what_may_stand_there(
    root: etree._Element, code: str, message: str, hint: str
) -> None:
    problem = the_problem(root)

    assert problem.code == code
    assert message in problem.message
    assert hint in problem.hint


def test_operations_that_are_not_repeated_may_be_given_twice_and_one_counts() -> None:
    root = cib(
        '<primitive id="a" class="lsb" type="x"><operations>'
        '<op id="o1" name="start" interval="0"/><op id="o2" name="start" interval="0s"/>'
        "</operations></primitive>"
    )

    assert the_problem(root).code == "ignored-operation"


@pytest.mark.parametrize(
    ("name", "value"), [("remove-after-stop", "true"), ("stonith-action", "poweroff")]
)
def test_options_that_4_0_took_away_are_refused_there_and_only_there(name: str, value: str) -> None:
    root = cib(options=properties(name, value))
    assert "withdrawn-option" not in [p.code for p in semantics.check(root)]

    root.set("validate-with", "pacemaker-4.0")

    assert [p.code for p in semantics.check(root) if p.severity is Severity.ERROR] == [
        "withdrawn-option"
    ]


# --- relations ----------------------------------------------------------------------------------

TWO = A + '<primitive id="b" class="lsb" type="x"/>'
GROUP = f'<group id="g">{TWO}</group>'


def order(identity: str, first: str, then: str, more: str = "") -> str:
    return f'<rsc_order id="{identity}" first="{first}" then="{then}" {more}/>'


def relations(root: etree._Element) -> list[Problem]:
    return semantics.check_relations(root)


def test_orders_that_go_round_are_told_with_the_whole_cycle() -> None:
    three = TWO + '<primitive id="c" class="lsb" type="x"/>'
    orders = order("o1", "vip", "b") + order("o2", "b", "c") + order("o3", "c", "vip")

    [problem] = relations(cib(three, orders))

    assert (problem.code, problem.severity) == ("order-cycle", Severity.WARNING)
    assert problem.message.endswith(
        "start 'vip', then start 'b' (o1), then start 'c' (o2), then start 'vip' (o3)"
    )
    assert problem.hint == "remove 'o1' or 'o2' or 'o3', or set kind=Optional there"


@pytest.mark.parametrize(
    ("resources", "orders"),
    [
        (GROUP, order("o", "b", "vip")),
        (GROUP, order("o", "g", "vip")),
        (f'<clone id="c">{GROUP}</clone>', order("o", "c", "b")),
        (TWO, order("o1", "vip", "b") + order("o2", "b", "vip", 'score="5"')),
        (
            TWO,
            order("o1", "vip", "b")
            + '<rsc_order id="o2"><resource_set id="s"><resource_ref id="b"/>'
            '<resource_ref id="vip"/></resource_set></rsc_order>',
        ),
        (
            TWO,
            order("o1", "vip", "b", 'first-action="promote" then-action="start"')
            + order("o2", "b", "vip"),
        ),
        (
            TWO,
            order("o1", "vip", "b", 'first-action="stop" then-action="start"')
            + order("o2", "b", "vip", 'first-action="start" then-action="stop"'),
        ),
    ],
)
def test_cycles_are_found_through_groups_clones_sets_and_actions(
    resources: str, orders: str
) -> None:
    assert [problem.code for problem in relations(cib(resources, orders))] == ["order-cycle"]


@pytest.mark.parametrize(
    ("resources", "orders"),
    [
        (GROUP, order("o", "vip", "b")),
        (TWO, order("o1", "vip", "b") + order("o2", "b", "vip", 'kind="Optional"')),
        (TWO, order("o1", "vip", "b") + order("o2", "b", "vip", 'score="0"')),
        (TWO, order("o1", "vip", "b") + order("o2", "b", "vip", 'kind="Serialize"')),
        (TWO, order("o1", "vip", "b") + order("o2", "b", "vip", 'first-action="stop"')),
    ],
)
def test_orders_that_can_be_kept_are_no_cycle(resources: str, orders: str) -> None:
    assert relations(cib(resources, orders)) == []


def colocation(identity: str, left: str, right: str, score: str, more: str = "") -> str:
    return (
        f'<rsc_colocation id="{identity}" rsc="{left}" with-rsc="{right}" score="{score}" {more}/>'
    )


def test_resources_that_must_and_must_not_share_a_node_are_told_with_all_reasons() -> None:
    three = TWO + '<primitive id="c" class="lsb" type="x"/>'
    constraints = (
        colocation("c1", "vip", "c", "INFINITY")
        + colocation("c2", "b", "c", "INFINITY")
        + colocation("c3", "vip", "b", "-INFINITY")
    )

    [problem] = relations(cib(three, constraints))

    assert (problem.code, problem.subject) == ("colocation-contradiction", "c3")
    assert "'vip' and 'b' apart, but by 'c1' and 'c2' they are on one node" in problem.message


def test_a_group_puts_its_members_on_one_node() -> None:
    [problem] = relations(cib(GROUP, colocation("c", "vip", "b", "-INFINITY")))

    assert "but by 'g' they are on one node" in problem.message


@pytest.mark.parametrize(
    ("resources", "constraints"),
    [
        (TWO, colocation("c1", "vip", "b", "INFINITY") + colocation("c2", "vip", "b", "-5")),
        (
            TWO,
            colocation("c1", "vip", "b", "INFINITY")
            + colocation("c2", "vip", "b", "-INFINITY", 'rsc-role="Promoted"'),
        ),
        (
            f'<clone id="c">{A}</clone><primitive id="b" class="lsb" type="x"/>',
            colocation("c1", "c", "b", "INFINITY") + colocation("c2", "c", "b", "-INFINITY"),
        ),
    ],
)
def test_colocations_that_can_be_kept_are_no_contradiction(
    resources: str, constraints: str
) -> None:
    assert relations(cib(resources, constraints)) == []


@pytest.mark.parametrize(
    ("root", "code", "said"),
    [
        (
            cib(
                constraints='<rsc_location id="l1" rsc="vip" node="n" score="INFINITY"/>'
                '<rsc_location id="l2" rsc="vip" node="n" score="-INFINITY"/>'
            ),
            "location-contradiction",
            "'l1' and 'l2' give 'vip' INFINITY and -INFINITY on node 'n'",
        ),
        (
            cib(
                constraints='<rsc_colocation id="c" score="1"><resource_set id="s">'
                '<resource_ref id="vip"/></resource_set></rsc_colocation>'
            ),
            "idle-constraint",
            "names 'vip' alone",
        ),
        (cib(constraints=order("o", "vip", "vip", 'kind="Optional"')), "idle-constraint", "itself"),
        (
            cib(nodes='<node id="1" uname="n"/><node id="2" uname="n"/>'),
            "repeated-node",
            "'n' (1) and 'n' (2) have the same name",
        ),
        (
            cib(
                rest='<fencing-topology><fencing-level id="f" target="n" index="1" devices="vip"/>'
                "</fencing-topology>"
            ),
            "unknown-device",
            "'vip', which is a resource of class ocf",
        ),
        (
            cib(
                rest='<fencing-topology><fencing-level id="f" target="n" index="1" devices="ipmi"/>'
                "</fencing-topology>"
            ),
            "unknown-device",
            "the device 'ipmi', which does not exist",
        ),
        (
            cib(rest='<tags><tag id="t"><obj_ref id="vipp"/></tag></tags>'),
            "unknown-object",
            "tag 't' names 'vipp'",
        ),
    ],
)
def test_objects_that_do_not_go_together_are_named(
    root: etree._Element, code: str, said: str
) -> None:
    [problem] = relations(root)

    assert (problem.code, problem.severity) == (code, Severity.WARNING)
    assert said in problem.message
    assert problem.hint
