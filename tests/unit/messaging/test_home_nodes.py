from __future__ import annotations

import pytest

from messaging import home_nodes

NODES = ("node1", "node2.hoo.com")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a remark\n\nnode1 10.0.0.1\n",
        "NODE1 10.0.0.1\nnode2.hoo.com httpd # mine\n",
        "node1 10.0.0.1 \\\n  httpd \\\n  MailTo::a@b\nnode1 drbddisk::r0\n",
        "node1 httpd # no more \\\nnode2.hoo.com mysql\n",
    ],
)
def test_lines_of_listed_nodes_are_accepted(text: str) -> None:
    assert home_nodes.check(text, NODES, path="haresources") == []


def test_a_node_that_nobody_listed_is_named_with_its_line() -> None:
    text = "node1 10.0.0.1 \\\n httpd\nnode2 mysql\n"

    (problem,) = home_nodes.check(text, NODES, path="/etc/ha.d/haresources")

    assert problem.code == "bad-nodename" and problem.severity.value == "error"
    assert "/etc/ha.d/haresources:3: Bad nodename in /etc/ha.d/haresources [node2]" in str(problem)
    assert "node1, node2.hoo.com" in str(problem)
