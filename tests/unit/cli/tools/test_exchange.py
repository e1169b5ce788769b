"""hb_standby, hb_takeover and rscstatus against a cluster made from haresources.

What the cluster does with the changes is the scheduler's own work, on paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tools import cl_status, crm_simulate, hb_standby, hb_takeover
from crm.api.membership import NodeDescription, NodeKind, NodeStatus
from crm.cib import document as documents
from crm.cib import haresources
from crm.plumbing import xml
from tests.kit.cluster_at_gate import ClusterAtTheGate

HARESOURCES = "node1 IPaddr::10.0.0.5/24/eth0 Filesystem::/dev/sdb1::/data::ext4\nnode2 10.0.0.6\n"
OURS, THEIRS = "group_1", "IPaddr_10_0_0_6"
NODES = tuple(
    NodeDescription(name, NodeKind.NORMAL, NodeStatus.ACTIVE, f"uuid-{name[-1]}")
    for name in ("node1", "node2")
)


class Pair(ClusterAtTheGate):
    """Two nodes whose CIB was made from haresources; `stubborn` never takes anything."""

    def __init__(self, root: Path, failback: str) -> None:
        super().__init__(root)
        self._folder = root
        self.nodes = NODES
        self.mode = "haresources"
        self.failback = failback
        self.parameters = {"auto_failback": failback}
        self.document = _converted(root, failback)
        self.is_stubborn = False
        self.come_to_rest()

    def come_to_rest(self, *injected: str) -> None:
        """Run the scheduler until it has nothing left to do."""
        if self.is_stubborn:
            return
        before, after = self._folder / "before.xml", self._folder / "after.xml"
        for _ in range(3):
            before.write_bytes(self.document.text())
            said = ["--output-to", str(self._folder / "said")]
            words = ["-x", str(before), "-S", "-O", str(after), *injected, *said]
            assert crm_simulate.main(words) == 0
            self.document = documents.Document(xml.parse(after.read_bytes()))

    def places(self) -> dict[str, str]:
        """Where the two lines of haresources run, by the history."""
        said = self._folder / "said"
        before = self._folder / "now.xml"
        before.write_bytes(self.document.text())
        crm_simulate.main(["-x", str(before), "--output-to", str(said)])
        found = {}
        for line in said.read_text().splitlines():
            for part, line_of in (("IPaddr_10_0_0_5", OURS), (THEIRS, THEIRS)):
                if part in line and "Started" in line:
                    found[line_of] = line.split("Started")[1].split()[0]
        return found

    def lose(self, name: str) -> None:
        """Let a node die, and the others do what follows; its transient attributes end."""
        self.forget(name)
        self.come_to_rest("-d", name)

    def return_to_life(self, name: str) -> None:
        """Let a node come back, and the cluster do what follows."""
        self.come_to_rest("-u", name)

    def forget(self, node: str) -> None:
        """Drop the transient attributes of a node, as a cluster does with those of a lost one."""
        root = xml.parse(self.document.text())
        for each in root.iterfind(f"status/node_state[@uname='{node}']/transient_attributes"):
            each.getparent().remove(each)
        self.document = documents.Document(root)

    def mark(self, node: str, name: str, value: str | None) -> None:
        assert value is not None, "nobody takes such an attribute away"
        root = xml.parse(self.document.text())
        (state,) = root.iterfind(f"status/node_state[@uname='{node}']")
        known = {each.get("name"): each.get("value") for each in state.iter("nvpair")}
        for each in state.findall("transient_attributes"):
            state.remove(each)
        pairs = "".join(
            f'<nvpair id="status-{node}-{name}" name="{name}" value="{value}"/>'
            for name, value in {**known, name: value}.items()
        )
        text = (
            f'<transient_attributes id="{node}"><instance_attributes id="status-{node}">{pairs}'
            "</instance_attributes></transient_attributes>"
        )
        state.append(xml.parse(text.encode()))
        self.document = documents.Document(root)

    def leftovers(self) -> list[str]:
        """The ids of the constraints no haresources file asked for."""
        constraints = self.document.section("constraints")
        assert constraints is not None
        return [each.get("id", "") for each in constraints if each.get("id", "").startswith("cli")]


def _converted(root: Path, failback: str) -> documents.Document:
    (root / "haresources").write_text(HARESOURCES)
    (root / "ha.cf").write_text(f"node node1 node2\nauto_failback {failback}\n")
    made = haresources.convert_files(
        root / "haresources", root / "ha.cf", resource_d=root, init_d=root
    ).root
    nodes = "".join(f'<node id="uuid-{n}" uname="node{n}"/>' for n in (1, 2))
    states = "".join(
        f'<node_state id="uuid-{n}" uname="node{n}" in_ccm="true" crmd="online" join="member"'
        ' expected="member"/>'
        for n in (1, 2)
    )
    text = xml.serialise(made).decode()
    text = text.replace("<nodes/>", f"<nodes>{nodes}</nodes>")
    text = text.replace("<cib ", '<cib have-quorum="1" ', 1)
    return documents.Document(
        xml.parse(text.replace("<status/>", f"<status>{states}</status>").encode())
    )


@pytest.fixture(params=["on", "off"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    made = Pair(tmp_path, request.param)
    yield made
    made.close()


def status(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cl_status.main(["rscstatus"]) == 0
    return capsys.readouterr().out.strip()


def test_each_node_begins_with_what_is_at_home_there(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pair.places() == {OURS: "node1", THEIRS: "node2"}
    assert status(capsys) == "local"


@pytest.mark.parametrize(
    ("calls", "ours", "theirs", "held"),
    [
        (["hb_standby"], "node2", "node2", "none"),
        (["hb_standby all"], "node2", "node2", "none"),
        (["hb_standby local"], "node2", "node2", "none"),
        (["hb_standby foreign"], "node1", "node2", "local"),
        (["hb_standby failback"], "node1", "node2", "local"),
        (["hb_takeover"], "node1", "node1", "all"),
        (["hb_takeover foreign"], "node1", "node1", "all"),
        (["hb_takeover local"], "node1", "node2", "local"),
        (["hb_standby", "hb_takeover local"], "node1", "node2", "local"),
        (["hb_standby", "hb_takeover failback"], "node1", "node2", "local"),
        (["hb_standby", "hb_takeover foreign"], "node2", "node1", "foreign"),
        (["hb_standby", "hb_takeover"], "node1", "node1", "all"),
        (["hb_takeover", "hb_standby failback"], "node1", "node2", "local"),
        (["hb_takeover", "hb_standby local"], "node2", "node1", "foreign"),
        (["hb_takeover", "hb_standby"], "node2", "node2", "none"),
    ],
)
def test_what_is_given_goes_and_stays_there(
    pair: Pair,
    calls: list[str],
    ours: str,
    theirs: str,
    held: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for call in calls:
        tool, *words = call.split()
        main = {"hb_standby": hb_standby.main, "hb_takeover": hb_takeover.main}[tool]
        capsys.readouterr()
        assert main(words) == 0
        assert capsys.readouterr().out == f"Going standby [{words[0] if words else 'all'}].\n"
    pair.come_to_rest()

    assert pair.places() == {OURS: ours, THEIRS: theirs}
    assert status(capsys) == held
    assert not [name for name in pair.leftovers() if name.startswith("cli-ban")]


def test_the_giver_helps_out_when_the_taker_dies(pair: Pair) -> None:
    assert hb_standby.main(["all"]) == 0
    pair.lose("node2")

    assert pair.places() == {OURS: "node1", THEIRS: "node1"}


def test_a_taker_that_died_and_came_back_takes_nothing_of_the_giver_s(pair: Pair) -> None:
    assert hb_standby.main(["all"]) == 0
    pair.lose("node2")

    pair.return_to_life("node2")

    assert pair.places()[OURS] == "node1"


def test_a_giver_that_was_down_gets_its_own_again_where_that_is_on(pair: Pair) -> None:
    assert hb_standby.main(["all"]) == 0
    pair.lose("node1")
    assert pair.places()[OURS] == "node2"

    pair.return_to_life("node1")

    home = {"on": "node1", "off": "node2"}[pair.failback]
    assert pair.places() == {OURS: home, THEIRS: "node2"}


def test_a_giver_that_helped_out_keeps_its_own_until_it_dies_too(pair: Pair) -> None:
    assert hb_standby.main(["all"]) == 0
    pair.lose("node2")
    pair.return_to_life("node2")

    pair.lose("node1")
    assert pair.places()[OURS] == "node2"
    pair.return_to_life("node1")

    assert pair.places()[OURS] == {"on": "node1", "off": "node2"}[pair.failback]


@pytest.mark.parametrize("score", ["1", "INFINITY"])
def test_whatever_draws_it_home_what_was_given_stays_given(pair: Pair, score: str) -> None:
    text = pair.document.text().replace(b'score="100"', f'score="{score}"'.encode())
    pair.document = documents.Document(xml.parse(text))
    assert hb_standby.main(["local"]) == 0

    pair.come_to_rest()

    assert pair.places()[OURS] == "node2"
    pair.lose("node2")
    assert pair.places()[OURS] == "node1"


def test_back_home_no_constraint_is_left(pair: Pair) -> None:
    assert hb_standby.main(["all"]) == 0
    assert hb_takeover.main(["local"]) == 0

    assert pair.leftovers() == []


def test_a_taker_that_takes_nothing_is_told_of_and_no_constraint_is_left(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.is_stubborn = True

    assert hb_standby.main(["local"]) == 1

    assert f"node 'node2' does not run {OURS}" in capsys.readouterr().err
    assert pair.leftovers() == []


def test_what_an_earlier_exchange_left_is_there_again_when_a_later_one_fails(pair: Pair) -> None:
    assert hb_standby.main(["local"]) == 0
    before = pair.document.section("constraints")
    assert before is not None
    held = xml.serialise(before)
    pair.is_stubborn = True

    assert hb_takeover.main(["local"]) == 1

    after = pair.document.section("constraints")
    assert after is not None and xml.serialise(after) == held


def test_a_dead_node_cannot_take(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    pair.nodes = (NODES[0], NodeDescription("node2", NodeKind.NORMAL, NodeStatus.DEAD))

    assert hb_standby.main([]) == 1

    assert "node 'node2' is dead, not active" in capsys.readouterr().err
    assert pair.leftovers() == []


def test_three_nodes_are_no_pair(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    pair.nodes = (*NODES, NodeDescription("node3", NodeKind.NORMAL, NodeStatus.ACTIVE))

    assert hb_takeover.main([]) == 1

    assert "this cluster has 3" in capsys.readouterr().err


def test_with_crm_yes_the_right_commands_are_named(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.mode = "crm"

    assert hb_standby.main([]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "crm_standby -v on" in said.err
    assert hb_takeover.main(["local"]) == 1
    assert status(capsys) == "none"


def test_while_something_moves_the_state_is_transition(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.pending = ("group_1_stop_0 node1",)

    assert status(capsys) == "transition"


@pytest.mark.parametrize("words", [["everything"], ["all", "local"], ["-x"]])
def test_what_is_no_heap_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert hb_standby.main(words) == 1
    assert hb_takeover.main(words) == 1
    assert "usage: hb_standby" in capsys.readouterr().err


def test_without_a_cluster_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))

    assert hb_standby.main([]) == 1
    assert cl_status.main(["rscstatus"]) == 1
    assert capsys.readouterr().out == ""
