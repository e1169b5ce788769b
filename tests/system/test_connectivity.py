"""A router that stops answering one node: pingd, attributes, and where the address goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.lab.evidence import await_answer, log_of
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab
from tests.system.test_three_nodes import await_online, places, processes

pytestmark = pytest.mark.system

ROUTER = "10.77.0.254/32"
PINGD = "respawn hacluster /usr/lib/heartbeat/pingd -m 100 -d 1s -a pingd\n"


def with_pingd(plan: LabPlan) -> LabPlan:
    hosts = []
    for host in plan.hosts:
        files = dict(host.files)
        if files:
            files["etc/ha.d/ha.cf"] += PINGD
        hosts.append(replace(host, files=files))
    return replace(plan, hosts=tuple(hosts))


def configure(preference: int) -> str:
    return (
        "primitive vip ocf:heartbeat:IPaddr2 params ip=10.77.0.100 cidr_netmask=24 nic=eth0"
        " op monitor interval=5s\n"
        f"location home vip {preference}: node1\n"
        "location connected vip rule pingd: defined pingd\n"
        "commit\n"
    )


@pytest.mark.parametrize(("preference", "moves"), [(50, True), (200, False)])
def test_a_node_that_lost_its_router_keeps_the_address_only_if_it_is_preferred_enough(
    make_lab: Callable[[LabPlan], Lab], preference: int, moves: bool
) -> None:
    lab = make_lab(with_pingd(make_plan(3)))
    lab.start()
    await_online(lab, "node1", 3)
    await_answer(
        lab, "node1", ["crm_mon", "-1", "-A"], lambda text: text.count(": 100") == 3, limit_s=20
    )
    done = lab.run("node1", "crm", "configure", stdin=configure(preference))
    assert done.returncode == 0, done.stderr
    await_answer(
        lab, "node2", ["crm_mon", "-1"], lambda t: places(t).get("vip") == "node1", limit_s=15
    )
    lab.run("node1", "ip", "route", "add", "blackhole", ROUTER)
    await_answer(
        lab, "node2", ["crm_mon", "-1", "-A"], lambda text: text.count(": 0") == 1, limit_s=20
    )
    settled = lab.run("node2", "crm", "--wait", "status")
    where = places(settled.stdout)["vip"]
    assert (where != "node1") is moves


def test_a_killed_pingd_is_started_again(make_lab: Callable[[LabPlan], Lab]) -> None:
    lab = make_lab(with_pingd(make_plan(1)))
    lab.start()
    await_online(lab, "node1", 1)
    name, pid = next((n, p) for n, p in processes(lab, "node1").items() if n.startswith("pingd"))
    log_of(lab, "node1").await_line("pingd: [", "ping nodes answer", limit_s=10)
    mark = log_of(lab, "node1").mark()
    os.kill(pid, signal.SIGKILL)
    log_of(lab, "node1").await_line("Respawning client", "pingd", since=mark, limit_s=10)
    log_of(lab, "node1").await_line("pingd: [", "ping nodes answer", since=mark, limit_s=10)
    assert processes(lab, "node1").get(name, pid) != pid
