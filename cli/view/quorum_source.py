"""Where quorum comes from, or why there is none, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crm.api.membership import QuorumRule, QuorumVerdict


def why(rules: Sequence[QuorumRule]) -> str:
    """The rules that decided, in the order in which they were asked; "" if nobody says."""
    asked = [rule for rule in rules if rule.verdict is not None]
    words = [_of_rule(rule) for rule in asked]
    if asked and asked[-1].verdict is QuorumVerdict.TIE:
        words.append("no rule decides that")
    return ", ".join(words)


def troubles(rules: Sequence[QuorumRule]) -> Iterator[str]:
    """What speaks against rules that nobody had to ask so far, one sentence each."""
    for rule in rules:
        if rule.server and rule.trouble and rule.verdict is None:
            yield f"quorum server {rule.server} {rule.trouble}"


def as_json(rules: Sequence[QuorumRule]) -> list[dict[str, object]]:
    """The same as values for programs; `verdict` is null where a rule was not asked."""
    return [
        {
            "rule": rule.name,
            "verdict": None if rule.verdict is None else rule.verdict.value,
            "votes": rule.votes,
            "all_votes": rule.all_votes,
            "server": rule.server,
            "held_ms": rule.held_ms,
            "trouble": rule.trouble,
        }
        for rule in rules
    ]


def _of_rule(rule: QuorumRule) -> str:
    match rule.name:
        case "majority":
            return _of_count(rule, "nodes")
        case "weight":
            return _of_count(rule, "votes")
        case "twonodes" if rule.verdict is QuorumVerdict.YES:
            return "one of two nodes goes on by itself, and fencing keeps them apart"
        case "twonodes":
            return "which is enough in a cluster of two nodes only"
        case "ping" if rule.verdict is QuorumVerdict.TIE:
            return "a ping node answers"
        case "ping":
            return "no ping node answers"
        case "quorumd":
            return _of_server(rule)
        case "agreement":
            return f"but {rule.trouble or 'not all of them have agreed on that so far'}"
    said = "decides for it" if rule.verdict is QuorumVerdict.YES else "decides against it"
    return f"rule {rule.name} {said}"


def _of_count(rule: QuorumRule, what: str) -> str:
    kinds = {QuorumVerdict.YES: "a majority", QuorumVerdict.TIE: "half of them"}
    kind = kinds.get(rule.verdict, "less than half") if rule.verdict else ""
    return f"{rule.votes} of {rule.all_votes} {what} are {kind}"


def _of_server(rule: QuorumRule) -> str:
    server = f"quorum server {rule.server}"
    if rule.held_ms >= 0:
        now = f", but now it {rule.trouble}" if rule.trouble else ""
        return f"the tie is held from {server} for {rule.held_ms // 1000} s{now}"
    return f"{server} {rule.trouble or 'has not given them the tie'}"
