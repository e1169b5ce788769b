"""Whose value a parameter is, and where it is put."""

from __future__ import annotations

import pytest

from cli import parameters
from cli.edits import need_resource
from cli.parameters import Wanted
from crm.model.configuration import Item
from crm.model.readxml.configuration import read
from crm.plumbing import xml

ROLE = Wanted("meta", "target-role")


def configuration(*resources: str) -> Item:
    text = f"<configuration><resources>{''.join(resources)}</resources></configuration>"
    return read(xml.parse(text.encode()))


def meta(owner: str, value: str = "Stopped") -> str:
    return (
        f'<meta_attributes id="{owner}-m"><nvpair id="{owner}-m-t" name="target-role"'
        f' value="{value}"/></meta_attributes>'
    )


PLAIN = '<primitive id="p"/>'
OWN = f'<primitive id="p">{meta("p")}</primitive>'


@pytest.mark.parametrize(
    ("resource", "named", "owners", "remarks"),
    [
        (PLAIN, "p", ("p",), 0),
        (f'<clone id="c">{PLAIN}</clone>', "p", ("c",), 1),
        (f'<clone id="c">{OWN}</clone>', "p", ("p",), 0),
        (f'<clone id="c">{OWN}</clone>', "c", ("p",), 1),
        (f'<clone id="c">{OWN}{meta("c")}</clone>', "p", ("p",), 4),
        (f'<group id="g">{OWN}<primitive id="q"/></group>', "g", ("p", "g"), 0),
        (f'<clone id="c"><group id="g">{PLAIN}</group></clone>', "p", ("p",), 0),
        (f'<clone id="c"><group id="g">{PLAIN}</group></clone>', "g", ("c",), 1),
    ],
)
def test_a_meta_attribute_goes_where_it_takes_effect(
    resource: str, named: str, owners: tuple[str, ...], remarks: int
) -> None:
    found = parameters.owners_of(configuration(resource), named, ROLE, verb="update")
    assert (found.ids, len(found.remarks)) == (owners, remarks)


def test_with_force_and_for_parameters_the_resource_itself_is_meant() -> None:
    clone = configuration(f'<clone id="c">{PLAIN}</clone>')
    assert parameters.owners_of(clone, "p", ROLE, verb="update", forced=True).ids == ("p",)
    parameter = Wanted("instance", "ip")
    assert parameters.owners_of(clone, "p", parameter, verb="update").ids == ("p",)


def test_a_setting_replaces_a_value_or_makes_one_and_can_be_removed_again() -> None:
    owner = need_resource(configuration(OWN), "p").item
    for value in ("Started", "Stopped"):
        made = parameters.setting(owner, ROLE, value)
        parameters.apply(owner, made)
        assert made.text == f"Set 'p' option: id=p-m-t name=target-role value={value}"
    new = Wanted("instance", "a:b")
    parameters.apply(owner, parameters.setting(owner, new, "1"))
    found = parameters.value_of(owner, new)
    assert found == parameters.Value("p-instance_attributes-a.b", "1", "p-instance_attributes")
    assert parameters.remove(owner, new) == (
        "Deleted 'p' option: id=p-instance_attributes-a.b name=a:b"
    )
    assert parameters.value_of(owner, new) is None
    assert parameters.remove(owner, new) == ""


def test_a_value_in_two_sets_is_not_guessed_unless_one_is_named() -> None:
    second = '<meta_attributes id="n"><nvpair id="n-t" name="target-role" value="x"/>'
    text = f'<primitive id="p">{meta("p")}{second}</meta_attributes></primitive>'
    owner = need_resource(configuration(text), "p").item
    with pytest.raises(parameters.Ambiguous) as told:
        parameters.setting(owner, ROLE, "Started")
    assert told.value.lines[1:3] == ("  Value: Stopped \t(id=p-m-t)", "  Value: x \t(id=n-t)")
    assert (
        parameters.setting(owner, Wanted("meta", "target-role", set_id="n"), "y").pair_id == "n-t"
    )
