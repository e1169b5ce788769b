from __future__ import annotations

from crm.api.membership import LinkStatus, NodeChanged, NodeKind, NodeStatus
from messaging import description
from messaging.ha_cf import reading


def test_the_own_node_has_every_link_of_the_file() -> None:
    settings, _ = reading.read("bcast eth1 eth2\nnode a b\ncrm yes\n", node="a")
    assert settings is not None
    own = NodeChanged("a", NodeKind.NORMAL, NodeStatus.ACTIVE, "u")

    (node,) = description.of_nodes(own, (), (), lambda _: (), 0.0, settings)

    assert [(link.name, link.status) for link in node.links] == [
        ("eth1", LinkStatus.UP),
        ("eth2", LinkStatus.UP),
    ]
