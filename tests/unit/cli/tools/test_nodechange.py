"""hb_addnode and hb_delnode at the gate of a cluster whose heartbeat is the real machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.tools import hb_addnode, hb_delnode, hb_setsite, hb_setweight
from crm.api import membership
from crm.plumbing.machine import MessageArrived
from tests.kit.cluster_at_gate import ClusterAtTheGate
from tests.kit.messaging import Network


class LiveNetwork(ClusterAtTheGate):
    """Three real machines under a simulated clock; time passes after each change.

    The first look after a change is answered with what was true before; the view that follows is
    announced, as the gate does it.
    """

    def __init__(self, root: Path) -> None:
        self.network = Network(3)
        self.network.start()
        self.network.run(2.0)
        self.network.feed("a", MessageArrived("mgmtd", membership.SignOn("mgmtd", 1)))
        self._is_stale = False
        super().__init__(root)

    def _answer(self, request: msgspec.Struct) -> msgspec.Struct:
        match request:
            case membership.ChangeNodes():
                self._is_stale = True
                return self._ask(request)
            case membership.AskCluster():
                answer = self._ask(request)
                if self._is_stale:
                    self._is_stale = False
                    self.network.run(0.5)
                    (*_, view) = self._told(membership.ViewInstalled, "crmd")
                    self.announce(membership.SERVICE, view)
                assert isinstance(answer, membership.ClusterDescription)
                return msgspec.structs.replace(answer, mode=self.mode)
        return super()._answer(request)

    def _ask(self, request: msgspec.Struct) -> msgspec.Struct:
        self.network.feed("a", MessageArrived("mgmtd", request))
        return self.network.lives["a"].messages("mgmtd")[-1]

    def _told(self, kind: type[msgspec.Struct], client: str) -> list[msgspec.Struct]:
        return [each for each in self.network.lives["a"].messages(client) if isinstance(each, kind)]

    def totals(self) -> set[int]:
        """How many nodes the views of all members count."""
        return {view.total_nodes for view in self.network.views().values() if view is not None}


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveNetwork]:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = LiveNetwork(tmp_path)
    yield made
    made.close()


def test_several_nodes_are_added_one_after_the_other(live: LiveNetwork) -> None:
    assert hb_addnode.main(["D,e"]) == 0

    assert live.totals() == {5}
    assert live.network.lives["b"].machine.nodes.names == tuple("abcde")


def test_absent_nodes_are_not_added_beyond_the_quorum(
    live: LiveNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hb_addnode.main(["d", "e", "f"]) == 1

    assert "3 of 6 nodes would have no quorum" in capsys.readouterr().err
    assert live.totals() == {5}


def test_a_dead_node_is_deleted(live: LiveNetwork) -> None:
    live.network.crash("c")
    live.network.run(5.0)

    assert hb_delnode.main(["c"]) == 0

    assert live.totals() == {2}


@pytest.mark.parametrize(
    ("main", "words", "said"),
    [
        (hb_delnode.main, ["b"], "hb_delnode: node 'b' is active: only a dead node"),
        (hb_delnode.main, ["x"], "hb_delnode: there is no node 'x' in the cluster"),
        (hb_addnode.main, ["a"], "hb_addnode: node 'a' is in the cluster already"),
        (hb_addnode.main, [], "usage: hb_addnode"),
        (hb_addnode.main, ["-x"], "usage: hb_addnode"),
    ],
)
def test_what_is_refused_is_said_with_its_reason(
    live: LiveNetwork,
    main: type,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(words) == 1
    assert said in capsys.readouterr().err
    assert live.totals() == {3}


def test_the_first_refusal_ends_the_call(live: LiveNetwork) -> None:
    assert hb_addnode.main(["d,a,e"]) == 1

    assert live.network.lives["b"].machine.nodes.names == tuple("abcd")


def test_with_haresources_there_are_two_nodes(
    live: LiveNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    live.mode = "haresources"

    assert hb_addnode.main(["d"]) == 1
    assert "crm yes" in capsys.readouterr().err


def test_without_a_cluster_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))

    assert hb_addnode.main(["d"]) == 1
    assert capsys.readouterr().err.startswith("hb_addnode: ")


def test_a_weight_is_set_on_all_nodes(live: LiveNetwork) -> None:
    assert hb_setweight.main(["B", "200"]) == 0

    for life in live.network.lives.values():
        assert life.machine.nodes.weights == (("b", 200),)


def test_a_site_is_set_on_all_nodes(live: LiveNetwork) -> None:
    assert hb_setsite.main(["c", "berlin"]) == 0
    live.network.run(0.5)

    for life in live.network.lives.values():
        assert life.machine.nodes.sites == (("c", "berlin"),)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["b"], "usage: hb_setweight"),
        (["b", "heavy"], "'heavy' is no number of votes"),
        (["x", "100"], "there is no node 'x'"),
        (["b", "99999999"], "a node has 0 to 1000000 votes"),
    ],
)
def test_a_weight_that_cannot_be_is_refused(
    words: list[str], said: str, live: LiveNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hb_setweight.main(words) == 1
    assert said in capsys.readouterr().err
    assert live.network.lives["a"].machine.nodes.version == 0
