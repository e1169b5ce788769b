"""Three nodes: daemons killed one by one, partitions, broken inputs; real processes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.lab.evidence import ClientView, await_answer, log_of
from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_CONFIG = (
    "property stonith-enabled=false no-quorum-policy=stop\n"
    "primitive vip ocf:heartbeat:IPaddr2 params ip=10.77.0.100 cidr_netmask=24 nic=eth0"
    " op monitor interval=2s timeout=20s\n"
    "primitive web ocf:pacekeeper:webpage op monitor interval=2s timeout=20s\n"
    "primitive extra ocf:pacekeeper:Dummy op monitor interval=2s timeout=20s\n"
    "group site vip web\n"
    "commit\n"
)


@pytest.fixture
def lab(make_lab: Callable[[LabPlan], Lab]) -> Lab:
    return configured(make_lab(make_plan(3)))


@pytest.fixture
def patient_lab(make_lab: Callable[[LabPlan], Lab]) -> Lab:
    """A lab in which heartbeat is back well before its silence counts as death."""
    return configured(make_lab(make_plan(3, keepalive_ms=500, deadtime_ms=6000)))


def configured(lab: Lab) -> Lab:
    lab.start()
    await_online(lab, "node1", 3)
    done = lab.run("node1", "crm", "configure", stdin=_CONFIG)
    assert done.returncode == 0, done.stderr
    await_running(lab, "node1")
    return lab


def await_online(lab: Lab, node: str, count: int, limit_s: float = 30) -> str:
    names = " ".join(f"node{number}" for number in range(1, count + 1))
    return await_answer(
        lab, node, ["crm_mon", "-1"], lambda text: f"Online: [ {names} ]" in text, limit_s=limit_s
    )


def await_running(lab: Lab, node: str, limit_s: float = 20) -> str:
    return await_answer(
        lab,
        node,
        ["crm_mon", "-1"],
        lambda text: text.count(" Started node") == 3 and "FAILED" not in text,
        limit_s=limit_s,
    )


def dc_of(lab: Lab, node: str) -> str:
    text = lab.run(node, "crm_mon", "-1").stdout
    line = next(line for line in text.splitlines() if "Current DC:" in line)
    return line.split("Current DC:")[1].split()[0]


def places(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        if " Started node" in line:
            found[line.split("*")[1].split()[0]] = line.split("Started")[1].split()[0]
    return found


def processes(lab: Lab, node: str) -> dict[str, int]:
    """The daemons of a node by name, as its own children of heartbeat know them."""
    found = {}
    init = lab.status()["hosts"][node]["init"]
    wanted = Path(f"/proc/{init}/ns/pid").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns/pid").readlink() != wanted:
                continue
            found[(entry / "comm").read_text().strip()] = int(entry.name)
        except OSError:
            continue
    return found


def starts_and_stops(lab: Lab) -> dict[str, int]:
    """How often each node's executor started or stopped something, from the logs."""
    counts = {}
    for number in (1, 2, 3):
        node = f"node{number}"
        lines = log_of(lab, node).lines_since(0)
        counts[node] = sum(
            "Performing op start" in line or "Performing op stop" in line for line in lines
        )
    return counts


DAEMONS = ("cib", "attrd", "crmd", "pengine", "lrmd", "stonithd", "mgmtd", "heartbeat")


@pytest.mark.parametrize("where", ["on the DC", "on another node"])
def test_every_daemon_killed_in_turn_is_replaced_and_nothing_restarts(
    patient_lab: Lab, where: str
) -> None:
    lab = patient_lab
    dc = dc_of(lab, "node1")
    others = [f"node{number}" for number in (1, 2, 3) if f"node{number}" != dc]
    node = dc if where == "on the DC" else others[0]
    before = places(await_running(lab, "node1"))
    counts = starts_and_stops(lab)
    for daemon in DAEMONS:
        pid = processes(lab, node)[daemon]
        os.kill(pid, signal.SIGKILL)
        _await_replaced(lab, node, daemon, pid, limit_s=10)
        for place in ("node1", "node2", "node3"):
            await_answer(lab, place, ["crm", "--wait", "status"], lambda _: True, limit_s=10)
        await_online(lab, others[-1], 3, limit_s=10)
        assert places(await_running(lab, others[-1], limit_s=10)) == before, daemon
        assert starts_and_stops(lab) == counts, f"{daemon}: something was restarted"


@pytest.mark.parametrize("where", ["on the DC", "on another node"])
def test_every_daemon_stopped_in_turn_is_replaced_and_nothing_restarts(
    patient_lab: Lab, where: str
) -> None:
    lab = patient_lab
    dc = dc_of(lab, "node1")
    others = [f"node{number}" for number in (1, 2, 3) if f"node{number}" != dc]
    node = dc if where == "on the DC" else others[0]
    before = places(await_running(lab, "node1"))
    counts = starts_and_stops(lab)
    # The policy engine may think for two minutes; that time passes while the others are tried.
    pengine = processes(lab, node)["pengine"]
    os.kill(pengine, signal.SIGSTOP)
    for daemon in ("cib", "attrd", "crmd", "lrmd", "stonithd", "mgmtd"):
        pid = processes(lab, node)[daemon]
        os.kill(pid, signal.SIGSTOP)
        _await_replaced(lab, node, daemon, pid, limit_s=30)
        await_online(lab, others[-1], 3, limit_s=10)
        assert places(await_running(lab, others[-1], limit_s=40)) == before, daemon
        assert starts_and_stops(lab) == counts, f"{daemon}: something was restarted"
    _await_replaced(lab, node, "pengine", pengine, limit_s=150)
    assert places(await_running(lab, others[-1], limit_s=40)) == before
    assert starts_and_stops(lab) == counts
    log_of(lab, node).await_line("has given no sign of life for 15 s: killing it", limit_s=1)


def _await_replaced(lab: Lab, node: str, daemon: str, pid: int, *, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    pause = threading.Event()
    while processes(lab, node).get(daemon, pid) == pid:
        assert time.monotonic() < deadline, f"{daemon} on {node} was not replaced"
        pause.wait(0.05)


def test_a_node_cut_off_lets_go_and_the_others_take_over(lab: Lab) -> None:
    holder = places(await_running(lab, "node1"))["vip"]
    others = [f"node{number}" for number in (1, 2, 3) if f"node{number}" != holder]
    client = ClientView(lab, "http://10.77.0.100/", every_ms=10)
    lab.request({"do": "partition", "sides": [[holder], others], "interfaces": ["eth1"]})
    await_answer(
        lab,
        holder,
        ["ip", "-4", "addr", "show", "eth0"],
        lambda text: "10.77.0.100" not in text,
        limit_s=10,
    )
    await_answer(
        lab,
        others[0],
        ["crm_mon", "-1"],
        lambda text: places(text).get("vip") in others,
        limit_s=10,
    )
    lab.request({"do": "heal"})
    await_online(lab, holder, 3)
    await_running(lab, holder)
    client.close()
    assert client.duels() == [], "two nodes answered for the address at once"


def test_an_address_removed_by_hand_comes_back(lab: Lab) -> None:
    holder = places(await_running(lab, "node1"))["vip"]
    lab.run(holder, "ip", "addr", "del", "10.77.0.100/24", "dev", "eth0")
    await_answer(
        lab,
        holder,
        ["ip", "-4", "addr", "show", "eth0"],
        lambda text: "10.77.0.100" in text,
        limit_s=10,
    )


def test_a_truncated_cib_is_put_aside_and_the_last_good_one_is_used(lab: Lab) -> None:
    lab.stop("node3")
    cib = lab.root("node3") / "var/lib/heartbeat/crm/cib.xml"
    cib.write_bytes(cib.read_bytes()[:300])
    mark = log_of(lab, "node3").mark()
    lab.start("node3")
    log_of(lab, "node3").await_line("cib.xml", "ERROR", since=mark, limit_s=20)
    await_online(lab, "node1", 3)
    assert "vip" in lab.run("node3", "cibadmin", "-Q").stdout


def test_garbage_on_the_socket_harms_nobody(lab: Lab) -> None:
    script = (
        "import os, socket\n"
        "path = os.environ['PACEKEEPER_ROOT'] + '/run/heartbeat/mgmtd'\n"
        "for data in (b'GET / HTTP/1.0\\r\\n\\r\\n', b'\\xff' * 4096, "
        "b'\\x00\\x00\\x00\\x05junk!'):\n"
        "    with socket.socket(socket.AF_UNIX) as s:\n"
        "        s.connect(path)\n"
        "        s.sendall(data)\n"
        "        s.shutdown(socket.SHUT_WR)\n"
        "        while s.recv(4096):\n"
        "            pass\n"
    )
    before = processes(lab, "node1")["mgmtd"]
    done = lab.run("node1", "python", "-c", script)
    assert done.returncode == 0 or "reset" in done.stderr.lower(), done.stderr
    assert processes(lab, "node1")["mgmtd"] == before
    await_online(lab, "node1", 3)


def test_a_configuration_that_refers_to_nothing_is_refused(lab: Lab) -> None:
    before = lab.run("node1", "cibadmin", "-Q", "-o", "configuration").stdout
    done = lab.run("node1", "crm", "configure", stdin="colocation c inf: vip nosuch\ncommit\n")
    assert done.returncode == 1
    assert "nosuch" in done.stderr + done.stdout
    assert lab.run("node1", "cibadmin", "-Q", "-o", "configuration").stdout == before


def test_status_as_json_names_every_node(lab: Lab) -> None:
    done = lab.run("node2", "crm", "status", "--json")
    assert done.returncode == 0, done.stderr
    assert {node["name"] for node in json.loads(done.stdout)["nodes"]} == {
        "node1",
        "node2",
        "node3",
    }


def test_a_missing_daemon_is_said_clearly(make_lab: Callable[[LabPlan], Lab]) -> None:
    lab = make_lab(make_plan(1))
    done = lab.run("node1", "crm", "status")
    assert done.returncode != 0
    assert "heartbeat" in done.stderr
