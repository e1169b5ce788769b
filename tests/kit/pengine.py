"""Small clusters for scheduler tests: a CIB from a few words, and what is decided about it."""

from __future__ import annotations

from datetime import UTC, datetime

from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import Decision, schedule
from pengine.facts.changes import operation_digest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def primitive(
    key: str, *, meta: dict[str, str] | None = None, ops: str = "", more: str = ""
) -> str:
    """Write a Dummy primitive."""
    pairs = "".join(
        f'<nvpair id="{key}-{name}" name="{name}" value="{value}"/>'
        for name, value in (meta or {}).items()
    )
    attributes = f'<meta_attributes id="{key}-meta">{pairs}</meta_attributes>' if meta else ""
    operations = f"<operations>{ops}</operations>" if ops else ""
    return (
        f'<primitive id="{key}" class="ocf" provider="pacekeeper" type="Dummy">'
        f"{attributes}{more}{operations}</primitive>"
    )


def group(key: str, *members: str) -> str:
    """Write a group."""
    return f'<group id="{key}">{"".join(members)}</group>'


def monitor(key: str, interval: str = "10s", **attributes: str) -> str:
    """Write a recurring monitor; underscores in names become hyphens."""
    more = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in attributes.items())
    return f'<op id="{key}-monitor-{interval}" name="monitor" interval="{interval}"{more}/>'


def ran(
    operation: str,
    *,
    rc: int = 0,
    call: int = 1,
    interval_ms: int = 0,
    expected: int = 0,
    status: int = 0,
    **more: str,
) -> str:
    """Write a history entry of the resource `@`, which `history` fills in.

    It ran without parameters unless an `op_digest` says otherwise.
    """
    more.setdefault("op_digest", operation_digest({}, interval_ms, 20_000))
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return (
        f'<lrm_rsc_op id="@_{operation}_{interval_ms}" operation="{operation}"'
        f' interval="{interval_ms}" call-id="{call}" rc-code="{rc}" op-status="{status}"'
        f' transition-key="1:1:{expected}:00000000-0000-0000-0000-000000000000"{extra}/>'
    )


def moved(operation: str, *, call: int, rc: int = 0) -> str:
    """Write one half of a live migration from node1 to node2."""
    way = 'migrate_source="node1" migrate_target="node2"'
    return ran(operation, call=call, rc=rc).replace("<lrm_rsc_op ", f"<lrm_rsc_op {way} ")


def stopped() -> str:
    """Write the history of a resource that a probe found stopped."""
    return ran("monitor", rc=7, expected=7)


def started(call: int = 2) -> str:
    """Write the history of a resource that was started."""
    return ran("start", call=call)


def state(
    node: str,
    histories: dict[str, str] | None = None,
    *,
    online: bool = True,
    attributes: dict[str, str] | None = None,
) -> str:
    """Write a node_state with what the node remembers of resources."""
    word = "online" if online else "offline"
    resources = "".join(
        f'<lrm_resource id="{key}" class="ocf" provider="pacekeeper" type="Dummy">'
        f"{text.replace('@', key)}</lrm_resource>"
        for key, text in (histories or {}).items()
    )
    pairs = "".join(
        f'<nvpair id="st-{node}-{i}" name="{name}" value="{value}"/>'
        for i, (name, value) in enumerate((attributes or {}).items())
    )
    return (
        f'<node_state id="{node}" uname="{node}" in_ccm="{str(online).lower()}" crmd="{word}"'
        f' join="{"member" if online else "down"}" expected="{"member" if online else "down"}">'
        f'<transient_attributes id="{node}"><instance_attributes id="st-{node}">{pairs}'
        f"</instance_attributes></transient_attributes>"
        f'<lrm id="{node}"><lrm_resources>{resources}</lrm_resources></lrm></node_state>'
    )


def cib(
    resources: str,
    *,
    constraints: str = "",
    status: str | None = None,
    nodes: tuple[str, ...] = ("node1", "node2"),
    options: dict[str, str] | None = None,
    node_attributes: dict[str, dict[str, str]] | None = None,
    quorum: bool = True,
) -> bytes:
    """Write a whole CIB; every node is online and empty unless `status` says otherwise."""
    given = {"stonith-enabled": "false", **(options or {})}
    pairs = "".join(f'<nvpair id="o-{n}" name="{n}" value="{v}"/>' for n, v in given.items())
    written = ""
    for node in nodes:
        inner = "".join(
            f'<nvpair id="na-{node}-{n}" name="{n}" value="{v}"/>'
            for n, v in (node_attributes or {}).get(node, {}).items()
        )
        written += (
            f'<node id="{node}" uname="{node}"><instance_attributes id="na-{node}">{inner}'
            "</instance_attributes></node>"
        )
    states = status if status is not None else "".join(state(node) for node in nodes)
    return (
        f'<cib admin_epoch="0" epoch="1" num_updates="1" have-quorum="{int(quorum)}"'
        ' validate-with="pacemaker-3.0"><configuration><crm_config>'
        f'<cluster_property_set id="cib-bootstrap-options">{pairs}</cluster_property_set>'
        f"</crm_config><nodes>{written}</nodes><resources>{resources}</resources>"
        f"<constraints>{constraints}</constraints></configuration>"
        f"<status>{states}</status></cib>"
    ).encode()


def decide(document: bytes, now: datetime = NOW) -> Decision:
    """Schedule a document."""
    cluster, _ = reading.read(xml.parse(document))
    return schedule(cluster, now)


def actions(decision: Decision) -> list[str]:
    """List the graph's actions in graph order, as `key@node`; marks without a node."""
    return [
        f"{action.key}{'@' + action.node if action.node else ''}"
        for synapse in decision.graph.synapses
        for action in synapse.actions
    ]


def waits_for(decision: Decision, then: str) -> set[str]:
    """List what an action (`key@node`) waits for in the graph."""
    by_id = {
        action.id: f"{action.key}{'@' + action.node if action.node else ''}"
        for synapse in decision.graph.synapses
        for action in synapse.actions
    }
    for synapse in decision.graph.synapses:
        if by_id[synapse.actions[0].id] == then:
            return {by_id[number] for number in synapse.inputs}
    raise AssertionError(f"{then} is not in the graph: {sorted(by_id.values())}")
