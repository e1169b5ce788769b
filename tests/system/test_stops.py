"""An orderly stop ends soon at every moment, also where there is nothing to move."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from cli.lab.evidence import await_answer
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_NODES = ("node1", "node2", "node3")
_LIMIT_S = 15.0


def _await_online(lab: Lab, *names: str) -> None:
    wanted = f"Online: [ {' '.join(names)} ]"
    for name in names:
        await_answer(
            lab, name, ["crm_mon", "-1"], lambda text: wanted in text, limit_s=2 * _LIMIT_S
        )


def _stop_together(lab: Lab, *names: str) -> float:
    """Stop nodes at the same moment; returns how long the last one took."""
    began = time.monotonic()
    stopping: list[subprocess.Popen[str]] = []
    for name in names:
        place = ["--root", str(lab.root(name)), "--node", name]
        stopping.append(lab.popen(name, "heartbeat", "-k", *place))
    for process in stopping:
        assert process.wait(_LIMIT_S) == 0
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
    return time.monotonic() - began


def test_nodes_without_resources_stop_one_after_the_other(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(make_plan(3, with_router=False))
    lab.start()
    _await_online(lab, *_NODES)
    for name in ("node3", "node1", "node2"):  # a member, the DC, the last one
        assert _stop_together(lab, name) < _LIMIT_S


def test_all_nodes_stop_at_once_also_while_they_start(make_lab: Callable[[LabPlan], Lab]) -> None:
    lab = make_lab(make_plan(3, with_router=False))
    lab.start()
    _await_online(lab, *_NODES)
    assert _stop_together(lab, *_NODES) < _LIMIT_S
    for pause_s in (0.2, 0.7, 1.2):
        lab.start()
        time.sleep(pause_s)
        assert _stop_together(lab, *_NODES) < _LIMIT_S
