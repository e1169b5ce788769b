"""Compares rights with those of another `cibadmin` on made-up access lists, and lists differences.

    ./run peer-access [SEEDS=500] [FIRST=0]

Each seed is a CIB, the permissions of a user, and a command of the user. Both programs work on a
file, with `CIB_user`. What a query shows, whether a change is denied, and what a change leaves in
the file is compared. The peer is a black box. Where we deny what it allows, on purpose (decision
0072), the case is counted with what was denied, and is no difference.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from crm.api import cib as api
from crm.cib import acl, operations, query, rules
from crm.cib import document as documents
from crm.plumbing import xml

PEER = "/usr/sbin/cibadmin"
_LIMIT_S = 20
_DENIED = 4
_INVALID = 78

_CIB = """<cib admin_epoch="0" epoch="5" num_updates="0" validate-with="pacemaker-3.9"
 crm_feature_set="3.16.1" have-quorum="1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o-fence" name="stonith-enabled" value="false"/>
<nvpair id="o-acl" name="enable-acl" value="true"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="n2-a">
<nvpair id="n2-standby" name="standby" value="off"/></instance_attributes></node></nodes>
<resources><group id="g"><primitive id="p" class="ocf" provider="pacemaker" type="Dummy">
<meta_attributes id="m"><nvpair id="m-role" name="target-role" value="Started"/></meta_attributes>
<instance_attributes id="i"><nvpair id="i-fake" name="fake" value="1"/>
<nvpair id="i-secret" name="passwd" value="x"/></instance_attributes></primitive>
<primitive id="q" class="ocf" provider="pacemaker" type="Dummy"/></group>
<primitive id="s" class="ocf" provider="pacemaker" type="Dummy"/></resources>
<constraints><rsc_location id="l" rsc="p" node="n1" score="10"/>
<rsc_colocation id="c" score="INFINITY"><resource_set id="cs"><resource_ref id="p"/>
<resource_ref id="s"/></resource_set></rsc_colocation></constraints>
<tags><tag id="t"><obj_ref id="p"/></tag></tags>
<acls><acl_role id="r">{permissions}</acl_role><acl_role id="full"><acl_permission id="all"
 kind="write" xpath="/cib"/></acl_role><acl_target id="u"><role id="r"/></acl_target></acls>
</configuration><status><node_state id="1" uname="n1"><transient_attributes id="1">
<instance_attributes id="status-1"><nvpair id="status-1-a" name="a" value="1"/>
</instance_attributes></transient_attributes></node_state></status></cib>
"""

_PLACES = [
    'xpath="/cib"', 'xpath="/cib/configuration"', 'xpath="//resources"', 'xpath="//group"',
    'xpath="//primitive"', "xpath=\"//primitive[@id='p']\"", 'xpath="//nvpair"', 'xpath="//acls"',
    "xpath=\"//nvpair[@name='passwd']\"", "xpath=\"//nvpair[@name='target-role']\"",
    'xpath="//meta_attributes"', 'xpath="//instance_attributes"', 'xpath="//constraints"',
    'xpath="//status"', 'reference="p"', 'reference="q"', 'reference="i"', 'reference="l"',
    'reference="m"', 'object-type="nvpair"', 'object-type="primitive"',
    'object-type="nvpair" attribute="value"', 'object-type="rsc_location"', 'xpath="//tags"',
    'xpath="//resource_set"', "xpath=\"//*[@id='new']\"", 'xpath="//crm_config"',
]  # fmt: skip
_KINDS = ["read", "read", "write", "write", "deny"]

_NEW = '<primitive id="new" class="ocf" provider="pacemaker" type="Dummy"{}'
_COMMANDS: list[tuple[str, ...]] = [
    ("-Q",), ("-Q",), ("-Q", "-o", "resources"), ("-Q", "-o", "status"), ("-Q", "-A", "//nvpair"),
    ("-Q", "-A", "//primitive[@id='p']"), ("-Q", "-A", "//acl_role"),
    ("-M", "-X", '<nvpair id="m-role" value="Stopped"/>'),
    ("-M", "-X", '<nvpair id="i-secret" value="y"/>'),
    ("-M", "-X", '<nvpair id="status-1-a" value="2"/>'),
    ("-M", "-X", '<nvpair id="o-acl" value="false"/>'),
    ("-M", "-X", '<primitive id="p" type="Stateful"/>'),
    ("-M", "-X", '<rsc_location id="l" score="20"/>'),
    ("-M", "-X", '<primitive id="q"><meta_attributes id="qm"><nvpair id="qm-1" name="target-role"'
     ' value="Stopped"/></meta_attributes></primitive>'),
    ("-M", "-X", '<primitive id="q"><meta_attributes id="qm"/></primitive>'),
    ("-M", "-X", '<acl_target id="u"><role id="full"/></acl_target>'),
    ("-M", "-X", '<resource_set id="cs"><resource_ref id="q"/></resource_set>'),
    ("-M", "-X", '<tag id="t"><obj_ref id="q"/></tag>'),
    ("-M", "-c", "-X", '<cib><configuration><resources>' + _NEW.format("/>")
     + "</resources></configuration></cib>"),
    ("-C", "-o", "resources", "-X", _NEW.format("/>")),
    ("-C", "-o", "resources", "-X", _NEW.format('><instance_attributes id="ni"><nvpair id="ni-1"'
     ' name="passwd" value="z"/></instance_attributes></primitive>')),
    ("-C", "-o", "tags", "-X", '<tag id="t2"><obj_ref id="q"/></tag>'),
    ("-C", "-o", "constraints", "-X", '<rsc_location id="new" rsc="q" node="n1" score="1"/>'),
    ("-C", "-o", "acls", "-X", '<acl_target id="v"><role id="full"/></acl_target>'),
    ("-D", "-X", '<nvpair id="m-role"/>'), ("-D", "-X", '<nvpair id="i-secret"/>'),
    ("-D", "-X", '<instance_attributes id="i"/>'), ("-D", "-X", '<primitive id="s"/>'),
    ("-D", "-A", "//rsc_location"), ("-D", "-X", '<meta_attributes id="m"/>'),
    ("-D", "-X", '<rsc_colocation id="c"/>'), ("-D", "-X", '<resource_ref id="s"/>'),
    ("-R", "-X", '<rsc_location id="l" rsc="q" node="n1" score="10"/>'),
    ("-R", "-X", '<instance_attributes id="i"><nvpair id="i-fake" name="fake" value="2"/>'
     "</instance_attributes>"),
    ("-R", "-X", '<primitive id="p" class="ocf" provider="pacemaker" type="Dummy"/>'),
    ("-R", "-X", '<primitive id="s" class="ocf" provider="pacemaker" type="Stateful"/>'),
    ("-R", "-o", "constraints", "-X", "<constraints/>"),
    ("-M", "-X", "<nvpair id=\"i-fake\" name=\"passwd\"/>"),
    ("-R", "-o", "resources", "-X", "<resources/>"), ("-D", "-X", '<group id="g"/>'),
    ("-M", "-X", '<nvpair id="i-fake" name="fake" value="1"/>'), ("-D", "-X", "<tags/>"),
    ("-D", "-X", '<node_state id="1"/>'),
    ("-E", "--force"), ("-B",), ("-M", "-X", '<cib epoch="6"/>'), ("-M", "-X", '<cib epoch="99"/>'),
    ("-M", "-X", '<cib num_updates="9"/>'), ("-M", "-X", '<cib admin_epoch="2"/>'),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One situation: what a user is granted, and what the user does."""

    cib: bytes
    rights: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True)
class End:
    """What came of it: shown or left in the file, in canonical form; empty if it failed.

    `denied` is what our refusal says may not be done, as far as it decides that we are stricter.
    """

    code: int
    result: str = ""
    denied: str = ""


def case_of(seed: int) -> Case:
    """Make up one case."""
    rng = random.Random(seed)
    rights = tuple(
        f'kind="{rng.choice(_KINDS)}" {rng.choice(_PLACES)}' for _ in range(rng.randrange(6))
    )
    lines = (f'<acl_permission id="x{at}" {right}/>' for at, right in enumerate(rights))
    text = _CIB.replace("\n", "").format(permissions="".join(lines))
    return Case(text.encode(), rights, rng.choice(_COMMANDS))


def ask_peer(case: Case) -> End:
    """Let the peer do it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cib.xml")
        path.write_bytes(case.cib)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C", "CIB_user": "u",
            "CIB_file": os.fspath(path),
        }  # fmt: skip
        done = subprocess.run(
            [PEER, *case.command], capture_output=True, env=environment, timeout=_LIMIT_S
        )
        if done.returncode != 0:
            return End(done.returncode)
        return End(0, _canonical(done.stdout if case.command[0] == "-Q" else path.read_bytes()))


def ask_ours(case: Case) -> End:
    """Do it ourselves."""
    document = documents.Document.parse(case.cib)
    words = dict(zip(case.command[1::2], case.command[2::2], strict=False))
    if case.command[1:2] == ("-c",):
        words = dict(zip(case.command[2::2], case.command[3::2], strict=False))
    if case.command[0] == "-Q":
        asked = api.Query(0, words.get("-o", ""), words.get("-A", ""), user="u")
        reply = query.answer_query(document, asked)
        return End(int(reply.outcome), _canonical(reply.xml) if reply.xml else "")
    task = {
        "-M": api.XmlTask.MODIFY, "-C": api.XmlTask.CREATE, "-D": api.XmlTask.DELETE,
        "-R": api.XmlTask.REPLACE,
        "-E": api.XmlTask.ERASE, "-B": api.XmlTask.BUMP,
    }[case.command[0]]  # fmt: skip
    operation = api.XmlOperation(
        task, words.get("-X", "").encode(), words.get("-o", ""), words.get("-A", ""),
        "-c" in case.command,
    )  # fmt: skip
    guard = acl.guard_of(document.root, "u")
    carried = operations.carry_out(document, [operation], rules.STANDARD, guard=guard)
    if carried.outcome is not api.Outcome.OK:
        return End(int(carried.outcome), denied=_strictness(carried.findings[0].message))
    return End(0, _canonical(document.text()))


_STRICTER = {
    r"may not create <(obj_ref|resource_ref) ": "a reference is content",
    r"may not remove <.*denies": "what is denied is not removed with a parent",
    r"may not change 'name' of <nvpair id='i-fake'>.*denies": "nothing becomes what is denied",
}


def _strictness(message: str) -> str:
    return next((why for what, why in _STRICTER.items() if re.search(what, message)), "")


def _canonical(data: bytes) -> str:
    root = xml.parse(data)
    for name in ("cib-last-written", "update-client", "update-origin", "update-user", "epoch",
                 "num_updates", "admin_epoch"):  # fmt: skip
        if name in root.attrib:
            del root.attrib[name]
    return etree.tostring(root, method="c14n").decode()


def main() -> int:
    """Compare cases and print those that differ."""
    if not Path(PEER).exists():
        print(f"error: there is no {PEER}; install the peer's command-line tools", file=sys.stderr)
        return 2
    seeds, first = (
        int(os.environ.get(f"PACEKEEPER_{name}", default))
        for name, default in (("SEEDS", 500), ("FIRST", 0))
    )
    kinds: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        case = case_of(seed)
        peer, ours = ask_peer(case), ask_ours(case)
        if (peer.code, peer.result) == (ours.code, ours.result):
            kinds["same"] += 1
            continue
        if peer.code == 0 and ours.code == _DENIED and ours.denied:
            stricter[ours.denied] += 1
            continue
        if (peer.code, ours.code) == (_INVALID, _DENIED):
            kinds["both refuse, the peer as not valid"] += 1
            continue
        kind = f"peer {peer.code}, ours {ours.code}"
        kinds[kind] += 1
        print(f"{seed}: {kind}: {' '.join(case.command)}")
        for right in case.rights:
            print(f"    {right}")
        if peer.code == ours.code:
            print(f"  peer {peer.result}\n  ours {ours.result}")
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())))
    for why, count in sorted(stricter.items()):
        print(f"stricter on purpose, {count}: {why}")
    return 0 if all(not kind.startswith("peer") for kind in kinds) else 1


if __name__ == "__main__":
    sys.exit(main())
