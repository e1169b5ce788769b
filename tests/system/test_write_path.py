"""What people are told when a change meets a cluster in trouble: in time, clearly, and truly."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from tests.durability.faults import processes

pytestmark = pytest.mark.system

NODES = ("node1", "node2", "node3")
ANSWER_LIMIT_S = 45.0
"""No change may take longer to be answered, whatever happens to the cluster."""

NO_QUORUM, TIMEOUT = 106, 124


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes, whole again before each test."""
    plan = make_plan(3, keepalive_ms=250, deadtime_ms=2000, with_router=False)
    lab = Lab.up(plan, tmp_path_factory.mktemp("writes") / "lab")
    try:
        yield lab
    finally:
        lab.down()


@pytest.fixture
def whole(lab: Lab) -> Lab:
    lab.request({"do": "heal"})
    lab.start()
    for node in NODES:
        await_answer(
            lab,
            node,
            ["crm_mon", "-1"],
            lambda text: f"Online: [ {' '.join(NODES)} ]" in text,
            limit_s=60,
        )
    return lab


def modify(lab: Lab, node: str, value: str) -> subprocess.CompletedProcess[str]:
    """Change an option with cibadmin; it must end in time."""
    pair = f'<nvpair id="written" name="cluster-name" value="{value}"/>'
    text = f'<cluster_property_set id="cib-bootstrap-options">{pair}</cluster_property_set>'
    return lab.run(
        node, "cibadmin", "-M", "-c", "-o", "crm_config", "-X", text, limit_s=ANSWER_LIMIT_S
    )


def commit(lab: Lab, node: str, value: str) -> subprocess.CompletedProcess[str]:
    """Change the same option with the shell."""
    words = ("crm", "configure", "property", f"cluster-name={value}")
    return lab.run(node, *words, limit_s=ANSWER_LIMIT_S)


def value_on(lab: Lab, node: str) -> str:
    return lab.run(node, "crm", "configure", "get_property", "cluster-name").stdout.strip()


def dc_of(lab: Lab) -> tuple[str, list[str]]:
    text = lab.run("node1", "crm_mon", "-1").stdout
    dc = text.split("Current DC:")[1].split()[0]
    return dc, [node for node in NODES if node != dc]


def await_end(
    change: Callable[[], subprocess.CompletedProcess[str]], *codes: int, limit_s: float = 30
) -> subprocess.CompletedProcess[str]:
    """Repeat a change until it ends with one of these codes: the cluster has noticed then."""
    until = time.monotonic() + limit_s
    while True:
        done = change()
        assert done.returncode in (0, NO_QUORUM, TIMEOUT), done.stderr
        if done.returncode in codes or time.monotonic() > until:
            return done


def test_without_quorum_a_change_is_refused_and_says_what_helps(whole: Lab) -> None:
    dc, others = dc_of(whole)
    assert modify(whole, dc, "before").returncode == 0
    whole.crash(*others)
    await_answer(whole, dc, ["crm_mon", "-1"], lambda text: "WITHOUT quorum" in text, limit_s=30)
    done = modify(whole, dc, "refused")
    assert done.returncode == NO_QUORUM
    assert "no quorum, its configuration stays as it is" in done.stderr
    assert "force" in done.stderr
    done = commit(whole, dc, "refused")
    assert done.returncode == 1
    assert "no quorum, its configuration stays as it is" in done.stderr
    assert value_on(whole, dc) == "before"


def test_a_change_while_the_dc_goes_is_made_or_said_to_be_uncertain(whole: Lab) -> None:
    dc, (one, other) = dc_of(whole)
    whole.crash(dc)
    done = modify(whole, one, "over-the-change")
    assert done.returncode in (0, TIMEOUT), done.stderr
    if done.returncode:
        assert "crm configure log" in done.stderr, done.stderr
    again = modify(whole, other, "after")
    assert again.returncode == 0, again.stderr
    assert value_on(whole, one) == "after"


def test_a_minority_refuses_the_majority_goes_on_and_the_heal_keeps_what_was_said(
    whole: Lab,
) -> None:
    dc, others = dc_of(whole)
    whole.request({"do": "partition", "sides": [[dc], others]})
    refused = await_end(lambda: modify(whole, dc, "minority"), NO_QUORUM)
    assert refused.returncode == NO_QUORUM, refused.stderr
    accepted = await_end(lambda: modify(whole, others[0], "majority"), 0)
    assert accepted.returncode == 0, accepted.stderr
    whole.request({"do": "heal"})
    healing = commit(whole, others[1], "while-healing")
    last = "while-healing" if healing.returncode == 0 else "majority"
    for node in NODES:
        await_answer(
            whole,
            node,
            ["crm", "configure", "get_property", "cluster-name"],
            lambda text: text.strip() in (last, "while-healing"),
            limit_s=30,
        )


def test_a_member_whose_cib_hangs_is_named_and_nobody_waits_for_ever(whole: Lab) -> None:
    dc, (one, other) = dc_of(whole)
    frozen = next(pid for pid, name in processes(whole, one).items() if name == "cib")
    os.kill(frozen, signal.SIGSTOP)
    try:
        done = modify(whole, other, "hanging")
    finally:
        with contextlib.suppress(ProcessLookupError):  # heartbeat may have replaced it by then
            os.kill(frozen, signal.SIGCONT)
    assert done.returncode in (0, TIMEOUT), done.stderr
    if done.returncode:
        assert f"no acknowledgement from {one}" in done.stderr
        assert "crm configure log" in done.stderr
    assert modify(whole, dc, "thawed").returncode == 0
    assert value_on(whole, one) == "thawed"
