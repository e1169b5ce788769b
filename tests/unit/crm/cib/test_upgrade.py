from __future__ import annotations

import pytest
from lxml import etree

from crm.cib import schema, semantics, upgrade
from crm.cib.upgrade import Dialect, Upgrade


def old(body: str = "", *, section: str = "resources", attributes: str = "") -> etree._Element:
    """A CIB of Heartbeat 2 with `body` in one section."""
    return etree.fromstring(
        f'<cib have_quorum="true" {attributes}><configuration><{section}>{body}</{section}>'
        "</configuration></cib>"
    )


def modern(body: str, schema_name: str, section: str = "resources") -> etree._Element:
    return etree.fromstring(
        f'<cib validate-with="{schema_name}" admin_epoch="0" epoch="1" num_updates="0">'
        "<configuration>"
        + "".join(
            f"<{tag}>{body if tag == section else ''}</{tag}>"
            for tag in ("crm_config", "nodes", "resources", "constraints")
        )
        + (f"<{section}>{body}</{section}>" if section == "acls" else "")
        + "</configuration><status/></cib>"
    )


def codes(result: Upgrade) -> list[str]:
    return [problem.code for problem in result.problems]


def pairs(root: etree._Element, path: str) -> dict[str | None, str | None]:
    return {pair.get("name"): pair.get("value") for pair in root.iterfind(f".//{path}/nvpair")}


def assert_valid(root: etree._Element) -> None:
    assert schema.check(root) == []
    assert [p for p in semantics.check(root) if p.severity.value == "error"] == []


def test_dialects_are_told_apart() -> None:
    assert upgrade.dialect_of(old()) is Dialect.HEARTBEAT_2
    assert upgrade.dialect_of(modern("", "pacemaker-1.2")) is Dialect.PACEMAKER
    assert upgrade.dialect_of(modern("", "none")) is Dialect.UNCHECKED


def test_a_modern_document_that_lost_its_schema_name_is_not_taken_for_an_old_one() -> None:
    root = modern('<primitive id="a" class="lsb" type="x"/>', "pacemaker-3.9")
    del root.attrib["validate-with"]
    root.set("have-quorum", "1")

    assert upgrade.dialect_of(root) is Dialect.PACEMAKER
    assert upgrade.upgrade(root).root.get("validate-with") == "pacemaker-3.9"


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_order id="o" first="a" then="b"/>',
        '<rsc_colocation id="c" rsc="a" with-rsc="b" score="1"/>',
        '<rsc_order id="o"><resource_set id="s"><resource_ref id="a"/></resource_set></rsc_order>',
    ],
)
def test_constraints_of_today_show_that_a_document_is_of_today(constraint: str) -> None:
    root = modern('<primitive id="a" class="lsb" type="x"/>', "pacemaker-3.9")
    del root.attrib["validate-with"]
    constraints = root.find("configuration/constraints")
    assert constraints is not None
    constraints.append(etree.fromstring(constraint))

    assert upgrade.dialect_of(root) is Dialect.PACEMAKER


def test_a_cib_without_a_configuration_is_not_made_a_valid_one() -> None:
    assert schema.check(upgrade.upgrade(etree.fromstring("<cib/>")).root) != []


def test_what_asks_not_to_be_checked_is_left_alone() -> None:
    root = modern('<master id="m"><primitive id="a" class="lsb" type="x"/></master>', "none")

    assert etree.tostring(upgrade.upgrade(root).root) == etree.tostring(root)


def test_a_newer_document_is_left_alone() -> None:
    assert upgrade.upgrade(modern("", "pacemaker-4.0")).root.get("validate-with") == "pacemaker-4.0"


def test_a_master_becomes_a_promotable_clone() -> None:
    root = modern(
        '<master id="m"><primitive id="a" class="ocf" provider="x" type="y"/></master>',
        "pacemaker-2.10",
    )

    result = upgrade.upgrade(root)

    clone = result.root.find(".//clone")
    assert clone is not None
    assert pairs(result.root, "clone/meta_attributes") == {"promotable": "true"}
    assert codes(result) == ["element-renamed"]
    assert_valid(result.root)


def test_role_words_of_a_modern_document_stay() -> None:
    root = modern(
        '<rsc_location id="l" rsc="a" role="Master" node="n" score="1"/>',
        "pacemaker-3.0",
        "constraints",
    )

    assert upgrade.upgrade(root).root.find(".//rsc_location").get("role") == "Master"


def test_access_lists_of_version_1_become_targets_and_permissions() -> None:
    root = modern(
        '<acl_role id="r"><write id="w" tag="nvpair" attribute="value"/><deny id="d" ref="r"/>'
        '</acl_role><acl_user id="u"><role_ref id="r"/></acl_user>'
        '<acl_user id="v"><read id="all" xpath="/cib"/></acl_user><tag/>',
        "pacemaker-1.2",
        "acls",
    )
    tag = root.find(".//tag")
    tag.getparent().remove(tag)

    result = upgrade.upgrade(root).root

    assert_valid(result)
    assert [p.get("kind") for p in result.iter("acl_permission")] == ["write", "deny", "read"]
    assert [t.find("role").get("id") for t in result.iter("acl_target")] == ["r", "auto-v"]


def test_requirements_of_operations_become_the_resources_own() -> None:
    root = modern(
        '<primitive id="a" class="lsb" type="x"><operations>'
        '<op id="o" name="start" interval="0" requires="nothing"/></operations></primitive>',
        "pacemaker-2.0",
    )

    result = upgrade.upgrade(root).root

    assert pairs(result, "primitive/meta_attributes") == {"requires": "nothing"}
    assert_valid(result)


def test_defaults_leave_the_cluster_options() -> None:
    root = modern(
        '<cluster_property_set id="s">'
        '<nvpair id="s1" name="default-resource-stickiness" value="7"/>'
        '<nvpair id="s2" name="default-action-timeout" value="9s"/>'
        '<nvpair id="s3" name="crmd-transition-delay" value="1s"/></cluster_property_set>',
        "pacemaker-2.5",
        "crm_config",
    )

    result = upgrade.upgrade(root).root

    assert pairs(result, "rsc_defaults/meta_attributes") == {"resource-stickiness": "7"}
    assert result.xpath("//nvpair[@name='resource-stickiness']/@id") == ["s1"]
    assert pairs(result, "op_defaults/meta_attributes") == {"timeout": "9s"}
    assert pairs(result, "cluster_property_set") == {"transition-delay": "1s"}
    assert_valid(result)


# --- the dialect of Heartbeat 2, where the published examples are silent --------------------


def test_a_guarded_set_keeps_its_guard_around_the_options_it_loses() -> None:
    root = old(
        '<primitive id="a" class="ocf" provider="heartbeat" type="Dummy">'
        '<instance_attributes id="night" score="5"><rule id="r"><date_expression id="d" '
        'operation="gt" start="2007-01-01"/></rule><attributes>'
        '<nvpair id="n1" name="target_role" value="stopped"/>'
        '<nvpair id="n2" name="state" value="/x"/></attributes></instance_attributes></primitive>'
    )

    result = upgrade.upgrade(root).root

    [moved] = result.findall(".//primitive/meta_attributes")
    assert (moved.get("id"), moved.get("score")) == ("night-meta", "5")
    assert moved.find("rule/date_expression") is not None
    assert pairs(result, "primitive/meta_attributes") == {"target-role": "Stopped"}
    assert pairs(result, "primitive/instance_attributes") == {"state": "/x"}
    assert_valid(result)


def test_parameters_of_a_clone_are_dropped_with_a_warning() -> None:
    root = old(
        '<clone id="c"><instance_attributes id="ci"><attributes>'
        '<nvpair id="x" name="host_list" value="y"/></attributes></instance_attributes>'
        '<primitive id="a" class="ocf" provider="heartbeat" type="Dummy"/></clone>'
    )

    result = upgrade.upgrade(root)

    assert "parameter-dropped" in codes(result)
    assert result.root.find(".//clone/instance_attributes") is None


def test_a_clone_that_relied_on_the_old_default_is_warned_of() -> None:
    clone = '<clone id="c" {}><primitive id="a" class="lsb" type="x"/></clone>'

    assert "default-changed" in codes(upgrade.upgrade(old(clone.format(""))))
    stated = clone.format('globally_unique="false"')
    assert "default-changed" not in codes(upgrade.upgrade(old(stated)))


def test_options_that_lose_their_guard_are_warned_of() -> None:
    root = old(
        '<cluster_property_set id="s" score="3"><attributes><nvpair id="n" '
        'name="is_managed_default" value="false"/></attributes></cluster_property_set>',
        section="crm_config",
    )

    assert codes(upgrade.upgrade(root)) == ["guard-lost"]


def test_several_rules_of_a_location_each_keep_its_lifetime() -> None:
    root = old(
        '<rsc_location id="l" rsc="a"><lifetime id="t"><rule id="t1"><date_expression id="t2" '
        'operation="lt" end="2007-06-30"/></rule></lifetime>'
        '<rule id="r1" score="1"><expression id="e1" attribute="x" operation="defined"/></rule>'
        '<rule id="r2" score="2"><expression id="e2" attribute="y" operation="defined"/></rule>'
        "</rsc_location>",
        section="constraints",
    )

    result = upgrade.upgrade(root).root

    tops = result.findall(".//rsc_location/rule")
    assert [top.get("score") for top in tops] == ["1", "2"]
    assert all(top.find("rule/date_expression") is not None for top in tops)
    assert len(set(result.xpath("//rule/@id"))) == 6
    assert schema.check(result) == []


def test_sections_that_are_missing_are_made_in_their_order() -> None:
    result = upgrade.upgrade(etree.fromstring("<cib><configuration><nodes/></configuration></cib>"))

    configuration = result.root.find("configuration")
    assert [c.tag for c in configuration] == ["crm_config", "nodes", "resources", "constraints"]
    assert_valid(result.root)


def test_comments_do_not_disturb() -> None:
    root = old('<!-- a --><primitive id="a" class="lsb" type="x"><!-- b --></primitive>')

    assert_valid(upgrade.upgrade(root).root)


def test_a_renamed_resource_is_reported() -> None:
    result = upgrade.upgrade(old('<primitive id="a:b" class="lsb" type="x"/>'))

    assert [(p.code, p.subject) for p in result.problems] == [("resource-renamed", "a-b")]


def test_normal_nodes_of_version_1_are_members() -> None:
    root = modern('<node id="1" uname="n" type="normal"/>', "pacemaker-1.2", "nodes")

    result = upgrade.upgrade(root).root

    assert result.find(".//node").get("type") == "member"
    assert_valid(result)


def test_a_constraint_without_an_id_gets_one() -> None:
    root = old('<rsc_order from="a" to="b"/><rsc_order from="b" to="a"/>', section="constraints")

    result = upgrade.upgrade(root).root

    assert result.xpath("//rsc_order/@id") == ["rsc_order", "rsc_order-2"]


def test_a_word_with_blanks_is_no_true_as_the_scheduler_reads_it() -> None:
    body = (
        '<primitive id="a" class="lsb" type="x"><operations>'
        '<op id="a-1" name="monitor" interval="9s" disabled="true"/>'
        '<op id="a-2" name="monitor" interval="8s" disabled=" true "/>'
        "</operations></primitive>"
    )
    operations = upgrade.upgrade(old(body)).root.iter("op")
    assert [each.get("enabled") for each in operations] == ["false", "true"]
