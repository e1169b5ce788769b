"""What links say of themselves; tests/agents holds the rest against a real kernel."""

from __future__ import annotations

import subprocess
import sys

from lrmd import rtnetlink


def test_loopback_and_point_to_point_links_have_nobody_to_announce_to() -> None:
    hardware = bytes.fromhex("020000000001")
    assert rtnetlink.Link(1, "eth0", 0x1003, hardware).can_announce
    assert not rtnetlink.Link(1, "lo", 0x9, bytes(6)).can_announce
    assert not rtnetlink.Link(1, "tun0", 0x1091, b"").can_announce


def test_an_agent_that_asks_the_kernel_nothing_does_not_load_pyroute2() -> None:
    code = "import sys, lrmd.agents.ipaddr; sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
