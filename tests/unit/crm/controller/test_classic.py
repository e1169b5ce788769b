from __future__ import annotations

import pytest

from crm.api.lrm import ResourceAgent
from crm.controller import classic


@pytest.mark.parametrize(
    ("agent", "parameters", "said"),
    [
        (
            ResourceAgent("ocf", "IPaddr", "heartbeat"),
            {"ip": "10.0.0.1", "cidr_netmask": "24", "nic": "eth0", "CRM_meta_timeout": "5000"},
            "/etc/ha.d/resource.d/IPaddr 10.0.0.1/24/eth0 start",
        ),
        (
            ResourceAgent("ocf", "IPaddr2", "heartbeat"),
            {"ip": "10.0.0.1"},
            "/etc/ha.d/resource.d/IPaddr2 10.0.0.1 start",
        ),
        (
            ResourceAgent("ocf", "Filesystem", "heartbeat"),
            {"fstype": "xfs", "directory": "/srv", "device": "/dev/sdb1"},
            "/etc/ha.d/resource.d/Filesystem /dev/sdb1 /srv xfs start",
        ),
        (
            ResourceAgent("heartbeat", "drbddisk"),
            {"1": "r0", "2": "verbose"},
            "/etc/ha.d/resource.d/drbddisk r0 verbose start",
        ),
        (ResourceAgent("lsb", "floatip"), {}, "/etc/init.d/floatip start"),
    ],
)
def test_the_script_is_named_as_its_haresources_line_would(
    agent: ResourceAgent, parameters: dict[str, str], said: str
) -> None:
    assert classic.running(agent, "start", parameters) == f"Running {said}"
