"""Seed 002, listings 10 to 13: who holds the address, as the crmds tell it.

The listings are four stretches of one story: litsha21 is in standby, litsha23 holds the address
and dies (10, 11); litsha21 dies as well and litsha22, without quorum, lets go (12); litsha21
returns and litsha22, the older, leads (13). What the crmds and their tengine log there must come
in that order; the transcripts beside this file hold the whole of what ours say. `BLESS=1` writes
them anew.
"""

import os
import re
from pathlib import Path

import pytest

from tests.kit.controller import ControllerCluster

HERE = Path(__file__).parent
ALL = ("litsha21", "litsha22", "litsha23")


def tell_story() -> dict[str, list[str]]:
    """Live through the four listings; the notes of the node that each was taken on."""
    cluster = ControllerCluster(*ALL)
    cluster.world.preferences["IPaddr_1"] = ["litsha23"]
    cluster.world.standby.add("litsha21")
    cluster.view_id = 12
    cluster.start_all()
    assert cluster.where("IPaddr_1") == ["litsha23"]
    told: dict[str, list[str]] = {}
    for node in cluster.nodes.values():
        node.notes.clear()
    cluster.crash("litsha23")
    cluster.run()
    told["listing-10"] = list(cluster["litsha21"].notes)
    told["listing-11"] = list(cluster["litsha22"].notes)
    cluster["litsha22"].notes.clear()
    assert cluster.where("IPaddr_1") == ["litsha22"]
    cluster.crash("litsha21")
    cluster.run()
    told["listing-12"] = list(cluster["litsha22"].notes)
    cluster["litsha22"].notes.clear()
    assert cluster.where("IPaddr_1") == []
    cluster.revive("litsha21")
    cluster.run()
    told["listing-13"] = list(cluster["litsha22"].notes)
    assert cluster.where("IPaddr_1") == ["litsha22"]
    return told


MUST_SAY = {
    "listing-10": [
        r"mem_handle_event: Got an event OC_EV_MS_NEW_MEMBERSHIP from ccm",
        r"mem_handle_event: instance=14, nodes=2, new=0, lost=1, n_idx=0, new_idx=2, old_idx=5",
        r"send_rsc_command: Initiating action \d+: IPaddr_1_start_0 on litsha22",
        r"State transition S_TRANSITION_ENGINE -> S_IDLE"
        r" \[ input=I_TE_SUCCESS cause=C_IPC_MESSAGE origin=do_msg_route \]",
    ],
    "listing-11": [
        r"do_lrm_rsc_op: Performing op start on IPaddr_1 \(interval=0ms, key=\d+:",
        r"process_lrm_event: LRM operation \(\d+\) start_0 on IPaddr_1 complete",
        r"do_lrm_rsc_op: Performing op monitor on IPaddr_1 \(interval=5000ms, key=\d+:",
    ],
    "listing-12": [
        r"crmd_ccm_msg_callback: Quorum lost after event=INVALID \(id=15\)",
        r"check_dead_member: Our DC node \(litsha21\) left the cluster",
        r"update_dc: Set DC to litsha22 \(3\.0\.1\)",
        r"process_lrm_event: LRM operation \(\d+\) stop_0 on IPaddr_1 complete",
    ],
    "listing-13": [
        r"crmd_ccm_msg_callback: Quorum \(re\)attained after event=NEW MEMBERSHIP \(id=16\)",
        r"ccm_event_detail: NEW MEMBERSHIP: trans=16, nodes=2, new=1, lost=0"
        r" n_idx=0, new_idx=2, old_idx=5",
        r"ccm_event_detail:     NEW:     litsha21 \[nodeid=0, born=16\]",
        r"State transition S_INTEGRATION -> S_FINALIZE_JOIN"
        r" \[ input=I_INTEGRATED cause=C_FSA_INTERNAL origin=check_join_state \]",
        r"do_state_transition: All 2 cluster nodes responded to the join offer\.",
        r"send_rsc_command: Initiating action \d+: IPaddr_1_start_0 on litsha22",
        r"process_lrm_event: LRM operation \(\d+\) start_0 on IPaddr_1 complete",
        r"match_graph_event: Action IPaddr_1_start_0 \(\d+\) confirmed",
        r"Initiating action \d+: IPaddr_1_monitor_5000 on litsha22",
        r"process_lrm_event: LRM operation \(\d+\) monitor_5000 on IPaddr_1 complete",
    ],
}


@pytest.mark.parametrize("listing", sorted(MUST_SAY))
def test_the_lines_of_the_listing_come_in_its_order(listing: str) -> None:
    lines = tell_story()[listing]
    position = 0
    for wanted in MUST_SAY[listing]:
        rest = [n for n in range(position, len(lines)) if re.search(wanted, lines[n])]
        assert rest, f"after line {position} nothing like: {wanted}\n" + "\n".join(lines)
        position = rest[0] + 1


@pytest.mark.parametrize("listing", sorted(MUST_SAY))
def test_the_whole_conversation_is_as_written(listing: str) -> None:
    path = HERE / f"{listing}.txt"
    text = "\n".join(tell_story()[listing]) + "\n"
    if os.environ.get("BLESS"):
        path.write_text(text)
    assert path.read_text() == text
