"""The gate's machine: greeting, rights, renumbering, watchers, lost daemons, deadlines."""

from crm.api import attributes, cib, controller, gate, membership
from crm.gate.authorisation import Role
from crm.gate.gate import (
    HANDSHAKE_S,
    IDLE_S,
    MAX_HOLD_S,
    MAX_OPEN_REQUESTS,
    CallerLeft,
    Effect,
    FrameUnreadable,
)
from crm.model.version import Version
from crm.plumbing.machine import Exit, PeerConnected, PeerLost, StopRequested, Tell
from tests.kit.gate import GateBench, hung_up, refusals, sent, told, unwrap


def node_changed(name: str, status: membership.NodeStatus) -> membership.NodeChanged:
    return membership.NodeChanged(node=name, kind=membership.NodeKind.NORMAL, status=status)


def test_the_gate_signs_on_as_heartbeat_appears() -> None:
    bench = GateBench()
    assert bench.greetings == [Tell("heartbeat", membership.SignOn(client="mgmtd", pid=99))]


def test_the_gate_hears_of_changes_of_the_cib_only_while_somebody_watches() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.caller(2)
    assert told(bench.frame(1, gate.Watch())) == [Tell("cib", cib.Subscribe())]
    assert told(bench.frame(2, gate.Watch())) == []
    assert told(bench.gate.receive(CallerLeft(1), bench.now)) == []
    assert told(bench.gate.receive(CallerLeft(2), bench.now)) == [Tell("cib", cib.Subscribe(()))]


def test_a_watcher_that_is_hung_up_on_was_the_last_one_as_well() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.frame(1, gate.Watch())
    effects = bench.gate.receive(FrameUnreadable(1, "no frame"), bench.now)
    assert told(effects) == [Tell("cib", cib.Subscribe(()))]
    assert hung_up(effects) == [1]


def test_a_cib_that_comes_back_is_asked_for_changes_again_if_somebody_watches() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.frame(1, gate.Watch())
    bench.gate.receive(PeerLost("cib"), bench.now)
    assert told(bench.gate.receive(PeerConnected("cib"), bench.now)) == [
        Tell("cib", cib.Subscribe())
    ]


def test_a_greeting_is_answered_with_the_name_of_the_node() -> None:
    bench = GateBench()
    bench.caller(1, greets=False)
    (answer,) = sent(bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="crm")))
    assert answer.frame == gate.Greeting(protocol=gate.PROTOCOL, name="mgmtd", node="node1")


def test_nothing_is_passed_on_before_the_greeting() -> None:
    bench = GateBench()
    bench.caller(1, greets=False)
    effects = bench.say(1, "cib", cib.Query(request=7))
    assert not told(effects)
    assert hung_up(effects) == [1]


def test_a_stranger_is_told_which_group_it_lacks_and_hung_up_on() -> None:
    bench = GateBench()
    bench.caller(1, Role.STRANGER, greets=False)
    effects = bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="crm"))
    (refusal,) = refusals(effects)
    assert refusal.code == 4
    assert "haclient" in refusal.hint
    assert hung_up(effects) == [1]


def test_another_protocol_is_refused() -> None:
    bench = GateBench()
    bench.caller(1, greets=False)
    effects = bench.frame(1, gate.Greeting(protocol=99, name="crm"))
    assert refusals(effects)[0].code == 76


def test_a_second_greeting_is_out_of_place() -> None:
    bench = GateBench()
    bench.caller(1)
    assert hung_up(bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="again"))) == [1]


def test_two_callers_with_the_same_number_each_get_their_own_answer() -> None:
    bench = GateBench()
    bench.caller(1, trusted=True)
    bench.caller(2, trusted=True)
    (first,) = told(bench.say(1, "cib", cib.DescribeCib(request=7)))
    (second,) = told(bench.say(2, "cib", cib.DescribeCib(request=7)))
    assert first.message.request != second.message.request

    (answer,) = sent(
        bench.answer("cib", cib.CibDescription(second.message.request, Version(0, 2, 3), "d"))
    )

    assert answer.caller == 2
    assert unwrap(answer) == cib.CibDescription(7, Version(0, 2, 3), "d")


def test_an_answer_is_delivered_once() -> None:
    bench = GateBench()
    bench.caller(1, trusted=True)
    (tell,) = told(bench.say(1, "cib", cib.DescribeCib(request=7)))
    answer = cib.CibDescription(tell.message.request, Version(), "d")
    assert len(sent(bench.answer("cib", answer))) == 1
    assert not sent(bench.answer("cib", answer))


def test_an_answer_of_another_daemon_with_the_same_number_is_not_taken_for_it() -> None:
    bench = GateBench()
    bench.caller(1)
    (tell,) = told(bench.say(1, "cib", cib.DescribeCib(request=7)))
    assert not sent(bench.answer("attrd", attributes.AttributeValues(tell.message.request)))


def test_who_asks_is_written_over_what_the_caller_claims() -> None:
    bench = GateBench()
    bench.caller(1)
    forged = cib.Origin(client="crmd", node="other", user="root", reason="because")
    (tell,) = told(bench.say(1, "cib", cib.Change(request=1, operations=(), origin=forged)))
    assert isinstance(tell.message, cib.Change)
    assert tell.message.origin == cib.Origin(
        client="test", node="node1", user="user1001", reason="because", groups=("g",)
    )
    asked = cib.Query(request=1, user="root", groups=("haclient",))
    (tell,) = told(bench.say(1, "cib", asked))
    assert isinstance(tell.message, cib.Query)
    assert (tell.message.user, tell.message.groups) == ("user1001", ("g",))


def test_only_who_is_trusted_asks_on_behalf_of_another_user() -> None:
    bench = GateBench()
    bench.caller(1, trusted=True)
    (tell,) = told(bench.say(1, "cib", cib.Query(request=1, user="bob", groups=("staff",))))
    assert isinstance(tell.message, cib.Query)
    assert (tell.message.user, tell.message.groups) == ("bob", ("staff",))
    (tell,) = told(bench.say(1, "cib", cib.Query(request=2)))
    assert isinstance(tell.message, cib.Query)
    assert tell.message.user == "user1001"
    origin = cib.Origin(client="x", user="bob")
    (tell,) = told(bench.say(1, "cib", cib.Change(request=3, operations=(), origin=origin)))
    assert isinstance(tell.message, cib.Change)
    assert tell.message.origin == cib.Origin(client="test", node="node1", user="bob")


def test_a_watcher_access_lists_could_restrict_is_told_no_content() -> None:
    bench = GateBench()
    bench.caller(1, trusted=True)
    bench.caller(2)
    bench.frame(1, gate.Watch())
    bench.frame(2, gate.Watch())
    change = cib.CibChanged(
        before=Version(),
        after=Version(0, 1, 0),
        touched=(cib.Touched("attribute", "pingd", "n1", "100"),),
        origin=cib.Origin("x", "n1", "bob", "set passwd=secret", ("staff",)),
        patch=b"<diff/>",
    )
    whole, veiled = (unwrap(frame) for frame in sent(bench.answer("cib", change)))
    assert whole == change
    assert isinstance(veiled, cib.CibChanged)
    assert veiled == cib.CibChanged(
        Version(), Version(0, 1, 0), (), cib.Origin(client="x", node="n1")
    )


def judged(bench: GateBench, effects: list[Effect], *denied: int) -> list[Effect]:
    """Let the cib judge what it is asked."""
    (tell,) = told(effects)
    assert isinstance(tell.message, cib.AskRights)
    finding = cib.Finding("access-denied", "error", "p", "no permission", "ask for one")
    answer = cib.Rights(tell.message.request, denied, tuple(finding for _ in denied))
    return bench.answer("cib", answer)


CLEAN_UP = controller.CleanUp(request=7, resource="p", node="n1")


def test_the_cib_is_asked_before_anything_is_cleaned_up() -> None:
    bench = GateBench()
    bench.caller(1, Role.OPERATOR)
    asked = bench.say(1, "crmd", CLEAN_UP)
    (tell,) = told(asked)
    assert tell.peer == "cib"
    need = cib.Need(cib.HistoryPart("n1", "p"), write=True, throughout=True)
    assert isinstance(tell.message, cib.AskRights)
    assert (tell.message.needs, tell.message.user) == ((need,), "user1001")

    (passed_on,) = told(judged(bench, asked))

    assert passed_on.peer == "crmd"
    assert isinstance(passed_on.message, controller.CleanUp)
    assert (passed_on.message.resource, passed_on.message.user) == ("p", "user1001")
    (answer,) = sent(bench.answer("crmd", controller.ControllerReply(passed_on.message.request)))
    assert unwrap(answer) == controller.ControllerReply(7)


def test_what_the_cib_does_not_allow_is_not_passed_on() -> None:
    bench = GateBench()
    bench.caller(1, Role.OPERATOR)
    effects = judged(bench, bench.say(1, "crmd", CLEAN_UP), 0)
    assert not told(effects)
    (refusal,) = refusals(effects)
    assert (refusal.code, refusal.request, refusal.hint) == (4, 7, "ask for one")
    assert refusal.message == "CleanUp to crmd is not allowed: no permission"
    assert told(bench.say(1, "crmd", CLEAN_UP))


def test_a_message_that_wants_no_answer_is_judged_as_well() -> None:
    bench = GateBench()
    bench.caller(1, Role.OPERATOR)
    update = attributes.UpdateAttribute(name="a", value="1")
    asked = bench.say(1, "attrd", update)
    assert told(asked)[0].message.needs == (  # type: ignore[attr-defined]
        cib.Need(cib.AttributePart("node1", "a"), write=True),
    )
    assert [each.message for each in told(judged(bench, asked))] == [update]
    denied = judged(bench, bench.say(1, "attrd", update), 0)
    assert not told(denied)
    assert refusals(denied)[0].request == 0


def test_who_is_trusted_is_not_judged_unless_on_behalf_of_somebody() -> None:
    bench = GateBench()
    bench.caller(1, trusted=True)
    assert told(bench.say(1, "crmd", CLEAN_UP))[0].peer == "crmd"
    (tell,) = told(bench.say(1, "crmd", CLEAN_UP, user="bob", groups=("staff",)))
    assert isinstance(tell.message, cib.AskRights)
    assert (tell.message.user, tell.message.groups) == ("bob", ("staff",))
    assert told(bench.say(1, "crmd", CLEAN_UP, user="hacluster"))[0].peer == "crmd"
    (tell,) = told(bench.say(1, "cib", cib.Query(request=8), user="bob", groups=("staff",)))
    assert isinstance(tell.message, cib.Query)
    assert (tell.message.user, tell.message.groups) == ("bob", ("staff",))


def test_nobody_else_speaks_on_behalf_of_another_user() -> None:
    bench = GateBench()
    bench.caller(1)
    (tell,) = told(bench.say(1, "crmd", CLEAN_UP, user="root"))
    assert isinstance(tell.message, cib.AskRights)
    assert (tell.message.user, tell.message.groups) == ("user1001", ("g",))


def test_without_a_cib_nothing_is_judged_and_nothing_passed_on() -> None:
    bench = GateBench(connected=("heartbeat", "crmd"))
    bench.caller(1)
    effects = bench.say(1, "crmd", CLEAN_UP)
    assert not told(effects)
    assert refusals(effects)[0].code == 102
    assert not bench.say(1, "crmd", CLEAN_UP, wait_s=3)
    asked = bench.gate.receive(PeerConnected("cib"), bench.now)
    (passed_on,) = told(judged(bench, asked))
    assert passed_on.peer == "crmd"


def test_a_cib_that_is_lost_while_it_judges_leaves_the_request_untaken() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.say(1, "crmd", CLEAN_UP)
    (refusal,) = refusals(bench.gate.receive(PeerLost("cib"), bench.now))
    assert (refusal.code, refusal.request, refusal.taken) == (102, 7, False)


def test_a_daemon_lost_while_the_cib_judges_is_waited_for() -> None:
    bench = GateBench()
    bench.caller(1)
    asked = bench.say(1, "crmd", CLEAN_UP, wait_s=3)
    bench.gate.receive(PeerLost("crmd"), bench.now)
    assert not judged(bench, asked)
    (passed_on,) = told(bench.gate.receive(PeerConnected("crmd"), bench.now))
    assert passed_on.peer == "crmd"
    bench.gate.receive(PeerLost("crmd"), bench.now)
    asked = bench.say(1, "cib", cib.Query(request=9))
    assert told(asked)


def test_a_daemon_that_stays_away_after_the_judgement_is_named() -> None:
    bench = GateBench()
    bench.caller(1)
    asked = bench.say(1, "crmd", CLEAN_UP)
    bench.gate.receive(PeerLost("crmd"), bench.now)
    (refusal,) = refusals(judged(bench, asked))
    assert (refusal.code, refusal.taken) == (102, False)


def test_an_answer_shows_only_the_attributes_its_caller_may_see() -> None:
    bench = GateBench()
    bench.caller(1, Role.READER)
    (tell,) = told(bench.say(1, "attrd", attributes.AskAttributes(request=7)))
    values = tuple(attributes.AttributeValue("n1", name, "1") for name in "abc")
    asked = bench.answer("attrd", attributes.AttributeValues(tell.message.request, values))
    assert not sent(asked)

    (answer,) = sent(judged(bench, asked, 1))

    assert unwrap(answer) == attributes.AttributeValues(7, (values[0], values[2]))


def test_an_answer_that_comes_twice_is_judged_and_delivered_once() -> None:
    bench = GateBench()
    bench.caller(1, Role.READER)
    (tell,) = told(bench.say(1, "cib", cib.DescribeCib(request=7)))
    description = cib.CibDescription(tell.message.request, Version(0, 2, 3), "digest")  # type: ignore[attr-defined]
    asked = bench.answer("cib", description)
    assert not bench.answer("cib", description)
    (answer,) = sent(judged(bench, asked, 0))
    assert unwrap(answer) == cib.CibDescription(7, Version(0, 2, 3), "")
    assert not sent(judged(bench, asked))


def test_the_judged_count_as_open() -> None:
    bench = GateBench()
    bench.caller(1)
    for _ in range(MAX_OPEN_REQUESTS):
        assert told(bench.say(1, "attrd", attributes.UpdateAttribute(name="a", value="1")))
    (refusal,) = refusals(bench.say(1, "crmd", CLEAN_UP))
    assert refusal.code == 75


def test_a_reader_may_look_but_not_change() -> None:
    bench = GateBench()
    bench.caller(1, Role.READER)
    assert told(bench.say(1, "cib", cib.Query(request=1)))
    change = cib.Change(request=2, operations=(), origin=cib.Origin(client="x"))
    effects = bench.say(1, "cib", change)
    assert not told(effects)
    (refusal,) = refusals(effects)
    assert (refusal.code, refusal.request) == (4, 2)
    assert not hung_up(effects)


def test_who_asks_for_the_history_is_what_the_kernel_said() -> None:
    bench = GateBench()
    bench.caller(1, Role.READER)
    (tell,) = told(bench.say(1, "cib", cib.AskRevisions(request=1, user="root")))
    assert isinstance(tell.message, cib.AskRevisions)
    assert tell.message.user == "user1001"


def test_a_daemon_that_is_not_there_is_named_in_the_refusal() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    (refusal,) = refusals(bench.say(1, "cib", cib.Query(request=5)))
    assert (refusal.code, refusal.request) == (102, 5)
    assert "cib" in refusal.message


def test_a_lost_daemon_ends_its_open_requests_and_no_others() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.say(1, "cib", cib.Query(request=1))
    bench.say(1, "attrd", attributes.AskAttributes(request=2))

    effects = bench.gate.receive(PeerLost("cib"), bench.now)

    (refusal,) = refusals(effects)
    assert (refusal.code, refusal.request) == (102, 1)
    bench.gate.receive(PeerConnected("cib"), bench.now)
    assert told(bench.say(1, "cib", cib.Query(request=3)))


def test_an_unknown_service_is_refused() -> None:
    bench = GateBench()
    bench.caller(1)
    effects = bench.frame(1, gate.Envelope(service="shell", payload=b""))
    assert refusals(effects)[0].code == 3


def test_an_unreadable_payload_ends_the_connection() -> None:
    bench = GateBench()
    bench.caller(1)
    effects = bench.frame(1, gate.Envelope(service="cib", payload=b"\xff\xff"))
    assert hung_up(effects) == [1]


def test_unreadable_bytes_end_the_connection_with_a_word() -> None:
    bench = GateBench()
    bench.caller(1)
    effects = bench.gate.receive(FrameUnreadable(1, "garbage"), bench.now)
    assert refusals(effects)[0].message == "garbage"
    assert hung_up(effects) == [1]


def test_too_many_open_requests_are_refused_one_by_one() -> None:
    bench = GateBench()
    bench.caller(1)
    for number in range(1, MAX_OPEN_REQUESTS + 1):
        assert told(bench.say(1, "cib", cib.Query(request=number)))
    effects = bench.say(1, "cib", cib.Query(request=1000))
    assert refusals(effects)[0].code == 75
    assert not told(effects)


def test_a_watcher_is_first_told_every_node_and_then_each_change() -> None:
    bench = GateBench()
    bench.answer("heartbeat", node_changed("a", membership.NodeStatus.UP))
    bench.answer("heartbeat", node_changed("b", membership.NodeStatus.UP))
    bench.answer("heartbeat", node_changed("a", membership.NodeStatus.DEAD))
    bench.caller(1)
    bench.caller(2)

    first = [unwrap(each) for each in sent(bench.frame(1, gate.Watch()))]
    changed = cib.CibChanged(Version(0, 1, 0), Version(0, 2, 0), (), cib.Origin(client="crm"))
    later = sent(bench.answer("cib", changed))

    assert first == [
        node_changed("a", membership.NodeStatus.DEAD),
        node_changed("b", membership.NodeStatus.UP),
    ]
    assert [(each.caller, unwrap(each)) for each in later] == [(1, changed)]


def test_the_answer_to_a_caller_that_left_is_dropped() -> None:
    bench = GateBench()
    bench.caller(1)
    (tell,) = told(bench.say(1, "cib", cib.DescribeCib(request=7)))
    bench.gate.receive(CallerLeft(1), bench.now)
    assert not sent(bench.answer("cib", cib.CibDescription(tell.message.request, Version(), "d")))


def test_a_caller_that_never_greets_is_hung_up_on_in_time() -> None:
    bench = GateBench()
    bench.caller(1, greets=False)
    assert bench.gate.next_deadline() == bench.now + HANDSHAKE_S
    assert not bench.gate.tick(bench.now + HANDSHAKE_S - 0.1)
    assert hung_up(bench.gate.tick(bench.now + HANDSHAKE_S)) == [1]
    assert bench.gate.next_deadline() is None


def test_an_idle_caller_goes_but_one_that_waits_or_watches_stays() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.caller(2)
    bench.caller(3)
    bench.say(2, "cib", cib.Query(request=1))
    bench.frame(3, gate.Watch())
    assert hung_up(bench.gate.tick(bench.now + IDLE_S)) == [1]


def test_a_name_cannot_forge_a_line_of_the_log() -> None:
    bench = GateBench()
    bench.caller(1, greets=False)
    effects = bench.frame(1, gate.Greeting(protocol=gate.PROTOCOL, name="x\nERROR: all is lost"))
    assert all("\n" not in getattr(each, "text", "") for each in effects)


def test_a_stop_closes_every_connection_and_ends() -> None:
    bench = GateBench()
    bench.caller(1)
    effects = bench.gate.receive(StopRequested(), bench.now)
    assert hung_up(effects) == [1]
    assert effects[-1] == Exit(0)


def test_a_request_waits_for_a_daemon_that_is_being_started_again() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    assert not bench.say(1, "cib", cib.Query(request=5), wait_s=3)
    assert bench.gate.next_deadline() == bench.now + 3

    effects = bench.gate.receive(PeerConnected("cib"), bench.now)

    (question,) = (each.message for each in told(effects))
    assert isinstance(question, cib.Query)
    (answer,) = sent(bench.answer("cib", cib.QueryReply(question.request, cib.Outcome.OK)))
    assert unwrap(answer) == cib.QueryReply(5, cib.Outcome.OK)
    assert not told(bench.gate.receive(PeerConnected("cib"), bench.now))


def test_a_daemon_that_does_not_return_in_time_is_named_in_the_refusal() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    bench.say(1, "cib", cib.Query(request=5), wait_s=3)
    assert not bench.gate.tick(bench.now + 2.9)
    (refusal,) = refusals(bench.gate.tick(bench.now + 3))
    assert (refusal.code, refusal.request, refusal.taken) == (102, 5, False)
    assert not told(bench.gate.receive(PeerConnected("cib"), bench.now + 4))


def test_nobody_makes_the_gate_wait_for_ever() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    bench.say(1, "cib", cib.Query(request=5), wait_s=1e9)
    assert refusals(bench.gate.tick(bench.now + MAX_HOLD_S))


def test_what_a_caller_that_left_wanted_is_not_asked_any_more() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    bench.say(1, "cib", cib.Query(request=5), wait_s=3)
    bench.gate.receive(CallerLeft(1), bench.now)
    effects = bench.gate.receive(PeerConnected("cib"), bench.now)
    assert told(effects) == []
    assert bench.gate.next_deadline() is None


def test_held_requests_count_as_open_ones() -> None:
    bench = GateBench(connected=("heartbeat",))
    bench.caller(1)
    for number in range(1, MAX_OPEN_REQUESTS + 1):
        assert not bench.say(1, "cib", cib.Query(request=number), wait_s=3)
    (refusal,) = refusals(bench.say(1, "cib", cib.Query(request=999), wait_s=3))
    assert refusal.code == 75


def test_the_refusal_says_whether_the_lost_daemon_had_the_request() -> None:
    bench = GateBench()
    bench.caller(1)
    bench.say(1, "cib", cib.Query(request=1))
    (had_it,) = refusals(bench.gate.receive(PeerLost("cib"), bench.now))
    (never_had_it,) = refusals(bench.say(1, "cib", cib.Query(request=2)))
    assert (had_it.taken, never_had_it.taken) == (True, False)
