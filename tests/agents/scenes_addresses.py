"""Scenes for the address agents, each run in a fresh network namespace by test_addresses.py.

Interface eth0 (192.168.71.1/24, fd00:71::1/64) is one end of a cable; `peer0` is the other end.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from crm.api import lrm
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_seat import Conversation
from crm.plumbing.machine import MessageArrived, PeerConnected
from crm.plumbing.settings import Paths
from lrmd import rtnetlink
from lrmd.agentkit.agent import Agent
from lrmd.agents.ipaddr import IPaddr, IPaddr2
from lrmd.rtnetlink import NetlinkSocket
from tests.kit.lrmd import Said, act

VIP = {"ip": "192.168.71.205", "ARP_INTERVAL_MS": "50", "arp_interval": "50"}
STATE = Path(sys.argv[2])


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def lay_cable() -> None:
    ip("link", "set", "lo", "up")
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
    ip("link", "set", "peer0", "up")
    ip("link", "set", "eth0", "up")
    ip("addr", "add", "192.168.71.1/24", "dev", "eth0")
    ip("addr", "add", "fd00:71::1/64", "dev", "eth0", "nodad")
    ip("route", "add", "default", "via", "192.168.71.254")


def shown(address: str) -> str:
    words = ["ip", "-o", "addr", "show"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return "\n".join(line for line in text.splitlines() if f" {address}/" in line)


def do(kind: type[Agent], action: str, parameters: Mapping[str, str] = VIP) -> Said:
    return act(kind, action, STATE, parameters)


def codes(kind: type[Agent], parameters: Mapping[str, str], *actions: str) -> list[int]:
    return [do(kind, action, parameters).code for action in actions]


def listen(protocol: int) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    wire.bind(("peer0", protocol))
    wire.settimeout(5)
    return wire


def scene_an_address_comes_and_goes_and_comes_again() -> None:
    for kind in (IPaddr, IPaddr2):
        assert codes(kind, VIP, "monitor", "stop", "monitor") == [7, 0, 7]
        assert codes(kind, VIP, "start", "start", "monitor") == [0, 0, 0]
        before = shown(VIP["ip"])
        assert "192.168.71.205/24 brd 192.168.71.255" in before
        assert codes(kind, VIP, "monitor", "validate-all") == [0, 0]
        assert shown(VIP["ip"]) == before
        assert codes(kind, VIP, "stop", "stop", "monitor") == [0, 0, 7]
        assert shown(VIP["ip"]) == ""
        assert shown("192.168.71.1") != ""


def scene_ipaddr_takes_the_first_free_alias_and_ipaddr2_none() -> None:
    ip("addr", "add", "192.168.71.77/24", "label", "eth0:0", "dev", "eth0")
    do(IPaddr, "start")
    assert shown(VIP["ip"]).split()[-3].startswith("eth0:1") or "eth0:1" in shown(VIP["ip"])
    do(IPaddr, "stop")
    do(IPaddr2, "start")
    assert "eth0:" not in shown(VIP["ip"])
    do(IPaddr2, "stop")
    do(IPaddr2, "start", VIP | {"iflabel": "web"})
    assert "eth0:web" in shown(VIP["ip"])
    do(IPaddr2, "stop")
    do(IPaddr2, "start", VIP | {"nic": "eth0:mail"})
    assert "eth0:mail" in shown(VIP["ip"])
    do(IPaddr2, "stop", VIP | {"nic": "eth0:mail"})
    assert shown(VIP["ip"]) == ""


def scene_the_log_reads_as_in_the_days_of_heartbeat() -> None:
    said = do(IPaddr, "start").errors.splitlines()
    assert said[0] == (
        "INFO: /sbin/ifconfig eth0:0 192.168.71.205 netmask 255.255.255.0 broadcast 192.168.71.255"
    )
    assert said[1] == "INFO: Sending Gratuitous Arp for 192.168.71.205 on eth0:0 [eth0]"
    assert said[2].endswith("eth0 192.168.71.205 auto 192.168.71.205 ffffffffffff")
    assert do(IPaddr, "stop").errors.splitlines() == [
        "INFO: /sbin/route -n del -host 192.168.71.205",
        "INFO: /sbin/ifconfig eth0:0 192.168.71.205 down",
        "INFO: IP Address 192.168.71.205 released",
    ]


def scene_neighbours_hear_gratuitous_arp_at_once_and_again_until_stop() -> None:
    with listen(0x0806) as wire:
        do(IPaddr, "start", VIP | {"ARP_REPEAT": "200"})
        first = wire.recv(2000)
        hardware = Path("/sys/class/net/eth0/address")
        sender = first[6:12]
        assert first[:6] == b"\xff" * 6
        assert first[12:14] == b"\x08\x06"
        packed = socket.inet_aton("192.168.71.205")
        assert (first[22:28], first[28:32], first[38:42]) == (sender, packed, packed)
        if hardware.exists():
            assert len(sender) == 6
        operations = {first[21]}
        for _ in range(5):
            operations.add(wire.recv(2000)[21])
        assert operations == {1, 2}
        do(IPaddr, "stop", VIP)
        wire.settimeout(2)  # several announcements would have come
        try:
            for _ in range(40):  # what was under way; hundreds were asked for
                wire.recv(2000)
        except TimeoutError:
            return
        raise AssertionError("announcements did not end")


def scene_neighbours_hear_an_unsolicited_advertisement_for_ipv6() -> None:
    vip = VIP | {"ip": "fd00:71::205"}
    with listen(0x86DD) as wire:
        assert codes(IPaddr2, vip, "monitor", "start", "start", "monitor") == [7, 0, 0, 0]
        assert "fd00:71::205/64" in shown("fd00:71::205")
        assert "tentative" not in shown("fd00:71::205")
        packed = socket.inet_pton(socket.AF_INET6, "fd00:71::205")
        for _ in range(30):
            packet = wire.recv(2000)
            if packet[54:55] == b"\x88" and packet[62:78] == packed:
                assert packet[21] == 255  # hop limit
                assert packet[58] & 0x20  # override
                break
        else:
            raise AssertionError("no neighbour advertisement")
    assert codes(IPaddr2, vip, "stop", "stop", "monitor") == [0, 0, 7]


def scene_the_routing_table_tells_interface_and_mask() -> None:
    ip("link", "add", "eth1", "type", "veth", "peer", "name", "peer1")
    ip("link", "set", "eth1", "up")
    ip("route", "add", "192.168.71.192/26", "dev", "eth1")
    do(IPaddr2, "start")
    assert "eth1" in shown(VIP["ip"])
    assert "192.168.71.205/26 brd 192.168.71.255" in shown(VIP["ip"])
    do(IPaddr2, "stop")


def scene_the_default_route_counts_only_with_a_mask() -> None:
    far = VIP | {"ip": "10.9.9.9"}
    said = do(IPaddr, "start", far)
    assert said.code == 6
    assert "10.9.9.9" in said.reason
    assert do(IPaddr, "start", far | {"netmask": "255.255.255.0"}).code == 0
    assert "10.9.9.9/24 brd 10.9.9.255" in shown("10.9.9.9")


def scene_masks_and_broadcast_are_taken_as_given() -> None:
    for text, bits in (("255.255.255.128", 25), ("25", 25), ("24", 24)):
        vip = VIP | {"nic": "eth0", "cidr_netmask": text, "broadcast": "192.168.71.250"}
        do(IPaddr2, "start", vip)
        assert f"192.168.71.205/{bits} brd 192.168.71.250" in shown(VIP["ip"])
        do(IPaddr2, "stop", vip)


def scene_an_interface_that_is_down_is_brought_up_and_reported() -> None:
    vip = VIP | {"nic": "eth0", "cidr_netmask": "24"}
    ip("link", "set", "eth0", "down")
    assert do(IPaddr, "start", vip).code == 0
    assert do(IPaddr, "monitor", vip).code == 0
    ip("link", "set", "eth0", "down")
    said = do(IPaddr, "monitor", vip)
    assert (said.code, said.reason) == (1, "interface eth0 is down")
    assert codes(IPaddr, vip, "stop", "monitor") == [0, 7]


def scene_a_missing_interface_is_a_reason_and_nothing_to_stop() -> None:
    vip = VIP | {"nic": "eth9", "cidr_netmask": "24"}
    said = do(IPaddr, "start", vip)
    assert (said.code, said.reason) == (5, "there is no interface 'eth9'")
    assert codes(IPaddr, vip, "monitor", "stop") == [7, 0]


def scene_a_long_interface_name_gets_no_alias() -> None:
    ip("link", "add", "enp130s0f1np1v9", "type", "veth", "peer", "name", "peer2")
    vip = VIP | {"nic": "enp130s0f1np1v9", "cidr_netmask": "24"}
    said = do(IPaddr, "start", vip)
    assert said.code == 0
    assert "too long a name" in said.errors
    assert do(IPaddr, "stop", vip).code == 0


def scene_the_kernel_tells_when_an_address_is_removed() -> None:
    with rtnetlink.AddressNews() as news:
        do(IPaddr2, "start")
        assert news.removed() == []
        ip("addr", "del", "192.168.71.205/24", "dev", "eth0")
        assert select.select([news], [], [], 2)[0], "the kernel said nothing"
        assert [str(address) for address in news.removed()] == ["192.168.71.205"]
        ip("addr", "add", "fd00:71::77/64", "dev", "eth0", "nodad")
        ip("addr", "del", "fd00:71::77/64", "dev", "eth0")
        heard = []
        while not heard:
            assert select.select([news], [], [], 2)[0], "the kernel said nothing"
            heard = news.removed()
        assert [str(address) for address in heard] == ["fd00:71::77"]
    assert do(IPaddr2, "monitor").code == 7


def scene_netlink_lists_what_the_ip_command_shows() -> None:
    with NetlinkSocket() as kernel:
        links = {link.name: link for link in kernel.links()}
        assert set(links) >= {"lo", "eth0", "peer0"}
        assert links["lo"].is_loopback
        assert not links["lo"].can_announce
        assert links["eth0"].is_up
        assert links["eth0"].can_announce
        listed = {(str(each.address), each.prefix_bits) for each in kernel.addresses()}
        assert {("192.168.71.1", 24), ("fd00:71::1", 64), ("127.0.0.1", 8)} <= listed
        routes = {str(route.destination) for route in kernel.routes(4)}
        assert routes == {"192.168.71.0/24", "0.0.0.0/0"}
        missing = rtnetlink.Assigned(links["eth0"].index, next(iter(kernel.addresses())).address, 9)
        kernel.remove_address(missing)
        held = next(each for each in kernel.addresses() if each.index == links["eth0"].index)
        try:
            kernel.add_address(held)
        except OSError as problem:
            assert problem.errno == errno.EEXIST
        else:
            raise AssertionError("an address was put on an interface twice")


def scene_news_of_many_addresses_at_once_are_lost_aloud() -> None:
    with rtnetlink.AddressNews() as news:
        orders = "".join(
            f"addr {word} 10.{a}.{b}.1/32 dev eth0\n"
            for a in range(8)
            for b in range(250)
            for word in ("add", "del")
        )
        subprocess.run(["ip", "-batch", "-"], input=orders, text=True, check=True)
        try:
            while news.removed():
                pass
        except OSError as problem:
            assert problem.errno == errno.ENOBUFS
        else:
            raise AssertionError("the socket held all of it; make the flood greater")


class Controller:
    """Stands for crmd on the bus of a real lrmd."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answers: list[lrm.OperationFinished] = []
        self.connected = False
        code = "import sys; from lrmd.daemon import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", code, "--root", str(STATE), "--node", "litsha22"]
        self.daemon = subprocess.Popen(words)
        self.loop.call_soon(self._dial)

    def _dial(self) -> None:
        self.bus = Bus(Paths(STATE).bus_dir, "crmd", self._hear, lambda note: None)
        self.bus.dial("lrmd", Conversation(lrm.TO_LRMD, lrm.FROM_LRMD))

    def _hear(self, event: object) -> None:
        match event:
            case PeerConnected():
                self.connected = True
            case MessageArrived(_, lrm.OperationFinished() as answer):
                self.answers.append(answer)

    def until(self, is_true: Callable[[], bool], limit_s: float = 10) -> None:
        end = self.loop.time() + limit_s
        while not is_true():
            assert self.loop.time() < end, f"took too long; answers: {self.answers}"
            self.loop.call_later(0.005, self.loop.stop)
            self.loop.run_forever()

    def order(self, call_id: int, operation: str, interval_ms: int = 0) -> None:
        self.bus.tell(
            "lrmd",
            lrm.Execute(
                call_id=call_id,
                key=f"{call_id}",
                resource="vip",
                agent=lrm.ResourceAgent("ocf", "IPaddr", "heartbeat"),
                operation=operation,
                interval_ms=interval_ms,
                parameters={"ip": VIP["ip"]},
            ),
        )

    def end(self) -> int:
        self.daemon.terminate()
        code = self.daemon.wait(10)
        self.bus.close()
        return code


def scene_lrmd_runs_orders_and_notices_an_address_removed_by_hand() -> None:
    crmd = Controller()
    try:
        crmd.until(lambda: crmd.connected)
        for call_id, (operation, interval_ms) in enumerate(
            (("monitor", 0), ("start", 0), ("monitor", 60_000)), start=1
        ):
            crmd.order(call_id, operation, interval_ms)
        crmd.until(lambda: len(crmd.answers) == 3)
        assert [(done.operation, done.rc) for done in crmd.answers] == [
            ("monitor", 7),
            ("start", 0),
            ("monitor", 0),
        ]
        assert "eth0:0" in shown(VIP["ip"])
        ip("addr", "del", "192.168.71.205/24", "dev", "eth0")
        crmd.until(lambda: len(crmd.answers) == 4, limit_s=2)
        assert (crmd.answers[3].call_id, crmd.answers[3].rc) == (3, 7)
        crmd.order(4, "start")
        crmd.until(lambda: len(crmd.answers) == 5)
    finally:
        code = crmd.end()
    assert code == 0
    assert shown(VIP["ip"]) != "", "a stop of lrmd leaves resources alone"
    log = Paths(STATE).ha_log.read_text()
    assert "IPaddr" in log
    assert "Sending Gratuitous Arp for 192.168.71.205 on eth0:0 [eth0]" in log


if __name__ == "__main__":
    lay_cable()
    globals()[f"scene_{sys.argv[1]}"]()
