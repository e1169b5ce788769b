"""Nothing acknowledged is lost on real disks: kills, full and failing disks."""

from __future__ import annotations

import pytest

from tests.durability.wear import Report, wear_down

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Every fault once, a few seconds in all; `./run durability` is the long form."""
    return wear_down(tmp_path_factory.mktemp("worn") / "lab", seconds=0, seed=1)


def test_whatever_was_acknowledged_is_on_every_node_and_no_version_forks(worn: Report) -> None:
    assert worn.findings == [], worn.text()


def test_faults_struck_while_writes_were_acknowledged(worn: Report) -> None:
    done = set(worn.done) | {text.split(":")[0] for text in worn.skipped}
    assert done >= {"two nodes killed", "two nodes without power", "disk full", "disk errors"}
    assert worn.fates["acknowledged"] > 0, worn.text()
