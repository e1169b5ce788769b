"""Work that is too long for one turn of the loop, done a slice at a time.

Such work is a generator: it yields after each step how large that was, and returns its result.
Who has the time runs it to its end at once (`finish`), who has not advances it turn by turn.

Units: a step is as large as reading so many bytes of XML.

Source: docs/decisions/0027-copies-in-slices.md, 0029-large-changes-on-a-copy.md.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

SLICE_BYTES = 500_000
"""So much is done in one turn of the loop."""

Result = TypeVar("Result")
Work = Generator[int, None, Result]


def finish(work: Work[Result]) -> Result:
    """Do all of it at once; gives the result, and raises what the work raises."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


class Slices(Generic[Result]):
    """Some work that is under way. When `advance` has said True, `result` is there."""

    def __init__(self, work: Work[Result]) -> None:
        self._work = work
        self._result: list[Result] = []

    def advance(self, most: int) -> bool:
        """Do about so much more of it; tells whether it is done. Raises what the work raises."""
        handled = 0
        while not self._result:
            try:
                handled += next(self._work)
            except StopIteration as end:
                self._result.append(end.value)
            else:
                if handled >= most:
                    return False
        return True

    def give_up(self) -> None:
        """Do no more of it."""
        self._work.close()

    @property
    def result(self) -> Result:
        """What came of it."""
        return self._result[0]
