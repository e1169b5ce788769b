"""Every medium alone carries a cluster of two, and two media together outlive the loss of one."""

from __future__ import annotations

import os
import pty
import select
import threading
from collections.abc import Callable, Iterator

import pytest

from cli.lab.evidence import await_answer, log_of
from cli.lab.plan import Host, LabPlan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system

_NODES = ("node1", "node2")
_ADDRESS = "10.77.0.50"
_LIMIT_S = 15.0


def _plan(*media: str) -> LabPlan:
    """Two nodes with these media lines, short deadlines, and an address that node1 prefers."""
    ha_cf = "\n".join(
        [
            "logfile /var/log/ha-log",
            "keepalive 100ms",
            "deadtime 800ms",
            "warntime 400ms",
            "initdead 5",
            "udpport 694",
            *media,
            "auto_failback off",
            *(f"node {name}" for name in _NODES),
            "",
        ]
    )
    files = {
        "etc/ha.d/ha.cf": ha_cf,
        "etc/ha.d/authkeys": "auth 1\n1 sha1 two-nodes-and-one-wire\n",
        "etc/ha.d/haresources": f"node1 IPaddr::{_ADDRESS}/24/eth0\n",
    }
    hosts = tuple(
        Host(
            name,
            {"eth0": f"10.77.0.{number}/24", "eth1": f"10.77.1.{number}/24"},
            dict(files),
        )
        for number, name in enumerate(_NODES, 1)
    )
    names = "".join(f"10.77.0.{number} {name}\n" for number, name in enumerate(_NODES, 1))
    return LabPlan(hosts, {}, f"127.0.0.1 localhost\n{names}")


def _holds(lab: Lab, node: str) -> bool:
    return _ADDRESS in lab.run(node, "ip", "-4", "addr", "show", "eth0").stdout


def _await_owner(lab: Lab, node: str) -> None:
    show = ["ip", "-4", "addr", "show", "eth0"]
    await_answer(lab, node, show, lambda text: _ADDRESS in text, limit_s=_LIMIT_S)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("ucast eth1 10.77.1.1", "ucast eth1 10.77.1.2"),
            "ucast: started on port 694 interface eth1 to 10.77.1.2",
        ),
        (("bcast eth1",), "UDP Broadcast heartbeat started on port 694 (694) interface eth1"),
        (
            ("mcast eth1 239.77.0.1 694 1 0",),
            "UDP multicast heartbeat started for group 239.77.0.1 port 694 interface eth1",
        ),
        (
            ("ucast6 eth1 fd77::1", "ucast6 eth1 fd77::2"),
            "ucast6: started on port 694 interface eth1 to fd77::2",
        ),
        (
            ("mcast6 eth1 ff12::77 694 1 0",),
            "UDP multicast heartbeat started for group ff12::77 port 694 interface eth1",
        ),
    ],
    ids=["ucast", "bcast", "mcast", "ucast6", "mcast6"],
)
def test_one_medium_alone_carries_start_crash_and_takeover(
    lines: tuple[str, ...], said: str, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(_plan(*lines))
    for number, node in enumerate(_NODES, 1):
        lab.run(node, "ip", "-6", "addr", "add", f"fd77::{number}/64", "dev", "eth1", "nodad")
    lab.start()
    _await_owner(lab, "node1")
    assert not _holds(lab, "node2")
    log_of(lab, "node1").await_line(said, limit_s=1)
    log_of(lab, "node2").await_line("Link node1:eth1 up.", limit_s=1)

    lab.crash("node1")

    _await_owner(lab, "node2")
    log_of(lab, "node2").await_line("Link node1:eth1 dead.", limit_s=1)


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    """A null-modem cable of two pseudo-terminals: the devices at its ends."""
    masters, slaves = zip(*(pty.openpty() for _ in range(2)), strict=True)
    ended, end = os.pipe()
    carrier = threading.Thread(target=_carry, args=(masters, ended))
    carrier.start()
    yield os.ttyname(slaves[0]), os.ttyname(slaves[1])
    os.close(end)
    carrier.join()
    for handle in (*masters, *slaves, ended):
        os.close(handle)


def _carry(masters: tuple[int, int], ended: int) -> None:
    """Write what one end says to the other, until the cable is taken away."""
    other = dict(zip(masters, masters[::-1], strict=True))
    while True:
        ready, _, _ = select.select([*masters, ended], [], [])
        if ended in ready:
            return
        for handle in ready:
            os.write(other[handle], os.read(handle, 4096))


def test_a_serial_line_alone_carries_start_crash_and_takeover(
    cable: tuple[str, str], make_lab: Callable[[LabPlan], Lab]
) -> None:
    plan = _plan("baud 115200", "serial DEVICE")
    for host, device in zip(plan.hosts, cable, strict=True):
        host.files["etc/ha.d/ha.cf"] = host.files["etc/ha.d/ha.cf"].replace("DEVICE", device)
    lab = make_lab(plan)
    lab.start()
    _await_owner(lab, "node1")
    assert not _holds(lab, "node2")
    log_of(lab, "node2").await_line(f"Link node1:{cable[1]} up.", limit_s=1)

    lab.crash("node1")

    _await_owner(lab, "node2")
    log_of(lab, "node2").await_line(f"Link node1:{cable[1]} dead.", limit_s=1)


def test_of_two_media_one_may_be_cut_without_a_failover(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(_plan("bcast eth1", "mcast eth0 239.77.0.2 694 1 0"))
    lab.start()
    _await_owner(lab, "node1")
    views = [len(_views(lab, node)) for node in _NODES]

    lab.request({"do": "isolate", "nodes": ["node2"], "interfaces": ["eth1"]})

    log_of(lab, "node1").await_line("Link node2:eth1 dead.", limit_s=5)
    log_of(lab, "node2").await_line("Link node1:eth1 dead.", limit_s=5)
    assert _holds(lab, "node1")
    assert not _holds(lab, "node2")

    mark = log_of(lab, "node1").mark()
    lab.request({"do": "heal"})
    log_of(lab, "node1").await_line("Link node2:eth1 up.", since=mark, limit_s=5)
    assert [len(_views(lab, node)) for node in _NODES] == views, "the membership never moved"


def _ip(lab: Lab, node: str, *words: str) -> None:
    done = lab.run(node, "ip", *words)
    assert done.returncode == 0, done.stderr


def _make_interface(lab: Lab, network: str) -> None:
    """Give both nodes an interface `cl0` of their own, on top of eth1, in this network."""
    for number, node in enumerate(_NODES, 1):
        link = ["link", "add", "link", "eth1", "name", "cl0", "type", "macvlan", "mode", "bridge"]
        _ip(lab, node, *link)
        address = f"{network}.{number}/24"
        _ip(lab, node, "addr", "add", address, "brd", "+", "dev", "cl0")
        _ip(lab, node, "link", "set", "cl0", "up")


def _await_on_both(lab: Lab, text: str, marks: list[int]) -> None:
    """Wait for a line about the link to the other node in both logs."""
    for node, other, mark in zip(_NODES, _NODES[::-1], marks, strict=True):
        log_of(lab, node).await_line(text.format(other=other), since=mark, limit_s=10)


@pytest.mark.parametrize("medium", ["bcast cl0", "mcast cl0 239.77.0.3 694 1 0"])
def test_an_interface_that_comes_back_as_another_one_is_used_again(
    medium: str, make_lab: Callable[[LabPlan], Lab]
) -> None:
    lab = make_lab(_plan(medium, "mcast eth0 239.77.0.2 694 1 0"))
    _make_interface(lab, "10.77.5")
    lab.start()
    _await_owner(lab, "node1")
    _await_on_both(lab, "Link {other}:cl0 up.", [0, 0])
    views = [len(_views(lab, node)) for node in _NODES]
    marks = [log_of(lab, node).mark() for node in _NODES]

    for node in _NODES:
        _ip(lab, node, "link", "del", "cl0")
    _await_on_both(lab, "Link {other}:cl0 dead.", marks)
    marks = [log_of(lab, node).mark() for node in _NODES]
    _make_interface(lab, "10.77.6")

    _await_on_both(lab, "Link {other}:cl0 up.", marks)
    assert [len(_views(lab, node)) for node in _NODES] == views, "the membership never moved"
    troubles = [line for line in log_of(lab, "node1").lines_since(0) if "link cl0 port" in line]
    assert len(troubles) <= 4, "trouble is told when it begins, changes and ends"


def test_a_link_follows_its_interface_to_another_address(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(_plan("bcast cl0", "mcast eth0 239.77.0.2 694 1 0"))
    _make_interface(lab, "10.77.5")
    lab.start()
    _await_owner(lab, "node1")
    _await_on_both(lab, "Link {other}:cl0 up.", [0, 0])
    marks = [log_of(lab, node).mark() for node in _NODES]

    for node in _NODES:
        _ip(lab, node, "addr", "flush", "dev", "cl0")
    _await_on_both(lab, "Link {other}:cl0 dead.", marks)
    marks = [log_of(lab, node).mark() for node in _NODES]
    for number, node in enumerate(_NODES, 1):
        address = f"10.78.9.{number}/24"
        _ip(lab, node, "addr", "add", address, "brd", "+", "dev", "cl0")

    _await_on_both(lab, "Link {other}:cl0 up.", marks)


def _views(lab: Lab, node: str) -> list[str]:
    lines = log_of(lab, node).lines_since(0)
    return [line for line in lines if "mem_handle_event: instance=" in line]
