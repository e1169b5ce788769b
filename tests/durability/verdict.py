"""Judges what is left after a cluster was worn down: is everything there that was acknowledged?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.durability.writers import Fate, Write


def lost(writes: Iterable[Write], slots: Mapping[str, int], node: str) -> list[str]:
    """Find acknowledged writes that are not in a configuration, nor overwritten by a later one."""
    newest: dict[str, Write] = {}
    for write in writes:
        if write.fate is Fate.ACKNOWLEDGED:
            newest[write.slot] = write  # numbers of a writer only grow
    return [
        f"{node}: {slot} is {slots.get(slot, 'not there')}, {write.token} was acknowledged as"
        f" {write.version[0]}.{write.version[1]}"
        for slot, write in newest.items()
        if slots.get(slot, 0) < write.number
    ]


def made_although_refused(
    writes: Iterable[Write], slots: Mapping[str, int], reasons: Iterable[str], node: str
) -> list[str]:
    """Find writes in a configuration or history whose writer was told they were not made."""
    refused = {write.token: write for write in writes if write.fate is Fate.REFUSED}
    present = {
        f"{slot.removeprefix('durable-').rpartition('-')[0]}-{n}" for slot, n in slots.items()
    }
    found = {token for token in (*present, *reasons) if token in refused}
    return [f"{node}: {token} is there, but was refused: {refused[token].said}" for token in found]


def forked(
    writes: Iterable[Write], histories: Mapping[str, Mapping[tuple[int, int], str]]
) -> list[str]:
    """Find versions acknowledged to two writes, or made by another write in some history."""
    owners: dict[tuple[int, int], list[str]] = defaultdict(list)
    for write in writes:
        if write.fate is Fate.ACKNOWLEDGED:
            owners[write.version].append(write.token)
    findings = [
        f"{version[0]}.{version[1]} was acknowledged to {' and '.join(tokens)}"
        for version, tokens in owners.items()
        if len(tokens) > 1
    ]
    for node, history in histories.items():
        for version, reason in history.items():
            if version in owners and reason not in owners[version] and not _is_takeover(reason):
                findings.append(
                    f"{node} has {version[0]}.{version[1]} made by '{reason}',"
                    f" acknowledged to {owners[version][0]}"
                )
    return findings


def _is_takeover(reason: str) -> bool:
    """Tell whether an entry stands for all that happened while the node was away."""
    return reason.startswith("took over the copy of")
