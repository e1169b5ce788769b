"""Access lists between real daemons: root asks on behalf of a user, on the DC and beside it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from cli.lab.evidence import await_answer
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_NODES = ("node1", "node2")
_LIMIT_S = 30.0
_ROLE = (
    "role limited read cib deny xpath:\"//nvpair[@name='state']\""
    " write xpath:\"//lrm_resource[@id='p']\" write xpath:\"//nvpair[@name='pingd']\""
)
_STATEMENTS = f"""configure
property stonith-enabled=false
primitive p ocf:heartbeat:Dummy
primitive q ocf:heartbeat:Dummy params state=/tmp/secret-place
{_ROLE}
acl_target alice limited
property enable-acl=true
commit
"""


@pytest.fixture
def lab(make_lab: Callable[[LabPlan], Lab]) -> Lab:
    made = make_lab(make_plan(2, with_router=False))
    made.start()
    wanted = f"Online: [ {' '.join(_NODES)} ]"
    for name in _NODES:
        await_answer(made, name, ["crm_mon", "-1"], lambda text: wanted in text, limit_s=_LIMIT_S)
    done = made.run("node1", "crm", stdin=_STATEMENTS)
    assert done.returncode == 0, done.stderr
    for resource in "pq":
        await_answer(
            made,
            "node1",
            ["crm_mon", "-1"],
            lambda text, line=f"* {resource}\t": line in text and "Started" in text,
            limit_s=_LIMIT_S,
        )
    return made


def _as_alice(lab: Lab, node: str, *command: str) -> subprocess.CompletedProcess[str]:
    return lab.run(node, "env", "CIB_user=alice", *command)


def test_a_user_is_restricted_at_every_node_and_in_every_conversation(lab: Lab) -> None:
    for node in _NODES:
        _check_alice(lab, node)
        nobody = lab.run(node, "env", "CIB_user=nobody", "crm", "status")
        assert "let user 'nobody' see nothing" in nobody.stderr
        assert lab.run(node, "crm", "configure", "log").returncode == 0


def _check_alice(lab: Lab, node: str) -> None:
    shown = _as_alice(lab, node, "crm", "configure", "show")
    assert "primitive q" in shown.stdout
    assert "secret-place" not in shown.stdout
    assert "hide a part" in shown.stderr

    assert _as_alice(lab, node, "crm", "resource", "cleanup", "p").returncode == 0
    assert _as_alice(lab, node, "crm", "resource", "stop", "p").returncode == 1
    for command in (
        ("crm", "resource", "cleanup", "q"),
        ("crm", "-F", "node", "fence", "node2"),
        ("crm_attribute", "-N", "node1", "-n", "other", "-l", "reboot", "-v", "5"),
    ):
        denied = _as_alice(lab, node, *command)
        assert denied.returncode in (1, 4), command
        assert "is not allowed: the user 'alice' may not write" in denied.stderr, command
    set_it = ("crm_attribute", "-N", "node1", "-n", "pingd", "-l", "reboot", "-v", "5")
    assert _as_alice(lab, node, *set_it).returncode == 0
    log = _as_alice(lab, node, "crm", "configure", "log")
    assert "which shows everything" in log.stderr
