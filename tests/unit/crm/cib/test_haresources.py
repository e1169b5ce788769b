from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from crm.cib import haresources, schema, upgrade
from crm.cib.ha_cf import ClusterFile, StonithHost, read_cluster_file
from crm.cib.haresources import Conversion
from crm.cib.haresources_fields import Habits
from crm.plumbing.errors import ConfigurationError


def convert(
    text: str,
    *,
    nodes: tuple[str, ...] = ("alice", "bob"),
    stonith_hosts: Sequence[str] = (),
    auto_failback: str | None = None,
    scripts: Mapping[str, str] | None = None,
    **habits: bool,
) -> Conversion:
    """Convert with a cluster of two; `scripts` are those that exist, with their class."""
    devices = tuple(StonithHost(9, tuple(text.split())) for text in stonith_hosts)
    cluster = ClusterFile(nodes, devices, auto_failback, historic_node_words=nodes)
    return haresources.convert(text, cluster, Habits((scripts or {}).get, **habits))


def ids(root: etree._Element, *tags: str) -> list[str | None]:
    return [element.get("id") for element in root.iter(*tags)]


def pairs(root: etree._Element, owner: str) -> dict[str | None, str | None]:
    [element] = root.xpath(f"//*[@id='{owner}']")
    return {p.get("name"): p.get("value") for p in element.iterfind("instance_attributes//nvpair")}


def option(root: etree._Element, name: str) -> str | None:
    found = root.xpath(f"//cluster_property_set//nvpair[@name='{name}']/@value")
    return str(found[0]) if found else None


def codes(conversion: Conversion) -> list[str]:
    return [problem.code for problem in conversion.problems]


def test_a_line_without_a_resource_is_reported_and_the_rest_converted() -> None:
    result = convert("alice\nbob 10.0.0.1\n")

    assert codes(result) == ["unreadable-line"]
    assert result.problems[0].subject == "haresources:1"
    assert ids(result.root, "primitive") == ["IPaddr_10_0_0_1"]


def test_a_node_that_ha_cf_does_not_name_is_reported_with_the_nearest() -> None:
    result = convert("alcie 10.0.0.1")

    assert codes(result) == ["unknown-node"]
    assert "'alice'" in result.problems[0].hint


def test_the_same_address_twice_gets_the_next_free_id() -> None:
    result = convert("alice 10.0.0.1\nbob 10.0.0.1")

    assert ids(result.root, "primitive") == ["IPaddr_10_0_0_1", "IPaddr_10_0_0_1_2"]


def test_the_same_service_twice_gets_the_next_free_number() -> None:
    result = convert("alice apache Filesystem #one\nbob apache Filesystem #one")

    assert ids(result.root, "primitive") == [
        "apache_1",
        "Filesystem_2",
        "apache_11",
        "Filesystem_12",
    ]
    assert ids(result.root, "group") == ["one", "one_2"]


def test_an_ipv6_address_is_one_argument() -> None:
    result = convert("alice IPv6addr::fe80::1")

    assert pairs(result.root, "IPv6addr_1") == {"ipv6addr": "fe80::1"}


def test_an_address_may_leave_the_interface_out() -> None:
    result = convert("alice 10.0.0.1/24//10.0.0.255")

    assert pairs(result.root, "IPaddr_10_0_0_1") == {
        "ip": "10.0.0.1",
        "cidr_netmask": "24",
        "broadcast": "10.0.0.255",
    }


def test_arguments_an_address_does_not_take_are_reported() -> None:
    assert codes(convert("alice IPaddr::10.0.0.1::eth0")) == ["arguments-ignored"]


def test_without_ocf_all_parameters_are_positional() -> None:
    result = convert("alice IPaddr::10.0.0.1/24", no_ocf=True, scripts={"IPaddr": "heartbeat"})

    assert ids(result.root, "primitive") == ["IPaddr_10_0_0_1"]
    assert pairs(result.root, "IPaddr_10_0_0_1") == {"1": "10.0.0.1/24"}


def test_without_monitor_there_are_no_operations() -> None:
    result = convert("alice 10.0.0.1", no_monitor=True, stonith_hosts=["* null alice"])

    assert list(result.root.iter("op")) == []


@pytest.mark.parametrize("word", ["off", "no", "FALSE", "0"])
def test_no_failback_means_that_resources_stay(word: str) -> None:
    root = convert("alice 10.0.0.1", auto_failback=word).root

    assert option(root, "default-resource-stickiness") == "INFINITY"


@pytest.mark.parametrize("word", ["on", "legacy", None, "nonsense"])
def test_any_other_failback_means_that_resources_go_home(word: str | None) -> None:
    root = convert("alice 10.0.0.1", auto_failback=word).root

    assert option(root, "default-resource-stickiness") == "0"


def test_a_malformed_special_comment_is_reported_and_skipped() -> None:
    result = convert("alice 10.0.0.1 #ip\n#rsc_order ip start sideways ip\n")

    assert codes(result) == ["unreadable-comment"]
    assert list(result.root.iter("rsc_order")) == []


def test_a_special_comment_about_nothing_names_the_nearest_resource() -> None:
    result = convert("alice 10.0.0.1 #web_ip\nbob apache #web\n#rsc_colocation webb web_ip 5\n")

    assert codes(result) == ["unknown-resource"]
    assert "'web'" in result.problems[0].hint


def test_too_many_stonith_parameters_go_to_the_last_name() -> None:
    result = convert("", stonith_hosts=["alice ssh bob carol dave"])

    assert pairs(result.root, "stonith_1") == {"hostlist": "bob carol dave"}


def test_an_unknown_stonith_type_keeps_its_parameters_by_position() -> None:
    result = convert("", stonith_hosts=["alice newfangled x y"])

    assert codes(result) == ["unknown-stonith-type"]
    assert pairs(result.root, "stonith_1") == {"1": "x", "2": "y"}


def test_a_stonith_line_without_a_type_is_reported() -> None:
    assert codes(convert("", stonith_hosts=["alice"])) == ["unreadable-line"]


def test_an_unfinished_last_line_counts() -> None:
    assert ids(convert("alice 10.0.0.1 \\").root, "primitive") == ["IPaddr_10_0_0_1"]


def test_historic_faults_are_repeated_on_request() -> None:
    result = convert(
        "Alice 10.0.0.1/24/eth0\n",
        historic=True,
        auto_failback="off",
        stonith_hosts=["* null x"],
    )

    assert pairs(result.root, "IPaddr_10_0_0_1") == {
        "ip": "10.0.0.1",
        "nic": "24",
        "cidr_netmask": "eth0",
    }
    assert option(result.root, "default-resource-stickiness") == "0"
    assert option(result.root, "stonith-enabled") == "false"
    assert result.root.xpath("//expression/@value") == ["Alice"]


def test_historic_remarks_become_resources() -> None:
    result = convert("alice 10.0.0.1 # the web\n", historic=True)

    assert len(list(result.root.iter("primitive"))) == 4


def test_of_ha_cf_only_what_matters_is_read() -> None:
    cluster = read_cluster_file(
        "node Alice, bob # both\nnode bob\nnode carol\nauto_failback off\n"
        "#node dave\nstonith_host * ssh alice # any\nping 10.0.0.254\n"
    )

    assert cluster.nodes == ("alice", "bob", "carol")
    assert cluster.auto_failback == "off"
    assert cluster.stonith_hosts == (StonithHost(6, ("*", "ssh", "alice")),)
    assert cluster.watches_connectivity


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    (tmp_path / "resource.d").mkdir()
    (tmp_path / "init.d").mkdir()
    (tmp_path / "resource.d" / "drbddisk").touch()
    (tmp_path / "init.d" / "smb").touch()
    (tmp_path / "ha.cf").write_text("node alice bob\nrespawn hacluster /usr/lib/heartbeat/pingd\n")
    (tmp_path / "haresources").write_text("alice drbddisk::r0 smb\n")
    return tmp_path


def convert_files(directory: Path, **more: Any) -> Conversion:
    return haresources.convert_files(
        directory / "haresources",
        directory / "ha.cf",
        resource_d=directory / "resource.d",
        init_d=directory / "init.d",
        **more,
    )


def test_files_of_an_installation_become_a_cib_of_today(installation: Path) -> None:
    result = convert_files(installation)

    assert result.root.get("validate-with") == "pacemaker-3.9"
    assert [p.get("class") for p in result.root.iter("primitive")] == ["heartbeat", "lsb"]
    assert codes(result) == ["connectivity-not-converted"]


def test_files_become_the_old_dialect_on_request(installation: Path) -> None:
    result = convert_files(installation, dialect="heartbeat-2")

    assert result.root.find("configuration/crm_config/cluster_property_set/attributes") is not None


def test_a_missing_file_is_named(installation: Path) -> None:
    (installation / "haresources").unlink()

    with pytest.raises(ConfigurationError, match="haresources"):
        convert_files(installation)


def test_a_path_in_place_of_a_name_is_no_script(installation: Path) -> None:
    (installation / "haresources").write_text("alice ../init.d/smb\n")

    assert "unknown-agent" in codes(convert_files(installation))


# --- lines as a whole -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice httpd", ["httpd_1"]),
        ("alice 10.0.0.1", ["IPaddr_10_0_0_1"]),
        ("alice IPaddr2::10.0.0.1", ["IPaddr2_1"]),
        ("alice a b", ["group_1", "a_1", "b_2"]),
        ("alice a b\nbob c d", ["group_1", "a_1", "b_2", "group_11", "c_11", "d_12"]),
        ("alice a b\nbob c", ["group_1", "a_1", "b_2", "c_4"]),
        ("alice a\nbob b\nbob c", ["a_1", "b_2", "c_3"]),
        ("alice a #clone:x\nbob b", ["x", "a_1", "b_2"]),
        ("alice a b\nbob c #clone:", ["group_1", "a_1", "b_2", "clone_11", "c_11"]),
        ("alice 10.0.0.1 a", ["group_1", "IPaddr_10_0_0_1", "a_2"]),
        ("alice a b #web", ["web", "a_1", "b_2"]),
    ],
)
def test_ids_are_counted_as_heartbeat_2_counted_them(text: str, expected: list[str]) -> None:
    assert ids(convert(text).root, "primitive", "group", "clone") == expected


@pytest.mark.parametrize(
    ("text", "code", "subject"),
    [
        ("alice\n", "unreadable-line", "haresources:1"),
        ("\ncarol httpd\n", "unknown-node", "haresources:2"),
        ("alice a b #clone:x\n", "resource-ignored", "haresources:1"),
        ("alice a #x\nbob b #x\n", "name-taken", "haresources:2"),
        ("alice 10.0.0.1\nbob 10.0.0.1\n", "address-repeated", "haresources:2"),
        ("alice a #x\n#rsc_colocation x y 1\n", "unknown-resource", "haresources:2"),
        ("alice nothere\n", "unknown-agent", "haresources:1"),
    ],
)
def test_what_is_odd_about_a_line_is_said_with_its_number(
    text: str, code: str, subject: str
) -> None:
    problems = [p for p in convert(text).problems if p.code == code]

    assert [problem.subject for problem in problems] == [subject]
    assert all(problem.hint for problem in problems)


def test_a_clone_line_makes_an_instance_for_each_node_of_ha_cf() -> None:
    root = convert("alice a #clone:x", nodes=("alice", "bob", "carol")).root

    assert pairs(root, "x") == {"clone_max": "3", "clone_node_max": "1"}
    assert list(root.iter("rsc_location")) == []


def test_a_clone_line_without_any_known_node_does_not_ask_for_no_instance() -> None:
    assert pairs(convert("alice a #clone:x", nodes=()).root, "x") == {"clone_node_max": "1"}


def test_a_remark_behind_a_special_comment_is_a_remark() -> None:
    root = convert("alice a #x\nbob b #y\n#rsc_order x start before y # first x\n").root

    [order] = root.iter("rsc_order")
    assert dict(order.attrib) == {
        "id": "rsc_order_x_y",
        "from": "x",
        "to": "y",
        "action": "start",
        "type": "before",
        "symmetrical": "true",
    }


def test_members_of_groups_may_stand_in_special_comments() -> None:
    result = convert("alice a b #x\nbob c #y\n#rsc_colocation a_1 y INFINITY\n")

    assert len(list(result.root.iter("rsc_colocation"))) == 1


# --- fencing devices ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alice ssh bob", {"hostlist": "bob"}),
        ("alice external/ssh bob", {"hostlist": "bob"}),
        ("alice meatware bob", {"hostlist": "bob"}),
        ("alice null bob carol", {"hostlist": "bob carol"}),
        (
            "alice baytech 10.0.0.3 me secret",
            {"ipaddr": "10.0.0.3", "login": "me", "password": "secret"},
        ),
        ("alice apcmaster 10.0.0.3 me", {"ipaddr": "10.0.0.3", "login": "me"}),
        ("alice wti_nps 10.0.0.3 secret", {"ipaddr": "10.0.0.3", "password": "secret"}),
        ("alice rps10 /dev/ttyS1 bob 0", {"serial_to_targets": "/dev/ttyS1 bob 0"}),
        ("alice apcsmart /dev/ttyS1 bob", {"ttydev": "/dev/ttyS1", "hostlist": "bob"}),
    ],
)
def test_a_fencing_device_of_every_known_type(line: str, expected: dict[str, str]) -> None:
    result = convert("", stonith_hosts=[line])

    assert pairs(result.root, "stonith_1") == expected
    assert option(result.root, "stonith-enabled") == "true"
    assert ids(result.root, "rsc_location") == ["rsc_location_stonith_1"]
    assert codes(result) == []


def test_a_device_of_any_host_is_a_clone() -> None:
    result = convert("", stonith_hosts=["* ssh bob"])

    assert ids(result.root, "clone", "primitive") == ["clone_1", "stonith_1"]
    assert list(result.root.iter("rsc_location")) == []


def test_a_line_that_makes_no_device_turns_no_fencing_on() -> None:
    result = convert("", stonith_hosts=["alice"])

    assert option(result.root, "stonith-enabled") == "false"
    assert [p.subject for p in result.problems] == ["ha.cf:9"]


def test_the_host_of_a_device_must_be_a_node() -> None:
    result = convert("", stonith_hosts=["alcie ssh bob"])

    assert codes(result) == ["unknown-node"]
    assert "'alice'" in result.problems[0].hint


# --- ha.cf ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node a b", ("a", "b")),
        ("node a,b , c", ("a", "b", "c")),
        ("node a\nnode b\nnode a", ("a", "b")),
        ("node Alpha # node beta", ("alpha",)),
        ("\tnode a", ("a",)),
        ("#node a", ()),
        ("node", ()),
        ("nodes a", ()),
        ("node a\r\nnode b\r\n", ("a", "b")),
        ("", ()),
    ],
)
def test_node_names_of_ha_cf(text: str, expected: tuple[str, ...]) -> None:
    assert read_cluster_file(text).nodes == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("auto_failback", None),
        ("auto_failback off", "off"),
        ("auto_failback off # not back", "off"),
        ("auto_failback on\nauto_failback off", "off"),
        ("auto_failback on off", "off"),
        ("nice_failback on", "off"),
        ("nice_failback off", "on"),
    ],
)
def test_whether_resources_go_home(text: str, expected: str | None) -> None:
    assert read_cluster_file(text).auto_failback == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ping 10.0.0.1", True),
        ("ping6 fe80::1", True),
        ("ping_group g 10.0.0.1 10.0.0.2", True),
        ("respawn hacluster /usr/lib/heartbeat/pingd -m 100", True),
        ("respawn hacluster /usr/lib/heartbeat/ipfail", True),
        ("respawn hacluster /opt/mypingdata/run", False),
        ("respawn hacluster", False),
        ("#ping 10.0.0.1", False),
        ("deadping 10", False),
    ],
)
def test_connectivity_is_noticed(text: str, expected: bool) -> None:
    assert read_cluster_file(text).watches_connectivity is expected


# --- files ----------------------------------------------------------------------------------


def test_an_empty_file_is_a_configuration_without_resources_and_said_to_be(
    installation: Path,
) -> None:
    (installation / "haresources").write_text("# nothing yet\n")

    assert "nothing-to-run" in codes(convert_files(installation))


@pytest.mark.parametrize("name", ["haresources", "ha.cf"])
def test_a_folder_in_place_of_a_file_is_named(installation: Path, name: str) -> None:
    (installation / name).unlink()
    (installation / name).mkdir()

    with pytest.raises(ConfigurationError, match=name):
        convert_files(installation)


def test_bytes_that_are_no_text_cost_their_line_only(installation: Path) -> None:
    (installation / "haresources").write_bytes(b"alice caf\xe9\nbob smb # caf\xe9\n")

    result = convert_files(installation)

    assert "unreadable-line" in codes(result)
    assert ids(result.root, "primitive") == ["smb_1"]


def test_a_file_in_utf_16_is_refused_with_the_cure(installation: Path) -> None:
    (installation / "haresources").write_text("alice smb\n", encoding="utf-16")

    with pytest.raises(ConfigurationError, match="UTF-8"):
        convert_files(installation)


_WORDS = st.one_of(
    st.sampled_from(
        [
            "alice",
            "10.0.0.1/24/eth0",
            "IPaddr2::10.0.0.2/24/eth0/10.0.0.255",
            "Filesystem::/dev/a::/b::ext3",
            "httpd::start",
            "#web",
            "#clone:x",
            "#clone:",
            "#rsc_order",
            "#rsc_colocation",
            "before",
            "start",
            "100",
            "\\",
            "\n",
            "\\\n",
        ]
    ),
    st.text(max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORDS, max_size=30), st.booleans(), st.booleans())
def test_any_text_becomes_a_valid_cib(words: list[str], no_ocf: bool, historic: bool) -> None:
    text = " ".join(words).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")

    result = convert(text, no_ocf=no_ocf, historic=historic)

    modern = upgrade.upgrade(result.root).root
    assert [problem.message for problem in schema.check(modern)] == []
    assert all(problem.subject and problem.hint for problem in result.problems)
