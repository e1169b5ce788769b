"""Explanations of published cases of different kinds: why here, why not there.

`explained.txt` holds the sentence and the nodes of each; `BLESS=1` writes it anew, to be read line
by line like code.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import schedule
from pengine.explain import Explanation
from tests.reference.test_scheduler import CASES

EXPLAINED = Path(__file__).with_name("explained.txt")
ASKED = (
    ("group-dependents", "ip_voip_vlan856"),
    ("clone-no-shuffle", "ms-drbd1"),
    ("promoted-2", "rsc1"),
    ("ticket-primitive-15", "rsc1"),
    ("utilization-order2", "rsc1"),
    ("rec-node-4", "rsc1"),
    ("clone-anon-failcount", "UmVIPcheck"),
    ("group-unmanaged", "group-1"),
    ("migrate-1", "rsc3"),
    ("remote-move", "remote1"),
    ("whitebox-fail1", "B"),
    ("colocation-influence", "rsc1b"),
    ("no_quorum_demote", "rsc1"),
    ("container-3", "container1"),
    ("unmanaged-stop-1", "rsc1"),
    ("node-maintenance-1", "rsc1"),
    ("notify-3", "rsc1"),
    ("shutdown-lock", "rsc1"),
    ("promoted-with-blocked", "rsc2"),
    ("ticket-promoted-16", "rsc1"),
    ("stop-all-resources", "dummy"),
    ("bundle-order-stop", "galera-bundle"),
    ("rsc_dep5", "rsc1"),
)

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"no published cases in {CASES}"),
]


def explained(case: str, resource: str) -> tuple[Explanation, ...]:
    cluster, _ = reading.read(xml.parse((CASES / f"xml/{case}.xml").read_bytes()))
    return schedule(cluster, datetime(2026, 1, 1, tzinfo=UTC)).explain(resource)


def block(case: str, resource: str) -> str:
    texts = [f"## {case}: {resource}"]
    for each in explained(case, resource):
        texts.append(each.sentence)
        texts.append("\n".join(f"- {row.node}: {row.total}, {row.why}" for row in each.nodes))
    return "\n\n".join(texts)


@pytest.mark.parametrize(("case", "resource"), ASKED, ids=[case for case, _ in ASKED])
def test_what_is_said_of_a_published_case(case: str, resource: str) -> None:
    if os.environ.get("BLESS"):
        EXPLAINED.write_text("\n\n".join(block(*asked) for asked in ASKED) + "\n")
    known = EXPLAINED.read_text().rstrip().split("\n\n## ")
    blocks = {text.removeprefix("## ").partition("\n")[0]: text for text in known}
    expected = "## " + blocks[f"{case}: {resource}"].removeprefix("## ")
    assert block(case, resource) == expected


@pytest.mark.parametrize(("case", "resource"), ASKED, ids=[case for case, _ in ASKED])
def test_every_contribution_names_where_it_came_from(case: str, resource: str) -> None:
    for each in explained(case, resource):
        assert all(row.source for row in each.scores)
        assert all(row.why for row in each.nodes)
        assert json.loads(json.dumps(each.as_value()))["sentence"] == each.sentence
