"""Every message that may come through the gate, from every kind of caller: the whole matrix.

The gate's judge is the real one, with a CIB whose access lists grant each user what its name
says. A new message must be entered here, either as sent by daemons only or with what it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from crm.api import attributes, cib, controller, fencing, gate, lrm, membership
from crm.api.conversations import BY_SERVICE
from crm.cib import document as documents
from crm.cib.rights import answer_rights
from crm.gate.authorisation import Identity, Role
from crm.gate.gate import CallerArrived, Effect
from crm.model.version import Reign
from tests.kit.gate import GateBench, refusals, told

REIGN = Reign(1, "n1")
AGENT = lrm.ResourceAgent("ocf", "Dummy", "heartbeat")
FOR_DAEMONS: dict[str, tuple[msgspec.Struct, ...]] = {
    "heartbeat": (
        membership.SignOn("x", 1),
        membership.SignOff(),
        membership.SendCluster("cib", b"", "n1"),
        membership.LeaveCluster("the disk is broken"),
    ),
    "cib": (
        cib.AskRights(1, (), "root"),
        cib.Subscribe(),
        cib.BecomeMaster(1, REIGN),
        cib.BecomeFollower("n1"),
        cib.FetchFrom(1, "n1"),
        cib.SyncTo(1, ("n1",)),
    ),
    "lrmd": (
        lrm.Execute(1, "k", "p", AGENT, "stop"),
        lrm.Cancel(1, "k", "p", "monitor", 10_000),
        lrm.Forget("p"),
        lrm.RaiseReign(REIGN),
    ),
}
"""What daemons say to each other over their own bus; through the gate not even root does."""


@dataclass(frozen=True)
class Taken:
    """What a message takes: a role, and where access lists hold the right to write a part.

    `part` is an XPath of what may be written, "" if the message needs no right of its own.
    """

    message: msgspec.Struct
    least: Role
    part: str = ""
    kind: str = "write"


READER, OPERATOR, ADMINISTRATOR = Role.READER, Role.OPERATOR, Role.ADMINISTRATOR
ATTRIBUTE = "//node_state[@uname='n1']//nvpair[@name='pingd']"
HISTORY = "//node_state[@uname='n1']//lrm_resource[@id='p']"
MATRIX: dict[str, dict[str, Taken]] = {
    "heartbeat": {
        "AskCluster": Taken(membership.AskCluster(1), READER),
        "RotateKey": Taken(membership.RotateKey(1), ADMINISTRATOR, "/cib"),
        "ChangeNodes": Taken(membership.ChangeNodes(1, add="n9"), ADMINISTRATOR, "/cib"),
    },
    "cib": {
        "Query": Taken(cib.Query(1), READER),
        "AskRevisions": Taken(cib.AskRevisions(1), READER),
        "DescribeCib": Taken(cib.DescribeCib(1), READER),
        "Change": Taken(cib.Change(1, (), cib.Origin("x")), ADMINISTRATOR),
    },
    "crmd": {
        "AskController": Taken(controller.AskController(1), READER),
        "WaitUntilIdle": Taken(controller.WaitUntilIdle(1), READER),
        "CleanUp": Taken(controller.CleanUp(1, "p", "n1"), OPERATOR, HISTORY),
        "FenceNode": Taken(controller.FenceNode(1, "n1"), ADMINISTRATOR, "/cib"),
    },
    "attrd": {
        "AskAttributes": Taken(attributes.AskAttributes(1), READER),
        "UpdateAttribute": Taken(
            attributes.UpdateAttribute("pingd", "1", "n1", request=1), OPERATOR, ATTRIBUTE
        ),
        "ClearNode": Taken(attributes.ClearNode("n1"), ADMINISTRATOR, "//transient_attributes"),
        "RefreshAttributes": Taken(
            attributes.RefreshAttributes(), ADMINISTRATOR, "//transient_attributes"
        ),
    },
    "lrmd": {"DescribeExecutor": Taken(lrm.DescribeExecutor(1), READER, "/cib", "read")},
    "stonithd": {
        "AskDevices": Taken(fencing.AskDevices(1), READER),
        "Fence": Taken(fencing.Fence(1, "n1"), ADMINISTRATOR, "/cib"),
        "ConfirmDown": Taken(fencing.ConfirmDown(1, "n1", "x"), ADMINISTRATOR, "/cib"),
    },
}

GREETING = gate.Greeting(protocol=gate.PROTOCOL, name="test")
EVERY_MESSAGE = [
    pytest.param(service, member, id=f"{service}-{member.__name__}")
    for service, languages in BY_SERVICE.items()
    for member in languages.requests.members
]

CIB = """<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config>
<cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="{enabled}"/>
</cluster_property_set></crm_config><nodes><node id="1" uname="n1"/></nodes><resources/>
<constraints/><acls>
<acl_role id="all"><acl_permission id="all-1" kind="write" xpath="/cib"/></acl_role>
<acl_role id="look"><acl_permission id="look-1" kind="read" xpath="/cib"/></acl_role>
<acl_role id="keep"><acl_permission id="keep-1" kind="{kind}" xpath="{part}"/></acl_role>
<acl_role id="but"><acl_permission id="but-1" kind="deny" xpath="{denied}"/></acl_role>
<acl_target id="master"><role id="all"/></acl_target>
<acl_target id="looker"><role id="look"/></acl_target>
<acl_target id="keeper"><role id="keep"/></acl_target>
<acl_target id="barred"><role id="all"/><role id="but"/></acl_target>
</acls></configuration><status><node_state id="1" uname="n1"><lrm id="1"><lrm_resources>
<lrm_resource id="p"/></lrm_resources></lrm><transient_attributes id="1">
<instance_attributes id="status-1"><nvpair id="status-1-pingd" name="pingd" value="0"/>
</instance_attributes></transient_attributes></node_state></status></cib>"""


@pytest.mark.parametrize(("service", "member"), EVERY_MESSAGE)
def test_every_message_is_in_the_matrix_or_for_daemons_only(
    service: str, member: type[msgspec.Struct]
) -> None:
    for_daemons = [type(message) for message in FOR_DAEMONS.get(service, ())]
    assert (member.__name__ in MATRIX.get(service, {})) != (member in for_daemons)


def is_passed_on(
    taken: Taken, service: str, user: str, role: Role, *, trusted: bool, enabled: bool
) -> bool:
    """Let a caller send a message, and the cib judge; tell whether its daemon gets it."""
    part = taken.part or "//nodes"
    text = CIB.format(
        enabled=str(enabled).lower(),
        kind=taken.kind,
        part=part,
        denied=part if part != "/cib" else "//cib",
    )
    document = documents.Document.parse(text.encode())
    before = document.text()
    bench = GateBench()
    groups = {ADMINISTRATOR: ("haclient",)}.get(role, ("users",))
    who = Identity(1000, 4711, user, role, groups, trusted)
    bench.gate.receive(CallerArrived(1, who), bench.now)
    bench.frame(1, GREETING)
    effects: list[Effect] = bench.say(1, service, taken.message)
    for tell in told(effects):
        if isinstance(tell.message, cib.AskRights):
            rights = answer_rights(document, tell.message, own_user="owner")
            effects = bench.answer("cib", rights)
    assert document.text() == before
    passed = [tell for tell in told(effects) if tell.peer == service]
    if not passed:
        assert [refusal.code for refusal in refusals(effects)] in ([4], [])
    return bool(passed)


UNTRUSTED = [
    pytest.param(user, role, id=f"{user}-{role.name.lower()}")
    for user in ("nobody", "looker", "keeper", "barred", "master")
    for role in Role
]


IN_MATRIX = [
    pytest.param(service, taken, id=f"{service}-{name}")
    for service, rows in MATRIX.items()
    for name, taken in rows.items()
]
TRUSTED = ("root", "hacluster", "owner")


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("user", TRUSTED)
@pytest.mark.parametrize(("service", "taken"), IN_MATRIX)
def test_root_and_the_daemons_users_may_send_all_that_is_in_the_matrix(
    service: str, taken: Taken, user: str, enabled: bool
) -> None:
    assert is_passed_on(taken, service, user, ADMINISTRATOR, trusted=True, enabled=enabled)


@pytest.mark.parametrize("user", TRUSTED)
@pytest.mark.parametrize("service", FOR_DAEMONS)
def test_not_even_root_says_what_is_for_daemons(service: str, user: str) -> None:
    for message in FOR_DAEMONS[service]:
        taken = Taken(message, ADMINISTRATOR)
        assert not is_passed_on(taken, service, user, ADMINISTRATOR, trusted=True, enabled=False)


@pytest.mark.parametrize(("user", "role"), UNTRUSTED)
@pytest.mark.parametrize(("service", "taken"), IN_MATRIX)
def test_without_access_lists_the_role_decides(
    service: str, taken: Taken, user: str, role: Role
) -> None:
    passed = is_passed_on(taken, service, user, role, trusted=False, enabled=False)
    assert passed == (role >= taken.least)


@pytest.mark.parametrize(("user", "role"), UNTRUSTED)
@pytest.mark.parametrize(("service", "taken"), IN_MATRIX)
def test_with_access_lists_the_caller_needs_the_role_and_the_right(
    service: str, taken: Taken, user: str, role: Role
) -> None:
    passed = is_passed_on(taken, service, user, role, trusted=False, enabled=True)
    may_look = user == "looker" and taken.kind == "read"
    has_right = not taken.part or user in ("keeper", "master") or may_look
    assert passed == (role >= taken.least and has_right)
