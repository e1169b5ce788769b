"""What access lists cost the daemon: a query and the rights for a change, for several users.

    ./run bench access [--resources 1000] [--nodes 3]

Every line is a set of permissions in a made-up CIB: the time of a query for everything the user
may see, of a query for one resource by XPath, and of working out the rights before a change.
Processor time, the least of several runs, as other work of the machine would blur it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from crm.api import cib as api
from crm.cib import acl, query
from crm.cib.document import Document

_RUNS = 15
_CASES = {
    "everything shown": ("read /cib",),
    "everything selected": ("read //*",),
    "one resource shown": ("read //primitive[@id='r5']",),
    "a secret of each hidden": ("read /cib", "deny //nvpair[@name='passwd']"),
    "all parameters hidden": ("read /cib", "deny //instance_attributes"),
    "all histories hidden": ("read /cib", "deny //lrm_rsc_op"),
    "only nvpairs shown": ("read //nvpair",),
    "operations hidden, rest written": ("read /cib", "write //primitive", "deny //op"),
}


def document(resources: int, nodes: int, rights: tuple[str, ...]) -> Document:
    """Make a CIB whose user `u` has these rights: `KIND XPATH`."""
    primitives = "".join(
        f'<primitive id="r{n}" class="ocf" provider="pacekeeper" type="Dummy">'
        f'<meta_attributes id="r{n}-m"><nvpair id="r{n}-m-1" name="target-role" value="Started"/>'
        f'</meta_attributes><instance_attributes id="r{n}-i">'
        f'<nvpair id="r{n}-i-1" name="fake" value="1"/><nvpair id="r{n}-i-2" name="passwd"'
        f' value="s{n}"/><nvpair id="r{n}-i-3" name="state" value="x"/></instance_attributes>'
        f'<operations><op id="r{n}-o1" name="monitor" interval="10s"/>'
        f'<op id="r{n}-o2" name="start" interval="0"/></operations></primitive>'
        for n in range(resources)
    )
    histories = "".join(
        f'<lrm_resource id="r{n}" class="ocf" provider="pacekeeper" type="Dummy">'
        f'<lrm_rsc_op id="r{n}_last_0" operation="monitor" rc-code="0"/></lrm_resource>'
        for n in range(resources)
    )
    states = "".join(
        f'<node_state id="{n}" uname="n{n}"><lrm id="{n}"><lrm_resources>{histories}'
        "</lrm_resources></lrm></node_state>"
        for n in range(nodes)
    )
    locations = "".join(
        f'<rsc_location id="l{n}" rsc="r{n}" node="n1" score="10"/>' for n in range(resources)
    )
    lines = []
    for number, right in enumerate(rights):
        kind, _, xpath = right.partition(" ")
        lines.append(f'<acl_permission id="x{number}" kind="{kind}" xpath="{xpath}"/>')
    return Document.parse(
        '<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config>'
        '<cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="true"/>'
        f"</cluster_property_set></crm_config><nodes/><resources>{primitives}</resources>"
        f'<constraints>{locations}</constraints><acls><acl_role id="r">{"".join(lines)}</acl_role>'
        '<acl_target id="u"><role id="r"/></acl_target></acls></configuration>'
        f"<status>{states}</status></cib>".encode()
    )


def least_ms(work: Callable[[], object]) -> float:
    """Measure the processor time of some work; the least of several runs, in milliseconds."""
    spans = []
    for _ in range(_RUNS):
        begun = time.process_time()
        work()
        spans.append(time.process_time() - begun)
    return min(spans) * 1000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--resources", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    whole = api.Query(0, user="u")
    one = api.Query(0, xpath="//primitive[@id='r7']", user="u")
    print(f"{'permissions':34}{'query':>8}{'by XPath':>10}{'rights':>8}   ms")
    for name, rights in _CASES.items():
        made = document(options.resources, options.nodes, rights)
        guard = acl.guard_of(made.root, "u")
        assert guard is not None, "access lists are enabled"
        spans = (
            least_ms(lambda made=made: query.answer_query(made, whole)),
            least_ms(lambda made=made: query.answer_query(made, one)),
            least_ms(guard.begin),
        )
        print(f"{name:34}{spans[0]:8.1f}{spans[1]:10.1f}{spans[2]:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
