"""The two-node set-up of the first tutorial: haresources mode, fail-over and fail-back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.lab.evidence import ClientView, await_answer, log_of
from cli.lab.plan import LabPlan, read_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_SEED = Path(__file__).resolve().parents[3] / "shared/reference/seed-configs"
_ADDRESS = "192.168.198.161"


@pytest.fixture
def plan() -> LabPlan:
    directory = _SEED / "000_7b2709cd0c5a0840"
    if not directory.is_dir():
        pytest.skip("the configuration files of the tutorials are not beside the repository")
    return read_plan(directory)


def _holds(lab: Lab, node: str) -> bool:
    return _ADDRESS in lab.run(node, "ip", "-4", "addr", "show", "ens33").stdout


def _await_owner(lab: Lab, node: str, limit_s: float) -> None:
    await_answer(
        lab,
        node,
        ["ip", "-4", "addr", "show", "ens33"],
        lambda text: _ADDRESS in text,
        limit_s=limit_s,
    )


def test_the_address_fails_over_and_comes_home(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    client = ClientView(lab, f"http://{_ADDRESS}/", interface="ens33")
    try:
        lab.start()
        _await_owner(lab, "node1", 40)
        shown = lab.run("node1", "ip", "-4", "addr", "show", "ens33").stdout
        assert "ens33:0" in shown
        assert not _holds(lab, "node2")

        mark = log_of(lab, "node2").mark()
        lab.crash("node1")
        log_of(lab, "node2").await_line("node node1: is dead", since=mark, limit_s=20)
        _await_owner(lab, "node2", 10)

        lab.start("node1")
        _await_owner(lab, "node1", 40)
        await_answer(
            lab,
            "node2",
            ["ip", "-4", "addr", "show", "ens33"],
            lambda text: _ADDRESS not in text,
            limit_s=10,
        )
        assert client.duels() == []
    finally:
        client.close()


def test_an_orderly_stop_hands_over_at_once(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    lab.start()
    client = ClientView(lab, f"http://{_ADDRESS}/", interface="ens33")
    try:
        _await_owner(lab, "node1", 40)
        began = time.monotonic()
        lab.stop("node1")
        _await_owner(lab, "node2", 5)
        assert not _holds(lab, "node1")
        # Far below the deadtime of 15 s: the node said goodbye.
        assert time.monotonic() - began < 15
    finally:
        client.close()


def test_standby_and_takeover_move_the_address_and_say_what_is_held(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    lab.start()
    _await_owner(lab, "node1", 40)
    await_answer(
        lab,
        "node2",
        ["cl_status", "nodestatus", "node1"],
        lambda text: text == "active\n",
        limit_s=20,
    )
    assert _held(lab) == ("local", "none")

    done = lab.run("node1", "hb_standby")
    assert (done.returncode, done.stdout) == (0, "Going standby [all].\n"), done.stderr
    assert _holds(lab, "node2") and not _holds(lab, "node1")
    assert _held(lab) == ("none", "foreign")

    done = lab.run("node1", "hb_takeover", "local")
    assert (done.returncode, done.stdout) == (0, "Going standby [local].\n"), done.stderr
    assert _holds(lab, "node1") and not _holds(lab, "node2")
    assert _held(lab) == ("local", "none")


def _held(lab: Lab) -> tuple[str, str]:
    first, second = (
        lab.run(node, "cl_status", "rscstatus").stdout.strip() for node in ("node1", "node2")
    )
    return first, second


def test_authkeys_that_others_may_read_are_refused(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    (lab.root("node1") / "etc/ha.d/authkeys").chmod(0o644)
    place = ["--root", str(lab.root("node1")), "--node", "node1"]
    done = lab.run("node1", "heartbeat", "-f", *place)
    assert done.returncode != 0
    assert "Bad permissions on keyfile" in done.stdout + done.stderr
    assert "600 recommended" in done.stdout + done.stderr


def test_an_unknown_directive_keeps_heartbeat_from_starting(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    ha_cf = lab.root("node1") / "etc/ha.d/ha.cf"
    ha_cf.write_text(ha_cf.read_text() + "keepalife 2\n")
    place = ["--root", str(lab.root("node1")), "--node", "node1"]
    done = lab.run("node1", "heartbeat", "-f", *place)
    assert done.returncode == 6
    said = done.stdout + done.stderr
    assert "keepalife" in said
    assert f":{len(ha_cf.read_text().splitlines())}" in said or "line 13" in said


def test_a_reload_takes_over_what_it_can_and_refuses_bad_files_without_harm(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(plan)
    lab.start()
    place = ["--root", str(lab.root("node1")), "--node", "node1"]
    ha_cf = lab.root("node1") / "etc/ha.d/ha.cf"
    good = ha_cf.read_text()
    log = log_of(lab, "node1")
    log.await_line("Local status now set to: 'active'", limit_s=30)

    mark = log.mark()
    ha_cf.write_text(f"{good}warntime 1\nnode node3\n")
    assert lab.run("node1", "heartbeat", "-r", *place).returncode == 0
    log.await_line("ha.cf: taken over: warntime", since=mark, limit_s=10)
    log.await_line("'node' has changed; this takes effect at the next start", limit_s=10)

    ha_cf.write_text(f"{good}keepalife 2\n")
    assert lab.run("node1", "heartbeat", "-r", *place).returncode == 0
    log.await_line("the changed files are refused", since=mark, limit_s=10)
    assert lab.run("node1", "heartbeat", "-s", *place).returncode == 0
