"""The configurations the simulated clusters run: small, but with every kind of tie."""

from __future__ import annotations

import random

PLAIN = ("vip", "db", "mail")
GROUP = ("fs", "web")


def resources() -> list[str]:
    """Every resource of the configuration, by id."""
    return [*PLAIN, *GROUP]


def text(chance: random.Random, nodes: dict[str, str]) -> bytes:
    """A CIB for these nodes (name → uuid): three primitives, a group, ties between them."""
    interval_s = chance.choice((2, 5))
    preferred = chance.choice(sorted(nodes))
    stickiness = chance.choice((0, 100))
    primitives = "".join(_primitive(name, interval_s) for name in PLAIN)
    members = "".join(_primitive(name, interval_s) for name in GROUP)
    described = "".join(f'<node id="{uuid}" uname="{name}"/>' for name, uuid in nodes.items())
    return f"""<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="o1" name="stonith-enabled" value="false"/>
<nvpair id="o2" name="no-quorum-policy" value="stop"/>
<nvpair id="o3" name="symmetric-cluster" value="true"/>
<nvpair id="o4" name="start-failure-is-fatal" value="false"/>
</cluster_property_set></crm_config>
<rsc_defaults><meta_attributes id="rd">
<nvpair id="rd1" name="resource-stickiness" value="{stickiness}"/>
</meta_attributes></rsc_defaults>
<nodes>{described}</nodes>
<resources>{primitives}<group id="site">{members}</group></resources>
<constraints>
<rsc_location id="db-here" rsc="db" node="{preferred}" score="50"/>
<rsc_colocation id="site-with-vip" rsc="site" with-rsc="vip" score="INFINITY"/>
<rsc_order id="vip-then-site" first="vip" then="site"/>
</constraints></configuration><status/></cib>""".encode()


def _primitive(name: str, interval_s: int) -> str:
    return (
        f'<primitive id="{name}" class="ocf" provider="sim" type="Thing"><operations>'
        f'<op id="{name}-mon" name="monitor" interval="{interval_s}s" timeout="10s"/>'
        f'<op id="{name}-start" name="start" interval="0" timeout="10s"/>'
        f'<op id="{name}-stop" name="stop" interval="0" timeout="10s"/>'
        "</operations></primitive>"
    )
