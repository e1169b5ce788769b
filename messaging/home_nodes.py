"""The nodes that a haresources file names: each line begins with the one that prefers it.

Responsible for refusing a file with a node that ha.cf does not list. What else a line says is
the business of the conversion to a CIB.

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from crm.plumbing.errors import Problem, error


def check(text: str, nodes: Collection[str], *, path: str) -> list[Problem]:
    """Report every line whose first word is none of the nodes; names are in lower case."""
    return [
        error(
            "bad-nodename",
            f"{path}:{number}",
            f"{path}:{number}: Bad nodename in {path} [{name}]",
            f"a line begins with the node that prefers it: {', '.join(nodes)}",
        )
        for number, name in _first_words(text)
        if name.lower() not in nodes
    ]


def _first_words(text: str) -> Iterator[tuple[int, str]]:
    """The first word of each line, with its number; a line goes on behind a backslash."""
    goes_on = False
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        words = content.removesuffix("\\").split()
        if words and not goes_on:
            yield number, words[0]
        goes_on = content.endswith("\\")
