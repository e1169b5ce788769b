"""A change on its way to the master: what its writer is told, and not before this node shows it."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.cib import forwarding, wire
from crm.cib.disk import Mark
from crm.cib.forwarding import Forwarding
from crm.cib.outbox import LocalAsker, Outbox
from crm.model.version import Reign, Version
from crm.plumbing.machine import Tell

REIGN = Reign(7, "n1")
HERE = Version(0, 5, 3)
LATER = Version(0, 5, 4)


class Sent:
    """One change of a tool that n1, the master, has."""

    def __init__(self, step: api.Operation) -> None:
        self._outbox = Outbox()
        self.forwarding = Forwarding(self._outbox, life=1)
        self.forwarding.set_master("n1", HERE, 0.0)
        change = api.Change(4, (step,), api.Origin("test"))
        self.forwarding.add(LocalAsker("tool", 4), change, HERE, 0.0)
        self._outbox.take()
        self.token = (1 << 32) + 1

    def answered(self, sequence: int, reached: Mark | None, now: float = 1.0) -> None:
        """Hear of n1 that it is done, at a place in the sequence of its reign."""
        message = wire.Forwarded(self.token, api.Outcome.OK, LATER, reign=REIGN, sequence=sequence)
        self.forwarding.answered(message, "n1", reached, now)

    def told(self) -> list[api.Outcome]:
        """Take what the tool is told."""
        return [
            effect.message.outcome
            for effect in self._outbox.take()
            if isinstance(effect, Tell) and isinstance(effect.message, api.ChangeReply)
        ]


def xml_step() -> api.XmlOperation:
    return api.XmlOperation(api.XmlTask.MODIFY, b'<node_state id="1"/>', "status")


@pytest.mark.parametrize("reached", [(REIGN, 9), (REIGN, 10), (Reign(8, "n1"), 1)])
def test_the_writer_is_told_at_once_where_the_copy_shows_it(reached: Mark) -> None:
    sent = Sent(xml_step())
    sent.answered(9, reached)
    assert sent.told() == [api.Outcome.OK]
    assert sent.forwarding.next_deadline() is None


def test_the_writer_is_told_when_the_copy_has_come_that_far() -> None:
    sent = Sent(xml_step())
    sent.answered(9, (REIGN, 7))
    sent.forwarding.shows((REIGN, 8))
    assert sent.told() == []
    sent.forwarding.shows((REIGN, 9))
    assert sent.told() == [api.Outcome.OK]
    sent.forwarding.shows((REIGN, 10))
    assert sent.told() == []


def test_who_cannot_follow_waits_for_nothing() -> None:
    sent = Sent(xml_step())
    sent.answered(9, None)
    assert sent.told() == [api.Outcome.OK]


def test_the_writer_is_told_in_the_end_that_the_master_made_it() -> None:
    sent = Sent(xml_step())
    sent.answered(9, (REIGN, 7), now=1.0)
    assert sent.forwarding.next_deadline() == 1.0 + forwarding.SHOWN_S
    sent.forwarding.tick(HERE, 1.0 + forwarding.SHOWN_S)
    assert sent.told() == [api.Outcome.OK]
    sent.forwarding.shows((REIGN, 9))
    assert sent.told() == []


def test_what_a_lost_master_made_and_we_do_not_show_is_not_known() -> None:
    sent = Sent(xml_step())
    sent.answered(9, (REIGN, 7))
    sent.forwarding.lost("n1", HERE, 1.0)
    assert sent.told() == [api.Outcome.UNKNOWN_OUTCOME]
    sent.forwarding.shows((REIGN, 9))
    assert sent.told() == []


def test_what_may_be_done_twice_goes_to_the_next_master_instead() -> None:
    sent = Sent(api.SetNodeAttribute("n1", "1", "load", "7"))
    sent.answered(9, (REIGN, 7))
    sent.forwarding.lost("n1", HERE, 1.0)
    sent.forwarding.shows((REIGN, 9))
    assert sent.told() == []
    assert sent.forwarding.take_back() != []
