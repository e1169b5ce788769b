"""Whatever the CIB: a decision comes out, and it keeps what must always hold."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import Decision
from pengine.facts.instances import Instance, Requires
from pengine.simulate import simulate
from tests.kit.pengine import (
    actions,
    cib,
    decide,
    group,
    monitor,
    moved,
    primitive,
    ran,
    started,
    state,
    stopped,
)

NODES = ("node1", "node2", "node3")
NAMES = ("a", "b", "c", "d", "e")

_HISTORIES = (
    "",
    stopped(),
    started(),
    started() + ran("monitor", interval_ms=10000, call=3),
    started() + ran("monitor", rc=7, interval_ms=10000, call=3),
    started() + ran("stop", rc=1, call=3),
    started() + ran("stop", call=3),
    ran("start", rc=5),
    ran("start", rc=1, status=2),
    ran("start", rc=193, call=-1, status=-1),
    ran("monitor", rc=1, expected=7),
    started() + ran("promote", call=3),
    started() + ran("demote", rc=1, call=4),
    ran("monitor", rc=8, expected=7),
)
_MIGRATIONS = (
    started() + moved("migrate_to", call=3),
    started() + moved("migrate_to", call=3, rc=1),
    stopped() + moved("migrate_from", call=3),
    moved("migrate_from", call=3, rc=1),
    started() + moved("migrate_to", call=3) + ran("stop", call=4),
)
_META = st.dictionaries(
    st.sampled_from(("resource-stickiness", "migration-threshold", "priority")),
    st.sampled_from(("0", "1", "100", "INFINITY", "nonsense")),
)
_FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "target-role": st.sampled_from(("Started", "Stopped")),
        "is-managed": st.sampled_from(("true", "false")),
        "allow-migrate": st.sampled_from(("true", "false")),
        "multiple-active": st.sampled_from(("stop_start", "stop_only", "block")),
    },
)
_REQUIRES = st.sampled_from(("", "nothing", "quorum", "fencing", "unfencing", "nonsense"))
_DEVICE = (
    '<primitive id="fence" class="stonith" type="fence_dummy"><meta_attributes id="fence-meta">'
    '<nvpair id="fence-provides" name="provides" value="{provides}"/></meta_attributes></primitive>'
)
_REMOTE = (
    '<primitive id="far" class="ocf" provider="pacemaker" type="remote"><operations>'
    '<op id="far-monitor" name="monitor" interval="10s"/></operations></primitive>'
)
_SCORES = st.sampled_from(("INFINITY", "-INFINITY", "100", "-100", "0"))


def _special_meta(name: str) -> st.SearchStrategy[dict[str, str]]:
    requires = _REQUIRES.map(lambda word: {"requires": word} if word else {})
    if name != "e":
        return requires
    return st.one_of(requires, st.just({"remote-node": "near"}))


@st.composite
def clone_meta(draw: st.DrawFn) -> str:
    """Write the meta attributes of a clone of any kind."""
    given = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "promotable": st.sampled_from(("true", "false")),
                "notify": st.sampled_from(("true", "false")),
                "globally-unique": st.sampled_from(("true", "false")),
                "interleave": st.sampled_from(("true", "false")),
                "ordered": st.sampled_from(("true", "false")),
                "clone-max": st.sampled_from(("0", "1", "2", "5", "nonsense")),
                "clone-node-max": st.sampled_from(("1", "2")),
                "promoted-max": st.sampled_from(("0", "1", "2")),
                "target-role": st.sampled_from(("Stopped", "Unpromoted", "Promoted")),
            },
        )
    )
    pairs = "".join(
        f'<nvpair id="cl-{name}" name="{name}" value="{value}"/>' for name, value in given.items()
    )
    return f'<meta_attributes id="cl-meta">{pairs}</meta_attributes>'


@st.composite
def resources(draw: st.DrawFn) -> str:
    made = [
        primitive(
            name,
            meta={**draw(_META), **draw(_FLAGS), **draw(_special_meta(name))},
            ops=monitor(
                name,
                on_fail=draw(st.sampled_from(("restart", "ignore", "stop", "block", "fence"))),
            ),
        )
        for name in NAMES
    ]
    if draw(st.booleans()):
        made.append(_DEVICE.format(provides=draw(st.sampled_from(("", "unfencing")))))
    if draw(st.booleans()):
        made.append(_REMOTE)
    shape = draw(st.sampled_from(("plain", "group", "clone")))
    if shape == "group":
        return group("g", *made[:3]) + "".join(made[3:])
    if shape == "clone":
        return (
            f'<clone id="cl">{draw(clone_meta())}{made[0]}</clone>'
            + group("g", made[1], made[2])
            + "".join(made[3:])
        )
    return "".join(made)


_COLOCATED_ROLES = st.sampled_from(
    ("", ' rsc-role="Promoted"', ' with-rsc-role="Promoted"', ' rsc-role="Started"')
)
_STEPS = st.sampled_from(
    ("", ' first-action="promote" then-action="start"', ' first-action="stop"')
)


@st.composite
def constraints(draw: st.DrawFn) -> str:
    names = st.sampled_from((*NAMES, "g", "cl", "nobody"))
    text = ""
    for index in range(draw(st.integers(0, 4))):
        one, other = draw(names), draw(names)
        match draw(st.sampled_from(("location", "colocation", "order", "ticket"))):
            case "ticket":
                policy = draw(st.sampled_from(("stop", "demote", "fence", "freeze")))
                role = draw(st.sampled_from(("", ' rsc-role="Promoted"')))
                text += (
                    f'<rsc_ticket id="t{index}" rsc="{one}" ticket="T"{role}'
                    f' loss-policy="{policy}"/>'
                )
            case "location":
                node = draw(st.sampled_from(NODES))
                text += (
                    f'<rsc_location id="l{index}" rsc="{one}" node="{node}"'
                    f' score="{draw(_SCORES)}"/>'
                )
            case "colocation":
                text += (
                    f'<rsc_colocation id="c{index}" rsc="{one}" with-rsc="{other}"'
                    f' score="{draw(_SCORES)}"{draw(_COLOCATED_ROLES)}/>'
                )
            case "order":
                kind = draw(st.sampled_from(("Mandatory", "Optional", "Serialize")))
                text += (
                    f'<rsc_order id="o{index}" first="{one}" then="{other}"'
                    f' kind="{kind}"{draw(_STEPS)}/>'
                )
    return text


_STATES = (
    'join="down" expected="down"',
    'join="down" expected="member"',
    'join="banned" expected="member"',
    'join="" expected=""',
)
"""How nodes that are away are described."""

_REMOTE_NODES = ((), ("far",), ("near", "far"))


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    shape = draw(st.sampled_from(_STATES))
    status = "".join(
        state(
            node,
            {
                n: text
                for n in (*NAMES, "far", "near")
                if (text := draw(st.sampled_from((*_HISTORIES, *_MIGRATIONS))))
            },
            online=draw(st.booleans()),
            attributes=draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "standby": st.sampled_from(("on", "off")),
                        "shutdown": st.sampled_from(("0", "1700000000")),
                        "fail-count-a": st.sampled_from(("1", "INFINITY")),
                        "master-a": st.sampled_from(("5", "-1", "INFINITY", "nonsense")),
                        "#health-disk": st.sampled_from(("red", "yellow", "7", "nonsense")),
                    },
                )
            ),
        )
        for node in (*NODES, *draw(st.sampled_from(_REMOTE_NODES)))
    )
    status = status.replace('join="down" expected="down"', shape)
    return cib(
        draw(resources()),
        constraints=draw(constraints()),
        status=status,
        nodes=NODES,
        quorum=draw(st.booleans()),
        options=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "no-quorum-policy": st.sampled_from(("stop", "freeze", "ignore", "fence")),
                    "symmetric-cluster": st.sampled_from(("true", "false")),
                    "maintenance-mode": st.sampled_from(("true", "false")),
                    "stonith-enabled": st.sampled_from(("true", "false")),
                    "placement-strategy": st.sampled_from(("balanced", "utilization", "minimal")),
                    "node-health-strategy": st.sampled_from(("only-green", "progressive")),
                    "concurrent-fencing": st.sampled_from(("true", "false")),
                    "startup-fencing": st.sampled_from(("true", "false")),
                    "priority-fencing-delay": st.sampled_from(("0", "15s")),
                    "shutdown-lock": st.sampled_from(("true", "false")),
                },
            )
        ),
    )


def check_inputs_exist(decision: Decision) -> None:
    known = {a.id for s in decision.graph.synapses for a in s.actions}
    for synapse in decision.graph.synapses:
        assert set(synapse.inputs) <= known


def check_nothing_starts_before_it_stopped_elsewhere(decision: Decision) -> None:
    keys = actions(decision)
    for instance in decision.facts.instances():
        starts = [a for a in decision.plan.actions_of(instance.id) if a.task.value == "start"]
        for start in starts:
            if not decision.plan.is_in_graph(start.id):
                continue
            for node in decision.facts.activity[instance.id].nodes:
                if node != start.node and not _needs_no_fencing(decision, instance, node):
                    stop = start.key.replace("_start_0", "_stop_0")
                    # A stop that fencing brings about is carried out nowhere.
                    assert {f"{stop}@{node}", stop} & set(keys)


def _needs_no_fencing(decision: Decision, instance: Instance, node: str) -> bool:
    """Tell whether an instance may start again before an unclean node is fenced."""
    safe = instance.meta.requires in (Requires.NOTHING, Requires.QUORUM)
    return safe and decision.facts.node(node).unclean


def check_no_unusable_node_is_chosen(decision: Decision) -> None:
    usable = {node.name for node in decision.placement.nodes if node.may_run}
    for instance in decision.facts.instances():
        node = decision.placement.node_of(instance.id)
        if node is not None and decision.facts.is_managed(instance):
            assert node in usable
            assert decision.placement.choices[instance.id].final_scores[node] >= 0


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(documents())
def test_any_cib_gives_a_sound_graph_that_runs_to_its_end(document: bytes) -> None:
    decision = decide(document)
    check_inputs_exist(decision)
    check_nothing_starts_before_it_stopped_elsewhere(decision)
    check_no_unusable_node_is_chosen(decision)
    real = [key for key in actions(decision) if "@" in key]
    assert len(set(real)) == len(real)
    assert decision.sentence
    cluster_after = simulate_on(document, decision)
    assert cluster_after


def simulate_on(document: bytes, decision: Decision) -> bool:
    """Carry the graph out; a loop in it would leave something waiting for ever."""
    cluster, _ = reading.read(xml.parse(document))
    return simulate(cluster, decision.graph).complete
