from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from crm.cib import haresources
from crm.cib.ha_cf import read_cluster_file
from crm.cib.haresources import Conversion
from crm.plumbing.errors import ConfigurationError


def convert(text: str, **more: Any) -> Conversion:
    return haresources.convert(text, **{"nodes": ["alice", "bob"], **more})


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
    result = convert("alice IPaddr::10.0.0.1/24", no_ocf=True, script_class=lambda _: "heartbeat")

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
    assert cluster.stonith_hosts == ("* ssh alice",)
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
