"""The text that is kept part by part is always that of the whole tree, whatever was edited."""

from __future__ import annotations

import random

import pytest

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, query
from crm.plumbing import errors, xml
from tests.kit.cib import LENIENT, create

NODES = ("1", "2", "3")
STRICT = operations.Rules(
    validate=lambda _: [errors.error("no", "cib", "refused")], upgrade=lambda root: (root, [])
)
START = (
    b'<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" note="&lt;&#10;">'
    b"<configuration><crm_config/><nodes/><resources><!-- one --></resources><constraints/>"
    b"</configuration><status/></cib>"
)


def written(document: documents.Document) -> bytes:
    return xml.serialise(document.root)


def status_of(node: str, chance: random.Random) -> api.Operation:
    match chance.randrange(4):
        case 0:
            return api.SetNodeState(f"n{node}", node, crmd_online=chance.random() < 0.5)
        case 1:
            return api.ForgetNodeState(f"n{node}")
        case 2:
            return api.SetNodeAttribute(f"n{node}", node, "load", chance.choice(("1", None)))
        case _:
            return api.XmlOperation(
                api.XmlTask.DELETE, f'<node_state id="{node}"/>'.encode(), "status"
            )


def change(number: int, chance: random.Random) -> api.Operation:
    match chance.randrange(6):
        case 0:
            return create(f"r{number}")
        case 1:
            return api.XmlOperation(api.XmlTask.DELETE, xpath="//primitive[1]")
        case 2:
            text = f'<nvpair id="o" name="a" value="{number}"/>'
            return api.XmlOperation(
                api.XmlTask.MODIFY,
                f'<cluster_property_set id="s">{text}</cluster_property_set>'.encode(),
                "crm_config",
                may_create=True,
            )
        case 3:
            return api.XmlOperation(
                api.XmlTask.REPLACE, f"<constraints><!-- {number} --></constraints>".encode()
            )
        case 4:
            return api.XmlOperation(api.XmlTask.CREATE, b"<tags/>")
        case _:
            return status_of(chance.choice(NODES), chance)


@pytest.mark.parametrize("seed", range(40))
def test_after_every_change_made_refused_or_tried_the_text_is_that_of_the_tree(seed: int) -> None:
    chance = random.Random(seed)
    document = documents.Document.parse(START)
    for number in range(30):
        made = [change(number * 3 + more, chance) for more in range(chance.randrange(1, 4))]
        rules = chance.choice((LENIENT, LENIENT, STRICT))
        dry = chance.random() < 0.3
        operations.carry_out(document, made, rules, dry_run=dry)
        if chance.random() < 0.7:
            assert document.text() == written(document)
        for part in (document.configuration, document.status, *document.configuration):
            assert document.text_of(part) == xml.serialise(part)
    assert document.text() == written(document)


def test_a_change_has_only_its_part_written_anew() -> None:
    document = documents.Document.parse(START)
    operations.carry_out(document, (status_of("1", random.Random(2)),), LENIENT)
    before = document.text_of(document.configuration[0])
    operations.carry_out(document, (create("r"),), LENIENT)
    assert document.text_of(document.configuration[0]) is before
    assert b'id="r"' in document.text()


def test_a_query_without_children_copies_none() -> None:
    document = documents.Document.parse(START)
    reply = query.answer_query(document, api.Query(1, no_children=True))
    assert xml.parse(reply.xml).get("note") == "<\n"
    assert len(xml.parse(reply.xml)) == 0
    assert document.text() == written(document)
