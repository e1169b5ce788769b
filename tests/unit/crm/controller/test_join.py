"""The DC's book of a join round."""

from __future__ import annotations

from crm.api.lrm import ExecutorDescription
from crm.api.peers import JoinConfirm, JoinRequest
from crm.controller.join import JoinRound
from crm.model.version import Reign, Version


def request(join: int) -> JoinRequest:
    return JoinRequest(join, Version(), "digest", Reign(1, "a"))


def test_the_answer_to_an_earlier_offer_of_the_same_round_is_ignored() -> None:
    round_ = JoinRound("a")
    round_.open_for(["a", "b"])
    first = round_.offer_to("b")
    assert round_.request("a", request(first))
    round_.drop("b")
    assert round_.add(["a", "b"]) == ["b"]
    assert round_.offer_to("b") != first

    assert not round_.request("b", request(first))
    assert not round_.has_all_requests
    assert round_.request("b", request(round_.offer_to("b")))
    assert round_.has_all_requests
    assert round_.newest() == "a"


def test_everybody_confirms_the_offer_that_was_made_to_it() -> None:
    round_ = JoinRound("a")
    round_.open_for(["a", "b"])
    round_.drop("b")
    round_.add(["b"])
    for name in ("a", "b"):
        assert round_.request(name, request(round_.offer_to(name)))
    assert round_.acknowledge() == ["a", "b"]
    nothing = ExecutorDescription(0, "incarnation")
    assert not round_.confirm("b", JoinConfirm(round_.offer_to("a"), nothing))
    for name in ("a", "b"):
        assert round_.confirm(name, JoinConfirm(round_.offer_to(name), nothing))
    assert round_.has_all_confirmations
    assert sorted(round_.complete()) == ["a", "b"]
