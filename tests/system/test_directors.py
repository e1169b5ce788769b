"""The three directors of 2007: the story of the demonstration, and the log lines it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.lab.demo import EXAMPLE, Story
from cli.lab.evidence import log_of
from cli.lab.plan import LabPlan, read_plan
from cli.lab.remote import Lab
from cli.view.timeline import Timeline

pytestmark = pytest.mark.system

VIP = "IPaddr_192_168_71_205"

# What each chapter of the story must leave in the logs: the steps of the tutorial's listings.
# {holder} is the director that is lost first, {survivor} the one that is left alone at last.
CALLED_DEAD = (
    "heartbeat: [|]: WARN: node {holder}: is dead",
    "Link {holder}:eth1 dead.",
    "mem_handle_event: Got an event OC_EV_MS_NEW_MEMBERSHIP from ccm",
    "LOST: {holder}",
    "PEER: litsha21",
    "PEER: {survivor}",
)
QUORUM_OF_TWO = (
    "quorum plugin: majority",
    "member_count=2, member_quorum_votes=200",
    "total_node_count=3, total_quorum_votes=300",
)
ADDRESS_STARTS = (
    "/sbin/ifconfig eth0:0 192.168.71.205 netmask 255.255.255.0 broadcast 192.168.71.255",
    "Sending Gratuitous Arp for 192.168.71.205 on eth0:0 [eth0]",
    f"start_0 on {VIP} complete",
    f"Performing op monitor on {VIP} (interval=5000ms",
)
ALONE = (
    "node litsha21: is dead",
    "member_count=1, member_quorum_votes=100",
    "Quorum lost after event=INVALID",
    "/sbin/ifconfig eth0:0 192.168.71.205 down",
    "IP Address 192.168.71.205 released",
    f"stop_0 on {VIP} complete",
)
RETURN = (
    "Heartbeat restart on node litsha21",
    "Link litsha21:eth1 up.",
    "Status update for node litsha21: status active",
    "Client litsha21/cib now has status [join]",
    "Client litsha21/crmd now has status [online]",
    "Quorum (re)attained after event=NEW MEMBERSHIP",
    "CURRENT: litsha21 [nodeid=0, born=",
    "NEW:     litsha21 [nodeid=0, born=",
    "All 2 cluster nodes responded to the join offer.",
    "Syncing CIB to",
    "Set DC to {survivor}",
    "Initiating action",
)


@pytest.fixture
def plan() -> LabPlan:
    return read_plan(EXAMPLE)


def _missing(lines: list[str], wanted: tuple[str, ...], **names: str) -> list[str]:
    missing = []
    for text in wanted:
        parts = [part.format(**names) for part in text.split("|")]
        if not any(all(part in line for part in parts) for line in lines):
            missing.append(text.format(**names))
    return missing


def test_the_story_of_the_three_directors_with_its_log_lines(
    plan: LabPlan, make_lab: Callable[[LabPlan], Lab], tmp_path: Path
) -> None:
    lab = make_lab(plan)
    story = Story(lab, Timeline())
    try:
        story.tell()
    finally:
        story.close()
    names = {"holder": story.holder, "survivor": story.survivor}
    alone = log_of(lab, story.survivor).lines_since(0)
    assert _missing(alone, CALLED_DEAD + QUORUM_OF_TWO, **names) == []
    assert _missing(alone, ADDRESS_STARTS, **names) == []
    assert _missing(alone, ALONE, **names) == []
    assert _missing(alone, RETURN, **names) == []
    home = log_of(lab, "litsha21").lines_since(0)
    assert _missing(home, CALLED_DEAD, **names) == []
    decided = [line for node in lab.status()["hosts"] for line in log_of(lab, node).lines_since(0)]
    assert (
        _missing(
            decided,
            (
                "unpack_nodes|Node litsha21 is in standby-mode",
                "determine_online_status|Node {survivor} is online",
                "{survivor}|Start {vip}",
                "Created transition graph",
                "PEngine Input stored in:|pe-input-",
                "S_TRANSITION_ENGINE -> S_IDLE",
                "of the CIB to disk (digest:",
                "Sending full refresh",
            ),
            vip=VIP,
            **names,
        )
        == []
    )
