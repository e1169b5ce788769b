"""Made-up CIBs with every kind of resource, constraint, node and history.

Each CIB is made of a few kinds of things only, chosen first: what is rare in a soup of everything
(a bundle and a ticket) then meets often, and documents stay small enough to be understood.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.kit.any_constraints import Constraining
from tests.kit.any_resources import Making, pairs, some
from tests.kit.any_status import NOW_S, Remembering
from tests.kit.choices import Choices, Drawn, Seeded

KINDS = (
    "group",
    "clone",
    "bundle",
    "remote",
    "guest",
    "fencing",
    "unfencing",
    "template",
    "tag",
    "location",
    "colocation",
    "order",
    "ticket",
    "rule",
    "set",
    "nodes",
    "failures",
    "migration",
    "twice",
    "removed",
    "cold",
    "times",
    "utilization",
    "health",
    "options",
    "defaults",
    "container",
    "digests",
)
"""What a CIB may be made of."""

_OPTIONS: dict[str, Sequence[str]] = {
    "no-quorum-policy": ("stop", "freeze", "ignore", "demote", "suicide"),
    "symmetric-cluster": ("true", "false"),
    "maintenance-mode": ("true", "false"),
    "stop-all-resources": ("true", "false"),
    "stonith-action": ("reboot", "off"),
    "startup-fencing": ("true", "false"),
    "concurrent-fencing": ("true", "false"),
    "priority-fencing-delay": ("0", "15s"),
    "start-failure-is-fatal": ("true", "false"),
    "enable-startup-probes": ("true", "false"),
    "stop-orphan-resources": ("true", "false"),
    "stop-orphan-actions": ("true", "false"),
    "shutdown-lock": ("true", "false"),
    "placement-strategy": ("balanced", "utilization", "minimal"),
    "node-health-strategy": ("migrate-on-red", "only-green", "progressive", "custom"),
}


def make(choices: Choices, kinds: Sequence[str] = KINDS, always: Sequence[str] = ()) -> bytes:
    """Make up one CIB of some of these kinds of things."""
    wanted = frozenset((*always, *(kind for kind in kinds if choices.chance(30))))
    nodes = [f"node{number}" for number in range(1, choices.number(2, 4) + 1)]
    making = Making(choices, wanted)
    made = making.everything()
    tags = making.tags()
    whole = [*nodes, *made.remotes, *made.guests]
    constraints = Constraining(choices, wanted, made, whole).everything()
    status = Remembering(choices, wanted, made, nodes).everything()
    quorum = 0 if choices.chance(10) else 1
    defaults = ""
    if "defaults" in wanted:
        meta = {
            "resource-stickiness": choices.pick(("1", "100", "0")),
            "migration-threshold": choices.pick(("3", "1")),
        }
        defaults = f"<rsc_defaults>{pairs('rd', 'meta_attributes', meta)}</rsc_defaults>"
    return (
        f'<cib admin_epoch="0" epoch="1" num_updates="1" have-quorum="{quorum}"'
        f' dc-uuid="node1" crm_feature_set="3.15.0" validate-with="pacemaker-3.9"'
        f' execution-date="{NOW_S}"><configuration>'
        f"<crm_config>{_options(choices, wanted)}</crm_config>"
        f"<nodes>{''.join(_node(choices, wanted, node) for node in nodes)}</nodes>"
        f"<resources>{''.join(made.xml)}</resources><constraints>{constraints}</constraints>"
        f"{defaults}{tags}</configuration>{status}</cib>"
    ).encode()


def _options(choices: Choices, wanted: frozenset[str]) -> str:
    given = {"stonith-enabled": "true" if "fencing" in wanted else "false"}
    if "options" in wanted:
        given |= some(choices, 15, _OPTIONS)
    if "utilization" in wanted and "placement-strategy" not in given:
        given["placement-strategy"] = choices.pick(("utilization", "balanced", "minimal"))
    if "health" in wanted and "node-health-strategy" not in given:
        given["node-health-strategy"] = choices.pick(_OPTIONS["node-health-strategy"])
    inner = "".join(f'<nvpair id="o-{n}" name="{n}" value="{v}"/>' for n, v in given.items())
    return f'<cluster_property_set id="cib-bootstrap-options">{inner}</cluster_property_set>'


def _node(choices: Choices, wanted: frozenset[str], node: str) -> str:
    given: dict[str, str] = {}
    if "rule" in wanted:
        given |= some(choices, 60, {"color": ("red", "blue"), "weight": ("5", "-5", "100")})
    if "nodes" in wanted:
        yes = ("on", "off")
        given |= some(choices, 10, {"standby": yes, "maintenance": ("true", "false")})
    inner = pairs(f"na-{node}", "instance_attributes", given)
    if "utilization" in wanted:
        inner += pairs(f"nu-{node}", "utilization", {"cpu": choices.pick(("2", "4", "8"))})
    return f'<node id="{node}" uname="{node}">{inner}</node>'


@st.composite
def documents(draw: st.DrawFn, kinds: Sequence[str] = KINDS, always: Sequence[str] = ()) -> bytes:
    """Draw any CIB."""
    return make(Drawn(draw), kinds, always)


def from_seed(seed: int, kinds: Sequence[str] = KINDS, always: Sequence[str] = ()) -> bytes:
    """Make the CIB of a seed."""
    return make(Seeded(seed), kinds, always)
