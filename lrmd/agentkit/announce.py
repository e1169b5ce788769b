"""Telling neighbours who owns an address now: gratuitous ARP, unsolicited neighbour advertisement.

Responsible for the packets and for sending them once. Repeating them is the agent's business.

Source: RFC 826, RFC 5227 section 3; RFC 4861 sections 4.4 and 7.2.6.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from lrmd.rtnetlink import Address, Link

BROADCAST = b"\xff" * 6
_ETHERTYPE_ARP = 0x0806
_ARP_REQUEST, _ARP_REPLY = 1, 2
_ND_ADVERTISEMENT = 136
_OVERRIDE = 0x20000000
_TARGET_LINK_ADDRESS = 2
_ALL_NODES = "ff02::1"


def gratuitous_arp(
    address: ipaddress.IPv4Address, hardware: bytes, operation: int, target: bytes = BROADCAST
) -> bytes:
    """Build an Ethernet frame in which `address` is both asked for and answered by `hardware`."""
    ethernet = target + hardware + struct.pack(">H", _ETHERTYPE_ARP)
    arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
    return ethernet + arp + hardware + address.packed + target + address.packed


def neighbour_advertisement(address: ipaddress.IPv6Address, hardware: bytes) -> bytes:
    """Build the ICMPv6 message by which `hardware` takes over `address`; the kernel sums it up."""
    head = struct.pack(">BBHI", _ND_ADVERTISEMENT, 0, 0, _OVERRIDE)
    return head + address.packed + struct.pack(">BB", _TARGET_LINK_ADDRESS, 1) + hardware


def open_wire(address: Address, link: Link) -> socket.socket:
    """Open the socket announcements of an address leave by.

    Closing it for good makes the kernel wait for all its processors (10 ms and more): whoever is in
    a hurry leaves that to a process in the background.

    Raises: OSError if this process may not send raw packets, or the interface is gone.
    """
    if isinstance(address, ipaddress.IPv4Address):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        bind_to: tuple[object, ...] = (link.name, 0)
    else:
        wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        bind_to = (str(address), 0, 0, link.index if address.is_link_local else 0)
    try:
        if isinstance(address, ipaddress.IPv6Address):
            wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        wire.bind(bind_to)
    except OSError:
        wire.close()
        raise
    return wire


def announce(wire: socket.socket, address: Address, link: Link, target: bytes = BROADCAST) -> None:
    """Tell all neighbours on an interface, once.

    ARP goes out as request and as reply, since some hosts heed only one of them.
    """
    if isinstance(address, ipaddress.IPv4Address):
        for operation in (_ARP_REQUEST, _ARP_REPLY):
            wire.send(gratuitous_arp(address, link.hardware, operation, target))
        return
    wire.sendto(neighbour_advertisement(address, link.hardware), (_ALL_NODES, 0, 0, link.index))
