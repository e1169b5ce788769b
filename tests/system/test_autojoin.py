"""A node that nobody lists, and that lists nobody, joins a running cluster by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.lab.evidence import log_of
from cli.lab.plan import Host, LabPlan, make_plan
from cli.lab.remote import Lab
from tests.system.test_three_nodes import await_online

pytestmark = pytest.mark.system

HA_CF = "etc/ha.d/ha.cf"


def unlisted(host: Host) -> Host:
    """The host with node3 in no list, and none at all where it is node3 itself."""
    if HA_CF not in host.files:
        return host
    lines = host.files[HA_CF].splitlines()
    names = [word for line in lines if line.startswith("node ") for word in line.split()[1:]]
    kept = [] if host.name == "node3" else [name for name in names if name != "node3"]
    rest = [line for line in lines if not line.startswith("node ")]
    text = "\n".join([*rest, "autojoin any", *(f"node {name}" for name in kept), ""])
    return replace(host, files={**host.files, HA_CF: text})


def test_a_node_that_lists_nobody_is_let_in_and_counts(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    plan = make_plan(3)
    lab = make_lab(replace(plan, hosts=tuple(map(unlisted, plan.hosts))))
    lab.start()

    await_online(lab, "node1", 3)
    await_online(lab, "node3", 3)

    log_of(lab, "node3").await_line("lets this node in", limit_s=5)
    kept = (lab.root("node3") / "var/lib/heartbeat/hostcache").read_text()
    assert [line.split()[0] for line in kept.splitlines()[1:]] == ["node1", "node2", "node3"]
    assert lab.run("node1", "cl_status", "nodestatus", "node3").stdout == "active\n"
