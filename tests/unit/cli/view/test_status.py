"""What recorded operations add up to, and the picture drawn of it."""

import pytest

from cli.view import history as history_view
from cli.view import monitor
from cli.view.status import ClusterView, read_status
from cli.view.wishes import Wishes
from crm.model.readxml.configuration import read
from crm.plumbing import xml


def node_state(number: int, *history: str, extra: str = "", crmd: str = "online") -> str:
    return (
        f'<node_state id="{number}" uname="n{number}" in_ccm="true" crmd="{crmd}" join="member"'
        ' expected="member">'
        f"{extra}<lrm id='{number}'><lrm_resources>{''.join(history)}</lrm_resources></lrm>"
        "</node_state>"
    )


def history(resource: str, *operations: tuple[str, int, int]) -> str:
    """Write operations as (name, interval_ms, rc), called in this order."""
    lines = [
        f'<lrm_rsc_op id="{resource}_{name}_{interval}" operation="{name}" interval="{interval}" '
        f'call-id="{call}" rc-code="{rc}" op-status="0" transition-key="1:1:0:x"/>'
        for call, (name, interval, rc) in enumerate(operations, 1)
    ]
    return (
        f'<lrm_resource id="{resource}" class="ocf" provider="x" type="T">{"".join(lines)}'
        "</lrm_resource>"
    )


UNFENCED = '<nvpair id="f" name="stonith-enabled" value="false"/>'


def picture(
    resources: str,
    *states: str,
    root: str = 'dc-uuid="1" have-quorum="1"',
    options: str = "",
    nodes: str = '<node id="1" uname="n1"/><node id="2" uname="n2"/>',
    constraints: str = "",
    fencing: str = UNFENCED,
) -> ClusterView:
    text = (
        f"<cib {root}><configuration><crm_config><cluster_property_set id='o'>{fencing}{options}"
        f"</cluster_property_set></crm_config><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources><constraints>{constraints}</constraints></configuration>"
        f"<status>{''.join(states)}</status></cib>"
    )
    return read_status(read(xml.parse(text.encode())))


A = '<primitive id="a" class="ocf" provider="x" type="T"/>'
START, STOP, PROBE = ("start", 0, 0), ("stop", 0, 0), ("monitor", 0, 7)


@pytest.mark.parametrize(
    ("operations", "shown"),
    [
        ([PROBE], "Stopped"),
        ([("monitor", 0, 0)], "Started n1"),
        ([PROBE, START], "Started n1"),
        ([START, ("monitor", 5000, 0)], "Started n1"),
        ([START, STOP], "Stopped"),
        ([START, ("monitor", 5000, 1)], "FAILED n1"),
        ([START, ("monitor", 5000, 7)], "FAILED n1"),
        ([("start", 0, 1)], "FAILED n1"),
        ([("start", 0, 1), STOP], "Stopped"),
        ([START, ("monitor", 5000, 1), STOP, START], "Started n1"),
        ([START, ("stop", 0, 1)], "FAILED n1 (blocked)"),
        ([("monitor", 0, 5)], "Stopped (not installed)"),
        ([("migrate_from", 0, 0)], "Started n1"),
    ],
)
def test_a_history_adds_up_to_what_is_shown(
    operations: list[tuple[str, int, int]], shown: str
) -> None:
    view = picture(A, node_state(1, history("a", *operations)))
    assert f"  * a\t(ocf:x:T):\t {shown}" in monitor.text(view, Wishes(inactive=True)).splitlines()


def test_the_whole_picture_is_laid_out_as_people_know_it() -> None:
    resources = (
        f'{A}<group id="g"><primitive id="b" class="lsb" type="httpd"/>'
        '<primitive id="c" class="ocf" provider="x" type="T"/></group>'
        '<clone id="cl"><primitive id="p" class="ocf" provider="x" type="T"/></clone>'
    )
    view = picture(
        resources,
        node_state(1, history("a", START), history("b", START), history("p", START)),
        node_state(2, history("p", START)),
    )
    lines = monitor.text(
        view, Wishes(inactive=True, stack="heartbeat", release=monitor.RELEASE)
    ).splitlines()
    assert lines[0:3] == [
        "Cluster Summary:",
        "  * Stack: heartbeat",
        f"  * Current DC: n1 (version {monitor.RELEASE}) - partition with quorum",
    ]
    assert lines[5:] == [
        "  * 2 nodes configured",
        "  * 5 resource instances configured",
        "",
        "Node List:",
        "  * Online: [ n1 n2 ]",
        "",
        "Full List of Resources:",
        "  * a\t(ocf:x:T):\t Started n1",
        "  * Resource Group: g:",
        "    * b\t(lsb:httpd):\t Started n1",
        "    * c\t(ocf:x:T):\t Stopped",
        "  * Clone Set: cl [p]:",
        "    * Started: [ n1 n2 ]",
    ]


def test_what_is_not_running_is_left_out_unless_asked_for() -> None:
    view = picture(A, node_state(1, history("a", PROBE)))
    assert "  * No active resources" in monitor.text(view, Wishes())


def test_without_quorum_the_summary_says_so_in_capitals() -> None:
    view = picture(A, node_state(1), root='dc-uuid="1" have-quorum="0"')
    assert "partition WITHOUT quorum" in monitor.text(view, Wishes())


def test_each_state_of_a_node_has_its_word() -> None:
    nodes = (
        '<node id="1" uname="n1"/><node id="3" uname="n3"/><node id="4" uname="n4"/>'
        '<node id="2" uname="n2"><instance_attributes id="i">'
        '<nvpair id="s" name="standby" value="on"/></instance_attributes></node>'
    )
    # Without fencing a node that has not joined yet is as good as offline.
    starting = node_state(4).replace('join="member"', 'join="pending"')
    view = picture(A, node_state(1), node_state(2), starting, nodes=nodes)
    assert {node.name: view.state(node) for node in view.nodes} == {
        "n1": "online", "n2": "standby", "n3": "OFFLINE", "n4": "OFFLINE",
    }  # fmt: skip


@pytest.mark.parametrize(("since", "online"), [("1700000000", True), ("0", False)])
def test_membership_may_be_written_as_the_time_since_when(since: str, online: bool) -> None:
    state = f'<node_state id="1" uname="n1" in_ccm="{since}" crmd="{since}" join="member"/>'
    node = picture(A, state).node("n1")
    assert node is not None
    assert node.online is online


def test_the_history_of_a_node_that_is_gone_runs_nothing() -> None:
    gone = '<node_state id="1" uname="n1" in_ccm="false" crmd="offline"><lrm id="1"><lrm_resources>'
    view = picture(A, f"{gone}{history('a', START)}</lrm_resources></lrm></node_state>")
    assert not view.is_running("a")


def test_a_failure_is_listed_with_reason_and_exit_code() -> None:
    broken = history("a", START, ("monitor", 10_000, 1)).replace(
        'rc-code="1"', 'rc-code="1" exit-reason="disk full"'
    )
    text = monitor.text(picture(A, node_state(1, broken)), Wishes())
    assert "  * a 10s-interval monitor on n1 returned 'error' (disk full)" in text.splitlines()


def test_fail_counts_of_both_spellings_are_added_up_to_infinity() -> None:
    extra = (
        '<transient_attributes id="1"><instance_attributes id="s">'
        '<nvpair id="x" name="fail-count-a" value="2"/>'
        '<nvpair id="y" name="fail-count-a#monitor_5000" value="3"/>'
        '<nvpair id="z" name="fail-count-b#start_0" value="INFINITY"/>'
        "</instance_attributes></transient_attributes>"
    )
    node = picture(A, node_state(1, extra=extra)).node("n1")
    assert node is not None
    assert (history_view.fail_count(node, "a"), history_view.fail_count(node, "b")) == (
        5,
        1_000_000,
    )


def test_a_resource_nobody_configured_is_shown_as_orphaned() -> None:
    view = picture(A, node_state(1, history("old", START)))
    assert "  * old\t(ocf:x:T):\t ORPHANED Started n1" in monitor.text(view, Wishes())


def test_maintenance_is_announced_and_marked_on_each_resource() -> None:
    options = '<nvpair id="m" name="maintenance-mode" value="true"/>'
    view = picture(A, node_state(1, history("a", START)), options=options)
    text = monitor.text(view, Wishes())
    assert "*** Resource management is DISABLED ***" in text
    assert "Started n1 (unmanaged)" in text


def test_promoted_instances_are_told_apart() -> None:
    clone = (
        '<clone id="m"><meta_attributes id="x"><nvpair id="y" name="promotable" value="true"/>'
        '</meta_attributes><primitive id="p" class="ocf" provider="x" type="T"/></clone>'
    )
    view = picture(
        clone,
        node_state(1, history("p", START, ("promote", 0, 0))),
        node_state(2, history("p", START)),
    )
    lines = monitor.text(view, Wishes()).splitlines()
    assert lines[-3:] == [
        "  * Clone Set: m [p] (promotable):",
        "    * Promoted: [ n1 ]",
        "    * Unpromoted: [ n2 ]",
    ]


def test_what_move_and_ban_left_behind_is_named_in_one_line() -> None:
    left = (
        '<rsc_location id="cli-prefer-a" rsc="a" node="n1" score="INFINITY"/>'
        '<rsc_location id="cli-ban-b-on-n2" rsc="b" node="n2" score="-INFINITY"/>'
        '<rsc_location id="by-hand" rsc="a" node="n1" score="10"/>'
    )
    view = picture(A, node_state(1), constraints=left)
    assert monitor.text(view, Wishes(leftovers=True)).splitlines()[-1] == (
        "Left by move or ban: cli-prefer-a, cli-ban-b-on-n2 (to end it: crm resource clear a b)"
    )


def test_without_leftovers_nothing_is_said_of_them() -> None:
    assert "Left by" not in monitor.text(picture(A, node_state(1)), Wishes())


def test_a_bundle_shows_what_runs_in_each_container_where_the_container_is() -> None:
    resources = (
        f'<bundle id="b"><podman image="i:1" replicas="2"/><network control-port="9"/>{A}</bundle>'
    )
    inside = node_state(1, history("a", START)).replace('id="1" uname="n1"', 'id="b-0"')
    found = picture(
        resources,
        node_state(1, history("b-podman-0", START), history("b-0", START)),
        node_state(2),
        inside.replace("<node_state", '<node_state remote_node="true"', 1),
    )
    assert monitor.text(
        found, Wishes(sections=frozenset({"resources", "dc"}), inactive=True)
    ).split("\n\n")[-1] == (
        "Full List of Resources:\n"
        "  * Container bundle set: b [i:1]:\n"
        "    * b-0\t(ocf:x:T):\t Started n1\n"
        "    * b-1\t(ocf:x:T):\t Stopped"
    )


def test_a_copy_found_promoted_is_listed_so_even_if_its_clone_cannot_be_promoted() -> None:
    clone = f'<clone id="c">{A}</clone>'
    view = picture(clone, node_state(1, history("a", ("monitor", 0, 8))), node_state(2))
    assert monitor.text(view, Wishes()).splitlines()[-1] == "    * Promoted: [ n1 ]"


@pytest.mark.parametrize(("symmetric", "listed"), [("true", "[ n1 n2 ]"), ("false", "[ n1 ]")])
def test_where_clusters_are_opted_in_to_only_nodes_that_know_a_clone_are_listed(
    symmetric: str, listed: str
) -> None:
    clone = f'<clone id="c">{A}</clone>'
    options = f'<nvpair id="s" name="symmetric-cluster" value="{symmetric}"/>'
    view = picture(clone, node_state(1, history("a", PROBE)), node_state(2), options=options)
    lines = monitor.text(view, Wishes(inactive=True)).splitlines()
    assert lines[-1] == f"    * Stopped: {listed}"


def test_what_nobody_configured_is_not_shown_where_a_guest_is_down() -> None:
    guest = A.replace(
        "/>",
        '><meta_attributes id="m"><nvpair id="g" name="remote-node" value="g1"/></meta_attributes>'
        "</primitive>",
    )
    device = '<primitive id="f" class="stonith" type="T"/>'
    inside = (
        '<node_state id="g1" uname="g1" remote_node="true"><lrm id="g1"><lrm_resources>'
        f"{history('old', START)}</lrm_resources></lrm></node_state>"
    )
    fencing = UNFENCED.replace("false", "true")
    view = picture(guest + device, node_state(1), node_state(2), inside, fencing=fencing)
    assert "old" not in monitor.text(view, Wishes(inactive=True))


def test_one_line_counts_nodes_and_names_each_that_is_away() -> None:
    up, idle = node_state(1), node_state(2)
    standby = (
        '<node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="i">'
        '<nvpair id="s" name="standby" value="on"/></instance_attributes></node>'
    )
    assert monitor.one_line(picture(A, up, idle, nodes=standby)) == (
        0, "CLUSTER OK: 1 node online, 1 standby node, 1 resource instance configured",
    )  # fmt: skip
    away = picture(A, node_state(1, crmd="offline"), node_state(2, crmd="offline"), root="")
    assert monitor.one_line(away) == (
        1, "CLUSTER WARN: No DC, offline node: n1 offline node: n2",
    )  # fmt: skip


def test_in_brief_by_node_only_nodes_that_run_something_are_shown() -> None:
    view = picture(A, node_state(1, history("a", START)), node_state(2))
    lines = monitor.text(view, Wishes(by_node=True, brief=True)).splitlines()
    at = lines.index("Node List:")
    assert lines[at + 1 :][:3] == [
        "  * Node n1: online:",
        "    * Resources:",
        "      * 1\t(ocf:x:T):\tActive",
    ]
    assert not any("n2" in line for line in lines)


def test_a_ticket_that_only_a_constraint_names_counts_as_revoked() -> None:
    wanted = '<rsc_ticket id="t" ticket="tickA" rsc="a"/>'
    view = picture(A, node_state(1), constraints=wanted)
    lines = monitor.text(view, Wishes(sections=frozenset({"tickets"}))).splitlines()
    assert lines[-2:] == ["Tickets:", "  * tickA:\trevoked"]


def test_the_last_negative_constraint_comes_first() -> None:
    bans = "".join(
        f'<rsc_location id="l{n}" rsc="a" node="n{n}" score="-INFINITY"/>' for n in (1, 2)
    )
    view = picture(A, node_state(1), node_state(2), constraints=bans)
    lines = monitor.text(view, Wishes(sections=frozenset({"bans"}))).splitlines()
    assert [line.split("\t")[0] for line in lines[-2:]] == ["  * l2", "  * l1"]


def test_what_a_record_does_not_tell_is_not_made_up() -> None:
    view = picture(A, node_state(1, history("a", ("start", 0, 1))))
    wishes = Wishes(sections=frozenset({"operations", "failures"}), timing=True, detail=True)
    lines = monitor.text(view, wishes).splitlines()
    assert "      * (1) start: rc=1 (error)" in lines
    assert lines[-1] == "  * a_start_0 on n1 'error' (1): call=1, status='complete'"


@pytest.mark.parametrize(
    ("took_ms", "shown"),
    [(58, "58ms"), (30160, "30.160s"), (60000, "60s"), (90500, "1m30.500s"), (2000, "2s")],
)
def test_a_duration_is_told_in_seconds_and_thousandths(took_ms: int, shown: str) -> None:
    failed = history("a", ("start", 0, 1)).replace(
        "op-status", f'last-rc-change="1" exec-time="{took_ms}" op-status'
    )
    lines = monitor.text(picture(A, node_state(1, failed)), Wishes()).splitlines()
    assert lines[-1].endswith(f" after {shown}")


def test_nodes_of_different_releases_are_told_of() -> None:
    told = [
        f'<transient_attributes id="{n}"><instance_attributes id="i{n}"><nvpair id="f{n}"'
        f' name="#feature-set" value="3.{n}"/></instance_attributes></transient_attributes>'
        for n in (1, 2)
    ]
    view = picture(A, node_state(1, extra=told[0]), node_state(2, extra=told[1]))
    assert "MIXED-VERSION partition with quorum" in monitor.text(view, Wishes())
