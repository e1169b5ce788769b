"""`heartbeat -R`: a new heartbeat in the place of the old one, with the resources as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.lab.evidence import log_of
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab
from tests.system.test_three_nodes import await_online, await_running, configured, starts_and_stops

pytestmark = pytest.mark.system


def test_a_heartbeat_that_is_replaced_keeps_its_number_and_the_resources_run_on(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = configured(make_lab(make_plan(3, keepalive_ms=500, deadtime_ms=6000)))
    before = starts_and_stops(lab)
    pid = lab.status()["hosts"]["node2"]["heartbeat"]
    lives = log_of(lab, "node2")
    since = len(lives.lines_since(0))

    asked = lab.run("node2", "heartbeat", "-R", "-C", "local")

    assert (asked.returncode, asked.stderr) == (0, "")
    lives.await_line("Restarting heartbeat: the resources stay as they are", limit_s=15)
    lives.await_line("Comm_now_up(): updating status to active", since=since, limit_s=15)
    log_of(lab, "node1").await_line("Heartbeat restart on node node2", limit_s=15)
    await_online(lab, "node2", 3)
    await_running(lab, "node2")
    assert lab.run("node2", "crm_resource", "--wait").returncode == 0
    assert lab.status()["hosts"]["node2"]["heartbeat"] == pid
    assert starts_and_stops(lab) == before
