"""What a field of a haresources line means: agent, class and parameters, in every form."""

from __future__ import annotations

import pytest

from crm.cib.haresources_fields import Habits, Resource, read_resource
from crm.model.heartbeat_agents import AGENT_PARAMETERS
from crm.plumbing.errors import Problem

SCRIPTS = {"drbddisk": "heartbeat", "apache": "heartbeat", "smb": "lsb", "IPaddr": "heartbeat"}


def read(text: str, **habits: bool) -> tuple[Resource, list[str]]:
    problems: list[Problem] = []
    resource = read_resource(text, 3, Habits(SCRIPTS.get, **habits), problems)
    assert all(p.subject == "haresources:3" and p.hint for p in problems)
    return resource, [problem.code for problem in problems]


def parameters(resource: Resource) -> dict[str, str]:
    return {name: value for _, name, value in resource.pairs}


@pytest.mark.parametrize("form", ["{}", "IPaddr::{}", "IPaddr2::{}"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", {"ip": "10.0.0.1"}),
        ("10.0.0.1/24", {"ip": "10.0.0.1", "cidr_netmask": "24"}),
        ("10.0.0.1/255.255.255.0", {"ip": "10.0.0.1", "cidr_netmask": "255.255.255.0"}),
        ("10.0.0.1/24/eth0", {"ip": "10.0.0.1", "cidr_netmask": "24", "nic": "eth0"}),
        ("10.0.0.1/24/eth0:web", {"ip": "10.0.0.1", "cidr_netmask": "24", "nic": "eth0:web"}),
        (
            "10.0.0.1/24/eth0/10.0.0.255",
            {"ip": "10.0.0.1", "cidr_netmask": "24", "nic": "eth0", "broadcast": "10.0.0.255"},
        ),
        (
            "10.0.0.1/255.255.255.0/eth0/10.0.0.255",
            {
                "ip": "10.0.0.1",
                "cidr_netmask": "255.255.255.0",
                "nic": "eth0",
                "broadcast": "10.0.0.255",
            },
        ),
        (
            "10.0.0.1/24/10.0.0.255",
            {"ip": "10.0.0.1", "cidr_netmask": "24", "broadcast": "10.0.0.255"},
        ),
        (
            "10.0.0.1/24//10.0.0.255",
            {"ip": "10.0.0.1", "cidr_netmask": "24", "broadcast": "10.0.0.255"},
        ),
        ("10.0.0.1//eth0", {"ip": "10.0.0.1", "nic": "eth0"}),
        ("10.0.0.1/", {"ip": "10.0.0.1"}),
    ],
)
def test_an_address_in_every_form(form: str, text: str, expected: dict[str, str]) -> None:
    resource, codes = read(form.format(text))

    assert resource.type == ("IPaddr2" if form.startswith("IPaddr2") else "IPaddr")
    assert resource.agent_class == "ocf"
    assert parameters(resource) == expected
    assert codes == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10.0.0.1/33", "bad-netmask"),
        ("10.0.0.1/255.0.255.0", "bad-netmask"),
        ("10.0.0.1/eth0", "bad-netmask"),
        ("10.0.0.300", "bad-address"),
        ("www.example.co.uk", "bad-address"),
        ("IPaddr", "bad-address"),
        ("IPaddr::", "bad-address"),
        ("IPaddr2::fe80::1", "bad-address"),
        ("10.0.0.1/24/eth0/10.0.0.255/more", "arguments-ignored"),
        ("10.0.0.1/24/10.0.0.255/eth0", "arguments-ignored"),
        ("IPaddr::10.0.0.1::eth0", "arguments-ignored"),
        ("Evmsd::x", "arguments-ignored"),
        ("10.0.0.1::x", "unknown-agent"),
        ("nothere", "unknown-agent"),
        ("../smb", "unknown-agent"),
    ],
)
def test_what_is_odd_about_a_field_is_said(text: str, code: str) -> None:
    assert code in read(text)[1]


@pytest.mark.parametrize(
    ("text", "agent_class", "pairs"),
    [
        ("smb", "lsb", ()),
        ("smb::start", "lsb", ((1, "1", "start"),)),
        ("drbddisk::r0", "heartbeat", ((1, "1", "r0"),)),
        ("drbddisk::r0::x", "heartbeat", ((1, "1", "r0"), (2, "2", "x"))),
        ("apache", "ocf", ()),
        ("apache::/etc/h.conf", "ocf", ((0, "configfile", "/etc/h.conf"),)),
        (
            "Filesystem::/dev/sda1::/data::ext3",
            "ocf",
            ((0, "device", "/dev/sda1"), (1, "directory", "/data"), (2, "fstype", "ext3")),
        ),
        (
            "Filesystem::/dev/sda1::/data::::noatime",
            "ocf",
            ((0, "device", "/dev/sda1"), (1, "directory", "/data"), (3, "options", "noatime")),
        ),
        ("LVM::vg", "ocf", ((0, "volgrpname", "vg"),)),
        ("LVM::vg::more::yet", "ocf", ((0, "volgrpname", "vg more yet"),)),
        ("IPsrcaddr::10.0.0.1", "ocf", ((0, "ipaddress", "10.0.0.1"),)),
        ("IPv6addr::fe80::1", "ocf", ((0, "ipv6addr", "fe80::1"),)),
        ("MailTo::a@b::hello", "ocf", ((0, "email", "a@b"), (1, "subject", "hello"))),
        ("nothere::a::b", "lsb", ((1, "1", "a"), (2, "2", "b"))),
    ],
)
def test_an_agent_and_its_arguments(
    text: str, agent_class: str, pairs: tuple[tuple[int, str, str], ...]
) -> None:
    resource, _ = read(text)

    assert (resource.agent_class, resource.pairs) == (agent_class, pairs)


@pytest.mark.parametrize("agent", sorted(set(AGENT_PARAMETERS) - {"IPaddr", "IPaddr2", "IPv6addr"}))
def test_arguments_of_every_known_agent_take_its_names_in_order(agent: str) -> None:
    names = AGENT_PARAMETERS[agent]
    arguments = [f"v{number}" for number in range(len(names))]

    resource, codes = read("::".join([agent, *arguments]))

    assert resource.agent_class == "ocf"
    assert parameters(resource) == dict(zip(names, arguments, strict=True))
    assert codes == []


def test_without_ocf_everything_is_a_script_with_positions() -> None:
    assert read("IPaddr::10.0.0.1/24", no_ocf=True)[0].pairs == ((1, "1", "10.0.0.1/24"),)
    assert read("apache::x", no_ocf=True)[0].agent_class == "heartbeat"
    assert read("Filesystem", no_ocf=True)[1] == ["unknown-agent"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1/24/eth0", {"ip": "10.0.0.1", "nic": "24", "cidr_netmask": "eth0"}),
        ("10.0.0.1/255.255.255.0/eth0", {"ip": "10.0.0.1", "broadcast": "255.255.255.0"}),
        ("IPv6addr::fe80::1", {"ipv6addr": "fe80 1"}),
    ],
)
def test_historic_faults_about_addresses(text: str, expected: dict[str, str]) -> None:
    assert parameters(read(text, historic=True)[0]) == expected
