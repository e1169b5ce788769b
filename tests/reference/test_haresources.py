"""The published haresources files become the published CIBs, byte for byte, also by command."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from cli.tools import cibadmin, haresources2cib
from crm.cib import haresources, upgrade
from crm.cib.ha_cf import read_cluster_file
from crm.cib.haresources_fields import Habits

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
        cluster,
        Habits(scripts(directory).get),
    )


@pytest.mark.parametrize("case", CASES)
def test_a_haresources_file_becomes_the_published_heartbeat_2_cib(case: str) -> None:
    expected = canonical(EXAMPLES / case / "expected-hb2.xml")

    assert pretty(canonical(conversion_of(case).root)) == pretty(expected)


@pytest.mark.parametrize("case", CASES)
def test_a_haresources_file_becomes_the_published_cib_of_today(case: str) -> None:
    expected = canonical(EXAMPLES / case / "expected.xml")

    assert pretty(canonical(upgrade.upgrade(conversion_of(case).root).root)) == pretty(expected)


def installation_of(case: str, root: Path) -> Path:
    """Lay the files of a case out as on a node, with the scripts that are taken to exist."""
    folder = root / "etc" / "ha.d"
    for name in ("resource.d", "../init.d"):
        (folder / name).mkdir(parents=True)
    for name in ("ha.cf", "haresources"):
        (folder / name).write_bytes((EXAMPLES / case / name).read_bytes())
    for script, agent_class in scripts(EXAMPLES / case).items():
        (folder / {"heartbeat": "resource.d", "lsb": "../init.d"}[agent_class] / script).touch()
    return root


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("dialect", "expected"), [("heartbeat-2", "expected-hb2.xml"), ("modern", "expected.xml")]
)
def test_the_command_prints_the_published_cib(
    case: str, dialect: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = installation_of(case, tmp_path)

    code = haresources2cib.main(["--root", str(root), "--stdout", "--dialect", dialect])

    printed = canonical(etree.fromstring(capsys.readouterr().out))
    assert code == 0
    assert pretty(printed) == pretty(canonical(EXAMPLES / case / expected))


@pytest.mark.parametrize("case", CASES)
def test_cibadmin_brings_the_first_stage_to_the_second(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cib.xml"
    file.write_bytes((EXAMPLES / case / "expected-hb2.xml").read_bytes())
    monkeypatch.setenv("CIB_file", str(file))

    assert cibadmin.main(["--upgrade", "--force"]) == 0

    upgraded, expected = (
        etree.fromstring(file.read_bytes()),
        etree.parse(str(EXAMPLES / case / "expected.xml")).getroot(),
    )
    configurations = [canonical(root.find("configuration")) for root in (upgraded, expected)]
    assert pretty(configurations[0]) == pretty(configurations[1])
