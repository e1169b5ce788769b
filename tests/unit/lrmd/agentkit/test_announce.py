"""Announcement packets against the layout of RFC 826 and RFC 4861, byte by byte."""

from __future__ import annotations

import ipaddress

from lrmd.agentkit import announce

HARDWARE = bytes.fromhex("02fc00000001")


def test_gratuitous_arp_names_the_address_twice_and_goes_to_everybody() -> None:
    packet = announce.gratuitous_arp(ipaddress.IPv4Address("192.168.71.205"), HARDWARE, 1)
    expected = (
        "ffffffffffff 02fc00000001 0806"
        " 0001 0800 06 04 0001"
        " 02fc00000001 c0a847cd ffffffffffff c0a847cd"
    )
    assert packet == bytes.fromhex(expected)


def test_an_advertisement_overrides_and_carries_the_hardware_address() -> None:
    packet = announce.neighbour_advertisement(ipaddress.IPv6Address("fd00::205"), HARDWARE)
    expected = "88 00 0000 20000000 fd000000000000000000000000000205 02 01 02fc00000001"
    assert packet == bytes.fromhex(expected)
