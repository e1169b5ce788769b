"""Keys that change while a cluster runs, and junk on its network."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cli.lab.evidence import await_answer, log_of
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_NODES = ("node1", "node2", "node3")
_JUNK = 20_000


def _online(lab: Lab) -> None:
    await_answer(
        lab, "node1", ["crm_mon", "-1"], lambda text: "Online: [ node1 node2 node3 ]" in text,
        limit_s=20,
    )  # fmt: skip


def _views(lab: Lab, node: str) -> list[str]:
    lines = log_of(lab, node).lines_since(0)
    return [line for line in lines if "mem_handle_event: instance=" in line]


def _keys(lab: Lab, node: str) -> str:
    return (lab.root(node) / "etc/ha.d/authkeys").read_text()


def _packets(lab: Lab, node: str) -> dict[str, int]:
    done = lab.run(node, "crm", "--json", "cluster", "packets")
    assert done.returncode == 0, done.stderr
    counters: dict[str, int] = json.loads(done.stdout)["packets"]
    return counters


def test_the_key_of_a_running_cluster_changes_without_a_gap(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(make_plan(3))
    lab.start()
    _online(lab)
    before = _keys(lab, "node1")
    views = [len(_views(lab, node)) for node in _NODES]

    done = lab.run("node2", "crm", "cluster", "rotate-key")

    assert done.returncode == 0, done.stderr
    after = {_keys(lab, node) for node in _NODES}
    assert len(after) == 1 and before not in after
    assert [len(_views(lab, node)) for node in _NODES] == views, "the membership never moved"
    assert all(not _packets(lab, node).get("dropped-bad-signature") for node in _NODES)

    lab.crash("node3")
    log_of(lab, "node1").await_line("node node3: is dead", limit_s=20)
    refused = lab.run("node1", "crm", "cluster", "rotate-key")
    assert refused.returncode == 1 and "node3 is away" in refused.stderr
    lab.start("node3")
    _online(lab)


_SENDER = """
import random, socket, sys
count, target = int(sys.argv[1]), (sys.argv[2], 694)
rng = random.Random(1)
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
noise = [rng.randbytes(rng.randrange(1, 1200)) for _ in range(64)]
for number in range(count):
    made.sendto(noise[number % 64], target)
"""


def test_junk_reaches_nobody_and_is_counted(make_lab: Callable[[LabPlan], Lab]) -> None:
    lab = make_lab(make_plan(3))
    lab.start()
    _online(lab)
    views = [len(_views(lab, node)) for node in _NODES]
    mark = log_of(lab, "node1").mark()
    before = _packets(lab, "node1")
    sent = lab.run("node2", "python3", "-c", _SENDER, str(_JUNK), "10.77.1.1")

    assert sent.returncode == 0, sent.stderr
    log_of(lab, "node1").await_line("a flood:", since=mark, limit_s=5)
    await_answer(
        lab,
        "node1",
        ["crm", "--json", "cluster", "packets"],
        lambda text: json.loads(text)["packets"].get("dropped-by-kernel", 0) >= _JUNK,
        limit_s=5,
    )
    after = _packets(lab, "node1")
    assert after.get("dropped-magic", 0) == before.get("dropped-magic", 0)
    assert [len(_views(lab, node)) for node in _NODES] == views
    late = [line for line in log_of(lab, "node1").lines_since(mark) if "Late heartbeat" in line]
    assert late == []
