"""The published haresources files become the published CIBs, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from crm.cib import haresources, upgrade
from crm.cib.ha_cf import read_cluster_file

EXAMPLES = Path(__file__).parents[3] / "shared" / "reference" / "haresources-examples"
CASES = sorted(path.name for path in EXAMPLES.glob("[0-9]*")) if EXAMPLES.is_dir() else []

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not CASES, reason=f"the published examples are not at {EXAMPLES}"),
]


def canonical(source: Path | etree._Element) -> str:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    text = source.read_bytes() if isinstance(source, Path) else etree.tostring(source)
    return etree.tostring(
        etree.fromstring(text, parser), method="c14n", pretty_print=False
    ).decode()


def pretty(text: str) -> list[str]:
    return text.replace("><", ">\n<").splitlines()


def scripts(directory: Path) -> dict[str, str]:
    listing = directory / "agents.txt"
    found: dict[str, str] = {}
    if listing.exists():
        for line in listing.read_text().splitlines():
            place, _, names = line.partition(":")
            agent_class = {"resource.d": "heartbeat", "init.d": "lsb"}[place.strip()]
            for name in names.split():
                found.setdefault(name, agent_class)
    return found


def conversion_of(case: str) -> haresources.Conversion:
    directory = EXAMPLES / case
    cluster = read_cluster_file((directory / "ha.cf").read_text())
    return haresources.convert(
        (directory / "haresources").read_text(),
        nodes=cluster.nodes,
        stonith_hosts=cluster.stonith_hosts,
        auto_failback=cluster.auto_failback,
        script_class=scripts(directory).get,
    )


@pytest.mark.parametrize("case", CASES)
def test_a_haresources_file_becomes_the_published_heartbeat_2_cib(case: str) -> None:
    expected = canonical(EXAMPLES / case / "expected-hb2.xml")

    assert pretty(canonical(conversion_of(case).root)) == pretty(expected)


@pytest.mark.parametrize("case", CASES)
def test_a_haresources_file_becomes_the_published_cib_of_today(case: str) -> None:
    expected = canonical(EXAMPLES / case / "expected.xml")

    assert pretty(canonical(upgrade.upgrade(conversion_of(case).root).root)) == pretty(expected)
