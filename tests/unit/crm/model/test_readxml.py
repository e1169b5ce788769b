"""Reading a CIB into values: what is understood, and what is left out with a problem."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm.model.constraints import Order, OrderKind
from crm.model.readxml import cluster as reading
from crm.model.readxml import dates
from crm.model.resources import Bundle, Clone, Group, Primitive
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from tests.kit.pengine import cib, decide, primitive


def read(resources: str, constraints: str = ""):  # type: ignore[no-untyped-def]
    return reading.read(xml.parse(cib(resources, constraints=constraints)))


def test_a_template_lends_its_agent_and_yields_to_the_primitive() -> None:
    found, problems = read(
        '<template id="t" class="ocf" provider="pacekeeper" type="Dummy">'
        '<operations><op id="t-m" name="monitor" interval="10s"/>'
        '<op id="t-s" name="start" interval="0" timeout="9s"/></operations></template>'
        '<primitive id="a" template="t"><operations>'
        '<op id="a-m" name="monitor" interval="20s"/></operations></primitive>'
    )
    (made,) = found.resources
    assert isinstance(made, Primitive)
    assert (str(made.agent), problems) == ("ocf:pacekeeper:Dummy", [])
    assert [(o.name, o.interval_ms) for o in made.operations] == [("monitor", 20000), ("start", 0)]


def test_meta_attributes_may_be_named_by_reference() -> None:
    found, _ = read(
        primitive("a", meta={"priority": "5"})
        + '<primitive id="b" class="ocf" provider="x" type="y"><meta_attributes id-ref="a-meta"/>'
        "</primitive>"
    )
    assert found.resources[1].meta[0].values == (("priority", "5"),)


def test_groups_and_clones_keep_their_shape() -> None:
    found, _ = read(
        f'<group id="g">{primitive("a")}</group><clone id="c">{primitive("b")}</clone>'
        f'<master id="m">{primitive("d")}</master>'
    )
    group, clone, master = found.resources
    assert isinstance(group, Group)
    assert isinstance(clone, Clone)
    assert isinstance(master, Clone)
    assert (clone.promotable, master.promotable) == (False, True)


def test_a_bundle_keeps_its_network_its_storage_and_what_runs_inside() -> None:
    found, problems = read(
        '<bundle id="b"><podman image="i" masters="2" options="-q"/>'
        '<network ip-range-start="192.0.2.10" control-port="9999" add-host="false">'
        '<port-mapping id="p" port="80"/><port-mapping id="r" range="5-9"/></network>'
        '<storage><storage-mapping id="s" source-dir-root="/srv" target-dir="/data"/>'
        f'<storage-mapping id="t" source-dir="/srv"/></storage>{primitive("a")}</bundle>'
    )
    (bundle,) = found.resources
    assert isinstance(bundle, Bundle)
    assert (bundle.engine, bundle.replicas, bundle.promoted_max) == ("podman", 2, 2)
    assert [(p.host, p.inside) for p in bundle.network.ports] == [("80", "80"), ("5-9", "5-9")]
    assert not bundle.network.adds_hosts
    assert [(s.source, s.target, s.is_root) for s in bundle.storage] == [("/srv", "/data", True)]
    assert bundle.child is not None
    assert [p.code for p in problems] == ["bad-storage-mapping"]


@pytest.mark.parametrize(
    ("resources", "code"),
    [
        ('<bundle id="x"/>', "no-container-engine"),
        ('<bundle id="x"><rkt image="i"/></bundle>', "no-container-engine"),
        (f'<bundle id="x"><docker image="i"/>{primitive("a")}</bundle>', "unreachable-bundle"),
        ('<group id="x"/>', "empty-resource"),
        ('<clone id="x"/>', "empty-resource"),
        ('<primitive id="x" template="nope"/>', "unknown-template"),
        ('<primitive id="x" class="ocf" provider="y"/>', "no-agent"),
    ],
)
def test_what_is_not_understood_is_named_and_left_out(resources: str, code: str) -> None:
    found, problems = read(resources)
    assert found.resources == ()
    assert [(p.code, p.subject) for p in problems] == [(code, "x")]


def test_a_bad_value_is_named_and_the_default_taken() -> None:
    found, problems = read(
        primitive("a") + primitive("b"),
        '<rsc_order id="o" first="a" then="b" kind="Sometimes"/>',
    )
    (order,) = found.constraints
    assert isinstance(order, Order)
    assert order.kind is OrderKind.MANDATORY
    assert [p.code for p in problems] == ["bad-value"]


def test_an_unknown_resource_in_a_constraint_is_named_with_a_hint() -> None:
    decision = decide(
        cib(primitive("vip"), constraints='<rsc_order id="o" first="vip2" then="vip"/>')
    )
    (problem,) = decision.problems
    assert (problem.code, problem.hint) == ("unknown-resource", "there is a resource 'vip'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2005-020", datetime(2005, 1, 20, tzinfo=UTC)),
        ("2005-020T11:30", datetime(2005, 1, 20, 11, 30, tzinfo=UTC)),
        ("2026-11-21 08:00:00Z", datetime(2026, 11, 21, 8, tzinfo=UTC)),
        ("2026-11-21 09:00:00 +01:00", datetime(2026, 11, 21, 8, tzinfo=UTC)),
        ("2026-W47-6", datetime(2026, 11, 21, tzinfo=UTC)),
    ],
)
def test_dates_are_read_in_all_their_forms(text: str, expected: datetime) -> None:
    assert dates.moment(text) == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "2005-400", "2005-000"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no date|no day"):
        dates.moment(text)


def test_a_graph_is_written_with_its_inputs() -> None:
    root = graph_writing.write(decide(cib(primitive("a"), nodes=("node1",))).graph)
    start = root.find(".//action_set/rsc_op[@operation='start']")
    assert start is not None
    assert start.get("operation_key") == "a_start_0"
    synapse = start.getparent().getparent()  # type: ignore[union-attr]
    assert synapse is not None
    assert [e.get("operation_key") for e in synapse.iterfind("inputs/trigger/rsc_op")] == [
        "a_monitor_0"
    ]
