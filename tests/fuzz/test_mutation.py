"""Damage is done everywhere, repeatably, and what fails is made small."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutation import Samples, smallest


def _samples(*values: object, seed: int = 1) -> Samples:
    samples = Samples(random.Random(seed))
    for value in values:
        samples.keep(value)
    return samples


@pytest.mark.parametrize(
    "whole", [b"node alpha", "node alpha", (b"x", "node"), [b"one", b"two"]], ids=repr
)
def test_mutants_are_of_the_kind_of_what_they_were_made_from(whole: object) -> None:
    samples = _samples(whole)
    mutants = [samples.mutant() for _ in range(200)]
    assert {type(mutant) for mutant in mutants} == {type(whole)}
    assert len({repr(mutant) for mutant in mutants}) > 50


def test_a_seed_repeats_its_mutants() -> None:
    first, second = _samples(b"abc", b"defg"), _samples(b"abc", b"defg")
    assert [first.mutant() for _ in range(50)] == [second.mutant() for _ in range(50)]


def test_parts_of_one_input_come_into_another() -> None:
    samples = _samples(b"aaaa", b"bbbb")
    assert any(
        b"a" in mutant and b"b" in mutant for mutant in (samples.mutant() for _ in range(200))
    )


def test_the_smallest_input_that_fails_is_found() -> None:
    samples = _samples([b"a line", b"and a longer line"])
    fails = lambda value: any(b"\xff" in part for part in value)  # noqa: E731
    found = next(m for m in iter(samples.mutant, None) if fails(m))
    assert smallest(found, fails) == [b"\xff"]


def test_messages_are_moved_about_but_never_changed() -> None:
    message = object()
    samples = _samples([message, b"beside"])
    mutants = [samples.mutant() for _ in range(200)]
    assert all(isinstance(part, bytes) or part is message for some in mutants for part in some)
    assert {0, 1, 2} <= {some.count(message) for some in mutants}
