"""What the tools say where the cluster layer is one that cannot do what they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main as crm
from cli.tools import cl_status, hb_addnode
from crm.api import membership
from crm.api.membership import Capability
from tests.kit.cluster_at_gate import ClusterAtTheGate


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterAtTheGate]:
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = ClusterAtTheGate(tmp_path)
    made.lacks = {each: f"ask corosync for {each.value}" for each in Capability}
    yield made
    made.close()


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("cl_status listhblinks node1", Capability.LINKS),
        ("cl_status hblinkstatus node1 eth0", Capability.LINKS),
        ("cl_status hbparameter -p deadtime", Capability.PARAMETERS),
        ("hb_addnode node9", Capability.NODE_CHANGES),
        ("crm cluster rotate-key", Capability.KEY_ROTATION),
        ("crm cluster packets", Capability.PACKET_COUNTERS),
    ],
)
def test_a_lack_is_told_with_what_to_use_instead(
    call: str, wanted: Capability, served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    tool, *words = call.split()
    main = {"cl_status": cl_status.main, "hb_addnode": hb_addnode.main, "crm": crm.main}[tool]

    assert main(words) == 1

    told = capsys.readouterr()
    assert not told.out
    assert "error[not-of-this-stack]: the cluster layer is corosync, which " in told.err
    assert f"hint: ask corosync for {wanted.value}" in told.err
    assert not served.told, "what cannot be done is not even asked for"


def test_a_layer_that_lacks_something_else_is_asked(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    served.lacks = {Capability.LINKS: "ask corosync"}

    assert crm.main(["cluster", "rotate-key"]) == 0
    assert [type(each) for each in served.told] == [membership.RotateKey]


def test_health_without_links_says_where_they_are_shown(
    served: ClusterAtTheGate, capsys: pytest.CaptureFixture[str]
) -> None:
    crm.main(["cluster", "health"])

    told = capsys.readouterr()
    assert "shows no links: ask corosync for links" in told.out
    assert "never heard" not in told.out + told.err
