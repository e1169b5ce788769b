"""Where quorum comes from: what each rule of the chain says of the present view.

Responsible for telling it as data. Not responsible for counting (`quorum`), nor for the words that
an administrator reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from crm.api.membership import QuorumRule, QuorumVerdict, View
from messaging.quorum import Electorate, Rulings, Verdict

DISPUTED = "agreement"
"""The rule that is broken where the chain says yes and the members have no quorum all the same."""


def rules_of(
    view: View | None,
    electorate: Electorate,
    rulings: Rulings,
    now: float,
    *,
    trouble: str = "",
    disputed_by: Sequence[str] = (),
) -> tuple[QuorumRule, ...]:
    """Each rule in the order of the chain, and what it says, as far as it was asked.

    `trouble` is what is wrong with the quorum server; `disputed_by` are peers that count otherwise.
    """
    members = [] if view is None else [member.name for member in view.members]
    is_quorate = view is not None and view.quorate
    said: dict[str, Verdict] = {}
    if members:
        holds_tie = is_quorate or rulings.tie_at(now) == frozenset(members)
        reaches_out = is_quorate or rulings.reaches_out
        said = dict(electorate.ask(members, holds_tie=holds_tie, reaches_out=reaches_out))
    rules = [
        _rule(name, said.get(name), members, electorate, rulings, now, trouble)
        for name in electorate.chain
    ]
    if Verdict.YES in said.values() and not is_quorate:
        why = f"{' '.join(disputed_by)} in contact counts otherwise" if disputed_by else ""
        rules.append(QuorumRule(DISPUTED, QuorumVerdict.NO, trouble=why))
    return tuple(rules)


def _rule(
    name: str,
    said: Verdict | None,
    members: Sequence[str],
    electorate: Electorate,
    rulings: Rulings,
    now: float,
    trouble: str,
) -> QuorumRule:
    verdict = None if said is None else QuorumVerdict(said.value)
    match name:
        case "majority" | "twonodes":
            return QuorumRule(name, verdict, len(members), len(electorate.nodes))
        case "weight":
            votes = sum(map(electorate.weight_of, members))
            return QuorumRule(
                name, verdict, votes, sum(map(electorate.weight_of, electorate.nodes))
            )
        case "quorumd":
            is_held = rulings.tie_at(now) == frozenset(members) and bool(members)
            held_ms = int((now - rulings.tie_since) * 1000) if is_held else -1
            server = electorate.server.rpartition(":")[0]
            return QuorumRule(name, verdict, server=server, held_ms=held_ms, trouble=trouble)
    return QuorumRule(name, verdict)
