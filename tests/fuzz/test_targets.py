"""The short form: a few hundred inputs for each decoder, the same ones at every push."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.fuzz.targets import TARGETS

SLOW = frozenset({"member", "client"})
"""Each input is a cluster of three nodes that goes on living."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_answers_anything_without_an_exception(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=12 if name in SLOW else 120, derandomize=True, database=None)
    @given(target.inputs)
    def take(value: object) -> None:
        target.take(value)

    take()
