"""The clients' conversation of one node: who is listened to, and what each is told when."""

from __future__ import annotations

import msgspec

from crm.api import membership as api
from crm.api.membership import ClientStatus, NodeKind, NodeStatus, ViewEvent
from crm.plumbing.machine import Caller, Note, Tell
from messaging import apiauth, frame
from messaging.clients import Clients, DescribeCluster, Effect, LeaveWanted, SayToPeers

GREETING = api.SignedOn("a", "uuid-a", "test", ("a", "b"), "life-a")
NODES = [
    api.NodeChanged("a", NodeKind.NORMAL, NodeStatus.UP, "uuid-a"),
    api.NodeChanged("b", NodeKind.NORMAL, NodeStatus.INIT),
]
VIEW = api.View(3, (api.Member("a", "uuid-a", 0, 3),), quorate=True, total_nodes=1)


class OnlyRoot:
    """Lets root in."""

    def refusal(self, client: str, pid: int, caller: Caller | None) -> str:
        return "" if caller is not None and caller.uid == 0 else "not root"


def clients(doorkeeper: apiauth.Doorkeeper = apiauth.EVERYBODY) -> Clients:
    return Clients(GREETING, NODES, doorkeeper)


def told(effects: list[Effect], peer: str) -> list[msgspec.Struct]:
    return [
        effect.message for effect in effects if isinstance(effect, Tell) and effect.peer == peer
    ]


def test_a_late_client_is_told_exactly_what_the_others_know() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.tell(api.NodeChanged("b", NodeKind.NORMAL, NodeStatus.ACTIVE, "uuid-b"))
    machine.tell(api.ViewInstalled(ViewEvent.NEW_MEMBERSHIP, VIEW))
    machine.hear("b", frame.Clients(("crmd",)))

    late = told(machine.receive("cib", api.SignOn("cib", 2)), "cib")

    assert late == [
        GREETING,
        NODES[0],
        api.NodeChanged("b", NodeKind.NORMAL, NodeStatus.ACTIVE, "uuid-b"),
        api.ClientChanged("a", "crmd", ClientStatus.ONLINE),
        api.ClientChanged("a", "cib", ClientStatus.ONLINE),
        api.ClientChanged("b", "crmd", ClientStatus.ONLINE),
        api.ViewInstalled(ViewEvent.NEW_MEMBERSHIP, msgspec.structs.replace(VIEW, new=("a",))),
    ]


def test_a_client_of_an_evicted_node_is_told_no_view() -> None:
    machine = clients()
    machine.tell(api.ViewInstalled(ViewEvent.NEW_MEMBERSHIP, VIEW))
    machine.tell(api.ViewInstalled(ViewEvent.EVICTED, VIEW))

    late = told(machine.receive("cib", api.SignOn("cib", 2)), "cib")

    assert not [each for each in late if isinstance(each, api.ViewInstalled)]


def test_who_may_not_register_is_answered_logged_and_never_listened_to() -> None:
    machine = clients(OnlyRoot())
    machine.meet("crmd", Caller(0, 0, 1))
    machine.meet("spy", Caller(1000, 50, 77))
    machine.receive("crmd", api.SignOn("crmd", 1))

    effects = machine.receive("spy", api.SignOn("spy", 77))

    (note,) = [effect for effect in effects if isinstance(effect, Note)]
    assert note.text == (
        "client spy (pid 77, uid 1000, gid 50) is not authorized to register: not root"
    )
    assert told(effects, "spy") == [api.SignOnRefused("spy", "not root")]
    assert told(effects, "crmd") == [] and machine.at("a") == ("crmd",)
    for request in (
        api.SendCluster("crmd", b"x"),
        api.SendCluster("crmd", b"x", "b"),
        api.LeaveCluster("because"),
    ):
        (refused,) = machine.receive("spy", request)
        assert isinstance(refused, Note) and "without having signed on" in refused.text


def test_a_refused_caller_does_not_displace_the_client_of_that_name() -> None:
    machine = clients(OnlyRoot())
    machine.meet("crmd", Caller(0, 0, 1))
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.meet("other", Caller(1000, 50, 77))

    machine.receive("other", api.SignOn("crmd", 77))

    assert told(machine.hear("b", frame.ClientData("crmd", "crmd", b"x")), "crmd")


def test_a_new_life_on_the_same_connection_name_is_judged_anew() -> None:
    machine = clients(OnlyRoot())
    machine.meet("crmd", Caller(0, 0, 1))
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.disconnect("crmd")

    effects = machine.receive("crmd", api.SignOn("crmd", 1))

    assert told(effects, "crmd") == [api.SignOnRefused("crmd", "not root")]


def test_a_message_to_all_goes_to_the_peers_and_does_not_come_back() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.receive("cib", api.SignOn("cib", 2))

    effects = machine.receive("crmd", api.SendCluster("cib", b"x"))

    assert effects == [SayToPeers(frame.ClientData("crmd", "cib", b"x"), sender="crmd")]


def test_a_message_to_one_node_goes_there_and_nowhere_else() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    data = frame.ClientData("crmd", "crmd", b"x")

    assert machine.receive("crmd", api.SendCluster("crmd", b"x", "b")) == [
        SayToPeers(data, "b", "crmd")
    ]
    assert machine.receive("crmd", api.SendCluster("crmd", b"x", "a")) == [
        Tell("crmd", api.ClusterMessage("a", "crmd", b"x"))
    ]


def test_a_message_to_a_client_that_is_not_here_is_dropped() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))

    assert machine.hear("b", frame.ClientData("attrd", "attrd", b"x")) == []


def test_a_client_that_leaves_is_said_to_have_left_here_and_at_the_peers() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.receive("cib", api.SignOn("cib", 2))

    effects = machine.receive("cib", api.SignOff())

    assert effects == [
        Tell("crmd", api.ClientChanged("a", "cib", ClientStatus.LEAVE)),
        SayToPeers(frame.ClientMoved("cib", False)),
    ]
    assert machine.disconnect("cib") == []


def test_a_client_that_comes_again_at_a_peer_has_left_before() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.hear("b", frame.Clients(("crmd",)))

    again = told(machine.hear("b", frame.ClientMoved("crmd", True)), "crmd")

    assert [each.status for each in again if isinstance(each, api.ClientChanged)] == [
        ClientStatus.LEAVE,
        ClientStatus.JOIN,
    ]


def test_with_a_lost_node_all_its_clients_leave() -> None:
    machine = clients()
    machine.receive("crmd", api.SignOn("crmd", 1))
    machine.hear("b", frame.Clients(("attrd", "crmd")))

    assert told(machine.forget("b"), "crmd") == [
        api.ClientChanged("b", "attrd", ClientStatus.LEAVE),
        api.ClientChanged("b", "crmd", ClientStatus.LEAVE),
    ]
    assert machine.forget("b") == [] and machine.at("b") == ()


def test_questions_are_answered_and_wishes_passed_on() -> None:
    machine = clients()
    machine.receive("cib", api.SignOn("cib", 2))

    assert machine.receive("mgmtd", api.AskCluster(7)) == [DescribeCluster("mgmtd", 7)]
    assert machine.receive("cib", api.LeaveCluster("disk full")) == [LeaveWanted("cib: disk full")]
