from __future__ import annotations

import pytest

from lrmd.agentkit import parameters
from lrmd.agentkit.parameters import Kind, Parameter

DECLARED = (
    Parameter("ip", "s", "l", is_required=True),
    Parameter("cidr_netmask", "s", "l", aliases=("netmask",)),
    Parameter("count", "s", "l", kind=Kind.INTEGER, default="5"),
    Parameter("bg", "s", "l", kind=Kind.BOOLEAN, default="true"),
    Parameter("mac", "s", "l", unsupported="one owner"),
)


def read(**values: str) -> parameters.Values:
    return parameters.read(DECLARED, {f"OCF_RESKEY_{name}": text for name, text in values.items()})


def codes(**values: str) -> list[tuple[str, str]]:
    found = parameters.problems_in(DECLARED, read(**values))
    return [(problem.code, problem.subject) for problem in found]


def test_defaults_fill_in_and_are_not_given() -> None:
    values = read(ip=" 10.0.0.1 ")
    assert (values["ip"], values.integer("count"), values.is_true("bg")) == ("10.0.0.1", 5, True)
    assert values.is_given("ip")
    assert not values.is_given("count")


def test_an_old_name_is_read_unless_the_new_one_is_there() -> None:
    assert read(netmask="24")["cidr_netmask"] == "24"
    assert read(netmask="24", cidr_netmask="25")["cidr_netmask"] == "25"


def test_every_wrong_value_is_found_at_once() -> None:
    assert codes(count="x", bg="maybe", mac="auto") == [
        ("parameter-missing", "ip"),
        ("parameter-invalid", "count"),
        ("parameter-invalid", "bg"),
        ("parameter-unsupported", "mac"),
    ]


@pytest.mark.parametrize("text", ["false", "no", "0", ""])
def test_an_unsupported_parameter_may_be_off(text: str) -> None:
    assert codes(ip="10.0.0.1", mac=text) == []


def test_odd_digits_are_not_an_integer() -> None:
    assert codes(ip="x", count="٣") == [("parameter-invalid", "count")]
    assert codes(ip="x", count="--3") == [("parameter-invalid", "count")]
