"""Two nodes and a quorum server on a third host: exactly one side of a cut goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cli.lab.evidence import await_answer, log_of
from cli.lab.plan import CLIENT, LabPlan, make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_NODES = ("node1", "node2")
_SERVER = "10.77.0.250"
_LIMIT_S = 30.0


def _plan() -> LabPlan:
    """Two nodes that ask the host outside the cluster; heartbeats go by eth1 alone."""
    plan = make_plan(2, keepalive_ms=500, deadtime_ms=5000)
    hosts = []
    for host in plan.hosts:
        files = dict(host.files)
        if files:
            files["etc/ha.d/ha.cf"] += f"quorum_server {_SERVER}\n"
        hosts.append(replace(host, files=files))
    return replace(plan, hosts=tuple(hosts))


class _Server:
    """`quorumd` on the host of the client."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._process: subprocess.Popen[str] | None = None
        self._pid = ""
        """Its number inside the lab, where `lab.popen` only has that of who enters it."""

        folder = lab.root(CLIENT) / "etc/ha.d"
        folder.mkdir(parents=True)
        (folder / "quorumd.conf").write_text("cluster linux-ha /etc/ha.d/keys\nlongest 5500ms\n")
        keys = folder / "keys"
        keys.write_text((lab.root("node1") / "etc/ha.d/authkeys").read_text())
        keys.chmod(0o600)

    def start(self) -> None:
        mark = log_of(self._lab, CLIENT).mark()
        command = f"echo $$; exec {sys.executable} -m messaging.quorumd"
        self._process = self._lab.popen(CLIENT, "sh", "-c", command)
        assert self._process.stdout is not None
        self._pid = self._process.stdout.readline().strip()
        log_of(self._lab, CLIENT).await_line(
            "gives nothing for 5.5 s", since=mark, limit_s=_LIMIT_S
        )

    def kill(self) -> None:
        if self._process is not None:
            killed = self._lab.run(CLIENT, "kill", "-9", self._pid)
            assert killed.returncode == 0, killed.stderr
            self._process.communicate()
            self._process = None


@pytest.fixture
def lab_and_server(make_lab: Callable[[LabPlan], Lab]) -> Iterator[tuple[Lab, _Server]]:
    lab = make_lab(_plan())
    server = _Server(lab)
    server.start()
    yield lab, server
    server.kill()


def _await_quorum(lab: Lab, node: str, expected: str) -> None:
    await_answer(
        lab, node, ["crm_node", "-q"], lambda text: text.strip() == expected, limit_s=_LIMIT_S
    )


def _quorate(lab: Lab) -> list[str]:
    return [node for node in _NODES if lab.run(node, "crm_node", "-q").stdout.strip() == "1"]


def _await_winner(lab: Lab) -> str:
    """The one node that has quorum; none has for a moment where the server was asked late."""
    deadline = time.monotonic() + _LIMIT_S
    pause = threading.Event()
    while not (found := _quorate(lab)):
        assert time.monotonic() < deadline, "no node has quorum"
        pause.wait(0.1)
    (winner,) = found
    return winner


def test_one_side_of_a_cut_goes_on_and_none_without_the_server(
    lab_and_server: tuple[Lab, _Server],
) -> None:
    lab, server = lab_and_server
    lab.start()
    for node in _NODES:
        await_answer(
            lab, node, ["crm_node", "-p"], lambda text: set(text.split()) == set(_NODES), limit_s=60
        )
        _await_quorum(lab, node, "1")

    lab.request({"do": "partition", "sides": [["node1"], ["node2"]], "interfaces": ["eth1"]})
    for node, other in zip(_NODES, _NODES[::-1], strict=True):
        log_of(lab, node).await_line(f"node {other}: is dead", limit_s=_LIMIT_S)
    winner = _await_winner(lab)
    (loser,) = set(_NODES) - {winner}
    log_of(lab, winner).await_line(f"quorum server {_SERVER}: {winner} may go on", limit_s=_LIMIT_S)
    log_of(lab, loser).await_line(f"quorum server {_SERVER} refuses", limit_s=_LIMIT_S)

    server.kill()
    _await_quorum(lab, winner, "0")
    assert _quorate(lab) == []

    server.start()
    lab.crash(winner)
    _await_quorum(lab, loser, "1")

    lab.request({"do": "heal"})
    lab.start(winner)
    _await_quorum(lab, winner, "1")
    assert lab.run(loser, "crm_node", "-q").stdout.strip() == "1"
