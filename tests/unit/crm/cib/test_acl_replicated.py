"""Access lists in the daemon: judged by the master, whoever's user asks, and for queries too."""

from __future__ import annotations

from crm.api import cib as api
from crm.cib.replica import Replica
from crm.plumbing.machine import MessageArrived, Tell
from tests.kit.cib import LENIENT, Network, create

ENABLED = (
    '<cluster_property_set id="options">'
    '<nvpair id="enable" name="enable-acl" value="true"/></cluster_property_set>'
)
ROLE = (
    '<acl_role id="r"><acl_permission id="x" kind="write" xpath="//resources"/></acl_role>',
    '<acl_target id="u"><role id="r"/></acl_target>',
)


def network() -> Network:
    made = Network(3)
    made.partition(("n1", "n2", "n3"))
    made.elect()
    made.run(1.0)
    lists = [_put("crm_config", ENABLED), *(_put("acls", text) for text in ROLE)]
    made.change("n1", _put("", "<acls/>"), *lists)
    made.run(1.0)
    return made


def _put(section: str, text: str) -> api.XmlOperation:
    task = api.XmlTask.CREATE if section else api.XmlTask.MODIFY
    return api.XmlOperation(task, text.encode(), section)


def ask(
    made: Network, node: str, user: str, request: int, *steps: api.Operation
) -> api.ChangeReply:
    change = api.Change(request, steps, api.Origin("test", user=user))
    made.give(node, MessageArrived("tool", change))
    made.run(1.0)
    return made.outcomes[node, request]


def test_a_change_at_a_follower_is_judged_with_the_rights_of_its_user() -> None:
    made = network()
    assert ask(made, "n3", "u", 901, create("a")).outcome is api.Outcome.OK
    denied = ask(made, "n3", "other", 902, create("b"))
    assert denied.outcome is api.Outcome.DENIED
    assert denied.findings[0].code == "access-denied"
    assert ask(made, "n3", "root", 903, create("c")).outcome is api.Outcome.OK
    for node in ("n1", "n2", "n3"):
        found = [made.replica(node).document.by_id(name) is not None for name in "abc"]
        assert found == [True, False, True]


def test_nothing_is_made_of_a_change_that_is_denied_in_part() -> None:
    made = network()
    node = api.XmlOperation(api.XmlTask.CREATE, b'<node id="9" uname="n9"/>', "nodes")
    assert ask(made, "n1", "u", 901, create("a"), node).outcome is api.Outcome.DENIED
    assert made.replica("n1").document.by_id("a") is None


def test_a_query_is_answered_with_what_its_user_may_see() -> None:
    copy = network().replica("n2").document
    replica = Replica(copy, rules=LENIENT, node="n2", own_user="owner")
    answers = {}
    for user in ("", "owner", "u", "other"):
        query = MessageArrived("tool", api.Query(1, user=user))
        (tell,) = [each for each in replica.receive(query, 0.0) if isinstance(each, Tell)]
        assert isinstance(tell.message, api.QueryReply)
        answers[user] = tell.message
    assert answers[""].xml == answers["owner"].xml == copy.text()
    assert answers["u"].xml == b"<cib><configuration><resources/></configuration></cib>"
    assert answers["other"].outcome is api.Outcome.DENIED
